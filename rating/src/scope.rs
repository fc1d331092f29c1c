//! Scopes: the stretches of time in which a position grows, and with which it begins anew.

use crate::calendar::{Calendar, days_between};
use crate::instant::Instant;
use crate::period::Period;
use jiff::ToSpan as _;
use jiff::civil::Date;

/// Where position, tiers and included units begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// With every billing period.
    #[default]
    BillingPeriod,
    /// With every day of the customer's calendar.
    Day,
    /// With every month of the customer's calendar.
    CalendarMonth,
    /// With every year from the start of the subscription's term.
    Year,
    /// With the subscription's term.
    Term,
}

/// A scope's stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From its start to its end, within the subscription's active time.
    pub time: Period,
    /// Days that the subscription is active in it, and the days that it has.
    pub active_days: u32,
    /// Days from its start to its end, whether the subscription is active or not.
    pub whole_days: u32,
}

impl Scope {
    /// The names of a catalog.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("billing_period", Self::BillingPeriod),
        ("day", Self::Day),
        ("calendar_month", Self::CalendarMonth),
        ("year", Self::Year),
        ("term", Self::Term),
    ];

    /// The span that holds an instant of a `term` in a calendar; `None` beyond the calendar, and
    /// for the billing period, which the subscription's cycle knows.
    #[must_use]
    pub fn span_holding(
        self,
        at: Instant,
        (active, term): (Period, Period),
        calendar: &Calendar,
    ) -> Option<Span> {
        let date = calendar.day_of(at);
        let (first, next) = match self {
            Self::BillingPeriod => return None,
            Self::Day => (date, date.tomorrow().ok()?),
            Self::CalendarMonth => {
                let first = date.first_of_month();
                (first, first.checked_add(1.month()).ok()?)
            }
            Self::Year => year_holding(date, calendar.day_of(term.start))?,
            Self::Term => {
                let days = u32::from(term.start < term.end);
                return Some(Span { time: term, active_days: days, whole_days: days });
            }
        };
        let whole = Period { start: calendar.start_of(first), end: calendar.start_of(next) };
        let time = whole.clipped_to(if self == Self::Year { &term } else { &active })?;
        if self != Self::CalendarMonth {
            // A day or a year that a subscription cuts short is not prorated: included units of
            // such scopes are meant for as much of them as there is.
            return Some(Span { time, active_days: 1, whole_days: 1 });
        }
        Some(Span {
            time,
            active_days: calendar.days_of(time)?,
            whole_days: days_between(first, next)?,
        })
    }
}

/// The term of an active subscription that holds an instant: from its start, or that of its last
/// renewal, to the next renewal, or to its end.
#[must_use]
pub fn term_holding(active: Period, renewals: &[Instant], at: Instant) -> Period {
    let next = renewals.partition_point(|first| *first <= at);
    let start = next.checked_sub(1).and_then(|last| renewals.get(last));
    Period {
        start: start.copied().unwrap_or(active.start),
        end: renewals.get(next).copied().unwrap_or(active.end),
    }
}

/// The year of a term that holds a day. A term that began on the 29th of February has its
/// anniversaries on the last of it.
fn year_holding(date: Date, start: Date) -> Option<(Date, Date)> {
    let years = i32::from(date.year()).checked_sub(i32::from(start.year()))?;
    let anniversary = |years: i32| start.checked_add(i64::from(years).years()).ok();
    let this = anniversary(years)?;
    if this <= date {
        return Some((this, anniversary(years.checked_add(1)?)?));
    }
    Some((anniversary(years.checked_sub(1)?)?, this))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Cycle;
    use jiff::tz::TimeZone;

    #[track_caller]
    fn check(scope: Scope, zone: &str, at: &str, wanted: (&str, &str), days: (u32, u32)) {
        let zone = TimeZone::get(zone).unwrap();
        let calendar = Calendar::new(Cycle { zone, ..Cycle::default() });
        let parse = |text| Instant::parse(text).unwrap();
        let active =
            Period { start: parse("2024-02-29T00:00:00Z"), end: parse("2027-05-01T00:00:00Z") };
        let span = scope.span_holding(parse(at), (active, active), &calendar).unwrap();
        assert_eq!((span.time.start.to_string(), span.time.end.to_string()), {
            (wanted.0.to_owned(), wanted.1.to_owned())
        });
        assert_eq!((span.active_days, span.whole_days), days);
    }

    #[test]
    fn spans_hold_their_instants() {
        check(
            Scope::Day,
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            (1, 1),
        );
        check(
            Scope::CalendarMonth,
            "UTC",
            "2024-02-29T12:00:00Z",
            ("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            (1, 29),
        );
        check(
            Scope::Year,
            "UTC",
            "2025-02-28T00:00:00Z",
            ("2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z"),
            (1, 1),
        );
        check(
            Scope::Year,
            "UTC",
            "2027-03-01T00:00:00Z",
            ("2027-02-28T00:00:00Z", "2027-05-01T00:00:00Z"),
            (1, 1),
        );
        check(
            Scope::Term,
            "UTC",
            "2025-01-01T00:00:00Z",
            ("2024-02-29T00:00:00Z", "2027-05-01T00:00:00Z"),
            (1, 1),
        );
    }
}
