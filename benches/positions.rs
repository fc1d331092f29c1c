//! How many records a second go into one total that must know all of its values?
//!
//! A percentile, a maximum and a count of different values keep every value that differs. First
//! `Position::change` alone is called until the position holds a million of them, in one billing
//! period, and in twelve of one scope; the last tenth is timed by itself, for there the position is
//! at its largest. Then a file of as many records is rated with everything on, as `pipeline` does,
//! by the CPU of all threads. `POSITIONS_RECORDS` changes how many.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that looks at the clock, and that stops and says so when it cannot go on"
)]

use rating::{
    Catalog, Direction, Instant, Period, Place, Position, Pricing, Quantity, Share, Timeline, Usage,
};
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use usage_rater::{Failure, RatingRun};

const AGGREGATIONS: [(&str, &str); 3] = [
    ("percentile", r#"{"percentile":95}"#),
    ("max", "\"max\""),
    ("unique_count", "\"unique_count\""),
];

fn main() {
    let records = std::env::var("POSITIONS_RECORDS").ok();
    let records = records.and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    for (name, aggregation) in AGGREGATIONS {
        let catalog = Arc::new(catalog(aggregation));
        for periods in [1, 12] {
            let (all, last) = in_memory(&catalog, records, periods);
            println!(
                "{name}, {periods} billing periods: {all} records a second, \
                 {last} for the last tenth"
            );
        }
        let rate = with_everything(catalog, records).expect("a run");
        println!("{name}, with everything on: {rate} records per CPU second");
    }
}

fn catalog(aggregation: &str) -> Catalog {
    let text = format!(
        r#"{{"meters":[{{"key":"m","event_type":"api.request","aggregation":{aggregation},
        "value":"$.n"}}],"plans":[{{"key":"p","version":1,"currency":"USD",
        "effective_from":"2026-01-01T00:00:00Z","charges":[{{"key":"c","meter":"m",
        "price":{{"model":"per_unit","unit_price":"0.01"}}}}]}}],"customers":[{{"id":"C"}}],
        "subscriptions":[{{"id":"S","customer":"C","plan":"p","start":"2026-01-01"}}]}}"#
    );
    Catalog::parse(text.as_bytes()).expect("a good catalog")
}

/// Numbers that differ and come in no order: a bijection of 64 bits.
fn scattered(index: u64) -> u64 {
    let mut draw = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    draw = (draw ^ (draw >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    draw = (draw ^ (draw >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    draw ^ (draw >> 31)
}

const DAY: i128 = 86_400_000_000_000;

/// Records a second, of all and of the last tenth.
fn in_memory(catalog: &Catalog, records: u64, periods: u64) -> (u64, u64) {
    let timeline: &Timeline = &catalog.plans()[0].timelines[0];
    let aggregation = timeline.terms[0].charge.as_deref().expect("a charge").aggregation;
    let pricing = Pricing { timeline, cell: "", aggregation };
    let begin = timeline.terms[0].from.nanos();
    let mut position = Position::new(aggregation, false);
    let (started, mut last_tenth) = (std::time::Instant::now(), None);
    for index in 0..records {
        if index == records - records / 10 {
            last_tenth = Some(std::time::Instant::now());
        }
        // In the order of time, period after period.
        let period = i128::from(index * periods / records);
        let at = |days: i128| Instant::from_nanos(begin + days * DAY);
        let period = Period { start: at(30 * period), end: at(30 * (period + 1)) };
        let place = Place { start: period.start, period, share: Share::WHOLE };
        let number = scattered(index);
        let usage = Usage {
            value: Quantity::from_scaled(i128::from(number)),
            distinct: u128::from(number) << 64 | u128::from(index),
            at: period.start,
            source: "metering/api-gw",
            id: "id",
        };
        position.change(&pricing, place, &usage, Direction::Add).expect("it fits");
    }
    let rate = |records: u64, since: std::time::Instant| {
        u64::try_from(u128::from(records) * 1_000_000 / since.elapsed().as_micros().max(1))
            .expect("a rate")
    };
    (rate(records, started), rate(records / 10, last_tenth.unwrap_or(started)))
}

/// Records per CPU second, from the bytes of a file to committed state and written output.
fn with_everything(catalog: Arc<Catalog>, records: u64) -> Result<u64, Failure> {
    let directory = tempfile::tempdir().expect("a directory");
    let usage = directory.path().join("usage.ndjson");
    write_usage(&usage, records);
    let state = directory.path().join("state");
    let before = cpu_ticks();
    let mut run = RatingRun::open(catalog, &state)?;
    run.rate(usage.to_str().expect("a UTF-8 path"))?;
    run.partition().store().quiesce()?;
    let path = state.join("rated.ndjson");
    let fail = |error| Failure::io("write", &path, &error);
    let mut out = BufWriter::new(std::fs::File::create(&path).map_err(fail)?);
    run.partition().query().rated(|lines| out.write_all(lines).map_err(fail))?;
    out.flush().map_err(fail)?;
    Ok(records * TICKS_PER_SECOND / (cpu_ticks() - before).max(1))
}

/// Writes records of one subscription at rising times within a month.
fn write_usage(path: &Path, records: u64) {
    let mut out = BufWriter::new(std::fs::File::create(path).expect("a file"));
    let mut line = String::new();
    for index in 0..records {
        let second = index * 2_419_200 / records;
        line.clear();
        writeln!(
            line,
            "{{\"specversion\":\"1.0\",\"id\":\"{index:012x}\",\"source\":\"metering/api-gw\",\
             \"type\":\"api.request\",\"subject\":\"S\",\
             \"time\":\"2026-01-{:02}T{:02}:{:02}:{:02}Z\",\
             \"data\":{{\"n\":\"{}.{:03}\",\"region\":\"eu-west-1\"}}}}",
            second / 86_400 + 1,
            second / 3_600 % 24,
            second / 60 % 60,
            second % 60,
            scattered(index) >> 24,
            index % 1_000,
        )
        .expect("text");
        out.write_all(line.as_bytes()).expect("room on the disk");
    }
    out.flush().expect("room on the disk");
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
