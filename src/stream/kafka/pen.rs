//! The pen: what an instance must hold to write what is in force to the catalog's topic.
//!
//! It is a transactional producer that all instances share the name of: whoever takes the pen
//! keeps whoever held it from writing. What is written is there as a whole or not at all.

use super::super::broker::BrokerError;
use super::super::catalog_entries::{Change, IN_FORCE};
use super::client::{CALL, Clients, failed};
use super::closing::Closing;
use super::complaints::Complainant;
use super::watch::Calls;
use crate::clock::Stopwatch;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long it may take to take the pen from somebody.
const TAKE: Duration = Duration::from_secs(30);
/// How often deliveries are asked for.
const DELIVERY_POLL: Duration = Duration::from_millis(1);
/// The topic has one partition, so that its records have one order.
const PARTITION: i32 = 0;

/// What came of the records.
#[derive(Debug)]
struct Deliveries {
    complainant: Complainant,
    /// Behind the greatest offset; 0 without any.
    end: AtomicU64,
    /// Whether a record was delivered nobody says where to: a repeated delivery may be.
    is_unplaced: AtomicBool,
    failed: Mutex<Option<KafkaError>>,
}

impl Deliveries {
    const fn new(complainant: Complainant) -> Self {
        let (end, is_unplaced) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { complainant, end, is_unplaced, failed: Mutex::new(None) }
    }

    /// Forgets what came of earlier records.
    fn reset(&self) {
        self.end.store(0, Ordering::Relaxed);
        self.is_unplaced.store(false, Ordering::Relaxed);
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Notes at which offset a record was delivered; a negative one is none.
    fn note(&self, offset: i64) {
        match u64::try_from(offset) {
            Ok(offset) => {
                self.end.fetch_max(offset + 1, Ordering::Relaxed);
            }
            Err(_) => self.is_unplaced.store(true, Ordering::Relaxed),
        }
    }

    /// Behind the greatest offset of all records, if each has one.
    fn end(&self) -> Option<u64> {
        let end = self.end.load(Ordering::Relaxed);
        (end > 0 && !self.is_unplaced.load(Ordering::Relaxed)).then_some(end)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.complainant.log(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complainant.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                self.note(rdkafka::Message::offset(message));
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
    producer: Arc<BaseProducer<Deliveries>>,
    topic: String,
    calls: Arc<Calls>,
    /// Behind all else that holds the producer.
    _closing: Closing,
}

impl Pen {
    /// Takes the pen of a topic.
    pub(crate) fn take(clients: &Clients, topic: &str) -> Result<Self, BrokerError> {
        let calls = Arc::clone(&clients.calls);
        // Not of the group: all who take their catalog from this topic decide together.
        let mut config = clients.producer(&format!("usage-rater/{topic}"));
        // It is not held for long enough to tell of itself.
        config.set("statistics.interval.ms", "0");
        let deliveries = Deliveries::new(clients.complainant("pen"));
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(deliveries).map_err(|error| failed(&error))?;
        let producer = Arc::new(producer);
        let closing = Closing::of(Arc::clone(&producer), &calls);
        // Whole from here on, so that its producer is ended as it is to be whatever comes.
        let pen = Self { producer, topic: topic.to_owned(), calls, _closing: closing };
        let called = Arc::clone(&pen.producer);
        let take = move || called.init_transactions(TAKE);
        let taken = pen.calls.apart(("init_transactions", TAKE), take, || {});
        taken.map_err(BrokerError::Failed)?.map_err(|error| failed(&error))?;
        Ok(pen)
    }

    /// Writes records and, behind them, the mark; gives the offset behind that.
    pub(crate) fn write(&self, records: &[Change]) -> Result<u64, BrokerError> {
        let failed = |error: KafkaError| match self.producer.client().fatal_error() {
            Some((_, reason)) => BrokerError::Fenced(format!("{error}: {reason}")),
            None => failed(&error),
        };
        let deliveries = self.producer.context();
        // An end of what was written before would pass for the end of this.
        deliveries.reset();
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
        let broken = deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = broken {
            return Err(failed(error));
        }
        let called = Arc::clone(&self.producer);
        let commit = move || called.commit_transaction(CALL);
        let committed = self.calls.apart(("commit_transaction", CALL), commit, || {});
        committed.map_err(BrokerError::Failed)?.map_err(failed)?;
        deliveries.end().ok_or_else(|| {
            let reason = "the place of what was written did not come";
            BrokerError::Failed(reason.to_owned())
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Metrics, Settings};

    /// A repeated delivery has no offset: the end of the write before it was taken for its own, so
    /// a catalog was said to be in force before it was.
    #[test]
    fn an_end_is_that_of_the_last_write() {
        let complainant =
            Clients::new(&Settings::default(), String::new(), Arc::new(Metrics::new().unwrap()))
                .complainant("pen");
        let deliveries = Deliveries::new(complainant);
        assert_eq!(deliveries.end(), None);
        deliveries.note(6);
        deliveries.note(4);
        assert_eq!(deliveries.end(), Some(7));
        deliveries.reset();
        assert_eq!(deliveries.end(), None);
        deliveries.note(8);
        deliveries.note(-1);
        assert_eq!(deliveries.end(), None, "the mark may be the one without a place");
    }
}
