//! What comes too early waits, durably; what comes too late is refused or revises; and every total
//! can be explained.

use super::server::Server;
use super::world::{self, CATALOG, LINES, ONE, record_of};
use crate::program::Workplace;

const PATIENT: &str = "[periods]\ngrace = \"99999h\"\n";

fn correction(id: &str, kind: &str, data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"gw","type":"usage.{kind}","#)
        + &format!(r#""subject":"SUB-0","time":"2026-02-03T00:00:00Z","data":{data}}}"#)
}

#[test]
fn an_unknown_subject_waits_over_a_kill_and_is_rated_once() {
    let place = Workplace::new();
    let server = world::start(&place, PATIENT);
    let mut client = server.connect();
    let early = record_of("early", "SUB-9", "2026-01-05T00:00:00Z", "14");
    let other = record_of("other", "SUB-0", "2026-01-05T00:00:00Z", "1");
    client.usage(LINES, &format!("{early}\n{other}\n{early}\n")).expect(200, "duplicate");
    let conflict = record_of("early", "SUB-9", "2026-01-05T00:00:00Z", "15");
    client.usage(ONE, &conflict).expect(207, "conflict");
    assert!(client.get("/metrics").body.contains("usage_rater_records_waiting{partition=\"0\"} 1"));
    server.kill();
    let entry = r#"{"id":"SUB-9","customer":"CUS-0","plan":"pro","start":"2026-01-01"}]"#;
    let more = CATALOG
        .replace("\"start\":\"2026-01-01\"}]", &format!("\"start\":\"2026-01-01\"}},{entry}"));
    place.write("catalog.json", &more);
    let server = Server::start(&place, &format!("catalog = \"catalog.json\"\n{PATIENT}"));
    super::server::eventually("it is ready", || server.connect().get("/readyz").status == 200);
    let mut client = server.connect();
    let totals = client.totals("SUB-9", "2026-01");
    assert_eq!((&totals[0]["records"], &totals[0]["amount"]), (&1.into(), &"0.04".into()));
    client.usage(ONE, &early).expect(200, "duplicate");
    let metrics = client.get("/metrics").body;
    assert!(metrics.contains("usage_rater_records_waiting{partition=\"0\"} 0"), "{metrics}");
    server.stop();
}

#[test]
fn nothing_waits_beyond_the_bound() {
    let place = Workplace::new();
    let server = world::start(&place, "[waiting]\nbytes_max = 800\n");
    let mut client = server.connect();
    let unknown = |id| record_of(id, "SUB-9", "2026-01-05T00:00:00Z", "1");
    client.usage(ONE, &unknown("a")).expect(200, "accepted");
    client.usage(ONE, &unknown("b")).expect(200, "accepted");
    client.usage(ONE, &unknown("c")).expect(207, "no more records can wait");
    server.stop();
}

#[test]
fn usage_older_than_the_window_is_late() {
    let place = Workplace::new();
    let server = world::start(&place, "[dedupe]\nwindow = \"1d\"\n");
    let mut client = server.connect();
    let old = record_of("a", "SUB-0", "2026-01-05T00:00:00Z", "1");
    client.usage(ONE, &old).expect(207, "late_closed");
    server.stop();
}

#[test]
fn late_usage_and_corrections_revise_a_closed_total_that_explains_itself() {
    let place = Workplace::new();
    let server = world::start(&place, PATIENT);
    let mut client = server.connect();
    let cancel = correction("no-b", "cancelled", r#"{"of":{"source":"gw","id":"b"}}"#);
    client.usage(ONE, &cancel).expect(200, "accepted");
    client
        .usage(ONE, &record_of("a", "SUB-0", "2026-01-05T00:00:00Z", "20"))
        .expect(200, "accepted");
    let until = r#"{"until":"2026-02-01T00:00:00Z"}"#;
    client.send("POST /v1/periods/close", "application/json", until).expect(200, "2026-02-01");
    client
        .usage(ONE, &record_of("b", "SUB-0", "2026-01-06T00:00:00Z", "7"))
        .expect(200, "accepted");
    client
        .usage(ONE, &record_of("c", "SUB-0", "2026-01-07T00:00:00Z", "5"))
        .expect(200, "accepted");
    let put_right = r#"{"of":{"source":"gw","id":"a"},"replacement":{"calls":"12"}}"#;
    client.usage(ONE, &correction("a2", "amended", put_right)).expect(200, "accepted");
    let total = &client.totals("SUB-0", "2026-01")[0];
    let found = ["status", "quantity", "amount", "records", "revision"].map(|name| &total[name]);
    let found = found.map(ToString::to_string);
    assert_eq!(found, ["\"closed\"", "\"17\"", "\"0.07\"", "2", "3"]);
    let path = "/v1/subscriptions/SUB-0/charges/api/explanation";
    let explained = client.get(&format!("{path}?period=2026-01")).expect(200, "agrees").json();
    let explained = &explained["explanations"][0];
    assert_eq!(explained["agrees"], true, "{explained}");
    let ids: Vec<&str> = explained["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "c"]);
    client.get(path).expect(400, "name the period");
    client.get(&format!("{path}?period=2031-01")).expect(404, "no total");
    server.stop();
}
