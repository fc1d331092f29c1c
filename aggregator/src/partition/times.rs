//! Times: which record of a total was the first and which the last, after one of them was taken
//! back.
//!
//! Totals keep only the two times, so that adding a record costs nothing. Where one is taken back,
//! which is rare, all records are looked through that were admitted since the first of that period,
//! once in a commit for all totals.

use super::Partition;
use crate::admitted::Content;
use crate::error::Error;
use crate::slots::SlotIndex;
use rating::{Instant, Period};
use std::collections::BTreeMap;

/// The first and last time found for a total.
type Found = Option<(Instant, Instant)>;

/// Totals by the hashes of their charges.
type ByCharge = BTreeMap<u64, Vec<(Period, SlotIndex)>>;

impl Partition {
    /// Finds the times of totals of which the first or last record was taken back.
    pub(super) fn find_times(&mut self) -> Result<(), Error> {
        let stale = self.slots.stale();
        if stale.is_empty() {
            return Ok(());
        }
        let by_charge = self.by_charge(&stale);
        let mut found: BTreeMap<SlotIndex, Found> = BTreeMap::new();
        let mut note = |content: &Content| {
            for line in &content.lines {
                for (period, index) in by_charge.get(&line.charge).into_iter().flatten() {
                    if period.contains(content.used_at) {
                        let times = found.entry(*index).or_default();
                        let (first, last) = times.unwrap_or((content.used_at, content.used_at));
                        *times = Some((first.min(content.used_at), last.max(content.used_at)));
                    }
                }
            }
        };
        // What was admitted for periods that ended before all of these need not be looked through.
        let ends = stale.iter().filter_map(|index| self.slots.get(*index));
        let end = ends.map(|slot| slot.period.end).min().unwrap_or(Instant::MIN);
        self.for_each_standing(end, |_, content| {
            note(content);
            Ok(())
        })?;
        for index in stale {
            if let Some(slot) = self.slots.change(index) {
                let times = found.get(&index).copied().flatten();
                slot.total.first_used_at = times.map(|(first, _)| first);
                slot.total.last_used_at = times.map(|(_, last)| last);
                slot.times_are_stale = false;
            }
        }
        Ok(())
    }

    fn by_charge(&self, stale: &[SlotIndex]) -> ByCharge {
        let mut by_charge = ByCharge::new();
        for index in stale.iter().copied() {
            if let Some(slot) = self.slots.get(index) {
                by_charge.entry(slot.charge).or_default().push((slot.period, index));
            }
        }
        by_charge
    }
}
