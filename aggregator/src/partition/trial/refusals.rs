//! A refused record once left traces: revisions of closed totals that it had shifted, totals of no
//! records, positions without parts. Now a state is the same, to the last byte, whether or not
//! records came that were refused after some of their lines had been added.

use super::{Bytes, Told, Trial, catalog};
use crate::partition::Verdict;
use rating::Code;

/// What `sorted` takes counts in two positions until then, and in one that prices it no more after.
const SUBSCRIPTION: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01",
    "overrides":{"sorted":[{"effective_from":"2026-02-15T00:00:00Z","price":{"model":"matrix",
        "dimensions":["region"],"cells":[{"match":{"region":"eu"},
            "price":{"model":"package","package_size":"3","package_price":"1"}}],
        "default":{"model":"percentage","rate":"0.1","fixed_price":"1","free_amount":"3"}}}]}}"#;
/// Of every kind of total and position one, before the charge that refuses what is large.
const CHARGES: &str = r#"
    {"key":"plain","meter":"sum","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"daily","meter":"sum","scope":"day","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"yearly","meter":"sum","scope":"year","price":{"model":"graduated","tiers":[
        {"up_to":"10","unit_price":"2"},{"up_to":null,"unit_price":"1"}]}},
    {"key":"fees","meter":"sum","scope":"year","price":{"model":"percentage","rate":"0.1",
        "fixed_price":"1","free_records":3}},
    {"key":"cells","meter":"sum","price":{"model":"matrix","dimensions":["region"],"cells":[
        {"match":{"region":"eu"},"price":{"model":"per_unit","unit_price":"1"}}],
        "default":{"model":"percentage","rate":"0.1","fixed_price":"1","free_amount":"3"}}},
    {"key":"sorted","meter":"sum","scope":"year","price":{"model":"graduated","tiers":[
        {"up_to":"10","unit_price":"2"},{"up_to":null,"unit_price":"1"}]}},
    {"key":"peak","meter":"max","scope":"year","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"median","meter":"p50","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"last","meter":"latest","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"different","meter":"unique","scope":"year",
        "price":{"model":"per_unit","unit_price":"1"}},
    {"key":"level","meter":"level","price":{"model":"per_unit","unit_price":"1"}},"#;
/// Some 10^33 for what is large, more than a total may hold.
const LARGE: &str = r#""unit":{"divide_by":"0.000000000001"},
    "price":{"model":"per_unit","unit_price":"999999999999"}"#;

const FIRST: [Told; 4] = [
    Told("a", "2026-01-20", "S", r#"{"n":"2","region":"eu"}"#),
    Told("b", "2026-02-20", "S", r#"{"n":"9","region":"us"}"#),
    Told("c", "2026-02-10", "S", r#"{"n":"4","region":"eu"}"#),
    Told("c2", "2026-02-10", "S", r#"{"of":{"source":"s","id":"c"},"replacement":{"n":"5"}}"#),
];
const SECOND: [Told; 3] = [
    Told("d", "2026-01-21", "S", r#"{"n":"2","region":"eu"}"#),
    Told("e", "2026-03-01", "S", r#"{"n":"7","region":"eu"}"#),
    Told("no-a", "2026-03-01", "S", r#"{"of":{"source":"s","id":"a"}}"#),
];
/// Into periods that are closed, open and not there yet, and in place of others.
const REFUSED: [Told; 6] = [
    Told("x", "2026-01-10", "S", r#"{"n":"5000000000","region":"eu"}"#),
    Told("y", "2026-02-20", "S", r#"{"n":"5000000000","region":"us"}"#),
    Told("z", "2026-05-20", "S", r#"{"n":"5000000000","region":"ap"}"#),
    Told(
        "b2",
        "2026-02-20",
        "S",
        r#"{"of":{"source":"s","id":"b"},"replacement":{"n":"5000000000"}}"#,
    ),
    Told(
        "c3",
        "2026-02-21",
        "S",
        r#"{"of":{"source":"s","id":"c2"},"replacement":{"n":"5000000000"}}"#,
    ),
    Told(
        "b3",
        "2026-02-20",
        "S",
        r#"{"of":{"source":"s","id":"b"},"replacement":{
            "specversion":"1.0","time":"2026-06-01T00:00:00Z","data":{"n":"5000000000"}}}"#,
    ),
];

fn refuse(trial: &mut Trial) {
    for told in REFUSED {
        let Verdict::Rejected(rejection) = trial.apply(told) else { panic!("{told:?} is large") };
        assert_eq!(rejection.code, Code::Overflow, "{told:?}");
    }
}

/// The state after all that is admitted, with refused records between, everywhere, if at all.
fn state(catalog: &str, refused: bool, commits: bool) -> Bytes {
    let mut trial = Trial::new(catalog);
    let pause = |trial: &mut Trial| {
        for _ in 0..2 {
            if refused {
                refuse(trial);
            }
            if commits {
                trial.commit();
            }
        }
    };
    trial.rate(&FIRST);
    pause(&mut trial);
    trial.close("2026-03-01");
    pause(&mut trial);
    trial.rate(&SECOND);
    pause(&mut trial);
    trial.bytes()
}

#[track_caller]
fn check(scope: &str) {
    let refusing = format!(r#"{CHARGES}{{"key":"zz","meter":"sum","scope":"{scope}",{LARGE}}}"#);
    let catalog = catalog(&[("2026-01-01", &refusing)], SUBSCRIPTION);
    for commits in [false, true] {
        let (with, without) = (state(&catalog, true, commits), state(&catalog, false, commits));
        let names =
            |bytes: &Bytes| bytes.keys().map(|(table, _)| table.clone()).collect::<Vec<_>>();
        assert_eq!(names(&with), names(&without));
        for (key, value) in &without {
            assert_eq!(with.get(key), Some(value), "{key:?}");
        }
    }
}

#[test]
fn a_state_does_not_know_what_was_refused_by_a_total() {
    check("billing_period");
}

#[test]
fn a_state_does_not_know_what_was_refused_by_a_position() {
    check("year");
}

/// The block of a thousand rows that the refused record is put into is full.
#[test]
fn rows_do_not_move_to_other_blocks() {
    let refusing = format!(r#"{CHARGES}{{"key":"zz","meter":"sum",{LARGE}}}"#);
    let catalog = catalog(&[("2026-01-01", &refusing)], SUBSCRIPTION);
    let mut states = Vec::new();
    for refused in [false, true] {
        let mut trial = Trial::new(&catalog);
        for number in 1..=1_024 {
            let text = |text: String| -> &'static str { text.leak() };
            let data = text(format!(r#"{{"n":"{number}","region":"us"}}"#));
            trial.rate(&[Told(text(format!("r{number}")), "2026-01-20", "S", data)]);
        }
        if refused {
            refuse_usage(&mut trial);
        }
        states.push(trial.bytes());
    }
    assert!(states[0] == states[1]);
}

fn refuse_usage(trial: &mut Trial) {
    for told in REFUSED.into_iter().take(3) {
        assert!(matches!(trial.apply(told), Verdict::Rejected(_)), "{told:?}");
    }
}
