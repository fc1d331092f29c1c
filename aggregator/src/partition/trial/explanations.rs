//! Totals of years, terms, months and levels share positions with earlier periods. Explaining them
//! once only counted and hashed their records; now their amounts too are worked out anew.

use super::{Told, Trial, catalog};

const SUBSCRIPTION: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-10"}"#;
const TIERS: &str = r#""price":{"model":"graduated","tiers":[
    {"up_to":"10","unit_price":"2","flat_price":"3"},{"up_to":null,"unit_price":"1"}]}"#;
const RECORDS: [Told; 7] = [
    Told("a", "2026-01-20", "S", r#"{"n":"8"}"#),
    Told("b", "2026-02-20", "S", r#"{"n":"7"}"#),
    Told("c", "2026-04-20", "S", r#"{"n":"9"}"#),
    Told("d", "2026-01-19", "S", r#"{"n":"6"}"#),
    Told("no-b", "2026-02-20", "S", r#"{"of":{"source":"s","id":"b"}}"#),
    Told("e", "2027-01-12", "S", r#"{"n":"4"}"#),
    Told("f", "2027-01-08", "S", r#"{"n":"2"}"#),
];

#[test]
fn every_total_is_rated_anew() {
    let charge = |key: &str, meter: &str, scope: &str| {
        format!(r#"{{"key":"{key}","meter":"{meter}","scope":"{scope}",{TIERS}}}"#)
    };
    let charges = [
        charge("year", "sum", "year"),
        charge("term", "sum", "term"),
        charge("peak", "max", "year"),
        charge("last", "latest", "term"),
        charge("different", "unique", "year"),
        charge("level", "level", "billing_period"),
        charge("day", "sum", "day"),
        charge("plain", "sum", "billing_period"),
    ];
    let mut trial = Trial::new(&catalog(&[("2026-01-01", &charges.join(","))], SUBSCRIPTION));
    trial.rate(&RECORDS);
    trial.close("2026-06-01");
    for charge in ["year", "term", "peak", "last", "different", "level", "day", "plain"] {
        let explained = trial.partition().explain("S", charge, "").unwrap();
        assert_eq!(explained.len(), 6, "{charge}: five months are closed, one is open");
        for found in explained {
            let (quantity, rated) = (found.total.settled.quantity, found.total.total.rated);
            assert_eq!(found.rerated, Some((quantity, rated)), "{charge} {found:?}");
            assert!(found.agrees(), "{charge}: {:?}", found.disagreements);
        }
    }
}
