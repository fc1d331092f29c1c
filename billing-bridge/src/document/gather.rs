//! Gathering: lines of one customer, currency and billing date become an invoice, and what is
//! negative in net a credit memo.

use super::content::{Content, Detail, Item, Series, UsageLine};
use super::number::Numbers;
use super::state::{Document, Draft, Filed};
use crate::error::BillingError;
use crate::line::{Line, What};
use crate::terms::OnDocuments;
use rating::{Currency, Date, Money};
use std::collections::BTreeMap;

/// What a document is of, but for its kind.
type DateOf<'a> = (Date, &'a str, Currency);

/// A draft and whether it is to be activated at once.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) document: Document<Draft>,
    pub(crate) auto_activate: bool,
}

impl Gathered {
    /// The document as it is filed: a draft or, where that is wanted, active at once.
    pub(crate) fn file(self, numbers: &mut Numbers) -> Result<Filed, BillingError> {
        if !self.auto_activate {
            return Ok(Filed::Draft(self.document));
        }
        let active = self.document.activate(numbers);
        active.map(Filed::Active).ok_or(BillingError::NumbersExhausted)
    }
}

/// Makes documents of `lines`, in the order of date, customer, currency and kind.
///
/// `sequence` says which of its identity a document is, given all but that.
pub(crate) fn gather(
    lines: &[Line],
    sequence: impl Fn(&Content) -> u32,
) -> Result<Vec<Gathered>, BillingError> {
    let mut dates: BTreeMap<DateOf<'_>, BTreeMap<(usize, &str), Vec<&Line>>> = BTreeMap::new();
    for line in lines {
        let date = (line.bills_on, line.customer.as_str(), line.amount.currency());
        let subject = (line.subject.rank, line.subject.reference.as_str());
        dates.entry(date).or_default().entry(subject).or_default().push(line);
    }
    let mut gathered = Vec::with_capacity(dates.len());
    for (date, subjects) in dates {
        let overflow = || BillingError::overflow(date.1);
        let mut sides = [Side::new(Series::Invoice), Side::new(Series::CreditMemo)];
        for lines in subjects.values() {
            let (item, terms) = item(lines, date.2).ok_or_else(overflow)?;
            let [invoice, memo] = &mut sides;
            let is_negative = item.amount.minor() < 0;
            if item.amount.minor() == 0 && terms.hide_zero_items {
                continue;
            } else if is_negative && terms.credit_memos {
                memo.add(negated(item).ok_or_else(overflow)?, terms);
            } else {
                invoice.add(item, terms);
            }
        }
        for side in sides {
            gathered.extend(side.close(date, &sequence)?);
        }
    }
    Ok(gathered)
}

/// One of the two documents that a date can have.
struct Side {
    series: Series,
    items: Vec<Item>,
    terms: Option<OnDocuments>,
}

impl Side {
    const fn new(series: Series) -> Self {
        Self { series, items: Vec::new(), terms: None }
    }

    fn add(&mut self, item: Item, terms: OnDocuments) {
        self.items.push(item);
        self.terms = Some(self.terms.map_or(terms, |so_far| so_far.both(terms)));
    }

    /// The document; none without items.
    fn close(
        self,
        (date, customer, currency): DateOf<'_>,
        sequence: &impl Fn(&Content) -> u32,
    ) -> Result<Option<Gathered>, BillingError> {
        let Some(terms) = self.terms else { return Ok(None) };
        let overflow = || BillingError::overflow(customer);
        let term = jiff::Span::new().try_days(terms.payment_term_days);
        let due_date = term.and_then(|term| date.checked_add(term));
        let zero = Money::from_minor(0, currency);
        let total = self.items.iter().try_fold(zero, |sum, item| sum.checked_add(item.amount));
        let mut content = Content {
            series: self.series,
            customer: customer.to_owned(),
            currency,
            invoice_date: date,
            due_date: due_date.map_err(|_| BillingError::calendar(customer))?,
            sequence: 1,
            items: self.items,
            total: total.ok_or_else(overflow)?,
        };
        content.sequence = sequence(&content);
        let document = Document::draft(content);
        Ok(Some(Gathered { document, auto_activate: terms.auto_activate }))
    }
}

/// The item of one reference; `None` where its sum overflows or it has no lines.
fn item(lines: &[&Line], currency: Currency) -> Option<(Item, OnDocuments)> {
    let first = lines.first()?;
    let subject = &first.subject;
    let mut terms = first.on_documents;
    let mut item = Item {
        reference: subject.reference.clone(),
        provision: subject.provision,
        product: subject.product.clone(),
        start: first.days.start,
        end: first.days.end,
        amount: Money::from_minor(0, currency),
        details: Vec::new(),
        usage: Vec::new(),
    };
    let mut spanned = None;
    for line in lines {
        terms = terms.both(line.on_documents);
        item.amount = item.amount.checked_add(line.amount)?;
        let end = line.days.end.yesterday().ok()?;
        let is_portion = push(&mut item, line, end);
        // Details span the item; usage only where there are none.
        spanned = Some(match spanned {
            Some((true, start, last)) if !is_portion => (true, start, last),
            Some((known, start, last)) if known == is_portion => {
                (known, line.days.start.min(start), end.max(last))
            }
            Some(_) | None => (is_portion, line.days.start, end),
        });
    }
    (_, item.start, item.end) = spanned?;
    Some((item, terms))
}

/// Puts a line on the item; whether it is a portion of an order product.
fn push(item: &mut Item, line: &Line, end: Date) -> bool {
    match &line.what {
        What::Portion { order_product } => {
            item.details.push(Detail {
                order_product: order_product.clone(),
                start: line.days.start,
                end,
                quantity: line.quantity,
                amount: line.amount,
            });
            true
        }
        What::Usage { order_product, charge, billable_quantity } => {
            item.usage.push(UsageLine {
                order_product: order_product.clone(),
                charge: charge.clone(),
                period_start: line.days.start,
                period_end: end,
                quantity: line.quantity,
                billable_quantity: *billable_quantity,
                amount: line.amount,
            });
            false
        }
    }
}

/// The item as a credit memo shows it: what is given back is positive.
fn negated(mut item: Item) -> Option<Item> {
    item.amount = item.amount.checked_neg()?;
    for detail in &mut item.details {
        detail.amount = detail.amount.checked_neg()?;
    }
    for line in &mut item.usage {
        line.amount = line.amount.checked_neg()?;
    }
    Some(item)
}
