//! Model tables: what a database without a log keeps, and loses when its process dies.

use aggregator::{Delta, Entry, Error, Table, Tables, Visit};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) type Rows = BTreeMap<(u8, Box<[u8]>), Box<[u8]>>;

/// The disk of one store: what was flushed survives, what was written since does not.
#[derive(Debug, Default, Clone)]
pub(super) struct Disk {
    current: Rows,
    flushed: Rows,
    /// A defect that is put in on purpose: with identities that may go, the next ones go.
    pub(super) forgets_too_early: bool,
}

/// So many blocks of identities go that should not.
const TOO_EARLY: usize = 32;

impl Disk {
    /// The process died.
    pub(super) fn crash(&mut self) {
        self.current.clone_from(&self.flushed);
    }

    /// All that was written is in files.
    pub(super) fn flush(&mut self) {
        self.flushed.clone_from(&self.current);
    }

    /// What it holds.
    pub(super) fn rows(&self) -> Rows {
        self.current.clone()
    }

    /// A disk that holds these.
    pub(super) fn of(rows: Rows) -> Self {
        Self { current: rows.clone(), flushed: rows, forgets_too_early: false }
    }

    fn remove(&mut self, key: &(u8, Box<[u8]>)) {
        self.current.remove(key);
        if self.forgets_too_early && key.0 == number(Table::Ids) {
            let next = self.current.range(key.clone()..).take_while(|(next, _)| next.0 == key.0);
            let next: Vec<_> = next.map(|(next, _)| next.clone()).take(TOO_EARLY).collect();
            self.current.retain(|key, _| !next.contains(key));
        }
    }
}

/// Tables on a disk that outlives them.
#[derive(Debug, Clone)]
pub(super) struct ModelTables(pub(super) Arc<Mutex<Disk>>);

const fn number(table: Table) -> u8 {
    table as u8
}

impl ModelTables {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn below(&self, table: Table, end: Bound<(u8, Box<[u8]>)>) -> Option<Entry> {
        let start = Bound::Included((number(table), Box::from(&b""[..])));
        let disk = self.disk();
        let (key, value) = disk.current.range((start, end)).next_back()?;
        Some((key.1.clone(), value.clone()))
    }
}

impl Tables for ModelTables {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let found = self.disk().current.get(&(number(table), key.into())).cloned();
        Ok(found.map(Vec::from))
    }

    fn last_not_above(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        Ok(self.below(table, Bound::Included((number(table), key.into()))))
    }

    fn last_below(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        Ok(self.below(table, Bound::Excluded((number(table), key.into()))))
    }

    fn scan_from(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), Error> {
        let start = (number(table), from.into());
        let rows: Vec<Entry> = {
            let disk = self.disk();
            let rows = disk.current.range(start..).take_while(|(key, _)| key.0 == number(table));
            rows.map(|(key, value)| (key.1.clone(), value.clone())).collect()
        };
        for (key, value) in rows {
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table) -> Result<Option<Box<[u8]>>, Error> {
        let end = Bound::Excluded((number(table) + 1, Box::from(&b""[..])));
        Ok(self.below(table, end).map(|(key, _)| key))
    }

    fn write(&self, deltas: &[&Delta]) -> Result<(), Error> {
        let mut disk = self.disk();
        for (table, key, value) in deltas.iter().flat_map(|delta| delta.changes()) {
            let key = (number(table), key.into());
            match value {
                Some(value) => {
                    disk.current.insert(key, value.into());
                }
                None => disk.remove(&key),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        self.disk().flush();
        Ok(())
    }

    fn begin_flush(&self) -> Result<(), Error> {
        self.flush()
    }

    fn checkpoint(&self, _: &Path) -> Result<(), Error> {
        // Whoever takes model snapshots copies the rows.
        self.flush()
    }

    fn quiesce(&self) -> Result<(), Error> {
        self.flush()
    }
}
