//! The schedule of an order product: into which portions its term is cut, and when each is billed.

use crate::error::BillingError;
use crate::months::Months;
use crate::order_book::Ordered;
use crate::terms::BillingTiming;
use rating::{Date, PeriodDates, ProrationBasis};

/// A stretch of an order product's term that is billed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portion {
    /// Its days, the end exclusive.
    pub(crate) days: PeriodDates,
    /// How many months it counts for.
    pub(crate) months: Months,
    /// The billing date.
    pub(crate) bills_on: Date,
    /// Whether the term ends with it.
    pub(crate) is_last: bool,
}

/// The portions of an order product that is billed over time, one after the other. Endless for an
/// evergreen one, until the calendar ends.
#[derive(Debug)]
pub(crate) struct Schedule<'a> {
    ordered: &'a Ordered,
    /// Where the next portion starts; `None` behind the last.
    at: Option<Date>,
    end: Option<Date>,
}

impl<'a> Schedule<'a> {
    /// The whole schedule of `ordered`.
    pub(crate) fn new(ordered: &'a Ordered) -> Result<Self, BillingError> {
        let end = day_after_term(ordered)?;
        Ok(Self { ordered, at: Some(ordered.product.start), end })
    }

    /// The next portion of the grid of billing periods.
    fn cut(&mut self) -> Result<Option<Portion>, BillingError> {
        let Some(start) = self.at else { return Ok(None) };
        let terms = &self.ordered.terms;
        let beyond = || BillingError::calendar(&self.ordered.product.id);
        let period = terms.cycle.dates_holding(start).ok_or_else(beyond)?;
        let end = self.end.map_or(period.end, |end| end.min(period.end));
        let days = PeriodDates { start, end };
        let is_last = Some(end) == self.end;
        self.at = (!is_last).then_some(end);
        let whole = terms.cycle.length.months();
        let months = match terms.proration_basis {
            // Nearly all portions are whole periods, and need no counting of days.
            _ if days == period => Some(Months::whole(whole)),
            ProrationBasis::MonthsThenDays => Months::then_days(days, &terms.cycle),
            ProrationBasis::DaysOfPeriod => Months::of_period(days, period, whole),
        };
        let months = months.ok_or_else(beyond)?;
        Ok(Some(Portion { days, months, bills_on: self.billing_date(days), is_last }))
    }

    fn billing_date(&self, days: PeriodDates) -> Date {
        billing_date(self.ordered, days)
    }

    /// Whether a portion is one that waits for the next: a first one that begins inside a billing
    /// period, while partial portions are not billed on their own.
    fn joins_next(&self, portion: &Portion) -> bool {
        let ordered = self.ordered;
        let period = ordered.terms.cycle.dates_holding(portion.days.start);
        let is_partial = period.is_some_and(|period| period.start != portion.days.start);
        portion.days.start == ordered.product.start && is_partial && !ordered.terms.proration
    }

    fn advance(&mut self) -> Result<Option<Portion>, BillingError> {
        let Some(first) = self.cut()? else { return Ok(None) };
        if !self.joins_next(&first) {
            return Ok(Some(first));
        }
        let Some(next) = self.cut()? else { return Ok(Some(first)) };
        let months = first.months.checked_add(next.months);
        let months = months.ok_or_else(|| BillingError::overflow(&self.ordered.product.id))?;
        let days = PeriodDates { start: first.days.start, end: next.days.end };
        Ok(Some(Portion { days, months, ..next }))
    }
}

impl Iterator for Schedule<'_> {
    type Item = Result<Portion, BillingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// When something that lasts `days` is billed: never before its order was activated.
pub(crate) fn billing_date(ordered: &Ordered, days: PeriodDates) -> Date {
    let date = match ordered.timing {
        BillingTiming::InAdvance => days.start,
        BillingTiming::InArrears => days.end,
    };
    date.max(ordered.activated_on)
}

/// The day after the last of the term; `None` for an evergreen one.
pub(crate) fn day_after_term(ordered: &Ordered) -> Result<Option<Date>, BillingError> {
    let Some(end) = ordered.product.end else { return Ok(None) };
    end.tomorrow().map(Some).map_err(|_| BillingError::calendar(&ordered.product.id))
}

/// The one portion of what is bought at once. Without an `end` it is of a single day, and in
/// arrears it is billed once the billing period that holds its start is over.
pub(crate) fn single(ordered: &Ordered) -> Result<Portion, BillingError> {
    let start = ordered.product.start;
    let beyond = || BillingError::calendar(&ordered.product.id);
    let end = match day_after_term(ordered)? {
        Some(end) => end,
        None => start.tomorrow().map_err(|_| beyond())?,
    };
    let days = PeriodDates { start, end };
    let mut bills_on = billing_date(ordered, days);
    if ordered.product.end.is_none() && ordered.timing == BillingTiming::InArrears {
        let period = ordered.terms.cycle.dates_holding(start).ok_or_else(beyond)?;
        bills_on = period.end.max(ordered.activated_on);
    }
    Ok(Portion { days, months: Months::ZERO, bills_on, is_last: true })
}
