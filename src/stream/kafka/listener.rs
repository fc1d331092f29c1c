//! The listener of a client: takes what librdkafka tells of it, and shows it as metrics.

use crate::service::{ClientFacts, ConnectionFacts, Metrics};
use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Broker, Partition};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often clients tell of themselves, as a property.
pub(super) const INTERVAL_MS: &str = "5000";
/// How librdkafka calls brokers that it knows by number; others are names for the same ones.
const LEARNED: &str = "learned";

/// Who listens to one client.
#[derive(Debug)]
pub(crate) struct Listener {
    client: &'static str,
    /// Empty where the client is not of one partition.
    partition: String,
    /// The topic whose lag is told, too.
    forward: Option<String>,
    metrics: Arc<Metrics>,
    brokers: Mutex<BTreeSet<String>>,
}

impl Listener {
    /// Listens to the client that plays this part, for a partition if it is of one.
    pub(super) fn new(
        client: &'static str,
        partition: Option<i32>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let partition = partition.map_or_else(String::new, |partition| partition.to_string());
        let metrics = Arc::clone(metrics);
        Self { client, partition, forward: None, metrics, brokers: Mutex::default() }
    }

    /// Tells of the lag behind this topic, too.
    pub(super) fn with_lag(mut self, forward: &str) -> Self {
        self.forward = Some(forward.to_owned());
        self
    }

    /// Shows what the client tells of itself.
    pub(super) fn show(&self, told: &Statistics) {
        let labels = [self.client, self.partition.as_str()];
        self.metrics.kafka().client(labels, &self.facts(told));
        for broker in told.brokers.values().filter(|broker| broker.source == LEARNED) {
            let number = broker.nodeid.to_string();
            let labels = [self.client, self.partition.as_str(), number.as_str()];
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

    fn error(&self, error: KafkaError, reason: &str) {
        tell(self.client, &error, reason);
    }
}

/// Tells of an error that librdkafka mends by itself, or that the next call gives back.
pub(super) fn tell(client: &str, error: &KafkaError, reason: &str) {
    match refused_credentials(error) {
        Some(advice) => tracing::error!("the {client} of Kafka: {error}: {reason}; {advice}"),
        None => tracing::warn!("the {client} of Kafka: {error}: {reason}"),
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
        let brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = [self.client, self.partition.as_str()];
        self.metrics.kafka().forget(labels, brokers.iter().map(String::as_str));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::{Topic, Window};

    #[test]
    fn what_a_client_tells_is_shown_and_forgotten_with_it() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let listener = Listener::new("reader", Some(3), &metrics).with_lag("usage.forward");
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
