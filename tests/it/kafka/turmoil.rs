//! Turmoil: two instances that join, leave, hang past their session, wake up and are killed, in no
//! order, and a broker that dies in the middle of a transaction.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::simulation::dice::Dice;
use std::time::Duration;

/// What befalls them in a run, one of each; with `KILLS`, half as many as that says.
const HAPPENINGS: u64 = 4;
/// Longer than the session of a member, so that its partitions go to others.
const PAST_THE_SESSION: Duration = Duration::from_secs(8);
const NAMES: [&str; 2] = ["a", "b"];

struct World {
    broker: Broker,
    place: Workplace,
    names: Names,
    wire: Wire,
    load: Load,
    dice: Dice,
    instances: [Option<Instance>; 2],
}

impl World {
    fn new(broker: Broker, dice: Dice) -> Self {
        let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
        place.write("catalog.json", catalog());
        for name in NAMES {
            let further = format!("[state]\ndir = \"{name}\"\n[commit]\ninterval_ms = 100");
            place.write(&format!("{name}.toml"), names.settings(&broker.bootstrap, &further));
        }
        let (load, instances) = (Load::long(), [None, None]);
        Self { broker, place, names, wire, load, dice, instances }
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
            1 => {
                self.send();
                self.running(one).await_phase(Duration::from_secs(3), |line| {
                    line.contains("phase: open ") || line.contains("phase: committing ")
                });
                self.broker.kill();
                let phases = self.running(one).phases();
                self.pause();
                self.broker.restart();
                format!("the broker dies, {name}: {}", phases.join(" "))
            }
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

    fn hang(&mut self, one: usize) {
        self.running(one).signal("STOP");
        self.send();
        std::thread::sleep(PAST_THE_SESSION);
        self.send();
        self.running(one).signal("CONT");
        self.send();
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
