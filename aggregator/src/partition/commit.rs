//! Commits: everything taken since the last one becomes true at once.

use super::{Partition, event_types};
use crate::announced::{self, Announced};
use crate::codec::encode_total;
use crate::commit::CommitPort;
use crate::error::Error;
use crate::limits::{POSITION_BLOCKS_MAX, SLOTS_MAX};
use crate::query::Query;
use crate::slots::Slot;
use crate::store::{REJECTED_BY_CODE, Store};
use crate::tables::Table;
use std::sync::Arc;

impl Partition {
    /// Commits everything taken since the last commit.
    ///
    /// # Errors
    /// Whatever the commit port met. It is not known then whether it is durable, and the partition
    /// must be opened anew.
    pub fn commit(&mut self, port: &mut dyn CommitPort) -> Result<(), Error> {
        self.stage()?;
        port.commit(&self.store, &self.transaction)?;
        self.settle();
        Ok(())
    }

    /// Tells of a snapshot of this partition's store with the next commit.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the list of those before makes no sense.
    pub fn announce(&mut self, snapshot: Announced) -> Result<(), Error> {
        self.announcing = Some(announced::with(self.store.announced()?, snapshot));
        Ok(())
    }

    /// Completes the transaction: everything taken since the last commit.
    fn stage(&mut self) -> Result<(), Error> {
        self.check_usable()?;
        if !self.counters.balanced() {
            return Err(Error::Unbalanced { counters: self.counters });
        }
        // Until it is known to have succeeded, it has failed: a second try would write this delta
        // twice over, in no certain order.
        self.failed = true;
        self.find_times_in_commit()?;
        self.note_terms();
        self.note_untimed();
        self.note_closed_totals()?;
        // What finds times must not be gone before.
        let oldest = self.oldest.filter(|oldest| !self.untimed.ended_by(*oldest));
        let delta = &mut self.transaction.delta;
        delta.append(&std::mem::take(&mut self.new_plans));
        self.dedupe.stage((&self.store, oldest), delta)?;
        self.positions.stage(delta);
        self.corrections.stage(delta);
        self.waiting.stage(delta);
        if self.types_changed {
            delta.put(Table::Meta, b"types", &event_types::encode(&self.types));
        }
        for slot in self.slots.dirty() {
            delta.put_with(Table::Totals, |out| {
                out.extend_from_slice(&slot.stored_key);
                let middle = out.len();
                encode_total(out, &slot.total, slot.period.end);
                middle
            });
        }
        delta.put(Table::Meta, b"counters", &self.counters.encode());
        delta.put(Table::Meta, REJECTED_BY_CODE.as_bytes(), &self.rejected.encode());
        delta.put(Table::Meta, b"sources", &Store::encode_sources(&self.sources));
        delta.put(Table::Meta, b"catalog", &self.catalog_position.to_le_bytes());
        delta.put(Table::Meta, b"watermark", &self.watermark.nanos().to_le_bytes());
        delta.put(Table::Meta, b"used until", &self.used_until.nanos().to_le_bytes());
        if let Some(list) = self.announcing.take() {
            delta.put(Table::Meta, b"snapshots", &announced::encode(&list));
        }
        delta.sort();
        Ok(())
    }

    /// What was staged is durable: there is nothing left to commit.
    fn settle(&mut self) {
        self.dedupe.committed();
        self.slots.committed(SLOTS_MAX);
        self.positions.committed(POSITION_BLOCKS_MAX);
        self.corrections.committed();
        self.waiting.committed();
        self.types_changed = false;
        self.transaction.delta.clear();
        self.transaction.outputs.clear();
        self.taken = 0;
        self.failed = false;
    }

    /// Notes by which terms the totals that changed have been rated.
    fn note_terms(&mut self) {
        let catalog = Arc::clone(&self.catalog);
        self.slots.for_each_dirty(|key, slot| {
            let subscription = catalog.subscription_at(key.subscription);
            let timelines = subscription.map(|found| catalog.timelines_of(found));
            let timeline = timelines.and_then(|found| found.get(key.timeline as usize));
            if let Some(timeline) = timeline {
                slot.total.terms_digest = slot.total.digest_of_terms(timeline, slot.period);
            }
        });
    }

    /// Writes the closed totals that changed; those that do not know their times leave when these
    /// are found.
    fn note_closed_totals(&mut self) -> Result<(), Error> {
        if !self.publishes_totals {
            return Ok(());
        }
        let query = Query::new(&self.catalog, &self.store);
        let is_due = |slot: &&Slot| slot.total.closed && slot.total.times.are_known();
        for slot in self.slots.dirty().filter(is_due) {
            let mut value = Vec::new();
            encode_total(&mut value, &slot.total, slot.period.end);
            let total = query.total(&slot.stored_key, &value)?;
            let mut line = String::new();
            total.write_line(&mut line);
            self.transaction.outputs.totals.push((total.key(), line));
        }
        Ok(())
    }
}
