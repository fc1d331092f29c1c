//! Identities that nothing needs any more.

use super::{Told, Trial, catalog};
use crate::partition::Verdict;
use rating::Code;

const CHARGE: &str = r#"{"key":"x","meter":"sum","price":{"model":"per_unit","unit_price":"1"}}"#;
const ONE: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01"}"#;
const YEARLY: &str = r#"{"key":"x","meter":"sum","scope":"year",
    "price":{"model":"per_unit","unit_price":"1"}}"#;
const JANUARY: Told = Told("a", "2026-01-20", "S", r#"{"n":"3"}"#);
const FEBRUARY: Told = Told("b", "2026-02-20", "S", r#"{"n":"5"}"#);
const MARCH: Told = Told("c", "2026-03-20", "S", r#"{"n":"7"}"#);

/// A state whose records of January nothing needs any more.
fn with_january_over(charge: &str) -> Trial {
    let mut trial = Trial::new(&catalog(&[("2026-01-01", charge)], ONE));
    trial.rate(&[JANUARY]);
    trial.commit();
    trial.rate(&[FEBRUARY]);
    trial.commit();
    trial.forbid_before("2026-02-05");
    trial.rate(&[MARCH]);
    trial
}

fn identities(trial: &mut Trial) -> usize {
    trial.bytes().keys().filter(|(table, _)| table == "Ids").count()
}

fn code(verdict: Verdict) -> Option<Code> {
    if let Verdict::Rejected(rejection) = verdict { Some(rejection.code) } else { None }
}

#[test]
fn what_is_over_is_forgotten_and_never_taken_again() {
    let mut trial = with_january_over(CHARGE);
    let totals = trial.totals();
    assert_eq!(identities(&mut trial), 2, "those of February and March");
    assert_eq!(trial.apply(FEBRUARY), Verdict::Duplicate);
    // Even if a clock that runs behind would let it in.
    trial.forbid_before("2026-01-01");
    assert_eq!(code(trial.apply(JANUARY)), Some(Code::LateClosed));
    let late = Told("d", "2026-01-31T23:59:59", "S", r#"{"n":"1"}"#);
    assert_eq!(code(trial.apply(late)), Some(Code::LateClosed));
    trial.take(&catalog(&[("2026-01-01", CHARGE)], ONE)).unwrap();
    assert_eq!(code(trial.apply(JANUARY)), Some(Code::LateClosed));
    assert_eq!(trial.apply(FEBRUARY), Verdict::Duplicate);
    assert_eq!(trial.apply(MARCH), Verdict::Duplicate);
    assert_eq!(trial.totals(), totals);
}

#[test]
fn a_period_that_is_not_over_keeps_its_identities() {
    let mut trial = Trial::new(&catalog(&[("2026-01-01", CHARGE)], ONE));
    trial.rate(&[Told("a", "2026-02-01", "S", r#"{"n":"3"}"#)]);
    trial.commit();
    // A month later nothing of that day is taken any more, but the period ended only now.
    trial.forbid_before("2026-02-28");
    trial.rate(&[MARCH]);
    assert_eq!(identities(&mut trial), 2);
    trial.forbid_before("2026-03-02");
    trial.rate(&[Told("d", "2026-03-21", "S", r#"{"n":"1"}"#)]);
    assert_eq!(identities(&mut trial), 2, "one came, one went");
}

#[test]
fn forgetting_takes_many_commits_and_restarts() {
    let catalog = catalog(&[("2026-01-01", CHARGE)], ONE);
    let mut trial = Trial::new(&catalog);
    // A run each, more of them than one commit may forget.
    let ids: Vec<String> = (0..150).map(|number| format!("a{number}")).collect();
    let ids: Vec<&'static str> = ids.into_iter().map(|id| &*id.leak()).collect();
    for id in &ids {
        trial.rate(&[Told(id, "2026-01-20", "S", r#"{"n":"1"}"#)]);
        trial.commit();
    }
    trial.rate(&[FEBRUARY]);
    trial.commit();
    trial.forbid_before("2026-02-05");
    // Counting commits, and so does opening anew: 64 runs go with each.
    for (id, left) in [("x", 152 - 64), ("y", 3), ("z", 4)] {
        trial.rate(&[Told(id, "2026-03-20", "S", r#"{"n":"1"}"#)]);
        assert_eq!(identities(&mut trial), left);
        trial.take(&catalog).unwrap();
        for id in &ids {
            let again = trial.apply(Told(id, "2026-01-20", "S", r#"{"n":"1"}"#));
            assert!(again == Verdict::Duplicate || code(again) == Some(Code::LateClosed), "{id}");
        }
    }
    assert!(trial.totals().contains(r#""quantity":"150""#), "{}", trial.totals());
}

/// What was moved to a later time is kept as long as if it had always been of that time.
#[test]
fn corrections_keep_what_they_correct() {
    let mut trial = Trial::new(&catalog(&[("2026-01-01", CHARGE)], ONE));
    let moved = r#"{"of":{"source":"s","id":"a"},"replacement":{
        "specversion":"1.0","time":"2026-03-01T00:00:00Z","data":{"n":"4"}}}"#;
    trial.rate(&[JANUARY]);
    trial.commit();
    trial.rate(&[FEBRUARY]);
    trial.commit();
    trial.rate(&[Told("a2", "2026-03-02", "S", moved)]);
    trial.commit();
    trial.forbid_before("2026-02-05");
    trial.rate(&[MARCH]);
    trial.commit();
    let before = trial.bytes();
    let cancels = r#"{"of":{"source":"s","id":"a2"}}"#;
    assert_eq!(
        code(trial.apply(Told("no-a2", "2026-03-21", "S", cancels))),
        Some(Code::LateClosed)
    );
    assert!(trial.bytes() == before);
    // The amendment itself may be amended: what it stands for is of March.
    let again = r#"{"of":{"source":"s","id":"a2"},"replacement":{
        "specversion":"1.0","time":"2026-03-01T00:00:00Z","data":{"n":"6"}}}"#;
    assert_eq!(trial.apply(Told("a3", "2026-03-21", "S", again)), Verdict::Rated(2));
    let cancels = r#"{"of":{"source":"s","id":"a"}}"#;
    assert_eq!(code(trial.apply(Told("no-a", "2026-03-22", "S", cancels))), Some(Code::LateClosed));
    assert!(trial.totals().contains(r#""quantity":"13""#), "{}", trial.totals());
    let explained = trial.disagreements("x");
    assert!(explained.is_empty(), "{explained:?}");
}

/// An amendment that a cancellation kept out of force once came into force when the cancellation
/// was forgotten before it, and what amended it took back what had never been added.
#[test]
fn what_stands_does_not_change_by_forgetting() {
    let mut trial = Trial::new(&catalog(&[("2026-01-01", CHARGE)], ONE));
    trial.rate(&[JANUARY, Told("no-a", "2026-01-21", "S", r#"{"of":{"source":"s","id":"a"}}"#)]);
    trial.commit();
    trial.rate(&[FEBRUARY]);
    trial.commit();
    let moved = r#"{"of":{"source":"s","id":"a"},"replacement":{
        "specversion":"1.0","time":"2026-03-10T00:00:00Z","data":{"n":"4"}}}"#;
    assert_eq!(trial.apply(Told("a2", "2026-03-03", "S", moved)), Verdict::Rated(0));
    trial.commit();
    trial.rate(&[MARCH]);
    trial.commit();
    trial.forbid_before("2026-03-05");
    trial.rate(&[Told("d", "2026-03-21", "S", r#"{"n":"1"}"#)]);
    trial.commit();
    let totals = trial.totals();
    let again = r#"{"of":{"source":"s","id":"a2"},"replacement":{
        "specversion":"1.0","time":"2026-03-11T00:00:00Z","data":{"n":"6"}}}"#;
    let verdict = trial.apply(Told("a3", "2026-03-22", "S", again));
    assert!(!matches!(verdict, Verdict::Rated(_)), "{verdict:?}");
    assert_eq!(trial.totals(), totals);
}

#[test]
fn explaining_says_what_is_forgotten() {
    for charge in [CHARGE, YEARLY] {
        let mut trial = with_january_over(charge);
        trial.commit();
        let explained = trial.partition().explain("S", "x", "").unwrap();
        let found = explained.iter().map(|one| (one.forgotten, one.records.len(), one.agrees()));
        assert_eq!(found.collect::<Vec<_>>(), [(1, 0, true), (0, 1, true), (0, 1, true)]);
        // In the scope of a year, what was used in January counts with what came after it.
        let complete = explained.iter().map(|one| one.is_complete).collect::<Vec<_>>();
        assert_eq!(complete, [false, charge == CHARGE, charge == CHARGE]);
    }
}
