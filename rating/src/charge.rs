//! Charges: what a plan bills for one meter, and the terms in force at an instant.

use crate::aggregation::Aggregation;
use crate::catalog::MeterId;
use crate::content::ContentDigest;
use crate::dimension::DimensionHash;
use crate::instant::Instant;
use crate::json::Value;
use crate::meter::Meter;
use crate::money::{Amount, Price};
use crate::period::Period;
use crate::price::PriceModel;
use crate::quantity::Quantity;
use crate::scope::Scope;
use crate::share::Share;
use crate::unit::Unit;
use smallvec::SmallVec;
use std::sync::Arc;

/// The values of a dimension that a charge takes.
pub type Filter = Vec<(String, Vec<String>)>;

/// Which of a charge's numbers shrink with a period that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prorated {
    /// The included units.
    pub included: bool,
    /// The minimum.
    pub minimum: bool,
    /// The amount of a flat price.
    pub flat: bool,
}

/// What a plan bills for the records of one meter that pass a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Its name within the plan.
    pub key: String,
    /// The meter whose records it takes; `None` only for a flat price.
    pub meter: Option<MeterId>,
    /// How that meter's records become a quantity.
    pub aggregation: Aggregation,
    /// Dimensions and the values of them that it takes; empty takes all.
    pub filter: Filter,
    /// Where position, tiers and included units begin anew.
    pub scope: Scope,
    /// The unit that is priced, where it is not the one that is metered.
    pub unit: Option<Unit>,
    /// Units free of charge in each scope, in the unit that is priced.
    pub included: Quantity,
    /// How the overage is priced.
    pub model: PriceModel,
    /// Percent of the usage amount that are not owed, 0 to 100.
    pub discount_percent: Price,
    /// What a period costs at least.
    pub minimum: Option<Price>,
    /// What a period costs at most; the minimum wins over it.
    pub maximum: Option<Price>,
    /// What shrinks with a period that is not whole.
    pub prorated: Prorated,
}

impl Charge {
    /// Whether a record with this data passes the filter.
    #[must_use]
    pub fn takes(&self, meter: &Meter, data: Option<Value<'_>>) -> bool {
        self.filter.iter().all(|(dimension, values)| {
            meter
                .dimension(dimension, data)
                .is_some_and(|found| values.iter().any(|value| *value == found))
        })
    }

    /// Whether a total holds all that this charge needs: the sum of its records, without parts
    /// by scope or cell.
    #[must_use]
    pub fn is_simple(&self) -> bool {
        self.scope == Scope::BillingPeriod && self.aggregation.adds_up() && self.model.is_plain()
    }

    /// The units of a position that are priced: those beyond the included ones, never below 0.
    ///
    /// `share` is how much of its scope the subscription was active in.
    #[must_use]
    pub fn billable(&self, position: Quantity, share: Share) -> Option<Quantity> {
        let units = match &self.unit {
            None => position,
            Some(unit) => unit.convert(position)?,
        };
        let included =
            if self.prorated.included { share.of(self.included)? } else { self.included };
        Some(units.checked_sub(included)?.max(Quantity::ZERO))
    }

    /// `P(position)`: what a scope costs, before any bound, when its quantity stands there.
    #[must_use]
    pub fn amount_at(&self, position: Quantity, share: Share) -> Option<Amount> {
        self.priced(&self.model, position, share)
    }

    /// `P(0)`, as [`Charge::amount_at`] gives it for a position of 0, which nothing converts or
    /// includes into anything but 0.
    #[must_use]
    pub fn amount_at_zero(&self, share: Share) -> Option<Amount> {
        match &self.model {
            PriceModel::PerUnit { .. } | PriceModel::Package { .. } => Some(Amount::ZERO),
            PriceModel::Graduated(tiers)
            | PriceModel::Volume(tiers)
            | PriceModel::Stairstep(tiers) => Some(tiers.amount_at_zero()),
            PriceModel::Flat { .. } | PriceModel::Percentage(_) | PriceModel::Matrix(_) => {
                self.amount_at(Quantity::ZERO, share)
            }
        }
    }

    /// `P(position)` by a price of this charge: its own, or that of a cell.
    #[must_use]
    pub fn priced(&self, model: &PriceModel, position: Quantity, share: Share) -> Option<Amount> {
        match model {
            PriceModel::Flat { amount } if self.prorated.flat => {
                share.of_price(*amount).map(Price::once)
            }
            PriceModel::Flat { amount } => Some(amount.once()),
            // Without records, whatever is priced by the record costs nothing.
            PriceModel::Percentage(_) => Some(Amount::ZERO),
            PriceModel::PerUnit { .. }
            | PriceModel::Package { .. }
            | PriceModel::Graduated(_)
            | PriceModel::Volume(_)
            | PriceModel::Stairstep(_)
            | PriceModel::Matrix(_) => model.amount(self.billable(position, share)?),
        }
    }
}

/// A charge as it is in force from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// When these terms came into force.
    pub from: Instant,
    /// The plan version that they come from.
    pub plan_version: u32,
    /// The start of the youngest override among them, if there is one.
    pub override_from: Option<Instant>,
    /// A digest of the version and of all overrides in force, by which a change of what was rated
    /// by them is noticed.
    pub digest: u64,
    /// The charge itself; `None` where this version of the plan has none of that key.
    pub charge: Option<Arc<Charge>>,
}

/// All terms of one charge key through time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The charge's name within the plan.
    pub key: String,
    /// In order of `from`; never empty.
    pub terms: Vec<Terms>,
    /// Whether every charge of it is simple: [`Charge::is_simple`].
    pub is_simple: bool,
    /// Whether its charges sort records into cells differently: [`PriceModel::grid`].
    pub changes_grid: bool,
}

/// The names of the cells that a record counts in.
pub type Cells<'c> = SmallVec<[&'c str; 1]>;

impl Timeline {
    /// Lays out a charge through time.
    #[must_use]
    pub fn new(key: String, terms: Vec<Terms>) -> Self {
        let charges = || terms.iter().filter_map(|terms| terms.charge.as_deref());
        let is_simple = charges().all(Charge::is_simple);
        let mut grids = charges().map(|charge| charge.model.grid());
        let first = grids.next();
        let changes_grid = grids.any(|grid| Some(grid) != first);
        Self { key, terms, is_simple, changes_grid }
    }

    /// The cells that a record counts in: that of its own terms, and behind it those in which the
    /// later terms of its scope find it, so that a price that comes within the scope goes on from
    /// all that was used before.
    #[must_use]
    pub fn cells_of<'c>(
        &'c self,
        at: Instant,
        scope: Period,
        dimensions: &[DimensionHash],
    ) -> Cells<'c> {
        let mut cells = Cells::new();
        for (_, charge) in self.within(Period { start: at, end: scope.end }) {
            let cell = charge.model.cell_of(dimensions);
            if !cells.contains(&cell) {
                cells.push(cell);
            }
            if !self.changes_grid {
                break;
            }
        }
        cells
    }

    /// A digest of the grids that a scope meets, in their order and with the times of their
    /// changes; 0 where there is one.
    // Frozen: states keep it.
    #[must_use]
    pub fn grids_of(&self, scope: Period) -> u64 {
        if !self.changes_grid {
            return 0;
        }
        let mut last = None;
        let mut changes = Vec::new();
        for (terms, charge) in self.within(scope) {
            let grid = charge.model.grid();
            if last.is_some_and(|last| last != grid) {
                let from = terms.from.nanos().unsigned_abs();
                let low = u64::try_from(from & u128::from(u64::MAX)).unwrap_or_default();
                changes.extend(last.filter(|_| changes.is_empty()));
                changes.extend([low, grid]);
            }
            last = Some(grid);
        }
        if changes.is_empty() { 0 } else { ContentDigest::of_digests(changes) }
    }

    /// The terms that are in force at some time of a stretch, with the charge.
    pub fn within(&self, stretch: Period) -> impl Iterator<Item = (&Terms, &Charge)> {
        let first = self.terms.iter().rposition(|terms| terms.from <= stretch.start).unwrap_or(0);
        let terms = self.terms.iter().skip(first);
        let terms = terms.take_while(move |terms| terms.from < stretch.end);
        terms.filter_map(|terms| Some((terms, terms.charge.as_deref()?)))
    }

    /// A digest of all terms that are in force at some time from `start` to `last`, that one
    /// included.
    #[must_use]
    pub fn digest(&self, start: Instant, last: Instant) -> u64 {
        let first = self.terms.iter().rposition(|terms| terms.from <= start).unwrap_or(0);
        let terms = self.terms.iter().skip(first).take_while(|terms| terms.from <= last);
        // When the first of them came into force does not matter, as long as it was in time.
        ContentDigest::of_digests(terms.flat_map(|terms| {
            let from = terms.from.max(start).nanos().unsigned_abs();
            let low = u64::try_from(from & u128::from(u64::MAX)).unwrap_or_default();
            [low, terms.digest]
        }))
    }

    /// Whether a total holds all that is needed for a billing period.
    #[must_use]
    pub fn is_simple_in(&self, period: Period) -> bool {
        self.is_simple || self.within(period).all(|(_, charge)| charge.is_simple())
    }

    /// The terms in force at an instant; `None` before the first.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Option<&Terms> {
        self.terms.iter().rev().find(|terms| terms.from <= instant)
    }

    /// The terms in force at the end of a stretch of time that ends before `end`: the last with a
    /// charge, so that one that the plan dropped meanwhile is still settled by its own terms.
    #[must_use]
    pub fn at_end(&self, start: Instant, end: Instant) -> Option<&Terms> {
        let in_force = |terms: &&Terms| terms.from < end && terms.charge.is_some();
        let found = self.terms.iter().rev().find(in_force)?;
        let still_there =
            found.from >= start || self.at(start).is_some_and(|terms| terms.charge.is_some());
        still_there.then_some(found)
    }
}

#[cfg(test)]
mod tests;
