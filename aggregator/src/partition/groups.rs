//! Groups: since when records of a meter have been asked for a dimension.
//!
//! A record is kept with the dimensions that its meter knew when it came. One that the meter
//! learned later cannot be found in it, and it must not be taken for one without a value.

use super::Partition;
use crate::codec::{Reader, put_signed};
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{GROUP, group_key};
use crate::tables::Table;
use rating::{Catalog, Instant, Meter, Path, Period, PriceModel, Timeline};
use std::collections::BTreeSet;

impl Partition {
    /// Notes the dimensions that a catalog asks records for from now on, and those that it asks for
    /// no more; durable with the next commit.
    pub(super) fn new_groups(&self, catalog: &Catalog) -> Result<Delta, Error> {
        let mut new = Delta::default();
        let asked = catalog.meters().iter().flat_map(|meter| {
            meter.group_by.iter().map(move |(name, path)| group_key(meter, (name, path)))
        });
        let asked: BTreeSet<Vec<u8>> = asked.collect();
        self.store.scan_prefix(Table::Meta, GROUP, |key, _| {
            if !asked.contains(key) {
                new.delete(Table::Meta, key);
            }
            Ok(())
        })?;
        for meter in catalog.meters() {
            for (name, path) in &meter.group_by {
                if self.group_known_since(meter, (name, path))?.is_none() {
                    let mut since = Vec::new();
                    put_signed(&mut since, self.unused_since().nanos());
                    new.put(Table::Meta, &group_key(meter, (name, path)), &since);
                }
            }
        }
        Ok(new)
    }

    /// From when on records have all dimensions that the matrices of a scope look at.
    pub(super) fn dimensions_known_since(
        &self,
        catalog: &Catalog,
        timeline: &Timeline,
        span: Period,
    ) -> Result<Instant, Error> {
        let mut known = Instant::MIN;
        for (_, charge) in timeline.within(span) {
            let PriceModel::Matrix(matrix) = &charge.model else { continue };
            let meter = charge.meter.and_then(|id| catalog.meter(id));
            let meter = meter.ok_or(Error::Damaged { what: "list of meters" })?;
            let looked_at = meter.group_by.iter();
            for (name, path) in looked_at.filter(|(name, _)| matrix.dimensions().contains(name)) {
                let since = self.group_known_since(meter, (name, path))?;
                known = known.max(since.unwrap_or_else(|| self.unused_since()));
            }
        }
        Ok(known)
    }

    fn group_known_since(
        &self,
        meter: &Meter,
        dimension: (&str, &Path),
    ) -> Result<Option<Instant>, Error> {
        let found = self.store.get(Table::Meta, &group_key(meter, dimension))?;
        let read = |bytes: Vec<u8>| {
            Reader::new(&bytes).instant().ok_or(Error::Damaged { what: "dimension of a meter" })
        };
        found.map(read).transpose()
    }

    /// From when on nothing has been rated yet.
    fn unused_since(&self) -> Instant {
        match self.used_until {
            Instant::MIN => Instant::MIN,
            until => Instant::from_nanos(until.nanos().saturating_add(1)),
        }
    }
}
