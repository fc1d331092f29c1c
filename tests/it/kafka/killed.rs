//! `kill -9` of an instance under load, at every phase of its work.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use std::collections::BTreeMap;
use std::time::Duration;

/// Kills of a run; `KILLS` asks for more.
const KILLS: usize = 12;

/// What is waited for before each kill, in turn. The phase that was met is told afterwards.
const AIMS: [&str; 4] = ["open", "writing", "restoring", "committing"];

#[test]
fn killed_in_every_phase_it_loses_and_doubles_nothing() {
    let Some(broker) = Broker::shared() else { return };
    let kills = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, "[commit]\ninterval_ms = 40"));
    let mut load = Load::default();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..kills {
        let aim = AIMS[number % AIMS.len()];
        let server = Instance::start(&place, "a.toml");
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                for _ in 0..8 {
                    load.send(&wire, &names, 100);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
            let is_aim = |line: &str| line.contains(&format!("phase: {aim} "));
            server.await_phase(Duration::from_secs(6), is_aim);
            if number % 3 == 2 {
                std::thread::sleep(Duration::from_millis(u64::try_from(number * 13 % 40).unwrap()));
            }
            let phases = server.kill();
            tell(&format!("kill {number}, aimed at {aim}: {}", phases.join(" ")));
            for phase in phases {
                *met.entry(phase).or_default() += 1;
            }
            sending.join().unwrap();
        });
    }
    tell(&format!("partitions killed in each phase: {met:?}"));
    let server = Instance::start(&place, "a.toml");
    load.send(&wire, &names, 500);
    server.catch_up(&wire, &names);
    server.stop();
    load.check(&place, &wire, &names);
    assert!(met.contains_key("open") && met.contains_key("restoring"), "{met:?}");
}

#[expect(clippy::print_stderr, reason = "which phases were hit is worth knowing")]
fn tell(line: &str) {
    eprintln!("{line}");
}
