//! What billing needs of the catalog, and what the catalog takes from orders.

use crate::failure::Failure;
use billing_bridge::{CustomerFacts, Customers, OrderBook, OrderedSubscription};
use rating::{
    Catalog, Currency, CycleRule, Date, Instant, Plan, Subject, Subscription, SubscriptionEntry,
};
use std::collections::BTreeSet;

/// Answers billing's questions from the catalog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatalogPort<'a>(pub(crate) &'a Catalog);

impl Customers for CatalogPort<'_> {
    fn customer(&self, id: &str) -> Option<CustomerFacts> {
        let customer = self.0.customer(id)?;
        let own = customer.subscriptions.iter().filter_map(|id| self.0.subscription_at(*id));
        let start_of = |subscription: &Subscription| -> Date {
            customer.zone.to_datetime(subscription.active.start.to_timestamp()).date()
        };
        Some(CustomerFacts {
            zone: customer.zone.clone(),
            settings: customer.settings,
            first_subscription_start: own.map(start_of).min(),
        })
    }

    fn plan_currency(&self, key: &str) -> Option<Currency> {
        self.0.plan(key).map(|plan| plan.currency)
    }

    fn plan_start(&self, key: &str) -> Option<(Date, Instant)> {
        let first = self.0.plan(key).and_then(Plan::first_version)?;
        Some((first.first_day(), first.effective_from))
    }

    fn subscription_customer(&self, id: &str) -> Option<String> {
        let subscription = self.0.subscription(id)?;
        self.0.customer_at(subscription.customer).map(|customer| customer.id.clone())
    }

    fn subscription_plan(&self, id: &str) -> Option<String> {
        let subscription = self.0.subscription(id)?;
        self.0.plan_of(subscription).map(|plan| plan.key.clone())
    }

    fn is_taken(&self, name: &str) -> bool {
        match self.0.subject(name) {
            Some(Subject::Customer(_)) => true,
            // One that could not be read has its names, but nobody knows which is its id.
            Some(Subject::Subscription(id)) => {
                self.0.subscription_at(id).is_some_and(|other| other.id != name)
            }
            None => false,
        }
    }

    fn customer_ids(&self) -> Vec<&str> {
        self.0.customers().iter().map(|customer| customer.id.as_str()).collect()
    }

    fn plan_keys(&self) -> Vec<&str> {
        self.0.plans().iter().map(|plan| plan.key.as_str()).collect()
    }
}

/// Adds the subscriptions that orders create, and lets orders decide billing periods.
///
/// Where orders contradict the catalog they were refused with their places when they were read, so
/// that nothing is left to go wrong here unless the catalog is another one.
pub(crate) fn take_orders(catalog: &mut Catalog, book: &OrderBook) -> Result<(), Failure> {
    let port = CatalogPort(catalog);
    let in_catalog: BTreeSet<String> =
        catalog.subscriptions().iter().map(|subscription| subscription.id.clone()).collect();
    let mut cycles: Vec<Option<CycleRule>> = Vec::new();
    for customer in catalog.customers() {
        let facts = port.customer(&customer.id);
        cycles.push(facts.map(|facts| {
            let cycle = book.cycle_of(&customer.id, &facts);
            CycleRule { length: cycle.length, day: cycle.day, month: cycle.month }
        }));
    }
    let mut faults = Vec::new();
    for ordered in book.subscriptions() {
        // What the catalog itself says of a subscription stands, so an order must not say other.
        if in_catalog.contains(&ordered.id) {
            let own = catalog.subscription(&ordered.id).and_then(|own| catalog.plan_of(own));
            if own.is_some_and(|own| own.key == ordered.plan) {
                continue;
            }
            let text = "the catalog and an order name different plans";
            faults.push(format!("subscription \"{}\": {text}", ordered.id));
            continue;
        }
        let OrderedSubscription { id, customer, plan, start, end, renewals, cycle } = ordered;
        let name = id.clone();
        let cycle = Some(CycleRule { length: cycle.length, day: cycle.day, month: cycle.month });
        let entry = SubscriptionEntry::new(id, customer, plan, start);
        let entry = SubscriptionEntry { end, renewals, cycle, ..entry };
        if let Err(reason) = catalog.add_subscription(entry) {
            faults.push(format!("subscription \"{name}\": {reason}"));
        }
    }
    if !faults.is_empty() {
        return Err(Failure::Input(faults));
    }
    let mut cycles = cycles.into_iter();
    catalog.set_cycles(|_| cycles.next().flatten());
    catalog.finish();
    Ok(())
}
