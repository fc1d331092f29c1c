//! A changed cycle day, billing period or time zone was refused once there was usage. Now it holds
//! from the next period on; nothing is ever cut anew, and all is counted in one period.

use super::{Told, Trial, catalog};
use crate::error::Error;
use crate::partition::{ChangedCalendar, Verdict};
use jiff::ToSpan as _;
use proptest::prelude::*;
use rating::{Catalog, CycleRule, Date, Instant, PeriodLength};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SUBSCRIPTION: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01"}"#;
const CHARGES: &str = r#"
    {"key":"plain","meter":"sum","included":"31","prorate_included":true,
        "price":{"model":"per_unit","unit_price":"1"}},
    {"key":"daily","meter":"sum","scope":"day","included":"1",
        "price":{"model":"per_unit","unit_price":"1"}},
    {"key":"peak","meter":"max","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"level","meter":"level","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"yearly","meter":"sum","scope":"year","price":{"model":"graduated","tiers":[
        {"up_to":"100","unit_price":"2"},{"up_to":null,"unit_price":"1"}]}}"#;

fn with(settings: &str) -> String {
    with_subscriptions(settings, SUBSCRIPTION)
}

fn with_subscriptions(settings: &str, subscriptions: &str) -> String {
    let customer = format!(r#"{{"id":"C",{settings}}}"#);
    catalog(&[("2026-01-01", CHARGES)], subscriptions).replace(r#"{"id":"C"}"#, &customer)
}

/// What the totals of a charge say of these fields.
fn said(trial: &mut Trial, charge: &str, fields: [&str; 4]) -> Vec<[String; 4]> {
    let lines = trial.totals();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of_charge = lines.filter(|line| line["charge"] == charge);
    of_charge.map(|line| fields.map(|field| line[field].to_string().replace('"', ""))).collect()
}

fn periods(trial: &mut Trial, charge: &str) -> Vec<String> {
    let fields = ["period_start", "period_end", "quantity", "amount"];
    said(trial, charge, fields).iter().map(|row| row.join(" ").replace("T00:00:00Z", "")).collect()
}

const FIRST: [Told; 2] =
    [Told("a", "2026-01-10", "S", r#"{"n":"40"}"#), Told("b", "2026-01-20", "S", r#"{"n":"10"}"#)];
const LATER: [Told; 4] = [
    Told("c", "2026-02-01", "S", r#"{"n":"20"}"#),
    Told("d", "2026-02-14T23:59:59.999999999", "S", r#"{"n":"1"}"#),
    Told("e", "2026-02-15", "S", r#"{"n":"40"}"#),
    Told("f", "2026-01-31T23:59:59.999999999", "S", r#"{"n":"3"}"#),
];

/// The same totals, whenever within its period the change comes, and however often the state is
/// opened again.
#[test]
fn another_cycle_day_holds_from_the_next_period_on() {
    let (before, after) = (with("\"bill_cycle_day\":1"), with("\"bill_cycle_day\":15"));
    for change_after in 0..2 {
        for reopens in [false, true] {
            let mut trial = Trial::new(&before);
            trial.rate(&FIRST[..=change_after]);
            if reopens {
                trial.take(&after).unwrap();
            } else {
                trial.commit();
                let after = Arc::new(Catalog::parse(after.as_bytes()).unwrap());
                trial.partition().set_catalog(after).unwrap();
                assert_eq!(changes(&mut trial), ["C 2026-02-01T00:00:00Z 15"]);
            }
            trial.rate(&FIRST[change_after + 1..]);
            trial.rate(&LATER);
            if reopens {
                trial.take(&after).unwrap();
                assert!(changes(&mut trial).is_empty());
            }
            // 14 of the 31 days from 01-15 to 02-15: 14 of 31 units are free.
            assert_eq!(
                periods(&mut trial, "plain"),
                [
                    "2026-01-01 2026-02-01 53 22",
                    "2026-02-01 2026-02-15 21 7",
                    "2026-02-15 2026-03-15 40 9"
                ]
            );
            assert_eq!(
                periods(&mut trial, "peak"),
                [
                    "2026-01-01 2026-02-01 40 40",
                    "2026-02-01 2026-02-15 20 20",
                    "2026-02-15 2026-03-15 40 40"
                ]
            );
            // 53 before and 21 after it are in the first tier, and 26 of the 40.
            let yearly = periods(&mut trial, "yearly");
            assert_eq!(yearly[2], "2026-02-15 2026-03-15 40 66", "{yearly:?}");
            for charge in ["plain", "daily", "peak", "level", "yearly"] {
                assert_eq!(trial.disagreements(charge), Vec::<String>::new(), "{charge}");
            }
            trial.close("2026-03-15");
            let closed = said(&mut trial, "plain", ["status", "records", "revision", "period_end"]);
            assert!(closed.iter().all(|row| row[0] == "closed"), "{closed:?}");
            assert_eq!(closed.len(), 3);
        }
    }
}

fn changes(trial: &mut Trial) -> Vec<String> {
    let changes = trial.partition().changed_calendars().iter();
    let line = |change: &ChangedCalendar| {
        let back = if change.is_taken_back { " taken back" } else { "" };
        format!("{} {} {}{back}", change.customer, change.from, change.cycle.day)
    };
    changes.map(line).collect()
}

/// A catalog that was only tried leaves nothing of its calendars.
#[test]
fn a_change_that_was_tried_only_does_not_hold() {
    let mut trial = Trial::new(&with("\"bill_cycle_day\":1"));
    trial.rate(&FIRST);
    trial.commit();
    let before = trial.partition().before();
    let tried = Catalog::parse(with("\"bill_cycle_day\":15").as_bytes()).unwrap();
    trial.partition().set_catalog(Arc::new(tried)).unwrap();
    trial.partition().go_back(before).unwrap();
    trial.rate(&LATER);
    assert_eq!(
        periods(&mut trial, "peak"),
        ["2026-01-01 2026-02-01 40 40", "2026-02-01 2026-03-01 40 40"]
    );
}

/// Until the period ends, a change can be changed, and taken back.
#[test]
fn the_last_change_before_the_period_ends_holds() {
    let mut trial = Trial::new(&with("\"bill_cycle_day\":1"));
    trial.rate(&FIRST[..1]);
    trial.take(&with("\"billing_period\":\"quarter\"")).unwrap();
    trial.take(&with("\"bill_cycle_day\":20")).unwrap();
    assert_eq!(changes(&mut trial), ["C 2026-02-01T00:00:00Z 20"]);
    trial.rate(&FIRST[1..]);
    trial.take(&with("\"bill_cycle_day\":1")).unwrap();
    assert_eq!(changes(&mut trial), ["C 2026-02-01T00:00:00Z 1 taken back"]);
    trial.rate(&LATER);
    let months = ["2026-01-01 2026-02-01 40 40", "2026-02-01 2026-03-01 40 40"];
    assert_eq!(periods(&mut trial, "peak"), months);
    trial.take(&with("\"billing_period\":\"quarter\"")).unwrap();
    trial.rate(&[Told("g", "2026-03-02", "S", r#"{"n":"7"}"#)]);
    assert_eq!(periods(&mut trial, "peak")[2], "2026-03-01 2026-04-01 7 7");
    trial.rate(&[Told("h", "2026-06-30", "S", r#"{"n":"8"}"#)]);
    assert_eq!(periods(&mut trial, "peak")[3], "2026-04-01 2026-07-01 8 8");
}

/// What is closed, or begun, stays as it is; who has nothing yet has the new settings at once.
#[test]
fn closed_periods_and_unused_ones() {
    let mut trial = Trial::new(&with("\"bill_cycle_day\":1"));
    trial.close("2026-04-01");
    trial.take(&with("\"bill_cycle_day\":10")).unwrap();
    trial.rate(&[Told("a", "2026-04-02", "S", r#"{"n":"4"}"#)]);
    let last = periods(&mut trial, "peak").pop().unwrap();
    assert_eq!(last, "2026-04-01 2026-04-10 4 4");
    let mut unused = Trial::new(&with("\"bill_cycle_day\":1"));
    unused.take(&with("\"bill_cycle_day\":10")).unwrap();
    unused.rate(&[Told("a", "2026-04-02", "S", r#"{"n":"4"}"#)]);
    assert_eq!(periods(&mut unused, "peak"), ["2026-03-10 2026-04-10 4 4"]);
}

/// Of New York's January, five hours lie behind midnight in UTC. The first of February is a day of
/// 29 hours then, and free units of a day are given once for it.
#[test]
fn another_zone_makes_no_day_twice() {
    let mut trial = Trial::new(&with("\"time_zone\":\"UTC\""));
    trial.rate(&FIRST);
    trial.take(&with("\"time_zone\":\"America/New_York\"")).unwrap();
    trial.rate(&[
        Told("c", "2026-02-01T00:00:00", "S", r#"{"n":"2"}"#),
        Told("d", "2026-02-01T04:59:59", "S", r#"{"n":"2"}"#),
        Told("e", "2026-02-02T04:59:59", "S", r#"{"n":"2"}"#),
        Told("f", "2026-02-02T05:00:00", "S", r#"{"n":"2"}"#),
        Told("g", "2026-03-01T04:59:59", "S", r#"{"n":"2"}"#),
        Told("h", "2026-03-01T05:00:00", "S", r#"{"n":"2"}"#),
    ]);
    let fields = ["period_start", "period_end", "quantity", "amount"];
    let rows: Vec<String> =
        said(&mut trial, "daily", fields).iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        rows,
        [
            "2026-01-01T00:00:00Z 2026-02-01T00:00:00Z 50 48",
            "2026-02-01T00:00:00Z 2026-03-01T05:00:00Z 10 7",
            "2026-03-01T05:00:00Z 2026-04-01T04:00:00Z 2 1"
        ]
    );
}

/// The month of monthly periods means nothing, until they get longer.
#[test]
fn a_first_start_that_comes_later_has_its_month() {
    let march = r#"{"id":"S","customer":"C","plan":"p","start":"2026-03-07"}"#;
    let first = "\"bill_cycle_day\":\"first_subscription_start\"";
    let mut trial = Trial::new(&with_subscriptions("\"bill_cycle_day\":7", march));
    trial.rate(&[Told("a", "2026-03-10", "S", r#"{"n":"4"}"#)]);
    trial.take(&with_subscriptions(first, march)).unwrap();
    assert!(changes(&mut trial).is_empty());
    trial.rate(&[Told("b", "2026-04-10", "S", r#"{"n":"4"}"#)]);
    trial
        .take(&with_subscriptions(&format!("{first},\"billing_period\":\"quarter\""), march))
        .unwrap();
    trial.rate(&[Told("c", "2026-05-10", "S", r#"{"n":"4"}"#)]);
    let last = periods(&mut trial, "peak").pop().unwrap();
    assert_eq!(last, "2026-05-07 2026-06-07 4 4");
}

/// Whatever has been used by others: time has gone on.
#[test]
fn a_change_waits_for_the_period_that_holds_the_watermark() {
    let mut trial = Trial::new(&with("\"bill_cycle_day\":1"));
    trial.rate(&FIRST);
    let march = Instant::parse("2026-03-10T00:00:00Z").unwrap();
    trial.partition().advance_watermark(march);
    trial.take(&with("\"bill_cycle_day\":15")).unwrap();
    assert_eq!(changes(&mut trial), ["C 2026-04-01T00:00:00Z 15"]);
    trial.rate(&LATER[..2]);
    let last = periods(&mut trial, "peak").pop().unwrap();
    assert_eq!(last, "2026-02-01 2026-03-01 20 20");
}

/// The last day of a subscription is one of the zone that holds then.
#[test]
fn a_subscription_ends_with_its_day_in_the_new_zone() {
    let short = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01","end":"2026-02-10"}"#;
    let mut trial = Trial::new(&with_subscriptions("\"time_zone\":\"UTC\"", short));
    trial.rate(&FIRST);
    trial.take(&with_subscriptions("\"time_zone\":\"America/New_York\"", short)).unwrap();
    trial.rate(&[Told("c", "2026-02-11T04:59:59", "S", r#"{"n":"2"}"#)]);
    let late = trial.apply(Told("d", "2026-02-11T05:00:00", "S", r#"{"n":"2"}"#));
    assert!(matches!(late, Verdict::Rejected(_)), "{late:?}");
    let last = said(&mut trial, "plain", ["period_start", "period_end", "status", "amount"]);
    assert_eq!(last[1][..2], ["2026-02-01T00:00:00Z", "2026-02-11T05:00:00Z"]);
    // 10 of the 28 days of February.
    assert_eq!(last[1][3], "0");
}

/// Orders decide for all that was ever sold, so what was rated by them would be cut anew.
#[test]
fn what_orders_have_decided_stays() {
    let ordered = |day: i8, settings: &str| {
        let mut catalog = Catalog::parse(with(settings).as_bytes()).unwrap();
        let (length, month) = (PeriodLength::Month, 1);
        catalog.set_cycles(|_| Some(CycleRule { length, day, month }));
        catalog.finish();
        Arc::new(catalog)
    };
    let mut trial = Trial::new(&with("\"time_zone\":\"UTC\""));
    trial.partition().set_catalog(ordered(10, "\"time_zone\":\"UTC\"")).unwrap();
    trial.rate(&FIRST);
    trial.commit();
    for (day, settings) in [(12, "\"time_zone\":\"UTC\""), (10, "\"time_zone\":\"Asia/Tokyo\"")] {
        let refused = trial.partition().set_catalog(ordered(day, settings)).unwrap_err();
        assert!(matches!(refused, Error::OrderedCalendar { .. }), "{refused}");
    }
    // A run without orders does not know what they decided, but what it says must agree.
    let silent = Catalog::parse(with("\"bill_cycle_day\":20").as_bytes()).unwrap();
    let refused = trial.partition().set_catalog(Arc::new(silent)).unwrap_err();
    assert!(matches!(refused, Error::OrderedCalendar { .. }), "{refused}");
    trial.take(&with("\"time_zone\":\"UTC\"")).unwrap();
    assert!(changes(&mut trial).is_empty());
    trial.rate(&LATER);
    assert_eq!(
        periods(&mut trial, "peak"),
        ["2026-01-10 2026-02-10 40 40", "2026-02-10 2026-03-10 40 40"]
    );
}

/// The day on which the first subscription starts is fixed once, also when an earlier one comes.
#[test]
fn the_first_start_stays_what_it_was() {
    let first = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-07"}"#;
    let settings = "\"bill_cycle_day\":\"first_subscription_start\"";
    let mut trial = Trial::new(&with_subscriptions(settings, first));
    trial.rate(&FIRST);
    let two = format!(r#"{first},{{"id":"T","customer":"C","plan":"p","start":"2026-01-03"}}"#);
    trial.take(&with_subscriptions(settings, &two)).unwrap();
    assert!(changes(&mut trial).is_empty());
    trial.rate(&[Told("c", "2026-02-08", "C/S", r#"{"n":"2"}"#)]);
    let last = periods(&mut trial, "peak").pop().unwrap();
    assert_eq!(last, "2026-02-07 2026-03-07 2 2");
}

/// What happens to a state.
#[derive(Debug, Clone)]
enum Step {
    Record(u16),
    Change { day: i8, months: i8 },
    Close(u16),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let months = prop::sample::select(vec![1_i8, 3, 6, 12]);
    let step = prop_oneof![
        6 => (0..500_u16).prop_map(Step::Record),
        3 => (1..=31_i8, months).prop_map(|(day, months)| Step::Change { day, months }),
        1 => (0..500_u16).prop_map(Step::Close),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// The same by a list of days on which periods begin, made by looking at one day after another.
struct Oracle {
    begins: BTreeSet<Date>,
    used: BTreeMap<Date, u64>,
}

const DAYS: usize = 1_200;

fn day(number: u16) -> Date {
    first_day().series(1_i32.days()).nth(number.into()).unwrap()
}

fn first_day() -> Date {
    "2026-01-01".parse().unwrap()
}

fn begins_on(date: Date, (cycle_day, months): (i8, i8)) -> bool {
    date.day() == cycle_day.min(date.days_in_month()) && (date.month() - 1) % months == 0
}

impl Oracle {
    fn new() -> Self {
        let mut oracle = Self { begins: BTreeSet::new(), used: BTreeMap::new() };
        oracle.cut(first_day(), (1, 1));
        oracle
    }

    fn cut(&mut self, from: Date, cycle: (i8, i8)) {
        self.begins.retain(|begin| *begin < from);
        self.begins.insert(from);
        let days = from.series(1_i32.days()).skip(1).take(DAYS);
        self.begins.extend(days.filter(|date| begins_on(*date, cycle)));
    }

    fn begin_of(&self, date: Date) -> Date {
        *self.begins.range(..=date).next_back().unwrap()
    }

    fn end_of(&self, begin: Date) -> Date {
        *self.begins.range(begin.tomorrow().unwrap()..).next().unwrap()
    }

    fn change(&mut self, cycle: (i8, i8)) {
        let from = match self.used.keys().next_back() {
            Some(last) => self.end_of(*last),
            None => first_day(),
        };
        self.cut(from, cycle);
    }

    fn close(&mut self, until: Date) {
        let mut begin = first_day();
        while self.end_of(begin) <= until {
            self.used.entry(begin).or_default();
            begin = self.end_of(begin);
        }
    }
}

/// A catalog whose customer has periods of so many months that begin on a day.
fn under((day, months): (i8, i8)) -> String {
    let length = match months {
        1 => "month",
        3 => "quarter",
        6 => "half_year",
        _ => "year",
    };
    let charge = r#"{"key":"x","meter":"sum","price":{"model":"per_unit","unit_price":"1"}}"#;
    let customer = format!(r#"{{"id":"C","bill_cycle_day":{day},"billing_period":"{length}"}}"#);
    catalog(&[("2026-01-01", charge)], SUBSCRIPTION).replace(r#"{"id":"C"}"#, &customer)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn periods_are_those_of_the_days_one_by_one(steps in steps()) {
        let (mut oracle, mut cycle) = (Oracle::new(), (1, 1));
        let mut trial = Trial::new(&under(cycle));
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Record(at) => {
                    let id: &'static str = number.to_string().leak();
                    let time: &'static str = day(*at).to_string().leak();
                    let verdict = trial.apply(Told(id, time, "S", r#"{"n":"1"}"#));
                    prop_assert!(matches!(verdict, Verdict::Rated(_)), "{verdict:?}");
                    *oracle.used.entry(oracle.begin_of(day(*at))).or_default() += 1;
                }
                Step::Change { day, months } => {
                    cycle = (*day, *months);
                    oracle.change(cycle);
                    trial.take(&under(cycle)).unwrap();
                }
                Step::Close(until) => {
                    trial.close(day(*until).to_string().leak());
                    oracle.close(day(*until));
                }
                Step::Reopen => trial.take(&under(cycle)).unwrap(),
            }
        }
        let wanted: Vec<String> = oracle
            .used
            .iter()
            .map(|(begin, used)| format!("{begin} {} {used}", oracle.end_of(*begin)))
            .collect();
        let fields = ["period_start", "period_end", "quantity", "charge"];
        let found = said(&mut trial, "x", fields);
        let found = found.iter().map(|row| row[..3].join(" ").replace("T00:00:00Z", ""));
        prop_assert_eq!(found.collect::<Vec<_>>(), wanted);
    }
}
