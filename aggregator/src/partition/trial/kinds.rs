//! A price of another kind, from a date on that lies within a scope with usage, once cost all later
//! records of the scope: they were refused as overflows, because a position that had kept none
//! could not tell which of them are free. Now it is made anew, and the totals are those of a state
//! that knew the price from the start.

use super::{Told, Trial, catalog};
use crate::error::Error;

const SUBSCRIPTION: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-10"}"#;
const PER_UNIT: &str = r#"{"model":"per_unit","unit_price":"1"}"#;
const FREE: &str = r#"{"model":"percentage","rate":"0.1","fixed_price":"0.01",
    "free_records":3,"free_amount":"9"}"#;

/// Some are used at the same time; one is amended, one cancelled.
const EARLIER: [Told; 7] = [
    Told("b", "2026-01-20", "S", r#"{"n":"2.5","region":"eu"}"#),
    Told("a", "2026-01-20", "S", r#"{"n":"4","region":"eu"}"#),
    Told("c", "2026-01-11", "S", r#"{"n":"3","region":"us"}"#),
    Told("d", "2026-01-25", "S", r#"{"n":"100","region":"eu"}"#),
    Told("no", "2026-01-25", "S", r#"{"of":{"source":"s","id":"d"}}"#),
    Told("f", "2026-01-12", "S", r#"{"n":"1","region":"eu"}"#),
    Told(
        "f2",
        "2026-01-25",
        "S",
        r#"{"of":{"source":"s","id":"f"},"replacement":{
            "specversion":"1.0","time":"2026-01-20T00:00:00Z","data":{"n":"5","region":"eu"}}}"#,
    ),
];

const LATER: [Told; 5] = [
    Told("g", "2026-01-28", "S", r#"{"n":"7","region":"eu"}"#),
    Told("h", "2026-01-30", "S", r#"{"n":"8","region":"us"}"#),
    Told("i", "2026-02-11", "S", r#"{"n":"9","region":"eu"}"#),
    Told("no-a", "2026-02-11", "S", r#"{"of":{"source":"s","id":"a"}}"#),
    Told("j", "2026-01-13", "S", r#"{"n":"0.5","region":"eu"}"#),
];

fn charge(scope: &str, price: &str) -> String {
    format!(r#"{{"key":"x","meter":"sum","scope":"{scope}","price":{price}}}"#)
}

fn matrix(eu: &str, default: &str) -> String {
    format!(
        r#"{{"model":"matrix","dimensions":["region"],"cells":[
            {{"match":{{"region":"eu"}},"price":{eu}}}],"default":{default}}}"#
    )
}

#[track_caller]
fn check(scope: &str, before: &str, after: &str) {
    let old = catalog(&[("2026-01-01", &charge(scope, before))], SUBSCRIPTION);
    let versions =
        [("2026-01-01", &*charge(scope, before)), ("2026-01-27", &*charge(scope, after))];
    check_catalogs(&old, &catalog(&versions, SUBSCRIPTION));
}

#[track_caller]
fn check_catalogs(old: &str, new: &str) {
    let mut known = Trial::new(new);
    known.rate(&EARLIER);
    known.rate(&LATER);
    let mut surprised = Trial::new(old);
    surprised.rate(&EARLIER);
    let before = surprised.totals();
    surprised.take(new).unwrap();
    assert_eq!(surprised.totals(), before, "nothing is rated otherwise than it was");
    surprised.take(new).unwrap();
    surprised.rate(&LATER);
    assert_eq!(surprised.totals(), known.totals());
    assert_eq!(surprised.disagreements("x"), [""; 0]);
}

#[test]
fn sums_become_fees_by_the_record() {
    for scope in ["billing_period", "day", "calendar_month", "year", "term"] {
        check(scope, PER_UNIT, FREE);
        check(scope, FREE, PER_UNIT);
    }
}

#[test]
fn cells_come_go_and_become_fees() {
    for scope in ["billing_period", "calendar_month", "year"] {
        check(scope, &matrix(PER_UNIT, PER_UNIT), &matrix(FREE, PER_UNIT));
        check(scope, PER_UNIT, &matrix(PER_UNIT, FREE));
        check(scope, &matrix(PER_UNIT, PER_UNIT), PER_UNIT);
        check(scope, &matrix(PER_UNIT, PER_UNIT), FREE);
    }
}

#[test]
fn an_override_makes_it_a_fee() {
    let version = [("2026-01-01", &*charge("year", PER_UNIT))];
    let price = format!(r#"[{{"effective_from":"2026-01-26T12:00:00Z","price":{FREE}}}]"#);
    let overrides = format!("\"plan\":\"p\",\"overrides\":{{\"x\":{price}}}");
    let own = SUBSCRIPTION.replace("\"plan\":\"p\"", &overrides);
    check_catalogs(&catalog(&version, SUBSCRIPTION), &catalog(&version, &own));
}

/// Where the rated lines are elsewhere, nothing says in which order records of one time come.
#[test]
fn what_cannot_be_made_anew_is_refused() {
    let old = charge("year", PER_UNIT);
    let mut trial = Trial::new(&catalog(&[("2026-01-01", &old)], SUBSCRIPTION));
    trial.rate(&EARLIER);
    trial.commit();
    trial.forget_rated();
    let new = [("2026-01-01", &*old), ("2026-01-27", &*charge("year", FREE))];
    let refused = trial.take(&catalog(&new, SUBSCRIPTION)).unwrap_err();
    assert!(matches!(refused, Error::Repriced { .. }), "{refused}");
}
