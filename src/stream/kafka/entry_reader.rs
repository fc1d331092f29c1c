//! Reading of a topic from its beginning on, entry by entry.

use super::super::broker::BrokerError;
use super::client::{CALL, Clients, failed, mends_itself};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// A reader of all partitions of a topic.
pub(crate) struct EntryReader {
    reader: BaseConsumer,
    /// Records that stood in the topic when the reading began and are still to be passed.
    ends: RefCell<Vec<i64>>,
    position: Cell<u64>,
    topic: String,
}

/// A key, and a value unless the entry is taken away.
type Entry = (String, Option<String>);

impl EntryReader {
    /// Begins to read a topic.
    pub(crate) fn new(clients: &Clients, topic: &str) -> Result<Self, BrokerError> {
        let mut config = clients.reader();
        config.set("enable.partition.eof", "true");
        let reader: BaseConsumer = config.create().map_err(|error| failed(&error))?;
        let metadata = reader.fetch_metadata(Some(topic), CALL).map_err(|error| failed(&error))?;
        let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        let mut list = TopicPartitionList::new();
        for partition in (0i32..).take(partitions) {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .map_err(|error| failed(&error))?;
        }
        reader.assign(&list).map_err(|error| failed(&error))?;
        let ends = RefCell::new((0i64..).take(partitions).collect());
        Ok(Self { reader, ends, position: Cell::new(0), topic: topic.to_owned() })
    }

    /// The next entry; `None` if none came within `wait`, or the end is reached.
    pub(crate) fn next(&self, wait: Duration) -> Result<Option<Entry>, BrokerError> {
        loop {
            match self.reader.poll(wait) {
                None => return Ok(None),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ends.borrow_mut().retain(|open| *open != i64::from(partition));
                    if self.has_read_all() {
                        return Ok(None);
                    }
                }
                Some(Err(error)) if mends_itself(&error) => return Ok(None),
                Some(Err(error)) => {
                    return Err(BrokerError::Failed(format!("{}: {error}", self.topic)));
                }
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or_default();
                    self.position.set(self.position.get().max(offset + 1));
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let key = message.key().map(text).unwrap_or_default();
                    let value = message.payload().filter(|value| !value.is_empty()).map(text);
                    return Ok(Some((key, value)));
                }
            }
        }
    }

    /// Whether everything that stood there when the reading began has been read.
    pub(crate) fn has_read_all(&self) -> bool {
        self.ends.borrow().is_empty()
    }

    /// How far the topic has been read: its greatest offset, plus 1.
    pub(crate) const fn position(&self) -> u64 {
        self.position.get()
    }
}
