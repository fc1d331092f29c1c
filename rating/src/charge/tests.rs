//! What a charge takes, which of them a total can hold, and which terms are in force.

use super::*;
use crate::catalog::Catalog;
use crate::json::Tape;

/// A plan of two versions, the second from February on, with one charge each.
fn catalog(first: &str, second: &str) -> Catalog {
    let plan = |version: u32, from: &str, charge: &str| {
        format!(
            r#"{{"key":"p","version":{version},"effective_from":"{from}","currency":"USD",
            "charges":[{{"key":"c","meter":"m",{charge}}}]}}"#
        )
    };
    let plans = [plan(1, "2026-01-01T00:00:00Z", first), plan(2, "2026-02-01T00:00:00Z", second)];
    let text = format!(
        r#"{{"meters":[{{"key":"m","event_type":"t","aggregation":"sum","value":"$.n",
        "group_by":{{"region":"$.region"}}}},
        {{"key":"peak","event_type":"t","aggregation":"max","value":"$.n"}}],
        "plans":[{}]}}"#,
        plans.join(",")
    );
    Catalog::parse(text.as_bytes()).unwrap()
}

const UNIT: &str = r#""price":{"model":"per_unit","unit_price":"1"}"#;
const DAILY: &str = r#""scope":"day","price":{"model":"per_unit","unit_price":"1"}"#;
const FEE: &str = r#""price":{"model":"percentage","rate":"0.01"}"#;

fn timeline(catalog: &Catalog) -> &Timeline {
    catalog.plans().first().unwrap().timelines.first().unwrap()
}

fn charge(timeline: &Timeline, terms: usize) -> &Charge {
    timeline.terms.get(terms).unwrap().charge.as_deref().unwrap()
}

fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

fn period(start: &str, end: &str) -> Period {
    Period { start: at(start), end: at(end) }
}

#[test]
fn a_filter_takes_the_values_that_it_names() {
    let filtered = format!(r#""filter":{{"region":["eu","us"]}},{UNIT}"#);
    let catalog = catalog(&filtered, UNIT);
    let meter = catalog.meters().first().unwrap();
    let timeline = timeline(&catalog);
    let rows = [
        (r#"{"region":"eu"}"#, true),
        (r#"{"region":"us"}"#, true),
        (r#"{"region":"ap"}"#, false),
        ("{}", false),
    ];
    for (data, wanted) in rows {
        let mut tape = Tape::default();
        let data = tape.parse(data.as_bytes()).unwrap();
        assert_eq!(charge(timeline, 0).takes(meter, Some(data)), wanted, "{data:?}");
        assert!(charge(timeline, 1).takes(meter, Some(data)), "without a filter, all are taken");
    }
    assert!(!charge(timeline, 0).takes(meter, None));
}

#[test]
fn a_total_holds_sums_of_a_billing_period_alone() {
    for (text, wanted) in [(UNIT, true), (DAILY, false), (FEE, false)] {
        let catalog = catalog(text, text);
        let timeline = timeline(&catalog);
        assert_eq!(charge(timeline, 0).is_simple(), wanted, "{text}");
        assert_eq!(timeline.is_simple, wanted, "{text}");
    }
    let catalog = catalog(UNIT, UNIT);
    let mut peak = charge(timeline(&catalog), 0).clone();
    peak.aggregation = Aggregation::Max;
    assert!(!peak.is_simple());
}

#[test]
fn only_the_terms_of_a_period_decide_whether_a_total_can_hold_it() {
    let catalog = catalog(FEE, UNIT);
    let timeline = timeline(&catalog);
    let february = at("2026-02-01T00:00:00Z");
    let from_february = Period { start: february, end: at("2026-03-01T00:00:00Z") };
    assert!(timeline.is_simple_in(from_february));
    let before = Period { start: Instant::from_nanos(february.nanos() - 1), ..from_february };
    assert!(!timeline.is_simple_in(before));
    // What comes into force as a period ends is not of it.
    let until_february = period("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    assert_eq!(timeline.within(until_february).count(), 1);
    assert_eq!(timeline.within(from_february).count(), 1);
    let longer = Period { end: Instant::from_nanos(february.nanos() + 1), ..until_february };
    assert_eq!(timeline.within(longer).count(), 2);
}

#[test]
fn the_terms_at_an_end_are_the_last_with_a_charge() {
    let mut timeline = timeline(&catalog(UNIT, FEE)).clone();
    let (january, february) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    let march = at("2026-03-01T00:00:00Z");
    let from = |timeline: &Timeline, start, end| timeline.at_end(start, end).map(|one| one.from);
    assert_eq!(from(&timeline, january, february), Some(january));
    assert_eq!(from(&timeline, january, march), Some(february));
    assert_eq!(from(&timeline, january, january), None);
    // The second version drops the charge: it is settled for the month in which that happens.
    timeline.terms.get_mut(1).unwrap().charge = None;
    let middle = at("2026-01-15T00:00:00Z");
    assert_eq!(from(&timeline, middle, march), Some(january));
    assert_eq!(from(&timeline, january, march), Some(january));
    assert_eq!(from(&timeline, february, march), None);
}

#[test]
fn a_digest_tells_terms_and_where_they_change() {
    let catalog = catalog(UNIT, FEE);
    let timeline = timeline(&catalog);
    let (january, february) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    let last = Instant::from_nanos(february.nanos() - 1);
    assert_ne!(timeline.digest(january, last), timeline.digest(january, february));
    let mut later = timeline.clone();
    later.terms.get_mut(1).unwrap().from = Instant::from_nanos(february.nanos() + 1);
    let end = at("2026-03-01T00:00:00Z");
    assert_ne!(timeline.digest(january, end), later.digest(january, end));
    // When the first of them came into force does not matter, as long as it was in time.
    let mut earlier = timeline.clone();
    earlier.terms.get_mut(0).unwrap().from = at("2025-01-01T00:00:00Z");
    assert_eq!(timeline.digest(january, end), earlier.digest(january, end));
}

#[test]
fn a_position_of_zero_costs_the_same_by_the_short_way() {
    let tiers = r#""tiers":[{"up_to":"10","unit_price":"1","flat_price":"5"},
        {"up_to":null,"unit_price":"2","flat_price":"7"}]"#;
    let steps = r#""tiers":[{"up_to":"10","flat_price":"5"},{"up_to":null,"flat_price":"7"}]"#;
    let blocks = r#""tiers":[{"up_to":null,"block_size":"4","block_price":"3"}]"#;
    for at_zero in [false, true] {
        let flag = format!(r#""flat_price_at_zero":{at_zero}"#);
        let prices = [
            r#"{"model":"per_unit","unit_price":"1"}"#.to_owned(),
            r#"{"model":"package","package_size":"10","package_price":"3"}"#.to_owned(),
            r#"{"model":"flat","amount":"9"}"#.to_owned(),
            format!(r#"{{"model":"graduated",{tiers},{flag}}}"#),
            format!(r#"{{"model":"volume",{tiers},{flag}}}"#),
            format!(r#"{{"model":"stairstep",{steps},{flag}}}"#),
            format!(r#"{{"model":"graduated",{blocks},{flag}}}"#),
        ];
        for price in prices {
            let units = r#""unit":{"divide_by":"7","rounding":"up"},"included":"3""#;
            let catalog = catalog(&format!(r#"{units},"price":{price}"#), UNIT);
            let charge = charge(timeline(&catalog), 0);
            for share in [Share::WHOLE, Share { active: 9, whole: 31 }] {
                let wanted = charge.amount_at(Quantity::ZERO, share);
                assert_eq!(charge.amount_at_zero(share), wanted, "{price}");
                let due = if price.contains("flat\",") { "9" } else { "5" };
                let costs = price.contains("flat\",") || (at_zero && price.contains("\"5\""));
                let wanted = if costs { due } else { "0" };
                assert_eq!(charge.amount_at_zero(share).unwrap().to_string(), wanted, "{price}");
            }
        }
    }
}

/// A record counts where its own terms find it, and where those do that its scope still meets.
#[test]
fn cells_are_those_of_its_own_terms_and_of_later_ones() {
    let matrix = |region: &str| {
        format!(
            r#""price":{{"model":"matrix","dimensions":["region"],"cells":[{{"match":
            {{"region":"{region}"}},"price":{{"model":"per_unit","unit_price":1}}}}],
            "default":{{"model":"per_unit","unit_price":2}}}}"#
        )
    };
    let (eu, us) = (matrix("eu"), matrix("us"));
    let in_eu = [DimensionHash::of("region", "eu")];
    let cells = |first: &str, second: &str, day: &str, end: &str| {
        let catalog = catalog(first, second);
        let timeline = timeline(&catalog);
        let scope = period("2026-01-01T00:00:00Z", end);
        let labels = timeline.cells_of(at(day), scope, &in_eu);
        let labels: Vec<String> =
            labels.into_iter().map(|name| crate::cell_label(name).to_owned()).collect();
        (labels, timeline.changes_grid, timeline.grids_of(scope) != 0)
    };
    let (january, february) = ("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z");
    let march = "2026-03-01T00:00:00Z";
    let wanted = |labels: &[&str], changes, meets| {
        (labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>(), changes, meets)
    };
    assert_eq!(cells(UNIT, &eu, january, march), wanted(&["", "region=eu"], true, true));
    assert_eq!(cells(UNIT, &eu, february, march), wanted(&["region=eu"], true, true));
    assert_eq!(cells(UNIT, &eu, january, february), wanted(&[""], true, false));
    assert_eq!(cells(&eu, &us, january, march), wanted(&["region=eu", "default"], true, true));
    assert_eq!(cells(&eu, &eu, january, march), wanted(&["region=eu"], false, false));
    assert_eq!(cells(UNIT, UNIT, january, march), wanted(&[""], false, false));
}

/// States keep it: positions are counted anew where it is another.
#[test]
fn grids_are_told_apart_by_their_order_and_times() {
    let matrix = r#""price":{"model":"matrix","dimensions":["region"],"cells":[],
        "default":{"model":"per_unit","unit_price":2}}"#;
    let scope = period("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z");
    let forth = catalog(UNIT, matrix);
    let back = catalog(matrix, UNIT);
    let forth = timeline(&forth);
    let mut later = forth.clone();
    later.terms[1].from = at("2026-02-02T00:00:00Z");
    let digests = [forth, timeline(&back), &later].map(|timeline| timeline.grids_of(scope));
    assert_eq!(digests[0], 7_803_520_879_188_489_166, "frozen");
    assert!(digests[0] != digests[1] && digests[0] != digests[2] && digests[1] != digests[2]);
    // How the scope began before does not matter to it.
    let tail = period("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    assert_eq!(forth.grids_of(tail), 0);
}
