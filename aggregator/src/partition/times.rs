//! Times: which record of a total was the first and which the last, after so many were taken back
//! that the total cannot tell.
//!
//! All records are looked through then, which takes seconds where there are millions. So no commit
//! does it for which others wait: it is done once for all such totals before periods close, before
//! another catalog is judged, when totals are read, and in Kafka mode between two transactions,
//! where closed totals have changed and are to be published.

use super::load::{Framed, frame_of};
use super::{Names, Partition};
use crate::admitted::Content;
use crate::error::Error;
use crate::keys::TotalKey;
use crate::limits::UNTIMED_TOTALS_MAX;
use crate::slots::SlotKey;
use rating::{Catalog, Instant, Period, Subject, SubscriptionId, Times};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the records of a total say.
#[derive(Debug)]
pub(crate) struct FoundTimes {
    key: SlotKey,
    period: Period,
    records: u64,
    /// Whether some records may have been forgotten: a period that was lengthened lasts longer than
    /// identities were to be kept for it.
    may_lack: bool,
    pub(crate) times: Times,
}

impl FoundTimes {
    /// Whether they are of all records of a total that can be found.
    pub(crate) const fn is_all_of(&self, records: u64) -> bool {
        self.records == records || (self.may_lack && self.records < records)
    }
}

/// Found times by the keys of totals in the store.
pub(crate) type FoundByKey = BTreeMap<Box<[u8]>, FoundTimes>;

impl Partition {
    /// Whether times should be found soon: closed totals wait for theirs to be published,
    /// identities to be forgotten, or there are many. Only where closed totals are published; else
    /// commits see to it.
    #[must_use]
    pub fn is_finding_due(&self) -> bool {
        let is_due = self.untimed.has_closed() || self.is_untimed_full();
        self.publishes_totals && (is_due || self.holds_forgetting())
    }

    fn is_untimed_full(&self) -> bool {
        self.untimed.len() >= UNTIMED_TOTALS_MAX
    }

    /// Whether some totals did not know their times when the last commit was made.
    #[must_use]
    pub fn lacks_times(&self) -> bool {
        self.untimed.len() > 0
    }

    /// Whether identities are kept only because times are to be found.
    #[must_use]
    pub fn holds_forgetting(&self) -> bool {
        self.is_forgetting_due() && self.oldest.is_some_and(|oldest| self.untimed.ended_by(oldest))
    }

    /// Finds the times of all totals that do not know theirs; durable with the next commit.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Damaged`] if the state cannot be read.
    pub fn find_times(&mut self) -> Result<(), Error> {
        let changed = self.slots.dirty().filter(|slot| !slot.total.times.are_known());
        let changed = changed.map(|slot| &*slot.stored_key);
        let keys: BTreeSet<Box<[u8]>> = self.untimed.keys().chain(changed).map(Box::from).collect();
        let catalog = Arc::clone(&self.catalog);
        for found in self.look_for_times(keys)?.into_values() {
            let index = self.load_slot(&catalog, found.key, found.period)?;
            let slot = self.slots.get(index).ok_or(DAMAGED)?;
            if slot.total.times.are_known() {
                continue;
            }
            if !found.is_all_of(slot.total.records) {
                return Err(DAMAGED);
            }
            if let Some(slot) = self.slots.change(index) {
                slot.total.times = found.times;
            }
        }
        Ok(())
    }

    /// Finds times where a commit may take its time.
    pub(super) fn find_times_in_commit(&mut self) -> Result<(), Error> {
        // Before there is a catalog, nobody knows what they are of.
        let has_catalog = !self.catalog.subscriptions().is_empty();
        let is_due = self.is_untimed_full() || self.holds_forgetting();
        if !self.publishes_totals && has_catalog && is_due {
            self.find_times()?;
        }
        Ok(())
    }

    /// Finds the times of totals that are closed, or will be when periods close that end by an
    /// instant.
    pub(super) fn find_times_until(&mut self, until: Instant) -> Result<(), Error> {
        if self.untimed.has_closed() || self.untimed.ended_by(until) {
            self.find_times()?;
        }
        Ok(())
    }

    /// Notes which totals do not know their times.
    pub(super) fn note_untimed(&mut self) {
        for slot in self.slots.dirty() {
            self.untimed.note(slot, &mut self.transaction.delta);
        }
    }

    /// The times of those totals that do not know theirs and whose keys `wants` takes.
    pub(crate) fn found_times(&self, wants: impl Fn(&[u8]) -> bool) -> Result<FoundByKey, Error> {
        let keys = self.untimed.keys().filter(|key| wants(key)).map(Box::from);
        self.look_for_times(keys.collect())
    }

    /// Looks through all records once.
    fn look_for_times(&self, keys: BTreeSet<Box<[u8]>>) -> Result<FoundByKey, Error> {
        let mut wanted = Vec::new();
        for stored in keys {
            let names = TotalKey::read(&stored).ok_or(DAMAGED)?;
            let (key, period) = place_of_total(&self.catalog, &names).ok_or(DAMAGED)?;
            let may_lack = self.is_forgotten(period.start);
            let found = FoundTimes { key, period, records: 0, may_lack, times: Times::default() };
            wanted.push((stored, found));
        }
        // What was admitted for periods that ended before all of these need not be looked through;
        // where they ended then is not always where they do now, but none did before it began.
        let Some(start) = wanted.iter().map(|(_, one)| one.period.start).min() else {
            return Ok(FoundByKey::new());
        };
        let by_charge = self.by_charge(&wanted);
        // Records of a total are in its shard, wherever corrections have put them.
        let shards: BTreeSet<u128> = wanted.iter().filter_map(|(key, _)| shard_of(key)).collect();
        let wants = |identity: u128| shards.contains(&(identity >> SHARD_SHIFT));
        self.for_each_standing((start, &wants), |_, content: &Content| {
            for line in &content.lines {
                for index in by_charge.get(&line.charge).into_iter().flatten() {
                    let Some((_, found)) = wanted.get_mut(*index) else { continue };
                    if found.period.contains(content.used_at) {
                        found.records += 1;
                        found.times.add_found(content.used_at);
                    }
                }
            }
            Ok(())
        })?;
        Ok(wanted.into_iter().collect())
    }

    /// Positions of totals by the hashes of their charges.
    fn by_charge(&self, wanted: &[(Box<[u8]>, FoundTimes)]) -> BTreeMap<u64, Vec<usize>> {
        let mut by_charge: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, (_, found)) in wanted.iter().enumerate() {
            if let Some(names) = Names::of(&self.catalog, &found.key) {
                by_charge.entry(names.charge_hash()).or_default().push(index);
            }
        }
        by_charge
    }
}

/// Where the shard of an identity begins.
const SHARD_SHIFT: u32 = 116;

fn shard_of(key: &[u8]) -> Option<u128> {
    key.first_chunk::<2>().map(|shard| u16::from_be_bytes(*shard).into())
}

const DAMAGED: Error = Error::Damaged { what: "list of totals without times" };

/// Which total a key of the store is of, and its period.
fn place_of_total(catalog: &Catalog, names: &TotalKey<'_>) -> Option<(SlotKey, Period)> {
    let Some(Subject::Subscription(first)) = catalog.subject(names.subscription) else {
        return None;
    };
    let holds = |id: &&SubscriptionId| {
        catalog.subscription_at(**id).is_some_and(|found| {
            let plan = catalog.plan_of(found);
            found.active.contains(names.period_start)
                && plan.is_some_and(|plan| plan.key == names.plan)
        })
    };
    let id = *catalog.stretches_of(&first).iter().find(holds)?;
    let subscription = catalog.subscription_at(id)?;
    let timelines = catalog.timelines_of(subscription);
    let timeline = timelines.iter().position(|timeline| timeline.key == names.charge)?;
    let Framed { period, .. } = frame_of(catalog, subscription, names.period_start)?;
    let timeline = u32::try_from(timeline).ok()?;
    Some((SlotKey { subscription: id, timeline, period_start: names.period_start }, period))
}
