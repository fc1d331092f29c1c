//! Tables: what a store needs of the database under it.

use crate::commit::Delta;
use crate::error::Error;
use std::path::Path;

/// A column family of the store; `keys.rs` draws the keys of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Format, seeds, counters, sources, plan versions.
    Meta,
    /// Totals by subscription, charge, plan and period.
    Totals,
    /// Positions of charges whose totals do not hold all that is needed.
    Positions,
    /// The ordered rows of positions, in blocks.
    Rows,
    /// Corrections in force or not, by the record that they correct.
    Corrections,
    /// Records that wait for their subject or their target.
    Waiting,
    /// Identities that were admitted, in runs.
    Ids,
    /// Rated lines, in order of admission.
    Rated,
    /// Dead letters, in order of refusal.
    Rejected,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 9] = [
        Self::Meta,
        Self::Totals,
        Self::Positions,
        Self::Rows,
        Self::Corrections,
        Self::Waiting,
        Self::Ids,
        Self::Rated,
        Self::Rejected,
    ];

    // Frozen: how the state log calls a table.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.number() == number)
    }

    // Frozen: names of column families.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Totals => "totals",
            Self::Positions => "positions",
            Self::Rows => "rows",
            Self::Corrections => "corrections",
            Self::Waiting => "waiting",
            Self::Ids => "ids",
            Self::Rated => "rated",
            Self::Rejected => "rejected",
        }
    }
}

/// What a database takes; 0 for what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreUsage {
    /// Bytes that are in memory only.
    pub memory_bytes: u64,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Bytes that are to be compacted.
    pub pending_compaction_bytes: u64,
    /// Bytes a second to which writes are slowed down; 0 if they are not.
    pub delayed_write_rate: u64,
    /// Whether writes wait for compaction.
    pub is_write_stopped: bool,
    /// Bytes of the cache that it shares with the other stores of the process.
    pub cache_bytes: u64,
}

/// A key and its value.
pub type Entry = (Box<[u8]>, Box<[u8]>);

/// Calls for every entry of a scan; `false` ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, Error> + 'a;

/// A database of ordered tables, written in whole batches.
///
/// Whoever implements it may lose what was written after the last [`Tables::flush`] or
/// [`Tables::sync`], but only whole batches, the last ones first.
pub trait Tables: Send {
    /// The value of a key.
    ///
    /// # Errors
    /// Whatever the database met; so with all other functions.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The entry with the greatest key that is not greater than `key`.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn last_not_above(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error>;

    /// The entry with the greatest key below `key`.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn last_below(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error>;

    /// Calls `visit` with the entries from `from` on, in the order of keys.
    ///
    /// # Errors
    /// As [`Tables::get`], and what `visit` returns.
    fn scan_from(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), Error>;

    /// The greatest key of a table.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn last_key(&self, table: Table) -> Result<Option<Box<[u8]>>, Error>;

    /// Writes deltas in one batch.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn write(&self, deltas: &[&Delta]) -> Result<(), Error>;

    /// Makes everything written so far survive a power failure, by the database's own log.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn sync(&self) -> Result<(), Error>;

    /// Writes all that is in memory only to files, so that it survives without a log.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn flush(&self) -> Result<(), Error>;

    /// Begins to do what [`Tables::flush`] does, and does not wait for its end.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn begin_flush(&self) -> Result<(), Error>;

    /// Makes a copy of all that was written so far in a directory that is not there yet. What is
    /// in files already is not copied but linked, so both must be of one file system.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn checkpoint(&self, directory: &Path) -> Result<(), Error>;

    /// What it takes.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn usage(&self) -> Result<StoreUsage, Error> {
        Ok(StoreUsage::default())
    }

    /// Waits until all background work is done, so that it can be measured.
    ///
    /// # Errors
    /// As [`Tables::get`].
    fn quiesce(&self) -> Result<(), Error>;
}
