//! What is left to bill beside documents that are active already.
//!
//! An active document never changes, and what it bills is not billed again. So a run takes off
//! every line what active documents have of it; what remains, such as late usage, goes to a further
//! document of the same date. What a canceled document billed is free again.

use crate::document::{Content, Filed, Gathered, Series, State, gather};
use crate::error::BillingError;
use crate::line::{Key, Line, What};
use crate::merge::Documents;
use rating::{Currency, Date, Money, PeriodDates};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Money by what it stands for, with the sign that it has for the customer.
type Billed = BTreeMap<Key, Money>;

impl Documents {
    /// The drafts of this run, given the documents that its customers have already.
    pub(crate) fn beside(&self, known: &[Filed]) -> Result<Vec<Gathered>, BillingError> {
        // A run of an earlier day says nothing about what later days have billed.
        let by_then = known.iter().filter(|filed| filed.content().invoice_date <= self.as_of);
        let mut billed = billed(by_then)?;
        let mut lines = Cow::Borrowed(&self.lines);
        if !billed.is_empty() {
            let mut left = Vec::with_capacity(self.lines.len());
            for line in &self.lines {
                match billed.remove(&line.key()) {
                    None => left.push(line.clone()),
                    Some(already) => left.extend(less(line, already)?),
                }
            }
            take_off_recut(&mut left, &billed)?;
            lines = Cow::Owned(left);
        }
        let sequences = sequences(known);
        gather(&lines, |content| {
            let last = sequences.get(&identity(content)).copied().unwrap_or_default();
            last.saturating_add(1)
        })
    }
}

/// What active documents have billed.
fn billed<'a>(known: impl Iterator<Item = &'a Filed>) -> Result<Billed, BillingError> {
    let mut billed = Billed::new();
    for filed in known.filter(|filed| filed.state() == State::Active) {
        let content = filed.content();
        let lost = || BillingError::overflow(&content.id());
        let mut add = |key: Key, amount: Money| {
            let signed = match content.series {
                Series::Invoice => Some(amount),
                Series::CreditMemo => amount.checked_neg(),
            };
            let sum = billed.entry(key).or_insert_with(|| Money::from_minor(0, content.currency));
            // What is forgotten here would be billed a second time.
            *sum = signed.and_then(|signed| sum.checked_add(signed)).ok_or_else(lost)?;
            Ok::<(), BillingError>(())
        };
        for item in &content.items {
            for detail in &item.details {
                let order_product = detail.order_product.clone();
                let days = half_open(detail.start, detail.end);
                add(Key::Portion { order_product, days }, detail.amount)?;
            }
            for line in &item.usage {
                let (subscription, charge) = (item.reference.clone(), line.charge.clone());
                let days = half_open(line.period_start, line.period_end);
                add(Key::Usage { subscription, charge, days }, line.amount)?;
            }
        }
    }
    Ok(billed)
}

fn half_open(start: Date, last: Date) -> PeriodDates {
    PeriodDates { start, end: last.tomorrow().unwrap_or(last) }
}

/// What remains of a line; nothing where it is billed in full, or in the currency that its
/// settings had then.
fn less(line: &Line, already: Money) -> Result<Option<Line>, BillingError> {
    if line.amount.currency() != already.currency() {
        return Ok(None);
    }
    let left = line.amount.checked_sub(already);
    let amount = left.ok_or_else(|| BillingError::overflow(&line.subject.reference))?;
    Ok((amount.minor() != 0).then(|| Line { amount, ..line.clone() }))
}

/// Where settings changed after a document became active, its portions were cut differently. What
/// they billed is taken off the order product's other portions, from the first on, so that its
/// sum stays the contract value.
fn take_off_recut(lines: &mut Vec<Line>, billed: &Billed) -> Result<(), BillingError> {
    let mut recut: BTreeMap<(String, Currency), i128> = BTreeMap::new();
    for (key, amount) in billed {
        if let Key::Portion { order_product, .. } = key {
            let sum = recut.entry((order_product.clone(), amount.currency())).or_default();
            *sum = sum.saturating_add(amount.minor());
        }
    }
    if recut.is_empty() {
        return Ok(());
    }
    let mut kept = Vec::with_capacity(lines.len());
    for mut line in lines.drain(..) {
        let left = match &line.what {
            What::Portion { order_product } => {
                recut.get_mut(&(order_product.clone(), line.amount.currency()))
            }
            What::Usage { .. } => None,
        };
        if let Some(left) = left {
            let amount = line.amount.minor();
            // Never more than the portion, and nothing of the other sign.
            let take = if amount < 0 { (*left).clamp(amount, 0) } else { (*left).clamp(0, amount) };
            *left = left.saturating_sub(take);
            let rest = amount.checked_sub(take);
            let rest = rest.ok_or_else(|| BillingError::overflow(&line.subject.reference))?;
            line.amount = Money::from_minor(rest, line.amount.currency());
            if rest == 0 && take != 0 {
                continue;
            }
        }
        kept.push(line);
    }
    *lines = kept;
    Ok(())
}

/// All of a document's identity but the sequence.
type Identity<'a> = (Series, &'a str, Currency, Date);

fn identity(content: &Content) -> Identity<'_> {
    (content.series, &content.customer, content.currency, content.invoice_date)
}

/// The last sequence of each identity among documents that are not drafts any more.
fn sequences(known: &[Filed]) -> BTreeMap<Identity<'_>, u32> {
    let mut sequences = BTreeMap::new();
    for filed in known.iter().filter(|filed| filed.state() != State::Draft) {
        let last = sequences.entry(identity(filed.content())).or_default();
        *last = filed.content().sequence.max(*last);
    }
    sequences
}
