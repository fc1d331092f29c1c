//! The store: one RocksDB per partition, opened only if this program and configuration wrote it.

use crate::codec::{Reader, put_text, put_varint};
use crate::commit::Delta;
use crate::counters::Counters;
use crate::error::Error;
use crate::identity::Seeds;
use crate::limits::{BLOCK_CACHE_BYTES, LOG_BYTES_MAX, SHARDS, WRITE_BUFFER_BYTES};
use rating::Catalog;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    IteratorMode, Options, WriteBatch, WriteOptions,
};
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
    pub(crate) const ALL: [Self; 9] = [
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

    // Frozen: names of column families.
    const fn name(self) -> &'static str {
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

    fn options(self, cache: &Cache) -> Options {
        let mut options = Options::default();
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        options.set_level_compaction_dynamic_level_bytes(true);
        match self {
            Self::Totals
            | Self::Meta
            | Self::Positions
            | Self::Rows
            | Self::Corrections
            | Self::Waiting => {
                options.set_compression_type(DBCompressionType::Lz4);
                options.set_write_buffer_size(WRITE_BUFFER_BYTES / 4);
                // Nearly every look-up of a total is for one that is there or was never written.
                blocks.set_bloom_filter(10.0, false);
            }
            Self::Ids | Self::Rated | Self::Rejected => {
                // Hashes do not compress, and chunks of lines are compressed already. Keys only
                // grow, so files never overlap and are moved down without being rewritten.
                options.set_compression_type(DBCompressionType::None);
                options.set_write_buffer_size(WRITE_BUFFER_BYTES / 8);
                blocks.set_block_size(64 << 10);
            }
        }
        options.set_block_based_table_factory(&blocks);
        options
    }
}

/// Layout of this program's stores. Frozen per release that changes it.
const FORMAT: &str = "usage-rater state 3";

/// A key and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// How far a source has been read, as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSource {
    /// The source as the user named it.
    pub name: String,
    /// Lines read.
    pub line: u64,
    /// Bytes read.
    pub bytes: u64,
    /// A digest of those bytes.
    pub digest: u64,
}

/// One partition's RocksDB.
pub struct Store {
    db: DB,
    directory: String,
    seeds: Seeds,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.directory)
    }
}

impl Store {
    /// Opens the store in `directory`, or makes one with `seeds` if there is none.
    ///
    /// # Errors
    /// [`Error::Refused`] if the directory holds something else or a store of another format or
    /// configuration, [`Error::Store`] if RocksDB cannot open it.
    pub fn open(directory: &Path, seeds: Seeds) -> Result<Self, Error> {
        let name = directory.display().to_string();
        let is_new = !directory.join("CURRENT").exists();
        if is_new && directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            let reason = "is not a state directory, and not empty; name another".to_owned();
            return Err(Error::Refused { directory: name, reason });
        }
        if is_new {
            Self::make(directory, seeds)?;
        }
        let mut store = Self::open_db(directory, false, seeds)?;
        store.check_format()?;
        let saved = store.meta("seeds")?.unwrap_or_default();
        store.seeds = Seeds::decode(&saved).ok_or(Error::Damaged { what: "set of seeds" })?;
        Ok(store)
    }

    /// Makes a store beside its place and moves it there whole, so that a kill or a full disk
    /// leaves either a store or none.
    fn make(directory: &Path, seeds: Seeds) -> Result<(), Error> {
        let name = directory.display().to_string();
        let io = |error: std::io::Error| Error::Directory { directory: name.clone(), error };
        let mut unfinished = directory.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = Path::new(&unfinished);
        if unfinished.exists() {
            std::fs::remove_dir_all(unfinished).map_err(io)?;
        }
        let store = Self::open_db(unfinished, true, seeds)?;
        let mut delta = Delta::default();
        delta.put(Table::Meta, b"format", Self::format().as_bytes());
        delta.put(Table::Meta, b"seeds", &seeds.encode());
        store.write(&[&delta])?;
        store.sync()?;
        drop(store);
        std::fs::rename(unfinished, directory).map_err(io)
    }

    fn open_db(directory: &Path, is_new: bool, seeds: Seeds) -> Result<Self, Error> {
        let name = directory.display().to_string();
        let mut options = Options::default();
        options.create_if_missing(is_new);
        options.create_missing_column_families(is_new);
        // A torn last record of the log is a commit that did not happen; anything else is damage.
        options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_max_background_jobs(2);
        options.set_max_total_wal_size(LOG_BYTES_MAX);
        options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_keep_log_file_num(2);
        options.set_atomic_flush(true);
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = Table::ALL
            .map(|table| ColumnFamilyDescriptor::new(table.name(), table.options(&cache)));
        let db = DB::open_cf_descriptors(&options, directory, families)
            .map_err(|error| open_failed(name.clone(), error))?;
        Ok(Self { db, directory: name, seeds })
    }

    /// Format and what else must be the same for keys and values to mean the same.
    fn format() -> String {
        format!("{FORMAT}; shards {SHARDS}; partitions 1")
    }

    fn check_format(&self) -> Result<(), Error> {
        let found = self.meta("format")?.unwrap_or_default();
        let found = String::from_utf8_lossy(&found);
        let wanted = Self::format();
        if *found == *wanted {
            return Ok(());
        }
        let reason = format!(
            "was written as \"{found}\", but this program and configuration write \"{wanted}\"; \
             use the program that made it, or another directory"
        );
        Err(Error::Refused { directory: self.directory.clone(), reason })
    }

    /// Checks that plan versions are still what they were when this state first saw them, and
    /// gives the delta that notes the new ones.
    pub(crate) fn check_plans(&self, catalog: &Catalog, delta: &mut Delta) -> Result<(), Error> {
        for plan in catalog.plans() {
            for version in &plan.versions {
                let name = format!("plan/{}/{}", plan.key, version.version);
                let digest = version.digest.to_le_bytes();
                match self.meta(&name)? {
                    Some(found) if found != digest => {
                        let reason = format!(
                            "version {} of plan \"{}\" is not the one that this state was rated \
                             with; plan versions are immutable: add a new version",
                            version.version, plan.key
                        );
                        return Err(Error::Refused { directory: self.directory.clone(), reason });
                    }
                    Some(_) => {}
                    None => delta.put(Table::Meta, name.as_bytes(), &digest),
                }
            }
        }
        Ok(())
    }

    /// The secrets of this state.
    #[must_use]
    pub const fn seeds(&self) -> Seeds {
        self.seeds
    }

    /// The counters as of the last commit.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they make no sense.
    pub fn counters(&self) -> Result<Counters, Error> {
        match self.meta("counters")? {
            None => Ok(Counters::default()),
            Some(bytes) => Counters::decode(&bytes).ok_or(Error::Damaged { what: "counter" }),
        }
    }

    /// All sources in the order in which they were first read.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they make no sense.
    pub fn sources(&self) -> Result<Vec<SavedSource>, Error> {
        let bytes = self.meta("sources")?.unwrap_or_default();
        let mut reader = Reader::new(&bytes);
        let mut sources = Vec::new();
        while !reader.is_empty() {
            let source = (|| {
                let name = reader.text()?.to_owned();
                let (line, bytes) = (reader.number()?, reader.number()?);
                Some(SavedSource { name, line, bytes, digest: reader.number()? })
            })();
            sources.push(source.ok_or(Error::Damaged { what: "source position" })?);
        }
        Ok(sources)
    }

    pub(crate) fn encode_sources(sources: &[SavedSource]) -> Vec<u8> {
        let mut out = Vec::new();
        for source in sources {
            put_text(&mut out, &source.name);
            for number in [source.line, source.bytes, source.digest] {
                put_varint(&mut out, u128::from(number));
            }
        }
        out
    }

    /// A value of the meta table.
    pub(crate) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.get(Table::Meta, name.as_bytes())
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db.get_cf(self.family(table)?, key).map_err(|error| self.failed(error))
    }

    /// The entry with the greatest key that is not greater than `key`.
    pub(crate) fn last_not_above(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        let mode = IteratorMode::From(key, rocksdb::Direction::Reverse);
        let mut entries = self.db.iterator_cf(self.family(table)?, mode);
        entries.next().transpose().map_err(|error| self.failed(error))
    }

    /// The entry with the greatest key below `key`.
    pub(crate) fn last_below(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        let mode = IteratorMode::From(key, rocksdb::Direction::Reverse);
        let entries = self.db.iterator_cf(self.family(table)?, mode);
        for entry in entries.take(2) {
            let (found, value) = entry.map_err(|error| self.failed(error))?;
            if &*found < key {
                return Ok(Some((found, value)));
            }
        }
        Ok(None)
    }

    /// Calls `each` with every entry of a table in the order of keys.
    pub(crate) fn scan(
        &self,
        table: Table,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for entry in self.db.iterator_cf(self.family(table)?, IteratorMode::Start) {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            each(&key, &value)?;
        }
        Ok(())
    }

    /// Calls `each` with every entry of a table whose key begins with `prefix`.
    pub(crate) fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mode = IteratorMode::From(prefix, rocksdb::Direction::Forward);
        for entry in self.db.iterator_cf(self.family(table)?, mode) {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            if !key.starts_with(prefix) {
                break;
            }
            each(&key, &value)?;
        }
        Ok(())
    }

    /// The greatest key of a table.
    pub(crate) fn last_key(&self, table: Table) -> Result<Option<Box<[u8]>>, Error> {
        let mut entries = self.db.iterator_cf(self.family(table)?, IteratorMode::End);
        let last = entries.next().transpose().map_err(|error| self.failed(error))?;
        Ok(last.map(|(key, _)| key))
    }

    /// Writes deltas in one batch, with the write-ahead log.
    pub(crate) fn write(&self, deltas: &[&Delta]) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        for delta in deltas {
            for (table, key, value) in delta.changes() {
                let family = self.family(table)?;
                match value {
                    Some(value) => batch.put_cf(family, key, value),
                    None => batch.delete_cf(family, key),
                }
            }
        }
        self.db.write_opt(batch, &WriteOptions::default()).map_err(|error| self.failed(error))
    }

    /// Makes everything written so far survive a power failure.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn sync(&self) -> Result<(), Error> {
        self.db.flush_wal(true).map_err(|error| self.failed(error))
    }

    /// Waits until RocksDB has written and compacted all that it has, so that its work can be
    /// measured.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn quiesce(&self) -> Result<(), Error> {
        let families: Result<Vec<_>, Error> =
            Table::ALL.iter().map(|table| self.family(*table)).collect();
        let options = rocksdb::FlushOptions::default();
        self.db.flush_cfs_opt(&families?, &options).map_err(|error| self.failed(error))?;
        self.db
            .wait_for_compact(&rocksdb::WaitForCompactOptions::default())
            .map_err(|error| self.failed(error))
    }

    fn family(&self, table: Table) -> Result<&ColumnFamily, Error> {
        self.db.cf_handle(table.name()).ok_or(Error::Damaged { what: "list of tables" })
    }

    fn failed(&self, error: rocksdb::Error) -> Error {
        Error::Store { directory: self.directory.clone(), error }
    }
}

fn open_failed(directory: String, error: rocksdb::Error) -> Error {
    let text = error.as_ref();
    let locked = text.contains("While lock file") || text.contains("lock hold by current process");
    if locked { Error::InUse { directory } } else { Error::Store { directory, error } }
}
