//! Routing: which partition a customer's records belong to.

use super::Partition;
use rating::{Catalog, CustomerId};
use std::sync::Arc;

/// The partition of every customer.
#[derive(Clone)]
pub struct Routing {
    /// This partition.
    pub own: u32,
    /// The partition of a customer's id.
    pub home: Arc<dyn Fn(&str) -> u32 + Send + Sync>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routing({})", self.own)
    }
}

impl Partition {
    /// Sends records of customers that belong to other partitions on their way.
    pub fn route(&mut self, routing: Routing) {
        self.routing = Some(routing);
        self.homes = self.homes_of(&Arc::clone(&self.catalog));
    }

    pub(super) fn homes_of(&self, catalog: &Catalog) -> Vec<u32> {
        let Some(routing) = &self.routing else { return Vec::new() };
        catalog.customers().iter().map(|one| (routing.home)(&one.id)).collect()
    }

    /// The partition that a customer's records belong to, if it is not this one.
    pub(super) fn elsewhere(&self, customer: CustomerId) -> Option<u32> {
        let home = self.homes.get(customer.0 as usize).copied()?;
        self.routing.as_ref().is_some_and(|routing| routing.own != home).then_some(home)
    }
}
