//! Admission: was this identity seen, with the same content, and what became of it?
//!
//! In memory there is one fingerprint of 8 bytes for every identity: 34 bits of its hash, and the
//! number of the run that admitted it. Only where a fingerprint matches is the run read, so a new
//! record costs no look-up on disk. Every match is confirmed by the whole 128-bit identity.
//!
//! On disk a run is the identities of one commit, sorted and packed into blocks, each entry with
//! what it takes to see conflicts, to take a record back, to explain a total and to rate a period
//! anew: content digest, place, time, and for every line the charge and the quantity.
//!
//! Runs are forgotten by the bucket ([`Buckets`]). Their fingerprints stay until there are many of
//! them, and count for nothing.

use crate::admitted::{
    Admitted, AdmittedLine, Content, Entry, Named, Seen, read_entry, write_entry,
};
use crate::buckets::Buckets;
use crate::codec::Reader;
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{run_key, run_of};
use crate::limits::{IDENTITIES_MAX, RUN_BLOCK_BYTES_MAX, RUNS_MAX};
use crate::store::Store;
use crate::tables::Table;
use hashbrown::HashTable;
use rating::Instant;

/// A record that was admitted since the last commit.
#[derive(Debug, Clone, Copy)]
struct Pending {
    identity: u128,
    seen: Seen,
    used_at: Instant,
    event_type: u32,
    named: Named,
    /// Where its lines are, in [`Dedupe::lines`].
    first_line: u32,
    lines: u32,
    target: Option<u128>,
}

/// Which identities were admitted.
#[derive(Debug)]
pub(crate) struct Dedupe {
    /// `hash << 30 | run`, for every identity; of the run the low 30 bits.
    fingerprints: HashTable<u64>,
    /// How many of them are of runs that were forgotten.
    stale: u64,
    /// No fingerprint is of a run before this one.
    first_run: u64,
    buckets: Buckets,
    pending: Vec<Pending>,
    /// Where an identity is in `pending`; only numbers, so that it stays small.
    pending_index: HashTable<u32>,
    lines: Vec<AdmittedLine>,
    /// The time by which all that is pending, and the periods that it is in, are over.
    pending_until: Instant,
    run: u64,
    block: Vec<u8>,
}

const RUN_BITS: u32 = 30;
const HASH_MASK: u64 = (1 << 34) - 1;
const RUN_MASK: u64 = RUNS_MAX - 1;
const _: () = assert!(RUNS_MAX == 1 << RUN_BITS, "a run's number fits its bits");

/// 34 bits of an identity, not those that are its shard.
fn hash_of(identity: u128) -> u64 {
    u64::try_from((identity >> 16) & u128::from(HASH_MASK)).unwrap_or_default()
}

fn high_half(identity: u128) -> u64 {
    u64::try_from(identity >> 64).unwrap_or_default()
}

/// Spreads the 34 bits over the table, so that a fingerprint alone tells where it belongs.
const fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The run of a fingerprint, none of which is of one before `first`.
const fn run_of_word(word: u64, first: u64) -> u64 {
    first.wrapping_add(word.wrapping_sub(first) & RUN_MASK)
}

impl Dedupe {
    /// Reads the identities of a store.
    pub(crate) fn load(store: &Store) -> Result<Self, Error> {
        let buckets = Buckets::load(store)?;
        let mut dedupe = Self {
            fingerprints: HashTable::new(),
            stale: 0,
            first_run: buckets.oldest_run(),
            run: buckets.last_run(),
            buckets,
            pending: Vec::new(),
            pending_index: HashTable::new(),
            lines: Vec::new(),
            pending_until: Instant::MIN,
            block: Vec::new(),
        };
        store.scan(Table::Ids, |key, block| {
            let run = run_of(key).filter(|run| *run >= dedupe.first_run).ok_or_else(damaged)?;
            dedupe.run = run + 1;
            if run < dedupe.buckets.first_run() {
                return Ok(());
            }
            let mut reader = Reader::new(block);
            while !reader.is_empty() {
                let entry = read_entry(&mut reader).ok_or_else(damaged)?;
                dedupe.remember(entry.identity, run);
            }
            Ok(())
        })?;
        Ok(dedupe)
    }

    fn remember(&mut self, identity: u128, run: u64) {
        let hash = hash_of(identity);
        let word = (hash << RUN_BITS) | (run & RUN_MASK);
        self.fingerprints.insert_unique(spread(hash), word, |word| spread(word >> RUN_BITS));
    }

    /// The time up to which identities may have been forgotten: what is not after it cannot be
    /// admitted, nor be corrected.
    pub(crate) const fn forgotten(&self) -> Option<Instant> {
        self.buckets.forgotten()
    }

    /// Whether a commit would forget something.
    pub(crate) fn is_forgetting_due(&self, oldest: Instant) -> bool {
        self.buckets.is_due(oldest)
    }

    /// Keeps a record, and all that came after it, at least until the window has passed an
    /// instant: where a correction moved it to a later time, or may yet.
    pub(crate) fn keep(&mut self, identity: u128, until: Instant) {
        // One that only looks the same is kept, too, which is no harm.
        let runs: Vec<u64> = self.runs_of(identity).collect();
        for run in runs {
            if run == self.run {
                self.pending_until = self.pending_until.max(until);
            } else {
                self.buckets.keep(run, until);
            }
        }
    }

    /// The runs in which an identity may be.
    fn runs_of(&self, identity: u128) -> impl Iterator<Item = u64> {
        let hash = hash_of(identity);
        let (first, first_kept) = (self.first_run, self.buckets.first_run());
        self.fingerprints
            .iter_hash(spread(hash))
            .filter(move |word| **word >> RUN_BITS == hash)
            .map(move |word| run_of_word(*word, first))
            .filter(move |run| *run >= first_kept)
    }

    fn pending_at(&self, identity: u128) -> Option<&Pending> {
        let at = |index: &u32| self.pending.get(*index as usize);
        let is_it = |index: &u32| at(index).is_some_and(|pending| pending.identity == identity);
        self.pending_index.find(spread(hash_of(identity)), is_it).and_then(at)
    }

    /// What is known of an identity.
    pub(crate) fn find(&self, store: &Store, identity: u128) -> Result<Option<Seen>, Error> {
        for run in self.runs_of(identity) {
            let found = if run == self.run {
                self.pending_at(identity).map(|found| found.seen)
            } else {
                entry_in_run(store, run, identity)?.map(|entry| entry.seen)
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What was admitted under an identity.
    pub(crate) fn admitted(
        &self,
        store: &Store,
        identity: u128,
    ) -> Result<Option<Admitted>, Error> {
        for run in self.runs_of(identity) {
            let found = if run == self.run {
                self.pending_at(identity).map(|pending| self.admitted_of(pending))
            } else {
                entry_in_run(store, run, identity)?.map(|entry| entry.admitted)
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn lines_of(&self, pending: &Pending) -> &[AdmittedLine] {
        let start = pending.first_line as usize;
        self.lines.get(start..start + pending.lines as usize).unwrap_or_default()
    }

    fn admitted_of(&self, pending: &Pending) -> Admitted {
        if let Some(target) = pending.target {
            return Admitted::Correction { target };
        }
        let Pending { used_at, event_type, named, .. } = *pending;
        let lines = self.lines_of(pending).to_vec();
        Admitted::Usage(Content { used_at, event_type, named, lines })
    }

    /// Calls `each` with the identity and content of all usage that was admitted and is not
    /// forgotten; of usage in periods that end before `end`, with some of it.
    pub(crate) fn scan(
        &self,
        store: &Store,
        end: Instant,
        mut each: impl FnMut(u128, &Content) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let from = run_key(self.buckets.run_for(end), 0);
        store.scan_from(Table::Ids, &from, &mut |_, block| {
            let mut reader = Reader::new(block);
            while !reader.is_empty() {
                let entry = read_entry(&mut reader).ok_or_else(damaged)?;
                if let Admitted::Usage(content) = &entry.admitted {
                    each(entry.identity, content)?;
                }
            }
            Ok(true)
        })?;
        for pending in &self.pending {
            if let Admitted::Usage(content) = self.admitted_of(pending) {
                each(pending.identity, &content)?;
            }
        }
        Ok(())
    }

    /// Admits an identity that [`Dedupe::find`] did not know: of usage with its lines, or of a
    /// correction with its target. It is kept at least until the window has passed `until`, by
    /// which it and the periods that it is in are over.
    pub(crate) fn admit(
        &mut self,
        (identity, seen): (u128, Seen),
        (used_at, event_type, named): (Instant, u32, Named),
        (lines, until): (&[AdmittedLine], Instant),
        target: Option<u128>,
    ) -> Result<(), Error> {
        if self.fingerprints.len() >= IDENTITIES_MAX {
            self.purge();
        }
        if self.fingerprints.len() >= IDENTITIES_MAX {
            return Err(Error::Full { what: "identities" });
        }
        let index =
            u32::try_from(self.pending.len()).map_err(|_| Error::Full { what: "records" })?;
        let first_line = self.lines.len();
        self.lines.extend_from_slice(lines);
        let (Ok(first_line), Ok(lines)) = (u32::try_from(first_line), u32::try_from(lines.len()))
        else {
            return Err(Error::Full { what: "lines" });
        };
        self.remember(identity, self.run);
        let hash_at = |pending: &Vec<Pending>, index: &u32| {
            pending.get(*index as usize).map_or(0, |pending| spread(hash_of(pending.identity)))
        };
        let hash = spread(hash_of(identity));
        self.pending_index.insert_unique(hash, index, |index| hash_at(&self.pending, index));
        self.pending_until = self.pending_until.max(until).max(used_at);
        self.pending.push(Pending {
            identity,
            seen,
            used_at,
            event_type,
            named,
            first_line,
            lines,
            target,
        });
        Ok(())
    }

    /// Packs what was admitted since the last commit into a run, and forgets runs that nothing
    /// after `oldest` needs.
    pub(crate) fn stage(
        &mut self,
        (store, oldest): (&Store, Option<Instant>),
        delta: &mut Delta,
    ) -> Result<(), Error> {
        let blocks = if self.pending.is_empty() { 0 } else { self.stage_run(delta)? };
        self.buckets.stage(delta);
        match oldest {
            Some(oldest) => self.buckets.forget(store, (oldest, 2 * blocks), delta),
            None => Ok(()),
        }
    }

    /// Packs what is pending; gives how many blocks that took.
    fn stage_run(&mut self, delta: &mut Delta) -> Result<usize, Error> {
        if self.run - self.first_run + 1 >= RUNS_MAX {
            return Err(Error::Full { what: "runs of identities" });
        }
        // Small elements sort fast; what they stand for is fetched in order afterwards.
        let pending = &self.pending;
        let full = |number: u32| pending.get(number as usize).map(|pending| pending.identity);
        let mut order: Vec<(u64, u32)> = pending
            .iter()
            .zip(0u32..)
            .map(|(one, number)| (high_half(one.identity), number))
            .collect();
        order.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then_with(|| full(*x).cmp(&full(*y))));
        let (mut first, mut blocks) = (None, 0);
        let mut block = std::mem::take(&mut self.block);
        let sorted = order.iter().filter_map(|(_, number)| self.pending.get(*number as usize));
        for pending in sorted {
            let Pending { identity, seen, used_at, event_type, named, target, .. } = *pending;
            let from = first.get_or_insert(identity);
            let (what, lines) = ((used_at, event_type, named), self.lines_of(pending));
            write_entry(&mut block, (identity, seen), what, lines, target);
            if block.len() >= RUN_BLOCK_BYTES_MAX {
                delta.put(Table::Ids, &run_key(self.run, *from), &block);
                block.clear();
                first = None;
                blocks += 1;
            }
        }
        if let Some(from) = first {
            delta.put(Table::Ids, &run_key(self.run, from), &block);
            block.clear();
            blocks += 1;
        }
        self.block = block;
        let identities = self.pending.len() as u64;
        self.buckets.add((self.run, identities), self.pending_until, delta);
        Ok(blocks)
    }

    /// Forgets what was pending: it is in the store now.
    pub(crate) fn committed(&mut self) {
        if !self.pending.is_empty() {
            self.run += 1;
        }
        self.pending.clear();
        self.pending_index.clear();
        self.lines.clear();
        self.pending_until = Instant::MIN;
        self.stale += self.buckets.committed();
        let total = self.fingerprints.len() as u64;
        let is_wide = self.run - self.first_run >= RUNS_MAX / 2;
        if self.stale > total / 8 || (is_wide && self.first_run < self.buckets.first_run()) {
            self.purge();
        }
    }

    /// Drops the fingerprints of runs that were forgotten.
    fn purge(&mut self) {
        let (first, first_kept) = (self.first_run, self.buckets.first_run());
        self.fingerprints.retain(|word| run_of_word(*word, first) >= first_kept);
        self.first_run = first_kept;
        self.stale = 0;
    }
}

const fn damaged() -> Error {
    Error::Damaged { what: "run of identities" }
}

fn entry_in_run(store: &Store, run: u64, identity: u128) -> Result<Option<Entry>, Error> {
    let Some((key, block)) = store.last_not_above(Table::Ids, &run_key(run, identity))? else {
        return Ok(None);
    };
    if run_of(&key) != Some(run) {
        return Ok(None);
    }
    let mut reader = Reader::new(&block);
    while !reader.is_empty() {
        let entry = read_entry(&mut reader).ok_or_else(damaged)?;
        if entry.identity == identity {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
