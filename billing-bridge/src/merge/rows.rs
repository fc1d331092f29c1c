//! What the merge makes of small books: each test a rule of billing, each line of it a case.

use crate::test_support::{bill, rows, usage};
use crate::{Documents, UsageTotal};

const PRODUCTS: &str = r#""products":[
{"sku":"SEAT","provisions":"subscription","revenue_model":"recurring"},
{"sku":"LATE","provisions":"subscription","revenue_model":"recurring",
"billing_timing":"in_arrears"},
{"sku":"ONCE","provisions":"asset","revenue_model":"one_time"},
{"sku":"WORK","provisions":"entitlement","revenue_model":"one_time","billing_timing":"in_arrears"},
{"sku":"CREDIT","provisions":"entitlement","revenue_model":"credit_burndown"},
{"sku":"CALLS","provisions":"subscription","revenue_model":"overage_usage"}]"#;

/// An order of one line, both named after their place.
fn orders(settings: &str, orders: &[(&str, &str, &str)]) -> String {
    let orders: Vec<String> = orders
        .iter()
        .enumerate()
        .map(|(at, (kind, activated_on, line))| {
            let at = at + 1;
            format!(
                r#"{{"id":"O{at}","customer":"CUS-1","kind":"{kind}",
                "activated_on":"{activated_on}",
                "order_products":[{{"id":"P{at}",{line}}}]}}"#
            )
        })
        .collect();
    format!("{{\"settings\":{{{settings}}},{PRODUCTS},\"orders\":[{}]}}", orders.join(","))
}

fn details(documents: &Documents) -> Vec<String> {
    let mut shown = Vec::new();
    for row in rows(documents.filed()) {
        if let Some(detail) = row.strip_prefix("    ") {
            shown.push(format!("  {detail}"));
        } else if !row.starts_with(' ') {
            shown.push(row.replace("invoice CUS-1", "I").replace("credit_memo CUS-1", "C"));
        }
    }
    shown
}

#[track_caller]
fn check(book: &str, totals: &[UsageTotal], as_of: &str, wanted: &[&str]) {
    assert_eq!(details(&bill(book, totals, as_of)), wanted);
}

const SEAT: &str = r#""sku":"SEAT","reference":"S","quantity":"1","unit_price":"31",
"price_period":"month","start":"2026-01-15""#;

#[test]
fn a_broken_first_month_joins_the_next_or_stands_alone() {
    let seat = format!(r#"{SEAT},"end":"2026-03-31""#);
    check(
        &orders("", &[("new", "2026-01-15", &seat)]),
        &[],
        "2026-12-31",
        &[
            "I 2026-02-01 USD 48.00",
            "  P1 2026-01-15..2026-02-28 1 48.00",
            "I 2026-03-01 USD 31.00",
            "  P1 2026-03-01..2026-03-31 1 31.00",
        ],
    );
    let short = format!(r#"{SEAT},"end":"2026-01-24""#);
    check(
        &orders("", &[("new", "2026-01-15", &short)]),
        &[],
        "2026-12-31",
        &["I 2026-01-15 USD 10.00", "  P1 2026-01-15..2026-01-24 1 10.00"],
    );
    check(
        &orders(r#""proration":true"#, &[("new", "2026-01-15", &short.replace("-24", "-31"))]),
        &[],
        "2026-12-31",
        &["I 2026-01-15 USD 17.00", "  P1 2026-01-15..2026-01-31 1 17.00"],
    );
}

#[test]
fn arrears_are_billed_on_the_day_after() {
    let seat = SEAT.replace("SEAT", "LATE") + r#","end":"2026-03-14""#;
    check(
        &orders(r#""proration":true"#, &[("new", "2026-01-15", &seat)]),
        &[],
        "2026-12-31",
        &[
            "I 2026-02-01 USD 17.00",
            "  P1 2026-01-15..2026-01-31 1 17.00",
            "I 2026-03-01 USD 31.00",
            "  P1 2026-02-01..2026-02-28 1 31.00",
            // Two whole months from the line's own start: the last portion takes what remains.
            "I 2026-03-15 USD 14.00",
            "  P1 2026-03-01..2026-03-14 1 14.00",
        ],
    );
    let work = r#""sku":"WORK","reference":"W","quantity":"2","unit_price":"5",
        "price_period":"once","start":"2026-01-15""#;
    check(
        &orders("", &[("new", "2026-01-15", work)]),
        &[],
        "2026-02-01",
        &["I 2026-02-01 USD 10.00", "  P1 2026-01-15..2026-01-15 2 10.00"],
    );
}

#[test]
fn nothing_is_billed_before_its_order_is_activated() {
    let seat = format!(r#"{SEAT},"end":"2026-04-14""#).replace("31", "30");
    let book = orders(r#""bill_cycle_day":15"#, &[("new", "2026-02-20", &seat)]);
    check(&book, &[], "2026-02-19", &[]);
    check(
        &book,
        &[],
        "2026-03-15",
        &[
            "I 2026-02-20 USD 60.00",
            "  P1 2026-01-15..2026-02-14 1 30.00",
            "  P1 2026-02-15..2026-03-14 1 30.00",
            "I 2026-03-15 USD 30.00",
            "  P1 2026-03-15..2026-04-14 1 30.00",
        ],
    );
}

#[test]
fn a_broken_period_by_days_of_the_whole_period() {
    let seat = r#""sku":"SEAT","reference":"S","quantity":"1","unit_price":"30",
        "price_period":"month","start":"2026-02-15","end":"2026-06-30""#;
    let settings = r#""billing_period":"quarter","bill_cycle_day":1,"proration":true,
        "proration_basis":"days_of_period""#;
    check(
        &orders(settings, &[("new", "2026-02-15", seat)]),
        &[],
        "2026-12-31",
        &[
            "I 2026-02-15 USD 45.00",
            "  P1 2026-02-15..2026-03-31 1 45.00",
            "I 2026-04-01 USD 90.00",
            "  P1 2026-04-01..2026-06-30 1 90.00",
        ],
    );
}

#[test]
fn totals_and_prices_for_the_whole_term_are_spread_or_kept() {
    let line = |price: &str| {
        format!(
            r#""sku":"SEAT","reference":"S","quantity":"1",{price},
            "start":"2026-01-01","end":"2026-03-31""#
        )
    };
    let amounts = |price: &str| -> Vec<String> {
        let book = orders("", &[("new", "2026-01-01", &line(price))]);
        let documents = bill(&book, &[], "2026-12-31");
        documents.filed().iter().map(|filed| filed.content().total.to_string()).collect()
    };
    assert_eq!(amounts(r#""total":"100""#), ["33.33", "33.34", "33.33"]);
    assert_eq!(amounts(r#""unit_price":"100","price_period":"once""#), ["33.33", "33.34", "33.33"]);
    let dearer = r#""unit_price":"33","price_period":"month","total":"100""#;
    assert_eq!(amounts(dearer), ["33.00", "33.00", "34.00"]);
    let bundled = r#""unit_price":"10","price_period":"month","included_quantity":"1""#;
    assert_eq!(amounts(bundled), ["0.00", "0.00", "0.00"]);
}

#[test]
fn credits_are_billed_at_once_or_over_time() {
    let credit = r#""sku":"CREDIT","reference":"C","quantity":"100","unit_price":"0.5",
        "start":"2026-01-01","end":"2026-02-28""#;
    check(
        &orders("", &[("new", "2026-01-01", credit)]),
        &[],
        "2026-12-31",
        &["I 2026-01-01 USD 50.00", "  P1 2026-01-01..2026-02-28 100 50.00"],
    );
    let monthly = format!(r#"{credit},"price_period":"month""#);
    let documents = bill(&orders("", &[("new", "2026-01-01", &monthly)]), &[], "2026-12-31");
    assert_eq!(documents.filed().len(), 2);
}

/// Ten seats from January, of which four are given back in the middle of February.
fn reduced(settings: &str) -> String {
    let seats = SEAT.replace("\"1\"", "\"10\"").replace("-15", "-01") + r#","end":"2026-12-31""#;
    let fewer =
        SEAT.replace("\"1\"", "\"-4\"").replace("01-15", "02-15") + r#","end":"2026-12-31""#;
    let paid = seats.replace("\"31\"", "\"28\"");
    let given = fewer.replace("\"31\"", "\"28\"");
    orders(settings, &[("new", "2026-01-01", &paid), ("change", "2026-02-15", &given)])
}

#[test]
fn a_negative_net_is_credited() {
    check(
        &reduced(r#""proration":true"#),
        &[],
        "2026-03-01",
        &[
            "I 2026-01-01 USD 280.00",
            "  P1 2026-01-01..2026-01-31 10 280.00",
            "I 2026-02-01 USD 280.00",
            "  P1 2026-02-01..2026-02-28 10 280.00",
            "C 2026-02-15 USD 56.00",
            "  P2 2026-02-15..2026-02-28 -4 56.00",
            "I 2026-03-01 USD 168.00",
            "  P1 2026-03-01..2026-03-31 10 280.00",
            "  P2 2026-03-01..2026-03-31 -4 -112.00",
        ],
    );
    let documents = bill(&reduced(r#""proration":true,"credit_memos":false"#), &[], "2026-03-01");
    assert_eq!(details(&documents)[4], "I 2026-02-15 USD -56.00");
    // Without proration the broken first portion of the delta waits for the next one.
    let documents = bill(&reduced(""), &[], "2026-03-01");
    assert_eq!(details(&documents)[4], "I 2026-03-01 USD 112.00");
}

const CALLS: &str = r#""sku":"CALLS","reference":"S","plan":"USD-pro","start":"2026-01-01""#;

#[test]
fn usage_joins_the_item_of_its_subscription() {
    let seat = SEAT.replace("01-15", "01-01");
    let book = orders("", &[("new", "2026-01-01", &seat), ("change", "2026-01-01", CALLS)]);
    let january = ("2026-01-01", "2026-02-01");
    let totals = [
        usage("S", "calls", january, "12.005"),
        usage("S", "calls", january, "0.004"),
        usage("S", "api", january, "0"),
        usage("CAT-SUB", "calls", january, "1"),
        usage("S", "calls", ("2026-02-01", "2026-03-01"), "5"),
    ];
    let documents = bill(&book, &totals, "2026-02-01");
    assert_eq!(
        rows(documents.filed()),
        [
            "invoice CUS-1 2026-01-01 USD 31.00",
            "  S 2026-01-01..2026-01-31 31.00",
            "    P1 2026-01-01..2026-01-31 1 31.00",
            "invoice CUS-1 2026-02-01 USD 44.01",
            "  S 2026-02-01..2026-02-28 43.01",
            "    P1 2026-02-01..2026-02-28 1 31.00",
            "    P2 api 2026-01-01..2026-01-31 0.00",
            "    P2 calls 2026-01-01..2026-01-31 12.01",
            "  CAT-SUB 2026-01-01..2026-01-31 1.00",
            "    - calls 2026-01-01..2026-01-31 1.00",
        ]
    );
    let metered = &documents.order_products()[1];
    assert_eq!(metered.billed_amount.to_string(), "12.01");
    assert_eq!(metered.invoiced_until.unwrap().to_string(), "2026-01-31");
    assert_eq!(metered.next_billing_date.unwrap().to_string(), "2026-03-01");
    check(
        &book,
        &totals[..4],
        "2026-01-31",
        &["I 2026-01-01 USD 31.00", "  P1 2026-01-01..2026-01-31 1 31.00"],
    );
}

#[test]
fn items_of_nothing_are_hidden_only_as_a_whole() {
    let idle = usage("S", "calls", ("2026-01-01", "2026-02-01"), "0");
    let book = |settings| orders(settings, &[("new", "2026-01-01", CALLS)]);
    let shown = ["I 2026-02-01 USD 0.00", "  P1 calls 2026-01-01..2026-01-31 0.00"];
    check(&book(""), std::slice::from_ref(&idle), "2026-02-01", &shown);
    check(&book(r#""hide_zero_items":true"#), std::slice::from_ref(&idle), "2026-02-01", &[]);
}

#[test]
fn automatic_activation_numbers_from_the_first() {
    let book =
        orders(r#""auto_activate":true"#, &[("new", "2026-01-01", &SEAT.replace("-15", "-01"))]);
    let documents = bill(&book, &[], "2026-02-01");
    let numbers: Vec<String> =
        documents.filed().iter().map(|filed| filed.number().unwrap().to_string()).collect();
    assert_eq!(numbers, ["INV-000001", "INV-000002"]);
    assert_eq!(documents.filed()[0].balance().to_string(), "31.00");
}

/// As of a day: the next billing date, contract value and billed amount of each order product.
#[track_caller]
fn check_progress(book: &str, totals: &[UsageTotal], as_of: &str, wanted: &[&str]) {
    let documents = bill(book, totals, as_of);
    let shown: Vec<String> = documents
        .order_products()
        .iter()
        .map(|one| {
            let next =
                one.next_billing_date.map_or_else(|| "-".to_owned(), |date| date.to_string());
            format!("{next} {} {}", one.contract_value.unwrap(), one.billed_amount)
        })
        .collect();
    assert_eq!(shown, wanted, "as of {as_of}");
}

const CANCEL: &str = r#""sku":"CALLS","reference":"S","quantity":"-1","start":"2026-02-10""#;

/// A cancellation moved what February had cost to the day of its activation, and the next billing
/// dates of what had ended lay in the past. Now usage stays where it was billed, and what is over
/// has no next date.
#[test]
fn usage_is_over_once_it_is_cancelled() {
    let whole = CALLS.replace("\"plan\"", "\"quantity\":\"1\",\"plan\"");
    let bought = [("new", "2026-01-01", whole.as_str()), ("cancel", "2026-03-15", CANCEL)];
    let book = orders("", &bought);
    let totals = [
        usage("S", "calls", ("2026-02-01", "2026-03-01"), "15"),
        usage("S", "calls", ("2026-03-01", "2026-03-15"), "9"),
    ];
    let february = ["I 2026-03-01 USD 15.00", "  P1 calls 2026-02-01..2026-02-28 15.00"];
    let march = ["I 2026-03-15 USD 9.00", "  P1 calls 2026-03-01..2026-03-14 9.00"];
    check(&book, &totals, "2026-03-14", &february);
    check(&book, &totals, "2026-03-15", &[february, march].concat());
    check_progress(&book, &totals, "2026-03-14", &["2026-04-01 0.00 15.00"]);
    check_progress(&book, &totals, "2026-03-15", &["- 0.00 24.00", "- 0.00 0.00"]);
    let change = whole.replace("pro", "max").replace("-01-01", "-02-10");
    let book = orders("", &[bought[0], ("change", "2026-03-15", &change)]);
    let later = [totals[0].clone(), usage("S", "calls", ("2026-03-15", "2026-04-01"), "4")];
    check(
        &book,
        &later,
        "2026-04-01",
        &[
            february.as_slice(),
            &["I 2026-04-01 USD 4.00", "  P2 calls 2026-03-15..2026-03-31 4.00"],
        ]
        .concat(),
    );
    check_progress(&book, &later, "2026-04-01", &["- 0.00 15.00", "2026-05-01 0.00 4.00"]);
}

#[test]
fn the_next_date_of_usage_lies_ahead_in_the_currency_of_its_plan() {
    let ends = CALLS.replace("USD", "JPY") + r#","end":"2026-03-20""#;
    let book = orders("", &[("new", "2026-01-01", &ends)]);
    check_progress(&book, &[], "2026-01-01", &["2026-02-01 0 0"]);
    // Nobody used anything, and no total says so.
    check_progress(&book, &[], "2026-02-15", &["2026-03-01 0 0"]);
    check_progress(&book, &[], "2026-03-20", &["2026-03-21 0 0"]);
    check_progress(&book, &[], "2026-03-21", &["- 0 0"]);
    let renewal = r#""sku":"CALLS","reference":"S","start":"2026-03-21""#;
    let book = orders("", &[("new", "2026-01-01", &ends), ("renewal", "2026-03-01", renewal)]);
    check_progress(&book, &[], "2026-03-20", &["2026-04-01 0 0", "2026-04-01 0 0"]);
    check_progress(&book, &[], "2026-03-21", &["- 0 0", "2026-04-01 0 0"]);
}
