//! Kafka as a test speaks it: records in, committed records out.

use super::instance::Names;
use super::sender::Sender;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use std::fmt::Debug;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// How long a try to learn the bounds of a partition may take, and how many there are.
const LOOK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
const TRIES_MAX: u32 = 60;

/// A record that was read.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Null where it has none.
    pub(super) key: Option<String>,
    pub(super) text: String,
}

/// Waits until a broker has done all of what it was asked for.
#[track_caller]
fn done<T: Debug, E: Debug>(asked: impl Future<Output = KafkaResult<Vec<Result<T, E>>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(asked).unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

/// A connection to a broker.
pub(super) struct Wire {
    bootstrap: String,
    sender: Sender,
}

impl Wire {
    pub(super) fn new(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), sender: Sender::new(bootstrap) }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().unwrap()
    }

    /// Makes a topic.
    pub(super) fn make(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            new = new.set(key, value);
        }
        done(self.admin().create_topics(&[new], &AdminOptions::new()));
    }

    /// Adds partitions to a topic until there are so many.
    pub(super) fn add_partitions(&self, topic: &str, partitions: usize) {
        let new = NewPartitions::new(topic, partitions);
        done(self.admin().create_partitions([&new], &AdminOptions::new()));
    }

    /// Deletes a topic.
    pub(super) fn delete(&self, topic: &str) {
        done(self.admin().delete_topics(&[topic], &AdminOptions::new()));
    }

    /// Sets a property of a topic.
    pub(super) fn set(&self, topic: &str, (key, value): (&str, &str)) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
        done(self.admin().alter_configs([&config], &AdminOptions::new()));
    }

    /// Sends a record to a partition of a topic; [`Wire::flush`] waits for it.
    pub(super) fn send(&self, topic: &str, partition: i32, record: (&str, &[u8])) {
        self.sender.send(topic, partition, record);
    }

    pub(super) fn flush(&self) {
        self.sender.flush(|topic, partition| self.bounds(&mut self.reader(), topic, partition).1);
    }

    fn reader(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "test-reader")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap()
    }

    /// Joins a group by a name, as an instance with that name does.
    pub(super) fn join(&self, names: &Names, name: &str) -> BaseConsumer {
        let member: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", &names.prefix)
            .set("group.instance.id", name)
            .set("session.timeout.ms", "6000")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        member.subscribe(&[&names.topic("raw")]).unwrap();
        member
    }

    /// All committed records of a topic.
    pub(super) fn read_all(&self, topic: &str) -> Vec<Read> {
        let reader = self.reader();
        let metadata = reader.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let partitions = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            let partition = i32::try_from(partition).unwrap();
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        reader.assign(&list).unwrap();
        let (mut ended, mut found) = (0, Vec::new());
        while ended < partitions {
            match reader.poll(PATIENCE) {
                Some(Ok(message)) => found.push(Read {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
                    text: String::from_utf8(message.payload().unwrap_or_default().to_vec())
                        .unwrap_or_default(),
                }),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => panic!("{topic}: no end within {PATIENCE:?}"),
            }
        }
        found
    }

    /// The first offsets that a topic holds, one for each partition.
    pub(super) fn starts(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let mut reader = self.reader();
        let start = |partition| self.bounds(&mut reader, topic, partition).0;
        (0..partitions).map(start).collect()
    }

    /// The committed offsets of a group, one for each partition of a topic.
    pub(super) fn ends(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let mut reader = self.reader();
        let end = |partition| self.bounds(&mut reader, topic, partition).1;
        (0..partitions).map(end).collect()
    }

    /// The first offset that a partition holds and the one behind its last. A broker that has just
    /// come back may not know yet that it leads the partition, and the reader may have forgotten
    /// the broker (`sender.rs`).
    fn bounds(&self, reader: &mut BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
        for _ in 0..TRIES_MAX {
            match reader.fetch_watermarks(topic, partition, LOOK) {
                Ok(found) => return found,
                Err(_) => *reader = self.reader(),
            }
            std::thread::sleep(PAUSE);
        }
        panic!("the bounds of {topic}/{partition} cannot be learned");
    }
}
