//! Slots: what an instance knows of its partitions, and what production's assignment decides by it.
//!
//! It is production's supervisor without its threads: the same events, the same decision, the same
//! one answer for all that was taken away.

use super::group::Change;
use std::collections::BTreeMap;
use std::time::Duration;
use usage_rater::stream::assignment::{Decision, Facts, decide};
use usage_rater::stream::stop::Stop;

/// After so long the group has been heard of: longer than a session.
const GROUP_HEARD: Duration = Duration::from_secs(10);
/// A worker that has worked for so long has not failed in a row.
const WORKED_WELL: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Slot {
    is_assigned: bool,
    is_revoked: bool,
    worker: Option<Duration>,
    is_told_to_stop: bool,
    failed: Option<(u32, Duration)>,
    fenced: Option<Duration>,
}

/// All partitions that an instance has heard of.
#[derive(Debug, Default)]
pub(super) struct Slots(BTreeMap<u32, Slot>);

impl Slots {
    /// Takes note of what the group says.
    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::Assigned(partitions) => {
                for partition in partitions {
                    let slot = self.0.entry(*partition).or_default();
                    (slot.is_assigned, slot.is_revoked) = (true, false);
                    (slot.fenced, slot.failed) = (None, None);
                }
            }
            Change::Revoked(partitions) => {
                for partition in partitions {
                    self.0.entry(*partition).or_default().is_revoked = true;
                }
            }
            Change::Lost => {
                for slot in self.0.values_mut() {
                    (slot.is_assigned, slot.is_revoked) = (false, false);
                }
            }
        }
    }

    /// Takes note that a worker has ended.
    pub(super) fn note_end(&mut self, partition: u32, ended: &Result<(), Stop>, now: Duration) {
        let slot = self.0.entry(partition).or_default();
        let worked = slot.worker.take().map_or(Duration::ZERO, |since| now - since);
        slot.is_told_to_stop = false;
        match ended {
            Ok(()) => {}
            Err(Stop::Fenced(_)) => slot.fenced = Some(now),
            Err(_) => {
                let before = slot.failed.map_or(0, |(failures, _)| failures);
                let failures = if worked >= WORKED_WELL { 1 } else { before + 1 };
                slot.failed = Some((failures, now));
            }
        }
    }

    /// Which workers to start and which to stop; they are taken to be so from now on.
    pub(super) fn decide(&mut self, is_ending: bool, now: Duration) -> (Vec<u32>, Vec<u32>) {
        let (mut start, mut stop) = (Vec::new(), Vec::new());
        for (partition, slot) in &mut self.0 {
            match decide(slot.facts(is_ending, now)) {
                Decision::Wait | Decision::Release => {}
                Decision::Start => {
                    (slot.worker, slot.is_told_to_stop) = (Some(now), false);
                    start.push(*partition);
                }
                Decision::Stop => {
                    slot.is_told_to_stop = true;
                    stop.push(*partition);
                }
            }
        }
        (start, stop)
    }

    /// What to give back to the group: all that was taken away, once all of it has been let go.
    pub(super) fn release(&mut self, now: Duration) -> Vec<u32> {
        let revoked = self.0.iter_mut().filter(|(_, slot)| slot.is_revoked);
        let revoked: Vec<_> = revoked.collect();
        let is_let_go = |slot: &Slot| decide(slot.facts(false, now)) == Decision::Release;
        if !revoked.iter().all(|(_, slot)| is_let_go(slot)) {
            return Vec::new();
        }
        let mut released = Vec::new();
        for (partition, slot) in revoked {
            (slot.is_assigned, slot.is_revoked) = (false, false);
            released.push(*partition);
        }
        released
    }

    /// Whether no worker is left.
    pub(super) fn are_idle(&self) -> bool {
        self.0.values().all(|slot| slot.worker.is_none())
    }
}

impl Slot {
    fn facts(&self, is_ending: bool, now: Duration) -> Facts {
        Facts {
            is_assigned: self.is_assigned,
            is_revoked: self.is_revoked,
            is_working: self.worker.is_some(),
            is_told_to_stop: self.is_told_to_stop,
            is_ending,
            failed: self.failed.map(|(failures, since)| (failures, now - since)),
            is_fenced: self.fenced.is_some_and(|since| now - since < GROUP_HEARD),
        }
    }
}
