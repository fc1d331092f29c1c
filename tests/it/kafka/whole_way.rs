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

/// What was refused by HTTP was counted nowhere, and its bytes were gone.
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
    // What is refused is a dead letter as anything else that is, but not what no topic takes.
    let large = format!("{{\"id\":\"large\",\"data\":\"{}\"}}", "x".repeat(1_300_000));
    let reply = server.client().usage(BATCH, &format!("[{large},{}]", record("c")));
    assert_eq!(reply.verdicts(), ["too_large", "accepted"]);
    server.catch_up(&wire, &names);
    let letters = wire.read_all(&names.topic("rejected"));
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter: serde_json::Value = serde_json::from_str(&letters[0].text).unwrap();
    assert_eq!(letter["code"], "not_a_cloud_event");
    assert_eq!(letter["record"], "{\"id\":\"bad\"}");
    assert_eq!(letter["source"]["topic"], names.topic("raw"));
    // What is refused belongs to nobody, so it has no key, and neither has its letter.
    let raw = wire.read_all(&names.topic("raw"));
    let keys_of = |id: &str| {
        let of = raw.iter().filter(|record| record.text.contains(&format!("\"id\":\"{id}\"")));
        of.map(|record| record.key.as_deref()).collect::<Vec<_>>()
    };
    assert_eq!(keys_of("bad"), [None]);
    assert_eq!(letters[0].key, None);
    assert_eq!(keys_of("large"), [None::<&str>; 0]);
    assert_eq!(keys_of("a"), [Some("C3"); 2]);
    server.client().get("/v1/rejected").expect(501, &names.topic("rejected"));
    server.stop();
    place.succeed("verify --config a.toml");
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
