//! Every bound of this crate, and how they relate.

/// Records after which a commit is due, whatever the clock says.
pub const COMMIT_RECORDS_MAX: usize = 1 << 17;
/// Bytes of output after which a commit is due.
pub const COMMIT_OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Totals that are closed by one commit.
pub const CLOSE_TOTALS_MAX: usize = 1 << 16;
/// Totals of which the first or last record is not known, after which all records are looked
/// through for them.
pub const UNTIMED_TOTALS_MAX: usize = 1 << 16;
/// Totals kept in memory; beyond it, those not touched for longest are read again when needed.
pub const SLOTS_MAX: usize = 1 << 20;
/// Blocks of positions kept in memory, of up to 256 values of 32 or 48 bytes each; a block of up to
/// 1,024 records counts as [`RECORD_BLOCK_BLOCKS`], a position without rows as one.
pub const POSITION_BLOCKS_MAX: usize = 1 << 17;
/// As how many blocks of values a block of records counts: with sources and ids, a record takes
/// some 100 bytes.
pub const RECORD_BLOCK_BLOCKS: usize = 8;
/// Memory that records may take that wait in a run over files, in bytes.
pub const WAITING_BYTES_MAX: usize = 1 << 30;
/// Amendments of one record that are told apart.
pub const AMENDMENTS_MAX: usize = 4_096;
/// Cancellations of one record that are told apart: so many that one always gets through.
pub const CANCELLATIONS_MAX: usize = 1 << 20;
/// How deep corrections of corrections may go.
pub const CORRECTION_DEPTH_MAX: usize = 255;
/// Records, to be put in order, of positions that a new catalog needs made anew: some hundred
/// bytes each.
pub const REBUILT_RECORDS_MAX: usize = 1 << 22;
/// Positions that a new catalog needs made anew: some six hundred bytes each.
pub const REBUILT_POSITIONS_MAX: usize = 1 << 20;
/// Changes of a customer's billing periods that a state remembers.
pub const CALENDAR_CHANGES_MAX: usize = 256;
/// Periods remembered per calendar before they are worked out anew.
pub const PERIODS_MAX: usize = 512;
/// Bytes of identities in one value of a run.
pub const RUN_BLOCK_BYTES_MAX: usize = 16 << 10;
/// Bytes of rated or rejected lines in one value, before compression.
pub const OUTPUT_CHUNK_BYTES_MAX: usize = 1 << 20;
/// Runs that can be told apart at a time: the fingerprint table keeps 30 bits of their number. With
/// a run a commit and fifty commits a second, identities may be kept for eight months.
pub const RUNS_MAX: u64 = 1 << 30;
/// Identities after which another bucket of them begins.
pub const BUCKET_IDENTITIES: u64 = 1 << 18;
/// How far apart the ends of what is in a bucket may be before another begins, in nanoseconds: a
/// day.
pub const BUCKET_SPREAD_NANOS: i128 = 86_400_000_000_000;
/// Blocks of identities that a commit may always forget; it may forget twice those that it adds.
pub const FORGET_BLOCKS_MIN: usize = 64;
/// Commits that only forget when a state is taken up: so many that a full one has room again.
pub const FORGET_COMMITS_MAX: usize = 1_000;
/// Identities that one partition remembers: about 4 GiB of fingerprints.
pub const IDENTITIES_MAX: usize = 400_000_000;
/// Snapshots that a state remembers: the log is kept from the oldest of them on.
pub const ANNOUNCED_MAX: usize = 2;
/// Stretches of owners by which keys begin. Frozen.
pub const SHARDS: u16 = 4_096;
/// Memory of RocksDB for writes that are not yet in a file, in bytes.
pub const WRITE_BUFFER_BYTES: usize = 256 << 20;
/// Memory of RocksDB for what was read, in bytes.
pub const BLOCK_CACHE_BYTES: usize = 128 << 20;
/// Size at which the write-ahead log makes RocksDB flush, in bytes.
pub const LOG_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(CLOSE_TOTALS_MAX <= SLOTS_MAX, "what one commit touches fits in memory");
const _: () = assert!(COMMIT_RECORDS_MAX <= SLOTS_MAX, "what one commit touches fits in memory");
const _: () = assert!(OUTPUT_CHUNK_BYTES_MAX <= COMMIT_OUTPUT_BYTES_MAX, "chunks make up a commit");
