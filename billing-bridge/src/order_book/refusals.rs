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
    let calls = [("sku", "\"CALLS\""), ("plan", "\"USD-pro\""), ("unit_price", "0")];
    check_new(&calls[..2], &["usage is priced by its plan, \"unit_price\" must be 0 or absent"]);
    check_new(&[&calls[..], &[("billing_timing", "\"in_advance\"")]].concat(), &[]);
    check_new(&calls[..1], &["the field \"plan\" is missing: usage is priced by its plan"]);
    // The plan of the catalog rates its own subscriptions.
    check_new(&[calls[0], calls[2], ("reference", "\"CAT-SUB\"")], &[]);
    check_new(&[("total", "5.555")], &["total 5.555 is finer than USD, which has 2 decimals"]);
    check_new(&[("total", "5.550")], &[]);
    check_new(
        &[("total", "5.5"), ("currency", "\"JPY\"")],
        &["total 5.5 is finer than JPY, which has 0 decimals"],
    );
    check_new(&[("total", "5.555"), ("currency", "\"KWD\"")], &[]);
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

/// Orders of one product, of its customer's currency or another.
#[test]
fn a_reference_keeps_its_currency() {
    check("change", &[("currency", "\"JPY\"")], &["\"S\" is billed in USD, not in JPY"]);
    check("change", &[("currency", "\"USD\"")], &[]);
    check("new", &[("currency", "\"JPY\""), ("reference", "\"T\"")], &[]);
    // Usage has the currency of its plan, whatever the seats beside it are charged in.
    let calls = [("sku", "\"CALLS\""), ("unit_price", "0"), ("plan", "\"JPY-pro\"")];
    check("change", &calls, &[]);
    // Which currency was meant is unknown, and so whether it is another one.
    let mistaken = order("A", "new", &[("currency", "\"JPX\"")]);
    let yen = order("B", "change", &[("currency", "\"JPY\"")]);
    assert_eq!(faults(&[mistaken, yen]), ["\"JPX\" is not a currency of ISO 4217"]);
}

/// One cause made many faults: whoever got a new order product wrong was told that all that
/// changes it later is wrong too. Now what may follow from a fault is not one of its own.
#[test]
fn what_follows_from_a_fault_is_not_another() {
    let change = order("B", "change", &[("quantity", "-2"), ("start", "\"2026-03-01\"")]);
    let after = |changed: &[(&str, &str)], wanted: &[&str]| {
        assert_eq!(faults(&[order("A", "new", changed), change.clone()]), wanted);
    };
    after(&[], &[]);
    after(&[("quantity", "null")], &["the field \"quantity\" is missing"]);
    after(&[("reference", "null")], &["the field \"reference\" is missing"]);
    after(
        &[("end", "\"2025-12-01\"")],
        &["the last day 2025-12-01 lies before the first, 2026-01-01"],
    );
    after(&[("start", "null")], &["the field \"start\" is missing"]);
    after(&[("sku", "\"SAET\"")], &["unknown sku \"SAET\"; did you mean \"SEAT\"?"]);
    let new = order("A", "new", &[]);
    let with = |from: &str, to: &str, wanted: &[&str]| {
        assert_eq!(faults(&[new.replace(from, to), change.clone()]), wanted);
    };
    with("CUS-1", "CC", &["unknown customer \"CC\""]);
    with("\"new\"", "\"nwe\"", &["\"nwe\" is not known here; did you mean \"new\"?"]);
    with(
        "n\":\"2026-01-01",
        "n\":\"2026-02-30",
        &["\"2026-02-30\" is not a date such as 2026-01-31"],
    );
    let document = new.replace(r#"[{"#, r#"{"#).replace("}]", "}");
    assert_eq!(faults(&[document, change]), ["\"order_products\" must be a list"]);
}

#[test]
fn a_reference_that_is_not_there_is_one_fault() {
    let missing = |changed: &[(&str, &str)], wanted: &[&str]| {
        let seats = order("A", "new", &[("reference", "\"SEATS-1\"")]);
        let other = order("C", "new", &[("reference", "\"SEATS-23\"")]).replace("CUS-1", "CUS-2");
        assert_eq!(faults(&[seats, other, order("B", "change", changed)]), wanted);
    };
    missing(
        &[("reference", "\"SEATS1\""), ("quantity", "-9")],
        &["a change of \"SEATS1\", which does not exist before 2026-01-01; \
           did you mean \"SEATS-1\"?"],
    );
    missing(
        &[("reference", "\"SEATS-24\""), ("quantity", "-9")],
        &["a change of \"SEATS-24\", which does not exist before 2026-01-01; \
           did you mean \"SEATS-1\"?"],
    );
    let later = order("A", "new", &[]).replace("n\":\"2026-01-01", "n\":\"2026-02-01");
    let change = order("B", "change", &[("quantity", "-2")]);
    assert_eq!(
        faults(&[later, change.clone()]),
        ["a change of \"S\" on 2026-01-01, which is only activated on 2026-02-01"]
    );
    assert_eq!(
        faults(&[change, order("A", "new", &[])]),
        ["a change of \"S\", which is ordered after it on 2026-01-01"]
    );
}

#[test]
fn usage_takes_the_plan_that_its_product_has_on_the_reference() {
    let calls = [("sku", "\"CALLS\""), ("unit_price", "0"), ("plan", "\"USD-pro\"")];
    let without = [calls[0], calls[1], ("quantity", "-1")];
    // One is used where no quantity is stated.
    let new = order("A", "new", &[&calls[..], &[("quantity", "null")]].concat());
    assert_eq!(faults(&[new, order("B", "cancel", &without)]), [""; 0]);
    check(
        "change",
        &[calls[0], ("unit_price", "5")],
        &["the field \"plan\" is missing: usage is priced by its plan"],
    );
}

/// What a plan cannot rate yet, an order may not let begin.
#[test]
fn usage_begins_with_its_plan_at_the_earliest() {
    let march = "\"USD-2026-03-01\"";
    let early = "plan \"USD-2026-03-01\" has no version in force on 2026-01-01; \
                 the first takes effect on 2026-03-01T00:00:00Z";
    let calls = [("sku", "\"CALLS\""), ("unit_price", "0"), ("plan", march)];
    check_new(&calls, &[early]);
    check_new(&[("plan", march)], &[early]);
    check_new(&[&calls[..], &[("start", "\"2026-03-01\"")]].concat(), &[]);
    // The subscriptions of the catalog have a start of their own.
    check_new(
        &[("reference", "\"CAT-SUB\""), ("plan", "\"USD-pro\""), ("start", "\"2019-12-31\"")],
        &[],
    );
    // A change means the plan that was named before it; what takes away begins nothing.
    let on = |day| [&calls[..], &[("start", day), ("quantity", "1")]].concat();
    let change = |kind, quantity| {
        let change = [calls[0], calls[1], ("start", "\"2026-02-01\""), ("quantity", quantity)];
        [order("A", "new", &on("\"2026-03-01\"")), order("B", kind, &change)]
    };
    let inherited = early.replace("on 2026-01-01;", "on 2026-02-01;");
    assert_eq!(faults(&change("change", "1")), [inherited]);
    assert_eq!(
        faults(&change("cancel", "null")),
        ["-1 leaves \"S\" with a quantity of -1 on 2026-02-01, below 0"]
    );
}

/// These faults used to be told without a place, and only once all others were mended.
#[test]
fn orders_say_nothing_that_the_catalog_says_otherwise() {
    let plan = |reference, plan| [("reference", reference), ("plan", plan)];
    check_new(&plan("\"CAT-SUB\"", "\"USD-pro\""), &[]);
    check_new(
        &plan("\"CAT-SUB\"", "\"USD-max\""),
        &["the catalog has \"CAT-SUB\" with the plan \"USD-pro\"; leave it out there, so that \
           orders alone decide"],
    );
    check_new(&plan("\"CAT-SUB\"", "\"ZZD-x\""), &["unknown plan \"ZZD-x\""]);
    let taken = "\"CUS-2\" is a name of a customer or of another subscription of the catalog, so \
                 that no usage can be sent for it";
    check_new(&plan("\"CUS-2\"", "\"USD-pro\""), &[taken]);
    check_new(&[("reference", "\"CUS-2\"")], &[]);
    let twice = ["A", "B"].map(|id| order(id, "new", &plan("\"CUS-2\"", "\"USD-pro\"")));
    assert_eq!(faults(&twice), [taken]);
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

/// Twelve things are wrong here. Eleven show: how many of "R" there are is not known as long as
/// the first quantity is none, so nothing says that 99 are too many to take away.
#[test]
fn a_line_that_cannot_be_read_hides_no_other_fault() {
    let document = r#"{"settings":{"currency":"USDD"},
"products":[{"sku":"P","provisions":"subscription","revenue_model":"recurring"}],
"orders":[{"id":"O1","customer":"Z","kind":"Z","activated_on":"Z","order_products":[
{"id":"A","sku":"PP","reference":"R","quantity":"x","unit_price":"y","price_period":"z",
"start":"z","end":"z"}]},
{"id":"O1","customer":"CUS-1","kind":"change","activated_on":"2026-02-01","order_products":[
{"id":"B","sku":"P","reference":"R","quantity":"-99","unit_price":"1","price_period":"month",
"start":"2026-02-01","end":"2026-12-31"}]}]}"#;
    let faults = |document: &str| -> Vec<String> {
        let refused = OrderBook::parse(document.as_bytes(), &Catalog::default()).unwrap_err();
        refused.iter().map(ToString::to_string).collect()
    };
    let mut wanted = vec![
        "1:25: \"USDD\" is not a currency of ISO 4217",
        "3:33: unknown customer \"Z\"",
        "3:44: \"Z\" is not known here; known are new, change, renewal, cancel",
        "3:63: \"Z\" is not a date such as 2026-01-31",
        "4:17: unknown sku \"PP\"",
        "4:49: \"x\" is not a decimal number",
        "4:66: \"y\" is not a decimal number",
        "4:85: \"z\" is not known here; known are month, quarter, half_year, year, once",
        "5:9: \"z\" is not a date such as 2026-01-31",
        "5:19: \"z\" is not a date such as 2026-01-31",
        "6:7: the order \"O1\" is activated already, with other content",
    ];
    assert_eq!(faults(document), wanted);
    // With a quantity and days that can be read, the twelfth shows too.
    let legible = document
        .replace("\"x\"", "\"5\"")
        .replace(r#""start":"z","end":"z""#, r#""start":"2026-01-01","end":"2026-12-31""#);
    wanted.retain(|fault| !["4:49", "5:9:", "5:19"].iter().any(|at| fault.starts_with(at)));
    wanted.push("7:48: -99 leaves \"R\" with a quantity of -94 on 2026-02-01, below 0");
    assert_eq!(faults(&legible), wanted);
}
