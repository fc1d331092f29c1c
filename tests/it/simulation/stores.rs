//! Stores: the disks of all instances, and what a store is made of when its own is gone.
//!
//! It is production's provenance without its files: a store that holds something is tried first,
//! then snapshots are, the newest first, and in the end nothing.

use super::cluster::Cluster;
use super::dice::Dice;
use super::model_broker::Defect;
use super::model_snapshots::{ModelSnapshots, Shelf, Whose};
use super::model_tables::{Disk, ModelTables};
use super::world::PARTITIONS;
use aggregator::{Error, Layout, Seeds, Store};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// An instance, and a partition.
pub(super) type Key = (usize, u32);

/// What a store was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum MadeOf {
    /// It was there.
    #[default]
    Itself,
    Snapshot(String),
    Nothing,
}

/// All stores, and all snapshots of them.
#[derive(Debug)]
pub(super) struct Stores {
    /// They outlive those who work with them.
    disks: BTreeMap<Key, Arc<Mutex<Disk>>>,
    shelves: Vec<Rc<RefCell<Shelf>>>,
    /// What a store was made of, until it is live.
    made_of: BTreeMap<Key, MadeOf>,
    refused: BTreeMap<Key, BTreeSet<String>>,
    defect: Defect,
}

impl Stores {
    pub(super) fn new(defect: Defect) -> Self {
        Self {
            disks: BTreeMap::new(),
            shelves: (0..PARTITIONS).map(|_| Rc::default()).collect(),
            made_of: BTreeMap::new(),
            refused: BTreeMap::new(),
            defect,
        }
    }

    pub(super) fn disk(&mut self, key: Key) -> Arc<Mutex<Disk>> {
        let disk = Arc::clone(self.disks.entry(key).or_default());
        disk.lock().unwrap().forgets_too_early = self.defect == Defect::ForgetsTooEarly;
        disk
    }

    /// A store is gone.
    pub(super) fn lose(&mut self, key: Key) {
        self.disks.remove(&key);
    }

    /// Puts each of two stores in the place of the other.
    pub(super) fn swap(&mut self, one: Key, other: Key) {
        let (first, second) = (self.disk(one), self.disk(other));
        self.disks.insert(one, second);
        self.disks.insert(other, first);
    }

    /// Opens a store, having made it of a snapshot if it holds nothing.
    pub(super) fn open(&mut self, key: Key, content: u64) -> Result<Store, Error> {
        self.made_of.remove(&key);
        let store = self.open_disk(key, content)?;
        if store.log_position()?.is_some() {
            return Ok(store);
        }
        let refused = self.refused.entry(key).or_default();
        let newest = self.shelves[key.1 as usize].borrow().newest(refused);
        let Some((name, rows)) = newest else {
            self.made_of.insert(key, MadeOf::Nothing);
            return Ok(store);
        };
        self.made_of.insert(key, MadeOf::Snapshot(name));
        self.disks.insert(key, Arc::new(Mutex::new(Disk::of(rows))));
        self.open_disk(key, content)
    }

    fn open_disk(&mut self, key: Key, content: u64) -> Result<Store, Error> {
        let tables = ModelTables(self.disk(key));
        let seeds = Seeds { identity: [7; 16], content };
        let layout = Layout { partitions: PARTITIONS, is_replica: true };
        Store::of(Box::new(tables), "model".to_owned(), seeds, layout)
    }

    /// The snapshot that a store was made of, if it was.
    pub(super) fn snapshot_of(&self, key: Key) -> Option<String> {
        match self.made_of.get(&key)? {
            MadeOf::Snapshot(name) => Some(name.clone()),
            MadeOf::Itself | MadeOf::Nothing => None,
        }
    }

    /// Puts a store out of the way that is no good; says of what it was made.
    pub(super) fn refuse(&mut self, key: Key) -> MadeOf {
        let made_of = self.made_of.remove(&key).unwrap_or_default();
        if let MadeOf::Snapshot(name) = &made_of {
            self.refused.entry(key).or_default().insert(name.clone());
        }
        self.lose(key);
        made_of
    }

    /// Nobody remembers what a store was made of, and what was refused.
    pub(super) fn forget(&mut self, key: Key) {
        self.made_of.remove(&key);
        self.refused.remove(&key);
    }

    /// Whoever takes the snapshots of a store that goes live.
    pub(super) fn snapshots(
        &mut self,
        cluster: &Rc<RefCell<Cluster>>,
        key: Key,
        epoch: u64,
        dice: Dice,
    ) -> ModelSnapshots {
        let whose = Whose { partition: key.1, epoch, disk: self.disk(key) };
        let shelf = Rc::clone(&self.shelves[key.1 as usize]);
        ModelSnapshots::new(cluster, whose, shelf, (dice, self.defect == Defect::EarlyTrim))
    }
}
