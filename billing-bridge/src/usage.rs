//! Usage on documents: closed totals become lines, each rounded once.

use crate::customers::Customers;
use crate::error::BillingError;
use crate::line::{Line, Subject, What};
use crate::order_book::{OrderBook, Ordered};
use crate::product::RevenueModel;
use crate::subscription::Metered;
use crate::terms::Terms;
use rating::{Currency, Date, Owed, PeriodDates, Quantity};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one subscription owes for one charge in one closed period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageTotal {
    /// Whom it bills.
    pub customer: String,
    /// Whose usage it is.
    pub subscription: String,
    /// The charge of the plan.
    pub charge: String,
    /// The days of the period, the end exclusive.
    pub period: PeriodDates,
    /// What was used.
    pub quantity: Quantity,
    /// What of it is priced.
    pub billable_quantity: Quantity,
    /// What it costs after all bounds, exactly.
    pub amount: Owed,
    /// What the amount is in.
    pub currency: Currency,
}

/// What a line of usage stands for. Totals that share it, such as the cells of a matrix, become
/// one line, so that their sum is rounded and not each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    customer: &'a str,
    subscription: &'a str,
    charge: &'a str,
    period: PeriodDates,
    currency: Currency,
}

#[derive(Debug, Default)]
struct Sum {
    quantity: Quantity,
    billable_quantity: Quantity,
    amount: Owed,
}

impl Sum {
    fn add(&mut self, total: &UsageTotal) -> Option<()> {
        self.quantity = self.quantity.checked_add(total.quantity)?;
        self.billable_quantity = self.billable_quantity.checked_add(total.billable_quantity)?;
        self.amount = self.amount.checked_add(total.amount)?;
        Some(())
    }
}

/// What usage needs to know of the orders: the lines of each reference, and who meters it when.
pub(crate) struct Lookup<'a> {
    pub(crate) book: &'a OrderBook,
    pub(crate) customers: &'a dyn Customers,
    pub(crate) by_reference: &'a BTreeMap<&'a str, (Arc<Subject>, Vec<&'a Ordered>)>,
    pub(crate) metered: &'a BTreeMap<&'a str, Vec<Metered<'a>>>,
}

/// The lines of all totals whose periods had ended by the start of `as_of`.
pub(crate) fn lines(
    totals: &[UsageTotal],
    lookup: &Lookup<'_>,
    as_of: Date,
) -> Result<Vec<Line>, BillingError> {
    let mut sums: BTreeMap<Key<'_>, Sum> = BTreeMap::new();
    for total in totals.iter().filter(|total| total.period.end <= as_of) {
        let key = Key {
            customer: &total.customer,
            subscription: &total.subscription,
            charge: &total.charge,
            period: total.period,
            currency: total.currency,
        };
        let sum = sums.entry(key).or_default();
        sum.add(total).ok_or_else(|| BillingError::overflow(&total.subscription))?;
    }
    let mut lines = Vec::with_capacity(sums.len());
    for (key, sum) in sums {
        let line = line(key, &sum, lookup)?;
        if line.bills_on <= as_of {
            lines.push(line);
        }
    }
    Ok(lines)
}

fn line(key: Key<'_>, sum: &Sum, lookup: &Lookup<'_>) -> Result<Line, BillingError> {
    let known = lookup.by_reference.get(key.subscription);
    let known = known
        .filter(|(_, ordered)| ordered.first().is_some_and(|first| first.customer == key.customer));
    let metering = known.and_then(|(_, ordered)| {
        let metered = lookup.metered.get(key.subscription).map(Vec::as_slice).unwrap_or_default();
        metering(metered, key.period).or_else(|| without_plan(ordered, key.period))
    });
    let terms: Cow<'_, Terms> = match metering {
        Some(ordered) => Cow::Borrowed(&ordered.terms),
        None => {
            let terms = lookup.book.terms_of(key.customer, lookup.customers);
            Cow::Owned(terms.ok_or_else(|| BillingError::UnknownCustomer(key.customer.into()))?)
        }
    };
    let amount = sum.amount.to_money(key.currency, terms.rounding);
    let amount = amount.ok_or_else(|| BillingError::overflow(key.subscription))?;
    let activated_on = metering.map_or(key.period.end, |ordered| ordered.activated_on);
    Ok(Line {
        customer: key.customer.to_owned(),
        bills_on: key.period.end.max(activated_on),
        subject: known.map_or_else(
            || Arc::new(Subject::unordered(key.subscription)),
            |(subject, _)| Arc::clone(subject),
        ),
        on_documents: terms.on_documents,
        days: key.period,
        quantity: sum.quantity,
        amount,
        what: What::Usage {
            order_product: metering.map(|ordered| ordered.product.id.clone()),
            charge: key.charge.to_owned(),
            billable_quantity: sum.billable_quantity,
        },
    })
}

/// The order product that a period's usage belongs to: the last that meters in the period, else
/// the last that metered before.
fn metering<'a>(metered: &[Metered<'a>], period: PeriodDates) -> Option<&'a Ordered> {
    let before = metered.iter().take_while(|metered| metered.start < period.end);
    before.last().map(|metered| metered.by)
}

/// The usage product of a subscription that has its plan from the catalog.
fn without_plan<'a>(ordered: &[&'a Ordered], period: PeriodDates) -> Option<&'a Ordered> {
    let candidates = ordered.iter().copied().filter(|ordered| {
        let product = &ordered.product;
        let adds = product.quantity >= Some(Quantity::ZERO);
        let metered = ordered.revenue_model == RevenueModel::OverageUsage;
        metered && adds && product.start < period.end
    });
    candidates.max_by_key(|ordered| {
        let in_force = ordered.product.end.is_none_or(|end| period.start <= end);
        (in_force, ordered.product.start)
    })
}

/// When more of a usage product is billed after `as_of`: once the period has ended that holds the
/// next day on which it meters, or what meters its reference ends within it.
pub(crate) fn next_billing_date(
    ordered: &Ordered,
    metered: &[Metered<'_>],
    as_of: Date,
) -> Option<Date> {
    let product = &ordered.product;
    let is_coming = |end: Option<Date>| end.is_none_or(|end| as_of <= end);
    let own = |one: &Metered<'_>| one.by.product.id == product.id && is_coming(one.end);
    let (start, end) = match metered.iter().position(own) {
        Some(at) => {
            let run = metered.get(at..)?.chunk_by(Metered::goes_on).next()?;
            (run.first()?.start, run.last()?.end)
        }
        // The catalog's own plan rates on for as long as the order product lasts.
        None if product.plan.is_none()
            && product.quantity >= Some(Quantity::ZERO)
            && is_coming(product.end) =>
        {
            (product.start, product.end)
        }
        None => return None,
    };
    let period = ordered.terms.cycle.dates_holding(start.max(as_of))?;
    let over = end.and_then(|end| end.tomorrow().ok());
    Some(over.map_or(period.end, |over| over.min(period.end)))
}
