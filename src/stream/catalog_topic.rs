//! The catalog in force, and the board on which everybody finds it, and which partitions of this
//! instance do not fit it.

use rating::Catalog;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What helps a partition that does not fit the catalog in force.
pub(super) const REMEDY: &str =
    "put a catalog in force that fits what was rated, such as the one before";

/// The catalog in force, and how much of its topic made it.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// How much of the topic made it, in records; `None` where the catalog is a file.
    pub position: Option<u64>,
    /// Whether it is there: a topic must have been read to its end first.
    pub is_known: bool,
}

/// Where everybody finds the catalog in force.
#[derive(Debug)]
pub(crate) struct CatalogBoard {
    in_force: Mutex<InForce>,
    /// Why partitions do not fit it.
    unfit: Mutex<BTreeMap<u32, String>>,
}

impl CatalogBoard {
    pub(crate) const fn new(first: InForce) -> Self {
        Self { in_force: Mutex::new(first), unfit: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, newer: InForce) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// Why partitions of this instance do not fit what is in force: a record was rated between the
    /// question whether it fits and the moment it was in force, or nobody asked.
    pub(super) fn unfit(&self) -> BTreeMap<u32, String> {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes whether a partition takes what is in force.
    pub(super) fn note(&self, partition: u32, taken: &Result<(), String>) {
        match taken {
            Ok(()) => self.note_fit(partition),
            Err(reason) => self.note_unfit(partition, reason.clone()),
        }
    }

    pub(super) fn note_unfit(&self, partition: u32, reason: String) {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, reason);
    }

    /// Notes that a partition fits, or is not of this instance any more.
    pub(super) fn note_fit(&self, partition: u32) {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }
}
