//! Documents that are refused, with every fault at its place.

use crate::test_support::Catalog;
use crate::{OrderBook, test_support};

const PRODUCTS: &str = r#""products":[
{"sku":"SEAT","provisions":"subscription","revenue_model":"recurring"},
{"sku":"ONCE","provisions":"asset","revenue_model":"one_time"},
{"sku":"CALLS","provisions":"subscription","revenue_model":"overage_usage"}]"#;

/// An order of `kind` with one line whose fields are those of a whole one, but for `changed`.
fn order(id: &str, kind: &str, changed: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("id", format!("\"{id}-1\"")),
        ("sku", "\"SEAT\"".to_owned()),
        ("reference", "\"S\"".to_owned()),
        ("quantity", "\"5\"".to_owned()),
        ("unit_price", "\"10\"".to_owned()),
        ("price_period", "\"month\"".to_owned()),
        ("start", "\"2026-01-01\"".to_owned()),
        ("end", "\"2026-12-31\"".to_owned()),
    ];
    for (name, value) in changed {
        fields.retain(|(known, _)| known != name);
        fields.push((name, (*value).to_owned()));
    }
    let line: Vec<String> =
        fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!(
        r#"{{"id":"{id}","customer":"CUS-1","kind":"{kind}","activated_on":"2026-01-01",
"order_products":[{{{}}}]}}"#,
        line.join(",")
    )
}

fn faults(orders: &[String]) -> Vec<String> {
    let document = format!("{{{PRODUCTS},\n\"orders\":[{}]}}", orders.join(",\n"));
    let read = OrderBook::parse(document.as_bytes(), &Catalog::default());
    read.err().unwrap_or_default().iter().map(|fault| fault.message.clone()).collect()
}

/// A new order of five seats and, after it, one of `kind` that differs by `changed`.
#[track_caller]
fn check(kind: &str, changed: &[(&str, &str)], wanted: &[&str]) {
    assert_eq!(faults(&[order("A", "new", &[]), order("B", kind, changed)]), wanted);
}

#[track_caller]
fn check_new(changed: &[(&str, &str)], wanted: &[&str]) {
    assert_eq!(faults(&[order("A", "new", changed)]), wanted);
}

#[test]
fn a_single_line_is_judged_by_itself() {
    check_new(&[], &[]);
    check_new(
        &[("end", "\"2025-12-31\"")],
        &["the last day 2025-12-31 lies before the first, 2026-01-01"],
    );
    check_new(
        &[("included_quantity", "6")],
        &["included_quantity 6 must lie between 0 and \"quantity\" 5"],
    );
    check_new(&[("sku", "\"SAET\"")], &["unknown sku \"SAET\"; did you mean \"SEAT\"?"]);
    check_new(&[("price_period", "null")], &["the field \"price_period\" is missing"]);
    check_new(&[("unit_price", "null")], &["the field \"unit_price\" is missing"]);
    check_new(&[("unit_price", "null"), ("total", "99")], &[]);
    check_new(&[("end", "null"), ("total", "99")], &["a total wants an \"end\""]);
    check_new(
        &[("end", "null"), ("price_period", "\"once\"")],
        &["a price for the whole term wants an \"end\""],
    );
    check_new(&[("total", "-1")], &["the sign of total -1 is not that of the quantity"]);
    check_new(
        &[("currency", "\"USd\"")],
        &["\"USd\" is not a currency of ISO 4217; did you mean \"USD\"?"],
    );
    check_new(
        &[("quantity", "-1")],
        &["-1 leaves \"S\" with a quantity of -1 on 2026-01-01, below 0"],
    );
    check_new(&[("plan", "\"USD-pr\"")], &[]);
    check_new(
        &[("plan", "\"USDpro\""), ("currency", "\"EUR\"")],
        &["the plan \"USDpro\" is in USD, the order in EUR"],
    );
    check_new(&[("plan", "\"ZZD-pro\"")], &["unknown plan \"ZZD-pro\"; did you mean \"USD-pro\"?"]);
    check_new(
        &[("sku", "\"ONCE\""), ("plan", "\"USD-pro\"")],
        &["a one_time product has no usage and so no plan"],
    );
    check_new(
        &[("sku", "\"CALLS\"")],
        &["usage is priced by its plan, \"unit_price\" must be 0 or absent"],
    );
    check_new(
        &[("sku", "\"CALLS\""), ("unit_price", "0"), ("billing_timing", "\"in_advance\"")],
        &[],
    );
    check_new(&[("reference", "\"CAT-SUB\"")], &[]);
}

#[test]
fn what_came_before_binds_what_comes_after() {
    check("change", &[("quantity", "-5")], &[]);
    check("cancel", &[("quantity", "-5"), ("start", "\"2026-03-01\"")], &[]);
    check("renewal", &[("start", "\"2027-01-01\""), ("end", "null")], &[]);
    check(
        "change",
        &[("quantity", "-6"), ("start", "\"2026-03-01\"")],
        &["-6 leaves \"S\" with a quantity of -1 on 2026-03-01, below 0"],
    );
    check(
        "cancel",
        &[("quantity", "-5"), ("end", "null")],
        &["-5 leaves \"S\" with a quantity of -5 on 2027-01-01, below 0"],
    );
    check(
        "cancel",
        &[("quantity", "5")],
        &["a cancellation takes away: its quantity must not be above 0"],
    );
    check(
        "change",
        &[("reference", "\"SS\"")],
        &["a change of \"SS\", which does not exist before 2026-01-01"],
    );
    check("change", &[("reference", "\"CAT-SUB\"")], &[]);
    check(
        "change",
        &[("sku", "\"ONCE\"")],
        &["\"S\" is of kind subscription, this product provisions asset"],
    );
    check(
        "change",
        &[("id", "\"A-1\"")],
        &["the order product \"A-1\" is activated already, with other content"],
    );
    let orders = [order("A", "new", &[]), order("A", "new", &[("quantity", "7")])];
    assert_eq!(faults(&orders), ["the order \"A\" is activated already, with other content"]);
    let other = order("B", "new", &[]).replace("CUS-1", "CUS-2");
    assert_eq!(
        faults(&[order("A", "new", &[]), other]),
        ["\"S\" belongs to the customer \"CUS-1\""]
    );
}

#[test]
fn an_order_repeated_to_the_letter_counts_once() {
    let orders = [order("A", "new", &[]), order("A", "new", &[("quantity", "5.0")])];
    assert_eq!(faults(&orders), [""; 0]);
    let document = format!("{{{PRODUCTS},\"orders\":[{}]}}", orders.join(","));
    let book = test_support::book(&document);
    assert_eq!(book.ordered().len(), 1);
    let again = book.extended_by(document.as_bytes(), &Catalog::default()).unwrap();
    assert_eq!(again.ordered(), book.ordered());
    let changed = document.replace("\"10\"", "\"11\"");
    let refused = book.extended_by(changed.as_bytes(), &Catalog::default()).unwrap_err();
    assert_eq!(refused.len(), 2, "each of the two is refused: {refused:?}");
}

#[test]
fn a_broken_file_shows_all_of_its_faults_at_once() {
    let document = r#"{"settings":{"bill_cycle_day":32,"curency":"USD"},
"products":[{"sku":"SEAT","provisions":"subscription","revenue_model":"recuring"},
{"sku":"ONCE","provisions":"asset","revenue_model":"one_time"}],
"orders":[{"id":"A","customer":"CSU-1","kind":"new","activated_on":"2026-02-30","order_products":[
{"id":"1","sku":"ONEC","reference":"R","quantity":"1","unit_price":"1","start":"2026-01-01"},
{"id":"2","sku":"ONCE","reference":"R","quantity":"1,5","unit_price":"1","start":"2026-01-01"},
{"id":"3","sku":"ONCE","quantity":"1",
"unit_price":"0.1234567890123","start":"2026-01-01","end":"2025-01-01"}]},
{"id":"B","customer":"CSU-1","kind":"nwe","activated_on":"2026-01-01"},
{"id":"C","customer":"CSU-1","kind":"change","activated_on":"2026-01-01","order_products":[
{"id":"4","sku":"ONEC","reference":"Q","quantity":"1","unit_price":"1","start":"2026-01-01"}]}]}"#;
    let refused = OrderBook::parse(document.as_bytes(), &Catalog::default()).unwrap_err();
    let shown: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "1:31: must be a day from 1 to 31 or \"first_subscription_start\"",
            "1:34: unknown field \"curency\"; did you mean \"currency\"?",
            "2:71: \"recuring\" is not known here; did you mean \"recurring\"?",
            "4:32: unknown customer \"CSU-1\"; did you mean \"CUS-1\"?",
            "4:68: \"2026-02-30\" is not a date such as 2026-01-31",
            "5:17: unknown sku \"ONEC\"; did you mean \"ONCE\"?",
            "6:51: \"1,5\" is not a decimal number",
            "7:1: the field \"reference\" is missing",
            "8:14: 0.1234567890123 has more than 12 digits before and 12 after the point",
            "8:59: the last day 2025-01-01 lies before the first, 2026-01-01",
            "9:22: unknown customer \"CSU-1\"; did you mean \"CUS-1\"?",
            "9:37: \"nwe\" is not known here; did you mean \"new\"?",
            "10:22: unknown customer \"CSU-1\"; did you mean \"CUS-1\"?",
            "11:17: unknown sku \"ONEC\"; did you mean \"ONCE\"?",
        ]
    );
}
