//! The pen: what an instance must hold to write what is in force to the catalog's topic.
//!
//! It is a transactional producer that all instances share the name of: whoever takes the pen
//! keeps whoever held it from writing. What is written is there as a whole or not at all.

use super::super::broker::BrokerError;
use super::super::catalog_entries::{Change, IN_FORCE};
use super::client::{CALL, Clients, failed};
use super::watch::Calls;
use crate::clock::Stopwatch;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long it may take to take the pen from somebody.
const TAKE: Duration = Duration::from_secs(30);
/// How often deliveries are asked for.
const DELIVERY_POLL: Duration = Duration::from_millis(1);
/// The topic has one partition, so that its records have one order.
const PARTITION: i32 = 0;

/// What came of the records.
#[derive(Debug, Default)]
struct Deliveries {
    /// Behind the greatest offset.
    end: AtomicU64,
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                let end = u64::try_from(rdkafka::Message::offset(message)).map_or(0, |at| at + 1);
                self.end.fetch_max(end, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// The right to write; dropped, nothing that was not committed counts.
pub(crate) struct Pen {
    producer: BaseProducer<Deliveries>,
    topic: String,
    calls: Arc<Calls>,
}

impl Pen {
    /// Takes the pen of a topic.
    pub(crate) fn take(clients: &Clients, topic: &str) -> Result<Self, BrokerError> {
        let calls = Arc::clone(&clients.calls);
        // Not of the group: all who take their catalog from this topic decide together.
        let mut config = clients.producer(&format!("usage-rater/{topic}"));
        // It is not held for long enough to tell of itself.
        config.set("statistics.interval.ms", "0");
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default()).map_err(|error| failed(&error))?;
        let taken = calls.during("init_transactions", TAKE, || producer.init_transactions(TAKE));
        taken.map_err(|error| failed(&error))?;
        Ok(Self { producer, topic: topic.to_owned(), calls })
    }

    /// Writes records and, behind them, the mark; gives the offset behind that.
    pub(crate) fn write(&self, records: &[Change]) -> Result<u64, BrokerError> {
        let failed = |error: KafkaError| match self.producer.client().fatal_error() {
            Some((_, reason)) => BrokerError::Fenced(format!("{error}: {reason}")),
            None => failed(&error),
        };
        self.producer.begin_transaction().map_err(failed)?;
        for (key, text) in records {
            self.send(key, text.as_deref()).map_err(failed)?;
        }
        // A mark with no content would be one that takes an entry away.
        let mark = format!("{{\"records\":{}}}", records.len());
        self.send(IN_FORCE, Some(&mark)).map_err(failed)?;
        let clock = Stopwatch::start();
        self.producer.poll(Duration::ZERO);
        while self.producer.in_flight_count() > 0 && clock.elapsed() <= CALL {
            self.producer.poll(DELIVERY_POLL);
        }
        let deliveries = self.producer.context();
        let broken = deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = broken {
            return Err(failed(error));
        }
        self.calls
            .during("commit_transaction", CALL, || self.producer.commit_transaction(CALL))
            .map_err(failed)?;
        match deliveries.end.load(Ordering::Relaxed) {
            0 => Err(BrokerError::Failed("the place of the mark did not come".to_owned())),
            end => Ok(end),
        }
    }

    fn send(&self, key: &str, text: Option<&str>) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<str, str>::to(&self.topic).partition(PARTITION).key(key);
        if let Some(text) = text {
            record = record.payload(text);
        }
        let clock = Stopwatch::start();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !is_full || clock.elapsed() > CALL {
                        return Err(error);
                    }
                    self.producer.poll(DELIVERY_POLL);
                    record = back;
                }
            }
        }
    }
}
