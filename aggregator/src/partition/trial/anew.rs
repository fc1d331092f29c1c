//! Positions that are made anew for terms that came after usage: what once went wrong when the
//! position was empty, its sum 0, the terms withdrawn, the records forgotten, or their dimensions
//! not asked for.

use super::{Told, Trial, catalog};
use crate::error::Error;
use crate::partition::Verdict;
use rating::Code;

const PER_UNIT: &str = r#"{"model":"per_unit","unit_price":"1"}"#;
const TIERS: &str = r#"{"model":"graduated","tiers":[{"up_to":"10","unit_price":"1"},
    {"up_to":null,"unit_price":"2"}]}"#;
const FREE: &str = r#"{"model":"percentage","rate":"0.1","fixed_price":"1","free_records":3}"#;
const CANCELS_A: &str = r#"{"of":{"source":"s","id":"a"}}"#;

fn matrix(eu: &str) -> String {
    format!(
        r#"{{"model":"matrix","dimensions":["region"],"cells":[
            {{"match":{{"region":"eu"}},"price":{eu}}}],"default":{TIERS}}}"#
    )
}

fn charge(meter: &str, price: &str) -> String {
    format!(r#"{{"key":"x","meter":"{meter}","scope":"year","price":{price}}}"#)
}

/// A subscription with these prices from these days on, in place of that of its plan.
fn subscription(overrides: &[(&str, &str)]) -> String {
    let overrides = overrides
        .iter()
        .map(|(day, price)| format!(r#"{{"effective_from":"{day}T00:00:00Z","price":{price}}}"#));
    let overrides = overrides.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"id":"S","customer":"C","plan":"p","start":"2026-01-01",
            "overrides":{{"x":[{overrides}]}}}}"#
    )
}

/// A catalog in which a charge has a price, and others from these days on.
fn priced(meter: &str, price: &str, overrides: &[(&str, &str)]) -> String {
    catalog(&[("2026-01-01", &charge(meter, price))], &subscription(overrides))
        .replace(r#""negative":"reject""#, r#""negative":"accept""#)
}

/// Rates the parts of a history, each by a catalog that is taken before it, and all of them by the
/// last: the totals must be the same.
#[track_caller]
fn check(steps: &[(String, &[Told])]) {
    let (last, _) = steps.last().unwrap();
    let mut known = Trial::new(last);
    let mut surprised = Trial::new(&steps[0].0);
    for (catalog, records) in steps {
        for _ in 0..2 {
            surprised.take(catalog).unwrap();
        }
        surprised.rate(records);
        known.rate(records);
    }
    assert_eq!(surprised.totals(), known.totals());
    assert_eq!(surprised.disagreements("x"), [""; 0]);
}

const fn eu(id: &'static str, day: &'static str, data: &'static str) -> Told {
    Told(id, day, "S", data)
}

const A: Told = eu("a", "2026-01-10", r#"{"n":"8","region":"eu"}"#);
const NO_A: Told = eu("no-a", "2026-01-11", CANCELS_A);
const LATER: [Told; 3] = [
    eu("x", "2026-02-10", r#"{"n":"8","region":"eu"}"#),
    eu("y", "2026-02-11", r#"{"n":"7","region":"us"}"#),
    eu("z", "2026-02-12", r#"{"n":"6","region":"eu"}"#),
];

/// Later records were refused as overflows: the position was there, and kept too little.
#[test]
fn a_position_without_records_is_none() {
    for meter in ["sum", "max", "latest", "p50", "unique"] {
        for price in [&*matrix(TIERS), TIERS, FREE, &*matrix(FREE)] {
            if price.contains("percentage") && meter != "sum" {
                continue;
            }
            let old = priced(meter, PER_UNIT, &[]);
            let new = priced(meter, PER_UNIT, &[("2026-02-01", price)]);
            check(&[(old, &[A, NO_A]), (new, &LATER)]);
        }
    }
    // One cell only, by an amendment that moves its record into another.
    let moves = r#"{"of":{"source":"s","id":"a"},"replacement":{"specversion":"1.0",
        "data":{"n":"8","region":"us"}}}"#;
    let old = priced("sum", &matrix(PER_UNIT), &[]);
    let new = priced("sum", &matrix(PER_UNIT), &[("2026-02-01", &matrix(FREE))]);
    check(&[(old, &[A, eu("a2", "2026-01-11", moves)]), (new, &LATER)]);
}

/// What adds up to nothing was taken for nothing: it counts in no cell then, or frees no record.
#[test]
fn a_sum_of_nothing_is_something() {
    let plus_minus = [
        eu("p", "2026-01-10", r#"{"n":"5","region":"eu"}"#),
        eu("m", "2026-01-11", r#"{"n":"-5","region":"us"}"#),
    ];
    let zeros = [
        eu("p", "2026-01-10", r#"{"n":"0","region":"eu"}"#),
        eu("m", "2026-01-11", r#"{"n":"0","region":"eu"}"#),
    ];
    let cancelled = [LATER[0], eu("no-p", "2026-02-13", r#"{"of":{"source":"s","id":"p"}}"#)];
    for usage in [&plus_minus, &zeros] {
        for (first, second) in
            [(TIERS, &*matrix(TIERS)), (TIERS, &*matrix(FREE)), (&*matrix(TIERS), TIERS)]
        {
            let old = priced("sum", first, &[]);
            let new = priced("sum", first, &[("2026-02-01", second)]);
            check(&[(old.clone(), usage), (new.clone(), &LATER)]);
            check(&[(old, usage), (new, &cancelled)]);
        }
    }
}

/// A version that is withdrawn and comes back found what was used before it was withdrawn, and
/// neither what was used nor what was cancelled since.
#[test]
fn terms_that_come_back_find_all_that_was_used() {
    let with = priced("sum", TIERS, &[("2026-02-01", &matrix(TIERS))]);
    let without = priced("sum", TIERS, &[]);
    let since = [eu("b", "2026-01-12", r#"{"n":"5","region":"eu"}"#), NO_A];
    let other = priced("sum", TIERS, &[("2026-02-01", &matrix(FREE))]);
    check(&[(with.clone(), &[A]), (without.clone(), &since), (with.clone(), &LATER)]);
    check(&[(with.clone(), &[A]), (without.clone(), &[NO_A]), (with.clone(), &LATER)]);
    check(&[(with.clone(), &[A]), (without.clone(), &since), (other, &LATER)]);
    check(&[(with, &[A]), (without, &since[..1])]);
}

/// A record that was refused stayed in the position, if its terms had become simple again.
#[test]
fn what_is_refused_leaves_no_trace_after_terms_were_withdrawn() {
    let charge = r#"{"key":"x","meter":"sum","unit":{"divide_by":"0.000000000001"},
        "price":{"model":"per_unit","unit_price":"999999999999"}}"#;
    let matrix = r#"{"model":"matrix","dimensions":["region"],"cells":[],
        "default":{"model":"per_unit","unit_price":"1"}}"#;
    let versions = [("2026-01-01", charge)];
    let mut trial = Trial::new(&catalog(&versions, &subscription(&[("2026-01-20", matrix)])));
    trial.rate(&[A]);
    trial.take(&catalog(&versions, &subscription(&[]))).unwrap();
    let before = (trial.totals(), trial.bytes());
    let large = eu("large", "2026-01-12", r#"{"n":"5000000000","region":"eu"}"#);
    let Verdict::Rejected(rejection) = trial.apply(large) else { panic!("it is large") };
    assert_eq!(rejection.code, Code::Overflow);
    assert_eq!(trial.totals(), before.0);
    trial.rate(&[eu("b", "2026-01-13", r#"{"n":"2","region":"eu"}"#), NO_A]);
    assert_eq!(trial.disagreements("x"), [""; 0]);
}

/// Records of a closed period are gone some time after it; those of the scope's later periods are
/// not, and neither is a scope in which nothing was used.
#[test]
fn what_was_forgotten_cannot_be_made_anew() {
    for (day, cancels, is_taken) in
        [("2026-01-10", false, false), ("2026-01-10", true, true), ("2026-02-10", false, true)]
    {
        let old = priced("sum", TIERS, &[]);
        let mut trial = Trial::new(&old);
        trial.rate(&[eu("a", day, r#"{"n":"8","region":"eu"}"#)]);
        if cancels {
            trial.rate(&[eu("no-a", day, CANCELS_A)]);
        }
        trial.commit();
        trial.rate(&[eu("b", "2026-02-20", r#"{"n":"8","region":"eu"}"#)]);
        trial.commit();
        trial.rate(&[eu("c", "2026-03-20", r#"{"n":"8","region":"eu"}"#)]);
        trial.commit();
        trial.forbid_before("2026-02-05");
        trial.rate(&[eu("d", "2026-03-21", r#"{"n":"1","region":"eu"}"#)]);
        trial.commit();
        let taken = trial.take(&priced("sum", TIERS, &[("2026-04-01", &matrix(TIERS))]));
        assert_eq!(taken.is_ok(), is_taken, "{day} {cancels}: {taken:?}");
        assert!(is_taken || matches!(taken, Err(Error::Repriced { .. })), "{taken:?}");
        // What it was rated by goes on.
        trial.take(&old).unwrap();
    }
}

/// A meter that learns a dimension together with the matrix that looks at it: what came before was
/// not asked for it, and must not be taken for usage of no region.
#[test]
fn what_was_not_asked_for_cannot_be_sorted() {
    let unasked = |text: &str| text.replace(r#""region":"$.region""#, "");
    let with = priced("sum", TIERS, &[("2026-03-01", &matrix(TIERS))]);
    let mut trial = Trial::new(&unasked(&priced("sum", TIERS, &[])));
    trial.rate(&[A]);
    let refused = trial.take(&with).unwrap_err();
    assert!(matches!(refused, Error::Repriced { .. }), "{refused}");
    // Asked from now on, it is still not said of what came before.
    trial.take(&priced("sum", TIERS, &[])).unwrap();
    trial.rate(&[LATER[0]]);
    let refused = trial.take(&with).unwrap_err();
    assert!(matches!(refused, Error::Repriced { .. }), "{refused}");
    let elsewhere = with.replace("$.region", "$.other");
    let refused = trial.take(&elsewhere).unwrap_err();
    assert!(matches!(refused, Error::Repriced { .. }), "{refused}");
    // Nor is it said of what came while it was not asked for.
    let mut trial = Trial::new(&priced("sum", TIERS, &[]));
    trial.rate(&[A]);
    trial.take(&unasked(&priced("sum", TIERS, &[]))).unwrap();
    trial.rate(&[LATER[0]]);
    let refused = trial.take(&with).unwrap_err();
    assert!(matches!(refused, Error::Repriced { .. }), "{refused}");
    // Where nothing came before, all is well.
    let mut trial = Trial::new(&unasked(&priced("sum", TIERS, &[])));
    trial.take(&priced("sum", TIERS, &[])).unwrap();
    trial.rate(&[A]);
    trial.take(&with).unwrap();
}

/// A grid that was withdrawn in a month that is forgotten now once had any other refused for ever.
#[test]
fn what_was_withdrawn_does_not_matter_any_more() {
    let charge = format!(r#"{{"key":"x","meter":"sum","price":{TIERS}}}"#);
    let by =
        |overrides: &[(&str, &str)]| catalog(&[("2026-01-01", &charge)], &subscription(overrides));
    let mut trial = Trial::new(&by(&[("2026-01-25", &matrix(TIERS))]));
    trial.rate(&[A]);
    trial.take(&by(&[])).unwrap();
    for (id, day) in [("b", "2026-02-20"), ("c", "2026-03-20")] {
        trial.rate(&[eu(id, day, r#"{"n":"8","region":"eu"}"#)]);
        trial.commit();
    }
    trial.forbid_before("2026-02-05");
    trial.rate(&[eu("d", "2026-03-21", r#"{"n":"1","region":"eu"}"#)]);
    trial.commit();
    trial.take(&by(&[("2026-04-10", &matrix(TIERS))])).unwrap();
}
