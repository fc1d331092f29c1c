#![doc = include_str!("../README.md")]

mod codec;
mod commit;
mod counters;
mod dedupe;
mod error;
mod identity;
mod keys;
pub mod limits;
mod lineage;
mod partition;
mod query;
mod rated;
mod slots;
mod store;

pub use commit::{CommitPort, Delta, Embedded, Outputs, Transaction};
pub use counters::Counters;
pub use error::{Error, ErrorKind};
pub use identity::Seeds;
pub use lineage::record_hash;
pub use partition::{Origin, Partition, Verdict};
pub use query::{PeriodTotal, Query};
pub use store::{SavedSource, Store, Table};
