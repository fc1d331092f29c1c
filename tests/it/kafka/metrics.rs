//! `/metrics` with Kafka: what is committed, what the store takes, what librdkafka tells.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::{eventually, promtool};

#[test]
fn everything_that_runs_tells_of_itself() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, ""));
    let server = Instance::start(&place, "a.toml");
    let mut load = Load::default();
    load.send(&wire, &names, 500);
    server.catch_up(&wire, &names);
    let garbage = i64::try_from(load.garbage).unwrap();
    assert_eq!(server.counted("code=\"malformed_json\""), garbage);
    assert_eq!(server.counted("usage_rater_rejected_total"), garbage);
    for name in [
        "usage_rater_store_memtable_bytes{partition=\"0\"}",
        "usage_rater_kafka_sent_bytes_total{client=\"producer\",partition=\"3\"}",
        "usage_rater_kafka_received_bytes_total{client=\"reader\",partition=\"0\"}",
        "usage_rater_kafka_received_bytes_total{client=\"member\",partition=\"\"}",
        "usage_rater_kafka_sent_bytes_total{client=\"deliverer\",partition=\"\"}",
        "usage_rater_kafka_rtt_seconds{broker=\"1\",client=\"producer\",partition=\"0\"}",
    ] {
        let line = |text: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        eventually(name, || {
            let text = server.client().get("/metrics").body;
            line(&text).is_some_and(|line| !line.ends_with(" 0"))
        });
    }
    assert_eq!(server.counted("usage_rater_stuck_calls"), 0);
    eventually("what was sent on is read", || {
        let text = server.client().get("/metrics").body;
        text.contains("usage_rater_forward_lag_records{partition=\"0\"} 0\n")
    });
    promtool(&server.client().get("/metrics").body);
    server.stop();
    // Kept in the state, so a restart and an instance that begins with nothing know them.
    place.write("b.toml", names.settings(&broker.bootstrap, "[state]\ndir = \"b\""));
    let server = Instance::start(&place, "b.toml");
    server.catch_up(&wire, &names);
    assert_eq!(server.counted("code=\"malformed_json\""), garbage);
    server.stop();
}
