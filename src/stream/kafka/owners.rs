//! Who holds a partition, by the tail of its state log: whoever wrote it last says there where it
//! answers. Only the owner can write it, so that is known to everybody who can read the log, and a
//! commit later than the move itself at most.

use super::super::broker::BrokerError;
use super::super::partitioner::Partitioner;
use super::client::{Clients, failed};
use super::closing::Closing;
use super::complaints::Complainant;
use crate::clock::Stopwatch;
use crate::service::Owners;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// The header of state records that says where their writer answers HTTP.
// Frozen: it stands in topics.
pub(super) const OWNER: &str = "owner";
/// The header of state records that says what spreads customers over partitions.
// Frozen, too; records without it are from before, when there was one only.
pub(super) const PARTITIONER: &str = "partitioner";
const FIRST_PARTITIONER: Partitioner = Partitioner::Murmur2;
/// How long a look at a log may take, and how long it may wait for others.
const LOOK: Duration = Duration::from_secs(5);
/// The time between two tries to look.
const PAUSE: Duration = Duration::from_millis(5);
/// How long what was found is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// What was found so recently is not looked for again, even if it was wrong or a failure: those who
/// waited for that look would otherwise each look in vain, one after the other.
const FRESH: Duration = Duration::from_millis(200);
/// Records of the tail that are looked at first, and at most: marks of transactions count, too.
const TAIL: i64 = 8;
const TAIL_MAX: i64 = 4_096;

/// An owner, if there is one, or why it cannot be told.
type Found = Result<Option<String>, String>;
/// What was found by partition.
type Known = BTreeMap<u32, (Found, Stopwatch)>;

/// A client that reads them.
type Reader = BaseConsumer<Complainant>;

/// Reads the tails of state logs.
pub(crate) struct StateTails {
    topic: String,
    reader: Mutex<Reader>,
    /// How many wait for the reader.
    waiting: AtomicUsize,
    known: Mutex<Known>,
    clients: Clients,
}

impl std::fmt::Debug for StateTails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateTails({})", self.topic)
    }
}

impl StateTails {
    pub(crate) fn new(clients: &Clients, topic: &str) -> Result<Self, BrokerError> {
        let (reader, known) = (Mutex::new(reader(clients)?), Mutex::default());
        let (topic, waiting) = (topic.to_owned(), AtomicUsize::new(0));
        Ok(Self { topic, reader, waiting, known, clients: clients.clone() })
    }

    /// Puts another reader in the place of one that has failed: that may have forgotten all brokers
    /// (`listener.rs`). Without another, it is tried again with the old one.
    fn renew(&self, failed: &mut Reader) {
        if let Ok(new) = reader(&self.clients) {
            let old = std::mem::replace(failed, new);
            Closing::of(old, self.clients.calls()).begin();
        }
    }

    /// The reader, once whoever has it is done, within the time of one look.
    fn reader(&self) -> Result<MutexGuard<'_, Reader>, String> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let reader = self.free_reader();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        reader
    }

    /// Leaves the reader to those who wait for it: whoever looks for one partition after the other
    /// would otherwise take it again before they see that it is free.
    fn leave_to_others(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(PAUSE * 2);
        }
    }

    fn free_reader(&self) -> Result<MutexGuard<'_, Reader>, String> {
        let clock = Stopwatch::start();
        loop {
            match self.reader.try_lock() {
                Ok(reader) => return Ok(reader),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if clock.elapsed() > LOOK => {
                    let reason = "who holds other partitions is being looked for, for too long";
                    return Err(reason.to_owned());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }

    fn known(&self, partition: u32, wrong: Option<&str>) -> Option<Found> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, since) = known.get(&partition)?;
        let is_good = found.as_ref().is_ok_and(|owner| owner.as_deref() != wrong);
        let believed = if is_good { BELIEVED } else { FRESH };
        (since.elapsed() < believed).then(|| found.clone())
    }

    /// What spreads customers over partitions, by the first log that something was written to.
    pub(crate) fn partitioner(&self, partitions: u32) -> Result<Option<String>, String> {
        let reader = self.reader()?;
        for partition in 0..partitions {
            let number = i32::try_from(partition).unwrap_or(i32::MAX);
            let said = match self.look(&reader, number) {
                Ok(None) => continue,
                Ok(Some(said)) => said.partitioner,
                Err(reason) if reason == UNSAID => None,
                Err(reason) => {
                    return Err(format!("{} partition {partition}: {reason}", self.topic));
                }
            };
            return Ok(Some(said.unwrap_or_else(|| FIRST_PARTITIONER.name().to_owned())));
        }
        Ok(None)
    }

    /// The headers of the last record of a partition's log that has some; `None` where nothing was
    /// ever written to it.
    fn look(&self, reader: &Reader, partition: i32) -> Result<Option<Said>, String> {
        let clock = Stopwatch::start();
        let broken = |error: KafkaError| error.to_string();
        let watermarks = || reader.fetch_watermarks(&self.topic, partition, LOOK);
        let (first, end) = self
            .clients
            .calls()
            .during("query_watermark_offsets", LOOK, watermarks)
            .map_err(broken)?;
        let mut tail = TAIL;
        loop {
            let from = end.saturating_sub(tail).max(first);
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&self.topic, partition, Offset::Offset(from))
                .map_err(broken)?;
            reader.assign(&list).map_err(broken)?;
            let read = read_to_end(reader, end, clock);
            reader.unassign().map_err(broken)?;
            let Tail { said, records } = read?;
            if said.is_some() {
                return Ok(said);
            }
            if from <= first || tail >= TAIL_MAX {
                // Nobody has held it, if nothing was ever written.
                let is_new = first == 0 && from == 0 && records == 0;
                return if is_new { Ok(None) } else { Err(UNSAID.to_owned()) };
            }
            tail *= 8;
        }
    }
}

/// The answer of a log that could be read.
const UNSAID: &str = "its last records do not say who wrote them";

fn reader(clients: &Clients) -> Result<Reader, BrokerError> {
    let mut config = clients.reader();
    config.set("enable.partition.eof", "true");
    // It is asked for its next record only while somebody looks.
    config.set("statistics.interval.ms", "0");
    let context = clients.complainant("reader of owners");
    config.create_with_context(context).map_err(|error| failed(&error))
}

/// What stands at the end of a log.
#[derive(Debug, Default)]
struct Tail {
    /// What the last record says that names an owner.
    said: Option<Said>,
    records: usize,
}

/// Reads a log from the reader's place to its end.
fn read_to_end(reader: &Reader, end: i64, clock: Stopwatch) -> Result<Tail, String> {
    let mut tail = Tail::default();
    loop {
        let left = LOOK.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return Err(format!("its end did not come within {LOOK:?}"));
        }
        match reader.poll(left) {
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(tail),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(message)) => {
                tail.records += 1;
                tail.said = said_in(&message).or(tail.said);
                if message.offset() + 1 >= end {
                    return Ok(tail);
                }
            }
            None => {}
        }
    }
}

/// What a state record says of its writer.
#[derive(Debug)]
struct Said {
    owner: String,
    partitioner: Option<String>,
}

fn said_in(message: &BorrowedMessage<'_>) -> Option<Said> {
    let headers = message.headers()?;
    let value = |key: &str| {
        let found = headers.iter().find(|header| header.key == key)?;
        std::str::from_utf8(found.value?).ok().map(str::to_owned)
    };
    let owner = value(OWNER).filter(|owner| !owner.is_empty())?;
    Some(Said { owner, partitioner: value(PARTITIONER) })
}

impl Owners for StateTails {
    fn owner_of(&self, partition: u32, wrong: Option<&str>) -> Result<Option<String>, String> {
        if let Some(found) = self.known(partition, wrong) {
            return found;
        }
        let mut reader = self.reader()?;
        // Somebody else may have looked meanwhile.
        if let Some(found) = self.known(partition, wrong) {
            return found;
        }
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let found = self.look(&reader, number);
        if found.as_ref().is_err_and(|reason| reason != UNSAID) {
            self.renew(&mut reader);
        }
        let found = found.map(|said| said.map(|said| said.owner));
        let found = found.map_err(|error| format!("{} partition {partition}: {error}", self.topic));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(partition, (found.clone(), Stopwatch::start()));
        drop((known, reader));
        self.leave_to_others();
        found
    }
}
