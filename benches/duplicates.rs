//! What does it take to confirm a duplicate among many identities on disk?
//!
//! A state of `DUPLICATES_IDENTITIES` is made by a process of its own, so that the memory measured
//! is that of a partition that was opened, and of nothing that was there before. Then records that
//! it has are applied again: with the files on disk only, with them in the page cache of the
//! system, and with the blocks in the cache of RocksDB. Beside them stand records that are new, and
//! those again while they are not committed: of the same work all but the look-up.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench looks at the clock, and one that cannot go on stops and says so"
)]

use aggregator::limits::BLOCK_CACHE_BYTES;
use aggregator::{Clock, Origin, Received, Verdict};
use ingest::Decoder;
use rating::Catalog;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use usage_rater::RatingRun;

/// Records of one commit: a partition that takes 10,000 a second, and commits twice.
const COMMIT_RECORDS: u64 = 5_000;
const SUBSCRIPTIONS: u64 = 1_000;
/// Names the directory of the process that makes the state.
const MAKE: &str = "DUPLICATES_MAKE";

fn main() {
    let identities = setting("DUPLICATES_IDENTITIES", 5_000_000);
    if let Some(directory) = std::env::var_os(MAKE) {
        make(Path::new(&directory), identities);
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Instant::now();
    let myself = std::env::current_exe().expect("the path of this program");
    let made = Command::new(myself).env(MAKE, directory.path()).status().expect("a process");
    assert!(made.success(), "the state was not made");
    let files = files(directory.path());
    let bytes: u64 = files.iter().map(|file| file.metadata().expect("a file").len()).sum();
    println!(
        "{identities} identities, {COMMIT_RECORDS} a commit, made in {} s; {} bytes an identity \
         with all that the store keeps",
        clock.elapsed().as_secs(),
        bytes / identities
    );
    let run = measure_opening(directory.path(), identities);
    measure_look_ups(run, identities, &files);
}

fn make(directory: &Path, identities: u64) {
    let mut bench = Bench::open(directory);
    for number in 0..identities {
        assert_eq!(bench.apply(number).0, Verdict::Rated(1));
        if (number + 1).is_multiple_of(COMMIT_RECORDS) {
            // What was rated is not asked for here.
            bench.run.partition_mut().outputs().rated.clear();
            bench.run.commit().expect("a commit");
        }
    }
    bench.run.commit().expect("a commit");
    bench.run.partition().store().quiesce().expect("a store at rest");
}

fn measure_opening(directory: &Path, identities: u64) -> Bench {
    let (before, clock) = (resident_bytes(), Instant::now());
    let bench = Bench::open(directory);
    let (took, grown) = (clock.elapsed(), resident_bytes() - before);
    let own = grown.saturating_sub(BLOCK_CACHE_BYTES as u64);
    println!(
        "opened in {} ms ({} ns an identity); memory {} MiB, {} bytes an identity; without the \
         {} MiB that RocksDB may cache, {} bytes",
        took.as_millis(),
        took.as_nanos() / u128::from(identities),
        grown >> 20,
        grown / identities,
        BLOCK_CACHE_BYTES >> 20,
        own / identities
    );
    bench
}

/// Opening has read all blocks in order, so those of the oldest third are in the cache of RocksDB
/// no more. Of each run there, one record is looked up: no look-up finds what another has read.
fn measure_look_ups(mut bench: Bench, identities: u64, files: &[PathBuf]) {
    let runs = identities / COMMIT_RECORDS / 3;
    let one_of_each = |step: u64| {
        (0..runs).map(move |run| run * COMMIT_RECORDS + (run + 1) * step % COMMIT_RECORDS)
    };
    let new = identities..identities + 50_000;
    forget_pages(files);
    bench.measure("duplicate, on disk", one_of_each(7_919), &Verdict::Duplicate);
    bench.measure("duplicate, cached by RocksDB", one_of_each(7_919), &Verdict::Duplicate);
    for file in files {
        std::fs::read(file).expect("a file that can be read");
    }
    bench.measure("duplicate, in the page cache", one_of_each(6_089), &Verdict::Duplicate);
    bench.measure("new", new.clone(), &Verdict::Rated(1));
    bench.measure("duplicate, not committed", new, &Verdict::Duplicate);
}

/// A partition, and what makes records for it.
struct Bench {
    run: RatingRun,
    decoder: Decoder,
}

impl Bench {
    fn open(directory: &Path) -> Self {
        let catalog = Catalog::parse(catalog().as_bytes()).expect("a good catalog");
        let run = RatingRun::open(Arc::new(catalog), &directory.join("state")).expect("a state");
        let decoder = Decoder::new(run.partition().store().seeds().content);
        Self { run, decoder }
    }

    /// Applies a record; gives its verdict, and how long that took without decoding it.
    fn apply(&mut self, number: u64) -> (Verdict, Duration) {
        let text = record(number);
        let record = self.decoder.decode(text.as_bytes()).expect("a good record");
        let origin = Origin { source: 0, position: number };
        let received =
            Received { bytes: text.as_bytes(), key: b"", origin, clock: Clock::default() };
        let clock = Instant::now();
        let verdict = self.run.partition_mut().apply(&record, &received);
        let took = clock.elapsed();
        (verdict.expect("a verdict"), took)
    }

    fn measure(&mut self, name: &str, numbers: impl Iterator<Item = u64>, wanted: &Verdict) {
        let mut took: Vec<Duration> = numbers
            .map(|number| {
                let (verdict, took) = self.apply(number);
                assert_eq!(verdict, *wanted, "record {number}");
                took
            })
            .collect();
        took.sort_unstable();
        let micros = |nanos: u128| format!("{}.{:02}", nanos / 1_000, nanos % 1_000 / 10);
        let share =
            |percent: usize| micros(took[(took.len() * percent).div_ceil(100) - 1].as_nanos());
        println!(
            "{name:30} p50 {:>8} µs, p99 {:>8} µs, max {:>8} µs of {}",
            share(50),
            share(99),
            share(100),
            took.len()
        );
    }
}

fn catalog() -> String {
    let list =
        |entry: &dyn Fn(u64) -> String| (0..SUBSCRIPTIONS).map(entry).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"meters":[{{"key":"api_calls","event_type":"api.request","aggregation":"sum",
        "value":"$.calls"}}],
        "plans":[{{"key":"pro","version":1,"effective_from":"2025-01-01T00:00:00Z",
        "currency":"USD","charges":[{{"key":"api","meter":"api_calls",
        "price":{{"model":"per_unit","unit_price":"0.01"}}}}]}}],
        "customers":[{}],"subscriptions":[{}]}}"#,
        list(&|index| format!(r#"{{"id":"CUS-{index}"}}"#)),
        list(&|index| format!(
            r#"{{"id":"SUB-{index}","customer":"CUS-{index}","plan":"pro","start":"2026-01-01"}}"#
        ))
    )
}

/// The record of a number, always the same.
fn record(number: u64) -> String {
    let second = number / COMMIT_RECORDS;
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{number:012x}\",\"source\":\"metering/api-gw\",\
         \"type\":\"api.request\",\"subject\":\"CUS-{}\",\
         \"time\":\"2026-01-01T{:02}:{:02}:{:02}.{:06}Z\",\
         \"data\":{{\"calls\":\"{}.{}\"}}}}",
        number.wrapping_mul(2_654_435_761) % SUBSCRIPTIONS,
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60,
        number * 8_191 % 1_000_000,
        number * 31 % 997,
        number % 8,
    )
}

/// All tables of the state; RocksDB renames and drops other files when it is opened.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "sst") {
            found.push(path);
        }
    }
    found
}

/// Takes files out of the system's page cache.
fn forget_pages(files: &[PathBuf]) {
    for file in files {
        let mut input = std::ffi::OsString::from("if=");
        input.push(file);
        let how = ["iflag=nocache", "count=0", "status=none"];
        let done = Command::new("dd").args(how).arg(input).status().expect("GNU dd");
        assert!(done.success(), "the page cache keeps {}", file.display());
    }
}

/// Memory of this process that is in RAM.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).expect("KiB") << 10
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
