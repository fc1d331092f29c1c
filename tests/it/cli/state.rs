//! `--state`: a later run goes on where an earlier one stopped, and notices if it cannot.

use super::usage;
use crate::program::Workplace;
use serde_json::Value;

const RATE: &str = "rate --catalog catalog.json --usage usage.ndjson --state state --out out";

fn place() -> Workplace {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place
}

#[track_caller]
fn check(place: &Workplace, told: &str, rated: usize) {
    let ran = place.succeed(RATE);
    assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
    assert_eq!(place.lines("out/rated.ndjson").len(), rated);
    assert_eq!(place.names("out"), ["rated.ndjson", "rejected.ndjson", "totals.ndjson"]);
}

#[test]
fn a_second_run_reads_only_what_was_appended() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 1500));
    check(&place, "1500 records read: 1498 rated, 1 duplicate, 1 rejected", 1498);
    check(&place, "0 records read: 0 rated, 0 duplicate, 0 rejected", 1498);
    place.write("usage.ndjson", usage::lines(0, 3000));
    check(&place, "1500 records read: 1496 rated, 2 duplicate, 2 rejected", 2994);
    let rejected = place.lines("out/rejected.ndjson");
    let lines: Vec<_> = rejected.iter().map(|letter| letter["source"]["line"].as_u64()).collect();
    assert_eq!(lines, [Some(1000), Some(2000), Some(3000)]);
    let resumed = ["rated.ndjson", "totals.ndjson", "rejected.ndjson"]
        .map(|name| place.text(&format!("out/{name}")));
    place.succeed("rate --catalog catalog.json --usage usage.ndjson --out once");
    let once = ["rated.ndjson", "totals.ndjson", "rejected.ndjson"]
        .map(|name| place.text(&format!("once/{name}")));
    assert_eq!(resumed, once);
}

/// Whoever writes the file may be in the middle of a line when it is read.
#[test]
fn a_last_line_without_its_end_is_read_again_when_it_has_one() {
    let place = place();
    let (whole, part) = (usage::lines(0, 10), usage::record(10));
    place.write("usage.ndjson", format!("{whole}{}", &part[..40]));
    check(&place, "11 records read: 10 rated, 0 duplicate, 1 rejected", 10);
    place.write("usage.ndjson", usage::lines(0, 12));
    check(&place, "2 records read: 2 rated, 0 duplicate, 0 rejected", 12);
    place.write("usage.ndjson", usage::lines(0, 13).trim_end());
    check(&place, "1 record read: 1 rated, 0 duplicate, 0 rejected", 13);
    place.write("usage.ndjson", usage::lines(0, 14));
    check(&place, "2 records read: 1 rated, 1 duplicate, 0 rejected", 14);
}

#[test]
fn a_file_that_was_replaced_is_read_from_its_start() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 100));
    check(&place, "100 records read: 100 rated", 100);
    let (old, new) = (usage::lines(50, 100), usage::lines(100, 150));
    place.write("usage.ndjson", format!("{new}{old}"));
    check(&place, "100 records read: 50 rated, 50 duplicate, 0 rejected", 150);
    place.write("usage.ndjson", usage::lines(0, 10));
    check(&place, "10 records read: 0 rated, 10 duplicate, 0 rejected", 150);
    // The same records under another name are the same records.
    place.write("other.ndjson", usage::lines(0, 160));
    let ran = place.succeed(&RATE.replace("usage.ndjson", "other.ndjson"));
    assert!(ran.stderr.starts_with("160 records read: 10 rated, 150 duplicate"), "{}", ran.stderr);
}

#[test]
fn closing_later_closes_what_was_rated_earlier() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 100));
    check(&place, "100 records read", 100);
    let open = place.text("out/totals.ndjson");
    assert!(!open.contains("closed"), "{open}");
    place.succeed(&format!("{RATE} --close-at 2026-02-01T00:00:00Z"));
    let closed = place.text("out/totals.ndjson");
    let revised = closed.replace("\"status\":\"closed\"", "\"status\":\"open\"");
    assert_eq!((revised, closed.matches("closed").count()), (open, 3));
    place.write("usage.ndjson", usage::lines(0, 130));
    check(&place, "30 records read: 30 rated", 130);
    let late = place.lines("out/totals.ndjson");
    let revisions = late.iter().filter(|total| total["status"] == "closed");
    assert!(revisions.clone().count() == 3 && revisions.clone().any(|t| t["revision"] != 0));
}

#[test]
fn a_directory_that_holds_something_else_is_refused() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 10));
    for foreign in ["state", "state/partition-0"] {
        std::fs::create_dir_all(place.path(foreign)).unwrap();
        place.write(&format!("{foreign}/letter.txt"), "not a state");
        place.fail(RATE, 1, &["state", "not empty", "another"]);
        assert_eq!(place.names(foreign), ["letter.txt"], "nothing was put beside it");
        assert!(place.names("out").is_empty(), "{:?}", place.names("out"));
        std::fs::remove_dir_all(place.path("state")).unwrap();
    }
}

#[test]
fn a_plan_version_that_changed_under_its_number_is_refused() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 10));
    check(&place, "10 records read", 10);
    let before = place.text("out/totals.ndjson");
    place.write("catalog.json", usage::CATALOG.replace("0.012", "0.013"));
    place.fail(RATE, 1, &["version 1", "\"pro\"", "immutable", "state"]);
    assert_eq!(place.text("out/totals.ndjson"), before);
    // Spelled otherwise it is the same version; a further version is no change either.
    let spelled =
        usage::CATALOG.replace("\"currency\":\"USD\",", "\n \"currency\" : \"\\u0055SD\" , ");
    place.write("catalog.json", spelled);
    check(&place, "0 records read", 10);
    let version = r#""plans":[{"key":"pro","version":2,"effective_from":"2026-03-01T00:00:00Z","#;
    let version = format!("{version}\"currency\":\"USD\",\"charges\":[]}},");
    place.write("catalog.json", usage::CATALOG.replace("\"plans\":[", &version));
    check(&place, "0 records read", 10);
}

/// A subscription that is gone would take its usage with it.
#[test]
fn a_catalog_without_what_was_rated_is_refused() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 10));
    check(&place, "10 records read", 10);
    let gone = usage::CATALOG.replace("\"SUB-1\"", "\"SUB-3\"");
    place.write("catalog.json", gone);
    place.fail(RATE, 1, &["\"SUB-1\"", "catalog"]);
}

/// A changed cycle day used to begin a second, overlapping series of totals beside those that were
/// rated, and both would have been billed. Now it begins where the last of them ends.
#[test]
fn periods_are_not_cut_anew_under_a_state() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 100));
    check(&place, "100 records read", 100);
    let before = place.text("out/totals.ndjson");
    let customer = "\"id\":\"CUS-1\",";
    assert!(usage::CATALOG.contains(customer), "the catalog has the customer");
    let other = usage::CATALOG.replace(customer, "\"id\":\"CUS-1\",\"bill_cycle_day\":15,");
    place.write("catalog.json", other);
    let ran = place.succeed(&format!("{RATE} --close-at 2026-03-20T00:00:00Z"));
    let told = "customer \"CUS-1\": from 2026-02-28T23:00:00Z on, billing periods are of a month, \
                begin on day 15 and have the time zone Europe/Berlin";
    assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
    let totals = place.lines("out/totals.ndjson");
    let periods = |subscription: &str| -> Vec<[String; 3]> {
        let own = totals.iter().filter(|total| total["subscription"] == subscription);
        let fields = ["period_start", "period_end", "status"];
        own.map(|total| fields.map(|field| total[field].as_str().unwrap().to_owned())).collect()
    };
    let cuts = ["2025-12-31T23", "2026-01-31T23", "2026-02-28T23", "2026-03-14T23"];
    let cuts = cuts.map(|hour| format!("{hour}:00:00Z"));
    let wanted = cuts.windows(2).map(|cut| [cut[0].clone(), cut[1].clone(), "closed".to_owned()]);
    assert_eq!(periods("SUB-1"), wanted.collect::<Vec<_>>());
    assert_eq!(periods("SUB-0").len(), 2, "nothing changes for others");
    for total in before.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let same = |other: &&Value| {
            ["subscription", "period_start", "period_end", "quantity", "amount"]
                .iter()
                .all(|field| other[*field] == total[*field])
        };
        assert!(totals.iter().any(|other| same(&other)), "{total}");
    }
    place.succeed(RATE);
    assert_eq!(place.lines("out/totals.ndjson"), totals, "and never again");
}

/// A year or a term begins with its subscription: one that starts on another day would begin them
/// anew beside what they have counted.
#[test]
fn a_start_that_moves_a_year_with_usage_is_refused() {
    let place = place();
    place.write("usage.ndjson", usage::record(39) + "\n");
    let yearly = usage::CATALOG.replace("\"included\"", "\"scope\":\"year\",\"included\"");
    place.write("catalog.json", &yearly);
    check(&place, "1 record read: 1 rated", 1);
    let before = place.text("out/totals.ndjson");
    let other = |id: &str| {
        let (start, end) = yearly.split_once(&format!("{{\"id\":\"SUB-{id}\"")).unwrap();
        format!("{start}{{\"id\":\"SUB-{id}\"{}", end.replacen("2026-01-01", "2026-01-02", 1))
    };
    place.write("catalog.json", other("0"));
    place.fail(RATE, 1, &["\"SUB-0\"", "year", "start", "cannot be moved"]);
    assert_eq!(place.text("out/totals.ndjson"), before);
    // Where there is no usage, nothing is moved.
    place.write("catalog.json", other("1"));
    check(&place, "0 records read", 1);
    assert_eq!(place.text("out/totals.ndjson"), before);
}

/// A process that was killed while it made its first state used to leave a directory that no later
/// run would take. A state is now made beside its place and moved there whole.
#[test]
fn a_state_that_was_never_finished_is_made_anew() {
    let place = place();
    place.write("usage.ndjson", usage::lines(0, 10));
    std::fs::create_dir_all(place.path("state/partition-0.unfinished")).unwrap();
    place.write("state/partition-0.unfinished/000004.log", "torn");
    check(&place, "10 records read: 10 rated", 10);
    assert_eq!(place.names("state"), ["partition-0"]);
}

const ORDERS: &str = r#"{"settings":{"currency":"USD"},
"products":[{"sku":"P","name":"P","provisions":"subscription","revenue_model":"overage_usage"}],
"orders":[{"id":"O","customer":"CUS-0","kind":"new","activated_on":"2026-01-01","order_products":[
  {"id":"OP","sku":"P","reference":"SUB-0","quantity":"1","unit_price":"0","price_period":"month",
   "start":"2026-01-01","end":null,"plan":"pro"}]}]}"#;

/// A bill closed periods by the zone of the catalog, which does not hold yet, and billed the last
/// month of a zone a day behind twice. Orders cannot change what was cut.
#[test]
fn bills_take_periods_as_they_were_cut() {
    for (before, after) in
        [("America/New_York", "Europe/Berlin"), ("Pacific/Honolulu", "Pacific/Kiritimati")]
    {
        let place = place();
        let zone = |name: &str| {
            let customer = format!("{{\"id\":\"CUS-0\",\"time_zone\":\"{name}\"}}");
            usage::CATALOG.replace("{\"id\":\"CUS-0\"}", &customer)
        };
        place.write("orders.json", ORDERS);
        place.write("usage.ndjson", usage::record(30) + "\n");
        place.write("catalog.json", zone(before));
        place.succeed(RATE);
        place.write("catalog.json", zone(after));
        place.succeed(RATE);
        let bill = "bill --catalog catalog.json --orders orders.json --state state --out out";
        let bill_as_of = |day: &str| format!("{bill} --as-of {day}");
        for day in ["2026-02-01", "2026-02-03"] {
            place.succeed(&bill_as_of(day));
            let invoices = place.json("out/invoices.json");
            let own = invoices.as_array().unwrap().iter();
            let own: Vec<_> = own.filter(|one| one["customer"] == "CUS-0").collect();
            let used: Vec<_> = own.iter().map(|one| &one["items"][0]["usage"]).collect();
            let days = ["period_start", "period_end"].map(|name| used[0][0][name].clone());
            assert_eq!((used.len(), used[0].as_array().unwrap().len()), (1, 1), "{invoices}");
            assert_eq!(days, ["2026-01-01", "2026-01-31"], "{day} {after}: {invoices}");
        }
        place.write("catalog.json", zone(before));
        place.fail(&bill_as_of("2026-02-03"), 1, &["\"CUS-0\"", "where orders decide"]);
    }
}
