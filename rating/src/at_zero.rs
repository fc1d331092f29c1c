//! `P(0)`: what a billing period costs without any record of its own.

use crate::aggregation::Aggregation;
use crate::charge::{Charge, Timeline};
use crate::money::Amount;
use crate::period::Period;
use crate::price::PriceModel;
use crate::quantity::Quantity;
use crate::scope::{Scope, term_holding};
use crate::share::Share;
use crate::total::Frame;

/// What stands in a total before its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AtZero {
    /// Units priced: those of a level that was carried in.
    pub(crate) billable: Quantity,
    /// What it costs.
    pub(crate) amount: Amount,
}

/// What a billing period costs unused.
///
/// A flat price, that of a cell included, comes from the terms in force at the end. Everything else
/// does from those at the start of each scope, so that the sum over the parts goes on from it: a
/// tier that is due at quantity 0 is entered once, by whichever version is in force then. A scope
/// that began before the period was paid for in the period in which it began, and a charge that
/// comes within a scope in the period in which it comes.
pub(crate) fn at_zero(timeline: &Timeline, frame: &Frame<'_>, carried: Quantity) -> Option<AtZero> {
    let period = frame.period;
    let last = timeline.at_end(period.start, period.end)?.charge.as_deref()?;
    if !last.model.needs_meter() {
        let amount = last.amount_at(Quantity::ZERO, frame.share)?;
        return Some(AtZero { billable: last.billable(carried, frame.share)?, amount });
    }
    let flat = flat_cells(last, frame.share)?;
    let metered = of_scopes(timeline, frame, (last, carried))?;
    Some(AtZero { billable: metered.billable, amount: metered.amount.checked_add(flat)? })
}

/// What is due at quantity 0 in all scopes of a billing period.
fn of_scopes(
    timeline: &Timeline,
    frame: &Frame<'_>,
    (last, carried): (&Charge, Quantity),
) -> Option<AtZero> {
    let (period, scope) = (frame.period, last.scope);
    if scope == Scope::BillingPeriod {
        let weighted = last.aggregation == Aggregation::TimeWeightedSum;
        let level = if weighted { carried } else { Quantity::ZERO };
        return of_scope(timeline, (period, period), (level, frame.share));
    }
    if !timeline.within(period).any(|(_, charge)| costs_unused(&charge.model)) {
        return Some(AtZero::default());
    }
    let mut sum = AtZero::default();
    let mut at = period.start;
    while at < period.end {
        let term = term_holding(frame.active, frame.renewals, at);
        let span = scope.span_holding(at, (frame.active, term), frame.calendar)?;
        let share = Share { active: span.active_days, whole: span.whole_days };
        let one = of_scope(timeline, (span.time, period), (Quantity::ZERO, share))?;
        sum.amount = sum.amount.checked_add(one.amount)?;
        if span.time.end <= at {
            return None;
        }
        at = span.time.end;
    }
    Some(sum)
}

/// Whether there may be something to pay at quantity 0, beside flat prices.
fn costs_unused(model: &PriceModel) -> bool {
    match model {
        PriceModel::Graduated(tiers) | PriceModel::Volume(tiers) | PriceModel::Stairstep(tiers) => {
            tiers.costs_unused()
        }
        PriceModel::Matrix(matrix) => matrix.prices().any(|(_, price)| costs_unused(price)),
        PriceModel::PerUnit { .. }
        | PriceModel::Package { .. }
        | PriceModel::Percentage(_)
        | PriceModel::Flat { .. } => false,
    }
}

/// `P(0)` of the first metered terms of a scope, without flat prices, where these terms come into
/// force within a billing period. Whatever terms come after them go on from there.
fn of_scope(
    timeline: &Timeline,
    (scope, period): (Period, Period),
    (level, share): (Quantity, Share),
) -> Option<AtZero> {
    let mut metered = timeline.within(scope).filter(|(_, charge)| charge.model.needs_meter());
    let Some((terms, charge)) = metered.next() else { return Some(AtZero::default()) };
    if !period.contains(terms.from.max(scope.start)) {
        return Some(AtZero::default());
    }
    let billable = charge.billable(level, share)?;
    let mut prices = prices_of(&charge.model).filter(|price| price.needs_meter());
    prices.try_fold(AtZero::default(), |sum, price| {
        let amount = charge.priced(price, level, share)?;
        let amount = sum.amount.checked_add(amount)?;
        Some(AtZero { billable: sum.billable.checked_add(billable)?, amount })
    })
}

/// The flat prices among the cells of a matrix, which are due once a billing period.
fn flat_cells(charge: &Charge, share: Share) -> Option<Amount> {
    if charge.model.matrix().is_none() {
        return Some(Amount::ZERO);
    }
    let mut flat = prices_of(&charge.model).filter(|price| !price.needs_meter());
    flat.try_fold(Amount::ZERO, |sum, price| {
        sum.checked_add(charge.priced(price, Quantity::ZERO, share)?)
    })
}

/// A price, or those of the cells of a matrix.
fn prices_of(model: &PriceModel) -> impl Iterator<Item = &PriceModel> {
    let matrix = model.matrix();
    let own = matrix.is_none().then_some(model);
    let cells = matrix.into_iter().flat_map(|matrix| matrix.prices().map(|(_, price)| price));
    own.into_iter().chain(cells)
}
