//! Slots: the totals that records are being added to, in memory in front of the store.
//!
//! They are bounded: when a commit leaves too many of them, those not touched for longest are
//! dropped. Only what a commit has written may be dropped, so it happens right after one.

use hashbrown::HashTable;
use rating::{Instant, Period, Share, SubscriptionId, Total};
use std::hash::BuildHasher as _;

/// Which total: positions in the catalog, and the period's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey {
    pub(crate) subscription: SubscriptionId,
    pub(crate) timeline: u32,
    pub(crate) period_start: Instant,
}

/// A total in memory.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Which total it is.
    key: SlotKey,
    pub(crate) total: Total,
    pub(crate) period: Period,
    /// How much of its period the subscription is active in.
    pub(crate) share: Share,
    /// What last revised it, so that nothing does twice.
    pub(crate) revised_by: u64,
    /// Its key in the store.
    pub(crate) stored_key: Box<[u8]>,
    /// A hash of subscription, charge and plan.
    pub(crate) charge: u64,
    /// The part of a rated line that is the same for all records of this slot and its version.
    pub(crate) rated_head: String,
    /// The terms that `rated_head` was written for.
    pub(crate) rated_from: Instant,
    /// Whether it differs from the store.
    dirty: bool,
    /// The commit before which it was last touched.
    touched: u64,
}

impl Slot {
    pub(crate) fn new(
        total: Total,
        (period, share): (Period, Share),
        stored_key: Vec<u8>,
        charge: u64,
    ) -> Self {
        Self {
            key: SlotKey {
                subscription: SubscriptionId(u32::MAX),
                timeline: u32::MAX,
                period_start: period.start,
            },
            total,
            period,
            share,
            revised_by: 0,
            stored_key: stored_key.into_boxed_slice(),
            charge,
            rated_head: String::new(),
            rated_from: Instant::MIN,
            dirty: false,
            touched: 0,
        }
    }
}

impl Slot {
    /// Counts a revision of a closed total, once for each cause.
    pub(crate) fn revise(&mut self, cause: u64) {
        if self.total.closed && self.revised_by != cause {
            self.total.revision += 1;
            self.revised_by = cause;
        }
    }
}

/// Position of a slot until the next commit.
pub(crate) type SlotIndex = usize;

fn hash_of(key: &SlotKey) -> u64 {
    foldhash::fast::FixedState::default().hash_one(key)
}

/// How to undo what became of slots since [`Slots::begin`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for every change; a box would cost more")]
enum Step {
    /// It came into memory, the last of all.
    Made(SlotKey),
    /// It was going to change.
    Changed { index: SlotIndex, before: Before },
}

/// What of a slot a record may change.
#[derive(Debug)]
struct Before {
    total: Total,
    revised_by: u64,
    dirty: bool,
}

/// All slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Where a total is in `slots`; only numbers, so that it stays small beside them.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    dirty: Vec<SlotIndex>,
    commits: u64,
    /// Since [`Slots::begin`]; nothing is noted outside of it.
    steps: Vec<Step>,
    notes_steps: bool,
}

impl Slots {
    /// Where the slot of a total is, if it is in memory.
    pub(crate) fn find(&self, key: &SlotKey) -> Option<SlotIndex> {
        let is_it = |index: &u32| self.key_of(*index as usize).is_some_and(|found| found == *key);
        self.index.find(hash_of(key), is_it).map(|index| *index as usize)
    }

    /// The key of a slot.
    pub(crate) fn key_of(&self, index: SlotIndex) -> Option<SlotKey> {
        self.slots.get(index).map(|slot| slot.key)
    }

    pub(crate) fn insert(&mut self, key: SlotKey, mut slot: Slot) -> SlotIndex {
        let index = self.slots.len();
        slot.key = key;
        self.slots.push(slot);
        self.note(key, index);
        if self.notes_steps {
            self.steps.push(Step::Made(key));
        }
        index
    }

    pub(crate) fn get(&self, index: SlotIndex) -> Option<&Slot> {
        self.slots.get(index)
    }

    /// From here on, what becomes of slots can be undone, until [`Slots::end`].
    pub(crate) fn begin(&mut self) {
        self.steps.clear();
        self.notes_steps = true;
    }

    /// Keeps what became of slots since [`Slots::begin`], or undoes it.
    pub(crate) fn end(&mut self, keep: bool) {
        self.notes_steps = false;
        if keep {
            self.steps.clear();
        }
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Made(key) => {
                    let last = self.slots.len().saturating_sub(1);
                    let is_last = |index: &u32| *index as usize == last;
                    if let Ok(entry) = self.index.find_entry(hash_of(&key), is_last) {
                        entry.remove();
                    }
                    self.slots.pop();
                }
                Step::Changed { index, before } => self.undo(index, before),
            }
        }
    }

    fn undo(&mut self, index: SlotIndex, before: Before) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Before { total, revised_by, dirty } = before;
        (slot.total, slot.revised_by) = (total, revised_by);
        if slot.dirty && !dirty {
            slot.dirty = false;
            // It is one of the last that became so.
            if let Some(at) = self.dirty.iter().rposition(|other| *other == index) {
                self.dirty.remove(at);
            }
        }
    }

    /// A slot that may be about to change: it is as it was in the store until [`Slots::change`]
    /// says that it did.
    pub(crate) fn try_change(&mut self, index: SlotIndex) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(index)?;
        let is_noted =
            |step: &Step| matches!(step, Step::Changed { index: of, .. } if *of == index);
        if self.notes_steps && !self.steps.iter().any(is_noted) {
            let Slot { total, revised_by, dirty, .. } = &*slot;
            let (total, revised_by, dirty) = (total.clone(), *revised_by, *dirty);
            let before = Before { total, revised_by, dirty };
            self.steps.push(Step::Changed { index, before });
        }
        Some(slot)
    }

    /// A slot that is about to change.
    pub(crate) fn change(&mut self, index: SlotIndex) -> Option<&mut Slot> {
        self.try_change(index)?;
        let slot = self.slots.get_mut(index)?;
        slot.touched = self.commits;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(index);
        }
        Some(slot)
    }

    /// Calls `each` with every slot that changed since the last commit.
    pub(crate) fn for_each_dirty(&mut self, mut each: impl FnMut(&SlotKey, &mut Slot)) {
        for index in &self.dirty {
            if let Some(slot) = self.slots.get_mut(*index) {
                let key = slot.key;
                each(&key, slot);
            }
        }
    }

    /// The slots that changed since the last commit.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = &Slot> {
        self.dirty.iter().filter_map(|index| self.slots.get(*index))
    }

    pub(crate) const fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Everything is in the store now; drops slots if there are more than `slots_max`.
    pub(crate) fn committed(&mut self, slots_max: usize) {
        for index in self.dirty.drain(..) {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.dirty = false;
            }
        }
        self.commits += 1;
        if self.slots.len() > slots_max {
            self.drop_oldest(slots_max / 2);
        }
    }

    /// Keeps about `kept` of the slots, those touched last.
    fn drop_oldest(&mut self, kept: usize) {
        let mut touched: Vec<u64> = self.slots.iter().map(|slot| slot.touched).collect();
        touched.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = touched.get(kept).copied().unwrap_or_default();
        self.slots.retain(|slot| slot.touched > oldest);
        self.index.clear();
        for index in 0..self.slots.len() {
            if let Some(key) = self.key_of(index) {
                self.note(key, index);
            }
        }
    }

    /// Notes where the slot of a total is.
    fn note(&mut self, key: SlotKey, index: SlotIndex) {
        let slots = &self.slots;
        let hash_at = |index: &u32| slots.get(*index as usize).map_or(0, |slot| hash_of(&slot.key));
        // There are never more than `SLOTS_MAX` and what one commit touches.
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        self.index.insert_unique(hash_of(&key), number, hash_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(subscription: u32) -> SlotKey {
        let period_start = Instant::MIN;
        SlotKey { subscription: SubscriptionId(subscription), timeline: 0, period_start }
    }

    #[test]
    fn those_touched_last_stay() {
        let period = Period { start: Instant::MIN, end: Instant::MAX };
        let mut slots = Slots::default();
        for subscription in 0..10 {
            let name = vec![u8::try_from(subscription).unwrap()];
            let index = slots.insert(
                key(subscription),
                Slot::new(Total::default(), (period, Share::WHOLE), name, 0),
            );
            slots.change(index).unwrap();
            slots.committed(usize::MAX);
        }
        slots.committed(8);
        let kept: Vec<u32> = (0..10).filter(|number| slots.find(&key(*number)).is_some()).collect();
        assert_eq!(kept, [6, 7, 8, 9]);
        for number in kept {
            let slot = slots.get(slots.find(&key(number)).unwrap()).unwrap();
            assert_eq!(u32::from(slot.stored_key[0]), number);
        }
    }
}
