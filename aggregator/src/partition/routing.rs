//! Routing: which partition a customer's records belong to.

use super::Partition;
use crate::error::Error;
use crate::tables::Table;
use rating::{Catalog, CustomerId};
use std::sync::Arc;

/// Where a state notes what spreads customers.
const PARTITIONER: &str = "partitioner";
/// What spread them before states noted it.
const FIRST_PARTITIONER: &str = "murmur2";

/// The partition of every customer.
#[derive(Clone)]
pub struct Routing {
    /// This partition.
    pub own: u32,
    /// The name of what spreads customers over partitions: it does not change while there is usage.
    pub partitioner: &'static str,
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
    ///
    /// # Errors
    /// [`Error::Refused`] if customers were spread otherwise so far: a record that came before
    /// would be rated again by the partition that its owner moves to.
    pub fn route(&mut self, routing: Routing) -> Result<(), Error> {
        let name = routing.partitioner;
        match self.store.meta(PARTITIONER)? {
            Some(found) if found == name.as_bytes() => {}
            None if self.counters().read == 0 || name == FIRST_PARTITIONER => {
                self.transaction.delta.put(Table::Meta, PARTITIONER.as_bytes(), name.as_bytes());
            }
            found => {
                let found = found.unwrap_or_else(|| FIRST_PARTITIONER.into());
                let found = String::from_utf8_lossy(&found);
                let reason = format!(
                    "customers were spread by \"{found}\" when it was begun, not by \"{name}\": \
                     records that come again would be rated again elsewhere; set \
                     kafka.partitioner = \"{found}\", or begin with other topics and another state"
                );
                let directory = self.store.directory().to_owned();
                return Err(Error::Refused { directory, reason });
            }
        }
        self.routing = Some(routing);
        self.homes = self.homes_of(&Arc::clone(&self.catalog));
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::super::trial::{Told, Trial};
    use super::*;

    const CATALOG: &str = r#"{"meters":[{"key":"m","event_type":"e","aggregation":"sum",
        "value":"$.n"}],"plans":[{"key":"p","version":1,"effective_from":"2025-01-01T00:00:00Z",
        "currency":"EUR","charges":[{"key":"c","meter":"m","price":{"model":"per_unit",
        "unit_price":"1"}}]}],"customers":[{"id":"C","time_zone":"UTC"}],"subscriptions":[
        {"id":"S","customer":"C","plan":"p","start":"2026-01-01"}]}"#;

    fn by(partitioner: &'static str) -> Routing {
        Routing { own: 0, partitioner, home: Arc::new(|_| 0) }
    }

    fn refused(trial: &mut Trial, partitioner: &'static str) -> Option<String> {
        trial.take(CATALOG).unwrap();
        trial.partition().route(by(partitioner)).err().map(|error| error.to_string())
    }

    /// Records that came again were rated again by the partition that their owner had moved to.
    #[test]
    fn what_spreads_customers_stays_while_there_is_usage() {
        let mut trial = Trial::new(CATALOG);
        trial.partition().route(by("crc32")).unwrap();
        trial.rate(&[Told("r1", "2026-01-14T10:00:00", "C", r#"{"n":"1"}"#)]);
        assert_eq!(refused(&mut trial, "crc32"), None);
        let reason = refused(&mut trial, "murmur2").unwrap();
        assert!(reason.contains("kafka.partitioner = \"crc32\""), "{reason}");
    }

    #[test]
    fn a_state_from_before_it_was_noted_knows_what_it_was() {
        let mut trial = Trial::new(CATALOG);
        assert_eq!(refused(&mut trial, "fnv1a"), None, "without usage any will do");
        let mut trial = Trial::new(CATALOG);
        trial.rate(&[Told("r1", "2026-01-14T10:00:00", "C", r#"{"n":"1"}"#)]);
        assert!(refused(&mut trial, "fnv1a").is_some_and(|reason| reason.contains("murmur2")));
        assert_eq!(refused(&mut trial, "murmur2"), None);
    }
}
