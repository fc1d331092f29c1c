//! The world of a simulation: instances, usage that comes in, time, and chance.
//!
//! Instances run production's own restore and rater, on model tables and a model broker, by
//! production's own assignment. The world decides who takes the next step, who dies, hangs and
//! wakes, and when days pass; the raters do not know.

use super::catalogs::{self, Catalogs};
use super::cluster::{Cluster, Faults, Log};
use super::dice::Dice;
use super::group::Group;
use super::instance::{Instance, Life, Process, WAITING_DAYS, Wanted, Worker, setup};
use super::model_broker::{Defect, ModelBroker};
use super::stores::{Key, MadeOf, Stores};
use super::usage::{DAY, HOUR, MONTHS, Usage};
use rating::Instant;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use usage_rater::stream::murmur2::partition_of;
use usage_rater::stream::rater::{Rater, Tick};
use usage_rater::stream::restore::{Restore, Restored};
use usage_rater::stream::stop::Stop;

pub(super) const PARTITIONS: u32 = 3;
const INSTANCES: usize = 3;
/// 2026-01-10, in the middle of a billing period.
const START: i128 = 1_768_003_200_000_000_000;
const MILLI: i128 = 1_000_000;
/// The rounds that everything may take to come to rest.
const ROUNDS_MAX: usize = 600;

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
        match self.dice.below(1_000) {
            0..260 => self.produce(),
            260..274 => self.kill(),
            274..286 => self.hang(),
            286..294 => self.leave(),
            294..300 => self.lose_store(),
            300..306 => self.swap_stores(),
            306..340 => self.cluster.borrow_mut().catch_up(),
            340..350 => self.trim(),
            350..360 => self.publish(),
            360..500 => self.leap(),
            _ => {
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
        let right = partition_of(key.as_bytes(), PARTITIONS);
        // Some producers put their records elsewhere.
        let elsewhere = self.dice.one_in(8);
        let partition = if elsewhere { (right + 1) % PARTITIONS } else { right };
        let mut cluster = self.cluster.borrow_mut();
        if elsewhere {
            cluster.hit("misrouted record");
        }
        cluster.send_loose(Log::Raw(partition), key.as_bytes(), record.as_bytes());
    }

    /// Kill -9 of an instance: nothing is flushed, nothing is told.
    fn kill(&mut self) {
        let instance = self.any_instance();
        self.kill_one(instance);
    }

    fn kill_one(&mut self, instance: usize) {
        let Some(process) = self.instances[instance].process.take() else { return };
        for worker in process.workers.values() {
            self.hit(match worker.life {
                Life::Restoring(_) => "killed while restoring",
                Life::Live(_) => "killed while live",
            });
        }
        for partition in 0..PARTITIONS {
            let key = (instance, partition);
            self.stores.disk(key).lock().unwrap().crash();
            self.stores.forget(key);
        }
    }

    /// A process is stopped, and goes on later, perhaps long after its session.
    fn hang(&mut self) {
        let instance = self.any_instance();
        let until = self.elapsed() + Duration::from_millis(self.dice.below(20_000));
        self.instances[instance].hangs_until = until;
        self.instances[instance].is_dazed = true;
    }

    /// An instance is told to end: it lets go of everything and leaves the group.
    fn leave(&mut self) {
        let instance = self.any_instance();
        if let Some(process) = &mut self.instances[instance].process {
            process.is_ending = true;
        }
    }

    /// A process dies, and one of its stores with it.
    fn lose_store(&mut self) {
        let key = (self.any_instance(), self.any_partition());
        self.kill_one(key.0);
        self.stores.lose(key);
        self.hit("store lost");
    }

    /// While two are down, the store of one is put in the place of the other's: older or newer.
    fn swap_stores(&mut self) {
        let (one, partition) = (self.any_instance(), self.any_partition());
        let other = (one + 1) % INSTANCES;
        self.kill_one(one);
        self.kill_one(other);
        self.stores.swap((one, partition), (other, partition));
        self.hit("store of another time");
    }

    /// The broker deletes usage that has been read; some of it, as segments have it.
    fn trim(&mut self) {
        let partition = self.any_partition();
        let kept = self.dice.below(20);
        let mut cluster = self.cluster.borrow_mut();
        for log in [Log::Raw(partition), Log::Forward(partition)] {
            let read = cluster.offset_of(log).unwrap_or_default();
            let is_too_early = self.defect == Defect::RawTrimmedTooEarly;
            let before = if is_too_early { cluster.end_of(log) } else { read.saturating_sub(kept) };
            cluster.trim(log, before);
        }
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
        let instance = &mut self.instances[number];
        if elapsed < instance.hangs_until {
            return Ok(());
        }
        let is_dazed = std::mem::take(&mut instance.is_dazed);
        let Some(process) = &mut instance.process else {
            if self.dice.one_in(4) {
                self.start(number);
            }
            return Ok(());
        };
        let mut cluster = self.cluster.borrow_mut();
        if is_dazed && process.is_dropped(&cluster.group) {
            cluster.hit("woke after its session");
        }
        if !is_dazed && !self.dice.one_in(4) {
            process.hear(&mut cluster.group, elapsed);
        }
        drop(cluster);
        if self.dice.one_in(8) {
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

    fn process(&mut self, number: usize) -> &mut Process {
        self.instances[number].process.as_mut().unwrap()
    }

    fn begin(&mut self, key: Key) -> Result<(), Broken> {
        let (number, partition) = key;
        let store = self.stores.open(key, self.dice.next());
        let snapshot = self.stores.snapshot_of(key);
        if snapshot.is_some() {
            self.hit("made of a snapshot");
        }
        let outside = Rc::clone(&self.outside[partition as usize]);
        let dice = Dice::new(self.dice.next());
        let member = (Rc::clone(&self.process(number).vouch), self.has_witness, dice);
        let broker = ModelBroker::new(&self.cluster, partition, member, (self.defect, outside));
        let epoch = broker.epoch();
        let begun = store.map_err(Stop::from).and_then(|store| Restore::begin(broker, store));
        let begun = begun.map(|restore| match snapshot {
            Some(name) => restore.made_of(name),
            None => restore,
        });
        let begun = begun.map(|restore| Some(Life::Restoring(Box::new(restore))));
        self.put_back(key, (epoch, false), begun)
    }

    /// A worker goes on with its partition, which may be another's by now.
    fn work(&mut self, key: Key) -> Result<(), Broken> {
        let (number, partition) = key;
        let Some(worker) = self.process(number).workers.remove(&partition) else { return Ok(()) };
        let owner = self.cluster.borrow().group.owner(partition);
        if owner != Some(number) {
            self.hit("zombie worked");
        }
        let Worker { life, epoch, newer, is_to_stop } = worker;
        let next = match life {
            // It takes the catalog from the board when it is done.
            Life::Restoring(_) if is_to_stop => {
                self.hit("let go while restoring");
                Ok(None)
            }
            Life::Restoring(restore) => self.restore_on(number, partition, *restore).map(Some),
            Life::Live(mut rater) => {
                let rated = self.rate_on(&mut rater);
                let taken = rated.and_then(|()| match newer {
                    Some(newer) => rater.set_catalog(newer, self.tick()),
                    None => Ok(Ok(())),
                });
                match taken {
                    Ok(Err(reason)) => return Err(Broken::Stopped(reason)),
                    Ok(Ok(())) if is_to_stop => {
                        self.hit("let go");
                        rater.stop(self.tick()).map(|()| None)
                    }
                    Ok(Ok(())) => Ok(Some(Life::Live(rater))),
                    Err(stop) => Err(stop),
                }
            }
        };
        self.put_back(key, (epoch, is_to_stop), next)
    }

    /// A worker goes on, or has ended.
    fn put_back(
        &mut self,
        key: Key,
        (epoch, is_to_stop): (Rc<Cell<u64>>, bool),
        next: Result<Option<Life>, Stop>,
    ) -> Result<(), Broken> {
        let (number, partition) = key;
        let ended = match next {
            Ok(Some(life)) => {
                let worker = Worker { life, epoch, newer: None, is_to_stop: false };
                self.process(number).workers.insert(partition, worker);
                return Ok(());
            }
            // As production's worker does: it makes another store, and begins again.
            Err(Stop::Store(_)) if self.refuse(key) => {
                return if is_to_stop { self.ended(key, true, Ok(())) } else { self.begin(key) };
            }
            Ok(None) => Ok(()),
            Err(stop) => Err(stop),
        };
        let is_current = self.cluster.borrow().is_current(partition, epoch.get());
        self.ended(key, is_current, ended)
    }

    /// Whether there may be another store than one that is no good.
    fn refuse(&mut self, key: Key) -> bool {
        let refused = self.stores.refuse(key);
        self.hit(match refused {
            MadeOf::Itself => "store made anew",
            MadeOf::Snapshot(_) => "snapshot refused",
            MadeOf::Nothing => "log of no use",
        });
        refused != MadeOf::Nothing
    }

    fn restore_on(
        &mut self,
        number: usize,
        partition: u32,
        restore: Restore<ModelBroker>,
    ) -> Result<Life, Stop> {
        let tick = self.tick();
        let board = self.process(number).board.clone();
        match restore.step(Duration::ZERO)? {
            Restored::NotYet(restore) => Ok(Life::Restoring(Box::new(restore))),
            Restored::Done(restore)
                if self.defect != Defect::StaleCatalog && !restore.may_go_on_with(&board)? =>
            {
                self.hit(if board.is_known { "newer catalog awaited" } else { "catalog awaited" });
                Ok(Life::Restoring(Box::new(restore)))
            }
            Restored::Done(restore) => {
                let (key, epoch) = ((number, partition), restore.epoch());
                let dice = Dice::new(self.dice.next());
                let snapshots = self.stores.snapshots(&self.cluster, key, epoch, dice);
                let mut rater = restore.finish(board, setup(partition), tick)?;
                rater.take_snapshots(Box::new(snapshots))?;
                self.stores.forget(key);
                Ok(Life::Live(Box::new(rater)))
            }
        }
    }

    fn rate_on(&mut self, rater: &mut Rater<ModelBroker>) -> Result<(), Stop> {
        let stepped = rater.step(self.tick(), Duration::ZERO);
        if self.dice.one_in(6) {
            rater.partition().store().flush().unwrap();
            self.hit("flushed");
        }
        stepped.map(|_| ())
    }

    /// A worker has ended.
    fn ended(&mut self, key: Key, is_current: bool, ended: Result<(), Stop>) -> Result<(), Broken> {
        self.stores.forget(key);
        let disk = self.stores.disk(key);
        let mut disk = disk.lock().unwrap();
        // A database that is closed may write what it has.
        if self.dice.one_in(2) {
            disk.crash();
        } else {
            disk.flush();
        }
        drop(disk);
        match &ended {
            Ok(()) => {}
            Err(Stop::Fenced(_)) => self.hit("stopped, fenced"),
            Err(Stop::Broker(_)) => self.hit("stopped by the broker"),
            Err(Stop::Store(_)) => self.hit("stopped by its store"),
            // What it was to read, another has read meanwhile, and let it be trimmed.
            Err(Stop::Lost(_)) if !is_current => self.hit("zombie left behind"),
            Err(Stop::Lost(reason) | Stop::Failed(reason)) => {
                return Err(Broken::Stopped(reason.clone()));
            }
        }
        self.process(key.0).ended(key.1, ended);
        Ok(())
    }

    /// Lets everything come to rest, without further faults.
    pub(super) fn finish(&mut self) -> Result<(), Broken> {
        self.cluster.borrow_mut().faults = Faults { lost_answer: 0, delayed: 0, refused: 0 };
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

    /// Every instance does everything once.
    fn round(&mut self) -> Result<(), Broken> {
        self.pass(1_000);
        self.cluster.borrow_mut().catch_up();
        for number in 0..INSTANCES {
            let elapsed = self.elapsed();
            self.instances[number].hangs_until = Duration::ZERO;
            let Some(process) = &mut self.instances[number].process else {
                self.start(number);
                continue;
            };
            process.hear(&mut self.cluster.borrow_mut().group, elapsed);
            process.read_catalog(&self.catalogs, self.published);
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
        is_read && self.is_calm() && self.raters().count() == PARTITIONS as usize
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
