//! Rating subscriptions: which plan rates the usage of a reference, from when to when.
//!
//! Order products add up to it day by day: a renewal lets it go on in a new term, a change may
//! bring another plan, and where nothing is left of what meters usage, it ends. None of that
//! changes days that had passed before its order was activated, if a plan was in force on them.

use crate::order::Kind;
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
    /// First days of the terms behind the first: renewals that let it go on without a break.
    pub renewals: Vec<Date>,
    /// Its billing periods.
    pub cycle: Cycle,
}

/// Days on which the plan of one order product rates the usage of its reference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metered<'a> {
    pub(crate) by: &'a Ordered,
    pub(crate) start: Date,
    /// Last day; `None` where no end is in sight.
    pub(crate) end: Option<Date>,
}

impl OrderBook {
    /// The subscriptions that order products with a plan create or change, by id and time.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<OrderedSubscription> {
        let mut references: BTreeMap<&str, Vec<&Ordered>> = BTreeMap::new();
        for ordered in self.ordered().iter().filter(|ordered| ordered.product.plan.is_some()) {
            references.entry(&ordered.product.reference).or_default().push(ordered);
        }
        let mut subscriptions = Vec::with_capacity(references.len());
        for metered in references.values().map(|ordered| metered(ordered)) {
            for run in metered.chunk_by(Metered::goes_on) {
                let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
                subscriptions.extend(first.subscription(last.end, renewals(run)));
            }
        }
        subscriptions
    }
}

impl Metered<'_> {
    fn subscription(&self, end: Option<Date>, renewals: Vec<Date>) -> Option<OrderedSubscription> {
        Some(OrderedSubscription {
            id: self.by.product.reference.clone(),
            customer: self.by.customer.clone(),
            plan: self.by.product.plan.clone()?,
            start: self.start,
            end,
            renewals,
            cycle: self.by.terms.cycle.clone(),
        })
    }

    /// Whether `next` rates on without a break, by the same plan and periods.
    pub(crate) fn goes_on(&self, next: &Metered<'_>) -> bool {
        let touches = self.end.and_then(|end| end.tomorrow().ok()) == Some(next.start);
        let same_plan = self.by.product.plan == next.by.product.plan;
        touches && same_plan && self.by.terms.cycle == next.by.terms.cycle
    }
}

/// The days on which renewals begin to rate within a run of stretches that go on. One that
/// something else interrupted begins only once.
fn renewals(run: &[Metered<'_>]) -> Vec<Date> {
    let is_first = |at: usize, one: &Metered<'_>| {
        run.iter().take(at).all(|earlier| earlier.by.product.id != one.by.product.id)
    };
    let behind_the_first = run.iter().enumerate().skip(1);
    let renewals = behind_the_first
        .filter(|(at, one)| one.by.kind == Kind::Renewal && is_first(*at, one))
        .map(|(_, one)| one.start);
    renewals.collect()
}

/// Who meters one reference and when: its order products, in the order of their activation, day
/// by day. They do not overlap and come in the order of time.
pub(crate) fn metered<'a>(ordered: &[&'a Ordered]) -> Vec<Metered<'a>> {
    let with_plan = ordered.iter().copied().filter(|one| one.product.plan.is_some());
    let ordered: Vec<&Ordered> = with_plan.collect();
    let starts = ordered.iter().flat_map(|one| [one.product.start, one.activated_on]);
    let ends = ordered.iter().filter_map(|one| one.product.end?.tomorrow().ok());
    let dates: BTreeSet<Date> = starts.chain(ends).collect();
    let mut metered: Vec<Metered<'a>> = Vec::new();
    let mut dates = dates.into_iter().peekable();
    while let Some(start) = dates.next() {
        let end = dates.peek().and_then(|next| next.yesterday().ok());
        let Some(by) = metering_on(&ordered, start) else { continue };
        let next = Metered { by, start, end };
        match metered.last_mut() {
            Some(last) if last.by.product.id == by.product.id && last.goes_on(&next) => {
                last.end = end;
            }
            Some(_) | None => metered.push(next),
        }
    }
    metered
}

/// The order product that meters on `date`.
///
/// What is ordered later neither ends nor replaces what was in force on that day, for that is
/// rated and may be billed; it decides only where nothing was in force.
fn metering_on<'a>(ordered: &[&'a Ordered], date: Date) -> Option<&'a Ordered> {
    let mut known = ordered.partition_point(|one| one.activated_on <= date);
    loop {
        if let Some(found) = last_alive(ordered.get(..known)?, date) {
            return Some(found);
        }
        let next = ordered.get(known)?.activated_on;
        known = ordered.partition_point(|one| one.activated_on <= next);
    }
}

/// Of the order products in force whose plan has something left, the one that started last.
fn last_alive<'a>(ordered: &[&'a Ordered], date: Date) -> Option<&'a Ordered> {
    let mut left: BTreeMap<&str, Left> = BTreeMap::new();
    let mut in_all = Left::default();
    let in_force = ordered
        .iter()
        .copied()
        .filter(|one| one.product.start <= date && one.product.end.is_none_or(|end| date <= end));
    for one in in_force.clone() {
        let quantity = one.product.quantity.unwrap_or_default();
        left.entry(one.product.plan.as_deref()?).or_default().add(quantity);
        in_all.add(quantity);
    }
    let adding = in_force.filter(|one| one.product.quantity >= Some(Quantity::ZERO));
    let alive = adding.filter(|one| {
        let plan = one.product.plan.as_deref().unwrap_or_default();
        in_all.is_some() && left.get(plan).is_some_and(Left::is_some)
    });
    alive.max_by_key(|one| one.product.start)
}

/// What is left of a quantity.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    sum: i128,
    is_reduced: bool,
}

impl Left {
    fn add(&mut self, quantity: Quantity) {
        self.sum = self.sum.saturating_add(quantity.scaled());
        self.is_reduced |= quantity < Quantity::ZERO;
    }

    /// A quantity of 0 only names the plan; it is over once something was taken away from it.
    const fn is_some(&self) -> bool {
        self.sum > 0 || (self.sum == 0 && !self.is_reduced)
    }
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
                let again = one.renewals.iter().map(|first| format!(", anew {first}"));
                format!("{} {}..{end}{}", one.plan, one.start, again.collect::<String>())
            })
            .collect();
        assert_eq!(shown, wanted);
    }

    const NEW: [&str; 6] =
        ["2026-01-01", "new", "1", "\"USD-pro\"", "2026-01-01", "\"2026-12-31\""];

    #[test]
    fn a_renewal_lets_the_plan_go_on() {
        let renewal = ["2026-12-01", "renewal", "1", "null", "2027-01-01", "\"2027-12-31\""];
        check(&[NEW, renewal], &["USD-pro 2026-01-01..2027-12-31, anew 2027-01-01"]);
        let more = ["2027-02-01", "change", "1", "null", "2027-03-01", "\"2027-05-31\""];
        check(&[NEW, renewal, more], &["USD-pro 2026-01-01..2027-12-31, anew 2027-01-01"]);
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
        // Nothing is left of the reference, whichever plan what is taken away was of.
        check(
            &[NEW, shift, cancel],
            &["USD-pro 2026-01-01..2026-03-31", "USD-max 2026-04-01..2026-05-31"],
        );
    }

    /// A cancellation that was activated after its start took usage away that had been rated and
    /// billed. Now what was in force on a day stays, and only days without any are filled later.
    #[test]
    fn what_is_activated_late_leaves_the_days_before_as_they_were() {
        let cancel = ["2026-03-15", "cancel", "-1", "null", "2026-02-10", "\"2026-12-31\""];
        check(&[NEW, cancel], &["USD-pro 2026-01-01..2026-03-14"]);
        let change = ["2026-03-15", "change", "1", "\"USD-max\"", "2026-02-10", "\"2026-12-31\""];
        check(
            &[NEW, change],
            &["USD-pro 2026-01-01..2026-03-14", "USD-max 2026-03-15..2026-12-31"],
        );
        let new = ["2026-04-15", "new", "1", "\"USD-pro\"", "2026-01-01", "\"2026-12-31\""];
        check(&[new], &["USD-pro 2026-01-01..2026-12-31"]);
        let later = ["2026-05-15", "cancel", "-1", "null", "2026-03-01", "\"2026-12-31\""];
        check(&[new, later], &["USD-pro 2026-01-01..2026-05-14"]);
        let at_once = ["2026-04-15", "cancel", "-1", "null", "2026-03-01", "\"2026-12-31\""];
        check(&[new, at_once], &["USD-pro 2026-01-01..2026-02-28"]);
        let renewal = ["2027-03-15", "renewal", "1", "null", "2027-01-01", "null"];
        check(&[NEW, renewal], &["USD-pro 2026-01-01.., anew 2027-01-01"]);
    }
}
