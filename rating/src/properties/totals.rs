//! Totals by hand: small plans, few records, and amounts that anyone can work out.

use crate::{
    Amount, Calendar, Catalog, Currency, Cycle, Frame, Instant, Period, Quantity, Rated, Rounding,
    Share, Sums, Timeline, Total, rate, take_back,
};

fn at(text: &str) -> Instant {
    Instant::parse(&format!("2026-{text}T00:00:00Z")).unwrap()
}

fn period(start: &str, end: &str) -> Period {
    Period { start: at(start), end: at(end) }
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

/// The charge of a plan whose versions begin on these days.
fn timeline(versions: &[(&str, &str)]) -> Timeline {
    let versions = versions.iter().enumerate().map(|(index, (day, fields))| {
        let number = index + 1;
        format!(
            r#"{{"key":"p","version":{number},"effective_from":"2026-{day}T00:00:00Z",
            "currency":"USD","charges":[{{"key":"c",{fields}}}]}}"#
        )
    });
    let text = format!(
        r#"{{"meters":[
        {{"key":"sum","event_type":"t","aggregation":"sum","value":"$.n","group_by":{{"r":"$.r"}}}},
        {{"key":"level","event_type":"t","aggregation":"time_weighted_sum","value":"$.n"}}],
        "plans":[{}]}}"#,
        versions.collect::<Vec<_>>().join(",")
    );
    let catalog = Catalog::parse(text.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?}"));
    catalog.plan("p").unwrap().timelines[0].clone()
}

const TIERS: &str = r#""meter":"sum","price":{"model":"graduated","tiers":[
    {"up_to":10,"unit_price":1},{"up_to":null,"unit_price":"0.5"}]}"#;
const PER_UNIT: &str = r#""meter":"sum","price":{"model":"per_unit","unit_price":2}"#;
/// A price whose first tier is due unused.
const ENTRY: &str = r#""price":{"model":"graduated","flat_price_at_zero":true,"tiers":[
    {"up_to":null,"unit_price":1,"flat_price":5}]}"#;

/// Adds a quantity to a total on some day, or takes it back where it is written with a sign.
fn apply(total: &mut Total, timeline: &Timeline, day: &str, change: &str) -> Option<Rated> {
    let terms = timeline.at(at(day)).unwrap();
    let by = (timeline, terms, Share::WHOLE);
    match change.strip_prefix('-') {
        Some(back) => take_back(total, by, quantity(back), at(day)),
        None => rate(total, by, quantity(change), at(day)),
    }
}

/// Day, quantity, and then what it costs and what was there before.
#[track_caller]
fn check(timeline: &Timeline, rows: &[(&str, &str, &str, &str)]) -> Total {
    let mut total = Total::default();
    for (day, change, amount, before) in rows {
        let rated = apply(&mut total, timeline, day, change).unwrap();
        let found = (rated.amount.to_string(), rated.total_before.to_string());
        assert_eq!(found, ((*amount).to_owned(), (*before).to_owned()), "{change} on {day}");
    }
    total
}

#[test]
fn a_record_costs_what_it_adds() {
    let total = check(
        &timeline(&[("01-01", TIERS)]),
        &[("01-05", "8", "8", "0"), ("01-03", "4", "3", "8"), ("01-09", "2", "1", "12")],
    );
    assert_eq!((total.rated.to_string(), total.records), ("12".to_owned(), 3));
    let times = (total.times.first(), total.times.last());
    assert_eq!(times, (Some(at("01-03")), Some(at("01-09"))), "whatever the order");
    let back = check(
        &timeline(&[("01-01", TIERS)]),
        &[("01-05", "8", "8", "0"), ("01-03", "4", "3", "8"), ("01-05", "-8", "-7", "12")],
    );
    assert_eq!((back.rated.to_string(), back.records), ("4".to_owned(), 1));
    assert_eq!((back.times.first(), back.times.last()), (Some(at("01-03")), Some(at("01-03"))));
}

#[test]
fn new_terms_go_on_where_the_old_ones_stood() {
    let timeline = timeline(&[("01-01", TIERS), ("01-16", PER_UNIT)]);
    let rows = [
        ("01-05", "8", "8", "0"),
        ("01-20", "4", "8", "8"),
        // Five in the first part: two in the first tier, three in the second.
        ("01-06", "5", "3.5", "12"),
        ("01-20", "-4", "-8", "17"),
        ("01-16", "1", "2", "13"),
    ];
    let total = check(&timeline, &rows);
    assert_eq!((total.rated.to_string(), total.records), ("13.5".to_owned(), 3));
    let quantities: Vec<String> =
        total.parts.iter().map(|part| part.quantity.to_string()).collect();
    assert_eq!(quantities, ["13", "1"]);
    assert_eq!(total.quantity(), Some(quantity("14")));
}

/// What leaves the domain is refused, and changes nothing.
#[test]
fn what_does_not_fit_is_not_counted() {
    let dear = r#""meter":"sum","price":{"model":"per_unit","unit_price":"999999999999"}"#;
    let timeline = timeline(&[("01-01", dear), ("01-16", dear)]);
    let huge = Quantity::from_scaled(10i128.pow(34));
    let widest = Quantity::from_scaled(i128::MAX);
    for before in [&[][..], &[("01-05", "1")], &[("01-05", "1"), ("01-20", "1")]] {
        let mut total = Total::default();
        for (day, change) in before {
            apply(&mut total, &timeline, day, change).unwrap();
        }
        for day in ["01-06", "01-21"] {
            for quantity in [huge, widest] {
                let unchanged = total.clone();
                let terms = timeline.at(at(day)).unwrap();
                let by = (&timeline, terms, Share::WHOLE);
                assert_eq!(rate(&mut total, by, quantity, at(day)), None);
                assert_eq!(total, unchanged);
            }
        }
    }
}

/// What a total of some records comes to in January, for so many of its 30 days.
#[track_caller]
fn check_settled(timeline: &Timeline, used: &[(&str, &str)], active: u32, wanted: [&str; 6]) {
    let mut total = Total::default();
    let share = Share { active, whole: 30 };
    for (day, change) in used {
        let terms = timeline.at(at(day)).unwrap();
        rate(&mut total, (timeline, terms, share), quantity(change), at(day)).unwrap();
    }
    let period = period("01-01", "02-01");
    let frame = Frame {
        period,
        share,
        active: period,
        renewals: &[],
        calendar: &Calendar::new(Cycle::default()),
    };
    let usd = (Currency::parse("USD").unwrap(), Rounding::HalfAwayFromZero);
    let settled = total.settle(timeline, &frame, usd).unwrap();
    let found = [
        settled.quantity.to_string(),
        settled.billable_quantity.to_string(),
        settled.amount_at_zero.to_string(),
        settled.usage_amount.to_string(),
        settled.amount.to_string(),
        settled.rounded.to_string(),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn discount_then_maximum_then_minimum() {
    let with = |fields: &str| timeline(&[("01-01", &format!("{fields}{PER_UNIT}"))]);
    let used = &[("01-05", "7.5"), ("01-06", "2.5025")];
    let plain = ["10.0025", "10.0025", "0", "20.005", "20.005", "20.01"];
    check_settled(&with(""), used, 30, plain);
    let amount = |amount, rounded| ["10.0025", "10.0025", "0", "20.005", amount, rounded];
    check_settled(&with("\"discount_percent\":10,"), used, 30, amount("18.0045", "18.00"));
    let capped = "\"discount_percent\":10,\"maximum\":18,";
    check_settled(&with(capped), used, 30, amount("18", "18.00"));
    check_settled(
        &with("\"discount_percent\":10,\"maximum\":19,"),
        used,
        30,
        amount("18.0045", "18.00"),
    );
    check_settled(&with("\"minimum\":\"20.006\","), used, 30, amount("20.006", "20.01"));
    check_settled(&with("\"minimum\":20,"), used, 30, amount("20.005", "20.01"));
    // Only what says so shrinks with the period.
    check_settled(&with("\"minimum\":40,"), used, 15, amount("40", "40.00"));
    let shrinks = "\"minimum\":41,\"prorate_minimum\":true,";
    check_settled(&with(shrinks), used, 15, amount("20.5", "20.50"));
    check_settled(&with("\"maximum\":4,"), used, 15, amount("4", "4.00"));
}

#[test]
fn included_units_come_first() {
    let with = |fields: &str| timeline(&[("01-01", &format!("{fields}{PER_UNIT}"))]);
    let included = with("\"included\":4,");
    check_settled(&included, &[("01-05", "3")], 30, ["3", "0", "0", "0", "0", "0.00"]);
    check_settled(&included, &[("01-05", "5")], 15, ["5", "1", "0", "2", "2", "2.00"]);
    let shrinks = with("\"included\":4,\"prorate_included\":true,");
    check_settled(&shrinks, &[("01-05", "5")], 15, ["5", "3", "0", "6", "6", "6.00"]);
    let halves = with("\"included\":4,\"unit\":{\"divide_by\":2},");
    check_settled(&halves, &[("01-05", "9")], 30, ["9", "0.5", "0", "1", "1", "1.00"]);
    // The units of a version go on to be included under the next.
    let later = format!("\"included\":6,{PER_UNIT}");
    let both = timeline(&[("01-01", &format!("\"included\":4,{PER_UNIT}")), ("01-16", &later)]);
    let used = [("01-05", "5"), ("01-20", "2")];
    check_settled(&both, &used, 30, ["7", "2", "0", "4", "4", "4.00"]);
}

/// `P(0)` of a period, and the units that it prices, where a level was carried in.
#[track_caller]
fn check_at_zero(
    timeline: &Timeline,
    (period, active): (Period, Period),
    (share, carried): (Share, &str),
    wanted: (&str, &str),
) {
    let frame =
        Frame { period, share, active, renewals: &[], calendar: &Calendar::new(Cycle::default()) };
    let sums = Sums { carried: quantity(carried), ..Sums::default() };
    let total = Total { sums: Some(sums), ..Total::default() };
    let usd = (Currency::parse("USD").unwrap(), Rounding::HalfAwayFromZero);
    let settled = total.settle(timeline, &frame, usd).unwrap();
    let found = (settled.amount_at_zero.to_string(), settled.billable_quantity.to_string());
    assert_eq!(found, (wanted.0.to_owned(), wanted.1.to_owned()));
    assert_eq!(settled.usage_amount, settled.amount_at_zero);
    assert_eq!(settled.quantity, quantity(carried));
}

#[test]
fn a_period_costs_something_unused_where_its_terms_say_so() {
    let january = (period("01-01", "02-01"), period("01-01", "12-01"));
    let half = Share { active: 15, whole: 30 };
    let one = |fields: &str| timeline(&[("01-01", fields)]);
    let flat = "\"price\":{\"model\":\"flat\",\"amount\":7}";
    let whole = (Share::WHOLE, "0");
    check_at_zero(&one(PER_UNIT), january, whole, ("0", "0"));
    check_at_zero(&one(flat), january, (half, "0"), ("7", "0"));
    check_at_zero(
        &one(&format!("\"prorate_flat\":true,{flat}")),
        january,
        (half, "0"),
        ("3.5", "0"),
    );
    check_at_zero(&one(&format!("\"meter\":\"sum\",{ENTRY}")), january, whole, ("5", "0"));
    let plain = ENTRY.replace("true", "false");
    check_at_zero(&one(&format!("\"meter\":\"sum\",{plain}")), january, whole, ("0", "0"));
    for model in ["volume", "stairstep"] {
        let other = ENTRY.replace("graduated", model);
        let other = if model == "volume" { other } else { other.replace("\"unit_price\":1,", "") };
        check_at_zero(&one(&format!("\"meter\":\"sum\",{other}")), january, whole, ("5", "0"));
        let daily = format!("\"meter\":\"sum\",\"scope\":\"day\",{other}");
        check_at_zero(&one(&daily), january, whole, ("155", "0"));
    }
    // A level that was carried in is priced before the first record.
    let level = PER_UNIT.replace("sum", "level");
    check_at_zero(&one(&level), january, (Share::WHOLE, "3"), ("6", "3"));
    check_at_zero(
        &one(&format!("\"included\":1,{level}")),
        january,
        (Share::WHOLE, "3"),
        ("4", "2"),
    );
    let percentage = "\"meter\":\"sum\",\"price\":{\"model\":\"percentage\",\"rate\":1}";
    check_at_zero(&one(percentage), january, whole, ("0", "0"));
    check_at_zero(&one(&format!("\"scope\":\"day\",{percentage}")), january, whole, ("0", "0"));
}

#[test]
fn a_scope_is_paid_for_in_the_period_in_which_it_begins() {
    let scoped = |scope: &str| {
        timeline(&[("01-01", &format!("\"meter\":\"sum\",\"scope\":\"{scope}\",{ENTRY}"))])
    };
    let whole = (Share::WHOLE, "0");
    let (first, second) = (period("01-15", "02-15"), period("02-15", "03-15"));
    for (scope, active, wanted) in [
        ("day", period("01-15", "12-01"), ["155", "140"]),
        // The month in which the subscription begins is its own first.
        ("calendar_month", period("01-15", "12-01"), ["10", "5"]),
        ("calendar_month", period("01-01", "12-01"), ["5", "5"]),
        ("term", period("01-15", "12-01"), ["5", "0"]),
        ("year", period("01-15", "12-01"), ["5", "0"]),
    ] {
        for (period, wanted) in [first, second].into_iter().zip(wanted) {
            check_at_zero(&scoped(scope), (period, active), whole, (wanted, "0"));
        }
    }
}

#[test]
fn the_first_metered_terms_of_a_scope_are_due() {
    let january = (period("01-01", "02-01"), period("01-01", "12-01"));
    let whole = (Share::WHOLE, "0");
    let entry = format!("\"meter\":\"sum\",{ENTRY}");
    let flat = "\"price\":{\"model\":\"flat\",\"amount\":7}";
    check_at_zero(&timeline(&[("01-01", PER_UNIT), ("01-16", &entry)]), january, whole, ("0", "0"));
    check_at_zero(&timeline(&[("01-01", &entry), ("01-16", PER_UNIT)]), january, whole, ("5", "0"));
    check_at_zero(&timeline(&[("01-01", flat), ("01-16", &entry)]), january, whole, ("5", "0"));
    // What the last terms call flat is that alone.
    check_at_zero(&timeline(&[("01-01", &entry), ("01-16", flat)]), january, whole, ("7", "0"));
}

#[test]
fn cells_are_due_as_the_prices_that_they_have() {
    let whole = (Share::WHOLE, "0");
    let active = period("01-01", "12-01");
    let [january, february, march] = [("01-01", "02-01"), ("02-01", "03-01"), ("03-01", "04-01")]
        .map(|(start, end)| (period(start, end), active));
    let matrix = |scope: &str, cells: &[String]| {
        let cells = cells.join(",");
        format!(
            r#""meter":"sum","scope":"{scope}","price":{{"model":"matrix","dimensions":["r"],
            "cells":[{cells}],"default":{{"model":"flat","amount":1}}}}"#
        )
    };
    let cell =
        |value: &str, price: &str| format!("{{\"match\":{{\"r\":\"{value}\"}},\"price\":{price}}}");
    let flat = |value: &str, amount: u8| {
        cell(value, &format!("{{\"model\":\"flat\",\"amount\":{amount}}}"))
    };
    let entry = |value: &str, amount: u8| {
        let tiers = format!("[{{\"up_to\":null,\"flat_price\":{amount}}}]");
        let fields = format!("\"tiers\":{tiers},\"flat_price_at_zero\":true");
        cell(value, &format!("{{\"model\":\"graduated\",{fields}}}"))
    };
    let both = |scope: &str, change: &str| {
        let first = matrix(scope, &[flat("eu", 2), entry("us", 100)]);
        let second = matrix(scope, &[flat("eu", 20), flat("us", 4), entry("zz", 200)]);
        timeline(&[("01-01", &first), (change, &second)])
    };
    // Flat ones once a period, by the last terms; others by the first of the scope.
    let within = both("billing_period", "01-16");
    check_at_zero(&within, january, whole, ("125", "0"));
    check_at_zero(&within, february, whole, ("225", "0"));
    let term = both("term", "02-16");
    check_at_zero(&term, january, whole, ("103", "0"));
    check_at_zero(&term, february, whole, ("25", "0"));
    check_at_zero(&term, march, whole, ("25", "0"));
    // One flat price, and 31 days of the other.
    check_at_zero(&both("day", "02-01"), january, whole, ("3103", "0"));
}

#[test]
fn sums_of_positions_and_levels_are_what_was_used() {
    let sums = Sums { quantity: quantity("5"), billable: quantity("3"), carried: quantity("2") };
    let total = Total { sums: Some(sums), ..Total::default() };
    assert_eq!(total.quantity(), Some(quantity("7")));
    assert_eq!(Total::default().quantity(), Some(Quantity::ZERO));
    assert_eq!((Total::default().rated, Total::default().records), (Amount::ZERO, 0));
}

#[test]
fn a_total_knows_the_terms_that_it_was_rated_by() {
    let first = timeline(&[("01-01", TIERS)]);
    let changed = timeline(&[("01-01", TIERS), ("01-16", PER_UNIT)]);
    let after = timeline(&[("01-01", TIERS), ("02-01", PER_UNIT)]);
    let january = period("01-01", "02-01");
    let of = |last: Option<&str>, closed: bool| {
        let mut total = Total { closed, ..Total::default() };
        last.into_iter().for_each(|last| total.note_added(at(last)));
        total
    };
    let fits = |total: &Total, timeline: &Timeline| {
        let terms_digest = total.digest_of_terms(&first, january);
        Total { terms_digest, ..total.clone() }.was_rated_by(timeline, january)
    };
    for (last, closed, wanted) in [
        (None, false, true),
        (Some("01-15"), false, true),
        (Some("01-16"), false, false),
        (Some("01-15"), true, false),
        (None, true, false),
    ] {
        let total = of(last, closed);
        assert!(fits(&total, &first), "{last:?} {closed}");
        assert_eq!(fits(&total, &changed), wanted, "{last:?} {closed}");
        assert!(fits(&total, &after), "what begins with the next period is no term of this one");
    }
}
