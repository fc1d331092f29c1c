//! The catalog in force, and the board on which everybody finds it.

use rating::Catalog;
use std::sync::{Arc, Mutex, PoisonError};

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
pub(crate) struct CatalogBoard(Mutex<InForce>);

impl CatalogBoard {
    pub(crate) const fn new(first: InForce) -> Self {
        Self(Mutex::new(first))
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, newer: InForce) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = newer;
    }
}
