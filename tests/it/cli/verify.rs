//! `verify`: what `rate` wrote is proved; whatever is changed in it is told with its place.

use super::usage;
use crate::program::Workplace;
use serde_json::Value;

const RATE: &str = "rate --catalog catalog.json --usage usage.ndjson --out out";
const VERIFY: &str = "verify --catalog catalog.json --usage usage.ndjson --out out";

/// 2,000 lines, of which two are duplicates and two no records, rated and closed.
fn rated() -> Workplace {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, 2000));
    place.succeed(&format!("{RATE} --close-at 2026-02-01T00:00:00Z"));
    place
}

/// Changes one output line by line.
fn change(place: &Workplace, name: &str, each: impl Fn(usize, &str) -> Vec<String>) {
    let text = place.text(name);
    let lines: Vec<String> =
        text.lines().enumerate().flat_map(|(at, line)| each(at + 1, line)).collect();
    let changed = lines.join("\n") + "\n";
    assert_ne!(changed, text, "{name} was not changed");
    place.write(name, changed);
}

/// Leaves all lines as they are but for one.
fn change_line(place: &Workplace, name: &str, number: usize, to: impl Fn(&str) -> Vec<String>) {
    change(place, name, |at, line| if at == number { to(line) } else { vec![line.to_owned()] });
}

#[test]
fn what_was_rated_is_proved() {
    let place = rated();
    let ran = place.succeed(VERIFY);
    assert_eq!(ran.stderr, "");
    let told = "2000 records = 1996 rated + 2 duplicate + 2 rejected + 0 forwarded + 0 waiting\n\
                1996 rated lines, 2 dead letters, 6 totals (3 closed)\n\
                every record is accounted for once, and every sum is exact\n";
    assert_eq!(ran.stdout, told);
}

#[test]
fn a_line_that_is_gone_is_missed_by_its_record_and_its_total() {
    let place = rated();
    let line: Value =
        serde_json::from_str(place.text("out/rated.ndjson").lines().nth(699).unwrap()).unwrap();
    change_line(&place, "out/rated.ndjson", 700, |_| vec![]);
    let id = line["id"].as_str().unwrap();
    let text = place.text("usage.ndjson");
    let number = 1 + text.lines().position(|line| line.contains(&format!("\"{id}\""))).unwrap();
    let lost = format!("usage.ndjson:{number}: no rated line and no dead letter");
    // What came after it in its total does not go on where the line before ended.
    let chain = "out/rated.ndjson:702: total_before of api";
    let ran = place.fail(VERIFY, 1, &[&lost, chain, "wrong lineage", "broken chain"]);
    assert!(ran.stdout.contains("+ 1 lost"), "{}", ran.stdout);
}

#[test]
fn a_line_that_stands_twice_is_told_with_both_places() {
    let place = rated();
    change_line(&place, "out/rated.ndjson", 10, |line| vec![line.to_owned(), line.to_owned()]);
    let told = "usage.ndjson:10: rated twice: out/rated.ndjson:10 and line 11\n\
                1 finding: 1 rated twice\n";
    let ran = place.fail(VERIFY, 1, &[]);
    assert_eq!(ran.stderr, told);
}

#[test]
fn an_amount_is_believed_to_the_last_place() {
    let place = rated();
    change_line(&place, "out/rated.ndjson", 1999 - 5, |line| {
        let (before, after) = line.split_once("\"amount\":\"").unwrap();
        let (amount, after) = after.split_once('"').unwrap();
        let point = if amount.contains('.') { "" } else { "." };
        let more = format!("{amount}{point}000000000001");
        vec![format!("{before}\"amount\":\"{more}\"{after}")]
    });
    let ran = place.fail(VERIFY, 1, &["out/totals.ndjson:", "usage_amount of api"]);
    assert!(ran.stderr.ends_with("1 finding: 1 wrong usage amount\n"), "{}", ran.stderr);
}

#[test]
fn a_dead_letter_that_is_gone_or_changed_is_missed() {
    let place = rated();
    change_line(&place, "out/rejected.ndjson", 2, |_| vec![]);
    let told = "usage.ndjson:2000: is no usage record, yet has no dead letter";
    place.fail(VERIFY, 1, &[told, "1 finding: 1 unreadable without a dead letter"]);
    let place = rated();
    change_line(&place, "out/rejected.ndjson", 1, |line| {
        vec![line.replace("line 999", "line 998")]
    });
    place.fail(VERIFY, 1, &["usage.ndjson:1000: its dead letter out/rejected.ndjson:1 holds"]);
    let place = rated();
    change_line(&place, "out/rejected.ndjson", 1, |line| vec![line.to_owned(), line.to_owned()]);
    place.fail(VERIFY, 1, &["usage.ndjson:1000: rejected twice: out/rejected.ndjson:1 and line 2"]);
}

#[test]
fn a_total_that_is_gone_or_changed_is_told() {
    let place = rated();
    change_line(&place, "out/totals.ndjson", 3, |_| vec![]);
    place.fail(VERIFY, 1, &["its total is missing: api of SUB-1 (CUS-1)", "1 missing total"]);
    let place = rated();
    change_line(&place, "out/totals.ndjson", 1, |line| {
        vec![line.replace(
            "\"revision\":0,\"lineage\":{\"records\":",
            "\"revision\":0,\"lineage\":{\"records\":1",
        )]
    });
    place.fail(VERIFY, 1, &["out/totals.ndjson:1: lineage.records of api of SUB-0 (CUS-0)"]);
}

#[test]
fn other_usage_than_was_rated_is_told() {
    let place = rated();
    place.write("usage.ndjson", usage::lines(0, 2001));
    place.fail(VERIFY, 1, &["usage.ndjson:2001: no rated line and no dead letter", "1 lost"]);
    place.write("usage.ndjson", usage::lines(0, 1999));
    let told = "out/rejected.ndjson:2: is a dead letter of usage.ndjson:2000, where there is no";
    place.fail(VERIFY, 1, &[told]);
    let swapped = usage::lines(0, 2000).replace("\"r7\"", "\"r-7\"");
    place.write("usage.ndjson", swapped);
    let told = "rated without a record: id \"r7\" of source \"gw\"";
    place.fail(VERIFY, 1, &["usage.ndjson:8: no rated line", told]);
}

#[test]
fn a_state_is_proved_without_its_input() {
    let place = rated();
    place.succeed(&format!("{RATE} --state state --close-at 2026-02-01T00:00:00Z"));
    let settings = "mode = \"embedded\"\ncatalog = \"catalog.json\"\n[state]\ndir = \"state\"\n";
    place.write("usage-rater.toml", settings);
    let ran = place.succeed("verify --config usage-rater.toml");
    assert!(
        ran.stdout.starts_with("1996 rated lines, 2 dead letters, 6 totals (3 closed)\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("the records themselves are not kept"), "{}", ran.stdout);
}

#[test]
fn wrong_arguments_and_missing_files_are_told() {
    let place = rated();
    place.fail("verify", 2, &["--config"]);
    place.fail("verify --out out", 2, &["--usage", "--catalog"]);
    place.fail("verify --usage usage.ndjson --catalog catalog.json", 2, &["--out"]);
    place.fail(&format!("{VERIFY} --config x.toml"), 2, &["--config"]);
    place.fail("verify --config nowhere.toml", 1, &["nowhere.toml", "no such file"]);
    place.fail(&VERIFY.replace("--out out", "--out nowhere"), 1, &["nowhere/rejected.ndjson"]);
    place.fail(&VERIFY.replace("usage.ndjson", "u.ndjson"), 1, &["u.ndjson", "no such file"]);
    place.write("usage-rater.toml", "mode = \"embedded\"\n[state]\ndir = \"nowhere\"\n");
    place.fail("verify --config usage-rater.toml", 1, &["nowhere", "no such state"]);
}
