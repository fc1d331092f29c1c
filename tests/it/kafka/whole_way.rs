//! The whole way: usage in, rated usage and totals out, over a restart and a move.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::BATCH;
use std::collections::BTreeMap;

#[test]
fn what_goes_in_comes_out_once_and_right() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, "[state]\ndir = \"a\""));
    place.write("b.toml", names.settings(&broker.bootstrap, "[state]\ndir = \"b\""));
    let mut load = Load::default();
    let first = Instance::start(&place, "a.toml");
    load.send(&wire, &names, 3_000);
    first.catch_up(&wire, &names);
    // A total is asked of the partition that has it.
    let totals = first.client().totals("S7", "");
    assert!(!totals.is_empty());
    // With a second instance, partitions move; what moves is restored from the log.
    let second = Instance::start(&place, "b.toml");
    load.send(&wire, &names, 2_000);
    crate::service::eventually("partitions move", || {
        second.said().iter().any(|line| line.contains("live, with"))
    });
    load.send(&wire, &names, 500);
    first.stop();
    load.send(&wire, &names, 500);
    second.catch_up(&wire, &names);
    second.stop();
    load.check(&place, &wire, &names);
    // From nothing but the log, all is there again.
    place.write("c.toml", names.settings(&broker.bootstrap, "[state]\ndir = \"c\""));
    let third = Instance::start(&place, "c.toml");
    third.catch_up(&wire, &names);
    third.stop();
    load.check(&place, &wire, &names);
}

#[test]
fn usage_by_http_takes_the_same_way() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, ""));
    let server = Instance::start(&place, "a.toml");
    let record = |id: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"s\",\"type\":\"t\",\
             \"subject\":\"S3\",\"time\":\"2026-01-09T00:00:00Z\",\"data\":{{\"n\":2}}}}"
        )
    };
    let body = format!("[{},{},{{\"id\":\"bad\"}}]", record("a"), record("b"));
    let reply = server.client().usage(BATCH, &body);
    assert_eq!(reply.status, 207);
    assert_eq!(reply.verdicts(), ["accepted", "accepted", "not_a_cloud_event"]);
    let reply = server.client().usage(BATCH, &format!("[{}]", record("a")));
    assert_eq!(reply.status, 200, "a retry is accepted and counts once");
    server.catch_up(&wire, &names);
    let totals = server.client().totals("S3", "2026-01");
    let calls = totals.iter().find(|total| total["charge"] == "calls").unwrap();
    assert_eq!((&calls["records"], &calls["quantity"]), (&2.into(), &"4".into()));
    server.stop();
}

#[test]
fn periods_that_end_leave_closed_totals() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, "[periods]\nidle = \"100ms\""));
    let server = Instance::start(&place, "a.toml");
    let mut load = Load::default();
    load.send(&wire, &names, 300);
    server.catch_up(&wire, &names);
    let mut last = BTreeMap::new();
    // Fifty customers, two charges, and the ten months at least that have ended since.
    crate::service::eventually("totals are published", || {
        for total in wire.read_all(&names.topic("totals")) {
            let parsed: serde_json::Value = serde_json::from_str(&total.text).unwrap();
            last.insert(total.key, parsed);
        }
        last.len() >= 50 * 2 * 10
    });
    assert!(last.values().all(|total| total["status"] == "closed"));
    server.stop();
    load.check(&place, &wire, &names);
}
