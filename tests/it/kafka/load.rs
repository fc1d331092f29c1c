//! Load: usage with duplicates, garbage, corrections and misrouted records, and what must become
//! of it.

use super::instance::Names;
use super::wire::{Read, Wire};
use crate::program::Workplace;
use crate::recompute::python;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use usage_rater::stream::Partitioner;

pub(super) const PARTITIONS: u32 = 4;
const CUSTOMERS: usize = 50;
/// Batches of load that goes on, and records in one of them.
const BATCHES: usize = 50;
const BATCH_RECORDS: usize = 8;

/// How often a record is sent twice, and how often it is garbage: one in so many.
#[derive(Debug, Clone, Copy)]
struct Mix {
    twice: usize,
    garbage: usize,
}

/// What was sent, as a file that `usage-rater rate` takes.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) file: String,
    pub(super) garbage: usize,
    pub(super) records: usize,
    pub(super) sent: i64,
    next: usize,
    mix: Mix,
}

impl Default for Load {
    fn default() -> Self {
        Self::of(Mix { twice: 10, garbage: 50 })
    }
}

/// A catalog of fifty customers with a graduated price and a maximum.
pub(super) fn catalog() -> String {
    let (mut customers, mut subscriptions) = (String::new(), String::new());
    for n in 0..CUSTOMERS {
        let comma = if n == 0 { "" } else { ",\n" };
        _ = write!(customers, "{comma}{{\"id\":\"C{n}\",\"time_zone\":\"Europe/Berlin\"}}");
        _ = write!(
            subscriptions,
            "{comma}{{\"id\":\"S{n}\",\"customer\":\"C{n}\",\"plan\":\"pro\",\
             \"start\":\"2026-01-01\",\"end\":\"2026-12-31\"}}"
        );
    }
    format!(
        "{{\"meters\":[{{\"key\":\"calls\",\"event_type\":\"t\",\"aggregation\":\"sum\",\
         \"value\":\"$.n\"}},{{\"key\":\"peak\",\"event_type\":\"t\",\"aggregation\":\"max\",\
         \"value\":\"$.n\"}}],\"plans\":[{{\"key\":\"pro\",\"version\":1,\
         \"effective_from\":\"2025-01-01T00:00:00Z\",\"currency\":\"EUR\",\"charges\":[\
         {{\"key\":\"calls\",\"meter\":\"calls\",\"price\":{{\"model\":\"graduated\",\"tiers\":[\
         {{\"up_to\":\"100\",\"unit_price\":\"0.02\"}},\
         {{\"up_to\":null,\"unit_price\":\"0.0125\"}}]}}}},\
         {{\"key\":\"peak\",\"meter\":\"peak\",\"price\":{{\"model\":\"per_unit\",\
         \"unit_price\":\"0.5\"}}}}]}}],\n\"customers\":[{customers}],\n\
         \"subscriptions\":[{subscriptions}]}}\n"
    )
}

impl Load {
    const fn of(mix: Mix) -> Self {
        Self { file: String::new(), garbage: 0, records: 0, sent: 0, next: 0, mix }
    }

    /// As production may have it: one record in a hundred comes twice, one in a thousand is
    /// garbage.
    pub(super) const fn long() -> Self {
        Self::of(Mix { twice: 100, garbage: 1_000 })
    }

    /// Usage of another kind that was sent: each record once, and no garbage.
    pub(super) fn given(file: String, records: usize) -> Self {
        let sent = i64::try_from(records).unwrap();
        Self { file, records, sent, next: records, ..Self::default() }
    }

    /// Sends some more: duplicates and garbage as often as the mix says, three corrections in a
    /// hundred, every seventh to another partition than its owner's, and, once each of the three
    /// months had some, two of three for a month that has ended by the times of others.
    pub(super) fn send(&mut self, wire: &Wire, names: &Names, count: usize) {
        let topic = names.topic("raw");
        for _ in 0..count {
            let number = self.next;
            self.next += 1;
            let customer = format!("C{}", number * 7 % CUSTOMERS);
            let record = self.record(number, &customer);
            let home = Partitioner::Murmur2.partition_of(customer.as_bytes(), PARTITIONS);
            let partition = if number % 7 == 3 { (home + 1) % PARTITIONS } else { home };
            let partition = i32::try_from(partition).unwrap();
            let times = 1 + usize::from(number % self.mix.twice == 4);
            for _ in 0..times {
                wire.send(&topic, partition, (&customer, record.as_bytes()));
                self.sent += 1;
            }
            if self.is_garbage(number) {
                self.garbage += times;
            } else {
                self.file += &record;
                self.file.push('\n');
                self.records += 1;
            }
        }
        wire.flush();
    }

    /// Sends some all the time, until it is over or enough was sent.
    pub(super) fn send_until(&mut self, (wire, names): (&Wire, &Names), is_over: &AtomicBool) {
        for _ in 0..BATCHES {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            self.send(wire, names, BATCH_RECORDS);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    const fn is_garbage(&self, number: usize) -> bool {
        number % self.mix.garbage == self.mix.garbage - 1
    }

    fn record(&self, number: usize, customer: &str) -> String {
        if self.is_garbage(number) {
            return format!("{{\"broken\":{number}");
        }
        let (kind, data) = match number % 100 {
            60..63 => {
                // The record of the same customer, fifty earlier.
                let target = number.saturating_sub(CUSTOMERS);
                ("usage.cancelled", format!("{{\"of\":{{\"source\":\"s\",\"id\":\"r{target}\"}}}}"))
            }
            rest => ("t", format!("{{\"n\":\"{}.{:03}\"}}", rest % 9, number % 1_000)),
        };
        let (day, minute, second) = (1 + number % 28, number / 60 % 60, number % 60);
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"r{number}\",\"source\":\"s\",\"type\":\"{kind}\",\
             \"subject\":\"{customer}\",\"time\":\"2026-0{}-{day:02}T10:{minute:02}:{second:02}Z\",\
             \"data\":{data}}}",
            1 + number / 28 % 3
        )
    }

    /// Checks everything that came out against `usage-rater rate` on the same records.
    #[track_caller]
    pub(super) fn check(&self, place: &Workplace, wire: &Wire, names: &Names) {
        place.write("usage.ndjson", &self.file);
        _ = std::fs::remove_dir_all(place.path("out"));
        place.succeed("rate --catalog catalog.json --usage usage.ndjson --out out");
        let rated = wire.read_all(&names.topic("rated"));
        check_once(&rated);
        let rejected = wire.read_all(&names.topic("rejected"));
        let places: BTreeSet<String> = rejected.iter().map(place_of).collect();
        assert_eq!(places.len(), rejected.len(), "a dead letter was written twice");
        assert_eq!(rejected.len(), self.garbage, "dead letters");
        let wanted = wanted_sums(place, "out");
        assert_eq!(sums(&rated), wanted, "Σ of rated amounts by subscription");
        place.succeed("verify --config a.toml");
    }

    /// Checks what was rated against the independent recomputation of the same records.
    #[track_caller]
    pub(super) fn check_recomputed(&self, place: &Workplace, wire: &Wire, names: &Names) {
        place.write("usage.ndjson", &self.file);
        let path = |name: &str| place.path(name).display().to_string();
        let (catalog, usage, out) =
            (path("catalog.json"), path("usage.ndjson"), path("recomputed"));
        python("recompute.py", &["rate", "--catalog", &catalog, "--usage", &usage, "--out", &out]);
        let rated = wire.read_all(&names.topic("rated"));
        let wanted = wanted_sums(place, "recomputed");
        assert_eq!(sums(&rated), wanted, "Σ of rated amounts, recomputed");
    }
}

fn place_of(letter: &Read) -> String {
    let letter: serde_json::Value = serde_json::from_str(&letter.text).unwrap();
    letter["source"].to_string()
}

/// No record is rated twice for one charge.
#[track_caller]
fn check_once(rated: &[Read]) {
    let mut seen = BTreeMap::new();
    for line in rated {
        let parsed: serde_json::Value = serde_json::from_str(&line.text).unwrap();
        let data = &parsed["data"];
        let name = format!(
            "{} {} {} {} {}",
            parsed["id"], parsed["source"], data["period_start"], data["taken_back"], data["shift"]
        );
        assert_eq!(data["customer"].as_str(), line.key.as_deref(), "the owner is the key");
        let at = (line.partition, line.offset);
        if let Some(before) = seen.insert(name.clone(), at) {
            panic!("{name} was rated twice: at {before:?} and {at:?}");
        }
    }
}

/// Σ of amounts by subscription, charge and period, in 10^-24.
type Sums = BTreeMap<(String, String, String), i128>;

fn scaled(amount: &str) -> i128 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<24}").parse().unwrap()
}

fn add(sums: &mut Sums, subscription: &serde_json::Value, data: &serde_json::Value, amount: &str) {
    let key = (
        subscription.as_str().unwrap().to_owned(),
        data["charge"].as_str().unwrap().to_owned(),
        data["period_start"].as_str().unwrap().to_owned(),
    );
    *sums.entry(key).or_default() += scaled(amount);
}

fn sums(rated: &[Read]) -> Sums {
    let mut sums = Sums::new();
    for line in rated {
        let line: serde_json::Value = serde_json::from_str(&line.text).unwrap();
        let amount = line["data"]["amount"].as_str().unwrap();
        add(&mut sums, &line["subject"], &line["data"], amount);
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn wanted_sums(place: &Workplace, directory: &str) -> Sums {
    let mut sums = Sums::new();
    for total in place.lines(&format!("{directory}/totals.ndjson")) {
        let amount = total["usage_amount"].as_str().unwrap().to_owned();
        add(&mut sums, &total["subscription"], &total, &amount);
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}
