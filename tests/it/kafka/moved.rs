//! Partitions that move: instances that join, leave, hang past their session and wake up again,
//! and a broker that dies in the middle of transactions.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, PARTITIONS, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;
use crate::simulation::dice::Dice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What an instance says when it has taken up a partition.
const LIVE: &str = "live, with";
/// The phase in which a transaction has begun, and nothing is known of its end.
const OPEN: &[&str] = &["open"];
/// How long an instance may take to be up to date once the broker answers again: a call that hangs
/// is given up after 13 s, a client that has forgotten all brokers says so within 10 s, and what
/// follows is a partition's restart, after a back-off of some seconds, or a rebalance.
const BACK: Duration = Duration::from_secs(45);
/// How long that is waited for.
const OPENED: Duration = Duration::from_secs(20);

fn start(place: &Workplace, names: &Names, broker: &Broker, name: &str) -> Instance {
    let settings = format!("[state]\ndir = \"{name}\"\n[commit]\ninterval_ms = 100");
    let config = format!("{name}.toml");
    place.write(&config, names.settings(&broker.bootstrap, &settings));
    Instance::start(place, &config)
}

/// Sends while `done` lasts, up to some seconds.
fn send_during<T>(load: &mut Load, (wire, names): (&Wire, &Names), done: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| load.send_until((wire, names), &is_over));
        let done = done();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

fn is_said(server: &Instance, from: usize, words: &str) -> bool {
    server.said()[from..].iter().any(|line| line.contains(words))
}

/// A transaction that is open when it is stopped cannot be committed when it wakes up: others have
/// its partitions, and have shut it out of them.
#[test]
fn an_instance_that_hangs_wakes_up_fenced() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let (mut load, mut dice) = (Load::default(), Dice::new(20_260_116));
    let sleeper = start(&place, &names, broker, "a");
    load.send(&wire, &names, 500);
    sleeper.catch_up(&wire, &names);
    let other = start(&place, &names, broker, "b");
    load.send(&wire, &names, 300);
    eventually("both hold partitions", || is_said(&other, 0, LIVE));
    let mut from = 0;
    for _ in 0..2 {
        eventually("it holds partitions", || is_said(&sleeper, from, LIVE));
        from = sleeper.said().len();
        let phases = send_during(&mut load, (&wire, &names), || {
            sleeper.stop_in((OPEN, from), OPENED, &mut dice)
        });
        assert!(phases.iter().any(|phase| OPEN.contains(&phase.as_str())), "{phases:?}");
        load.send(&wire, &names, 400);
        let lives = || other.counted("usage_rater_partition_live");
        eventually("the other one has them all", || lives() == i64::from(PARTITIONS));
        load.send(&wire, &names, 200);
        from = sleeper.said().len();
        sleeper.signal("CONT");
        eventually("it is fenced", || is_said(&sleeper, from, "fenced, so let go: "));
        load.send(&wire, &names, 300);
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
        send_during(&mut load, (&wire, &names), || {
            server.await_phase("committing");
            broker.kill();
            std::thread::sleep(Duration::from_millis(500));
            broker.restart();
        });
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

/// A broker that said nothing for longer than its controller waits for it was no broker of its
/// cluster for a moment. Clients that asked who is forgot it, and some never asked again: calls
/// hung, and members never came back to their group.
#[test]
fn a_broker_that_hangs_costs_no_more_than_seconds_once_it_answers() {
    let Some(broker) = Broker::dedicated() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let mut load = Load::default();
    let server = start(&place, &names, &broker, "a");
    for seconds in [12, 25] {
        send_during(&mut load, (&wire, &names), || server.await_phase("open"));
        broker.pause();
        std::thread::sleep(Duration::from_secs(seconds));
        broker.go_on();
        load.send(&wire, &names, 500);
        server.catch_up_within(BACK, &wire, &names);
    }
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
