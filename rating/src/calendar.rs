//! Calendars: the days and billing periods of a customer, through changes of time zone and cycle.
//!
//! A change takes effect where a billing period of the settings before it ends. Days are counted
//! by their dates, so no date has two days, also where the zone changes: the day from which the
//! new zone holds begins when the last period of the old one ends, and is longer or shorter by
//! what lies between the zones. A zone that is a day or more ahead leaves the next date out, as
//! zones themselves have done that changed sides of the date line.

use crate::instant::Instant;
use crate::period::{Cycle, Period, PeriodDates, PeriodLength, day_of, start_of_day};
use crate::share::Share;
use jiff::civil::Date;

/// Cycles, each with the time from which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    first: Cycle,
    /// Those after it, in the order of time.
    changes: Vec<CycleChange>,
}

/// A cycle that took the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleChange {
    /// Its first instant: the end of a billing period by the cycle before.
    pub from: Instant,
    /// The day that begins then.
    pub first_day: Date,
    /// What holds from then on.
    pub cycle: Cycle,
}

impl Calendar {
    /// One that never changed.
    #[must_use]
    pub const fn new(cycle: Cycle) -> Self {
        Self { first: cycle, changes: Vec::new() }
    }

    /// One with these changes; `None` unless they are in the order of time.
    #[must_use]
    pub fn with_changes(first: Cycle, changes: Vec<CycleChange>) -> Option<Self> {
        let in_order = changes.is_sorted_by(|a, b| a.from < b.from && a.first_day < b.first_day);
        in_order.then_some(Self { first, changes })
    }

    /// The cycle that it began with.
    #[must_use]
    pub const fn first(&self) -> &Cycle {
        &self.first
    }

    /// The changes since then, in the order of time.
    #[must_use]
    pub fn changes(&self) -> &[CycleChange] {
        &self.changes
    }

    /// The cycle that holds in the end.
    #[must_use]
    pub fn last(&self) -> &Cycle {
        self.changes.last().map_or(&self.first, |change| &change.cycle)
    }

    /// The same calendar, but with another cycle from the end of the billing period on that holds
    /// `used_until`; what was to change there or later does not. `None` only beyond the years 1
    /// to 9998.
    #[must_use]
    pub fn changed(&self, used_until: Instant, cycle: &Cycle) -> Option<Self> {
        let from = self.period_holding(used_until)?.end;
        let mut changed = self.clone();
        changed.changes.retain(|change| change.from < from);
        if !changed.last().cuts_as(cycle) {
            let first_day = changed.day_of(from);
            changed.changes.push(CycleChange { from, first_day, cycle: cycle.clone() });
        }
        Some(changed)
    }

    /// The same calendar with a last cycle that cuts as its own does.
    #[must_use]
    pub fn said_otherwise(mut self, cycle: Cycle) -> Self {
        if self.last().cuts_as(&cycle) {
            match self.changes.last_mut() {
                Some(change) => change.cycle = cycle,
                None => self.first = cycle,
            }
        }
        self
    }

    /// The cycle that holds at an instant, and since when.
    fn at(&self, at: Instant) -> (&Cycle, Option<&CycleChange>) {
        let passed = self.changes.partition_point(|change| change.from <= at);
        let change = passed.checked_sub(1).and_then(|last| self.changes.get(last));
        (change.map_or(&self.first, |change| &change.cycle), change)
    }

    /// The day on which an instant lies.
    #[must_use]
    pub fn day_of(&self, at: Instant) -> Date {
        match self.at(at) {
            (cycle, None) => day_of(at, &cycle.zone),
            (_, Some(change)) if at < change.second_start() => change.first_day,
            (cycle, Some(_)) => day_of(at, &cycle.zone),
        }
    }

    /// The first instant of a day.
    #[must_use]
    pub fn start_of(&self, date: Date) -> Instant {
        let passed = self.changes.partition_point(|change| change.first_day <= date);
        let next = self.changes.get(passed).map_or(Instant::MAX, |change| change.from);
        let change = passed.checked_sub(1).and_then(|last| self.changes.get(last));
        let start = match change {
            None => start_of_day(date, &self.first.zone),
            Some(change) if change.first_day == date => change.from,
            Some(change) => start_of_day(date, &change.cycle.zone).max(change.second_start()),
        };
        start.min(next)
    }

    /// From the start of the first day to that of the day after the last.
    fn period_of(&self, dates: PeriodDates) -> Period {
        Period { start: self.start_of(dates.start), end: self.start_of(dates.end) }
    }

    /// The days from cycle day to cycle day around an instant, and those of them that make its
    /// billing period: fewer where a change has cut it.
    fn dates_holding(&self, at: Instant) -> Option<(PeriodDates, PeriodDates)> {
        let (cycle, change) = self.at(at);
        let whole = cycle.dates_holding(self.day_of(at))?;
        let start = change.map_or(whole.start, |change| whole.start.max(change.first_day));
        Some((whole, PeriodDates { start, ..whole }))
    }

    /// The billing period that holds an instant; `None` only beyond the years 1 to 9998.
    #[must_use]
    pub fn period_holding(&self, at: Instant) -> Option<Period> {
        let period = self.period_of(self.dates_holding(at)?.1);
        period.contains(at).then_some(period)
    }

    /// How many of the days from cycle day to cycle day around its start a period has. `None`
    /// beyond the calendar's years.
    #[must_use]
    pub fn share_of(&self, period: Period) -> Option<Share> {
        let (whole, cut) = self.dates_holding(period.start)?;
        if whole == cut && self.period_of(whole) == period {
            return Some(Share::WHOLE);
        }
        Some(Share { active: self.days_of(period)?, whole: self.days_of(self.period_of(whole))? })
    }

    /// Days in a stretch of time that begins and ends with days.
    #[must_use]
    pub fn days_of(&self, time: Period) -> Option<u32> {
        days_between(self.day_of(time.start), self.day_of(time.end))
    }
}

impl CycleChange {
    /// Where the day after its first begins: the next that the new zone has. A zone that is a day
    /// or more ahead has left one out by then.
    fn second_start(&self) -> Instant {
        let mut day = self.first_day;
        loop {
            let Ok(next) = day.tomorrow() else { return Instant::MAX };
            let start = start_of_day(next, &self.cycle.zone);
            if start > self.from {
                return start;
            }
            day = next;
        }
    }
}

impl Cycle {
    /// Whether it cuts time as another one does.
    #[must_use]
    pub fn cuts_as(&self, other: &Self) -> bool {
        let month = |cycle: &Self| (cycle.length != PeriodLength::Month).then_some(cycle.month);
        (self.length, self.day, month(self)) == (other.length, other.day, month(other))
            && self.zone == other.zone
    }
}

/// Days from one to another; `None` if the other is earlier.
pub(crate) fn days_between(first: Date, next: Date) -> Option<u32> {
    u32::try_from(first.until(next).ok()?.get_days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn cycle(length: PeriodLength, day: i8, month: i8, zone: &str) -> Cycle {
        Cycle { length, day, month, zone: TimeZone::get(zone).unwrap() }
    }

    fn monthly(day: i8, zone: &str) -> Cycle {
        cycle(PeriodLength::Month, day, 1, zone)
    }

    fn instant(text: &str) -> Instant {
        Instant::parse(text).unwrap()
    }

    #[track_caller]
    fn check(calendar: &Calendar, at: &str, start: &str, end: &str) {
        let period = calendar.period_holding(instant(at)).unwrap();
        assert_eq!((period.start.to_string(), period.end.to_string()), (start.into(), end.into()));
    }

    #[test]
    fn cycle_day_31_falls_on_the_last_day_of_shorter_months() {
        let calendar = Calendar::new(monthly(31, "UTC"));
        check(&calendar, "2024-02-10T00:00:00Z", "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z");
        check(&calendar, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z");
        check(&calendar, "2024-04-30T12:00:00Z", "2024-04-30T00:00:00Z", "2024-05-31T00:00:00Z");
    }

    #[test]
    fn a_record_on_the_boundary_belongs_to_the_later_period() {
        let calendar = Calendar::new(monthly(1, "Europe/Berlin"));
        check(
            &calendar,
            "2026-03-31T21:59:59.999999999Z",
            "2026-02-28T23:00:00Z",
            "2026-03-31T22:00:00Z",
        );
        check(&calendar, "2026-03-31T22:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z");
    }

    #[test]
    fn longer_periods_begin_in_their_month() {
        let quarter = Calendar::new(cycle(PeriodLength::Quarter, 15, 2, "UTC"));
        check(&quarter, "2026-02-14T00:00:00Z", "2025-11-15T00:00:00Z", "2026-02-15T00:00:00Z");
        check(&quarter, "2026-02-15T00:00:00Z", "2026-02-15T00:00:00Z", "2026-05-15T00:00:00Z");
        let year = Calendar::new(cycle(PeriodLength::Year, 29, 2, "UTC"));
        check(&year, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z");
        check(&year, "2024-02-28T00:00:00Z", "2023-02-28T00:00:00Z", "2024-02-29T00:00:00Z");
        let half = Calendar::new(cycle(PeriodLength::HalfYear, 1, 1, "UTC"));
        check(&half, "2026-08-01T00:00:00Z", "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_midnight_that_does_not_exist_begins_the_day_later() {
        let calendar = Calendar::new(monthly(4, "America/Sao_Paulo"));
        // On 2018-11-04 the clocks went from 00:00 to 01:00.
        assert_eq!(calendar.start_of(date(2018, 11, 4)).to_string(), "2018-11-04T03:00:00Z");
        check(&calendar, "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-12-04T02:00:00Z");
    }

    #[test]
    fn another_cycle_day_holds_from_the_end_of_the_period_on() {
        let calendar = Calendar::new(monthly(1, "UTC"));
        let changed = calendar.changed(instant("2026-01-10T00:00:00Z"), &monthly(15, "UTC"));
        let changed = changed.unwrap();
        check(&changed, "2026-01-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        check(&changed, "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-15T00:00:00Z");
        check(&changed, "2026-02-15T00:00:00Z", "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z");
        check(&changed, "2025-06-15T00:00:00Z", "2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z");
        let share = |at: &str| {
            let share = changed.share_of(changed.period_holding(instant(at)).unwrap()).unwrap();
            (share.active, share.whole)
        };
        assert_eq!(share("2026-01-05T00:00:00Z"), (Share::WHOLE.active, Share::WHOLE.whole));
        assert_eq!(share("2026-02-05T00:00:00Z"), (14, 31), "of 01-15 to 02-15");
        assert_eq!(share("2026-02-20T00:00:00Z"), (Share::WHOLE.active, Share::WHOLE.whole));
        // A subscription may begin or end within any of them.
        let part = |start: &str, end: &str| {
            let share = changed.share_of(Period { start: instant(start), end: instant(end) });
            share.map(|share| (share.active, share.whole)).unwrap()
        };
        assert_eq!(part("2026-01-10T00:00:00Z", "2026-02-01T00:00:00Z"), (22, 31));
        assert_eq!(part("2026-01-01T00:00:00Z", "2026-01-10T00:00:00Z"), (9, 31));
        assert_eq!(part("2026-02-03T00:00:00Z", "2026-02-15T00:00:00Z"), (12, 31));
        assert_eq!(part("2026-02-15T00:00:00Z", "2026-02-20T00:00:00Z"), (5, 28));
    }

    #[test]
    fn a_change_within_the_period_takes_the_place_of_one_that_has_not_begun() {
        let used = instant("2026-01-10T00:00:00Z");
        let calendar = Calendar::new(monthly(1, "UTC"));
        let changed = calendar.changed(used, &monthly(15, "UTC")).unwrap();
        let again = changed.changed(used, &monthly(20, "UTC")).unwrap();
        check(&again, "2026-02-17T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-20T00:00:00Z");
        assert_eq!(again.changes().len(), 1);
        assert_eq!(again.changed(used, &monthly(1, "UTC")), Some(calendar));
        let later = changed.changed(instant("2026-02-02T00:00:00Z"), &monthly(1, "UTC")).unwrap();
        check(&later, "2026-02-17T00:00:00Z", "2026-02-15T00:00:00Z", "2026-03-01T00:00:00Z");
        check(&later, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
    }

    #[test]
    fn another_zone_makes_one_day_longer_or_shorter() {
        let used = instant("2026-01-10T00:00:00Z");
        let berlin = Calendar::new(monthly(1, "Europe/Berlin"));
        let west = berlin.changed(used, &monthly(1, "America/New_York")).unwrap();
        check(&west, "2026-01-31T22:59:59Z", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z");
        check(&west, "2026-01-31T23:00:00Z", "2026-01-31T23:00:00Z", "2026-03-01T05:00:00Z");
        assert_eq!(west.day_of(instant("2026-02-02T04:59:59Z")), date(2026, 2, 1), "30 hours");
        assert_eq!(west.start_of(date(2026, 2, 2)), instant("2026-02-02T05:00:00Z"));
        let york = Calendar::new(monthly(1, "America/New_York"));
        let east = york.changed(used, &monthly(1, "Europe/Berlin")).unwrap();
        check(&east, "2026-02-01T05:00:00Z", "2026-02-01T05:00:00Z", "2026-02-28T23:00:00Z");
        assert_eq!(east.start_of(date(2026, 2, 2)), instant("2026-02-01T23:00:00Z"), "18 hours");
        let february = east.period_holding(instant("2026-02-10T00:00:00Z")).unwrap();
        assert_eq!(east.share_of(february), Some(Share::WHOLE));
    }

    /// The old period once got the day that the new zone leaves out, after it was billed.
    #[test]
    fn a_zone_a_day_ahead_leaves_a_day_out_behind_the_change() {
        let used = instant("2026-01-20T00:00:00Z");
        let honolulu = Calendar::new(monthly(1, "Pacific/Honolulu"));
        let ahead = honolulu.changed(used, &monthly(1, "Pacific/Kiritimati")).unwrap();
        check(&ahead, "2026-01-20T00:00:00Z", "2026-01-01T10:00:00Z", "2026-02-01T10:00:00Z");
        check(&ahead, "2026-02-01T10:00:00Z", "2026-02-01T10:00:00Z", "2026-02-28T10:00:00Z");
        assert_eq!(ahead.day_of(instant("2026-02-01T10:00:00Z")), date(2026, 2, 1));
        assert_eq!(ahead.day_of(instant("2026-02-02T09:59:59Z")), date(2026, 2, 1));
        assert_eq!(ahead.day_of(instant("2026-02-02T10:00:00Z")), date(2026, 2, 3));
        assert_eq!(ahead.start_of(date(2026, 2, 2)), ahead.start_of(date(2026, 2, 3)));
        let start = honolulu.start_of(date(2026, 1, 10));
        let january = Period { start, end: instant("2026-02-01T10:00:00Z") };
        assert_eq!(ahead.share_of(january), Some(Share { active: 22, whole: 31 }));
    }

    /// The thirtieth of December 2011, which Samoa left out, counts in both or in neither.
    #[test]
    fn a_cycle_day_that_was_left_out_is_counted_as_any() {
        let apia = Calendar::new(monthly(30, "Pacific/Apia"));
        let period = apia.period_holding(instant("2011-12-25T00:00:00Z")).unwrap();
        let part = Period { start: apia.start_of(date(2011, 12, 19)), ..period };
        assert_eq!(apia.share_of(part), Some(Share { active: 12, whole: 31 }));
    }

    #[test]
    fn changes_stand_in_the_order_of_time() {
        let change = |from: &str, day: i8| CycleChange {
            from: instant(from),
            first_day: date(2026, 2, day),
            cycle: monthly(day, "UTC"),
        };
        let (first, second) =
            (change("2026-02-01T00:00:00Z", 1), change("2026-02-05T00:00:00Z", 5));
        let made = |changes: &[&CycleChange]| {
            let changes = changes.iter().map(|change| (*change).clone()).collect();
            Calendar::with_changes(monthly(1, "UTC"), changes)
        };
        assert_eq!(made(&[&first, &second]).unwrap().changes(), [first.clone(), second.clone()]);
        assert_eq!(made(&[&second, &first]), None);
        assert_eq!(made(&[&first, &first]), None);
        let same_day = CycleChange { first_day: first.first_day, ..second.clone() };
        let same_time = CycleChange { from: first.from, ..second };
        assert_eq!((made(&[&first, &same_day]), made(&[&first, &same_time])), (None, None));
    }

    #[test]
    fn a_month_of_monthly_periods_means_nothing() {
        let changed = cycle(PeriodLength::Month, 1, 7, "UTC");
        assert!(monthly(1, "UTC").cuts_as(&changed));
        let quarter = |month| cycle(PeriodLength::Quarter, 1, month, "UTC");
        assert!(!quarter(1).cuts_as(&quarter(2)));
    }

    const ZONES: [&str; 8] = [
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
        "UTC",
        "Pacific/Apia",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Etc/GMT+12",
    ];

    fn any_cycle() -> impl Strategy<Value = Cycle> {
        let length = prop::sample::select(PeriodLength::NAMES.map(|(_, length)| length).to_vec());
        let zone = prop::sample::select(ZONES.to_vec());
        (length, 1..=31_i8, 1..=12_i8, zone)
            .prop_map(|(length, day, month, zone)| cycle(length, day, month, zone))
    }

    proptest! {
        /// Whatever changes when, time is cut into periods and days without a gap, and what had
        /// begun is never cut anew.
        #[test]
        fn every_instant_lies_in_one_period_and_one_day(
            first in any_cycle(),
            changes in prop::collection::vec((0..900_i64, any_cycle()), 0..5),
        ) {
            let hour = |hours: i64| {
                let origin = instant("2010-12-01T00:00:00Z").nanos();
                Instant::from_nanos(origin + i128::from(hours) * 3_600_000_000_000)
            };
            let mut calendar = Calendar::new(first);
            for (day, cycle) in changes {
                let used_until = hour(day * 24);
                let changed = calendar.changed(used_until, &cycle).unwrap();
                let end = changed.period_holding(used_until).unwrap().end;
                prop_assert_eq!(calendar.day_of(end), changed.day_of(end));
                for hours in (0..day * 24 + 1).step_by(37) {
                    let at = hour(hours);
                    let period = calendar.period_holding(at).unwrap();
                    prop_assert_eq!(Some(period), changed.period_holding(at));
                    let part = Period { start: calendar.start_of(calendar.day_of(at)), ..period };
                    if part.start < part.end {
                        prop_assert_eq!(calendar.share_of(part), changed.share_of(part));
                    }
                }
                prop_assert!(changed.last().cuts_as(&cycle));
                prop_assert_eq!(calendar.period_holding(used_until).unwrap().end, end);
                calendar = changed;
            }
            let mut last = calendar.period_holding(hour(0)).unwrap();
            let mut day = calendar.day_of(hour(0));
            for hours in (0..24 * 1_000).step_by(7) {
                let at = hour(hours);
                let period = calendar.period_holding(at).unwrap();
                prop_assert!(period == last || period.start == last.end, "{at}: {period:?}");
                last = period;
                let now = calendar.day_of(at);
                prop_assert!(day <= now, "{at}");
                prop_assert!(calendar.start_of(now) <= at, "{at}");
                prop_assert!(at < calendar.start_of(now.tomorrow().unwrap()), "{at}");
                day = now;
            }
        }
    }
}
