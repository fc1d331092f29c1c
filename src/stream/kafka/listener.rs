//! The listener of a client: takes what librdkafka tells of it, and shows it as metrics.
//!
//! It also finds out that a client is cut off: an answer that names no broker, as one that has just
//! started or is shut out by its controller may give it, makes librdkafka forget all brokers, and
//! it may then stop the timer by which it would ask those it was given at first
//! (<https://github.com/confluentinc/librdkafka/issues/5301>). Such a client never mends itself.

use super::client::Clients;
use super::complaints::Complainant;
use crate::service::{ClientFacts, ConnectionFacts, Metrics};
use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Broker, Partition};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often clients tell of themselves, as a property.
pub(super) const INTERVAL_MS: &str = "5000";
/// How librdkafka calls brokers that it knows by number; others are names for the same ones.
const LEARNED: &str = "learned";
/// How it calls those that it was given.
const CONFIGURED: &str = "configured";
/// The state of a broker that answers.
const UP: &str = "UP";
/// A client that has told so often in a row that it knows no broker is cut off: while it asks those
/// it was given, it may know none for a moment.
const CUT_OFF: u32 = 2;

/// Who listens to one client.
#[derive(Debug)]
pub(crate) struct Listener {
    complainant: Complainant,
    /// Empty where the client is not of one partition.
    partition: String,
    /// The topic whose lag is told, too.
    forward: Option<String>,
    metrics: Arc<Metrics>,
    brokers: Mutex<BTreeSet<String>>,
    /// Whether nothing is to be heard of the client.
    is_mute: AtomicBool,
    /// How often in a row it has told that it knows no broker.
    without_broker: AtomicU32,
}

impl Listener {
    /// Listens to the client that plays this part, for a partition if it is of one.
    pub(super) fn new(client: &'static str, partition: Option<i32>, clients: &Clients) -> Self {
        Self {
            complainant: clients.complainant(client),
            partition: partition.map_or_else(String::new, |partition| partition.to_string()),
            forward: None,
            metrics: Arc::clone(&clients.metrics),
            brokers: Mutex::default(),
            is_mute: AtomicBool::new(false),
            without_broker: AtomicU32::new(0),
        }
    }

    /// Listens to a client that is not shown.
    pub(super) fn unseen(client: &'static str, partition: Option<i32>, clients: &Clients) -> Self {
        let listener = Self::new(client, partition, clients);
        listener.is_mute.store(true, Ordering::SeqCst);
        listener
    }

    /// Tells of the lag behind this topic, too.
    pub(super) fn with_lag(mut self, forward: &str) -> Self {
        self.forward = Some(forward.to_owned());
        self
    }

    /// Forgets what was shown of the client, and shows and tells no more of it: another one has
    /// its place.
    pub(super) fn mute(&self) {
        if !self.is_mute.swap(true, Ordering::SeqCst) {
            self.forget();
        }
    }

    /// Why the client is of no more use, if it is not.
    pub(super) fn cut_off(&self) -> Option<String> {
        let is_cut_off = self.without_broker.load(Ordering::SeqCst) >= CUT_OFF;
        let client = self.complainant.client;
        is_cut_off.then(|| format!("the {client} of Kafka has forgotten all brokers"))
    }

    fn note_brokers(&self, told: &Statistics) {
        let known = |broker: &&Broker| [LEARNED, CONFIGURED].contains(&broker.source.as_str());
        let mut known = told.brokers.values().filter(known).peekable();
        if known.peek().is_none() {
            self.without_broker.fetch_add(1, Ordering::SeqCst);
            return;
        }
        self.without_broker.store(0, Ordering::SeqCst);
        if known.any(|broker| broker.state == UP) {
            self.complainant.complaints.answered(self.complainant.client);
        }
    }

    fn forget(&self) {
        let brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = [self.complainant.client, self.partition.as_str()];
        self.metrics.kafka().forget(labels, brokers.iter().map(String::as_str));
    }

    /// Shows what the client tells of itself.
    pub(super) fn show(&self, told: &Statistics) {
        self.note_brokers(told);
        if self.is_mute.load(Ordering::SeqCst) {
            return;
        }
        let labels = [self.complainant.client, self.partition.as_str()];
        self.metrics.kafka().client(labels, &self.facts(told));
        for broker in told.brokers.values().filter(|broker| broker.source == LEARNED) {
            let number = broker.nodeid.to_string();
            let labels = [self.complainant.client, self.partition.as_str(), number.as_str()];
            self.metrics.kafka().connection(labels, &connection(broker));
            self.brokers.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
    }

    fn facts(&self, told: &Statistics) -> ClientFacts {
        let mut facts = ClientFacts {
            queue_records: told.msg_cnt,
            queue_bytes: told.msg_size,
            sent_bytes: whole(told.tx_bytes),
            received_bytes: whole(told.rx_bytes),
            forward_lag: None,
        };
        for topic in told.topics.values() {
            for (number, partition) in &topic.partitions {
                facts.queue_records += whole(partition.fetchq_cnt);
                facts.queue_bytes += partition.fetchq_size;
                let is_forward = self.forward.as_deref() == Some(topic.topic.as_str());
                if is_forward && number.to_string() == self.partition {
                    facts.forward_lag = lag(partition);
                }
            }
        }
        facts
    }
}

/// What is yet to be read; its own `consumer_lag` counts from offsets that readers here never
/// store. Both offsets are below 0 while they are not known.
fn lag(partition: &Partition) -> Option<u64> {
    let (end, next) = (partition.hi_offset, partition.next_offset);
    let unfetched = (end >= 0 && next >= 0).then(|| whole(end.saturating_sub(next)))?;
    Some(unfetched.saturating_add(whole(partition.fetchq_cnt)))
}

fn connection(broker: &Broker) -> ConnectionFacts {
    ConnectionFacts {
        rtt: Duration::from_micros(broker.rtt.as_ref().map_or(0, |rtt| whole(rtt.avg))),
        requests: whole(broker.outbuf_cnt).saturating_add(whole(broker.waitresp_cnt)),
        timeouts: broker.req_timeouts,
        errors: broker.txerrs.saturating_add(broker.rxerrs),
    }
}

/// What is never below 0, but for "not known".
fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl ClientContext for Listener {
    fn stats(&self, told: Statistics) {
        self.show(&told);
    }

    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.complainant.log(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complainant.error(error, reason);
    }
}

/// What to do where a broker did not take the credentials.
pub(super) fn refused_credentials(error: &KafkaError) -> Option<&'static str> {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::IllegalSASLState,
        ) => Some("see sasl.mechanism, sasl.username and sasl.password in kafka.properties"),
        Some(RDKafkaErrorCode::SSL) => Some("see security.protocol and ssl.* in kafka.properties"),
        _ => None,
    }
}

impl ConsumerContext for Listener {}

impl Drop for Listener {
    fn drop(&mut self) {
        self.mute();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Settings;
    use rdkafka::statistics::{Topic, Window};

    fn clients() -> Clients {
        let metrics = Arc::new(Metrics::new().unwrap());
        Clients::new(&Settings::default(), String::new(), metrics)
    }

    fn statistics(brokers: &[(&str, &str)]) -> Statistics {
        let broker = |(source, state): &(&str, &str)| Broker {
            source: (*source).to_owned(),
            state: (*state).to_owned(),
            ..Broker::default()
        };
        let brokers = brokers.iter().map(|told| (told.0.to_owned(), broker(told))).collect();
        Statistics { brokers, ..Statistics::default() }
    }

    /// An answer without brokers left a client that waited for one to come up for ever.
    #[test]
    fn a_client_that_has_forgotten_all_brokers_is_cut_off() {
        let listener = Listener::unseen("reader", None, &clients());
        let known = statistics(&[(LEARNED, "DOWN"), ("internal", UP)]);
        let unknown = statistics(&[("internal", UP), ("logical", "TRY_CONNECT")]);
        let given = statistics(&[(CONFIGURED, "INIT")]);
        for told in [&known, &unknown, &given, &unknown] {
            listener.show(told);
            assert_eq!(listener.cut_off(), None);
        }
        listener.show(&unknown);
        assert!(listener.cut_off().is_some_and(|reason| reason.contains("reader")));
    }

    #[test]
    fn one_that_is_mute_leaves_its_place_to_another() {
        let (clients, told) = (clients(), statistics(&[(LEARNED, UP)]));
        let [old, new] = [0; 2].map(|_| Listener::new("reader", Some(3), &clients));
        let is_shown = || clients.metrics.text().unwrap().contains("client=\"reader\"");
        old.show(&told);
        old.mute();
        assert!(!is_shown());
        new.show(&told);
        old.show(&told);
        drop(old);
        assert!(is_shown());
        drop(new);
        assert!(!is_shown());
    }

    #[test]
    fn what_a_client_tells_is_shown_and_forgotten_with_it() {
        let clients = clients();
        let metrics = Arc::clone(&clients.metrics);
        let listener = Listener::new("reader", Some(3), &clients).with_lag("usage.forward");
        let partition =
            Partition { fetchq_cnt: 12, hi_offset: 40, next_offset: 33, ..Partition::default() };
        let topic = Topic {
            topic: "usage.forward".to_owned(),
            partitions: [(3, partition)].into(),
            ..Topic::default()
        };
        let rtt = Some(Window { avg: 1_500, ..Window::default() });
        let broker = |nodeid, source: &str| Broker {
            nodeid,
            source: source.to_owned(),
            rtt: rtt.clone(),
            outbuf_cnt: 1,
            waitresp_cnt: 2,
            ..Broker::default()
        };
        let brokers = [("a", broker(1, LEARNED)), ("b", broker(-1, "configured"))];
        listener.stats(Statistics {
            brokers: brokers.map(|(name, broker)| (name.to_owned(), broker)).into(),
            topics: [(topic.topic.clone(), topic)].into(),
            ..Statistics::default()
        });
        let shown = metrics.text().unwrap();
        for line in [
            "usage_rater_kafka_queue_records{client=\"reader\",partition=\"3\"} 12",
            "usage_rater_kafka_rtt_seconds{broker=\"1\",client=\"reader\",partition=\"3\"} 0.0015",
            "usage_rater_kafka_requests_pending{broker=\"1\",client=\"reader\",partition=\"3\"} 3",
            "usage_rater_forward_lag_records{partition=\"3\"} 19",
        ] {
            assert!(shown.contains(line), "no {line} in {shown}");
        }
        assert!(!shown.contains("broker=\"-1\""), "names for brokers are not brokers");
        drop(listener);
        assert!(!metrics.text().unwrap().contains("client=\"reader\""));
    }
}
