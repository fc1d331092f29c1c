//! Months as exact fractions: 17 days of a month of 31 are 17/31, and nothing is lost in a sum.

use rating::{Cycle, Date, PeriodDates, PeriodLength};

/// A number of months, as a reduced fraction of a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Months {
    numerator: i128,
    denominator: i128,
}

impl Months {
    /// No time at all.
    pub(crate) const ZERO: Self = Self { numerator: 0, denominator: 1 };

    /// So many whole months.
    pub(crate) fn whole(months: i32) -> Self {
        Self { numerator: i128::from(months), denominator: 1 }
    }

    /// `numerator` ÷ `denominator` months; `None` unless the denominator is positive.
    pub(crate) fn ratio(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator <= 0 {
            return None;
        }
        let divisor = greatest_common_divisor(numerator.checked_abs()?, denominator).max(1);
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The number above the line.
    pub(crate) const fn numerator(self) -> i128 {
        self.numerator
    }

    /// The number below the line, always positive.
    pub(crate) const fn denominator(self) -> i128 {
        self.denominator
    }

    /// The exact sum; `None` only where it leaves 127 bits.
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::ratio(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// Whole months as such, the days of a broken one by the days of the month they lie in, where
    /// months run from cycle day to cycle day.
    pub(crate) fn then_days(days: PeriodDates, cycle: &Cycle) -> Option<Self> {
        let monthly = Cycle { length: PeriodLength::Month, ..cycle.clone() };
        let mut sum = Self::ZERO;
        let mut at = days.start;
        while at < days.end {
            let month = monthly.dates_holding(at)?;
            let until = month.end.min(days.end);
            let part = Self::ratio(days_between(at, until), days_between(month.start, month.end))?;
            sum = sum.checked_add(part)?;
            at = until;
        }
        Some(sum)
    }

    /// Days ÷ days of the whole billing period that they lie in, in months of that period.
    pub(crate) fn of_period(days: PeriodDates, period: PeriodDates, months: i32) -> Option<Self> {
        let share = days_between(days.start, days.end).checked_mul(i128::from(months))?;
        Self::ratio(share, days_between(period.start, period.end))
    }

    /// The whole months from `start` to `end`, if that is what lies between them: the same day of
    /// the month, or the last day of a shorter one.
    pub(crate) fn between(start: Date, end: Date) -> Option<Self> {
        let years = i32::from(end.year()).checked_sub(i32::from(start.year()))?;
        let months = i32::from(end.month()).checked_sub(i32::from(start.month()))?;
        let months = years.checked_mul(12)?.checked_add(months)?;
        let span = jiff::Span::new().try_months(months).ok()?;
        (months > 0 && start.checked_add(span).ok()? == end).then(|| Self::whole(months))
    }
}

/// Days from one date to a later one.
pub(crate) fn days_between(start: Date, end: Date) -> i128 {
    const SECONDS_OF_DAY: i64 = 86_400;
    i128::from(start.duration_until(end).as_secs() / SECONDS_OF_DAY)
}

fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::TimeZone;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn dates(start: &str, end: &str) -> PeriodDates {
        PeriodDates { start: date(start), end: date(end) }
    }

    #[track_caller]
    fn check_then_days(day: i8, start: &str, end: &str, wanted: (i128, i128)) {
        let cycle = Cycle { length: PeriodLength::Quarter, day, month: 1, zone: TimeZone::UTC };
        let months = Months::then_days(dates(start, end), &cycle).unwrap();
        assert_eq!((months.numerator, months.denominator), wanted, "{start} {end}");
    }

    #[test]
    fn broken_months_are_days_of_the_month_they_lie_in() {
        check_then_days(1, "2022-03-01", "2022-07-01", (4, 1));
        check_then_days(1, "2023-01-15", "2023-02-01", (17, 31));
        check_then_days(1, "2023-01-15", "2023-02-15", (65, 62));
        check_then_days(18, "2023-05-18", "2023-06-18", (1, 1));
        check_then_days(31, "2024-01-31", "2024-02-29", (1, 1));
        check_then_days(31, "2024-02-29", "2024-03-15", (15, 31));
    }

    #[test]
    fn a_broken_period_is_days_of_the_whole_period() {
        let quarter = dates("2023-01-01", "2023-04-01");
        let months = Months::of_period(dates("2023-02-01", "2023-04-01"), quarter, 3).unwrap();
        assert_eq!(months, Months::ratio(3 * 59, 90).unwrap());
    }

    #[track_caller]
    fn check_between(start: &str, end: &str, wanted: Option<i32>) {
        let months = Months::between(date(start), date(end));
        assert_eq!(months, wanted.map(Months::whole), "{start} {end}");
    }

    #[test]
    fn whole_months_are_known_from_the_start() {
        check_between("2023-05-18", "2024-05-18", Some(12));
        check_between("2024-01-31", "2024-02-29", Some(1));
        check_between("2023-01-15", "2023-02-14", None);
        check_between("2023-01-15", "2023-01-15", None);
        check_between("2023-02-28", "2023-03-31", None);
    }
}
