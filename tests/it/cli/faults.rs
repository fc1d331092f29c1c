//! Faulty catalogs and orders: refused whole, before any record is read, with every fault at its
//! place and, where it can be guessed, what was meant.

use super::usage;
use crate::program::Workplace;

/// Twelve faults; the lists below say where.
const CATALOG: &str = include_str!("faults/catalog.json");

/// Place of each fault, and words of its message.
const CATALOG_FAULTS: [(&str, &[&str]); 12] = [
    ("2:59", &["\"summ\"", "did you mean \"sum\"?"]),
    ("6:45", &["\"2026-01-01\"", "RFC 3339"]),
    ("7:26", &["\"storag\"", "did you mean \"storage\"?"]),
    ("8:47", &["\"regoin\"", "did you mean \"region\"?"]),
    ("8:81", &["\"gradated\"", "did you mean \"graduated\"?"]),
    ("9:48", &["below 0"]),
    ("9:94", &["\"1,5\""]),
    ("11:48", &["up_to"]),
    ("15:29", &["\"Europe/Berln\"", "did you mean \"Europe/Berlin\"?"]),
    ("15:44", &["\"biling_period\"", "did you mean \"billing_period\"?"]),
    ("18:28", &["\"CUS-8\"", "did you mean \"CUS-7\"?"]),
    ("18:57", &["2026-02-30"]),
];

/// Every kind of fault that shows only when several things stand together.
const KINDS: &str = include_str!("faults/kinds.json");

const KINDS_FAULTS: [(&str, &[&str]); 17] = [
    ("8:48", &["`up_to` must rise"]),
    ("8:79", &["the last tier must have `up_to` null"]),
    ("9:5", &["the charge has no meter"]),
    ("10:106", &["\"x\""]),
    ("11:46", &["1234567890123456", "15 digits"]),
    ("11:106", &["0.1234567890123", "12 digits"]),
    ("12:43", &["\"time_weighted_sum\"", "scope"]),
    ("14:45", &["version 2", "before version 1"]),
    ("14:79", &["from USD to EUR"]),
    ("15:45", &["versions 1 and 3", "overlap"]),
    ("16:79", &["\"usd\"", "did you mean \"USD\"?"]),
    ("19:29", &["\"Europe/Berln\"", "did you mean \"Europe/Berlin\"?"]),
    ("20:28", &["\"CUS-7\" already names"]),
    ("23:57", &["\"new\"", "no version in force on 2026-01-01"]),
    ("24:76", &["the end 2026-06-30 lies before the start"]),
    ("25:17", &["\"bonds\"", "did you mean \"bounds\"?"]),
    ("25:89", &["below 0"]),
];

const ORDERS: &str = include_str!("faults/orders.json");

const ORDERS_FAULTS: [(&str, &[&str]); 12] = [
    ("1:31", &["1 to 31"]),
    ("1:34", &["\"curency\"", "did you mean \"currency\"?"]),
    ("3:61", &["\"recuring\"", "did you mean \"recurring\"?"]),
    ("4:30", &["\"aset\"", "did you mean \"asset\"?"]),
    ("8:26", &["\"CSU-1\"", "did you mean \"CUS-1\"?"]),
    ("8:62", &["2026-02-30"]),
    ("9:21", &["\"HELPP\"", "did you mean \"HELP\"?"]),
    ("10:55", &["\"1,5\""]),
    ("11:72", &["0.1234567890123", "12 digits"]),
    ("12:103", &["2025-01-01", "before"]),
    ("13:5", &["\"reference\" is missing"]),
    ("15:41", &["\"nwe\"", "did you mean \"new\"?"]),
];

#[track_caller]
fn check_lines(stderr: &str, file: &str, wanted: &[(&str, &[&str])]) {
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), wanted.len(), "{stderr}");
    for (line, (place, words)) in lines.iter().zip(wanted) {
        assert!(line.starts_with(&format!("{file}:{place}: ")), "not at {place}: {line}");
        for word in *words {
            assert!(line.contains(word), "no {word} in: {line}");
        }
    }
}

#[test]
fn twelve_faults_of_a_catalog_are_twelve_lines() {
    let place = Workplace::new();
    place.write("catalog.json", CATALOG);
    place.write("usage.ndjson", "never read");
    place.write("orders.json", r#"{"orders":[]}"#);
    let ran = place.fail("rate --catalog catalog.json --usage usage.ndjson --out out", 1, &[]);
    check_lines(&ran.stderr, "catalog.json", &CATALOG_FAULTS);
    let bill = "bill --catalog catalog.json --orders orders.json --as-of 2026-02-01 --out out";
    check_lines(&place.fail(bill, 1, &[]).stderr, "catalog.json", &CATALOG_FAULTS);
    assert_eq!(place.names("."), ["catalog.json", "orders.json", "usage.ndjson"], "no out");
    let ran = place.fail("check catalog.json", 1, &[]);
    let told = ran.stderr.strip_suffix("12 faults\n").unwrap();
    check_lines(told, "catalog.json", &CATALOG_FAULTS);
}

#[test]
fn every_kind_of_fault_is_told_at_once() {
    let place = Workplace::new();
    for text in [KINDS.to_owned(), KINDS.replace('\n', "\r\n"), format!("\u{feff}{KINDS}")] {
        place.write("catalog.json", text);
        let ran = place.fail("check catalog.json", 1, &[]);
        let told = ran.stderr.strip_suffix("17 faults\n").unwrap();
        check_lines(told, "catalog.json", &KINDS_FAULTS);
    }
}

/// The faults of a catalog used to hide those of the orders beside it.
#[test]
fn orders_are_checked_beside_a_faulty_catalog() {
    let place = Workplace::new();
    let catalog = usage::CATALOG.replace("\"included\":", "\"inclded\":");
    assert_ne!(catalog, usage::CATALOG);
    place.write("catalog.json", &catalog);
    place.write("orders.json", ORDERS);
    let ran = place.fail("check orders.json catalog.json", 1, &["\"inclded\"", "13 faults\n"]);
    let (first, others) = ran.stderr.split_once('\n').unwrap();
    assert!(first.starts_with("catalog.json:"), "{first}");
    check_lines(others.strip_suffix("13 faults\n").unwrap(), "orders.json", &ORDERS_FAULTS);
    // Orders that are good are not called so while the catalog is not.
    place.write("orders.json", "\u{feff}{\"orders\":[]}");
    let ran = place.fail("check orders.json catalog.json", 1, &["1 fault\n"]);
    assert_eq!(ran.stdout, "");
    place.write("catalog.json", usage::CATALOG);
    let ran = place.succeed("check orders.json catalog.json");
    assert!(ran.stdout.contains("orders.json: good"), "{}", ran.stdout);
    place.fail("check orders.json", 1, &["name one beside them", "1 fault\n"]);
}

/// What orders say otherwise than the catalog used to be told without line and column, and not at
/// all beside a faulty catalog.
#[test]
fn orders_that_contradict_the_catalog_are_told_their_places() {
    let place = Workplace::new();
    let more = r#"{"key":"max","version":2,"effective_from":"2026-03-01T00:00:00Z",
"currency":"USD","charges":[]},{"key":"pro","#;
    let catalog = usage::CATALOG.replacen("{\"key\":\"pro\",", more, 1);
    place.write("catalog.json", &catalog);
    let line = |id: &str, reference: &str, plan: &str, start: &str| {
        format!(
            "{{\"id\":\"{id}\",\"sku\":\"U\",\"reference\":\"{reference}\",\
             \"plan\":\"{plan}\",\"start\":\"{start}\"}}"
        )
    };
    let orders = |lines: &[String]| {
        format!(
            "{{\"products\":[{{\"sku\":\"U\",\"provisions\":\"subscription\",\
             \"revenue_model\":\"overage_usage\"}}],\n\"orders\":[{{\"id\":\"O\",\
             \"customer\":\"CUS-1\",\"kind\":\"new\",\"activated_on\":\"2026-01-01\",\
             \"order_products\":[\n{}]}}]}}",
            lines.join(",\n")
        )
    };
    let wrong = [
        line("1", "SUB-1", "max", "2026-03-01"),
        line("2", "CUS-0", "pro", "2026-01-01"),
        line("3", "SUB-9", "max", "2026-02-27"),
    ];
    let good = [line("1", "SUB-1", "pro", "2026-01-01"), line("3", "SUB-9", "max", "2026-03-01")];
    let wanted: [(&str, &[&str]); 3] = [
        ("3:48", &["\"SUB-1\" with the plan \"pro\""]),
        ("4:33", &["\"CUS-0\" is a name of a customer"]),
        ("5:62", &["\"max\"", "no version in force on 2026-02-27", "2026-03-01T00:00:00Z"]),
    ];
    place.write("orders.json", orders(&wrong));
    let ran = place.fail("check catalog.json orders.json", 1, &["3 faults\n"]);
    check_lines(ran.stderr.strip_suffix("3 faults\n").unwrap(), "orders.json", &wanted);
    let bill = "bill --catalog catalog.json --orders orders.json --as-of 2026-02-01 --out out";
    check_lines(&place.fail(bill, 1, &[]).stderr, "orders.json", &wanted);
    place.write("orders.json", orders(&good));
    place.succeed("check catalog.json orders.json");
    // A version that cannot be read may be the one that takes effect early enough.
    let unread = r#"{"key":"max","version":1,"effective_from":"2026-01-01","currency":"USD",
"charges":[]},{"key":"max","#;
    place.write("catalog.json", catalog.replacen("{\"key\":\"max\",", unread, 1));
    place.write("orders.json", orders(&wrong));
    let ran = place.fail("check catalog.json orders.json", 1, &["3 faults\n"]);
    let (of_catalog, others) = ran.stderr.split_once('\n').unwrap();
    assert!(of_catalog.starts_with("catalog.json:3:"), "{of_catalog}");
    check_lines(others.strip_suffix("3 faults\n").unwrap(), "orders.json", &wanted[..2]);
}

#[test]
fn a_field_of_orders_does_not_make_a_catalog_orders() {
    let place = Workplace::new();
    let catalog = usage::CATALOG.replacen('{', "{\"settings\":{},", 1);
    place.write("catalog.json", catalog);
    place.fail("check catalog.json", 1, &["1:2: unknown field \"settings\"", "1 fault\n"]);
}

#[test]
fn a_file_that_is_wrong_throughout_has_at_least_so_many_faults() {
    let place = Workplace::new();
    place.write("catalog.json", format!("{{\"meters\":[{}7]}}", "7,".repeat(2_000)));
    place.fail("check catalog.json", 1, &["at least 1000 faults\n"]);
}

#[test]
fn twelve_faults_of_orders_are_twelve_lines() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("orders.json", ORDERS);
    let bill = "bill --catalog catalog.json --orders orders.json --as-of 2026-02-01 --out out";
    check_lines(&place.fail(bill, 1, &[]).stderr, "orders.json", &ORDERS_FAULTS);
    assert_eq!(place.names("."), ["catalog.json", "orders.json"], "no out");
    let ran = place.fail("check catalog.json orders.json", 1, &[]);
    let told = ran.stderr.strip_suffix("12 faults\n").unwrap();
    check_lines(told, "orders.json", &ORDERS_FAULTS);
    assert!(ran.stdout.contains("catalog.json: good"), "{}", ran.stdout);
}

/// What is wrong with a meter is said at the meter, not once more at every charge that names it.
#[test]
fn one_mistake_is_one_fault() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG.replace("\"sum\"", "\"summ\""));
    let ran = place.fail("check catalog.json", 1, &["\"summ\"", "1 fault\n"]);
    assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
    place.write("catalog.json", usage::CATALOG.replace("\"unit_price\":\"0.012\"", ""));
    let ran = place.fail("check catalog.json", 1, &["1 fault\n"]);
    assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
}

#[test]
fn what_is_not_json_is_said_with_its_place() {
    let place = Workplace::new();
    let twice = "{\"meters\":[],\n \"meters\":[]}";
    for (text, at) in [("", "1:1"), ("{", "1:2"), ("{\n 'a'}", "2:2"), (twice, "2:2")] {
        place.write("catalog.json", text);
        let wanted = format!("catalog.json:{at}: not valid JSON");
        place.fail("check catalog.json", 1, &[&wanted]);
    }
    let with_mark = [b"\xEF\xBB\xBF", usage::CATALOG.as_bytes()].concat();
    place.write("catalog.json", with_mark);
    place.succeed("check catalog.json");
}

/// Earlier outputs are whole and stay; a refused run leaves no trace among them.
#[test]
fn a_refused_run_leaves_earlier_outputs_alone() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, 20));
    let rate = "rate --catalog catalog.json --usage usage.ndjson --out out";
    place.succeed(rate);
    let (names, totals) = (place.names("out"), place.text("out/totals.ndjson"));
    place.write("catalog.json", CATALOG);
    place.fail(rate, 1, &[]);
    assert_eq!((place.names("out"), place.text("out/totals.ndjson")), (names, totals));
}

/// Bounds that a plan may not state may not come in through an override either.
#[test]
fn an_override_is_checked_like_the_charge_it_changes() {
    let place = Workplace::new();
    let with = |change: &str| {
        let change = format!(r#"{{"effective_from":"2026-02-01T00:00:00Z",{change}}}"#);
        let change = format!(r#""start":"2026-01-01","overrides":{{"api":[{change}]}}}}]}}"#);
        usage::CATALOG.replace("\"start\":\"2026-01-01\"}]}", &change)
    };
    place.write("catalog.json", with("\"included\":\"20\",\"minimum\":null"));
    place.succeed("check catalog.json");
    for wrong in ["\"included\":\"-5\"", "\"minimum\":\"-1\"", "\"maximum\":\"-1\""] {
        place.write("catalog.json", with(wrong));
        place.fail("check catalog.json", 1, &["below 0"]);
    }
    place.write("catalog.json", with("\"scope\":\"day\""));
    place.fail("check catalog.json", 1, &["\"scope\" may not be overridden", "1 fault\n"]);
}
