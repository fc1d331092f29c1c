//! Slots: the totals that records are being added to, in memory in front of the store.
//!
//! Two generations bound them: what is touched moves to the young one; when that is half full, the
//! old one, which nobody has touched for as long, is dropped and the young one becomes the old.
//! Only what the last commit has written may be dropped, so generations change after a commit.

use rating::{Instant, Period, SubscriptionId, Total};

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
    pub(crate) total: Total,
    pub(crate) period: Period,
    /// Whether it differs from the store.
    pub(crate) dirty: bool,
    /// The part of a rated line that is the same for all records of this slot and its version.
    pub(crate) rated_head: String,
    /// The terms that `rated_head` was written for.
    pub(crate) rated_from: Instant,
}

type Generation = hashbrown::HashMap<SlotKey, Slot, foldhash::fast::FixedState>;

/// All slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    young: Generation,
    old: Generation,
    dirty: Vec<SlotKey>,
}

impl Slots {
    /// The slot of a total, if it is in memory.
    pub(crate) fn get(&mut self, key: &SlotKey) -> Option<&mut Slot> {
        if !self.young.contains_key(key) {
            let slot = self.old.remove(key)?;
            self.young.insert(*key, slot);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: SlotKey, slot: Slot) -> &mut Slot {
        self.young.entry(key).insert(slot).into_mut()
    }

    /// Notes that a slot is about to change.
    pub(crate) fn touch(&mut self, key: SlotKey) {
        if let Some(slot) = self.young.get_mut(&key)
            && !slot.dirty
        {
            slot.dirty = true;
            self.dirty.push(key);
        }
    }

    /// The slots that changed since the last commit.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = (&SlotKey, &Slot)> {
        self.dirty.iter().filter_map(|key| {
            let slot = self.young.get(key).or_else(|| self.old.get(key))?;
            Some((key, slot))
        })
    }

    pub(crate) const fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Everything is in the store now; drops the old generation if there are too many.
    pub(crate) fn committed(&mut self, slots_max: usize) {
        for key in self.dirty.drain(..) {
            if let Some(slot) = self.young.get_mut(&key) {
                slot.dirty = false;
            }
        }
        if self.young.len() > slots_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}
