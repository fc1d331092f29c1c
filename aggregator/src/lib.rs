#![doc = include_str!("../README.md")]

mod admitted;
mod announced;
mod buckets;
mod checkpoint;
mod codec;
mod commit;
mod corrections;
mod counters;
mod dedupe;
mod error;
mod identity;
mod keys;
pub mod limits;
mod lineage;
mod partition;
mod position_codec;
mod positions;
mod query;
mod rated;
mod rocks;
mod slots;
pub mod state_log;
mod store;
mod tables;
mod untimed;
mod waiting;

pub use announced::Announced;
pub use checkpoint::check_files;
pub use commit::{CommitPort, Delta, Embedded, Outputs, Transaction};
pub use counters::{Counters, RejectedByCode};
pub use error::{Error, ErrorKind};
pub use identity::Seeds;
pub use lineage::record_hash;
pub use partition::{
    Before, ChangedCalendar, Clock, ExplainedRecord, Explanation, MovedScope, Origin, Partition,
    Received, Routing, Verdict,
};
pub use query::{PeriodTotal, Query};
pub use rocks::StoreMemory;
pub use store::{Layout, SavedSource, Store};
pub use tables::{Entry, StoreUsage, Table, Tables, Visit};
pub use waiting::{Cause, Waiting};
