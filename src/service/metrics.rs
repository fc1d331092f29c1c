//! Metrics: what `/metrics` shows, under names that dashboards rely on.
//!
//! What counts records comes from the committed counters of the state, so it survives restarts and
//! moves. What is about a partition is forgotten when it is let go: whoever holds it next shows it.

mod kafka;
mod store;

use aggregator::{Counters, RejectedByCode, StoreUsage};
pub(crate) use kafka::{ClientFacts, ConnectionFacts, KafkaMetrics};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use rating::{Code, Instant};
use std::time::Duration;
use store::{OneStore, StoreMetrics};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// All metrics of the service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    records: IntCounterVec,
    waiting: IntGaugeVec,
    lag: IntGaugeVec,
    watermark: IntGaugeVec,
    live: IntGaugeVec,
    restored: IntGaugeVec,
    restoring: IntGaugeVec,
    fetched: IntGaugeVec,
    fetching: IntGaugeVec,
    snapshots: IntCounterVec,
    snapshot_offset: IntGaugeVec,
    failures: IntCounterVec,
    received: IntGauge,
    commit_seconds: Histogram,
    record_age_seconds: Histogram,
    requests: IntCounterVec,
    rejected: IntCounterVec,
    stuck_calls: IntGauge,
    given_up_calls: IntGauge,
    reads_elsewhere: IntCounterVec,
    stores: StoreMetrics,
    kafka: KafkaMetrics,
}

/// The outcomes of `usage_rater_records_total`.
const OUTCOMES: [&str; 4] = ["rated", "duplicate", "rejected", "forwarded"];

/// The outcomes of `usage_rater_snapshots_total`.
const SNAPSHOT_OUTCOMES: [&str; 2] = ["taken", "failed"];

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// A name that is not one or is taken: a defect of this program.
    #[expect(clippy::too_many_lines, reason = "a list: what each metric is called and means")]
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters =
            |name: &str, help: &str, labels: &[&str]| new_counters(&registry, (name, help), labels);
        let gauges = |name: &str, help: &str| new_gauges(&registry, (name, help), &["partition"]);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            new_histogram(&registry, (name, help), buckets)
        };
        let received = IntGauge::new(
            "usage_rater_http_records_pending",
            "Records received by HTTP whose answer is still owed.",
        )?;
        registry.register(Box::new(received.clone()))?;
        let stuck_calls = IntGauge::new(
            "usage_rater_stuck_calls",
            "Calls of librdkafka that last longer than they were given.",
        )?;
        registry.register(Box::new(stuck_calls.clone()))?;
        let given_up_calls = IntGauge::new(
            "usage_rater_given_up_calls",
            "Calls of librdkafka that were given up and have not come back.",
        )?;
        registry.register(Box::new(given_up_calls.clone()))?;
        Ok(Self {
            records: counters(
                "usage_rater_records_total",
                "Committed records by outcome.",
                &["partition", "outcome"],
            )?,
            waiting: gauges(
                "usage_rater_records_waiting",
                "Records that wait for a subject in the catalog, and corrections for a target.",
            )?,
            lag: gauges(
                "usage_rater_consumer_lag_records",
                "Records received but not yet committed.",
            )?,
            watermark: gauges(
                "usage_rater_watermark_timestamp_seconds",
                "Time up to which usage is thought to be complete.",
            )?,
            live: gauges(
                "usage_rater_partition_live",
                "1 while the partition is rated here, 0 while it is restored.",
            )?,
            restored: gauges(
                "usage_rater_restore_records_read",
                "Records of the state log read so far while the partition is restored.",
            )?,
            restoring: gauges(
                "usage_rater_restore_records",
                "Records of the state log to be read to restore the partition.",
            )?,
            fetched: gauges(
                "usage_rater_restore_snapshot_bytes_read",
                "Bytes of a snapshot received so far while the partition is restored.",
            )?,
            fetching: gauges(
                "usage_rater_restore_snapshot_bytes",
                "Bytes of the snapshot that the partition is restored from.",
            )?,
            snapshots: counters(
                "usage_rater_snapshots_total",
                "Snapshots of partitions' states, by outcome.",
                &["partition", "outcome"],
            )?,
            snapshot_offset: gauges(
                "usage_rater_snapshot_offset",
                "Offset of the state log up to which the last announced snapshot holds it.",
            )?,
            failures: counters(
                "usage_rater_partition_failures_total",
                "Times that a partition stopped by itself, to be tried again.",
                &["partition"],
            )?,
            received,
            commit_seconds: histogram(
                "usage_rater_commit_seconds",
                "Time that a commit takes, until it is on disk or committed by the broker.",
                &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
            )?,
            record_age_seconds: histogram(
                "usage_rater_record_age_seconds",
                "Time from a record's receipt to its commit; with Kafka, of a sample of records.",
                &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0],
            )?,
            requests: counters(
                "usage_rater_http_requests_total",
                "Answered requests by route and status.",
                &["method", "route", "status"],
            )?,
            rejected: counters(
                "usage_rater_rejected_total",
                "Committed dead letters by code.",
                &["partition", "code"],
            )?,
            stuck_calls,
            given_up_calls,
            reads_elsewhere: counters(
                "usage_rater_http_reads_elsewhere_total",
                "Reads that another instance was asked for, by whether it answered.",
                &["answered"],
            )?,
            stores: StoreMetrics::new(&registry)?,
            kafka: KafkaMetrics::new(&registry)?,
            registry,
        })
    }

    /// The metrics of one partition, all of them shown from now on.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub(crate) fn partition(&self, number: u32) -> Result<PartitionMetrics, prometheus::Error> {
        let label = number.to_string();
        let gauge = |vector: &IntGaugeVec| vector.get_metric_with_label_values(&[&label]);
        let outcome =
            |name: &str| self.records.get_metric_with_label_values(&[label.as_str(), name]);
        let snapshots =
            |name: &str| self.snapshots.get_metric_with_label_values(&[label.as_str(), name]);
        let [rated, duplicate, rejected, forwarded] = OUTCOMES;
        let [taken, failed] = SNAPSHOT_OUTCOMES;
        let code = |code: &Code| {
            self.rejected.get_metric_with_label_values(&[label.as_str(), code.name()])
        };
        Ok(PartitionMetrics {
            by_code: Code::ALL.iter().map(code).collect::<Result<_, _>>()?,
            store: self.stores.of(&label)?,
            rated: outcome(rated)?,
            duplicate: outcome(duplicate)?,
            rejected: outcome(rejected)?,
            forwarded: outcome(forwarded)?,
            waiting: gauge(&self.waiting)?,
            lag: gauge(&self.lag)?,
            watermark: gauge(&self.watermark)?,
            live: gauge(&self.live)?,
            restored: gauge(&self.restored)?,
            restoring: gauge(&self.restoring)?,
            fetched: gauge(&self.fetched)?,
            fetching: gauge(&self.fetching)?,
            taken: snapshots(taken)?,
            failed: snapshots(failed)?,
            snapshot_offset: gauge(&self.snapshot_offset)?,
            commit_seconds: self.commit_seconds.clone(),
            record_age_seconds: self.record_age_seconds.clone(),
            received: self.received.clone(),
        })
    }

    /// No longer shows what is known of a partition.
    pub(crate) fn forget(&self, number: u32) {
        let label = number.to_string();
        for outcome in OUTCOMES {
            // What was never shown need not be forgotten.
            _ = self.records.remove_label_values(&[label.as_str(), outcome]);
        }
        for code in Code::ALL {
            _ = self.rejected.remove_label_values(&[label.as_str(), code.name()]);
        }
        for outcome in SNAPSHOT_OUTCOMES {
            _ = self.snapshots.remove_label_values(&[label.as_str(), outcome]);
        }
        self.stores.forget(&label);
        let gauges = [
            &self.waiting,
            &self.lag,
            &self.watermark,
            &self.live,
            &self.restored,
            &self.restoring,
            &self.fetched,
            &self.fetching,
            &self.snapshot_offset,
        ];
        for gauge in gauges {
            _ = gauge.remove_label_values(&[&label]);
        }
    }

    /// Counts a partition that stopped by itself.
    pub(crate) fn partition_failed(&self, number: u32) {
        if let Ok(failures) = self.failures.get_metric_with_label_values(&[&number.to_string()]) {
            failures.inc();
        }
    }

    /// What clients of Kafka tell of themselves.
    pub(crate) const fn kafka(&self) -> &KafkaMetrics {
        &self.kafka
    }

    /// Shows how many calls of librdkafka last too long, and how many of them were given up.
    pub(crate) fn stuck_calls(&self, calls: usize, given_up: usize) {
        self.stuck_calls.set(i64::try_from(calls).unwrap_or(i64::MAX));
        self.given_up_calls.set(i64::try_from(given_up).unwrap_or(i64::MAX));
    }

    /// Counts a read that another instance was asked for.
    pub(crate) fn read_elsewhere(&self, is_answered: bool) {
        let label = if is_answered { "yes" } else { "no" };
        if let Ok(reads) = self.reads_elsewhere.get_metric_with_label_values(&[label]) {
            reads.inc();
        }
    }

    /// Counts records that have come in by HTTP.
    pub(crate) fn received(&self, records: usize) {
        self.received.add(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Counts records that were turned away after all.
    pub(crate) fn turned_away(&self, records: usize) {
        self.received.sub(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Counts an answered request.
    pub(crate) fn request(&self, method: &str, route: &str, status: &str) {
        if let Ok(count) = self.requests.get_metric_with_label_values(&[method, route, status]) {
            count.inc();
        }
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// Whatever kept a metric from being written.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

type Made<T> = Result<T, prometheus::Error>;

fn new_counters(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: &[&str],
) -> Made<IntCounterVec> {
    let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(vector.clone()))?;
    Ok(vector)
}

fn new_gauges(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: &[&str],
) -> Made<IntGaugeVec> {
    let vector = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(vector.clone()))?;
    Ok(vector)
}

/// Gauges of what is no whole number, such as seconds.
fn new_ratios(registry: &Registry, (name, help): (&str, &str), labels: &[&str]) -> Made<GaugeVec> {
    let vector = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(vector.clone()))?;
    Ok(vector)
}

fn new_histogram(
    registry: &Registry,
    (name, help): (&str, &str),
    buckets: &[f64],
) -> Made<Histogram> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let histogram = Histogram::with_opts(options)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

/// The metrics of one partition.
#[derive(Debug)]
pub(crate) struct PartitionMetrics {
    rated: IntCounter,
    duplicate: IntCounter,
    rejected: IntCounter,
    forwarded: IntCounter,
    waiting: IntGauge,
    lag: IntGauge,
    watermark: IntGauge,
    live: IntGauge,
    restored: IntGauge,
    restoring: IntGauge,
    fetched: IntGauge,
    fetching: IntGauge,
    taken: IntCounter,
    failed: IntCounter,
    snapshot_offset: IntGauge,
    commit_seconds: Histogram,
    record_age_seconds: Histogram,
    received: IntGauge,
    /// In the order of [`Code::ALL`].
    by_code: Vec<IntCounter>,
    store: OneStore,
}

impl PartitionMetrics {
    /// Shows what a commit has made true, or what the state held when it was opened.
    pub(crate) fn committed(&self, counters: &Counters, watermark: Instant) {
        for (metric, committed) in [
            (&self.rated, counters.rated),
            (&self.duplicate, counters.duplicate),
            (&self.rejected, counters.rejected),
            (&self.forwarded, counters.forwarded),
        ] {
            metric.inc_by(committed.saturating_sub(metric.get()));
        }
        self.waiting.set(i64::try_from(counters.waiting).unwrap_or(i64::MAX));
        self.watermark(watermark);
    }

    /// Shows the committed dead letters by code.
    pub(crate) fn rejected(&self, rejected: &RejectedByCode) {
        for (metric, code) in self.by_code.iter().zip(Code::ALL) {
            metric.inc_by(rejected.of(code).saturating_sub(metric.get()));
        }
    }

    /// Shows what the store takes.
    pub(crate) fn store(&self, usage: &StoreUsage) {
        self.store.show(usage);
    }

    /// Whether the partition is restored and rates.
    pub(crate) fn shows_live(&self) -> bool {
        self.live.get() > 0
    }

    /// Shows up to when usage is thought to be complete.
    pub(crate) fn watermark(&self, watermark: Instant) {
        if watermark > Instant::MIN {
            let seconds = watermark.nanos().div_euclid(NANOS_PER_SECOND);
            self.watermark.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }

    /// Shows how long a commit took.
    pub(crate) fn commit_seconds(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Shows how many records are still to be read.
    pub(crate) fn lag(&self, records: u64) {
        self.lag.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Shows how far the partition is restored.
    pub(crate) fn restoring(&self, read: u64, of: u64) {
        self.restored.set(i64::try_from(read).unwrap_or(i64::MAX));
        self.restoring.set(i64::try_from(of).unwrap_or(i64::MAX));
    }

    /// Shows how much of a snapshot is fetched, in bytes.
    pub(crate) fn fetching(&self, received: u64, of: u64) {
        self.fetched.set(i64::try_from(received).unwrap_or(i64::MAX));
        self.fetching.set(i64::try_from(of).unwrap_or(i64::MAX));
    }

    /// Counts a snapshot that is complete.
    pub(crate) fn snapshot_taken(&self) {
        self.taken.inc();
    }

    /// Shows up to where the last announced snapshot holds the state log.
    pub(crate) fn snapshot_announced(&self, offset: u64) {
        self.snapshot_offset.set(i64::try_from(offset).unwrap_or(i64::MAX));
    }

    /// Counts a snapshot that was not taken, or for which the log was not trimmed.
    pub(crate) fn snapshot_failed(&self) {
        self.failed.inc();
    }

    /// Shows that the partition is restored before it rates.
    pub(crate) fn is_not_live(&self) {
        self.live.set(0);
    }

    /// Shows that the partition is restored and rates.
    pub(crate) fn is_live(&self) {
        self.live.set(1);
        self.restored.set(self.restoring.get());
    }

    /// Notes how old records were when they were committed.
    pub(crate) fn ages(&self, received: &[Instant], committed: Instant) {
        for at in received {
            let nanos = u64::try_from(committed.nanos() - at.nanos()).unwrap_or_default();
            self.record_age_seconds.observe(Duration::from_nanos(nanos).as_secs_f64());
        }
    }

    /// Counts records whose commit is answered.
    pub(crate) fn answered(&self, records: usize, age: Duration) {
        self.received.sub(i64::try_from(records).unwrap_or(i64::MAX));
        self.lag.set(self.received.get());
        let age = age.as_secs_f64();
        for _ in 0..records {
            self.record_age_seconds.observe(age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_partition_that_is_forgotten_nothing_is_shown() {
        let metrics = Metrics::new().unwrap();
        let partition = metrics.partition(3).unwrap();
        partition.snapshot_taken();
        partition.is_live();
        partition.is_not_live();
        assert!(!partition.shows_live());
        let shows = |what: &str| metrics.text().unwrap().contains(what);
        assert!(shows("usage_rater_snapshots_total{outcome=\"taken\",partition=\"3\"} 1"));
        metrics.forget(3);
        assert!(!shows("partition=\"3\""), "{}", metrics.text().unwrap());
    }
}
