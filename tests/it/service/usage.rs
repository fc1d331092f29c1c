//! `POST /v1/usage`: a verdict for every record, in order, whatever else is in the body.

use super::server::Server;
use super::world::{self, BATCH, LINES, ONE, record, record_of};
use crate::program::Workplace;

#[test]
fn records_come_in_three_types_and_plain_json() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    let verdicts = |reply: super::client::Reply| reply.expect(200, "results").verdicts();
    assert_eq!(verdicts(client.usage(ONE, &record("a", 0))), ["accepted"]);
    let batch = format!(" [{},\n{}]", record("a", 0), record("b", 1));
    assert_eq!(verdicts(client.usage(BATCH, &batch)), ["duplicate", "accepted"]);
    let lines = format!("{}\r\n\n{}", record("c", 2), record("c", 2));
    assert_eq!(verdicts(client.usage(LINES, &lines)), ["accepted", "duplicate"]);
    let json = "application/json; charset=utf-8";
    assert_eq!(verdicts(client.usage(json, &record("d", 3))), ["accepted"]);
    assert_eq!(verdicts(client.usage(json, &batch)), ["duplicate", "duplicate"]);
    assert_eq!(verdicts(client.usage(BATCH, "[]")), Vec::<String>::new());
    let reply = client.usage(ONE, &record("d", 3));
    let result = &reply.json()["results"][0];
    assert_eq!((&result["id"], &result["source"]), (&"d".into(), &"gw".into()));
    assert!(result["code"].is_null() && result["reason"].is_null());
    let totals = client.totals("SUB-0", "2026-01");
    assert_eq!((&totals[0]["quantity"], &totals[0]["records"]), (&"1".into(), &4.into()));
    server.stop();
}

#[test]
fn a_bad_record_costs_itself_alone() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    let at = "2026-01-02T00:00:00Z";
    let batch = [
        record("a", 0),
        "{\"id\":\"x\" 7}".to_owned(),
        "17".to_owned(),
        record("b", 1).replace("\"time\"", "\"tmie\""),
        record_of("c", "SUB-0", "yesterday", "1"),
        record_of("d", "SUB-0", at, "\"much\""),
        record_of("e", "SUB-0", "2399-01-01T00:00:00Z", "1"),
        record_of("f", "SUB-9", at, "1"),
        record_of("g", "SUB-0", "2025-12-31T00:00:00Z", "1"),
        record("a", 5),
        record_of("h", "SUB-0", at, "12345678901234.000000001"),
    ];
    let wanted = [
        "accepted",
        "malformed_json",
        "not_a_cloud_event",
        "missing_field",
        "invalid_time",
        "invalid_quantity",
        "in_the_future",
        "unknown_subject",
        "no_active_plan",
        "conflict",
        "accepted",
    ];
    let reply = client.usage(BATCH, &format!("[{}]", batch.join(","))).expect(207, "results");
    assert_eq!(reply.verdicts(), wanted);
    let results = reply.json()["results"].clone();
    assert_eq!((&results[3]["id"], &results[3]["source"]), (&"b".into(), &"gw".into()));
    assert_eq!(results[1]["id"], serde_json::Value::Null);
    let reason = results[9]["reason"].as_str().unwrap();
    assert!(reason.contains("http line 1"), "the place of both: {reason}");
    // The quantity is the text of the record, to its last digit.
    let totals = client.totals("SUB-0", "2026-01");
    assert_eq!(totals[0]["quantity"], "12345678901234.250000001");
    let letters = client.get("/v1/rejected?limit=3").json()["rejected"].clone();
    let codes: Vec<_> = letters.as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["conflict", "no_active_plan", "unknown_subject"]);
    assert_eq!(letters[0]["record"], record("a", 5));
    assert_eq!(letters[0]["source"], serde_json::json!({"file": "http", "line": 10}));
    client.get("/v1/rejected?limit=0").expect(400, "from 1 to");
    client.get("/v1/rejected?limit=x").expect(400, "limit");
    server.stop();
}

#[test]
fn what_is_no_usage_is_refused_as_a_whole() {
    let place = Workplace::new();
    let server = world::start(&place, "[http]\nbody_bytes_max = 3000000\n");
    let mut client = server.connect();
    client.usage("text/plain", &record("a", 0)).expect(415, "application/x-ndjson");
    client.usage("", &record("a", 0)).expect(415, "Content-Type");
    client.usage(BATCH, &record("a", 0)).expect(400, "'[' was expected at byte 0");
    client.usage(BATCH, &format!("[{},]", record("a", 0))).expect(400, "an element is missing");
    client.usage(ONE, "").expect(400, "empty");
    client.usage("application/json", "7").expect(400, "neither");
    client.usage(LINES, &" ".repeat(3_000_001)).expect(413, "3000000 bytes");
    client.begin("POST /v1/usage", LINES, "transfer-encoding: chunked").unwrap();
    for _ in 0..4 {
        let chunk = format!("{:x}\r\n{}\r\n", 1_000_000, " ".repeat(1_000_000));
        client.write(chunk.as_bytes()).unwrap();
    }
    client.write(b"0\r\n\r\n").unwrap();
    client.reply().unwrap().expect(413, "3000000 bytes");
    let many = "1\n".repeat((1 << 17) + 1);
    server.connect().usage(LINES, &many).expect(413, "131072 records");
    client.begin("POST /v1/usage", LINES, "content-encoding: gzip\r\ncontent-length: 0").unwrap();
    client.reply().unwrap().expect(415, "Content-Encoding");
    // Too large for a record, not for a body: its dead letter has its beginning.
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(1 << 20));
    let reply = client.usage(LINES, &format!("{large}\n{}", record("a", 0))).expect(207, "results");
    assert_eq!(reply.verdicts(), ["too_large", "accepted"]);
    let letter = client.get("/v1/rejected").json()["rejected"][0].clone();
    assert_eq!((&letter["truncated"], &letter["record_bytes"]), (&true.into(), &1_048_585.into()));
    server.stop();
}

#[test]
fn a_restart_keeps_everything() {
    let place = Workplace::new();
    let settings = "catalog = \"catalog.json\"\n";
    let server = world::start(&place, "");
    let mut client = server.connect();
    client.usage(LINES, &(world::lines("a", 500) + "nonsense\n")).expect(207, "malformed_json");
    let (totals, letters) = (client.totals("SUB-0", ""), client.get("/v1/rejected").body);
    assert_eq!(totals[0]["records"], 500);
    server.stop();
    let server = Server::start(&place, settings);
    let mut client = server.connect();
    assert_eq!(client.totals("SUB-0", ""), totals);
    assert_eq!(client.get("/v1/rejected").body, letters);
    let again = client.usage(LINES, &world::lines("a", 500)).expect(200, "results");
    assert!(again.verdicts().iter().all(|verdict| verdict == "duplicate"));
    let conflict = client.usage(ONE, &record("a-7", 8)).expect(207, "http line 8");
    assert_eq!(conflict.verdicts(), ["conflict"]);
    // The numbers of lines go on, also over a restart.
    let letters = client.get("/v1/rejected").json()["rejected"].clone();
    let lines: Vec<_> =
        letters.as_array().unwrap().iter().map(|one| &one["source"]["line"]).collect();
    assert_eq!(lines, [1002, 501]);
    assert_eq!(client.totals("SUB-0", ""), totals);
    server.stop();
}
