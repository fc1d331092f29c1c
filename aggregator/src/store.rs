//! The store: the tables of one partition, opened only if this program and configuration wrote
//! them.

use crate::announced::{self, Announced};
use crate::codec::{Reader, put_text, put_varint};
use crate::commit::Delta;
use crate::counters::{Counters, RejectedByCode};
use crate::error::Error;
use crate::identity::Seeds;
use crate::limits::SHARDS;
use crate::rocks::{Rocks, StoreMemory};
use crate::state_log::LogPosition;
use crate::tables::{Entry, StoreUsage, Table, Tables, Visit};
use rating::{Catalog, Instant};
use std::path::Path;

/// Layout of this program's stores. Frozen per release that changes it.
const FORMAT: &str = "usage-rater state 6";
/// The name of the counters of refused records. Frozen.
pub(crate) const REJECTED_BY_CODE: &str = "rejected";

/// What a store is for: it must be opened for the same again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Partitions that owners are spread over.
    pub partitions: u32,
    /// Whether a state log outside the store is its write-ahead log.
    pub is_replica: bool,
}

impl Layout {
    /// The one store of embedded mode.
    pub const EMBEDDED: Self = Self { partitions: 1, is_replica: false };
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = if self.is_replica { "kafka" } else { "embedded" };
        write!(f, "{FORMAT}; {mode}; shards {SHARDS}; partitions {}", self.partitions)
    }
}

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

/// One partition's state.
pub struct Store {
    tables: Box<dyn Tables>,
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
    pub fn open(
        directory: &Path,
        seeds: Seeds,
        layout: Layout,
        memory: &StoreMemory,
    ) -> Result<Self, Error> {
        let name = directory.display().to_string();
        let is_new = !directory.join("CURRENT").exists();
        if is_new && directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            let reason = "is not a state directory, and not empty; name another".to_owned();
            return Err(Error::Refused { directory: name, reason });
        }
        if is_new {
            Self::make(directory, seeds, layout, memory)?;
        }
        let tables = Rocks::open(directory, (false, !layout.is_replica), memory)?;
        Self::of(Box::new(tables), name, seeds, layout)
    }

    /// A store on tables of any kind, with `seeds` if it has none yet.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn of(
        tables: Box<dyn Tables>,
        directory: String,
        seeds: Seeds,
        layout: Layout,
    ) -> Result<Self, Error> {
        let mut store = Self { tables, directory, seeds };
        if store.meta("format")?.is_none() {
            store.begin(layout)?;
        }
        store.check_format(layout)?;
        store.take_seeds()?;
        Ok(store)
    }

    /// Takes the seeds that the store holds, if it holds some by now.
    pub(crate) fn take_seeds(&mut self) -> Result<(), Error> {
        if let Some(saved) = self.meta("seeds")? {
            self.seeds = Seeds::decode(&saved).ok_or(Error::Damaged { what: "set of seeds" })?;
        }
        Ok(())
    }

    /// Makes a store beside its place and moves it there whole, so that a kill or a full disk
    /// leaves either a store or none.
    fn make(
        directory: &Path,
        seeds: Seeds,
        layout: Layout,
        memory: &StoreMemory,
    ) -> Result<(), Error> {
        let name = directory.display().to_string();
        let io = |error: std::io::Error| Error::Directory { directory: name.clone(), error };
        let mut unfinished = directory.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = Path::new(&unfinished);
        if unfinished.exists() {
            std::fs::remove_dir_all(unfinished).map_err(io)?;
        }
        let tables = Rocks::open(unfinished, (true, !layout.is_replica), memory)?;
        let store = Self { tables: Box::new(tables), directory: name.clone(), seeds };
        store.begin(layout)?;
        drop(store);
        std::fs::rename(unfinished, directory).map_err(io)
    }

    fn begin(&self, layout: Layout) -> Result<(), Error> {
        let mut delta = Delta::default();
        delta.put(Table::Meta, b"format", layout.to_string().as_bytes());
        // Those of a replica must be what its log says, so they come with its first commit.
        if !layout.is_replica {
            delta.put(Table::Meta, b"seeds", &self.seeds.encode());
        }
        self.write(&[&delta])?;
        if layout.is_replica { self.tables.flush() } else { self.sync() }
    }

    fn check_format(&self, layout: Layout) -> Result<(), Error> {
        let found = self.meta("format")?.unwrap_or_default();
        let found = String::from_utf8_lossy(&found);
        let wanted = layout.to_string();
        if *found == *wanted {
            return Ok(());
        }
        let reason = format!(
            "was written as \"{found}\", but this program and configuration write \"{wanted}\"; \
             use the program that made it, or another directory"
        );
        Err(Error::Refused { directory: self.directory.clone(), reason })
    }

    /// Up to when usage was thought to be complete at the last commit.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it makes no sense.
    pub fn watermark(&self) -> Result<Instant, Error> {
        self.instant("watermark")
    }

    /// The latest time of usage that was rated.
    pub(crate) fn used_until(&self) -> Result<Instant, Error> {
        self.instant("used until")
    }

    fn instant(&self, name: &'static str) -> Result<Instant, Error> {
        let Some(bytes) = self.meta(name)? else { return Ok(Instant::MIN) };
        let nanos: [u8; 16] = bytes.try_into().map_err(|_| Error::Damaged { what: name })?;
        Ok(Instant::from_nanos(i128::from_le_bytes(nanos)))
    }

    /// How much of the catalog's topic had been read when the last record was rated.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it makes no sense.
    pub fn catalog_position(&self) -> Result<u64, Error> {
        let Some(bytes) = self.meta("catalog")? else { return Ok(0) };
        let bytes = bytes.try_into().map_err(|_| Error::Damaged { what: "catalog position" })?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The last group of the state log that the store holds; `None` before the first.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it makes no sense.
    pub fn log_position(&self) -> Result<Option<LogPosition>, Error> {
        let Some(bytes) = self.meta("log")? else { return Ok(None) };
        LogPosition::decode(&bytes).map(Some).ok_or(Error::Damaged { what: "log position" })
    }

    /// Writes what a group of the state log holds, and that it does.
    ///
    /// # Errors
    /// Whatever the database met.
    pub fn write_group(&self, delta: &Delta, position: LogPosition) -> Result<(), Error> {
        let mut end = Delta::default();
        end.put(Table::Meta, b"log", &position.encode());
        self.write(&[delta, &end])
    }

    /// The snapshots that the log told of last, older first.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they make no sense.
    pub fn announced(&self) -> Result<Vec<Announced>, Error> {
        self.meta("snapshots")?.map_or(Ok(Vec::new()), |bytes| announced::decode(&bytes))
    }

    /// Checks that plan versions are still what they were when this state first saw them, and
    /// gives the delta that notes the new ones.
    pub(crate) fn check_plans(&self, catalog: &Catalog) -> Result<Delta, Error> {
        let mut seen = Delta::default();
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
                    None => seen.put(Table::Meta, name.as_bytes(), &digest),
                }
            }
        }
        Ok(seen)
    }

    /// Where it lies.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
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

    /// Refused records by code as of the last commit.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they make no sense.
    pub fn rejected_by_code(&self) -> Result<RejectedByCode, Error> {
        let bytes = self.meta(REJECTED_BY_CODE)?.unwrap_or_default();
        RejectedByCode::decode(&bytes).ok_or(Error::Damaged { what: "counter of a code" })
    }

    /// What the database under the store takes.
    ///
    /// # Errors
    /// As [`Tables::get`].
    pub fn usage(&self) -> Result<StoreUsage, Error> {
        self.tables.usage()
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
        self.tables.get(table, key)
    }

    /// The entry with the greatest key that is not greater than `key`.
    pub(crate) fn last_not_above(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        self.tables.last_not_above(table, key)
    }

    /// The entry with the greatest key below `key`.
    pub(crate) fn last_below(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        self.tables.last_below(table, key)
    }

    /// Calls `each` with every entry of a table in the order of keys.
    pub(crate) fn scan(
        &self,
        table: Table,
        each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.scan_prefix(table, b"", each)
    }

    /// Calls `each` with every entry of a table whose key begins with `prefix`.
    pub(crate) fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.tables.scan_from(table, prefix, &mut |key, value| {
            if !key.starts_with(prefix) {
                return Ok(false);
            }
            each(key, value)?;
            Ok(true)
        })
    }

    /// Calls `visit` with the entries of a table from `from` on, until it returns `false`.
    pub(crate) fn scan_from(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        self.tables.scan_from(table, from, visit)
    }

    /// The greatest key of a table.
    pub(crate) fn last_key(&self, table: Table) -> Result<Option<Box<[u8]>>, Error> {
        self.tables.last_key(table)
    }

    /// Writes deltas in one batch.
    pub(crate) fn write(&self, deltas: &[&Delta]) -> Result<(), Error> {
        self.tables.write(deltas)
    }

    /// Makes everything written so far survive a power failure.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn sync(&self) -> Result<(), Error> {
        self.tables.sync()
    }

    /// Writes all that is in memory only to files, so that it survives without a log.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn flush(&self) -> Result<(), Error> {
        self.tables.flush()
    }

    /// Begins to do what [`Store::flush`] does.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn begin_flush(&self) -> Result<(), Error> {
        self.tables.begin_flush()
    }

    /// Makes a copy of the store in a directory that is not there yet, on the same file system.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn checkpoint(&self, directory: &Path) -> Result<(), Error> {
        self.tables.checkpoint(directory)
    }

    /// Waits until the database has written and compacted all that it has, so that its work can
    /// be measured.
    ///
    /// # Errors
    /// [`Error::Store`] if the disk refuses.
    pub fn quiesce(&self) -> Result<(), Error> {
        self.tables.quiesce()
    }
}
