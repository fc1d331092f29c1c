//! What is known of a subscription, asset or entitlement by the orders so far.
//!
//! Where a line that names it has a fault, the reference has the benefit of the doubt: what the
//! line may have meant to say is taken for said, so that one cause makes one fault.

use super::fact::Fact;
use crate::order::Kind;
use crate::product::{Product, Provision, RevenueModel};
use rating::{Currency, Date, Quantity};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Reference<'a> {
    pub(super) owner: Fact<&'a str>,
    pub(super) provision: Fact<Provision>,
    /// What it is charged in.
    pub(super) currency: Fact<Currency>,
    /// What its usage is charged in.
    pub(super) plan_currency: Fact<Currency>,
    /// The products that have a plan on it, each with the one that was named last, if it is known.
    planned: BTreeMap<&'a str, Option<&'a str>>,
    /// Whether any product may have a plan on it.
    is_plan_doubtful: bool,
    /// Changes of the quantity by day: of what is charged, and of what meters usage. The two are
    /// not units of one thing.
    changes: [BTreeMap<Date, i128>; 2],
    /// Whether there may be any number of it, or too few were told already.
    is_uncounted: bool,
}

/// How many units a line adds or takes away, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    pub(super) quantity: Quantity,
    pub(super) start: Date,
    pub(super) end: Option<Date>,
}

/// The quantity of a line that states none: of usage there is one, and a cancellation takes it.
pub(super) fn unstated_quantity(kind: Kind, product: &Product) -> Option<Quantity> {
    let units = if kind == Kind::Cancel { -1 } else { 1 };
    let usage = product.revenue_model == RevenueModel::OverageUsage;
    if usage { Quantity::from_units(units) } else { None }
}

impl<'a> Reference<'a> {
    /// One of which nothing is known but its name.
    pub(super) fn doubtful() -> Self {
        Self {
            owner: Fact::Doubtful,
            provision: Fact::Doubtful,
            currency: Fact::Doubtful,
            plan_currency: Fact::Doubtful,
            is_plan_doubtful: true,
            ..Self::default()
        }
    }

    /// Adds the units of a line of `product`; `None` where that is unknown. Units that are unknown
    /// may be any number.
    pub(super) fn count(&mut self, units: Option<Units>, product: Option<&Product>) {
        let Some(units) = units else {
            self.is_uncounted = true;
            return;
        };
        if let Some(product) = product {
            add(self.changes_mut(product), units);
        } else if units.quantity > Quantity::ZERO {
            self.changes.iter_mut().for_each(|changes| add(changes, units));
        }
    }

    /// Notes that a product has a plan here; any may if it is unknown.
    pub(super) fn plan(&mut self, sku: Option<&'a str>, plan: Option<&'a str>) {
        self.is_plan_doubtful |= sku.is_none();
        self.planned.extend(sku.map(|sku| (sku, plan)));
    }

    /// Whether any product has a plan here, or may have.
    pub(super) fn is_planned(&self) -> bool {
        self.is_plan_doubtful || !self.planned.is_empty()
    }

    /// The plan that an order product of `sku` has that names none, where that is known.
    pub(super) fn plan_of(&self, sku: &str) -> Option<&'a str> {
        self.planned.get(sku).copied().flatten()
    }

    /// Whether an order product of `sku` that names no plan has one all the same.
    pub(super) fn has_plan(&self, sku: &str) -> bool {
        self.is_plan_doubtful || self.planned.contains_key(sku)
    }

    /// The first day on which less than nothing would be left; told only once, for what comes
    /// later is short because of it.
    pub(super) fn shortage(&mut self, product: &Product) -> Option<(Date, Quantity)> {
        if self.is_uncounted {
            return None;
        }
        let mut left = 0i128;
        let short = self.changes_mut(product).iter().find_map(|(date, change)| {
            left = left.saturating_add(*change);
            (left < 0).then(|| (*date, Quantity::from_scaled(left)))
        });
        self.is_uncounted = short.is_some();
        short
    }

    fn changes_mut(&mut self, product: &Product) -> &mut BTreeMap<Date, i128> {
        let [charged, metered] = &mut self.changes;
        if product.revenue_model == RevenueModel::OverageUsage { metered } else { charged }
    }
}

fn add(changes: &mut BTreeMap<Date, i128>, units: Units) {
    let quantity = units.quantity.scaled();
    *changes.entry(units.start).or_default() += quantity;
    if let Some(after) = units.end.and_then(|end| end.tomorrow().ok()) {
        *changes.entry(after).or_default() -= quantity;
    }
}
