//! Buckets: stretches of runs of identities that are forgotten together.
//!
//! An identity is needed while something may come that it must be compared with, or that corrects
//! it, and while a total with its record may still change. All that is over once nothing is taken
//! any more of the time at which its record was used, or of the billing periods it was rated in.
//! A bucket is forgotten when that holds of all that it was given, a few blocks with every commit,
//! the oldest bucket first. From the first block on, nothing is admitted or corrected whose time a
//! forgotten record could have, whatever the clock of a late one says.

use crate::admitted::{Admitted, read_entry};
use crate::codec::{Reader, put_signed, put_varint};
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{BUCKET, bucket_key, correction_key, run_key, run_of};
use crate::limits::{BUCKET_IDENTITIES, BUCKET_SPREAD_NANOS, FORGET_BLOCKS_MIN};
use crate::store::Store;
use crate::tables::Table;
use rating::Instant;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    first_run: u64,
    identities: u64,
    /// The same as `until` when it began.
    since: Instant,
    /// The time by which all of its records, and the periods that they are in, are over.
    until: Instant,
}

impl Bucket {
    fn put(&self, delta: &mut Delta) {
        let mut value = Vec::new();
        put_varint(&mut value, u128::from(self.identities));
        put_signed(&mut value, self.since.nanos());
        put_signed(&mut value, self.until.nanos());
        delta.put(Table::Meta, &bucket_key(self.first_run), &value);
    }
}

/// All buckets, the oldest first; the last one grows.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    all: VecDeque<Bucket>,
    forgotten: Option<Instant>,
    /// Where to go on in the bucket that is being forgotten.
    next_block: Vec<u8>,
    /// Whether the oldest bucket is gone with the commit that is under way.
    oldest_goes: bool,
    /// The first runs of buckets that are kept for longer than the store says.
    changed: Vec<u64>,
}

impl Buckets {
    pub(crate) fn load(store: &Store) -> Result<Self, Error> {
        let damaged = || Error::Damaged { what: "bucket of identities" };
        let mut buckets = Self::default();
        if let Some(bytes) = store.meta("forgotten")? {
            let mut reader = Reader::new(&bytes);
            buckets.forgotten = Some(reader.instant().ok_or_else(damaged)?);
        }
        store.scan_prefix(Table::Meta, BUCKET, |key, value| {
            let first_run = key.last_chunk::<8>().map(|run| u64::from_be_bytes(*run));
            let mut reader = Reader::new(value);
            let read = (|| {
                let (first_run, identities) = (first_run?, reader.number()?);
                let (since, until) = (reader.instant()?, reader.instant()?);
                Some(Bucket { first_run, identities, since, until })
            })();
            buckets.all.push_back(read.ok_or_else(damaged)?);
            Ok(())
        })?;
        Ok(buckets)
    }

    /// The first run of which the store may hold blocks.
    pub(crate) fn oldest_run(&self) -> u64 {
        self.all.front().map_or(0, |bucket| bucket.first_run)
    }

    /// The first run that is not forgotten. A bucket is as a whole, as soon as the first of its
    /// blocks is: what belongs together, as corrections of one record do, goes together.
    pub(crate) fn first_run(&self) -> u64 {
        let leaving = usize::from(self.is_leaving());
        self.all.get(leaving).map_or(0, |bucket| bucket.first_run)
    }

    fn is_leaving(&self) -> bool {
        let is_over = |bucket: &Bucket| self.forgotten.is_some_and(|time| bucket.until <= time);
        self.all.len() > 1 && self.all.front().is_some_and(is_over)
    }

    /// Keeps the bucket of a run at least until the window has passed an instant.
    pub(crate) fn keep(&mut self, run: u64, until: Instant) {
        let behind = self.all.partition_point(|bucket| bucket.first_run <= run);
        let bucket = behind.checked_sub(1).and_then(|index| self.all.get_mut(index));
        if let Some(bucket) = bucket.filter(|bucket| bucket.until < until) {
            bucket.until = until;
            self.changed.push(bucket.first_run);
        }
    }

    /// The first run that may hold a record of a period that ends at `end`, or later.
    pub(crate) fn run_for(&self, end: Instant) -> u64 {
        let found = self.all.iter().find(|bucket| bucket.until >= end);
        found.map_or_else(|| self.last_run(), |bucket| bucket.first_run)
    }

    /// Whether something is to be forgotten of which nothing before `oldest` is needed.
    pub(crate) fn is_due(&self, oldest: Instant) -> bool {
        self.all.len() > 1 && self.all.front().is_some_and(|bucket| bucket.until < oldest)
    }

    /// The first run of the bucket that grows: the next run is not before it.
    pub(crate) fn last_run(&self) -> u64 {
        self.all.back().map_or(0, |bucket| bucket.first_run)
    }

    /// The time up to which identities may have been forgotten.
    pub(crate) const fn forgotten(&self) -> Option<Instant> {
        self.forgotten
    }

    /// Adds a run of so many identities that are over by `until`.
    pub(crate) fn add(&mut self, (run, added): (u64, u64), until: Instant, delta: &mut Delta) {
        let is_full = |bucket: &&mut Bucket| {
            let spread = until.nanos().saturating_sub(bucket.since.nanos());
            bucket.identities >= BUCKET_IDENTITIES || spread >= BUCKET_SPREAD_NANOS
        };
        let grown = match self.all.back_mut().filter(|bucket| !is_full(bucket)) {
            Some(bucket) => {
                bucket.identities += added;
                bucket.until = bucket.until.max(until);
                *bucket
            }
            None => {
                let new = Bucket { first_run: run, identities: added, since: until, until };
                self.all.push_back(new);
                new
            }
        };
        grown.put(delta);
    }

    /// Notes the buckets that are kept for longer.
    pub(crate) fn stage(&mut self, delta: &mut Delta) {
        for first_run in self.changed.drain(..) {
            let found = self.all.iter().find(|bucket| bucket.first_run == first_run);
            if let Some(bucket) = found {
                bucket.put(delta);
            }
        }
    }

    /// Deletes blocks of the oldest bucket if all in it was over before `oldest`: so many, or a
    /// few.
    pub(crate) fn forget(
        &mut self,
        store: &Store,
        (oldest, blocks): (Instant, usize),
        delta: &mut Delta,
    ) -> Result<(), Error> {
        let mut all = self.all.iter().copied();
        let (Some(bucket), Some(next)) = (all.next(), all.next()) else { return Ok(()) };
        if bucket.until >= oldest {
            return Ok(());
        }
        let forgotten = self.forgotten.map_or(bucket.until, |before| before.max(bucket.until));
        if self.forgotten != Some(forgotten) {
            let mut value = Vec::new();
            put_signed(&mut value, forgotten.nanos());
            delta.put(Table::Meta, b"forgotten", &value);
            self.forgotten = Some(forgotten);
        }
        let mut from = std::mem::take(&mut self.next_block);
        if from.is_empty() {
            from.extend_from_slice(&run_key(bucket.first_run, 0));
        }
        let mut left = blocks.max(FORGET_BLOCKS_MIN);
        let mut is_whole = true;
        store.scan_from(Table::Ids, &from, &mut |key, block| {
            if run_of(key).is_none_or(|run| run >= next.first_run) {
                return Ok(false);
            }
            if left == 0 {
                self.next_block.extend_from_slice(key);
                is_whole = false;
                return Ok(false);
            }
            left -= 1;
            delta.delete(Table::Ids, key);
            delete_corrections(block, delta)?;
            Ok(true)
        })?;
        if is_whole {
            delta.delete(Table::Meta, &bucket_key(bucket.first_run));
            self.oldest_goes = true;
        }
        Ok(())
    }

    /// What was staged is durable; gives how many identities are forgotten by it.
    pub(crate) fn committed(&mut self) -> u64 {
        if !std::mem::take(&mut self.oldest_goes) {
            return 0;
        }
        self.all.pop_front().map_or(0, |bucket| bucket.identities)
    }
}

/// A correction is kept as long as its identity is: what it corrects went before it.
fn delete_corrections(block: &[u8], delta: &mut Delta) -> Result<(), Error> {
    let mut reader = Reader::new(block);
    while !reader.is_empty() {
        let entry = read_entry(&mut reader).ok_or(Error::Damaged { what: "run of identities" })?;
        if let Admitted::Correction { target } = entry.admitted {
            delta.delete(Table::Corrections, &correction_key(target, entry.identity));
        }
    }
    Ok(())
}
