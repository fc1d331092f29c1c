//! The catalog by the API: as a whole or not at all, in force at once, and kept.

use super::client::Client;
use super::server::{Server, eventually};
use super::world::{self, CATALOG, LINES, ONE, record, record_of};
use crate::program::Workplace;
use serde_json::Value;

const PUT: &str = "PUT /v1/catalog";
const JSON: &str = "application/json";
/// When the subscriptions begin.
const STARTS: &str = "\"start\":\"2026-01-01\"";

#[test]
fn a_service_without_a_catalog_waits_for_one() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let mut client = server.connect();
    client.get("/healthz").expect(200, "ok");
    client.get("/readyz").expect(503, "no catalog yet");
    client.get("/v1/catalog").expect(404, "no catalog yet");
    // Usage is never turned away for that: it waits.
    client.usage(ONE, &record("a", 0)).expect(200, "accepted");
    client.get("/v1/subscriptions/SUB-0/totals").expect(503, "no catalog yet");
    let reply = client.send(PUT, JSON, CATALOG).expect(200, "plans");
    assert_eq!(reply.json(), serde_json::json!({"plans": 1, "customers": 2, "subscriptions": 2}));
    client.get("/readyz").expect(200, "ready");
    assert_eq!(client.get("/v1/catalog").body, CATALOG);
    client.usage(ONE, &record("a", 0)).expect(200, "duplicate");
    server.kill();
    let server = Server::start(&place, "");
    let mut client = server.connect();
    assert_eq!(client.get("/v1/catalog").body, CATALOG, "it is kept, also over a kill");
    assert_eq!(client.totals("SUB-0", "")[0]["records"], 1);
    assert_eq!(place.names("data"), ["catalog.json", "partition-0"]);
    server.stop();
}

#[test]
fn another_catalog_is_in_force_without_a_restart() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let mut client = server.connect();
    client.send(PUT, JSON, CATALOG).expect(200, "plans");
    let new = record_of("n", "SUB-2", "2026-01-05T00:00:00Z", "11");
    client.usage(LINES, &world::lines("a", 100)).expect(200, "results");
    client.usage(ONE, &new).expect(200, "accepted");
    client.usage(ONE, &new).expect(200, "duplicate");
    client.get("/v1/subscriptions/SUB-2/totals").expect(404, "SUB-2");
    let entry = r#"{"id":"SUB-2","customer":"CUS-1","plan":"pro","start":"2026-01-01"}]"#;
    let more = CATALOG
        .replace("\"start\":\"2026-01-01\"}]", &format!("\"start\":\"2026-01-01\"}},{entry}"));
    assert_ne!(more, CATALOG);
    client.send(PUT, JSON, &more).expect(200, "\"subscriptions\":3");
    assert_eq!(client.totals("SUB-2", "")[0]["amount"], "0.01", "it had waited");
    client.usage(ONE, &new).expect(200, "duplicate");
    assert_eq!(client.totals("SUB-0", "")[0]["records"], 100, "what was rated stays");
    client.usage(LINES, &world::lines("a", 100)).expect(200, "duplicate");
    server.stop();
}

#[test]
fn a_catalog_that_cannot_be_leaves_the_one_before() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let mut client = server.connect();
    client.send(PUT, JSON, CATALOG).expect(200, "plans");
    client.usage(LINES, &world::lines("a", 10)).expect(200, "results");
    let totals = client.totals("SUB-0", "");
    let faulty = CATALOG
        .replace("\"USD\"", "\"usd\"")
        .replace("\"customer\":\"CUS-1\"", "\"customer\":\"CUS-7\"");
    let faults = client.send(PUT, JSON, &faulty).expect(422, "faults").json()["faults"].clone();
    let places: Vec<_> = faults.as_array().unwrap().iter().map(|one| &one["line"]).collect();
    assert_eq!(places, [3, 9], "{faults}");
    assert!(faults[0]["message"].as_str().unwrap().contains("did you mean \"USD\"?"));
    client.send(PUT, JSON, "nonsense").expect(422, "not valid JSON");
    for (from, to, words) in [
        ("0.01", "0.02", "immutable"),
        ("\"SUB-0\"", "\"SUB-9\"", "does not have"),
        (STARTS, "\"start\":\"2026-01-02\"", "does not have"),
    ] {
        client.send(PUT, JSON, &CATALOG.replace(from, to)).expect(409, words);
        assert_eq!(client.get("/v1/catalog").body, CATALOG);
        assert_eq!(client.totals("SUB-0", ""), totals);
        client.usage(ONE, &record("a-3", 3)).expect(200, "duplicate");
    }
    client.usage(ONE, &record("b", 3)).expect(200, "accepted");
    server.stop();
    let server = Server::start(&place, "");
    assert_eq!(server.connect().totals("SUB-0", "")[0]["records"], 11);
    server.stop();
}

/// A total that has lost all times that it kept was asked for its terms up to where its last record
/// might have been, and refused a version that begins behind the one that is left.
#[test]
fn a_version_may_begin_behind_the_last_record_that_stands() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let mut client = server.connect();
    client.send(PUT, JSON, CATALOG).expect(200, "plans");
    let used = |day: usize| format!("2026-01-{day:02}T00:00:00Z");
    for day in 2..=20 {
        let record = record_of(&format!("r{day}"), "SUB-0", &used(day), "20");
        client.usage(ONE, &record).expect(200, "accepted");
    }
    for day in 6..=20 {
        let cancel = format!(
            r#"{{"specversion":"1.0","id":"no-{day}","source":"gw","type":"usage.cancelled",
                "subject":"SUB-0","time":"{}","data":{{"of":{{"source":"gw","id":"r{day}"}}}}}}"#,
            used(21)
        );
        client.usage(ONE, &cancel).expect(200, "accepted");
    }
    let version = |from: &str| {
        let first = "\"plans\":[";
        let second = format!(
            r#"{first}{{"key":"pro","version":2,"effective_from":"{from}","currency":"USD",
                "charges":[{{"key":"api","meter":"calls",
                    "price":{{"model":"per_unit","unit_price":"0.02"}}}}]}},"#
        );
        CATALOG.replace(first, &second)
    };
    client.send(PUT, JSON, &version(&used(5))).expect(409, "takes effect before");
    client.send(PUT, JSON, &version(&used(6))).expect(200, "plans");
    server.stop();
}

#[test]
fn a_first_period_with_usage_is_not_cut_anew() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let mut client = server.connect();
    let later = CATALOG.replace(STARTS, "\"start\":\"2026-01-05\"");
    client.send(PUT, JSON, &later).expect(200, "plans");
    client.usage(ONE, &record("a", 20)).expect(200, "accepted");
    client.send(PUT, JSON, CATALOG).expect(409, "cannot be cut anew");
    server.stop();
}

/// What was rated in January stays as it was cut, whenever the rest of it comes.
#[test]
fn another_cycle_day_and_zone_hold_from_the_next_period_on() {
    let place = Workplace::new();
    let server = Server::start(&place, "[dedupe]\nwindow = \"4000d\"");
    let mut client = server.connect();
    client.send(PUT, JSON, CATALOG).expect(200, "plans");
    let used = |id: &str, time: &str| record_of(id, "SUB-0", time, "20");
    client.usage(ONE, &used("a", "2026-01-20T00:00:00Z")).expect(200, "accepted");
    let customer = "{\"id\":\"CUS-0\",\"bill_cycle_day\":15,\"time_zone\":\"America/New_York\"}";
    let changed = CATALOG.replace("{\"id\":\"CUS-0\"}", customer);
    assert_ne!(changed, CATALOG);
    client.send(PUT, JSON, &changed).expect(200, "plans");
    client.usage(ONE, &used("b", "2026-02-15T04:59:59Z")).expect(200, "accepted");
    server.kill();
    let server = Server::start(&place, "[dedupe]\nwindow = \"4000d\"");
    let mut client = server.connect();
    client.usage(ONE, &used("c", "2026-02-15T05:00:00Z")).expect(200, "accepted");
    client.usage(ONE, &used("d", "2026-01-31T23:59:59Z")).expect(200, "accepted");
    client.usage(ONE, &used("a", "2026-01-20T00:00:00Z")).expect(200, "duplicate");
    let cut = |client: &mut Client, period: &str| -> Vec<String> {
        let totals = client.totals("SUB-0", period);
        let fields = ["period_start", "period_end", "quantity", "amount"];
        let row = |total: &Value| fields.map(|name| total[name].as_str().unwrap_or("?")).join(" ");
        totals.iter().map(row).collect()
    };
    let january = "2026-01-01T00:00:00Z 2026-02-01T00:00:00Z 40 0.3";
    let rest = "2026-02-01T00:00:00Z 2026-02-15T05:00:00Z 20 0.1";
    let next = "2026-02-15T05:00:00Z 2026-03-15T04:00:00Z 20 0.1";
    assert_eq!(cut(&mut client, ""), [january, rest, next]);
    assert_eq!(cut(&mut client, "2026-01"), [january]);
    assert_eq!(cut(&mut client, "2026-02-01"), [rest]);
    assert_eq!(cut(&mut client, "2026-02-15"), [next]);
    let path = "/v1/subscriptions/SUB-0/charges/api/explanation?period=2026-02";
    let explained = client.get(path).expect(200, "agrees").json();
    let both = explained["explanations"].as_array().unwrap();
    assert!(both.len() == 2 && both.iter().all(|one| one["agrees"] == true), "{explained}");
    server.stop();
}

#[test]
fn a_catalog_from_a_file_is_not_changed_by_the_api() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    client.send(PUT, JSON, CATALOG).expect(409, "SIGHUP");
    assert_eq!(client.get("/v1/catalog").body, CATALOG);
    server.stop();
}

#[test]
fn a_catalog_from_a_file_is_read_again_at_a_signal() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    client.usage(LINES, &world::lines("a", 10)).expect(200, "results");
    let entry = r#"{"id":"SUB-2","customer":"CUS-1","plan":"pro","start":"2026-01-01"}]"#;
    let more = CATALOG
        .replace("\"start\":\"2026-01-01\"}]", &format!("\"start\":\"2026-01-01\"}},{entry}"));
    // Neither a faulty file nor one that contradicts what was rated is taken.
    for wrong in ["nonsense".to_owned(), CATALOG.replace("0.01", "0.02")] {
        place.write("catalog.json", wrong);
        server.signal("HUP");
    }
    place.write("catalog.json", &more);
    eventually("the new file is in force", || {
        server.signal("HUP");
        client.get("/v1/catalog").body == more
    });
    assert_eq!(client.totals("SUB-0", "")[0]["records"], 10);
    let new = record_of("n", "SUB-2", "2026-01-05T00:00:00Z", "11");
    client.usage(ONE, &new).expect(200, "accepted");
    assert_eq!(client.totals("SUB-2", "")[0]["records"], 1);
    server.stop();
}
