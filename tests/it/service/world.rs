//! A small catalog, and records of it.

use super::client::{Client, Reply};
use super::server::Server;
use crate::program::Workplace;

pub(crate) const ONE: &str = "application/cloudevents+json";
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";
pub(crate) const LINES: &str = "application/x-ndjson";

/// Two customers, one of them in Berlin; a call costs 0.01, ten of them are free.
pub(crate) const CATALOG: &str = r#"{
"meters":[{"key":"calls","event_type":"api.request","aggregation":"sum","value":"$.calls"}],
"plans":[{"key":"pro","version":1,"effective_from":"2025-12-01T00:00:00Z","currency":"USD",
"charges":[{"key":"api","meter":"calls","included":"10",
  "price":{"model":"per_unit","unit_price":"0.01"}}]}],
"customers":[{"id":"CUS-0"},{"id":"CUS-1","time_zone":"Europe/Berlin"}],
"subscriptions":[
  {"id":"SUB-0","customer":"CUS-0","plan":"pro","start":"2026-01-01"},
  {"id":"SUB-1","customer":"CUS-1","plan":"pro","start":"2026-01-01"}]}
"#;

/// A good record of January: its time is made from its number, and it counts 0.25 calls.
pub(crate) fn record(id: &str, number: usize) -> String {
    let (day, second) = (1 + number % 28, number % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let time = format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"gw","type":"api.request","#)
        + &format!(r#""subject":"SUB-0","time":"{time}","data":{{"calls":0.25}}}}"#)
}

/// A record of any subject, time and quantity.
pub(crate) fn record_of(id: &str, subject: &str, time: &str, calls: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"gw","type":"api.request","#)
        + &format!(r#""subject":"{subject}","time":"{time}","data":{{"calls":{calls}}}}}"#)
}

/// Lines of records whose ids begin with `name`.
pub(crate) fn lines(name: &str, count: usize) -> String {
    (0..count).map(|number| record(&format!("{name}-{number}"), number) + "\n").collect()
}

/// A service with the catalog in a file.
pub(crate) fn start(place: &Workplace, settings: &str) -> Server {
    place.write("catalog.json", CATALOG);
    let settings = format!("catalog = \"catalog.json\"\n{settings}");
    let server = Server::start(place, &settings);
    super::server::eventually("it is ready", || server.connect().get("/readyz").status == 200);
    server
}

impl Client {
    #[track_caller]
    pub(crate) fn usage(&mut self, media_type: &str, body: &str) -> Reply {
        self.send("POST /v1/usage", media_type, body)
    }

    /// The totals of a subscription.
    #[track_caller]
    pub(crate) fn totals(&mut self, subscription: &str, period: &str) -> Vec<serde_json::Value> {
        let query = if period.is_empty() { String::new() } else { format!("?period={period}") };
        let path = format!("/v1/subscriptions/{subscription}/totals{query}");
        let reply = self.get(&path).expect(200, "totals");
        reply.json()["totals"].as_array().unwrap().clone()
    }
}
