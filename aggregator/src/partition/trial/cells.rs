//! A version that sorts usage into other cells within a scope once began anew in them: tiers and
//! included units were given twice. Now each version goes on from all that was used in the scope,
//! whether it was known when that was rated or came later.

use super::{Told, Trial, catalog};
use crate::error::Error;

const SUBSCRIPTION: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01"}"#;
const TIERS: &str = r#"{"model":"graduated","tiers":[{"up_to":"10","unit_price":"1"},
    {"up_to":null,"unit_price":"2"}]}"#;
const TEN: &str = r#"{"model":"per_unit","unit_price":"10"}"#;
const FREE: &str = r#"{"model":"percentage","rate":"0.1","fixed_price":"1","free_records":3}"#;

/// Two records of 8 in two regions, before and after the 15th.
const USAGE: [Told; 4] = [
    Told("a", "2026-01-10", "S", r#"{"n":"8","region":"eu"}"#),
    Told("b", "2026-01-11", "S", r#"{"n":"8","region":"us"}"#),
    Told("c", "2026-01-20", "S", r#"{"n":"8","region":"eu"}"#),
    Told("d", "2026-01-21", "S", r#"{"n":"8","region":"us"}"#),
];

fn matrix(cells: &[(&str, &str)], default: &str) -> String {
    let cells = cells
        .iter()
        .map(|(region, price)| format!(r#"{{"match":{{"region":"{region}"}},"price":{price}}}"#));
    let cells = cells.collect::<Vec<_>>().join(",");
    format!(r#"{{"model":"matrix","dimensions":["region"],"cells":[{cells}],"default":{default}}}"#)
}

fn charge(meter: &str, scope: &str, price: &str) -> String {
    format!(r#"{{"key":"x","meter":"{meter}","scope":"{scope}","price":{price}}}"#)
}

/// What January costs, by versions that begin on these days.
fn cost(versions: &[(&str, &str)], usage: &[Told]) -> String {
    let versions: Vec<_> = versions
        .iter()
        .map(|(day, price)| (*day, charge("sum", "billing_period", price)))
        .collect();
    let versions: Vec<_> = versions.iter().map(|(day, charge)| (*day, charge.as_str())).collect();
    let mut trial = Trial::new(&catalog(&versions, SUBSCRIPTION));
    trial.rate(usage);
    assert_eq!(trial.disagreements("x"), [""; 0]);
    let totals = trial.totals();
    let mut amounts = totals.split("\"usage_amount\":\"").skip(1);
    let amount = amounts.next().and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(amounts.next(), None, "one total");
    amount.to_owned()
}

/// Worked out by hand; nothing of it comes from the program.
#[test]
fn each_version_goes_on_from_all_that_was_used() {
    let only_eu = matrix(&[("eu", TIERS)], TEN);
    let eu_and_us = matrix(&[("us", TIERS), ("eu", TIERS)], TEN);
    let both_default = matrix(&[("zz", TIERS)], TIERS);
    for (first, second, wanted) in [
        // 16 of one price: 10 + 6 * 2. Then eu from 8 to 16: 2 + 12; us 80.
        (TIERS, &*only_eu, "116"),
        // 8 and 80. Then from 16 to 32: 32.
        (&*only_eu, TIERS, "120"),
        // 8 and 80. Then eu from 8 to 16, and us too: 14 each.
        (&*only_eu, &*eu_and_us, "116"),
        // 8 and 80. Then both in the default, from 16 to 32: 32.
        (&*only_eu, &*both_default, "120"),
        (TIERS, &*both_default, "54"),
        // As if nothing had changed: 8, 8, 14, 14.
        (&*eu_and_us, &*matrix(&[("eu", TIERS), ("us", TIERS)], TEN), "44"),
        // 22. Then the third of all records is free, the fourth costs 1.8.
        (TIERS, FREE, "23.8"),
        // 22. Of Europe it is the second, free; us 80.
        (TIERS, &*matrix(&[("eu", FREE)], TEN), "102"),
    ] {
        let versions = [("2026-01-01", first), ("2026-01-15", second)];
        assert_eq!(cost(&versions, &USAGE), wanted, "{first} then {second}");
        let reversed: Vec<Told> = USAGE.iter().rev().copied().collect();
        assert_eq!(cost(&versions, &reversed), wanted, "{first} then {second}, reversed");
    }
    // And back again: what was used meanwhile counts.
    let back = [("2026-01-01", TIERS), ("2026-01-15", &only_eu), ("2026-01-21", TIERS)];
    // 22, then eu 14, then from 24 to 32: 16.
    assert_eq!(cost(&back, &USAGE), "52");
}

#[test]
fn a_correction_leaves_all_cells() {
    let versions = [("2026-01-01", TIERS), ("2026-01-15", &*matrix(&[("eu", TIERS)], TEN))];
    let mut usage = USAGE.to_vec();
    usage.push(Told("no", "2026-01-22", "S", r#"{"of":{"source":"s","id":"a"}}"#));
    // 8. Then eu from 0 to 8: 8; us 80.
    assert_eq!(cost(&versions, &usage), "96");
    usage.pop();
    usage.push(Told(
        "to-us",
        "2026-01-22",
        "S",
        r#"{"of":{"source":"s","id":"a"},"replacement":{"specversion":"1.0",
            "data":{"n":"8","region":"us"}}}"#,
    ));
    // 22, as before. Then eu from 0 to 8: 8; us 80.
    assert_eq!(cost(&versions, &usage), "110");
}

/// Versions that come after usage, of all aggregations, through restarts and back again.
#[test]
fn versions_that_come_later_find_what_was_used() {
    let only_eu = matrix(&[("eu", TIERS)], TEN);
    let eu_and_us = matrix(&[("us", TIERS), ("eu", TIERS)], TEN);
    let prices = [TIERS, &*only_eu, &*eu_and_us, TIERS];
    let days = ["2026-01-01", "2026-01-15", "2026-01-21", "2026-02-03"];
    let usage: Vec<Told> = [
        &USAGE[..],
        &[
            Told("no", "2026-01-20", "S", r#"{"of":{"source":"s","id":"b"}}"#),
            Told("e", "2026-01-12", "S", r#"{"n":"5","region":"us"}"#),
            Told("f", "2026-02-02", "S", r#"{"n":"3","region":"us"}"#),
            Told("g", "2026-02-03", "S", r#"{"n":"9","region":"eu"}"#),
            Told("no-a", "2026-02-04", "S", r#"{"of":{"source":"s","id":"a"}}"#),
        ],
    ]
    .concat();
    for meter in ["sum", "max", "latest", "p50", "unique"] {
        for scope in ["billing_period", "calendar_month", "year", "term"] {
            let charges: Vec<_> = prices.iter().map(|price| charge(meter, scope, price)).collect();
            let versions: Vec<_> =
                days.into_iter().zip(charges.iter().map(String::as_str)).collect();
            let mut known = Trial::new(&catalog(&versions, SUBSCRIPTION));
            let mut surprised = Trial::new(&catalog(&versions[..1], SUBSCRIPTION));
            let parts = [&usage[..2], &usage[2..3], &usage[3..6], &usage[6..]];
            for (number, part) in parts.into_iter().enumerate() {
                let before = surprised.totals();
                surprised.take(&catalog(&versions[..=number], SUBSCRIPTION)).unwrap();
                assert_eq!(surprised.totals(), before, "nothing is rated otherwise than it was");
                surprised.rate(part);
                surprised.commit();
                known.rate(part);
            }
            assert_eq!(surprised.totals(), known.totals(), "{meter} {scope}");
            assert_eq!(surprised.disagreements("x"), [""; 0], "{meter} {scope}");
        }
    }
}

/// Sums need no order, so nothing but the table of identities; the last value does.
#[test]
fn cells_are_found_without_rated_lines() {
    for (meter, is_found) in [("sum", true), ("p50", true), ("latest", false)] {
        let old = charge(meter, "year", TIERS);
        let mut trial = Trial::new(&catalog(&[("2026-01-01", &old)], SUBSCRIPTION));
        trial.rate(&USAGE[..2]);
        trial.commit();
        trial.forget_rated();
        let later = charge(meter, "year", &matrix(&[("eu", TIERS)], TEN));
        let new = catalog(&[("2026-01-01", &old), ("2026-01-15", &later)], SUBSCRIPTION);
        let taken = trial.take(&new);
        assert_eq!(taken.is_ok(), is_found, "{meter}");
        let repriced = |error: &Error| matches!(error, Error::Repriced { .. });
        assert!(taken.err().is_none_or(|error| repriced(&error)), "{meter}");
    }
}

/// A position that is made anew has fewer blocks of rows than the one before; none of those may
/// stay behind in the store.
#[test]
fn rows_that_were_made_anew_leave_none_behind() {
    const VALUES: usize = 2_000;
    let text = |text: String| -> &'static str { text.leak() };
    let told = |number: usize| {
        let (id, data) = (format!("r{number}"), format!(r#"{{"n":"{number}","region":"eu"}}"#));
        Told(text(id), "2026-01-10", "S", text(data))
    };
    let cancelled = |number: usize| {
        let (id, of) = (format!("no{number}"), format!(r#"{{"source":"s","id":"r{number}"}}"#));
        Told(text(id), "2026-01-10", "S", text(format!(r#"{{"of":{of}}}"#)))
    };
    let usage: Vec<Told> = (0..VALUES).map(told).collect();
    let few = (0..VALUES).filter(|number| number % 50 != 0).map(cancelled);
    let between = Told("between", "2026-01-17", "S", r#"{"n":"7000","region":"eu"}"#);
    let later = Told("later", "2026-01-25", "S", r#"{"n":"3000","region":"eu"}"#);
    let prices = [TIERS, &*matrix(&[("eu", TIERS)], TEN), TIERS];
    let charges = prices.map(|price| charge("p50", "year", price));
    let days = ["2026-01-01", "2026-01-15", "2026-01-21"];
    let versions: Vec<_> = days.into_iter().zip(charges.iter().map(String::as_str)).collect();
    let all = catalog(&versions, SUBSCRIPTION);
    let mut known = Trial::new(&all);
    let mut surprised = Trial::new(&catalog(&versions[..2], SUBSCRIPTION));
    for trial in [&mut known, &mut surprised] {
        trial.rate(&usage);
        trial.commit();
        trial.rate(&few.clone().collect::<Vec<_>>());
        trial.rate(&[between]);
        trial.take(&all).unwrap();
        // Once more from the store, which is all that counts.
        trial.take(&all).unwrap();
        trial.rate(&[later]);
    }
    assert_eq!(surprised.totals(), known.totals());
    assert_eq!(surprised.disagreements("x"), [""; 0]);
}
