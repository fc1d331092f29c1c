//! What librdkafka tells of its clients, every few seconds.
//!
//! A client counts from its own beginning, so its counters are gone when it is: each is shown for
//! as long as the client lives, under the part that it plays and its partition.

use super::{Made, new_counters, new_gauges, new_ratios};
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};
use std::time::Duration;

/// Labels of a client: `partition` is empty where it is not of one.
const CLIENT: &[&str] = &["client", "partition"];
/// Labels of a client's connection to one broker, by the broker's number.
const CONNECTION: &[&str] = &["client", "partition", "broker"];

/// Metrics of all clients.
#[derive(Debug)]
pub(crate) struct KafkaMetrics {
    queue_records: IntGaugeVec,
    queue_bytes: IntGaugeVec,
    sent: IntCounterVec,
    received: IntCounterVec,
    forward_lag: IntGaugeVec,
    rtt: GaugeVec,
    requests: IntGaugeVec,
    timeouts: IntCounterVec,
    errors: IntCounterVec,
}

/// What a client tells of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientFacts {
    /// Records to be sent, or fetched and not yet read.
    pub(crate) queue_records: u64,
    /// Bytes of them.
    pub(crate) queue_bytes: u64,
    /// Bytes sent, since the client began.
    pub(crate) sent_bytes: u64,
    /// Bytes received.
    pub(crate) received_bytes: u64,
    /// Records of the forward topic that are yet to be read.
    pub(crate) forward_lag: Option<u64>,
}

/// What a client tells of its connection to a broker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ConnectionFacts {
    /// Mean time from a request to its answer, of the last few seconds.
    pub(crate) rtt: Duration,
    /// Requests that are to be sent or wait for their answers.
    pub(crate) requests: u64,
    /// Requests without an answer in time.
    pub(crate) timeouts: u64,
    /// Requests and answers that failed.
    pub(crate) errors: u64,
}

impl KafkaMetrics {
    pub(super) fn new(registry: &Registry) -> Made<Self> {
        let gauges = |name, help| new_gauges(registry, (name, help), CLIENT);
        Ok(Self {
            queue_records: gauges(
                "usage_rater_kafka_queue_records",
                "Records in a client's queue: to be sent, or fetched and not yet read.",
            )?,
            queue_bytes: gauges(
                "usage_rater_kafka_queue_bytes",
                "Bytes of the records in a client's queue.",
            )?,
            sent: new_counters(
                registry,
                ("usage_rater_kafka_sent_bytes_total", "Bytes that a client sent to brokers."),
                CLIENT,
            )?,
            received: new_counters(
                registry,
                (
                    "usage_rater_kafka_received_bytes_total",
                    "Bytes that a client received from brokers.",
                ),
                CLIENT,
            )?,
            forward_lag: new_gauges(
                registry,
                (
                    "usage_rater_forward_lag_records",
                    "Records that other partitions sent on and that are yet to be read.",
                ),
                &["partition"],
            )?,
            rtt: new_ratios(
                registry,
                (
                    "usage_rater_kafka_rtt_seconds",
                    "Mean time from a request to a broker to its answer, of the last seconds.",
                ),
                CONNECTION,
            )?,
            requests: new_gauges(
                registry,
                (
                    "usage_rater_kafka_requests_pending",
                    "Requests to a broker that are to be sent or wait for their answers.",
                ),
                CONNECTION,
            )?,
            timeouts: new_counters(
                registry,
                (
                    "usage_rater_kafka_request_timeouts_total",
                    "Requests to a broker that had no answer in time.",
                ),
                CONNECTION,
            )?,
            errors: new_counters(
                registry,
                (
                    "usage_rater_kafka_request_errors_total",
                    "Requests to a broker, and answers, that failed.",
                ),
                CONNECTION,
            )?,
        })
    }

    /// Shows what a client tells of itself.
    pub(crate) fn client(&self, labels: [&str; 2], facts: &ClientFacts) {
        set(&self.queue_records, &labels, facts.queue_records);
        set(&self.queue_bytes, &labels, facts.queue_bytes);
        raise(&self.sent, &labels, facts.sent_bytes);
        raise(&self.received, &labels, facts.received_bytes);
        if let Some(lag) = facts.forward_lag {
            let [_, partition] = labels;
            set(&self.forward_lag, &[partition], lag);
        }
    }

    /// Shows what a client tells of its connection to a broker.
    pub(crate) fn connection(&self, labels: [&str; 3], facts: &ConnectionFacts) {
        if let Ok(rtt) = self.rtt.get_metric_with_label_values(&labels) {
            rtt.set(facts.rtt.as_secs_f64());
        }
        set(&self.requests, &labels, facts.requests);
        raise(&self.timeouts, &labels, facts.timeouts);
        raise(&self.errors, &labels, facts.errors);
    }

    /// No longer shows a client, nor its connections to these brokers.
    pub(crate) fn forget<'a>(&self, labels: [&str; 2], brokers: impl Iterator<Item = &'a str>) {
        // What was never shown need not be forgotten.
        _ = self.queue_records.remove_label_values(&labels);
        _ = self.queue_bytes.remove_label_values(&labels);
        _ = self.sent.remove_label_values(&labels);
        _ = self.received.remove_label_values(&labels);
        let [client, partition] = labels;
        if client == "reader" {
            _ = self.forward_lag.remove_label_values(&[partition]);
        }
        for broker in brokers {
            let labels = [client, partition, broker];
            _ = self.rtt.remove_label_values(&labels);
            _ = self.requests.remove_label_values(&labels);
            _ = self.timeouts.remove_label_values(&labels);
            _ = self.errors.remove_label_values(&labels);
        }
    }
}

fn set(gauges: &IntGaugeVec, labels: &[&str], value: u64) {
    // Labels are as many as were registered.
    if let Ok(gauge) = gauges.get_metric_with_label_values(labels) {
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// Brings a counter up to a value that only grows.
fn raise(counters: &IntCounterVec, labels: &[&str], value: u64) {
    if let Ok(counter) = counters.get_metric_with_label_values(labels) {
        counter.inc_by(value.saturating_sub(counter.get()));
    }
}
