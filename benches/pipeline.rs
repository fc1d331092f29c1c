//! How many records does one core take from file bytes to committed state and written output?
//!
//! Everything is on: decoding, admission, rating, totals, the write-ahead log, and the rated lines
//! written to a file. The CPU of all threads is counted, until RocksDB has nothing left to compact,
//! so background work is not a gift. `PIPELINE_RECORDS` and `PIPELINE_SUBSCRIPTIONS` change sizes.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that cannot go on stops and says so"
)]

use rating::Catalog;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use usage_rater::{Failure, RatingRun};

fn main() {
    let records = setting("PIPELINE_RECORDS", 2_000_000);
    let subscriptions = setting("PIPELINE_SUBSCRIPTIONS", 100_000);
    let directory = tempfile::tempdir().expect("a directory");
    let usage = directory.path().join("usage.ndjson");
    let bytes = write_usage(&usage, records, subscriptions);
    let catalog = Catalog::parse(catalog(subscriptions).as_bytes()).expect("a good catalog");
    let catalog = Arc::new(catalog);
    println!("{records} records of {} bytes, {subscriptions} subscriptions", bytes / records);
    for round in 1..=3 {
        let state = directory.path().join(format!("state-{round}"));
        let before = cpu_ticks();
        run(Arc::clone(&catalog), &usage, &state).expect("a run");
        let ticks = cpu_ticks() - before;
        let rate = records * TICKS_PER_SECOND / ticks.max(1);
        let nanos = ticks * (1_000_000_000 / TICKS_PER_SECOND) / records;
        println!("round {round}: {rate} records per CPU second ({nanos} ns of CPU a record)");
        std::fs::remove_dir_all(&state).expect("the state goes away");
    }
}

fn run(catalog: Arc<Catalog>, usage: &Path, state: &Path) -> Result<(), Failure> {
    let mut run = RatingRun::open(catalog, state)?;
    run.rate(usage.to_str().expect("a UTF-8 path"))?;
    run.partition().store().quiesce()?;
    let path = state.join("rated.ndjson");
    let fail = |error| Failure::io("write", &path, &error);
    let mut out = BufWriter::new(std::fs::File::create(&path).map_err(fail)?);
    run.partition().query().rated(|lines| out.write_all(lines).map_err(fail))?;
    out.flush().map_err(fail)
}

fn catalog(subscriptions: u64) -> String {
    let mut text = String::from(
        r#"{"meters":[{"key":"api_calls","event_type":"api.request","aggregation":"sum",
        "value":"$.calls"}],
        "plans":[{"key":"pro","version":1,"effective_from":"2025-01-01T00:00:00Z","currency":"USD",
        "charges":[{"key":"api","meter":"api_calls","included":"100","price":{"model":"graduated",
        "tiers":[{"up_to":"1000","unit_price":"0.012"},{"up_to":"10000","unit_price":"0.01"},
        {"up_to":null,"unit_price":"0.008"}]}}]}],"customers":["#,
    );
    let list = |text: &mut String, entry: &dyn Fn(u64) -> String| {
        for index in 0..subscriptions {
            text.push_str(if index == 0 { "" } else { "," });
            text.push_str(&entry(index));
        }
    };
    list(&mut text, &|index| format!(r#"{{"id":"CUS-{index}","time_zone":"Europe/Berlin"}}"#));
    text.push_str("],\"subscriptions\":[");
    list(&mut text, &|index| {
        format!(
            r#"{{"id":"SUB-{index}","customer":"CUS-{index}","plan":"pro","start":"2026-01-01"}}"#
        )
    });
    text.push_str("]}");
    text
}

/// Writes records of uniformly drawn customers at rising times; gives the file's size.
fn write_usage(path: &Path, records: u64, subscriptions: u64) -> u64 {
    let mut out = BufWriter::new(std::fs::File::create(path).expect("a file"));
    let (mut line, mut bytes, mut random) = (String::new(), 0, 42u64);
    for index in 0..records {
        // SplitMix64: a fixed sequence, so that every run rates the same.
        random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut draw = (random ^ (random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        draw = (draw ^ (draw >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        draw ^= draw >> 31;
        let second = index * 2_419_200 / records;
        line.clear();
        writeln!(
            line,
            "{{\"specversion\":\"1.0\",\"id\":\"{index:012x}\",\"source\":\"metering/api-gw\",\
             \"type\":\"api.request\",\"subject\":\"CUS-{}\",\
             \"time\":\"2026-01-{:02}T{:02}:{:02}:{:02}.{:06}Z\",\
             \"data\":{{\"calls\":\"{}.{}\",\"region\":\"eu-west-1\",\"status\":200}}}}",
            draw % subscriptions,
            second / 86_400 + 1,
            second / 3_600 % 24,
            second / 60 % 60,
            second % 60,
            draw >> 45,
            draw >> 20 & 0x7FF,
            draw >> 40 & 7,
        )
        .expect("text");
        out.write_all(line.as_bytes()).expect("room on the disk");
        bytes += line.len() as u64;
    }
    out.flush().expect("room on the disk");
    bytes
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Linux counts CPU time in hundredths of a second, whatever the kernel's own clock.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads of this process, user and system.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name in the second field may hold spaces; the rest is counted from its bracket.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("stat").1.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
    ticks(11) + ticks(12)
}
