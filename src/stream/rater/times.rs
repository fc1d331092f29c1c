//! Times: totals that have lost the times of their first or last records find them between two
//! transactions, because that takes longer than a transaction may.

use super::{Rater, Tick};
use crate::stream::broker::Broker;
use crate::stream::stop::Stop;
use std::time::Duration;

/// How often, at most, the times of totals are looked for that are to be published; and of all
/// time, how large a part that may take.
const FIND_INTERVAL: Duration = Duration::from_secs(1);
const FIND_PART: u32 = 10;

impl<B: Broker> Rater<B> {
    /// Finds the times of totals between two transactions, now and then.
    pub(super) fn find_times_if_due(&mut self, tick: Tick) -> Result<(), Stop> {
        let since = tick.elapsed.saturating_sub(self.found);
        if since.is_zero() {
            return Ok(());
        }
        let took = *self.finding_took.get_or_insert(since);
        if since < FIND_INTERVAL.max(took * FIND_PART) || !self.partition.is_finding_due() {
            return Ok(());
        }
        self.find_times(tick)
    }

    /// Finds the times of all totals that do not know theirs, and commits them. All records are
    /// looked through, for which no transaction may be open.
    pub(super) fn find_times(&mut self, tick: Tick) -> Result<(), Stop> {
        if self.open_since.is_some() {
            self.commit(tick)?;
        }
        self.partition.find_times()?;
        (self.found, self.finding_took) = (tick.elapsed, None);
        self.commit(tick)
    }
}
