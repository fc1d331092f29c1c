//! Metrics: what `/metrics` shows, under names that dashboards rely on.
//!
//! What counts records comes from the committed counters of the state, so it survives restarts.

use aggregator::Counters;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use rating::Instant;
use std::time::Duration;

/// Embedded mode has one partition.
const PARTITION: &str = "0";
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// All metrics of the service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    rated: IntCounter,
    duplicate: IntCounter,
    rejected: IntCounter,
    forwarded: IntCounter,
    waiting: IntGauge,
    lag: IntGauge,
    watermark: IntGauge,
    commit_seconds: Histogram,
    record_age_seconds: Histogram,
    requests: IntCounterVec,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// A name that is not one or is taken: a defect of this program.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let records = IntCounterVec::new(
            Opts::new("usage_rater_records_total", "Committed records by outcome."),
            &["partition", "outcome"],
        )?;
        registry.register(Box::new(records.clone()))?;
        let outcome = |name| records.get_metric_with_label_values(&[PARTITION, name]);
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge =
                IntGauge::with_opts(Opts::new(name, help).const_label("partition", PARTITION))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let histogram =
            |name: &str, help: &str, buckets: &[f64]| -> Result<Histogram, prometheus::Error> {
                let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
                let histogram = Histogram::with_opts(options)?;
                registry.register(Box::new(histogram.clone()))?;
                Ok(histogram)
            };
        let requests = IntCounterVec::new(
            Opts::new("usage_rater_http_requests_total", "Answered requests by route and status."),
            &["method", "route", "status"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        Ok(Self {
            rated: outcome("rated")?,
            duplicate: outcome("duplicate")?,
            rejected: outcome("rejected")?,
            forwarded: outcome("forwarded")?,
            waiting: gauge(
                "usage_rater_records_waiting",
                "Records kept until the catalog knows their subject.",
            )?,
            lag: gauge(
                "usage_rater_consumer_lag_records",
                "Records received but not yet committed.",
            )?,
            watermark: gauge(
                "usage_rater_watermark_timestamp_seconds",
                "Time up to which usage is thought to be complete.",
            )?,
            commit_seconds: histogram(
                "usage_rater_commit_seconds",
                "Time that a commit takes, until it is on disk.",
                &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
            )?,
            record_age_seconds: histogram(
                "usage_rater_record_age_seconds",
                "Time from a record's receipt to its commit.",
                &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0],
            )?,
            requests,
            registry,
        })
    }

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
        if watermark > Instant::MIN {
            let seconds = watermark.nanos().div_euclid(NANOS_PER_SECOND);
            self.watermark.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }

    /// Shows how long a commit took.
    pub(crate) fn commit_seconds(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts records that have come in.
    pub(crate) fn received(&self, records: usize) {
        self.lag.add(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Counts records that were turned away after all.
    pub(crate) fn turned_away(&self, records: usize) {
        self.lag.sub(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Counts records whose commit is answered.
    pub(crate) fn answered(&self, records: usize, age: Duration) {
        self.turned_away(records);
        let age = age.as_secs_f64();
        for _ in 0..records {
            self.record_age_seconds.observe(age);
        }
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
