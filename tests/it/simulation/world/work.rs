//! Work: what an instance does with the partitions that it has, as production's worker does it.

use super::{Broken, World};
use crate::simulation::dice::Dice;
use crate::simulation::instance::{Life, Process, Worker, setup};
use crate::simulation::model_broker::{Defect, ModelBroker};
use crate::simulation::stores::{Key, MadeOf};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use usage_rater::stream::rater::Rater;
use usage_rater::stream::restore::{Restore, Restored};
use usage_rater::stream::stop::Stop;

/// Steps of a rater after which a catalog is tried on it, on average.
const TRY_STEPS: u32 = 12;

impl World {
    /// The process of an instance that runs.
    fn process(&mut self, number: usize) -> &mut Process {
        self.instances[number].process.as_mut().unwrap()
    }

    pub(super) fn begin(&mut self, key: Key) -> Result<(), Broken> {
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
    pub(super) fn work(&mut self, key: Key) -> Result<(), Broken> {
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
                let tried = rated.and_then(|()| self.try_catalog(&mut rater));
                let taken = tried.and_then(|tried| match (tried, newer) {
                    (Ok(()), Some(newer)) => rater.set_catalog(newer, self.tick()),
                    (tried, _) => Ok(tried),
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
        if rater.partition().is_finding_due() {
            self.hit("closed total without its times");
        }
        let stepped = rater.step(self.tick(), Duration::ZERO);
        if self.dice.one_in(6) {
            rater.partition().store().flush().unwrap();
            self.hit("flushed");
        }
        stepped.map(|_| ())
    }

    /// Now and then somebody asks whether another catalog would fit, which changes nothing. Gives
    /// what is wrong with the answer.
    fn try_catalog(&mut self, rater: &mut Rater<ModelBroker>) -> Result<Result<(), String>, Stop> {
        if !self.dice.one_in(TRY_STEPS) {
            return Ok(Ok(()));
        }
        let tick = self.tick();
        if self.dice.one_in(2) {
            self.hit("fitting catalog tried");
            return rater.try_catalog(self.catalogs.of(self.published).catalog, tick);
        }
        let mut has_totals = false;
        rater.partition().query().totals_as_kept(|_| {
            has_totals = true;
            Ok::<(), aggregator::Error>(())
        })?;
        let tried = rater.try_catalog(self.catalogs.foreign(), tick)?;
        if tried.is_err() {
            self.hit("contradicting catalog tried");
        }
        let is_wrong = tried.is_ok() && has_totals;
        Ok(if is_wrong { Err("a catalog of others was found to fit".to_owned()) } else { Ok(()) })
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
            Err(Stop::Lost(reason) | Stop::Failed(reason) | Stop::Unfit(reason)) => {
                return Err(Broken::Stopped(reason.clone()));
            }
        }
        self.process(key.0).ended(key.1, ended);
        Ok(())
    }
}
