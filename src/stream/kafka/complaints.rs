//! Complaints: what clients say of a broker that is away, told so that a log can be read meanwhile.
//!
//! Each client says the same many times a second. Each kind of complaint is told at once, and then
//! at most every half minute, with how many there were.

use super::listener::refused_credentials;
use crate::clock::Stopwatch;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A kind of complaint is not told again for so long.
const QUIET: Duration = Duration::from_secs(30);
/// What librdkafka logs of connections that fail; whatever else it logs is rare.
const FAIL: &str = "FAIL";

/// What it logs while a broker is not ready to give a producer its number.
const WAITS: &str = "GETPID";

/// A kind of complaint. The parts that clients play, the codes and the levels are all known, which
/// bounds how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// An error, by its code; without one it is of the last kind.
    Error(i32),
    /// A connection that failed, by how bad that is.
    Connection(i32),
}

/// What has been told of one kind.
#[derive(Debug)]
struct Told {
    at: Duration,
    meanwhile: u64,
}

/// What has been told of all clients that play the same parts.
#[derive(Debug, Default)]
struct Book {
    told: BTreeMap<(&'static str, Kind), Told>,
    /// The clients that were told of to be answered by no broker.
    away: BTreeSet<&'static str>,
}

impl Book {
    /// Notes a complaint; how many of its kind were kept back, if this one is to be told.
    fn note(&mut self, client: &'static str, kind: Kind, now: Duration) -> Option<u64> {
        let known = self.told.get_mut(&(client, kind));
        if let Some(told) = known.filter(|told| now.saturating_sub(told.at) < QUIET) {
            told.meanwhile += 1;
            return None;
        }
        let before = self.told.insert((client, kind), Told { at: now, meanwhile: 0 });
        Some(before.map_or(0, |told| told.meanwhile))
    }
}

/// The complaints of all clients of a process.
#[derive(Debug)]
pub(crate) struct Complaints {
    clock: Stopwatch,
    book: Mutex<Book>,
}

impl Default for Complaints {
    fn default() -> Self {
        Self { clock: Stopwatch::start(), book: Mutex::default() }
    }
}

impl Complaints {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of an error that librdkafka mends by itself, or that the next call gives back.
    pub(super) fn error(&self, client: &'static str, error: &KafkaError, reason: &str) {
        let (now, code) = (self.clock.elapsed(), error.rdkafka_error_code());
        // Readers that ask for it are told so by what they read, too.
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let number = code.map_or(i32::MIN, |code| code as i32);
        let mut book = self.book();
        let Some(kept_back) = book.note(client, Kind::Error(number), now) else { return };
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            book.away.insert(client);
        }
        drop(book);
        let more = More(kept_back);
        match refused_credentials(error) {
            Some(advice) => {
                tracing::error!("the {client} of Kafka: {error}: {reason}; {advice}{more}");
            }
            None => tracing::warn!("the {client} of Kafka: {error}: {reason}{more}"),
        }
    }

    /// Tells what librdkafka logs.
    fn log(&self, client: &'static str, level: RDKafkaLogLevel, (kind, text): (&str, &str)) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        let mut more = More(0);
        if kind == FAIL && !matches!(level, Debug) {
            let (now, kind) = (self.clock.elapsed(), Kind::Connection(level as i32));
            let Some(kept_back) = self.book().note(client, kind, now) else { return };
            more = More(kept_back);
        }
        let line = format_args!("{kind} of the {client}: {text}{more}");
        // A broker that has just started is waited for: nothing is wrong with it.
        let level = if kind == WAITS && matches!(level, Warning) { Info } else { level };
        match level {
            Emerg | Alert | Critical | Error => tracing::error!(target: "librdkafka", "{line}"),
            Warning => tracing::warn!(target: "librdkafka", "{line}"),
            Notice | Info => tracing::info!(target: "librdkafka", "{line}"),
            Debug => tracing::debug!(target: "librdkafka", "{line}"),
        }
    }

    /// Tells once that a broker answers a client again.
    pub(super) fn answered(&self, client: &'static str) {
        if self.book().away.remove(client) {
            tracing::info!("the {client} of Kafka: a broker answers again");
        }
    }
}

/// How many complaints of a kind were kept back.
struct More(u64);

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " ({more} more of this kind since it was told last)"),
        }
    }
}

/// A client that tells its complaints and nothing else.
#[derive(Debug, Clone)]
pub(super) struct Complainant {
    pub(super) client: &'static str,
    pub(super) complaints: Arc<Complaints>,
}

impl ClientContext for Complainant {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.complaints.log(self.client, level, (kind, text));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(self.client, &error, reason);
    }
}

impl ConsumerContext for Complainant {}

impl ProducerContext for Complainant {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Kind = Kind::Error(-187);
    const REFUSED: Kind = Kind::Connection(3);

    /// A broker that was away for a minute filled the log with thousands of equal lines.
    #[test]
    fn each_kind_is_told_at_once_and_then_every_half_minute_with_how_many_there_were() {
        let mut book = Book::default();
        let mut told = Vec::new();
        // Ten a second, for 70 s.
        for tenth in 0..700u64 {
            let now = Duration::from_millis(tenth * 100);
            if let Some(kept_back) = book.note("producer", DOWN, now) {
                told.push((now.as_secs(), kept_back));
            }
        }
        assert_eq!(told, [(0, 0), (30, 299), (60, 299)]);
        // Another kind, and another client, do not wait for it.
        let now = Duration::from_secs(70);
        assert_eq!(book.note("producer", REFUSED, now), Some(0));
        assert_eq!(book.note("reader", DOWN, now), Some(0));
        assert_eq!(book.told.len(), 3, "as many as there are kinds");
    }

    #[test]
    fn that_no_broker_answers_is_noted_until_one_does() {
        let complaints = Complaints::default();
        let error = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        complaints.error("producer", &error, "1/1 brokers are down");
        complaints.answered("reader");
        assert!(complaints.book().away.contains("producer"));
        complaints.answered("producer");
        assert!(complaints.book().away.is_empty());
        // What is kept back does not call for an answer.
        complaints.error("producer", &error, "1/1 brokers are down");
        assert!(complaints.book().away.is_empty());
    }
}
