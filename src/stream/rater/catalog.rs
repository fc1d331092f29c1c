//! Another catalog: taken, or only tried, between two transactions.

use super::{Rater, Tick};
use crate::stream::broker::Broker;
use crate::stream::catalog_topic::InForce;
use crate::stream::stop::Stop;
use rating::{Catalog, Instant};
use std::sync::Arc;

impl<B: Broker> Rater<B> {
    /// Goes on with another catalog.
    ///
    /// # Errors
    /// As [`Rater::step`]. If the catalog contradicts the state, the reason is given, and the one
    /// before stays in force.
    pub fn set_catalog(&mut self, newer: InForce, tick: Tick) -> Result<Result<(), String>, Stop> {
        self.commit(tick)?;
        if self.partition.lacks_times() {
            // The terms that a total was rated by are asked for up to its last record.
            self.find_times(tick)?;
        }
        let before = self.partition.before();
        if let Err(error) = self.partition.set_catalog(newer.catalog) {
            return Ok(Err(error.to_string()));
        }
        if let Some(reason) = crate::contradiction::find(&self.partition)? {
            self.partition.go_back(before)?;
            return Ok(Err(reason));
        }
        self.partition.note_cuts_agree();
        crate::changed_calendars::log(&self.partition);
        self.partition.at_catalog(newer.position.unwrap_or(0));
        self.next_period_end = Instant::MIN;
        self.take_released(tick)?;
        Ok(Ok(()))
    }

    /// Why another catalog cannot be gone on with, if it cannot; the one in force stays.
    ///
    /// # Errors
    /// As [`Rater::step`].
    pub fn try_catalog(
        &mut self,
        newer: Arc<Catalog>,
        tick: Tick,
    ) -> Result<Result<(), String>, Stop> {
        self.commit(tick)?;
        if self.partition.lacks_times() {
            // The terms that a total was rated by are asked for up to its last record.
            self.find_times(tick)?;
        }
        let before = self.partition.before();
        if let Err(error) = self.partition.set_catalog(newer) {
            return Ok(Err(error.to_string()));
        }
        let contradicts = crate::contradiction::find(&self.partition)?;
        self.partition.go_back(before)?;
        // Those that the other catalog released wait on.
        self.take_released(tick)?;
        Ok(contradicts.map_or(Ok(()), Err))
    }
}
