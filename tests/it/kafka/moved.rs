//! Partitions that move: instances that join, leave, hang past their session and wake up again,
//! and a broker that dies in the middle of transactions.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;
use std::time::Duration;

fn start(place: &Workplace, names: &Names, broker: &Broker, name: &str) -> Instance {
    let settings = format!("[state]\ndir = \"{name}\"\n[commit]\ninterval_ms = 100");
    let config = format!("{name}.toml");
    place.write(&config, names.settings(&broker.bootstrap, &settings));
    Instance::start(place, &config)
}

/// Longer than the session of a member, so that its partitions go to others.
const PAST_THE_SESSION: Duration = Duration::from_secs(8);

#[test]
fn an_instance_that_hangs_wakes_up_fenced() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let mut load = Load::default();
    let sleeper = start(&place, &names, broker, "a");
    load.send(&wire, &names, 500);
    sleeper.catch_up(&wire, &names);
    let other = start(&place, &names, broker, "b");
    load.send(&wire, &names, 300);
    eventually("both hold partitions", || {
        other.said().iter().any(|line| line.contains("live, with"))
    });
    for _ in 0..2 {
        load.send(&wire, &names, 200);
        sleeper.signal("STOP");
        load.send(&wire, &names, 400);
        std::thread::sleep(PAST_THE_SESSION);
        load.send(&wire, &names, 200);
        sleeper.signal("CONT");
        load.send(&wire, &names, 300);
        std::thread::sleep(Duration::from_secs(2));
    }
    other.stop();
    load.send(&wire, &names, 200);
    sleeper.catch_up(&wire, &names);
    // Whoever holds a partition answers for it, with what is committed.
    assert!(!sleeper.client().totals("S7", "").is_empty());
    sleeper.stop();
    load.check(&place, &wire, &names);
}

#[test]
fn a_broker_that_dies_loses_nothing() {
    let Some(mut broker) = Broker::dedicated() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let mut load = Load::default();
    let server = start(&place, &names, &broker, "a");
    for _ in 0..3 {
        load.send(&wire, &names, 1_500);
        server.await_phase(Duration::from_secs(2), |line| line.contains("phase: committing "));
        broker.kill();
        std::thread::sleep(Duration::from_millis(500));
        broker.restart();
    }
    // One that says nothing for a while, which clients cannot tell from one that died.
    load.send(&wire, &names, 500);
    broker.pause();
    std::thread::sleep(Duration::from_secs(3));
    broker.go_on();
    load.send(&wire, &names, 500);
    server.catch_up(&wire, &names);
    server.stop();
    load.check(&place, &wire, &names);
}

#[test]
fn a_store_that_is_lost_or_damaged_is_made_anew() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let mut load = Load::default();
    let server = start(&place, &names, broker, "a");
    load.send(&wire, &names, 1_000);
    server.catch_up(&wire, &names);
    server.stop();
    // Of one partition the store is gone, of another a byte is flipped in every table file.
    std::fs::remove_dir_all(place.path("a/partition-0")).unwrap();
    for name in place.names("a/partition-1") {
        if name.ends_with(".sst") {
            let path = format!("a/partition-1/{name}");
            let mut bytes = place.read(&path);
            bytes[20] ^= 0x10;
            place.write(&path, bytes);
        }
    }
    load.send(&wire, &names, 500);
    let server = start(&place, &names, broker, "a");
    server.catch_up(&wire, &names);
    server.stop();
    load.check(&place, &wire, &names);
}
