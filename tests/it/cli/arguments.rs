//! Arguments: what is wrong with them, what they name and is not there, and the exit code of each.

use super::usage;
use crate::program::Workplace;
use std::io::Write as _;

#[test]
fn a_good_run_ends_with_0_and_three_files() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, 2000));
    let ran = place.succeed("rate --catalog catalog.json --usage usage.ndjson --out out");
    assert_eq!(place.names("out"), ["rated.ndjson", "rejected.ndjson", "totals.ndjson"]);
    assert_eq!(ran.stdout, "");
    let told = "2000 records read: 1996 rated, 2 duplicate, 2 rejected (2 malformed_json)";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(place.lines("out/rated.ndjson").len(), 1996);
    assert_eq!(place.lines("out/rejected.ndjson")[1]["source"]["line"], 2000);
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, 1500));
    place.succeed("rate --catalog catalog.json --usage usage.ndjson --out file");
    let mut child = place.start("rate --catalog catalog.json --usage - --out stdin");
    child.stdin.take().unwrap().write_all(&place.read("usage.ndjson")).unwrap();
    assert!(child.wait().unwrap().success());
    for name in ["rated.ndjson", "totals.ndjson"] {
        assert_eq!(place.text(&format!("file/{name}")), place.text(&format!("stdin/{name}")));
    }
    assert_eq!(place.lines("stdin/rejected.ndjson")[0]["source"]["file"], "-");
}

#[test]
fn nobody_watching_no_progress_is_drawn() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, 60_000));
    for run in ["rate --out a", "bill --orders orders.json --as-of 2026-02-01 --out b"] {
        place.write("orders.json", r#"{"orders":[]}"#);
        let ran = place.succeed(&format!("{run} --catalog catalog.json --usage usage.ndjson"));
        let drawn = ran.stderr.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(drawn, None, "{:?}", ran.stderr);
        assert!(ran.stderr.lines().count() <= 2, "{}", ran.stderr);
    }
}

#[test]
fn wrong_arguments_end_with_2_and_a_hint() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    let rate = "rate --catalog catalog.json --usage catalog.json";
    place.fail("", 2, &["Usage: usage-rater <COMMAND>", "demo"]);
    place.fail("rat", 2, &["'rat'", "'rate'"]);
    place.fail("rate --catalgo catalog.json", 2, &["'--catalgo'", "'--catalog'"]);
    place.fail(&format!("{rate} --out out --clos-at x"), 2, &["'--clos-at'", "'--close-at'"]);
    place.fail(rate, 2, &["--out <DIR>"]);
    place.fail("check", 2, &["<FILE>"]);
    place.fail(&format!("{rate} --out out --close-at 2026-02-01"), 2, &["2026-02-01", "RFC 3339"]);
    let bill = "bill --catalog catalog.json --orders catalog.json --out out";
    for date in ["2026-2-1", "2026-02-30", "20260201", "2026-02-01T00:00:00Z", "tomorrow"] {
        place.fail(&format!("{bill} --as-of {date}"), 2, &[date, "2026-01-31"]);
    }
    assert_eq!(place.names("."), ["catalog.json"], "nothing was made");
}

#[test]
fn help_and_version_are_no_mistake() {
    let place = Workplace::new();
    let help = place.succeed("--help");
    for command in ["demo", "rate", "bill", "check"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
        let own = place.succeed(&format!("{command} --help"));
        assert!(own.stdout.contains("Usage: usage-rater"), "{}", own.stdout);
    }
    let version = format!("usage-rater {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.succeed("--version").stdout, version);
}

#[test]
fn a_file_that_is_not_there_ends_with_1_and_its_name() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("orders.json", r#"{"orders":[]}"#);
    place.write("usage.ndjson", "");
    let given = |catalog: &str, usage: &str, orders: &str| {
        let rate = format!("rate --catalog {catalog} --usage {usage} --out out");
        let bill = format!("bill --orders {orders} --as-of 2026-02-01 {}", &rate["rate ".len()..]);
        (rate, bill)
    };
    let (rate, bill) = given("nowhere.json", "usage.ndjson", "orders.json");
    place.fail(&rate, 1, &["nowhere.json", "no such file"]);
    place.fail(&bill, 1, &["nowhere.json", "no such file"]);
    let (rate, bill) = given("catalog.json", "nowhere.ndjson", "orders.json");
    place.fail(&rate, 1, &["nowhere.ndjson", "no such file"]);
    place.fail(&bill, 1, &["nowhere.ndjson", "no such file"]);
    let (_, bill) = given("catalog.json", "usage.ndjson", "nowhere.json");
    place.fail(&bill, 1, &["nowhere.json", "no such file"]);
    place.fail("check nowhere.json", 1, &["nowhere.json", "no such file"]);
    assert_eq!(place.names("."), ["catalog.json", "orders.json", "usage.ndjson"]);
}
