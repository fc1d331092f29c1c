//! Odd texts, such as editors, other programs and ill will make: each fault is told at its place.

use super::{UNIT_PRICE, catalog, check, check_charge, check_price};
use crate::Catalog;

/// The first fault of a text, which need not be UTF-8.
#[track_caller]
fn check_first(text: &[u8], wanted: &str) {
    let faults = Catalog::parse(text).unwrap_err();
    let found = faults[0].to_string();
    assert!(found.starts_with(wanted), "{}\n{found}", String::from_utf8_lossy(text));
}

#[test]
fn texts_that_are_no_catalog() {
    for text in ["[]", "null", "7", "\"x\"", "true"] {
        check_first(text.as_bytes(), "1:1: must be an object, not ");
    }
    for (text, wanted) in [
        ("", "1:1: not valid JSON"),
        (" \n\t", "2:2: not valid JSON"),
        ("{}{}", "1:3: not valid JSON: more follows"),
        ("{\"meters\":[],}", "1:14: not valid JSON: a key must be a string"),
        ("{\n// why\n}", "2:1: not valid JSON: a key must be a string"),
        ("{\"plans\":[],\"pl\\u0061ns\":[]}", "1:13: not valid JSON: a key stands twice"),
        ("{\"x\\ud800\":1}", "1:4: not valid JSON: half of a surrogate pair"),
        ("\u{feff}\u{feff}{}", "1:1: not valid JSON"),
    ] {
        check_first(text.as_bytes(), wanted);
    }
    check_first(b"{\"meters\":\"\xff\"}", "1:12: not valid JSON: not valid UTF-8");
    check_first(&[0xFF, 0xFE, b'{', 0, b'}', 0], "1:1: not valid JSON: not valid UTF-8");
    for deep in ["[".repeat(1_000_000), format!("{}1{}", "[".repeat(65), "]".repeat(65))] {
        check_first(deep.as_bytes(), "1:65: not valid JSON: nested deeper than 64");
    }
    for empty in ["{}", r#"{"meters":[],"plans":[],"customers":[]}"#, r#"{"subscriptions":null}"#] {
        assert!(Catalog::parse(empty.as_bytes()).is_ok(), "{empty}");
    }
}

#[test]
fn line_ends_and_marks_of_editors() {
    let marked = catalog(&format!("\"meter\":‸\"cals\",{UNIT_PRICE}"), "");
    let wanted = "9:22: \"cals\" is not a meter of this catalog; did you mean \"calls\"?";
    let text = marked.replace('‸', "");
    check(&marked, &[wanted.get(6..).unwrap()]);
    check_first(text.replace('\n', "\r\n").as_bytes(), wanted);
    check_first(format!("\u{feff}{text}").as_bytes(), wanted);
    // Columns count characters, not bytes.
    let wide = text.replace("{\"key\":\"api\"", "{\"key\":\"äpí\"");
    check_first(wide.as_bytes(), wanted);
}

#[test]
fn lists_of_other_things() {
    for list in ["meters", "plans", "customers", "subscriptions"] {
        for other in ["{}", "\"x\"", "7", "true"] {
            let text = format!("{{\"{list}\":‸{other}}}");
            check(&text, &[&format!("\"{list}\" must be a list")]);
        }
        let text = format!("{{\"{list}\":[‸null,‸[],‸\"x\"]}}");
        let kinds =
            ["null", "an array", "a string"].map(|it| format!("must be an object, not {it}"));
        check(&text, &kinds.each_ref().map(String::as_str));
    }
    check_charge(
        "\"meter\":‸[],\"price\":‸[]",
        &["must be a string, not an array", "a price must"],
    );
}

#[test]
fn numbers_that_cannot_be_meant() {
    let priced = |number: &str| format!("{{\"model\":\"per_unit\",\"unit_price\":‸{number}}}");
    let digits = "1".repeat(40);
    for wide in [&digits, &format!("0.{digits}"), "1e400", "1e-400", "1e99999999999", "1e12"] {
        for spelled in [wide.to_owned(), format!("\"{wide}\""), format!("-{wide}")] {
            check_price(&priced(&spelled), &[&format!("{} has more", spelled.trim_matches('"'))]);
        }
    }
    for text in ["+1", "01", "1.", ".5", "NaN", "Infinity", "0x10", "1_000", " 1", "1 ", "", "１"]
    {
        let message = format!("\"{text}\" is not a decimal number");
        check_price(&priced(&format!("\"{text}\"")), &[&message]);
    }
    check_price(&priced("-0.000000000001"), &["must not be below 0"]);
    check_price(&priced("-0.0").replace('‸', ""), &[]);
    check_price(&priced(&format!("\"{}\"", "1".repeat(600))), &["\"1111111111"]);
}

/// Names go into messages and onto a terminal.
#[test]
fn control_characters_are_refused_and_never_printed() {
    for (name, shown) in [("a\\nb", "\"a\\u{a}b\""), ("\\u001b[2J", "\"\\u{1b}[2J\"")] {
        let text = catalog(&format!("\"meter\":\"{name}\",{UNIT_PRICE}"), "");
        check_first(text.as_bytes(), &format!("9:22: {shown} is not a meter"));
        let text = format!("{{\"customers\":[{{\"id\":\"{name}\"}}]}}");
        check_first(text.as_bytes(), "1:21: a name has at most 256 bytes and no control");
    }
}

/// Suggestions for a thousand wrong names among many once took minutes.
#[test]
fn suggestions_end_before_patience_does() {
    let customers: Vec<String> =
        (0..5_000).map(|at| format!("{{\"id\":\"customer-number-{at}\"}}")).collect();
    let wrong: Vec<String> = (0..1_500)
        .map(|at| {
            format!(
                "{{\"id\":\"S{at}\",\"customer\":\"custmer-number-{at}x\",\"plan\":\"p\",\
                      \"start\":\"2026-01-01\"}}"
            )
        })
        .collect();
    let plan =
        r#"{"key":"p","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD"}"#;
    let text = format!(
        "{{\"plans\":[{plan}],\"customers\":[{}],\"subscriptions\":[{}]}}",
        customers.join(","),
        wrong.join(",")
    );
    let faults = Catalog::parse(text.as_bytes()).unwrap_err();
    assert_eq!(faults.len(), crate::fault::FAULTS_MAX);
    assert!(faults[1].message.ends_with("; did you mean \"customer-number-1\"?"), "{}", faults[1]);
    assert!(faults[999].message.ends_with("is not a customer of this catalog"), "{}", faults[999]);
}
