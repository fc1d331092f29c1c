#![doc = include_str!("../README.md")]

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
mod slots;
mod store;
mod waiting;

pub use commit::{CommitPort, Delta, Embedded, Outputs, Transaction};
pub use counters::Counters;
pub use error::{Error, ErrorKind};
pub use identity::Seeds;
pub use lineage::record_hash;
pub use partition::{
    Clock, ExplainedRecord, Explanation, MovedScope, Origin, Partition, Received, Verdict,
};
pub use query::{PeriodTotal, Query};
pub use store::{SavedSource, Store, Table};
pub use waiting::{Cause, Waiting};
