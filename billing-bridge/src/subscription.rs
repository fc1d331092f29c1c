//! Rating subscriptions: which plan rates the usage of a reference, from when to when.
//!
//! Order products add up to it day by day: a renewal lets it go on, a change may bring another
//! plan, and where nothing is left of what meters usage, it ends.

use crate::order_book::{OrderBook, Ordered};
use rating::{Cycle, Date, Quantity};
use std::collections::{BTreeMap, BTreeSet};

/// A stretch of time in which one plan rates the usage of a subscription. Stretches of one
/// subscription do not overlap and come in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderedSubscription {
    /// The subscription: the reference of its order products.
    pub id: String,
    /// Whose it is.
    pub customer: String,
    /// The key of the plan.
    pub plan: String,
    /// First day.
    pub start: Date,
    /// Last day; `None` where no end is in sight.
    pub end: Option<Date>,
    /// Its billing periods.
    pub cycle: Cycle,
}

impl OrderBook {
    /// The subscriptions that order products with a plan create or change, by id and time.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<OrderedSubscription> {
        let mut metered: BTreeMap<&str, Vec<&Ordered>> = BTreeMap::new();
        for ordered in self.ordered().iter().filter(|ordered| ordered.product.plan.is_some()) {
            metered.entry(&ordered.product.reference).or_default().push(ordered);
        }
        metered.values().flat_map(|ordered| stretches(ordered)).collect()
    }
}

fn stretches(ordered: &[&Ordered]) -> Vec<OrderedSubscription> {
    let starts = ordered.iter().map(|one| one.product.start);
    let ends = ordered.iter().filter_map(|one| one.product.end?.tomorrow().ok());
    let dates: BTreeSet<Date> = starts.chain(ends).collect();
    let mut stretches: Vec<OrderedSubscription> = Vec::new();
    let mut dates = dates.into_iter().peekable();
    while let Some(date) = dates.next() {
        let end = dates.peek().and_then(|next| next.yesterday().ok());
        let Some((plan, in_force)) = plan_on(ordered, date) else { continue };
        let goes_on = stretches.last_mut().filter(|last| {
            let touches = last.end.and_then(|end| end.tomorrow().ok()) == Some(date);
            touches && last.plan == plan && last.cycle == in_force.terms.cycle
        });
        if let Some(last) = goes_on {
            last.end = end;
        } else {
            stretches.push(OrderedSubscription {
                id: in_force.product.reference.clone(),
                customer: in_force.customer.clone(),
                plan: plan.to_owned(),
                start: date,
                end,
                cycle: in_force.terms.cycle.clone(),
            });
        }
    }
    stretches
}

/// The plan that rates on `date`: of those with something left, the one that started last.
fn plan_on<'a>(ordered: &[&'a Ordered], date: Date) -> Option<(&'a str, &'a Ordered)> {
    let mut left: BTreeMap<&str, (i128, bool)> = BTreeMap::new();
    let in_force = ordered
        .iter()
        .copied()
        .filter(|one| one.product.start <= date && one.product.end.is_none_or(|end| date <= end));
    for one in in_force.clone() {
        let quantity = one.product.quantity.unwrap_or_default();
        let (sum, is_reduced) = left.entry(one.product.plan.as_deref()?).or_default();
        *sum = sum.saturating_add(quantity.scaled());
        *is_reduced |= quantity < Quantity::ZERO;
    }
    let adding = in_force.filter(|one| one.product.quantity >= Some(Quantity::ZERO));
    let alive = adding.filter(|one| {
        let plan = one.product.plan.as_deref().unwrap_or_default();
        // A quantity of 0 only names the plan; it is over once something was taken away from it.
        left.get(plan).is_some_and(|(sum, is_reduced)| *sum > 0 || (*sum == 0 && !is_reduced))
    });
    let last = alive.max_by_key(|one| one.product.start)?;
    Some((last.product.plan.as_deref()?, last))
}

#[cfg(test)]
mod tests {
    use crate::test_support::book;

    /// Order products as (activated on, kind, quantity, plan, start, end), one order each.
    #[track_caller]
    fn check(lines: &[[&str; 6]], wanted: &[&str]) {
        let orders: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, [activated_on, kind, quantity, plan, start, end])| {
                format!(
                    r#"{{"id":"O{at}","customer":"CUS-1","kind":"{kind}",
                    "activated_on":"{activated_on}",
                    "order_products":[{{"id":"P{at}","sku":"U","reference":"S",
                    "quantity":{quantity},
                    "plan":{plan},"start":"{start}","end":{end}}}]}}"#
                )
            })
            .collect();
        let document = format!(
            r#"{{"products":[{{"sku":"U","provisions":"subscription",
            "revenue_model":"overage_usage"}}],
            "orders":[{}]}}"#,
            orders.join(",")
        );
        let shown: Vec<String> = book(&document)
            .subscriptions()
            .iter()
            .map(|one| {
                let end = one.end.map_or_else(String::new, |end| end.to_string());
                format!("{} {}..{end}", one.plan, one.start)
            })
            .collect();
        assert_eq!(shown, wanted);
    }

    const NEW: [&str; 6] =
        ["2026-01-01", "new", "1", "\"USD-pro\"", "2026-01-01", "\"2026-12-31\""];

    #[test]
    fn a_renewal_lets_the_plan_go_on() {
        let renewal = ["2026-12-01", "renewal", "1", "null", "2027-01-01", "\"2027-12-31\""];
        check(&[NEW, renewal], &["USD-pro 2026-01-01..2027-12-31"]);
        let late = ["2026-12-01", "renewal", "1", "null", "2027-02-01", "null"];
        check(&[NEW, late], &["USD-pro 2026-01-01..2026-12-31", "USD-pro 2027-02-01.."]);
    }

    #[test]
    fn a_change_brings_another_plan_and_a_cancellation_ends_it() {
        let change = ["2026-03-01", "change", "1", "\"USD-max\"", "2026-04-01", "\"2026-12-31\""];
        check(
            &[NEW, change],
            &["USD-pro 2026-01-01..2026-03-31", "USD-max 2026-04-01..2026-12-31"],
        );
        let cancel = ["2026-05-01", "cancel", "-1", "null", "2026-06-01", "\"2026-12-31\""];
        check(&[NEW, cancel], &["USD-pro 2026-01-01..2026-05-31"]);
        let shift = ["2026-03-01", "change", "0", "\"USD-max\"", "2026-04-01", "\"2026-12-31\""];
        check(&[NEW, shift], &["USD-pro 2026-01-01..2026-03-31", "USD-max 2026-04-01..2026-12-31"]);
    }
}
