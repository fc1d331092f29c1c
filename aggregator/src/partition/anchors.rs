//! Anchors: where scopes begin, which must stay while there is usage in them.
//!
//! A position is kept under the start of its scope: of a day, a month, a year or the term of its
//! subscription. By a catalog that begins the scope at another time, records would find an empty
//! position beside the one that has counted all earlier ones.

use super::Partition;
use super::load::{any_charge, frame_of, span_of};
use crate::codec::decode_total;
use crate::error::Error;
use crate::keys::{NO_CELL, TotalKey};
use crate::position_codec::decode_position;
use crate::positions;
use crate::tables::Table;
use rating::{Catalog, Charge, Instant, Position, PositionPart, Scope, Share, Span, Timeline};

/// A scope with usage that the catalog begins, or cuts, at another time than it was rated by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedScope {
    /// The subscription.
    pub subscription: String,
    /// The charge.
    pub charge: String,
    /// Where the scope has begun.
    pub start: Instant,
}

impl Partition {
    /// A scope with usage that the catalog in force moves, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Damaged`] if the state cannot be read.
    pub fn moved_scope(&self) -> Result<Option<MovedScope>, Error> {
        let mut moved = None;
        self.store.scan(Table::Positions, |stored, bytes| {
            if moved.is_some() {
                return Ok(());
            }
            let key = TotalKey::read(stored).ok_or(Error::Damaged { what: "key of a position" })?;
            let position = decode_position(bytes).ok_or(Error::Damaged { what: "position" })?;
            let stays = |part: &PositionPart| stays(&self.catalog, &key, part).unwrap_or(false);
            if position.parts.iter().all(stays) {
                return Ok(());
            }
            // Where all records were taken back, nothing is lost.
            if self.is_used(stored, (&key, &position))? {
                let (subscription, charge) = (key.subscription.to_owned(), key.charge.to_owned());
                moved = Some(MovedScope { subscription, charge, start: key.period_start });
            }
            Ok(())
        })?;
        Ok(moved)
    }

    /// Whether there are records in a scope. They may add up to nothing; then those of the billing
    /// periods that it lies in count as its own.
    fn is_used(
        &self,
        stored: &[u8],
        (key, position): (&TotalKey<'_>, &Position),
    ) -> Result<bool, Error> {
        if positions::load(&self.store, stored)?.is_some_and(|found| !found.is_empty()) {
            return Ok(true);
        }
        for part in &position.parts {
            let total = TotalKey { cell: NO_CELL, period_start: part.start, ..*key };
            let mut bound = Vec::new();
            total.write(&mut bound);
            let Some((found, value)) = self.store.last_not_above(Table::Totals, &bound)? else {
                continue;
            };
            let found = TotalKey::read(&found).ok_or(Error::Damaged { what: "key of a total" })?;
            let is_its = found == TotalKey { period_start: found.period_start, ..total };
            let value = decode_total(&value).ok_or(Error::Damaged { what: "total" })?;
            if is_its && value.total.records > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a part would be put into the same position, and be weighed in the same way.
fn stays(catalog: &Catalog, key: &TotalKey<'_>, part: &PositionPart) -> Option<bool> {
    // A part begins with its billing period, which may be before the scope.
    let at = part.start.max(key.period_start);
    let subscription = catalog.stretch_at(key.subscription, key.plan, at)?;
    let timelines = catalog.timelines_of(subscription);
    let timeline = timelines.iter().find(|timeline| timeline.key == key.charge)?;
    let framed = frame_of(catalog, subscription, at)?;
    let span = span_of(any_charge(timeline)?, subscription, (catalog, at), framed)?;
    let Span { active_days: active, whole_days: whole, .. } = span;
    let weight_stays = part.share == Share { active, whole } || !is_weighed(timeline, &span);
    Some(span.time.start == key.period_start && weight_stays)
}

/// Whether it matters how much of a scope the subscription is active in. What of a billing period
/// it is active in is looked at where totals are.
fn is_weighed(timeline: &Timeline, span: &Span) -> bool {
    let weighs = |charge: &Charge| {
        charge.scope != Scope::BillingPeriod && (charge.prorated.included || charge.prorated.flat)
    };
    timeline.within(span.time).any(|(_, charge)| weighs(charge))
}
