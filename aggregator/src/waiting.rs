//! Waiting: records whose subject the catalog does not have yet, and corrections whose target has
//! not come yet.
//!
//! They are durable like everything else, and in memory as well, because they are few: bounded by
//! bytes and by age. When what they wait for is there, they are handed out as they came and go the
//! way of all records.

use crate::codec::{Reader, put_signed, put_text, put_varint};
use crate::commit::Delta;
use crate::error::Error;
use crate::partition::{Origin, Received};
use crate::store::Store;
use crate::tables::Table;
use rating::Instant;
use std::collections::{BTreeMap, BTreeSet};

const WAITING_VERSION: u8 = 2;
/// The version before, which kept no keys.
const WITHOUT_KEY: u8 = 1;

/// What a record waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A customer or subscription of that name.
    Subject(String),
    /// The record that it corrects, by its identity.
    Target(u128),
}

/// A record that waits, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The record's bytes.
    pub bytes: Vec<u8>,
    /// The key that it had in its log, if any.
    pub key: Vec<u8>,
    /// Where it stood.
    pub origin: Origin,
    /// When it was received; `None` where there is no clock.
    pub received_at: Option<Instant>,
    /// What it waits for.
    pub cause: Cause,
    /// Who and what it is, to tell duplicates among those that wait.
    identity: u128,
    content_digest: u64,
}

/// All records that wait, by the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    records: BTreeMap<u64, Waiting>,
    by_cause: BTreeMap<Cause, BTreeSet<u64>>,
    by_identity: BTreeMap<u128, u64>,
    /// Those whose cause has come.
    released: BTreeSet<u64>,
    next: u64,
    bytes: usize,
    /// Numbers that changed since the last commit.
    changed: Vec<u64>,
}

impl Waiting {
    /// A record that is about to wait.
    pub(crate) fn new(
        received: &Received<'_>,
        cause: Cause,
        (identity, content_digest): (u128, u64),
    ) -> Self {
        Self {
            bytes: received.bytes.to_vec(),
            key: received.key.to_vec(),
            origin: received.origin,
            received_at: received.clock.received_at,
            cause,
            identity,
            content_digest,
        }
    }

    fn memory(&self) -> usize {
        self.bytes.len() + self.key.len() + size_of::<Self>() * 2
    }
}

impl WaitingRoom {
    pub(crate) fn load(store: &Store) -> Result<Self, Error> {
        let mut room = Self::default();
        store.scan(Table::Waiting, |key, bytes| {
            let number: [u8; 8] = key.try_into().map_err(|_| DAMAGED)?;
            let number = u64::from_be_bytes(number);
            room.put(number, decode(bytes).ok_or(DAMAGED)?);
            room.next = number + 1;
            Ok(())
        })?;
        Ok(room)
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Σ of the memory that the waiting records take, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The content digest and the place of a waiting record.
    pub(crate) fn find(&self, identity: u128) -> Option<(u64, Origin)> {
        let waiting = self.records.get(self.by_identity.get(&identity)?)?;
        Some((waiting.content_digest, waiting.origin))
    }

    pub(crate) fn add(&mut self, waiting: Waiting) {
        let number = self.next;
        self.next += 1;
        self.changed.push(number);
        self.put(number, waiting);
    }

    fn put(&mut self, number: u64, waiting: Waiting) {
        self.bytes += waiting.memory();
        self.by_identity.insert(waiting.identity, number);
        self.by_cause.entry(waiting.cause.clone()).or_default().insert(number);
        self.records.insert(number, waiting);
    }

    /// Releases all that wait for a cause.
    pub(crate) fn release(&mut self, cause: &Cause) {
        self.released.extend(self.by_cause.get(cause).into_iter().flatten());
    }

    /// Releases all whose cause has come by now.
    pub(crate) fn release_if(&mut self, mut has_come: impl FnMut(&Cause) -> bool) {
        let come = self.by_cause.iter().filter(|(cause, _)| has_come(cause));
        self.released.extend(come.flat_map(|(_, numbers)| numbers));
    }

    /// Takes out the oldest one that is released.
    pub(crate) fn take_released(&mut self) -> Option<Waiting> {
        let number = self.released.pop_first()?;
        self.take(number)
    }

    /// Takes out the oldest one of which `is_over` holds.
    pub(crate) fn take_if(&mut self, is_over: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let number = *self.records.iter().find(|(_, waiting)| is_over(waiting))?.0;
        self.take(number)
    }

    fn take(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.records.remove(&number)?;
        self.bytes -= waiting.memory();
        self.by_identity.remove(&waiting.identity);
        self.released.remove(&number);
        if let Some(numbers) = self.by_cause.get_mut(&waiting.cause) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_cause.remove(&waiting.cause);
            }
        }
        self.changed.push(number);
        Some(waiting)
    }

    pub(crate) fn stage(&self, delta: &mut Delta) {
        for number in &self.changed {
            let key = number.to_be_bytes();
            match self.records.get(number) {
                None => delta.delete(Table::Waiting, &key),
                Some(waiting) => delta.put_with(Table::Waiting, |out| {
                    out.extend_from_slice(&key);
                    let middle = out.len();
                    encode(out, waiting);
                    middle
                }),
            }
        }
    }

    pub(crate) fn committed(&mut self) {
        self.changed.clear();
    }
}

const DAMAGED: Error = Error::Damaged { what: "waiting record" };

// Frozen: the bytes of a waiting record.
fn encode(out: &mut Vec<u8>, waiting: &Waiting) {
    out.push(WAITING_VERSION);
    match &waiting.cause {
        Cause::Subject(name) => {
            out.push(0);
            put_text(out, name);
        }
        Cause::Target(identity) => {
            out.push(1);
            out.extend_from_slice(&identity.to_be_bytes());
        }
    }
    out.extend_from_slice(&waiting.identity.to_be_bytes());
    out.extend_from_slice(&waiting.content_digest.to_le_bytes());
    put_varint(out, u128::from(waiting.origin.source));
    put_varint(out, u128::from(waiting.origin.position));
    out.push(u8::from(waiting.received_at.is_some()));
    put_signed(out, waiting.received_at.map_or(0, Instant::nanos));
    put_varint(out, waiting.key.len() as u128);
    out.extend_from_slice(&waiting.key);
    out.extend_from_slice(&waiting.bytes);
}

fn decode(bytes: &[u8]) -> Option<Waiting> {
    let mut reader = Reader::new(bytes);
    let version = reader.byte()?;
    if version != WAITING_VERSION && version != WITHOUT_KEY {
        return None;
    }
    let cause = match reader.byte()? {
        0 => Cause::Subject(reader.text()?.to_owned()),
        1 => Cause::Target(u128::from_be_bytes(reader.take(16)?.try_into().ok()?)),
        _ => return None,
    };
    let identity = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
    let content_digest = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
    let origin =
        Origin { source: u32::try_from(reader.varint()?).ok()?, position: reader.number()? };
    let has_clock = reader.byte()? == 1;
    let at = reader.instant()?;
    let received_at = has_clock.then_some(at);
    let key_length = if version == WITHOUT_KEY { 0 } else { reader.number()? };
    let key = reader.take(usize::try_from(key_length).ok()?)?.to_vec();
    let bytes = reader.rest().to_vec();
    Some(Waiting { bytes, key, origin, received_at, cause, identity, content_digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Clock;

    #[test]
    fn what_waits_is_read_back_with_its_key_or_without_as_it_was_before() {
        let received = Received {
            bytes: b"{}",
            key: b"\xffCUS-7",
            origin: Origin { source: 1, position: 300 },
            clock: Clock { received_at: Some(Instant::from_nanos(7)), ..Clock::default() },
        };
        let waiting = Waiting::new(&received, Cause::Subject("CUS-7".to_owned()), (1, 2));
        let mut bytes = Vec::new();
        encode(&mut bytes, &waiting);
        assert_eq!(decode(&bytes), Some(waiting.clone()));
        // The version before had neither the key nor its length.
        let mut before = bytes.clone();
        before[0] = WITHOUT_KEY;
        before.drain(bytes.len() - 9..bytes.len() - 2);
        assert_eq!(decode(&before), Some(Waiting { key: Vec::new(), ..waiting }));
        bytes[0] = 3;
        assert_eq!(decode(&bytes), None);
    }
}
