//! The state log: every commit of a partition as records of a log, from which its store can be
//! made again.
//!
//! A commit is one group of records, each of at most [`PART_BYTES_MAX`] bytes. A group holds final
//! values and deletions, so writing it twice is writing it once; it needs no rating to be replayed.
//! Every group names its number and carries a digest over its content and the digest of the group
//! before it: a group that is lost, doubled, torn or moved breaks the chain.
//!
//! ```text
//! part   version:1 │ kind:1 │ sequence:8 │ part:4 │ parts:4 │ before:16 │ digest:16 │ content
//! delta  table:1 │ key length │ key │ value length + 1, 0 to delete │ value
//! ```
//! Numbers of the head are little-endian. `before` is the digest of the group before; `digest` is
//! that of this group, over `before`, `sequence` and the contents of all its parts.

use crate::codec::{Reader, put_varint};
use crate::commit::Delta;
use crate::tables::Table;
use twox_hash::XxHash3_128;

/// Largest record of the state log, head included.
pub const PART_BYTES_MAX: usize = 900 << 10;
/// Parts of one group; a commit is bounded far below.
const PARTS_MAX: u32 = 1 << 16;
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 50;

/// A group of the state log, as a store remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The number of the group, from 1.
    pub sequence: u64,
    /// Its digest.
    pub digest: u128,
    /// Where its first record is in the log.
    pub offset: u64,
}

impl LogPosition {
    /// What the first group follows.
    pub const START: Self = Self { sequence: 0, digest: 0, offset: 0 };

    /// Bytes of a position that is stored.
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.digest.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk::<8>()?;
        let (digest, offset) = rest.split_first_chunk::<16>()?;
        Some(Self {
            sequence: u64::from_le_bytes(*sequence),
            digest: u128::from_le_bytes(*digest),
            offset: u64::from_le_bytes(offset.try_into().ok()?),
        })
    }
}

/// What a record of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of a commit.
    Delta,
    /// What a new writer writes first: everything before it is decided.
    Barrier,
}

/// A commit, cut into records for the log.
#[derive(Debug)]
pub struct Group {
    /// The records.
    pub parts: Vec<Vec<u8>>,
    /// Its number.
    pub sequence: u64,
    /// Its digest.
    pub digest: u128,
}

impl Group {
    /// Cuts a delta into the records of the group that follows another.
    #[must_use]
    pub fn of(delta: &Delta, after: LogPosition) -> Self {
        let content = encode_delta(delta);
        let sequence = after.sequence + 1;
        let digest = digest_of(after.digest, sequence, &content);
        let pieces: Vec<&[u8]> = if content.is_empty() {
            vec![b""]
        } else {
            content.chunks(PART_BYTES_MAX - HEAD_BYTES).collect()
        };
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let head = |part| Head {
            kind: Kind::Delta,
            sequence,
            part,
            parts: count,
            before: after.digest,
            digest,
        };
        let parts = (0..).zip(pieces).map(|(part, piece)| head(part).record(piece)).collect();
        Self { parts, sequence, digest }
    }
}

/// The record that a new writer writes first.
#[must_use]
pub fn barrier() -> Vec<u8> {
    let head = Head { kind: Kind::Barrier, sequence: 0, part: 0, parts: 1, before: 0, digest: 0 };
    head.record(b"")
}

/// Why a log cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLog {
    /// The store holds a group that the log does not have there.
    #[error("the store's last group is not in the state log")]
    StrangeStore,
    /// A group does not follow the one before it.
    #[error("group {found} of the state log does not follow group {before}")]
    Gap {
        /// The group before.
        before: u64,
        /// The group found.
        found: u64,
    },
    /// A group is not whole, or not what was written.
    #[error("a record of the state log is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A whole group that was read back.
#[derive(Debug)]
pub struct ReadGroup {
    /// What it changes.
    pub delta: Delta,
    /// What it is in the log.
    pub position: LogPosition,
}

/// Follows a log from a position on, and checks its chain.
#[derive(Debug)]
pub struct Follower {
    last: LogPosition,
    /// Whether the group at `last` has been seen in the log.
    is_found: bool,
    /// The group that is being read.
    open: Option<(Head, u64)>,
    content: Vec<u8>,
}

impl Follower {
    /// Follows the log of a store that holds everything up to `from`; without it, of an empty
    /// store.
    #[must_use]
    pub fn new(from: Option<LogPosition>) -> Self {
        let last = from.unwrap_or(LogPosition::START);
        Self { last, is_found: from.is_none(), open: None, content: Vec::new() }
    }

    /// The last group that was followed.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        self.last
    }

    /// Whether the log holds the store's last group, and no group is cut off.
    ///
    /// # Errors
    /// [`BrokenLog`] if not.
    pub const fn finish(&self) -> Result<(), BrokenLog> {
        if !self.is_found {
            return Err(BrokenLog::StrangeStore);
        }
        if self.open.is_some() {
            return Err(BrokenLog::Damaged { what: "its last group is cut off" });
        }
        Ok(())
    }

    /// Takes the next record; gives a group if it completes one that the store does not hold.
    ///
    /// # Errors
    /// [`BrokenLog`] if it does not follow what came before.
    pub fn read(&mut self, offset: u64, record: &[u8]) -> Result<Option<ReadGroup>, BrokenLog> {
        let (head, piece) = Head::read(record).ok_or(damaged("its head makes no sense"))?;
        if head.kind == Kind::Barrier {
            return match self.open {
                None => Ok(None),
                Some(_) => Err(damaged("a writer begins within a group")),
            };
        }
        let first = match self.open {
            None if head.part == 0 => offset,
            Some((open, first)) if open.goes_on_with(&head) => first,
            _ => return Err(damaged("a part of a group is missing")),
        };
        self.content.extend_from_slice(piece);
        if head.part + 1 < head.parts {
            self.open = Some((head, first));
            return Ok(None);
        }
        self.open = None;
        let content = std::mem::take(&mut self.content);
        self.complete(&head, first, &content)
    }

    fn complete(
        &mut self,
        head: &Head,
        offset: u64,
        content: &[u8],
    ) -> Result<Option<ReadGroup>, BrokenLog> {
        if digest_of(head.before, head.sequence, content) != head.digest {
            return Err(damaged("its digest is another"));
        }
        let position = LogPosition { sequence: head.sequence, digest: head.digest, offset };
        if !self.is_found {
            if (head.sequence, head.digest) != (self.last.sequence, self.last.digest) {
                return Err(BrokenLog::StrangeStore);
            }
            self.is_found = true;
            return Ok(None);
        }
        if head.sequence != self.last.sequence + 1 || head.before != self.last.digest {
            let (before, found) = (self.last.sequence, head.sequence);
            return Err(BrokenLog::Gap { before, found });
        }
        self.last = position;
        let delta = decode_delta(content).ok_or(damaged("its changes make no sense"))?;
        Ok(Some(ReadGroup { delta, position }))
    }
}

const fn damaged(what: &'static str) -> BrokenLog {
    BrokenLog::Damaged { what }
}

/// What each record of the log begins with.
#[derive(Debug, Clone, Copy)]
struct Head {
    kind: Kind,
    sequence: u64,
    part: u32,
    parts: u32,
    before: u128,
    digest: u128,
}

impl Head {
    // Frozen: the bytes of a head.
    fn record(&self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + piece.len());
        out.push(VERSION);
        out.push(match self.kind {
            Kind::Delta => 0,
            Kind::Barrier => 1,
        });
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.part.to_le_bytes());
        out.extend_from_slice(&self.parts.to_le_bytes());
        out.extend_from_slice(&self.before.to_le_bytes());
        out.extend_from_slice(&self.digest.to_le_bytes());
        out.extend_from_slice(piece);
        out
    }

    fn read(record: &[u8]) -> Option<(Self, &[u8])> {
        let (version, rest) = record.split_first()?;
        let (kind, rest) = rest.split_first()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (part, rest) = rest.split_first_chunk::<4>()?;
        let (parts, rest) = rest.split_first_chunk::<4>()?;
        let (before, rest) = rest.split_first_chunk::<16>()?;
        let (digest, piece) = rest.split_first_chunk::<16>()?;
        let kind = match kind {
            0 => Kind::Delta,
            1 => Kind::Barrier,
            _ => return None,
        };
        let head = Self {
            kind,
            sequence: u64::from_le_bytes(*sequence),
            part: u32::from_le_bytes(*part),
            parts: u32::from_le_bytes(*parts),
            before: u128::from_le_bytes(*before),
            digest: u128::from_le_bytes(*digest),
        };
        let makes_sense = *version == VERSION && head.part < head.parts && head.parts <= PARTS_MAX;
        makes_sense.then_some((head, piece))
    }

    fn goes_on_with(&self, next: &Self) -> bool {
        next.part == self.part + 1
            && (next.sequence, next.parts) == (self.sequence, self.parts)
            && (next.before, next.digest) == (self.before, self.digest)
    }
}

fn digest_of(before: u128, sequence: u64, content: &[u8]) -> u128 {
    let mut hasher = XxHash3_128::new();
    hasher.write(&before.to_le_bytes());
    hasher.write(&sequence.to_le_bytes());
    hasher.write(content);
    hasher.finish_128()
}

// Frozen: the bytes of a delta.
fn encode_delta(delta: &Delta) -> Vec<u8> {
    let mut out = Vec::new();
    for (table, key, value) in delta.changes() {
        out.push(table.number());
        put_varint(&mut out, key.len() as u128);
        out.extend_from_slice(key);
        match value {
            None => out.push(0),
            Some(value) => {
                put_varint(&mut out, value.len() as u128 + 1);
                out.extend_from_slice(value);
            }
        }
    }
    out
}

fn decode_delta(content: &[u8]) -> Option<Delta> {
    let mut delta = Delta::default();
    let mut reader = Reader::new(content);
    while !reader.is_empty() {
        let table = Table::of_number(reader.byte()?)?;
        let length = usize::try_from(reader.varint()?).ok()?;
        let key = reader.take(length)?;
        match usize::try_from(reader.varint()?).ok()?.checked_sub(1) {
            None => delta.delete(table, key),
            Some(length) => delta.put(table, key, reader.take(length)?),
        }
    }
    Some(delta)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(text: &str) -> Delta {
        let mut delta = Delta::default();
        delta.put(Table::Totals, b"k", text.as_bytes());
        delta.delete(Table::Rows, b"gone");
        delta
    }

    /// Three groups, the second of several parts, with a barrier between the first two.
    fn log() -> Vec<Vec<u8>> {
        let first = Group::of(&delta("one"), LogPosition::START);
        let at = LogPosition { sequence: 1, digest: first.digest, offset: 0 };
        let second = Group::of(&delta(&"two".repeat(PART_BYTES_MAX)), at);
        let at = LogPosition { sequence: 2, digest: second.digest, offset: 0 };
        let third = Group::of(&delta("three"), at);
        let mut log = first.parts;
        log.push(barrier());
        log.extend(second.parts);
        log.extend(third.parts);
        log
    }

    fn follow(from: Option<LogPosition>, log: &[Vec<u8>]) -> Result<Vec<LogPosition>, BrokenLog> {
        let mut follower = Follower::new(from);
        let mut groups = Vec::new();
        for (offset, record) in (0..).zip(log) {
            groups.extend(follower.read(offset, record)?.map(|group| group.position));
        }
        follower.finish().map(|()| groups)
    }

    #[test]
    fn what_was_written_is_read_back() {
        let log = log();
        let mut follower = Follower::new(None);
        let mut deltas = Vec::new();
        for (offset, record) in (0..).zip(&log) {
            assert!(record.len() <= PART_BYTES_MAX);
            deltas.extend(follower.read(offset, record).unwrap());
        }
        assert_eq!(deltas.iter().map(|group| group.position.offset).collect::<Vec<_>>(), [0, 2, 6]);
        for (group, text) in deltas.iter().zip(["one", &"two".repeat(PART_BYTES_MAX), "three"]) {
            let found: Vec<_> = group.delta.changes().collect();
            let wanted = delta(text);
            assert_eq!(found, wanted.changes().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_store_goes_on_where_it_stopped() {
        let log = log();
        let all = follow(None, &log).unwrap();
        assert_eq!(follow(Some(all[0]), &log).unwrap(), all[1..]);
        let from_second = &log[2..];
        assert_eq!(follow(Some(all[1]), from_second).unwrap().len(), 1);
        assert_eq!(follow(Some(all[2]), &log[6..]).unwrap(), []);
    }

    #[test]
    fn every_fault_of_the_log_is_seen() {
        let log = log();
        for gone in [0, 2, 3, 5] {
            let mut torn = log.clone();
            torn.remove(gone);
            assert!(follow(None, &torn).is_err(), "record {gone} is missing");
        }
        let mut doubled = log.clone();
        doubled.insert(1, log[0].clone());
        assert_eq!(follow(None, &doubled), Err(BrokenLog::Gap { before: 1, found: 1 }));
        let cut = &log[..log.len() - 2];
        assert_eq!(follow(None, cut), Err(damaged("its last group is cut off")));
        for (number, record) in log.iter().enumerate().filter(|(number, _)| *number != 1) {
            for at in [0, 1, 5, 11, 15, 20, 40, record.len() - 1] {
                let mut flipped = log.clone();
                flipped[number][at] ^= 0x10;
                assert!(follow(None, &flipped).is_err(), "byte {at} of record {number}");
            }
        }
        let strange = LogPosition { sequence: 1, digest: 7, offset: 0 };
        assert_eq!(follow(Some(strange), &log), Err(BrokenLog::StrangeStore));
        let ahead = LogPosition { sequence: 4, digest: 7, offset: 9 };
        assert_eq!(follow(Some(ahead), &[]), Err(BrokenLog::StrangeStore));
    }
}
