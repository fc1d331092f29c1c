//! Charges: what a plan bills for one meter, and the terms in force at an instant.

use crate::catalog::MeterId;
use crate::instant::Instant;
use crate::json::Value;
use crate::meter::Meter;
use crate::money::{Amount, Price};
use crate::price::PriceModel;
use crate::quantity::Quantity;
use std::sync::Arc;

/// The values of a dimension that a charge takes.
pub type Filter = Vec<(String, Vec<String>)>;

/// What a plan bills for the records of one meter that pass a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Its name within the plan.
    pub key: String,
    /// The meter whose records it takes; `None` only for a flat price.
    pub meter: Option<MeterId>,
    /// Dimensions and the values of them that it takes; empty takes all.
    pub filter: Filter,
    /// Units free of charge in each scope.
    pub included: Quantity,
    /// How the overage is priced.
    pub model: PriceModel,
    /// What a period costs at least.
    pub minimum: Option<Price>,
    /// What a period costs at most; the minimum wins over it.
    pub maximum: Option<Price>,
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

    /// The units of a position that are priced: those beyond the included ones, never below 0.
    #[must_use]
    pub fn billable(&self, position: Quantity) -> Option<Quantity> {
        Some(position.checked_sub(self.included)?.max(Quantity::ZERO))
    }

    /// `P(position)`: what a period costs, before any bound, when its quantity stands there.
    #[must_use]
    pub fn amount_at(&self, position: Quantity) -> Option<Amount> {
        self.model.amount(self.billable(position)?)
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
}

impl Timeline {
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
