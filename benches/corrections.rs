//! What do corrections take of the commits that hold them, with many identities in the state?
//!
//! A state of `CORRECTIONS_IDENTITIES` is made. Then records go on coming, without corrections,
//! with 3 of 100 that cancel or amend a record drawn from all, and once more when the period is
//! closed and what is corrected is published again. Records a second, and the slowest commit.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench looks at the clock, and one that cannot go on stops and says so"
)]

use aggregator::{Clock, Origin, Received, Verdict};
use ingest::Decoder;
use rating::Catalog;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use usage_rater::RatingRun;

/// Records of one commit: a partition that takes 10,000 a second, and commits twice.
const COMMIT_RECORDS: u64 = 5_000;
const COMMITS: u64 = 20;
const SUBSCRIPTIONS: u64 = 100_000;
/// One record in so many corrects another.
const CORRECTED_EVERY: u64 = 33;

fn main() {
    let identities = setting("CORRECTIONS_IDENTITIES", 1_000_000);
    let directory = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::open(directory.path());
    bench.take("all", identities, u64::MAX);
    bench.take("more, none corrected", COMMITS * COMMIT_RECORDS, u64::MAX);
    bench.take("more, 3 of 100 corrected", COMMITS * COMMIT_RECORDS, CORRECTED_EVERY);
    let end = rating::Instant::parse("2026-02-01T00:00:00Z").expect("an instant");
    bench.run.partition_mut().publish_totals();
    let clock = Instant::now();
    bench.run.close(|_| end).expect("closed periods");
    println!("closed in {} ms", clock.elapsed().as_millis());
    bench.take("closed, none corrected", COMMITS * COMMIT_RECORDS, u64::MAX);
    bench.take("closed, 3 of 100 corrected", COMMITS * COMMIT_RECORDS, CORRECTED_EVERY);
    let clock = Instant::now();
    let mut totals = 0u64;
    let counted = bench.run.partition().query().totals(|_| {
        totals += 1;
        Ok::<(), aggregator::Error>(())
    });
    counted.expect("totals");
    println!("{totals} totals read in {} ms", clock.elapsed().as_millis());
}

/// A partition, and what makes records for it.
struct Bench {
    run: RatingRun,
    decoder: Decoder,
    /// Records so far.
    taken: u64,
}

impl Bench {
    fn open(directory: &Path) -> Self {
        let catalog = Catalog::parse(catalog().as_bytes()).expect("a good catalog");
        let run = RatingRun::open(Arc::new(catalog), &directory.join("state")).expect("a state");
        let decoder = Decoder::new(run.partition().store().seeds().content);
        Self { run, decoder, taken: 0 }
    }

    /// Takes so many records, of which one in `every` corrects another.
    fn take(&mut self, name: &str, records: u64, every: u64) {
        let (clock, mut slowest) = (Instant::now(), Duration::ZERO);
        for number in 1..=records {
            self.apply(number.is_multiple_of(every));
            if number.is_multiple_of(COMMIT_RECORDS) {
                // What was rated is not asked for here.
                self.run.partition_mut().outputs().rated.clear();
                let clock = Instant::now();
                self.run.commit().expect("a commit");
                slowest = slowest.max(clock.elapsed());
            }
        }
        let took = clock.elapsed().as_micros().max(1);
        println!(
            "{name:27} {records:>8} records: {:>7} a second, the slowest commit {:>6} ms",
            u128::from(records) * 1_000_000 / took,
            slowest.as_millis()
        );
    }

    fn apply(&mut self, corrects: bool) {
        let number = self.taken;
        self.taken += 1;
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let text = if corrects { correction(number, mixed % number) } else { record(number) };
        let record = self.decoder.decode(text.as_bytes()).expect("a good record");
        let origin = Origin { source: 0, position: number };
        let received =
            Received { bytes: text.as_bytes(), key: b"", origin, clock: Clock::default() };
        let verdict = self.run.partition_mut().apply(&record, &received).expect("a verdict");
        let taken = matches!(verdict, Verdict::Rated(_));
        assert!(taken || corrects && verdict == Verdict::Waiting, "{text}: {verdict:?}");
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
    let second = number / 100;
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{number:012x}\",\"source\":\"metering/api-gw\",\
         \"type\":\"api.request\",\"subject\":\"CUS-{}\",\
         \"time\":\"2026-01-{:02}T{:02}:{:02}:{:02}.{:06}Z\",\
         \"data\":{{\"calls\":\"{}.{}\"}}}}",
        customer(number),
        second / 86_400 % 28 + 1,
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60,
        number * 8_191 % 1_000_000,
        number * 31 % 997,
        number % 8,
    )
}

/// A record that cancels another, or gives it another quantity; of one that was itself a
/// correction, it waits.
fn correction(number: u64, of: u64) -> String {
    let (kind, replacement) = if number.is_multiple_of(2) {
        ("usage.cancelled", "")
    } else {
        ("usage.amended", ",\"replacement\":{\"data\":{\"calls\":\"7\"}}")
    };
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"c{number:012x}\",\"source\":\"metering/api-gw\",\
         \"type\":\"{kind}\",\"subject\":\"CUS-{}\",\"time\":\"2026-01-30T00:00:00Z\",\
         \"data\":{{\"of\":{{\"source\":\"metering/api-gw\",\"id\":\"{of:012x}\"}}\
         {replacement}}}}}",
        customer(of),
    )
}

const fn customer(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761) % SUBSCRIPTIONS
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
