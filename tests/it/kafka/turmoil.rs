//! Turmoil: two instances that join, leave, hang past their session, wake up and are killed, in no
//! order, and a broker that dies in the middle of a transaction.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, PARTITIONS, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;
use crate::simulation::dice::Dice;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What may befall them. A run has one of each in an order of its own, again and again, as often as
/// half of `KILLS` says, and once without it.
const HAPPENINGS: [Happening; 4] =
    [Happening::Hangs, Happening::BrokerDies, Happening::Killed, Happening::Leaves];
/// Longer than the session of a member, so that its partitions go to others.
const PAST_THE_SESSION: Duration = Duration::from_secs(8);
const NAMES: [&str; 2] = ["a", "b"];
/// Where a transaction has begun and the state does not have it yet.
const UNFINISHED: &[&str] = &["open", "committing", "writing"];
/// How long such a phase is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// One death of the broker in so many must meet such a phase.
const DEATHS_UNFINISHED: usize = 4;
/// Deaths of the broker beyond those asked for, until enough have.
const DEATHS_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Hangs,
    BrokerDies,
    Killed,
    Leaves,
}

struct World {
    broker: Broker,
    place: Workplace,
    names: Names,
    wire: Wire,
    load: Load,
    dice: Dice,
    instances: [Option<Instance>; 2],
    /// How often each has happened.
    met: BTreeMap<Happening, usize>,
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
        let (load, instances, met) = (Load::long(), [None, None], BTreeMap::new());
        Self { broker, place, names, wire, load, dice, instances, met, unfinished: 0 }
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
    fn happen(&mut self, what: Happening) -> String {
        let one = usize::try_from(self.dice.below(2)).unwrap();
        let name = NAMES[one];
        // One that was killed or has left joins.
        self.running(one);
        self.send();
        self.pause();
        *self.met.entry(what).or_default() += 1;
        match what {
            Happening::Hangs => {
                self.running(1 - one);
                self.hang(one);
                format!("{name} hangs past its session")
            }
            Happening::BrokerDies => {
                format!("the broker dies, {name}: {}", self.kill_broker(one).join(" "))
            }
            Happening::Killed => {
                let phases = self.instances[one].take().unwrap().kill();
                format!("{name} is killed: {}", phases.join(" "))
            }
            Happening::Leaves => {
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

    /// One of each, in some order.
    fn round(&mut self) -> [Happening; 4] {
        let mut round = HAPPENINGS;
        for last in (1..round.len()).rev() {
            let other = self.dice.below(u64::try_from(last + 1).unwrap());
            round.swap(last, usize::try_from(other).unwrap());
        }
        round
    }

    /// Lets the broker die again until enough of its deaths have met a transaction unfinished.
    fn kill_broker_unfinished(&mut self) {
        let wanted = self.met[&Happening::BrokerDies].div_ceil(DEATHS_UNFINISHED);
        for again in 0.. {
            if self.unfinished >= wanted {
                return;
            }
            let so_far = self.told();
            assert!(again < DEATHS_MAX, "{so_far}, which is not enough: {wanted} were to be");
            self.running(0);
            tell(&format!("the broker dies again: {}", self.kill_broker(0).join(" ")));
        }
    }

    fn told(&self) -> String {
        let [hangs, deaths, killed, leaves] =
            HAPPENINGS.map(|what| self.met.get(&what).copied().unwrap_or_default());
        format!(
            "hung past its session: {hangs}, killed: {killed}, left: {leaves}, deaths of the \
             broker: {deaths}, in the middle of a transaction: {}",
            self.unfinished
        )
    }

    /// Waits until one of them has partitions to lose. One that the group has shut out for a broker
    /// that was away may still show some: it has lost them before, and they are over when the calls
    /// that they wait in are.
    fn await_partitions(&mut self, one: usize) {
        let instance = self.running(one);
        eventually("it holds partitions", || {
            let is_live = instance.counted("usage_rater_partition_live") > 0;
            is_live && instance.client().get("/readyz").status == 200
        });
    }

    fn hang(&mut self, one: usize) {
        self.await_partitions(one);
        self.running(one).signal("STOP");
        self.send();
        std::thread::sleep(PAST_THE_SESSION);
        // The broker may be slow to find that out, where the machine is; before, nothing is lost.
        let other = self.running(1 - one);
        let lives = || other.counted("usage_rater_partition_live");
        eventually("the other one has them all", || lives() == i64::from(PARTITIONS));
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
    let kills = std::env::var("KILLS").ok().map(|kills| kills.parse::<usize>().unwrap());
    let seed = std::env::var("USAGE_RATER_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut world = World::new(broker, Dice::new(seed.unwrap_or(20_260_115)));
    let rounds = kills.map_or(1, |kills| (kills / 2).div_ceil(HAPPENINGS.len()).max(1));
    for number in 0..rounds {
        for what in world.round() {
            let what = world.happen(what);
            tell(&format!("{number}: {what}"));
        }
    }
    world.kill_broker_unfinished();
    tell(&world.told());
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
