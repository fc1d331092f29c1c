//! Turmoil: two instances that join, leave, hang past their session, wake up and are killed, in no
//! order, and a broker that dies in the middle of a transaction.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;
use crate::simulation::dice::Dice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What befalls them in a run, one of each; with `KILLS`, half as many as that says.
const HAPPENINGS: u64 = 4;
/// Longer than the session of a member, so that its partitions go to others.
const PAST_THE_SESSION: Duration = Duration::from_secs(8);
const NAMES: [&str; 2] = ["a", "b"];
/// The happening of which the broker dies.
const BROKER_DIES: u64 = 1;
/// Where a transaction has begun and the state does not have it yet.
const UNFINISHED: &[&str] = &["open", "committing", "writing"];
/// How long such a phase is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Deaths of the broker beyond those asked for, until one has met such a phase.
const DEATHS_MAX: usize = 8;

struct World {
    broker: Broker,
    place: Workplace,
    names: Names,
    wire: Wire,
    load: Load,
    dice: Dice,
    instances: [Option<Instance>; 2],
    /// How often the broker died with a transaction unfinished.
    unfinished: usize,
}

impl World {
    fn new(broker: Broker, dice: Dice) -> Self {
        let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
        place.write("catalog.json", catalog());
        for name in NAMES {
            let further = format!("[state]\ndir = \"{name}\"\n[commit]\ninterval_ms = 100");
            place.write(&format!("{name}.toml"), names.settings(&broker.bootstrap, &further));
        }
        let (load, instances, unfinished) = (Load::long(), [None, None], 0);
        Self { broker, place, names, wire, load, dice, instances, unfinished }
    }

    fn send(&mut self) {
        let count = 50 + usize::try_from(self.dice.below(400)).unwrap();
        self.load.send(&self.wire, &self.names, count);
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.dice.below(500)));
    }

    /// One of them, which runs.
    fn running(&mut self, one: usize) -> &Instance {
        let start = || Instance::start(&self.place, &format!("{}.toml", NAMES[one]));
        self.instances[one].get_or_insert_with(start)
    }

    /// Lets something happen; says what.
    fn happen(&mut self, number: u64) -> String {
        let one = usize::try_from(self.dice.below(2)).unwrap();
        let name = NAMES[one];
        // One that was killed or has left joins.
        self.running(one);
        self.send();
        self.pause();
        // First one of each.
        let what = if number < HAPPENINGS { number } else { self.dice.below(HAPPENINGS) };
        match what {
            0 => {
                self.running(1 - one);
                self.hang(one);
                format!("{name} hangs past its session")
            }
            BROKER_DIES => format!("the broker dies, {name}: {}", self.kill_broker(one).join(" ")),
            2 => {
                let phases = self.instances[one].take().unwrap().kill();
                format!("{name} is killed: {}", phases.join(" "))
            }
            _ => {
                self.instances[one].take().unwrap().stop();
                format!("{name} leaves")
            }
        }
    }

    /// The broker dies while one of them, if it can be, is in the middle of a transaction. Says in
    /// which phase each of its partitions was.
    fn kill_broker(&mut self, one: usize) -> Vec<String> {
        self.await_partitions(one);
        let Self { broker, names, wire, load, dice, instances, .. } = self;
        let instance = instances[one].as_ref().unwrap();
        let (is_over, before) = (AtomicBool::new(false), instance.said().len());
        let phases = std::thread::scope(|scope| {
            scope.spawn(|| load.send_until((&*wire, &*names), &is_over));
            let phases = instance.stop_in((UNFINISHED, before), PATIENCE, dice);
            is_over.store(true, Ordering::Relaxed);
            phases
        });
        // Standing still, it is where it was when the broker dies.
        broker.kill();
        instance.signal("CONT");
        let is_unfinished = phases.iter().any(|phase| UNFINISHED.contains(&phase.as_str()));
        self.unfinished += usize::from(is_unfinished);
        self.pause();
        self.broker.restart();
        phases
    }

    /// Waits until one of them has partitions to lose.
    fn await_partitions(&mut self, one: usize) {
        let instance = self.running(one);
        eventually("it holds partitions", || instance.counted("usage_rater_partition_live") > 0);
    }

    fn hang(&mut self, one: usize) {
        self.await_partitions(one);
        self.running(one).signal("STOP");
        self.send();
        std::thread::sleep(PAST_THE_SESSION);
        self.send();
        let before = self.running(one).said().len();
        self.running(one).signal("CONT");
        self.send();
        let instance = self.running(one);
        eventually("it learns that others have its partitions", || {
            instance.said()[before..].iter().any(|line| {
                let is_lost = line.contains("lost: partitions [") && !line.contains("[]");
                is_lost || line.contains("fenced, so let go: ")
            })
        });
    }
}

#[test]
fn whoever_comes_goes_hangs_or_dies_nothing_is_lost_or_doubled() {
    let Some(broker) = Broker::dedicated() else { return };
    let kills = std::env::var("KILLS").ok().map(|kills| kills.parse::<u64>().unwrap());
    let seed = std::env::var("USAGE_RATER_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut world = World::new(broker, Dice::new(seed.unwrap_or(20_260_115)));
    for number in 0..kills.map_or(HAPPENINGS, |kills| kills / 2) {
        let what = world.happen(number);
        tell(&format!("{number}: {what}"));
    }
    for again in 0.. {
        if world.unfinished > 0 {
            break;
        }
        assert!(again < DEATHS_MAX, "the broker never died in the middle of a transaction");
        world.running(0);
        tell(&format!("the broker dies again: {}", world.kill_broker(0).join(" ")));
    }
    // In the end one holds all.
    world.send();
    world.running(0);
    if let Some(other) = world.instances[1].take() {
        other.stop();
    }
    let last = world.instances[0].take().unwrap();
    last.catch_up(&world.wire, &world.names);
    last.stop();
    world.load.check(&world.place, &world.wire, &world.names);
    world.load.check_recomputed(&world.place, &world.wire, &world.names);
}

#[expect(clippy::print_stderr, reason = "what befell them is worth knowing")]
fn tell(line: &str) {
    eprintln!("{line}");
}
