//! The sender of a test: a producer that is replaced where it has forgotten all brokers. A client
//! that asks a broker that has just come back who is in its cluster may be told that nobody is, and
//! never ask again (<https://github.com/confluentinc/librdkafka/issues/5301>).
//!
//! Nothing is sent twice or left out by that, as long as nobody else writes to its partitions: how
//! far each has come tells which records have been written.

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

/// How long records may take to be delivered before their producer is replaced: longer than a
/// broker takes to come back.
const PATIENCE: Duration = Duration::from_secs(30);
const REPLACED_MAX: usize = 3;

/// A partition of a topic.
type Place = (String, i32);

/// Behind the last record that was delivered to each partition.
#[derive(Debug, Clone, Default)]
struct Delivered(Arc<Mutex<BTreeMap<Place, i64>>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            let place = (message.topic().to_owned(), message.partition());
            let mut delivered = self.0.lock().unwrap();
            let next = delivered.entry(place).or_default();
            *next = (*next).max(message.offset() + 1);
        }
    }
}

struct Pending {
    place: Place,
    key: String,
    payload: Vec<u8>,
}

pub(super) struct Sender {
    bootstrap: String,
    producer: RwLock<BaseProducer<Delivered>>,
    delivered: Delivered,
    /// What had been delivered when everything had been.
    flushed: Mutex<BTreeMap<Place, i64>>,
    /// What was sent since then.
    pending: Mutex<Vec<Pending>>,
}

impl Sender {
    pub(super) fn new(bootstrap: &str) -> Self {
        let delivered = Delivered::default();
        let producer = RwLock::new(producer(bootstrap, &delivered));
        let (flushed, pending) = (Mutex::default(), Mutex::default());
        Self { bootstrap: bootstrap.to_owned(), producer, delivered, flushed, pending }
    }

    /// Sends a record to a partition of a topic; [`Sender::flush`] waits for it.
    pub(super) fn send(&self, topic: &str, partition: i32, (key, payload): (&str, &[u8])) {
        let place = (topic.to_owned(), partition);
        let pending = Pending { place, key: key.to_owned(), payload: payload.to_vec() };
        self.pending.lock().unwrap().push(pending);
        let producer = self.producer.read().unwrap();
        let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(payload);
        while let Err((error, back)) = producer.send(record) {
            let code = error.rdkafka_error_code();
            assert_eq!(code, Some(RDKafkaErrorCode::QueueFull), "{error}");
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        producer.poll(Duration::ZERO);
    }

    /// Waits until everything has been delivered. `end` is how far a partition of a topic has come.
    pub(super) fn flush(&self, end: impl Fn(&str, i32) -> i64) {
        for _ in 0..REPLACED_MAX {
            if self.producer.read().unwrap().flush(PATIENCE).is_ok() {
                self.pending.lock().unwrap().clear();
                let delivered = self.delivered.0.lock().unwrap().clone();
                *self.flushed.lock().unwrap() = delivered;
                return;
            }
            self.replace(&end);
        }
        panic!("nothing is delivered to {}", self.bootstrap);
    }

    /// Sends what is not there yet with another producer.
    fn replace(&self, end: impl Fn(&str, i32) -> i64) {
        // From here on the old one sends nothing.
        *self.producer.write().unwrap() = producer(&self.bootstrap, &self.delivered);
        let pending = std::mem::take(&mut *self.pending.lock().unwrap());
        let flushed = self.flushed.lock().unwrap().clone();
        let mut written = BTreeMap::new();
        for Pending { place, key, payload } in pending {
            let (topic, partition) = &place;
            let before = flushed.get(&place).copied().unwrap_or_default();
            let there = written.entry(place.clone());
            let there = there.or_insert_with(|| end(topic, *partition) - before);
            // They were written in this order.
            if *there > 0 {
                *there -= 1;
            } else {
                self.send(topic, *partition, (&key, &payload));
            }
        }
        assert!(written.values().all(|left| *left == 0), "somebody else writes, too: {written:?}");
    }
}

fn producer(bootstrap: &str, delivered: &Delivered) -> BaseProducer<Delivered> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("linger.ms", "5");
    // What a broker had when it died is not sent again: tests know how often they send.
    config.set("enable.idempotence", "true");
    config.create_with_context(delivered.clone()).unwrap()
}
