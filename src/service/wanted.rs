//! Which periods a reader wants to see: all, or those that begin in a month, on a day, at an
//! instant.
//!
//! Months and days are the customer's own: what begins at 23:00 UTC on New Year's Eve is January to
//! someone in Berlin, and is asked for as such.

use rating::{Calendar, Date, Instant};

/// What the start of a period must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WantedPeriod {
    /// Whatever it is.
    Any,
    /// In the month of this day.
    Month(Date),
    /// On this day.
    Day(Date),
    /// This instant.
    Start(Instant),
}

impl WantedPeriod {
    /// Reads `2026-01`, `2026-01-31` or an instant.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.len() {
            7 => format!("{text}-01").parse().ok().map(Self::Month),
            10 => text.parse().ok().map(Self::Day),
            _ => Instant::parse(text).ok().map(Self::Start),
        }
    }

    /// Whether a period that starts at `start` is wanted.
    pub(crate) fn takes(self, start: Instant, calendar: &Calendar) -> bool {
        let date = || calendar.day_of(start);
        match self {
            Self::Any => true,
            Self::Month(month) => date().first_of_month() == month,
            Self::Day(day) => date() == day,
            Self::Start(instant) => start == instant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::{Cycle, TimeZone};

    #[track_caller]
    fn check(wanted: &str, zone: &str, taken: bool) {
        let start = Instant::parse("2025-12-31T23:00:00Z").unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let calendar = Calendar::new(Cycle { zone, ..Cycle::default() });
        assert_eq!(WantedPeriod::parse(wanted).unwrap().takes(start, &calendar), taken, "{wanted}");
    }

    #[test]
    fn months_and_days_are_those_of_the_customer() {
        check("2026-01", "Europe/Berlin", true);
        check("2025-12", "Europe/Berlin", false);
        check("2025-12", "UTC", true);
        check("2026-01-01", "Europe/Berlin", true);
        check("2026-01-02", "Europe/Berlin", false);
        check("2025-12-31T23:00:00Z", "Europe/Berlin", true);
        check("2026-01-01T00:00:00+01:00", "UTC", true);
        check("2026-01-01T00:00:00Z", "Europe/Berlin", false);
        for wrong in ["", "2026", "2026-13", "2026-02-30", "January", "2026/01"] {
            assert_eq!(WantedPeriod::parse(wrong), None, "{wrong}");
        }
    }
}
