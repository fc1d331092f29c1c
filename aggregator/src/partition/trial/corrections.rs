//! Corrections of records that stand in the way of being corrected.

use super::{Told, Trial, catalog};
use crate::partition::Verdict;
use rating::Code;

const CHARGE: &str = r#"{"key":"x","meter":"sum","filter":{"region":["eu"]},
    "price":{"model":"per_unit","unit_price":"1"}}"#;
const TWO: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01"},
    {"id":"T","customer":"C","plan":"p","start":"2026-01-01"}"#;
const AMENDED: Told = Told(
    "b",
    "2026-01-20",
    "C",
    r#"{"of":{"source":"s","id":"a"},"replacement":{"n":"4","region":"eu"}}"#,
);

/// A record that no charge took once forgot which subscription it had named, and what amended it
/// was refused as `ambiguous_subscription` where the customer had several.
#[test]
fn what_amends_an_unpriced_record_goes_where_it_went() {
    let catalog = catalog(&[("2026-01-01", CHARGE)], TWO);
    for subject in ["T", "C/T"] {
        let mut trial = Trial::new(&catalog);
        trial.rate(&[Told("a", "2026-01-20", subject, r#"{"n":"3","region":"us"}"#)]);
        trial.take(&catalog).unwrap();
        assert_eq!(trial.apply(AMENDED), Verdict::Rated(1));
        let totals = trial.totals();
        assert!(totals.contains(r#""subscription":"T","charge":"x""#), "{totals}");
    }
}

/// A cancellation of a cancellation once brought back what was older than anything that may still
/// change, and so did one of an amendment.
#[test]
fn what_is_too_old_is_neither_taken_away_nor_brought_back() {
    const CHARGE: &str =
        r#"{"key":"x","meter":"sum","price":{"model":"per_unit","unit_price":"1"}}"#;
    let mut trial = Trial::new(&catalog(&[("2026-01-01", CHARGE)], TWO));
    trial.rate(&[
        Told("a", "2026-01-20", "S", r#"{"n":"3"}"#),
        Told("no-a", "2026-01-21", "S", r#"{"of":{"source":"s","id":"a"}}"#),
        Told("b", "2026-01-20", "S", r#"{"n":"3"}"#),
        Told(
            "b2",
            "2026-01-21",
            "S",
            r#"{"of":{"source":"s","id":"b"},"replacement":{
                "specversion":"1.0","time":"2026-02-10T00:00:00Z","data":{"n":"5"}}}"#,
        ),
        Told("c", "2026-02-10", "S", r#"{"n":"7"}"#),
        Told("no-c", "2026-02-11", "S", r#"{"of":{"source":"s","id":"c"}}"#),
    ]);
    let before = trial.bytes();
    trial.forbid_before("2026-02-01");
    for told in [
        Told("yes-a", "2026-02-12", "S", r#"{"of":{"source":"s","id":"no-a"}}"#),
        Told("no-b2", "2026-02-12", "S", r#"{"of":{"source":"s","id":"b2"}}"#),
    ] {
        let Verdict::Rejected(rejection) = trial.apply(told) else { panic!("{told:?} is late") };
        assert_eq!(rejection.code, Code::LateClosed, "{told:?}");
    }
    assert!(trial.bytes() == before);
    trial.rate(&[Told("yes-c", "2026-02-12", "S", r#"{"of":{"source":"s","id":"no-c"}}"#)]);
    let totals = trial.totals();
    assert!(totals.contains(r#""quantity":"12","billable_quantity":"12""#), "{totals}");
}
