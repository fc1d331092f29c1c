//! Corrections of records that stand in the way of being corrected.

use super::{Told, Trial, catalog};
use crate::partition::Verdict;

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
