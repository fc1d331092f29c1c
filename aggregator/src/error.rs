//! Errors of a partition, and who must act on them.

use crate::counters::Counters;
use rating::Instant;

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The machine failed or is full: disk, permissions, memory. It may work once that is mended.
    Dependency,
    /// The state is not what this program and configuration expect. It must not be used.
    State,
}

/// Why a partition cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// RocksDB failed.
    #[error("the store in {directory} failed: {error}")]
    Store {
        /// Where the store lies.
        directory: String,
        /// What RocksDB said.
        error: rocksdb::Error,
    },
    /// The directory cannot be made or moved.
    #[error("cannot make the state in {directory}: {error}")]
    Directory {
        /// Where the store is to lie.
        directory: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Another process has the store open.
    #[error("another run is using the state in {directory}")]
    InUse {
        /// Where the store lies.
        directory: String,
    },
    /// The directory holds something else than was expected.
    #[error("{directory}: {reason}")]
    Refused {
        /// Where the store lies.
        directory: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Stored bytes that this program did not write.
    #[error("the store holds a damaged {what}")]
    Damaged {
        /// Which kind of value.
        what: &'static str,
    },
    /// A bound of this partition is reached.
    #[error("the partition holds as many {what} as it can")]
    Full {
        /// What there is too much of.
        what: &'static str,
    },
    /// A total whose subscription, charge or time the catalog no longer has.
    #[error(
        "the state holds usage of charge \"{charge}\" of subscription \"{subscription}\" in the \
         billing period from {start}, which this catalog does not have"
    )]
    Orphaned {
        /// The subscription.
        subscription: String,
        /// The charge.
        charge: String,
        /// Where the period begins.
        start: Instant,
    },
    /// A commit failed before: open the partition anew.
    #[error("an earlier commit failed; open the state again")]
    Failed,
    /// A record went two ways, or none: a defect of this program.
    #[error("the counters do not add up ({counters:?}); nothing was committed")]
    Unbalanced {
        /// The counters.
        counters: Counters,
    },
    /// A period that overlaps one that the state already has usage of.
    #[error(
        "the state has charge \"{charge}\" of subscription \"{subscription}\" from {start} to \
         {end}, but by this catalog and orders its billing periods are others; what was rated \
         cannot be cut anew: use the periods it was rated with, or another state"
    )]
    Recut {
        /// The subscription.
        subscription: String,
        /// The charge.
        charge: String,
        /// Where the period that the state has begins.
        start: Instant,
        /// Where it ends.
        end: Instant,
    },
    /// A charge whose kind of price changes within a scope that the state has usage of, which
    /// cannot be rated anew.
    #[error(
        "the state has usage of charge \"{charge}\" of subscription \"{subscription}\" in the \
         period or scope from {start}, and this catalog prices it otherwise: from a date before \
         usage that was rated, or by what is not kept of its records any more; let the new price \
         begin after the last usage, or with the next period or scope"
    )]
    Repriced {
        /// The subscription.
        subscription: String,
        /// The charge.
        charge: String,
        /// Where the period or scope begins.
        start: Instant,
    },
    /// A customer with usage whose billing periods orders would make others.
    #[error(
        "the state has usage of customer \"{customer}\", but by this catalog and orders its \
         billing periods are others; what was rated cannot be cut anew: where orders decide, time \
         zone, cycle day and billing period stay what they were, or another state is used"
    )]
    OrderedCalendar {
        /// The customer.
        customer: String,
    },
    /// A customer whose billing periods have changed more often than a state remembers.
    #[error(
        "time zone, cycle day and billing period of customer \"{customer}\" have changed {} times, \
         and a state remembers no more: keep those that it has",
        crate::limits::CALENDAR_CHANGES_MAX
    )]
    ManyCalendars {
        /// The customer.
        customer: String,
    },
    /// A sum that left its domain where no record can be blamed.
    #[error("the total of charge \"{charge}\" of subscription \"{subscription}\" overflows")]
    Overflow {
        /// The subscription.
        subscription: String,
        /// The charge.
        charge: String,
    },
}

impl Error {
    /// Whether bytes were found that were never written, or those that were written are gone.
    /// A full disk is no damage.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        const WORDS: [&str; 4] = ["Corruption", "checksum", "No such file", "truncated"];
        match self {
            Self::Store { error, .. } => WORDS.iter().any(|word| error.as_ref().contains(word)),
            Self::Damaged { .. } => true,
            Self::Directory { .. }
            | Self::InUse { .. }
            | Self::Full { .. }
            | Self::Refused { .. }
            | Self::Orphaned { .. }
            | Self::Overflow { .. }
            | Self::Failed
            | Self::Unbalanced { .. }
            | Self::Recut { .. }
            | Self::ManyCalendars { .. }
            | Self::OrderedCalendar { .. }
            | Self::Repriced { .. } => false,
        }
    }

    /// Who must act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store { .. }
            | Self::Directory { .. }
            | Self::InUse { .. }
            | Self::Full { .. } => ErrorKind::Dependency,
            Self::Refused { .. }
            | Self::Damaged { .. }
            | Self::Orphaned { .. }
            | Self::Overflow { .. }
            | Self::Failed
            | Self::Unbalanced { .. }
            | Self::Recut { .. }
            | Self::ManyCalendars { .. }
            | Self::OrderedCalendar { .. }
            | Self::Repriced { .. } => ErrorKind::State,
        }
    }
}
