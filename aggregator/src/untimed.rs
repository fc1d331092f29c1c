//! Untimed totals: those of which the first or the last record is not known.
//!
//! So many of the outermost records were taken back that none is left whose time the total keeps.
//! It is noted which totals these are, so that all can be found in one pass, and before the
//! records are forgotten.

use crate::codec::{Reader, put_signed};
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{UNTIMED, untimed_key};
use crate::slots::Slot;
use crate::store::Store;
use crate::tables::Table;
use rating::Instant;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct UntimedTotal {
    period_end: Instant,
    closed: bool,
}

/// All of them as of the last commit, by their keys in the store.
#[derive(Debug, Default)]
pub(crate) struct Untimed {
    all: BTreeMap<Box<[u8]>, UntimedTotal>,
    closed: usize,
}

impl Untimed {
    pub(crate) fn load(store: &Store) -> Result<Self, Error> {
        let mut untimed = Self::default();
        store.scan_prefix(Table::Meta, UNTIMED, |key, value| {
            let key = key.get(UNTIMED.len()..).unwrap_or_default();
            let mut reader = Reader::new(value);
            let read = (|| {
                let closed = reader.byte()? == 1;
                Some(UntimedTotal { period_end: reader.instant()?, closed })
            })();
            untimed.insert(key, read.ok_or(Error::Damaged { what: "untimed total" })?);
            Ok(())
        })?;
        Ok(untimed)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.all.keys().map(|key| &**key)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether one is of a closed period.
    pub(crate) const fn has_closed(&self) -> bool {
        self.closed > 0
    }

    /// Whether one is of a period that ended by an instant.
    pub(crate) fn ended_by(&self, until: Instant) -> bool {
        self.all.values().any(|one| one.period_end <= until)
    }

    /// Notes what a commit makes of a total.
    pub(crate) fn note(&mut self, slot: &Slot, delta: &mut Delta) {
        let known = self.all.get(&slot.stored_key).copied();
        if slot.total.times.are_known() {
            if known.is_some() {
                delta.delete(Table::Meta, &untimed_key(&slot.stored_key));
                self.remove(&slot.stored_key);
            }
            return;
        }
        let one = UntimedTotal { period_end: slot.period.end, closed: slot.total.closed };
        if known != Some(one) {
            let mut value = vec![u8::from(one.closed)];
            put_signed(&mut value, one.period_end.nanos());
            delta.put(Table::Meta, &untimed_key(&slot.stored_key), &value);
            self.insert(&slot.stored_key, one);
        }
    }

    fn insert(&mut self, key: &[u8], one: UntimedTotal) {
        self.remove(key);
        self.closed += usize::from(one.closed);
        self.all.insert(key.into(), one);
    }

    fn remove(&mut self, key: &[u8]) {
        if self.all.remove(key).is_some_and(|one| one.closed) {
            self.closed -= 1;
        }
    }
}
