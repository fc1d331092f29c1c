//! What RocksDB tells of the store of a partition.

use super::{Made, new_gauges};
use aggregator::StoreUsage;
use prometheus::{IntGauge, IntGaugeVec, Registry};

/// Metrics of all stores.
#[derive(Debug)]
pub(super) struct StoreMetrics {
    memory: IntGaugeVec,
    files: IntGaugeVec,
    pending: IntGaugeVec,
    delayed: IntGaugeVec,
    stopped: IntGaugeVec,
    cache: IntGauge,
}

/// Metrics of one store.
#[derive(Debug)]
pub(super) struct OneStore {
    memory: IntGauge,
    files: IntGauge,
    pending: IntGauge,
    delayed: IntGauge,
    stopped: IntGauge,
    cache: IntGauge,
}

impl StoreMetrics {
    pub(super) fn new(registry: &Registry) -> Made<Self> {
        let gauges = |name, help| new_gauges(registry, (name, help), &["partition"]);
        let cache = IntGauge::new(
            "usage_rater_store_block_cache_bytes",
            "Bytes of the cache that all stores of this process read through.",
        )?;
        registry.register(Box::new(cache.clone()))?;
        Ok(Self {
            memory: gauges(
                "usage_rater_store_memtable_bytes",
                "Bytes of the store that are in memory only.",
            )?,
            files: gauges("usage_rater_store_sst_bytes", "Bytes of the files of the store.")?,
            pending: gauges(
                "usage_rater_store_pending_compaction_bytes",
                "Bytes of the store that are to be compacted.",
            )?,
            delayed: gauges(
                "usage_rater_store_delayed_write_bytes_per_second",
                "Rate to which writes are slowed down because compaction is behind; 0 if not.",
            )?,
            stopped: gauges(
                "usage_rater_store_writes_stopped",
                "1 while writes wait because compaction is behind, else 0.",
            )?,
            cache,
        })
    }

    pub(super) fn of(&self, label: &str) -> Made<OneStore> {
        let gauge = |vector: &IntGaugeVec| vector.get_metric_with_label_values(&[label]);
        Ok(OneStore {
            memory: gauge(&self.memory)?,
            files: gauge(&self.files)?,
            pending: gauge(&self.pending)?,
            delayed: gauge(&self.delayed)?,
            stopped: gauge(&self.stopped)?,
            cache: self.cache.clone(),
        })
    }

    pub(super) fn forget(&self, label: &str) {
        for gauge in [&self.memory, &self.files, &self.pending, &self.delayed, &self.stopped] {
            // What was never shown need not be forgotten.
            _ = gauge.remove_label_values(&[label]);
        }
    }
}

impl OneStore {
    pub(super) fn show(&self, usage: &StoreUsage) {
        for (gauge, value) in [
            (&self.memory, usage.memory_bytes),
            (&self.files, usage.file_bytes),
            (&self.pending, usage.pending_compaction_bytes),
            (&self.delayed, usage.delayed_write_rate),
            (&self.stopped, u64::from(usage.is_write_stopped)),
            (&self.cache, usage.cache_bytes),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
