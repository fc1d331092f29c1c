//! The deliverer: puts records that came by HTTP onto the raw topic.

use super::super::broker::BrokerError;
use super::client::{CALL, Clients, failed};
use super::closing::Closing;
use super::listener::Listener;
use crate::clock::Stopwatch;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Statistics};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The time between two tries to hand a record to a producer that is full.
const FULL_PAUSE: Duration = Duration::from_micros(200);

/// The records of one submission on their way.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    sent: AtomicUsize,
    come: AtomicUsize,
    failed: AtomicBool,
    is_whole: AtomicBool,
}

impl Delivery {
    /// Notes that no more will be sent.
    pub(crate) fn sent_all(&self) {
        self.is_whole.store(true, Ordering::SeqCst);
    }

    /// Whether all of them have come, or failed to.
    pub(crate) fn is_over(&self) -> bool {
        self.is_whole.load(Ordering::SeqCst)
            && self.come.load(Ordering::SeqCst) == self.sent.load(Ordering::SeqCst)
    }

    /// Whether one of them failed to.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Deliveries(Listener);

impl ClientContext for Deliveries {
    fn stats(&self, told: Statistics) {
        self.0.show(&told);
    }

    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.0.log(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        if result.is_err() {
            delivery.failed.store(true, Ordering::SeqCst);
        }
        delivery.come.fetch_add(1, Ordering::SeqCst);
    }
}

/// The producer of the raw topic.
pub(crate) struct Deliverer {
    producer: RefCell<BaseProducer<Deliveries>>,
    clients: Clients,
    topic: String,
    /// Those that are rated: raw may have got more since.
    partitions: u32,
    /// Where the next record without a key goes.
    next: Cell<u32>,
}

impl Deliverer {
    pub(crate) fn new(
        clients: &Clients,
        (topic, partitions): (&str, u32),
    ) -> Result<Self, BrokerError> {
        let (producer, next) = (RefCell::new(producer(clients)?), Cell::new(0));
        let (clients, topic) = (clients.clone(), topic.to_owned());
        Ok(Self { producer, clients, topic, partitions, next })
    }

    /// The partition of a key; without one, each in turn.
    fn partition_of(&self, key: Option<&[u8]>) -> i32 {
        let partition = match key {
            Some(key) => self.clients.partitioner.partition_of(key, self.partitions),
            None => {
                let next = self.next.get();
                self.next.set(next.wrapping_add(1));
                next.checked_rem(self.partitions).unwrap_or(0)
            }
        };
        i32::try_from(partition).unwrap_or(i32::MAX)
    }

    /// Sends a record to the partition of its key, without one to any; what became of it comes by
    /// `delivery`.
    pub(crate) fn send(&self, key: Option<&[u8]>, payload: &[u8], delivery: &Arc<Delivery>) {
        // What has failed already is not answered, so the rest need not be sent.
        if delivery.has_failed() {
            return;
        }
        delivery.sent.fetch_add(1, Ordering::SeqCst);
        let mut record = BaseRecord::<[u8], [u8], Arc<Delivery>>::with_opaque_to(
            &self.topic,
            Arc::clone(delivery),
        )
        .partition(self.partition_of(key))
        .payload(payload);
        if let Some(key) = key {
            record = record.key(key);
        }
        let (clock, producer) = (Stopwatch::start(), self.producer.borrow());
        loop {
            match producer.send(record) {
                Ok(()) => return,
                Err((error, back)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !is_full || clock.elapsed() > CALL {
                        delivery.failed.store(true, Ordering::SeqCst);
                        delivery.come.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    producer.poll(Duration::ZERO);
                    std::thread::sleep(FULL_PAUSE);
                    record = back;
                }
            }
        }
    }

    /// Looks for what has been delivered.
    pub(crate) fn poll(&self) {
        let cut_off = {
            let producer = self.producer.borrow();
            producer.poll(Duration::ZERO);
            producer.context().0.cut_off()
        };
        if let Some(reason) = cut_off {
            self.renew(&reason);
        }
    }

    /// Puts another producer in the place of one that was cut off; what that had not delivered
    /// fails.
    fn renew(&self, reason: &str) {
        match producer(&self.clients) {
            Ok(new) => {
                tracing::warn!("{reason}, so there is another");
                let old = self.producer.replace(new);
                old.context().0.mute();
                Closing::of(old, &self.clients.calls).begin();
            }
            Err(error) => tracing::warn!("{reason}: {error}"),
        }
    }
}

fn producer(clients: &Clients) -> Result<BaseProducer<Deliveries>, BrokerError> {
    let context = Deliveries(Listener::new("deliverer", None, clients));
    clients.deliverer().create_with_context(context).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Metrics, Settings};

    /// The producer spread keys over all partitions that raw had by then, also over those that were
    /// added and that nobody rates.
    #[test]
    fn only_partitions_that_are_rated_are_sent_to() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let clients = Clients::new(&Settings::default(), String::new(), metrics);
        let deliverer = Deliverer::new(&clients, ("raw", 4)).unwrap();
        for customer in 0..100 {
            let key = format!("C{customer}");
            let wanted = clients.partitioner.partition_of(key.as_bytes(), 4);
            let partition = deliverer.partition_of(Some(key.as_bytes()));
            assert_eq!(u32::try_from(partition), Ok(wanted));
        }
        let without_key: Vec<i32> = (0..6).map(|_| deliverer.partition_of(None)).collect();
        assert_eq!(without_key, [0, 1, 2, 3, 0, 1]);
    }
}
