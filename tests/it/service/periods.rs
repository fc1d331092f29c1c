//! Periods: how they are asked for, and how they close.

use super::server::eventually;
use super::world::{self, BATCH, ONE, record_of};
use crate::program::Workplace;

const CLOSE: &str = "POST /v1/periods/close";
const JSON: &str = "application/json";

/// The service's own clock closes nothing within a test.
const PATIENT: &str = "[periods]\ngrace = \"99999h\"\n";

#[test]
fn periods_are_asked_for_by_the_customers_calendar() {
    let place = Workplace::new();
    let server = world::start(&place, PATIENT);
    let mut client = server.connect();
    let batch = [
        record_of("a", "SUB-1", "2025-12-31T23:00:00Z", "1"),
        record_of("b", "SUB-1", "2026-01-31T22:59:59.999999999Z", "2"),
        record_of("c", "SUB-1", "2026-01-31T23:00:00Z", "4"),
    ];
    client.usage(BATCH, &format!("[{}]", batch.join(","))).expect(200, "results");
    let mut quantities = |period: &str| -> Vec<String> {
        let totals = client.totals("SUB-1", period);
        totals.iter().map(|total| total["quantity"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(quantities(""), ["3", "4"]);
    assert_eq!(quantities("2026-01"), ["3"]);
    assert_eq!(quantities("2026-02"), ["4"]);
    assert_eq!(quantities("2025-12"), [""; 0]);
    assert_eq!(quantities("2026-01-01"), ["3"]);
    assert_eq!(quantities("2026-01-31T23:00:00Z"), ["4"]);
    for wrong in ["2026", "2026-13", "January"] {
        let path = format!("/v1/subscriptions/SUB-1/totals?period={wrong}");
        client.get(&path).expect(400, "is no month, day or instant");
    }
    client.get("/v1/subscriptions/CUS-1/totals").expect(404, "CUS-1");
    client.get("/v1/subscriptions/%C3%A9%2F/totals").expect(404, "é/");
    server.stop();
}

#[test]
fn periods_close_by_hand() {
    let place = Workplace::new();
    let server = world::start(&place, PATIENT);
    let mut client = server.connect();
    client
        .usage(ONE, &record_of("a", "SUB-0", "2026-01-05T00:00:00Z", "20"))
        .expect(200, "accepted");
    let until = r#"{"until":"2026-02-01T00:00:00Z"}"#;
    for _ in 0..2 {
        client.send(CLOSE, JSON, until).expect(200, "2026-02-01T00:00:00Z");
        let totals = client.totals("SUB-0", "");
        assert_eq!((&totals[0]["status"], &totals[0]["amount"]), (&"closed".into(), &"0.1".into()));
        // Used or not, and in Berlin February has begun an hour before.
        let unused = client.totals("SUB-1", "2026-01");
        assert_eq!((&unused[0]["status"], &unused[0]["records"]), (&"closed".into(), &0.into()));
    }
    client.send(CLOSE, JSON, "{}").expect(400, "until");
    client.send(CLOSE, JSON, "{\"until\":\"soon\"}").expect(400, "soon");
    client.send(CLOSE, JSON, "{\"until\":\"2926-01-01T00:00:00Z\"}").expect(422, "days ahead");
    server.stop();
}

/// Without usage the clock closes; so do periods that ended while nobody was looking.
#[test]
fn periods_close_by_themselves_a_grace_after_their_end() {
    let place = Workplace::new();
    let server = world::start(&place, "[periods]\ngrace = \"1h\"\nidle = \"300ms\"\n");
    let mut client = server.connect();
    eventually("January closes", || {
        let totals = client.totals("SUB-0", "2026-01");
        totals.first().is_some_and(|total| total["status"] == "closed")
    });
    server.stop();
}

/// As long as usage comes, it is its own clock: what is a grace behind it may still come.
#[test]
fn periods_close_when_the_watermark_has_passed_them() {
    let place = Workplace::new();
    let server = world::start(&place, "[periods]\ngrace = \"1h\"\nidle = \"99999h\"\n");
    let mut client = server.connect();
    let mut status_after = |id: &str, time: &str| -> String {
        client.usage(ONE, &record_of(id, "SUB-0", time, "1")).expect(200, "accepted");
        std::thread::sleep(std::time::Duration::from_millis(2_500));
        client.totals("SUB-0", "2026-01")[0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status_after("a", "2026-01-20T00:00:00Z"), "open");
    assert_eq!(status_after("b", "2026-02-01T00:59:59Z"), "open");
    assert_eq!(status_after("c", "2026-02-01T01:00:00Z"), "closed");
    server.stop();
}
