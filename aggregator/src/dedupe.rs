//! Admission: was this identity seen, with the same content, and what became of it?
//!
//! In memory there is one fingerprint of 8 bytes for every identity: 34 bits of its hash, and the
//! number of the run that admitted it. Only where a fingerprint matches is the run read, so a new
//! record costs no look-up on disk. Every match is confirmed by the whole 128-bit identity.
//!
//! On disk a run is the identities of one commit, sorted and packed into blocks, each entry with
//! what it takes to see conflicts, to take a record back, to explain a total and to rate a period
//! anew: content digest, place, time, and for every line the charge and the quantity.

use crate::codec::{Reader, put_signed, put_varint};
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{run_key, run_of};
use crate::limits::{IDENTITIES_MAX, RUN_BLOCK_BYTES_MAX, RUNS_MAX};
use crate::store::Store;
use crate::tables::Table;
use hashbrown::HashTable;
use rating::{Instant, Measured, Quantity};

/// Where an admitted record stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) content_digest: u64,
    /// Position of the source among the state's sources.
    pub(crate) source: u32,
    /// Line or offset within the source.
    pub(crate) position: u64,
}

/// One line of an admitted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdmittedLine {
    /// A hash of subscription, charge, plan and cell, by which the charge is found again.
    pub(crate) charge: u64,
    pub(crate) measured: Measured,
}

/// What an admitted record was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Usage, with its lines.
    Usage(Content),
    /// A correction of the record with that identity.
    Correction { target: u128 },
}

/// Whom a record named, as shortly as it can be found again: what amends it goes there too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The customer only.
    Customer,
    /// The subscription that its lines are of.
    SubscriptionOfLines,
    /// A subscription of which no charge took it, by a hash of its id.
    Subscription(u64),
}

/// What stands at the place of a record: its own content, or what an amendment put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) used_at: Instant,
    /// Position of its type among the state's; 0 is one that no meter takes.
    pub(crate) event_type: u32,
    pub(crate) named: Named,
    pub(crate) lines: Vec<AdmittedLine>,
}

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
    /// `hash << 24 | run`, for every identity.
    fingerprints: HashTable<u64>,
    pending: Vec<Pending>,
    pending_index: hashbrown::HashMap<u128, u32, foldhash::fast::FixedState>,
    lines: Vec<AdmittedLine>,
    run: u32,
    block: Vec<u8>,
}

const RUN_BITS: u32 = 30;
const HASH_MASK: u64 = (1 << 34) - 1;

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

impl Dedupe {
    /// Reads the identities of a store.
    pub(crate) fn load(store: &Store) -> Result<Self, Error> {
        let mut dedupe = Self {
            fingerprints: HashTable::new(),
            pending: Vec::new(),
            pending_index: hashbrown::HashMap::default(),
            lines: Vec::new(),
            run: 0,
            block: Vec::new(),
        };
        store.scan(Table::Ids, |key, block| {
            let damaged = || Error::Damaged { what: "run of identities" };
            let run = run_of(key).ok_or_else(damaged)?;
            let mut reader = Reader::new(block);
            while !reader.is_empty() {
                let entry = read_entry(&mut reader).ok_or_else(damaged)?;
                dedupe.remember(entry.identity, run);
            }
            dedupe.run = run + 1;
            Ok(())
        })?;
        Ok(dedupe)
    }

    fn remember(&mut self, identity: u128, run: u32) {
        let hash = hash_of(identity);
        let word = (hash << RUN_BITS) | u64::from(run);
        self.fingerprints.insert_unique(spread(hash), word, |word| spread(word >> RUN_BITS));
    }

    /// What is known of an identity.
    pub(crate) fn find(&self, store: &Store, identity: u128) -> Result<Option<Seen>, Error> {
        let hash = hash_of(identity);
        for word in self.fingerprints.iter_hash(spread(hash)) {
            if word >> RUN_BITS != hash {
                continue;
            }
            let run = u32::try_from(word & u64::from(RUNS_MAX - 1)).unwrap_or_default();
            let found = if run == self.run {
                let index = self.pending_index.get(&identity);
                index.and_then(|index| self.pending.get(*index as usize)).map(|found| found.seen)
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
        let hash = hash_of(identity);
        for word in self.fingerprints.iter_hash(spread(hash)) {
            if word >> RUN_BITS != hash {
                continue;
            }
            let run = u32::try_from(word & u64::from(RUNS_MAX - 1)).unwrap_or_default();
            let found = if run == self.run {
                let index = self.pending_index.get(&identity);
                let pending = index.and_then(|index| self.pending.get(*index as usize));
                pending.map(|pending| self.admitted_of(pending))
            } else {
                entry_in_run(store, run, identity)?.map(|entry| entry.admitted)
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn admitted_of(&self, pending: &Pending) -> Admitted {
        if let Some(target) = pending.target {
            return Admitted::Correction { target };
        }
        let start = pending.first_line as usize;
        let lines = self.lines.get(start..start + pending.lines as usize).unwrap_or_default();
        let Pending { used_at, event_type, named, .. } = *pending;
        Admitted::Usage(Content { used_at, event_type, named, lines: lines.to_vec() })
    }

    /// Calls `each` with the identity and content of all usage that was ever admitted.
    pub(crate) fn scan(
        &self,
        store: &Store,
        mut each: impl FnMut(u128, &Content) -> Result<(), Error>,
    ) -> Result<(), Error> {
        store.scan(Table::Ids, |_, block| {
            let mut reader = Reader::new(block);
            while !reader.is_empty() {
                let entry =
                    read_entry(&mut reader).ok_or(Error::Damaged { what: "run of identities" })?;
                if let Admitted::Usage(content) = &entry.admitted {
                    each(entry.identity, content)?;
                }
            }
            Ok(())
        })?;
        for pending in &self.pending {
            if let Admitted::Usage(content) = self.admitted_of(pending) {
                each(pending.identity, &content)?;
            }
        }
        Ok(())
    }

    /// Admits an identity that [`Dedupe::find`] did not know: of usage with its lines, or of a
    /// correction with its target.
    pub(crate) fn admit(
        &mut self,
        (identity, seen): (u128, Seen),
        (used_at, event_type, named): (Instant, u32, Named),
        lines: &[AdmittedLine],
        target: Option<u128>,
    ) -> Result<(), Error> {
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
        self.pending_index.insert(identity, index);
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

    /// Packs what was admitted since the last commit into a run.
    pub(crate) fn stage(&mut self, delta: &mut Delta) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.run + 1 >= RUNS_MAX {
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
        let mut first = None;
        let sorted = order.iter().filter_map(|(_, number)| self.pending.get(*number as usize));
        for pending in sorted {
            let from = first.get_or_insert(pending.identity);
            let start = pending.first_line as usize;
            let lines = self.lines.get(start..start + pending.lines as usize).unwrap_or_default();
            write_entry(&mut self.block, pending, lines);
            if self.block.len() >= RUN_BLOCK_BYTES_MAX {
                delta.put(Table::Ids, &run_key(self.run, *from), &self.block);
                self.block.clear();
                first = None;
            }
        }
        if let Some(from) = first {
            delta.put(Table::Ids, &run_key(self.run, from), &self.block);
            self.block.clear();
        }
        Ok(())
    }

    /// Forgets what was pending: it is in the store now.
    pub(crate) fn committed(&mut self) {
        if !self.pending.is_empty() {
            self.run += 1;
        }
        self.pending.clear();
        self.pending_index.clear();
        self.lines.clear();
    }
}

/// Marks of what an entry is. A line whose values are told apart has a hash behind its quantity.
const USAGE: u8 = 0;
const CORRECTION: u8 = 1;
const DISTINCT: u8 = 0x80;

// Frozen: the bytes of an entry.
fn write_entry(out: &mut Vec<u8>, pending: &Pending, lines: &[AdmittedLine]) {
    out.extend_from_slice(&pending.identity.to_be_bytes());
    out.extend_from_slice(&pending.seen.content_digest.to_le_bytes());
    put_varint(out, u128::from(pending.seen.source));
    put_varint(out, u128::from(pending.seen.position));
    if let Some(target) = pending.target {
        out.push(CORRECTION);
        out.extend_from_slice(&target.to_be_bytes());
        return;
    }
    out.push(USAGE);
    write_content(out, (pending.used_at, pending.event_type, pending.named), lines);
}

/// Writes what stands at the place of a record.
pub(crate) fn write_content(
    out: &mut Vec<u8>,
    (used_at, event_type, named): (Instant, u32, Named),
    lines: &[AdmittedLine],
) {
    put_signed(out, used_at.nanos());
    let mark = match named {
        Named::Customer => 0,
        Named::SubscriptionOfLines => 1,
        Named::Subscription(_) => 2,
    };
    put_varint(out, (u128::from(event_type) << 2) | mark);
    if let Named::Subscription(hash) = named {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    put_varint(out, lines.len() as u128);
    for line in lines {
        let Measured { quantity, distinct } = line.measured;
        out.extend_from_slice(&line.charge.to_le_bytes());
        let (digits, power) = without_zeros(quantity.scaled());
        out.push(if distinct == 0 { power } else { power | DISTINCT });
        put_signed(out, digits);
        if distinct != 0 {
            out.extend_from_slice(&distinct.to_be_bytes());
        }
    }
}

/// Reads what [`write_content`] wrote.
pub(crate) fn read_content(reader: &mut Reader<'_>) -> Option<Content> {
    let used_at = reader.instant()?;
    let kind = reader.varint()?;
    let event_type = u32::try_from(kind >> 2).ok()?;
    let named = match kind & 3 {
        0 => Named::Customer,
        1 => Named::SubscriptionOfLines,
        2 => Named::Subscription(u64::from_le_bytes(reader.take(8)?.try_into().ok()?)),
        _ => return None,
    };
    let mut lines = Vec::new();
    for _ in 0..reader.varint()? {
        let charge = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
        let mark = reader.byte()?;
        let power = 10i128.checked_pow(u32::from(mark & !DISTINCT))?;
        let quantity = Quantity::from_scaled(reader.signed()?.checked_mul(power)?);
        let distinct = if mark & DISTINCT == 0 {
            0
        } else {
            u128::from_be_bytes(reader.take(16)?.try_into().ok()?)
        };
        lines.push(AdmittedLine { charge, measured: Measured { quantity, distinct } });
    }
    Some(Content { used_at, event_type, named, lines })
}

/// Splits zeros off the end: most quantities have few digits and then take few bytes.
fn without_zeros(scaled: i128) -> (i128, u8) {
    // Those that fit a machine word, nearly all, are divided fast; the others are kept as they are.
    let Ok(mut digits) = i64::try_from(scaled) else { return (scaled, 0) };
    let mut power = 0;
    for (divisor, zeros) in [(1_000_000_000, 9), (1_000, 3), (10, 1), (10, 1)] {
        if digits != 0 && digits % divisor == 0 {
            digits /= divisor;
            power += zeros;
        }
    }
    (i128::from(digits), power)
}

struct Entry {
    identity: u128,
    seen: Seen,
    admitted: Admitted,
}

fn read_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let identity = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
    let content_digest = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
    let source = u32::try_from(reader.varint()?).ok()?;
    let position = reader.number()?;
    let admitted = match reader.byte()? {
        USAGE => Admitted::Usage(read_content(reader)?),
        CORRECTION => {
            let target = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
            Admitted::Correction { target }
        }
        _ => return None,
    };
    Some(Entry { identity, seen: Seen { content_digest, source, position }, admitted })
}

fn entry_in_run(store: &Store, run: u32, identity: u128) -> Result<Option<Entry>, Error> {
    let Some((key, block)) = store.last_not_above(Table::Ids, &run_key(run, identity))? else {
        return Ok(None);
    };
    if run_of(&key) != Some(run) {
        return Ok(None);
    }
    let mut reader = Reader::new(&block);
    while !reader.is_empty() {
        let entry = read_entry(&mut reader).ok_or(Error::Damaged { what: "run of identities" })?;
        if entry.identity == identity {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
