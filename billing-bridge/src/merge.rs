//! The merge: order products and closed usage totals become one set of documents.
//!
//! Pure and without memory: everything that was ever due is computed anew from orders and totals,
//! so that the same input always makes the same documents. What active documents have billed
//! already is taken off afterwards, where there is a store that knows them.

#[cfg(test)]
mod rows;

use crate::contract::{self, Progress};
use crate::customers::Customers;
use crate::document::{Filed, Numbers, Series, gather};
use crate::error::BillingError;
use crate::line::{Line, Subject, What};
use crate::order_book::{OrderBook, Ordered, Saved};
use crate::product::RevenueModel;
use crate::subscription::{Metered, metered};
use crate::usage::{self, Lookup, UsageTotal};
use rating::{Date, Money};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The documents of one run, and how far each order product is billed.
#[derive(Debug, Clone)]
pub struct Documents {
    pub(crate) as_of: Date,
    pub(crate) lines: Vec<Line>,
    pub(crate) customers: BTreeSet<String>,
    pub(crate) filed: Vec<Filed>,
    pub(crate) order_products: Vec<Billing>,
    pub(crate) contents: Vec<Saved>,
}

/// How far an order product is billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billing {
    /// The order product.
    pub id: String,
    /// What all its portions sum to; `None` for an evergreen one. Usage is nothing contracted.
    pub contract_value: Option<Money>,
    /// What is billed of it so far; for a usage product, what its usage came to.
    pub billed_amount: Money,
    /// The last day that is billed.
    pub invoiced_until: Option<Date>,
    /// When more of it is billed.
    pub next_billing_date: Option<Date>,
}

/// Bills everything that is due by `as_of`: orders activated by then, portions whose billing date
/// has come, usage of periods that had ended by the start of that day. `totals` are closed ones.
///
/// # Errors
/// [`BillingError`] where an amount or date leaves its domain or a customer is unknown.
pub fn documents(
    book: &OrderBook,
    customers: &dyn Customers,
    totals: &[UsageTotal],
    as_of: Date,
) -> Result<Documents, BillingError> {
    let mut merge = Merge { lines: Vec::new(), order_products: Vec::new() };
    let by_reference = by_reference(book, as_of);
    for (subject, ordered) in by_reference.values() {
        for ordered in ordered {
            merge.bill(ordered, subject, as_of)?;
        }
    }
    let metered: BTreeMap<&str, Vec<Metered<'_>>> = by_reference
        .iter()
        .map(|(reference, (_, ordered))| (*reference, metered(ordered)))
        .collect();
    let lookup = Lookup { book, customers, by_reference: &by_reference, metered: &metered };
    let used = usage::lines(totals, &lookup, as_of)?;
    let order_products = merge.order_products(&lookup, &used, as_of)?;
    merge.lines.extend(used);
    let of_orders = book.ordered().iter().map(|ordered| &ordered.customer);
    let of_totals = totals.iter().map(|total| &total.customer);
    let mut documents = Documents {
        as_of,
        lines: merge.lines,
        customers: of_orders.chain(of_totals).cloned().collect(),
        filed: Vec::new(),
        order_products,
        contents: book.contents(as_of),
    };
    documents.file(Numbers::default())?;
    Ok(documents)
}

impl Documents {
    /// All documents in date order. Where `auto_activate` is set they are active and numbered from
    /// the first of their series; a store numbers them after those it has.
    #[must_use]
    pub fn filed(&self) -> &[Filed] {
        &self.filed
    }

    /// The invoices in date order.
    pub fn invoices(&self) -> impl Iterator<Item = &Filed> {
        of_series(&self.filed, Series::Invoice)
    }

    /// The credit memos in date order.
    pub fn credit_memos(&self) -> impl Iterator<Item = &Filed> {
        of_series(&self.filed, Series::CreditMemo)
    }

    /// How far every activated order product is billed, in the order of activation.
    #[must_use]
    pub fn order_products(&self) -> &[Billing] {
        &self.order_products
    }

    /// The day of the run.
    #[must_use]
    pub const fn as_of(&self) -> Date {
        self.as_of
    }

    fn file(&mut self, mut numbers: Numbers) -> Result<(), BillingError> {
        for gathered in gather(&self.lines, |_| 1)? {
            self.filed.push(gathered.file(&mut numbers)?);
        }
        Ok(())
    }
}

/// The documents of one series among all.
pub(crate) fn of_series(filed: &[Filed], series: Series) -> impl Iterator<Item = &Filed> {
    filed.iter().filter(move |filed| filed.content().series == series)
}

/// The order products activated by `as_of`, by what they create or change.
fn by_reference(book: &OrderBook, as_of: Date) -> BTreeMap<&str, (Arc<Subject>, Vec<&Ordered>)> {
    let mut references: BTreeMap<&str, (Arc<Subject>, Vec<&Ordered>)> = BTreeMap::new();
    let activated = book.ordered().iter().filter(|ordered| ordered.activated_on <= as_of);
    for (rank, ordered) in activated.enumerate() {
        let reference = ordered.product.reference.as_str();
        let subject = || Subject {
            reference: reference.to_owned(),
            provision: ordered.provision,
            product: Some(ordered.product.sku.clone()),
            rank,
        };
        let (_, all) =
            references.entry(reference).or_insert_with(|| (Arc::new(subject()), Vec::new()));
        all.push(ordered);
    }
    references
}

struct Merge<'a> {
    lines: Vec<Line>,
    order_products: Vec<(&'a str, Progress)>,
}

impl<'a> Merge<'a> {
    fn bill(
        &mut self,
        ordered: &'a Ordered,
        subject: &Arc<Subject>,
        as_of: Date,
    ) -> Result<(), BillingError> {
        let progress = contract::bill(ordered, as_of)?;
        self.lines.extend(progress.billed.iter().map(|billed| Line {
            customer: ordered.customer.clone(),
            bills_on: billed.portion.bills_on,
            subject: Arc::clone(subject),
            on_documents: ordered.terms.on_documents,
            days: billed.portion.days,
            quantity: ordered.product.quantity.unwrap_or_default(),
            amount: billed.amount,
            what: What::Portion { order_product: ordered.product.id.clone() },
        }));
        self.order_products.push((&ordered.product.id, progress));
        Ok(())
    }

    fn order_products(
        &self,
        lookup: &Lookup<'_>,
        used: &[Line],
        as_of: Date,
    ) -> Result<Vec<Billing>, BillingError> {
        let mut usage: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in used {
            if let What::Usage { order_product: Some(id), .. } = &line.what {
                usage.entry(id).or_default().push(line);
            }
        }
        let progress: BTreeMap<&str, &Progress> =
            self.order_products.iter().map(|(id, progress)| (*id, progress)).collect();
        let mut billings = Vec::with_capacity(progress.len());
        for ordered in lookup.book.ordered() {
            // Those activated later have none.
            let id = ordered.product.id.as_str();
            let Some(progress) = progress.get(id) else { continue };
            let used = usage.get(id).map(Vec::as_slice).unwrap_or_default();
            let billing = if ordered.revenue_model == RevenueModel::OverageUsage {
                of_usage(ordered, lookup, used, as_of)
            } else {
                of_portions(ordered, progress)
            };
            billings.push(billing.ok_or_else(|| BillingError::overflow(id))?);
        }
        Ok(billings)
    }
}

fn of_portions(ordered: &Ordered, progress: &Progress) -> Option<Billing> {
    let zero = Money::from_minor(0, ordered.terms.currency);
    let amounts = progress.billed.iter().map(|billed| billed.amount);
    let last = progress.billed.last().map(|billed| billed.portion.days.end);
    Some(Billing {
        id: ordered.product.id.clone(),
        contract_value: progress.contract_value,
        billed_amount: { amounts }.try_fold(zero, Money::checked_add)?,
        invoiced_until: last.and_then(|end| end.yesterday().ok()),
        next_billing_date: progress.next_billing_date,
    })
}

/// Usage goes from period to period, in the currency of its plan; nothing of it is contracted.
fn of_usage(
    ordered: &Ordered,
    lookup: &Lookup<'_>,
    used: &[&Line],
    as_of: Date,
) -> Option<Billing> {
    let product = &ordered.product;
    let of_plan = product.plan.as_ref().and_then(|plan| lookup.customers.plan_currency(plan));
    let currency = used.first().map(|line| line.amount.currency()).or(of_plan);
    let zero = Money::from_minor(0, currency.unwrap_or(ordered.terms.currency));
    let amounts = used.iter().map(|line| line.amount);
    let billed_to = used.iter().map(|line| line.days.end).max();
    let metered = lookup.metered.get(product.reference.as_str());
    let metered = metered.map(Vec::as_slice).unwrap_or_default();
    Some(Billing {
        id: product.id.clone(),
        contract_value: Some(zero),
        billed_amount: { amounts }.try_fold(zero, Money::checked_add)?,
        invoiced_until: billed_to.and_then(|end| end.yesterday().ok()),
        next_billing_date: usage::next_billing_date(ordered, metered, as_of),
    })
}
