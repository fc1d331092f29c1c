//! The stream: usage records from Kafka, rated usage to Kafka, exactly once.
//!
//! A supervisor learns from the consumer group which raw partitions are ours and runs a worker
//! for each. A worker restores its partition and then rates: [`restore`] and [`rater`] are what
//! counts, and know the broker only as a port.

pub mod assignment;
mod audience;
mod back_off;
pub mod broker;
mod catalog_entries;
mod catalog_judge;
mod catalog_keeper;
mod catalog_topic;
mod command;
mod directory;
mod elsewhere;
mod front;
mod hand;
mod kafka;
mod keeping;
mod limits;
mod log_port;
mod murmur2;
mod outbox;
mod partitioner;
mod provenance;
pub mod rater;
pub mod restore;
mod run;
pub mod snapshot_port;
mod snapshotter;
pub mod stop;
mod supervisor;
mod worker;

pub(crate) use crate::clock::{earlier, later};
pub use catalog_topic::InForce;
pub(crate) use kafka::TopicNames;
pub use partitioner::Partitioner;
pub(crate) use rater::first_end_after;
pub(crate) use run::{read_catalog, start};

use std::path::{Path, PathBuf};

/// Says what a partition is at, for whoever watches with `RUST_LOG=usage_rater::phase=trace`.
fn phase(partition: u32, phase: &str) {
    tracing::trace!(target: "usage_rater::phase", partition, "{phase}");
}

/// Where the store of a partition lies.
fn store_directory(state_dir: &Path, partition: u32) -> PathBuf {
    state_dir.join(format!("partition-{partition}"))
}
