//! Reading of a topic from its beginning on, entry by entry.

use super::super::broker::BrokerError;
use super::client::{CALL, Clients, failed, mends_itself};
use super::closing::Closing;
use super::listener::Listener;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::cell::RefCell;
use std::time::Duration;

/// A reader of all partitions of a topic.
pub(crate) struct EntryReader {
    reader: RefCell<BaseConsumer<Listener>>,
    clients: Clients,
    /// Where each partition is read next, as far as it has been read.
    at: RefCell<Vec<Offset>>,
    /// Records that stood in the topic when the reading began and are still to be passed.
    ends: RefCell<Vec<i64>>,
    topic: String,
}

/// An entry as it stands in the topic.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) key: Vec<u8>,
    /// Nothing takes it away.
    pub(crate) value: Option<Vec<u8>>,
}

impl EntryReader {
    /// Begins to read a topic.
    ///
    /// # Errors
    /// [`BrokerError`] if it cannot be read, or is not there: it is not taken for an empty one.
    pub(crate) fn new(clients: &Clients, topic: &str) -> Result<Self, BrokerError> {
        let reader = reader(clients)?;
        let asked = || reader.fetch_metadata(Some(topic), CALL);
        let metadata = clients.calls().during("metadata", CALL, asked);
        let metadata = metadata.map_err(|error| failed(&error))?;
        let partitions = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions =
            count(partitions.map(|found| (found.error(), found.partitions().len())))
                .map_err(|reason| BrokerError::Failed(format!("topic {topic} {reason}")))?;
        let at = vec![Offset::Beginning; partitions];
        assign(&reader, topic, &at)?;
        let ends = RefCell::new((0i64..).take(partitions).collect());
        let (reader, clients) = (RefCell::new(reader), clients.clone());
        Ok(Self { reader, clients, at: RefCell::new(at), ends, topic: topic.to_owned() })
    }

    /// Puts another reader in the place of one that was cut off.
    fn renew(&self, reason: &str) -> Result<(), BrokerError> {
        let new = reader(&self.clients)?;
        assign(&new, &self.topic, &self.at.borrow())?;
        tracing::warn!("{reason}, so there is another");
        let old = self.reader.replace(new);
        old.context().mute();
        Closing::of(old, &self.clients.calls).begin();
        Ok(())
    }

    /// The next entry; `None` if none came within `wait`, or the end is reached.
    pub(crate) fn next(&self, wait: Duration) -> Result<Option<Entry>, BrokerError> {
        let cut_off = self.reader.borrow().context().cut_off();
        if let Some(reason) = cut_off {
            self.renew(&reason)?;
        }
        let reader = self.reader.borrow();
        loop {
            match reader.poll(wait) {
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
                    let partition = usize::try_from(message.partition()).unwrap_or_default();
                    if let Some(at) = self.at.borrow_mut().get_mut(partition) {
                        *at = Offset::Offset(message.offset().saturating_add(1));
                    }
                    let value = message.payload().filter(|value| !value.is_empty());
                    return Ok(Some(Entry {
                        offset: u64::try_from(message.offset()).unwrap_or_default(),
                        key: message.key().unwrap_or_default().to_vec(),
                        value: value.map(<[u8]>::to_vec),
                    }));
                }
            }
        }
    }

    /// Whether everything that stood there when the reading began has been read.
    pub(crate) fn has_read_all(&self) -> bool {
        self.ends.borrow().is_empty()
    }
}

fn reader(clients: &Clients) -> Result<BaseConsumer<Listener>, BrokerError> {
    let mut config = clients.reader();
    config.set("enable.partition.eof", "true");
    let listener = Listener::new("catalog", None, clients);
    config.create_with_context(listener).map_err(|error| failed(&error))
}

/// Has partitions read from these offsets on.
fn assign(reader: &BaseConsumer<Listener>, topic: &str, at: &[Offset]) -> Result<(), BrokerError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0i32..).zip(at) {
        list.add_partition_offset(topic, partition, *offset).map_err(|error| failed(&error))?;
    }
    reader.assign(&list).map_err(|error| failed(&error))
}

/// How many partitions a topic has, of what the broker says of it; why it cannot be read otherwise.
fn count(found: Option<(Option<RDKafkaRespErr>, usize)>) -> Result<usize, String> {
    match found {
        Some((Some(error), _)) => Err(format!("cannot be read: {}", RDKafkaErrorCode::from(error))),
        None | Some((None, 0)) => Err("has no partitions".to_owned()),
        Some((None, partitions)) => Ok(partitions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic whose leader was not known yet had no partitions, so all of it had been read: an
    /// empty catalog was in force.
    #[test]
    fn a_topic_that_is_not_there_is_no_empty_one() {
        let unavailable = RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        for found in
            [None, Some((None, 0)), Some((Some(unavailable), 0)), Some((Some(unavailable), 1))]
        {
            assert!(count(found).is_err(), "{found:?}");
        }
        assert_eq!(count(Some((None, 1))), Ok(1));
    }
}
