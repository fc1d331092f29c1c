//! The ledger: what the worker drives. It takes records one by one, and what it took becomes
//! durable, whole, at a commit.
//!
//! Embedded, it is a partition on one RocksDB. With Kafka it will be a partition whose commit is a
//! Kafka transaction; the worker and HTTP stay as they are.

mod embedded;

pub(crate) use embedded::{EmbeddedLedger, Rules};

use crate::failure::Failure;
use crate::service::answer::Answer;
use crate::service::wanted::WantedPeriod;
use aggregator::{Counters, RejectedByCode, StoreUsage};
use axum::body::Bytes;
use rating::{Catalog, Instant};
use std::sync::Arc;

/// A catalog and the text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct CatalogText {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) text: Bytes,
}

/// Why a catalog was not taken; the one before stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It contradicts what was rated by the one before.
    Contradicts(String),
    /// It could not be kept durably.
    NotKept(String),
    /// It may be taken in a moment; or whether it was taken is not known.
    NotNow(String),
}

/// State whose changes become durable together.
pub(crate) trait Ledger {
    /// Takes one record and adds its verdict to `answer`.
    ///
    /// # Errors
    /// Only where the ledger cannot go on. A bad record is a verdict.
    fn take(
        &mut self,
        record: &[u8],
        received: Instant,
        answer: &mut Answer,
    ) -> Result<(), Failure>;

    /// Whether so much was taken that it must be committed.
    fn commit_due(&self) -> bool;

    /// Makes all that was taken durable, so that it survives the loss of power, and proves that
    /// nobody else has taken over the state. Says whether there was anything to write.
    ///
    /// # Errors
    /// Whatever stood in the way; the ledger must not be used again.
    fn commit(&mut self) -> Result<bool, Failure>;

    /// Records by outcome; right after a commit, the committed ones.
    fn counters(&self) -> Counters;

    /// Refused records by code, as of the same commit.
    fn rejected_by_code(&self) -> RejectedByCode;

    /// What the store takes.
    ///
    /// # Errors
    /// What kept it from being known.
    fn store_usage(&self) -> Result<StoreUsage, Failure>;

    /// Up to when usage is thought to be complete.
    fn watermark(&self) -> Instant;

    /// Moves the watermark forward without a record.
    fn advance_watermark(&mut self, to: Instant);

    /// The first end of a billing period that was not yet looked at for closing.
    fn next_period_end(&self) -> Instant;

    /// Closes and commits every period that ended by `until`.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    fn close(&mut self, until: Instant) -> Result<(), Failure>;

    /// The committed totals of a subscription as JSON, or `None` if the catalog does not have it.
    ///
    /// # Errors
    /// What kept them from being read.
    fn totals(&self, subscription: &str, wanted: WantedPeriod) -> Result<Option<String>, Failure>;

    /// Which records made the totals of a charge, as JSON, or `None` if there are no such totals.
    ///
    /// # Errors
    /// What kept them from being read.
    fn explain(
        &self,
        subscription: &str,
        charge: &str,
        period: &str,
    ) -> Result<Option<String>, Failure>;

    /// Refuses what has waited for too long.
    ///
    /// # Errors
    /// Where the ledger cannot go on.
    fn give_up_waiting(&mut self, now: Instant) -> Result<(), Failure>;

    /// The last committed dead letters as JSON, the newest first.
    ///
    /// # Errors
    /// What kept them from being read.
    fn rejected(&self, limit: usize) -> Result<String, Failure>;

    /// Takes another catalog and keeps it durably, unless it contradicts the state. What was taken
    /// before must have been committed.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    fn replace_catalog(&mut self, new: CatalogText) -> Result<Result<(), Refusal>, Failure>;

    /// The catalog in force.
    fn catalog(&self) -> Option<&CatalogText>;
}
