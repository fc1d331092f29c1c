//! Tables in RocksDB: one column family each, flushed together.

use crate::commit::Delta;
use crate::error::Error;
use crate::limits::{BLOCK_CACHE_BYTES, LOG_BYTES_MAX, WRITE_BUFFER_BYTES};
use crate::tables::{Entry, StoreUsage, Table, Tables, Visit};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    FlushOptions, IteratorMode, Options, WaitForCompactOptions, WriteBatch, WriteBufferManager,
    WriteOptions,
};
use std::path::Path;

/// Memory that all stores of a process share: blocks that were read, and writes that are not yet
/// in a file.
#[derive(Clone)]
pub struct StoreMemory {
    blocks: Cache,
    writes: WriteBufferManager,
}

impl std::fmt::Debug for StoreMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreMemory")
    }
}

impl Default for StoreMemory {
    fn default() -> Self {
        Self {
            blocks: Cache::new_lru_cache(BLOCK_CACHE_BYTES),
            writes: WriteBufferManager::new_write_buffer_manager(WRITE_BUFFER_BYTES, false),
        }
    }
}

/// One RocksDB.
pub(crate) struct Rocks {
    db: DB,
    directory: String,
    has_log: bool,
}

impl Rocks {
    /// Opens the database in `directory`. Without a log of its own, what was written after the
    /// last flush is lost with the process.
    pub(crate) fn open(
        directory: &Path,
        (is_new, has_log): (bool, bool),
        memory: &StoreMemory,
    ) -> Result<Self, Error> {
        let name = directory.display().to_string();
        let mut options = Options::default();
        options.create_if_missing(is_new);
        options.create_missing_column_families(is_new);
        // A torn last record of the log is a commit that did not happen; anything else is damage.
        options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_max_background_jobs(2);
        options.set_max_total_wal_size(LOG_BYTES_MAX);
        options.set_write_buffer_manager(&memory.writes);
        options.set_keep_log_file_num(2);
        options.set_atomic_flush(true);
        let families = Table::ALL.map(|table| {
            ColumnFamilyDescriptor::new(table.name(), options_of(table, &memory.blocks))
        });
        let db = DB::open_cf_descriptors(&options, directory, families)
            .map_err(|error| open_failed(name.clone(), error))?;
        Ok(Self { db, directory: name, has_log })
    }

    fn family(&self, table: Table) -> Result<&ColumnFamily, Error> {
        self.db.cf_handle(table.name()).ok_or(Error::Damaged { what: "list of tables" })
    }

    fn failed(&self, error: rocksdb::Error) -> Error {
        Error::Store { directory: self.directory.clone(), error }
    }

    fn flush_with(&self, options: &FlushOptions) -> Result<(), Error> {
        let families: Result<Vec<_>, Error> =
            Table::ALL.iter().map(|table| self.family(*table)).collect();
        self.db.flush_cfs_opt(&families?, options).map_err(|error| self.failed(error))
    }
}

impl Tables for Rocks {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db.get_cf(self.family(table)?, key).map_err(|error| self.failed(error))
    }

    fn last_not_above(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
        let mode = IteratorMode::From(key, rocksdb::Direction::Reverse);
        let mut entries = self.db.iterator_cf(self.family(table)?, mode);
        entries.next().transpose().map_err(|error| self.failed(error))
    }

    fn last_below(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, Error> {
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

    fn scan_from(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), Error> {
        let mode = IteratorMode::From(from, rocksdb::Direction::Forward);
        for entry in self.db.iterator_cf(self.family(table)?, mode) {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table) -> Result<Option<Box<[u8]>>, Error> {
        let mut entries = self.db.iterator_cf(self.family(table)?, IteratorMode::End);
        let last = entries.next().transpose().map_err(|error| self.failed(error))?;
        Ok(last.map(|(key, _)| key))
    }

    fn write(&self, deltas: &[&Delta]) -> Result<(), Error> {
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
        let mut options = WriteOptions::default();
        options.disable_wal(!self.has_log);
        self.db.write_opt(batch, &options).map_err(|error| self.failed(error))
    }

    fn sync(&self) -> Result<(), Error> {
        self.db.flush_wal(true).map_err(|error| self.failed(error))
    }

    fn flush(&self) -> Result<(), Error> {
        self.flush_with(&FlushOptions::default())
    }

    fn begin_flush(&self) -> Result<(), Error> {
        let mut options = FlushOptions::default();
        options.set_wait(false);
        self.flush_with(&options)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), Error> {
        let checkpoint = Checkpoint::new(&self.db).map_err(|error| self.failed(error))?;
        checkpoint.create_checkpoint(directory).map_err(|error| self.failed(error))
    }

    fn usage(&self) -> Result<StoreUsage, Error> {
        let of = |table, name: &str| -> Result<u64, Error> {
            let value = self.db.property_int_value_cf(self.family(table)?, name);
            Ok(value.map_err(|error| self.failed(error))?.unwrap_or(0))
        };
        let all = |name| -> Result<u64, Error> {
            Table::ALL.into_iter().map(|table| of(table, name)).sum()
        };
        Ok(StoreUsage {
            memory_bytes: all("rocksdb.cur-size-all-mem-tables")?,
            file_bytes: all("rocksdb.total-sst-files-size")?,
            pending_compaction_bytes: all("rocksdb.estimate-pending-compaction-bytes")?,
            // The whole database has one of each.
            delayed_write_rate: of(Table::Meta, "rocksdb.actual-delayed-write-rate")?,
            is_write_stopped: of(Table::Meta, "rocksdb.is-write-stopped")? > 0,
            cache_bytes: of(Table::Meta, "rocksdb.block-cache-usage")?,
        })
    }

    fn quiesce(&self) -> Result<(), Error> {
        self.flush()?;
        self.db
            .wait_for_compact(&WaitForCompactOptions::default())
            .map_err(|error| self.failed(error))
    }
}

/// The share of a write buffer that tells which keys are not in it.
const MEMTABLE_BLOOM: f64 = 0.02;

fn options_of(table: Table, cache: &Cache) -> Options {
    let mut options = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    options.set_level_compaction_dynamic_level_bytes(true);
    match table {
        Table::Totals
        | Table::Meta
        | Table::Positions
        | Table::Rows
        | Table::Corrections
        | Table::Waiting => {
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_write_buffer_size(WRITE_BUFFER_BYTES / 4);
            // Nearly every look-up of a total is for one that is there or was never written.
            blocks.set_bloom_filter(10.0, false);
            options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM);
            options.set_memtable_whole_key_filtering(true);
        }
        Table::Ids | Table::Rated | Table::Rejected => {
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

fn open_failed(directory: String, error: rocksdb::Error) -> Error {
    let text = error.as_ref();
    let locked = text.contains("While lock file") || text.contains("lock hold by current process");
    if locked { Error::InUse { directory } } else { Error::Store { directory, error } }
}
