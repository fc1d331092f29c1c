//! The world of a simulation: instances, what is assigned to whom, usage that comes in, and chance.
//!
//! Instances run production's own restore and rater, on model tables and a model broker. The world
//! decides who takes the next step, who dies, and what the group says; the raters do not know.

use super::cluster::{Cluster, Faults, Log};
use super::dice::Dice;
use super::model_broker::{Defect, ModelBroker};
use super::model_snapshots::{ModelSnapshots, Shelf, Whose};
use super::model_tables::{Disk, Disks, ModelTables, Rows};
use super::usage::Usage;
use aggregator::{Layout, Routing, Seeds, Store};
use rating::{Catalog, Instant};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use usage_rater::stream::InForce;
use usage_rater::stream::murmur2::partition_of;
use usage_rater::stream::rater::{Rater, Rules, Setup, Tick};
use usage_rater::stream::restore::{Restore, Restored};
use usage_rater::stream::stop::Stop;

pub(super) const PARTITIONS: u32 = 3;
const INSTANCES: usize = 2;
/// 2026-01-10, in the middle of a billing period.
const START: i128 = 1_768_003_200_000_000_000;
const MILLI: i128 = 1_000_000;

/// A partition at an instance.
enum Life {
    Restoring(Box<Restore<ModelBroker>>),
    Live(Box<Rater<ModelBroker>>),
}

/// Everything there is.
pub(super) struct World {
    pub(super) cluster: Rc<RefCell<Cluster>>,
    pub(super) usage: Usage,
    pub(super) dice: Dice,
    catalog: Arc<Catalog>,
    disks: Disks,
    shelves: Vec<Rc<RefCell<Shelf>>>,
    /// Of which snapshot a store was made, until it is live.
    made_of: BTreeMap<(usize, u32), String>,
    refused: BTreeMap<(usize, u32), BTreeSet<String>>,
    lives: BTreeMap<(usize, u32), Life>,
    /// Whom the group has assigned a partition to.
    owners: Vec<usize>,
    outside: Vec<Rc<Cell<u64>>>,
    defect: Defect,
    elapsed: Duration,
}

/// What the world wants to be told of the end.
#[derive(Debug)]
pub(super) enum Broken {
    /// A rater stopped for a reason that no fault explains.
    Stopped(String),
    /// It did not come to rest.
    NeverDone,
}

impl World {
    pub(super) fn new(seed: u64, defect: Defect, catalog: Arc<Catalog>) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults {
            lost_answer: 12 + u32::try_from(dice.below(40)).unwrap(),
            delayed: 12 + u32::try_from(dice.below(40)).unwrap(),
            refused: 60 + u32::try_from(dice.below(400)).unwrap(),
        };
        let mut cluster = Cluster::new(Dice::new(seed ^ 0xC1), faults, START);
        cluster.does_not_fence = defect == Defect::NoFencing;
        Self {
            cluster: Rc::new(RefCell::new(cluster)),
            usage: Usage::new(Dice::new(seed ^ 0x05)),
            dice,
            catalog,
            disks: Disks::default(),
            shelves: (0..PARTITIONS).map(|_| Rc::default()).collect(),
            made_of: BTreeMap::new(),
            refused: BTreeMap::new(),
            lives: BTreeMap::new(),
            owners: vec![0; PARTITIONS as usize],
            outside: (0..PARTITIONS).map(|_| Rc::default()).collect(),
            defect,
            elapsed: Duration::ZERO,
        }
    }

    fn tick(&self) -> Tick {
        let now = Instant::from_nanos(self.cluster.borrow().now);
        Tick { now, elapsed: self.elapsed }
    }

    /// Lets one thing happen.
    pub(super) fn step(&mut self) -> Result<(), Broken> {
        let millis = self.dice.below(40);
        self.elapsed += Duration::from_millis(millis);
        self.cluster.borrow_mut().now += i128::from(millis) * MILLI;
        match self.dice.below(100) {
            0..30 => self.produce(),
            30..32 => self.kill(),
            32..34 => self.move_partition(),
            34 => self.lose_store(),
            36..40 => self.cluster.borrow_mut().catch_up(),
            40..42 => self.swap_stores(),
            _ => return self.work(),
        }
        Ok(())
    }

    fn produce(&mut self) {
        for _ in 0..=self.dice.below(3) {
            let (owner, record) = self.usage.next();
            let right = partition_of(owner.as_bytes(), PARTITIONS);
            // Some producers put their records elsewhere.
            let elsewhere = self.dice.one_in(8);
            let partition = if elsewhere { (right + 1) % PARTITIONS } else { right };
            let mut cluster = self.cluster.borrow_mut();
            if elsewhere {
                cluster.hit("misrouted record");
            }
            cluster.produce(partition, owner.as_bytes(), record.as_bytes());
        }
    }

    fn hit(&self, what: &'static str) {
        self.cluster.borrow_mut().hit(what);
    }

    /// Kill -9 of an instance: nothing is flushed, nothing is told.
    fn kill(&mut self) {
        let instance = usize::try_from(self.dice.below(INSTANCES as u64)).unwrap();
        let dead: Vec<_> = self.lives.keys().filter(|(at, _)| *at == instance).copied().collect();
        for key in dead {
            let life = self.lives.remove(&key);
            self.hit(match life {
                Some(Life::Restoring(_)) => "killed while restoring",
                _ => "killed while live",
            });
            self.disk(key).lock().unwrap().crash();
            self.forget(key);
        }
    }

    /// Nobody remembers what the store of an instance was made of.
    fn forget(&mut self, key: (usize, u32)) {
        self.made_of.remove(&key);
        self.refused.remove(&key);
    }

    /// The group assigns a partition to another instance; the one before does not know yet.
    fn move_partition(&mut self) {
        let partition = self.dice.below(u64::from(PARTITIONS));
        let owner = &mut self.owners[usize::try_from(partition).unwrap()];
        *owner = (*owner + 1) % INSTANCES;
        self.hit("partition moved");
    }

    fn any_disk(&mut self) -> (usize, u32) {
        let instance = usize::try_from(self.dice.below(INSTANCES as u64)).unwrap();
        (instance, u32::try_from(self.dice.below(u64::from(PARTITIONS))).unwrap())
    }

    fn disk(&self, key: (usize, u32)) -> Arc<Mutex<Disk>> {
        Arc::clone(self.disks.borrow_mut().entry(key).or_default())
    }

    fn lose_store(&mut self) {
        let key = self.any_disk();
        self.lives.remove(&key);
        self.disks.borrow_mut().remove(&key);
        self.forget(key);
        self.hit("store lost");
    }

    /// Somebody puts the store of one instance in the place of the other's: older or newer.
    fn swap_stores(&mut self) {
        let (_, partition) = self.any_disk();
        for instance in 0..INSTANCES {
            if self.lives.remove(&(instance, partition)).is_some() {
                self.disk((instance, partition)).lock().unwrap().crash();
            }
            self.forget((instance, partition));
        }
        let (a, b) = (self.disk((0, partition)), self.disk((1, partition)));
        let mut disks = self.disks.borrow_mut();
        disks.insert((0, partition), b);
        disks.insert((1, partition), a);
        drop(disks);
        self.hit("store of another time");
    }

    /// An instance works on one of its partitions: one that is its own, or that it still holds.
    fn work(&mut self) -> Result<(), Broken> {
        let (instance, partition) = self.any_disk();
        let key = (instance, partition);
        let is_owner = self.owners[partition as usize] == instance;
        match self.lives.remove(&key) {
            None if is_owner => self.begin(key),
            None => Ok(()),
            Some(life) if !is_owner && self.dice.one_in(3) => {
                self.let_go(key, life);
                Ok(())
            }
            Some(life) => {
                if !is_owner {
                    self.hit("zombie worked");
                }
                self.go_on(key, life)
            }
        }
    }

    fn begin(&mut self, key: (usize, u32)) -> Result<(), Broken> {
        let (_, partition) = key;
        let mut store = self.open(key);
        // As production does: what no group was written to is as good as no store.
        if store.as_ref().is_ok_and(|store| store.log_position().unwrap().is_none())
            && let Some((name, rows)) = self.snapshot_for(key)
        {
            self.disks.borrow_mut().insert(key, Arc::new(Mutex::new(Disk::of(rows))));
            self.made_of.insert(key, name);
            self.hit("made of a snapshot");
            store = self.open(key);
        }
        let snapshot = self.made_of.get(&key).cloned();
        let outside = Rc::clone(&self.outside[partition as usize]);
        let broker = ModelBroker::new(&self.cluster, partition, (self.defect, outside));
        let begun = store.map_err(Stop::from).and_then(|store| Restore::begin(broker, store));
        match begun {
            Ok(restore) => {
                let restore = match snapshot {
                    Some(name) => restore.made_of(name),
                    None => restore,
                };
                self.lives.insert(key, Life::Restoring(Box::new(restore)));
                Ok(())
            }
            Err(stop) => self.stopped(key, stop),
        }
    }

    fn open(&mut self, key: (usize, u32)) -> Result<Store, aggregator::Error> {
        let tables = ModelTables(self.disk(key));
        let seeds = Seeds { identity: [7; 16], content: self.dice.next() };
        let layout = Layout { partitions: PARTITIONS, is_replica: true };
        Store::of(Box::new(tables), "model".to_owned(), seeds, layout)
    }

    fn snapshot_for(&mut self, key: (usize, u32)) -> Option<(String, Rows)> {
        let shelf = Rc::clone(&self.shelves[key.1 as usize]);
        let shelf = shelf.borrow();
        shelf.newest(self.refused.entry(key).or_default())
    }

    fn snapshots(&mut self, (instance, partition): (usize, u32), epoch: u64) -> ModelSnapshots {
        let disk = self.disk((instance, partition));
        let shelf = Rc::clone(&self.shelves[partition as usize]);
        let chance = (Dice::new(self.dice.next()), self.defect == Defect::EarlyTrim);
        ModelSnapshots::new(&self.cluster, Whose { partition, epoch, disk }, shelf, chance)
    }

    fn go_on(&mut self, key: (usize, u32), life: Life) -> Result<(), Broken> {
        let tick = self.tick();
        let next = match life {
            Life::Restoring(restore) => match restore.step(Duration::ZERO) {
                Ok(Restored::NotYet(restore)) => Ok(Life::Restoring(Box::new(restore))),
                Ok(Restored::Done(restore)) => {
                    let catalog = Arc::clone(&self.catalog);
                    let catalog = InForce { catalog, position: None, is_known: true };
                    let snapshots = self.snapshots(key, restore.epoch());
                    self.forget(key);
                    restore.finish(catalog, setup(key.1), tick).and_then(|mut rater| {
                        rater.take_snapshots(Box::new(snapshots))?;
                        Ok(Life::Live(Box::new(rater)))
                    })
                }
                Err(stop) => Err(stop),
            },
            Life::Live(mut rater) => {
                let stepped = rater.step(tick, Duration::ZERO);
                if self.dice.one_in(6) {
                    rater.partition().store().flush().unwrap();
                    self.hit("flushed");
                }
                stepped.map(|_| Life::Live(rater))
            }
        };
        match next {
            Ok(life) => {
                self.lives.insert(key, life);
                Ok(())
            }
            Err(stop) => self.stopped(key, stop),
        }
    }

    fn let_go(&mut self, key: (usize, u32), life: Life) {
        if let Life::Live(rater) = life {
            self.hit("let go");
            // A zombie is fenced here, which changes nothing.
            _ = rater.stop(self.tick());
        }
        self.disk(key).lock().unwrap().crash();
    }

    /// What a supervisor does about it: another try, from nothing if the store is no good.
    fn stopped(&mut self, key: (usize, u32), stop: Stop) -> Result<(), Broken> {
        self.disk(key).lock().unwrap().crash();
        match stop {
            Stop::Fenced(_) => self.hit("stopped, fenced"),
            Stop::Broker(_) => self.hit("stopped by the broker"),
            Stop::Store(_) => {
                self.hit("store made anew");
                self.disks.borrow_mut().remove(&key);
                if let Some(name) = self.made_of.remove(&key) {
                    self.hit("snapshot refused");
                    self.refused.entry(key).or_default().insert(name);
                }
            }
            Stop::Lost(reason) | Stop::Failed(reason) | Stop::Unfit(reason) => {
                return Err(Broken::Stopped(reason));
            }
        }
        Ok(())
    }

    /// Lets everything come to rest, without further faults.
    pub(super) fn finish(&mut self) -> Result<(), Broken> {
        let quiet = Faults { lost_answer: 0, delayed: 0, refused: 0 };
        self.cluster.borrow_mut().faults = quiet;
        self.cluster.borrow_mut().catch_up();
        // Several snapshots in a row may be of no use, and each try to restore takes some rounds.
        let mut calm = 0;
        for _ in 0..400 {
            self.elapsed += Duration::from_secs(1);
            self.cluster.borrow_mut().now += 1_000 * MILLI;
            for partition in 0..PARTITIONS {
                for instance in 0..INSTANCES {
                    let key = (instance, partition);
                    let is_owner = self.owners[partition as usize] == instance;
                    match self.lives.remove(&key) {
                        None if is_owner => self.begin(key)?,
                        None => {}
                        Some(life) if is_owner => self.go_on(key, life)?,
                        Some(life) => self.let_go(key, life),
                    }
                }
            }
            let live = self.lives.values().filter(|life| matches!(life, Life::Live(_))).count();
            calm = if live == PARTITIONS as usize { calm + 1 } else { 0 };
            if calm == 40 {
                return Ok(());
            }
        }
        Err(Broken::NeverDone)
    }

    /// The raters that are live at the end.
    pub(super) fn raters(&self) -> impl Iterator<Item = (u32, &Rater<ModelBroker>)> {
        self.lives.iter().filter_map(|((_, partition), life)| match life {
            Life::Live(rater) => Some((*partition, &**rater)),
            Life::Restoring(_) => None,
        })
    }

    /// The committed payloads of a log.
    pub(super) fn committed(&self, log: Log) -> Vec<String> {
        let cluster = self.cluster.borrow();
        let all = cluster.all(log);
        all.iter().map(|(_, entry)| String::from_utf8(entry.payload.clone()).unwrap()).collect()
    }
}

fn setup(partition: u32) -> Setup {
    let second = Duration::from_secs(1);
    Setup {
        partition,
        routing: Routing {
            own: partition,
            home: Arc::new(|owner| partition_of(owner.as_bytes(), PARTITIONS)),
        },
        raw_topic: "raw".to_owned(),
        forward_topic: "forward".to_owned(),
        rejected_bytes_max: 1_000_000,
        rules: Rules {
            commit_interval: Duration::from_millis(100),
            future_tolerance: second * 3_600,
            dedupe_window: second * 86_400 * 40,
            grace: second * 3_600,
            idle: second * 5,
            waiting_bytes: 1 << 20,
            waiting_age: second * 86_400,
        },
    }
}
