//! Model snapshots: copies of a store's rows, which are complete, announced and of use to trim the
//! log only steps later, so that anything may come between.

use super::cluster::{Cluster, Log};
use super::dice::Dice;
use super::model_tables::{Disk, Rows};
use aggregator::state_log::LogPosition;
use aggregator::{Announced, Store};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use usage_rater::stream::snapshot_port::Snapshots;
use usage_rater::stream::stop::Stop;

/// The snapshots of one partition, older first, that every instance reaches.
#[derive(Debug, Default)]
pub(super) struct Shelf(Vec<(Announced, Rows)>);

impl Shelf {
    /// The newest one that is not refused.
    pub(super) fn newest(&self, refused: &BTreeSet<String>) -> Option<(String, Rows)> {
        let mut usable = self.0.iter().rev().filter(|(found, _)| !refused.contains(&found.name));
        usable.next().map(|(found, rows)| (found.name.clone(), rows.clone()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found.name == name)
    }
}

/// Where a snapshot is on its way.
#[derive(Debug)]
enum Doing {
    Nothing,
    Uploading(Announced, Rows),
    Complete(Announced),
    MayTrim,
}

/// Takes the snapshots of one owner.
#[derive(Debug)]
pub(super) struct ModelSnapshots {
    cluster: Rc<RefCell<Cluster>>,
    whose: Whose,
    shelf: Rc<RefCell<Shelf>>,
    dice: Dice,
    /// A defect that is put in on purpose: the log is trimmed before the snapshot is announced.
    trims_too_early: bool,
    announced: Vec<Announced>,
    doing: Doing,
}

/// Whose snapshots are taken.
#[derive(Debug)]
pub(super) struct Whose {
    pub(super) partition: u32,
    pub(super) epoch: u64,
    pub(super) disk: Arc<Mutex<Disk>>,
}

impl ModelSnapshots {
    pub(super) fn new(
        cluster: &Rc<RefCell<Cluster>>,
        whose: Whose,
        shelf: Rc<RefCell<Shelf>>,
        (dice, trims_too_early): (Dice, bool),
    ) -> Self {
        let (announced, doing) = (Vec::new(), Doing::Nothing);
        let cluster = Rc::clone(cluster);
        Self { cluster, whose, shelf, dice, trims_too_early, announced, doing }
    }

    fn trim(&self, before: u64) {
        self.cluster.borrow_mut().trim(Log::State(self.whose.partition), before);
    }

    /// As production does: only what is still there lets the log go, and what is older goes.
    fn trim_and_collect(&mut self) {
        let mut shelf = self.shelf.borrow_mut();
        let [older, newer] = self.announced.as_slice() else { return };
        if shelf.has(&older.name) && shelf.has(&newer.name) {
            self.trim(older.position.offset);
            let oldest = older.position.sequence;
            shelf.0.retain(|(found, _)| found.position.sequence >= oldest);
        }
    }
}

impl Snapshots for ModelSnapshots {
    fn take(&mut self, store: &Store, at: LogPosition, _: Duration) -> Result<(), Stop> {
        let last = self.announced.last().map_or(0, |last| last.position.sequence + 1);
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Nothing if at.sequence > last && self.dice.one_in(8) => {
                store.flush()?;
                let name = format!("{:08}-{:08}", at.sequence, self.whose.epoch);
                let rows = self.whose.disk.lock().unwrap().rows();
                self.doing = Doing::Uploading(Announced { name, position: at }, rows);
            }
            Doing::MayTrim if self.dice.one_in(2) => self.trim_and_collect(),
            other @ (Doing::Nothing
            | Doing::Uploading(..)
            | Doing::Complete(_)
            | Doing::MayTrim) => self.doing = other,
        }
        Ok(())
    }

    fn complete(&mut self) -> Option<Announced> {
        let may_go_on = self.dice.one_in(3);
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Uploading(snapshot, rows) if may_go_on => {
                let mut shelf = self.shelf.borrow_mut();
                if !shelf.has(&snapshot.name) {
                    shelf.0.push((snapshot.clone(), rows));
                    shelf.0.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
                }
                if self.trims_too_early {
                    self.trim(snapshot.position.offset);
                }
                self.doing = Doing::Complete(snapshot);
                None
            }
            Doing::Complete(snapshot) if may_go_on => Some(snapshot),
            other @ (Doing::Nothing
            | Doing::Uploading(..)
            | Doing::Complete(_)
            | Doing::MayTrim) => {
                self.doing = other;
                None
            }
        }
    }

    fn announced(&mut self, snapshots: Vec<Announced>) {
        self.announced = snapshots;
        self.doing = Doing::MayTrim;
    }
}
