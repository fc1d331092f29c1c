//! The world of a simulation: instances, usage that comes in, time, and chance.
//!
//! Instances run production's own restore and rater, on model tables and a model broker, by
//! production's own assignment. The world decides who takes the next step, who dies, hangs and
//! wakes, and when days pass; the raters do not know.

mod disasters;
mod mood;
mod work;

use super::catalogs::{self, Catalogs};
use super::cluster::{Cluster, Faults, Log};
use super::dice::Dice;
use super::group::Group;
use super::instance::{Instance, Life, Process, WAITING_DAYS, Wanted};
use super::model_broker::{Defect, ModelBroker};
use super::stores::Stores;
use super::usage::{DAY, HOUR, MONTHS, Usage};
use mood::{Happening, Mood};
use rating::Instant;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use usage_rater::stream::Partitioner;
use usage_rater::stream::rater::{Rater, Tick};

pub(super) const PARTITIONS: u32 = 3;
const INSTANCES: usize = 3;
/// 2026-01-10, in the middle of a billing period.
const START: i128 = 1_768_003_200_000_000_000;
const MILLI: i128 = 1_000_000;
/// The rounds that everything may take to come to rest.
const ROUNDS_MAX: usize = 600;
/// Steps after which the mood changes, on average.
const MOOD_STEPS: u32 = 50;

/// Everything there is.
pub(super) struct World {
    pub(super) cluster: Rc<RefCell<Cluster>>,
    pub(super) usage: Usage,
    dice: Dice,
    catalogs: Catalogs,
    /// How many catalogs the topic holds.
    published: usize,
    stores: Stores,
    instances: Vec<Instance>,
    /// Whether members have names of their own.
    is_static: bool,
    has_witness: bool,
    outside: Vec<Rc<Cell<u64>>>,
    defect: Defect,
    mood: Mood,
    /// Those of the broker in a storm.
    faults: Faults,
}

/// What the world wants to be told of the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// A rater stopped for a reason that no fault explains.
    Stopped(String),
    /// It did not come to rest.
    NeverDone,
}

impl World {
    pub(super) fn new(seed: u64, defect: Defect, catalogs: Catalogs) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults {
            lost_answer: 12 + u32::try_from(dice.below(40)).unwrap(),
            delayed: 12 + u32::try_from(dice.below(40)).unwrap(),
            refused: 60 + u32::try_from(dice.below(400)).unwrap(),
        };
        let began = (START, Group::new(PARTITIONS));
        let mut cluster = Cluster::new(Dice::new(seed ^ 0xC1), faults, began);
        cluster.unchecked = defect.unchecked();
        Self {
            cluster: Rc::new(RefCell::new(cluster)),
            usage: Usage::new(Dice::new(seed ^ 0x05)),
            catalogs,
            published: 1,
            stores: Stores::new(defect),
            instances: (0..INSTANCES).map(|_| Instance::default()).collect(),
            is_static: dice.one_in(2),
            has_witness: dice.one_in(2),
            outside: (0..PARTITIONS).map(|_| Rc::default()).collect(),
            defect,
            mood: Mood::Storm,
            faults,
            dice,
        }
    }

    pub(super) fn now(&self) -> i128 {
        self.cluster.borrow().now
    }

    fn elapsed(&self) -> Duration {
        self.cluster.borrow().elapsed
    }

    fn tick(&self) -> Tick {
        Tick { now: Instant::from_nanos(self.now()), elapsed: self.elapsed() }
    }

    fn hit(&self, what: &'static str) {
        self.cluster.borrow_mut().hit(what);
    }

    fn any_instance(&mut self) -> usize {
        usize::try_from(self.dice.below(INSTANCES as u64)).unwrap()
    }

    fn any_partition(&mut self) -> u32 {
        u32::try_from(self.dice.below(u64::from(PARTITIONS))).unwrap()
    }

    fn pass(&self, millis: u64) {
        let mut cluster = self.cluster.borrow_mut();
        cluster.elapsed += Duration::from_millis(millis);
        cluster.now += i128::from(millis) * MILLI;
        let elapsed = cluster.elapsed;
        cluster.group.drop_silent(elapsed);
    }

    /// Lets one thing happen.
    pub(super) fn step(&mut self) -> Result<(), Broken> {
        let millis = self.dice.below(400);
        self.pass(millis);
        if self.dice.one_in(MOOD_STEPS) {
            self.mood = Mood::any(&mut self.dice);
            self.cluster.borrow_mut().faults = self.mood.faults(self.faults);
        }
        match self.mood.happening(&mut self.dice) {
            Happening::Produce => self.produce(),
            Happening::Kill => self.kill(),
            Happening::Hang => self.hang(),
            Happening::Leave => self.leave(),
            Happening::LoseStore => self.lose_store(),
            Happening::SwapStores => self.swap_stores(),
            Happening::CatchUp => self.cluster.borrow_mut().catch_up(),
            Happening::Trim => self.trim(),
            Happening::Publish => self.publish(),
            Happening::Leap => self.leap(),
            Happening::Round => return self.round(),
            Happening::Act => {
                let instance = self.any_instance();
                return self.act(instance);
            }
        }
        Ok(())
    }

    fn produce(&mut self) {
        // Some customers come into the catalog after their first usage.
        let customers = catalogs::customers(self.published + 1);
        for _ in 0..=self.dice.below(3) {
            let record = self.usage.next(self.now(), customers);
            self.append(&record);
        }
    }

    fn append(&mut self, (key, record): &(String, String)) {
        let right = Partitioner::Murmur2.partition_of(key.as_bytes(), PARTITIONS);
        // Some producers put their records elsewhere.
        let elsewhere = self.dice.one_in(8);
        let partition = if elsewhere { (right + 1) % PARTITIONS } else { right };
        let mut cluster = self.cluster.borrow_mut();
        if elsewhere {
            cluster.hit("misrouted record");
        }
        cluster.send_loose(Log::Raw(partition), key.as_bytes(), record.as_bytes());
    }

    fn publish(&mut self) {
        if self.published < catalogs::count() {
            self.published += 1;
            self.hit("catalog published");
        }
    }

    /// Days pass, unless somebody is behind: whatever comes of that would depend on who it was.
    fn leap(&mut self) {
        if self.now() + 2 * DAY > MONTHS[5] || !self.is_calm() {
            return;
        }
        while let Some(record) = self.usage.next_owed() {
            self.append(&record);
        }
        let is_awaited = self.usage.customers > catalogs::customers(self.published);
        if is_awaited || catalogs::is_due(self.published, self.now() + 2 * DAY) {
            return self.publish();
        }
        let hours = 12 + self.dice.below(36);
        self.cluster.borrow_mut().now += i128::from(hours) * HOUR;
        self.hit("days passed");
    }

    /// Whether every partition is live at its owner, by the newest catalog and durably so, and has
    /// read all but the latest records.
    fn is_calm(&self) -> bool {
        let cluster = self.cluster.borrow();
        let newest = catalogs::position(self.published);
        let since = cluster.now - DAY;
        (0..PARTITIONS).all(|partition| {
            let owner = cluster.group.owner(partition).map(|owner| &self.instances[owner]);
            let Some(Life::Live(rater)) = owner.and_then(|owner| owner.life(partition)) else {
                return false;
            };
            let is_read = [Log::Raw(partition), Log::Forward(partition)]
                .into_iter()
                .all(|log| cluster.unread_since(log).is_none_or(|unread| unread >= since));
            is_read && rater.partition().store().catalog_position().unwrap() == newest
        })
    }

    /// An instance does something: it starts, supervises, reads the catalog, or works.
    fn act(&mut self, number: usize) -> Result<(), Broken> {
        let elapsed = self.elapsed();
        let instance = &self.instances[number];
        if elapsed < instance.hangs_until {
            return Ok(());
        }
        if instance.process.is_none() {
            if self.dice.one_in(4) {
                self.start(number);
            }
            return Ok(());
        }
        if !self.dice.one_in(4) {
            self.hear(number);
        }
        let Some(process) = &mut self.instances[number].process else { return Ok(()) };
        // What comes later is often heard of only when others rate by it already.
        if self.dice.one_in(if process.board.is_known { 30 } else { 8 }) {
            process.read_catalog(&self.catalogs, self.published);
        }
        if self.dice.one_in(3) {
            self.supervise(number)?;
        }
        let Some(process) = &self.instances[number].process else { return Ok(()) };
        let at = usize::try_from(self.dice.below(process.workers.len() as u64)).unwrap();
        match process.workers.keys().nth(at).copied() {
            Some(partition) => self.work((number, partition)),
            None => Ok(()),
        }
    }

    /// The heartbeat of a process, unless it has just been woken: it does not know what it missed.
    fn hear(&mut self, number: usize) {
        let instance = &mut self.instances[number];
        let is_dazed = std::mem::take(&mut instance.is_dazed);
        let Some(process) = &mut instance.process else { return };
        let mut cluster = self.cluster.borrow_mut();
        let elapsed = cluster.elapsed;
        if !is_dazed {
            process.hear(&mut cluster.group, elapsed);
        } else if process.is_dropped(&cluster.group) {
            cluster.hit("woke after its session");
        }
    }

    fn start(&mut self, number: usize) {
        let mut process = Process::new((number, self.is_static), &self.catalogs);
        let elapsed = self.elapsed();
        process.hear(&mut self.cluster.borrow_mut().group, elapsed);
        self.instances[number].process = Some(process);
    }

    fn supervise(&mut self, number: usize) -> Result<(), Broken> {
        let elapsed = self.elapsed();
        let Some(process) = &mut self.instances[number].process else { return Ok(()) };
        let wanted = process.supervise(&mut self.cluster.borrow_mut().group, elapsed);
        match wanted {
            Wanted::Start(partitions) => {
                partitions.into_iter().try_for_each(|partition| self.begin((number, partition)))
            }
            Wanted::End => {
                self.hit("left in order");
                self.instances[number].process = None;
                Ok(())
            }
        }
    }

    /// Lets everything come to rest, without further faults.
    pub(super) fn finish(&mut self) -> Result<(), Broken> {
        self.cluster.borrow_mut().faults = Faults::NONE;
        for instance in &mut self.instances {
            instance.hangs_until = Duration::ZERO;
        }
        self.published = catalogs::count();
        while let Some(record) = self.usage.next_owed() {
            self.append(&record);
        }
        self.rest(Self::is_done)?;
        // What waits in vain is given up, and the clock alone closes what has ended.
        let days = i128::from(WAITING_DAYS) + 1;
        self.cluster.borrow_mut().now += days * DAY;
        while MONTHS.iter().any(|month| (*month..*month + 3 * HOUR).contains(&self.now())) {
            self.cluster.borrow_mut().now += HOUR;
        }
        let leapt = self.now();
        self.rest(|world| {
            let caught_up =
                |rater: &Rater<ModelBroker>| rater.partition().watermark().nanos() >= leapt;
            world.is_done() && world.raters().all(|(_, rater)| caught_up(rater))
        })
    }

    /// Goes on in rounds until something holds, and a few more.
    fn rest(&mut self, holds: impl Fn(&Self) -> bool) -> Result<(), Broken> {
        let mut held = 0;
        for _ in 0..ROUNDS_MAX {
            self.round()?;
            held = if holds(self) { held + 1 } else { 0 };
            if held == 4 {
                return Ok(());
            }
        }
        Err(Broken::NeverDone)
    }

    /// Every instance that does not hang does everything once; the catalog it may read later.
    fn round(&mut self) -> Result<(), Broken> {
        self.pass(1_000);
        self.cluster.borrow_mut().catch_up();
        for number in 0..INSTANCES {
            if self.elapsed() < self.instances[number].hangs_until {
                continue;
            }
            self.hear(number);
            let Some(process) = &mut self.instances[number].process else {
                self.start(number);
                continue;
            };
            if self.dice.one_in(2) {
                process.read_catalog(&self.catalogs, self.published);
            }
            for partition in 0..PARTITIONS {
                self.work((number, partition))?;
            }
            self.supervise(number)?;
        }
        Ok(())
    }

    /// Whether nothing is left to be done.
    fn is_done(&self) -> bool {
        let cluster = self.cluster.borrow();
        let logs = (0..PARTITIONS).flat_map(|own| [Log::Raw(own), Log::Forward(own)]);
        let is_read = logs.into_iter().all(|log| cluster.unread_since(log).is_none());
        let is_said = self.raters().all(|(_, rater)| !rater.partition().is_finding_due());
        is_read && is_said && self.is_calm() && self.raters().count() == PARTITIONS as usize
    }

    /// The raters that are live.
    pub(super) fn raters(&self) -> impl Iterator<Item = (u32, &Rater<ModelBroker>)> {
        let processes = self.instances.iter().filter_map(|instance| instance.process.as_ref());
        let workers = processes.flat_map(|process| &process.workers);
        workers.filter_map(|(partition, worker)| match &worker.life {
            Life::Live(rater) => Some((*partition, &**rater)),
            Life::Restoring(_) => None,
        })
    }

    /// How many customers the catalog has.
    pub(super) fn customers(&self) -> u64 {
        catalogs::customers(self.published)
    }

    /// The committed payloads of a log.
    pub(super) fn committed(&self, log: Log) -> Vec<String> {
        self.committed_with_keys(log).into_iter().map(|(_, payload)| payload).collect()
    }

    /// The committed keys and payloads of a log.
    pub(super) fn committed_with_keys(&self, log: Log) -> Vec<(String, String)> {
        let cluster = self.cluster.borrow();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let all = cluster.all(log);
        all.iter().map(|(_, entry)| (text(&entry.key), text(&entry.payload))).collect()
    }
}
