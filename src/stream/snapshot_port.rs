//! The snapshot port: whoever takes snapshots of a partition's store while it is rated.
//!
//! Behind it is an object store, or the model of one that the simulation drives. Nothing that it is
//! asked for may take long: what does is done elsewhere, and asked after later. What goes wrong
//! there costs the snapshot, never the partition.

use super::stop::Stop;
use aggregator::state_log::LogPosition;
use aggregator::{Announced, Store};
use std::fmt::Debug;
use std::time::Duration;

/// Takes snapshots of one partition.
pub trait Snapshots: Debug {
    /// Takes a snapshot of the store, which holds the log up to `at` and nothing else, if one is
    /// due. `elapsed` is the time since some moment.
    ///
    /// # Errors
    /// [`Stop`] if the store is no good.
    fn take(&mut self, store: &Store, at: LogPosition, elapsed: Duration) -> Result<(), Stop>;

    /// A snapshot that is complete, and is to be announced.
    fn complete(&mut self) -> Option<Announced>;

    /// Says which snapshots committed transactions told of last, older first.
    fn announced(&mut self, snapshots: Vec<Announced>);
}
