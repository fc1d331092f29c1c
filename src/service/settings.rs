//! Settings of the service as plain data, with their defaults.

mod duration;
mod read;
#[cfg(test)]
mod schema;

use crate::stream::{Partitioner, TopicNames};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where usage comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// HTTP in, one RocksDB as state and output; no other server.
    Embedded,
    /// Kafka in and out.
    Kafka,
}

/// All settings of `usage-rater run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) kafka: Kafka,
    /// The catalog's file; without one, the API brings it.
    pub(crate) catalog: Option<PathBuf>,
    /// Where the state lies.
    pub(crate) state_dir: PathBuf,
    pub(crate) http: Http,
    /// The longest time for which requests are gathered into one commit.
    pub(crate) commit_interval: Duration,
    pub(crate) periods: Periods,
    /// A record whose own time is older is late.
    pub(crate) dedupe_window: Duration,
    pub(crate) waiting: Waiting,
    pub(crate) snapshots: Snapshots,
    /// How far ahead of its receipt a record's time may lie.
    pub(crate) future_tolerance: Duration,
}

/// How Kafka is reached, and what is where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kafka {
    pub(crate) bootstrap_servers: String,
    /// The consumer group, and the name under which this application writes.
    pub(crate) group: String,
    /// A name of this instance that survives restarts; with one, a restart moves no partitions.
    pub(crate) instance_id: Option<String>,
    /// How producers of raw usage spread customers over partitions.
    pub(crate) partitioner: Partitioner,
    /// Partitions of the topics that are made because they are missing.
    pub(crate) partitions: u32,
    pub(crate) topics: TopicNames,
    /// Further properties of librdkafka.
    pub(crate) properties: BTreeMap<String, String>,
}

/// How the service is reached and how much it takes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    /// Address and port; port 0 takes a free one.
    pub(crate) listen: String,
    /// Where other instances reach it, as a host and a port; without it, where it listens.
    pub(crate) advertise: Option<String>,
    /// Largest body of usage.
    pub(crate) body_bytes_max: usize,
    /// Bytes of all bodies that are being read or wait for their commit.
    pub(crate) queue_bytes_max: usize,
    /// Requests that wait for the worker.
    pub(crate) queue_requests_max: usize,
    /// Connections that are open at once; more wait to be accepted.
    pub(crate) connections_max: usize,
    /// How long a body may take to arrive.
    pub(crate) body_timeout: Duration,
}

/// When periods close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Periods {
    /// How far the watermark must be past a period's end.
    pub(crate) grace: Duration,
    /// After so long without a record the watermark follows the clock.
    pub(crate) idle: Duration,
}

/// How many records may wait for the catalog to know their subject, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) bytes_max: usize,
    pub(crate) age: Duration,
}

/// Where snapshots of the state go, and how often they are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshots {
    /// A place that all instances reach: `s3://bucket/folder` or `file:///directory`. Without one,
    /// a directory beside the state.
    pub(crate) url: Option<String>,
    pub(crate) interval: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Embedded,
            kafka: Kafka {
                bootstrap_servers: "127.0.0.1:9092".to_owned(),
                group: "usage-rater".to_owned(),
                instance_id: None,
                partitioner: Partitioner::default(),
                partitions: 4,
                topics: TopicNames::default(),
                properties: BTreeMap::new(),
            },
            catalog: None,
            state_dir: PathBuf::from("data"),
            http: Http {
                listen: "127.0.0.1:8080".to_owned(),
                advertise: None,
                body_bytes_max: 16 << 20,
                queue_bytes_max: 128 << 20,
                queue_requests_max: 1_024,
                connections_max: 1_024,
                body_timeout: MINUTE,
            },
            commit_interval: Duration::from_millis(500),
            periods: Periods { grace: HOUR, idle: Duration::from_secs(5) },
            dedupe_window: 40 * DAY,
            waiting: Waiting { bytes_max: 64 << 20, age: 7 * DAY },
            snapshots: Snapshots { url: None, interval: 10 * MINUTE },
            future_tolerance: HOUR,
        }
    }
}
