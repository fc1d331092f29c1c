//! Simulation: production's own restore and rater against a model broker and a model store, under
//! chance that a seed replays.
//!
//! `SIMULATION_SEEDS=from..to` chooses the seeds; without it there are 300, with `CI` set 10,000.
//! Every run prints how often each kind of fault was met, and fails if one was met never. That it
//! can fail is shown by defects put in on purpose.

mod cluster;
mod dice;
mod model_broker;
mod model_snapshots;
mod model_tables;
mod usage;
mod world;

use cluster::Log;
use model_broker::Defect;
use rating::Catalog;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use world::{Broken, PARTITIONS, World};

const STEPS: u64 = 1_000;

/// Runs one seed; gives what is wrong, and how often each fault was met.
fn run(seed: u64, defect: Defect, catalog: &Arc<Catalog>) -> (Result<(), String>, Hits) {
    let mut world = World::new(seed, defect, Arc::clone(catalog));
    let lived = (0..STEPS).try_for_each(|_| world.step()).and_then(|()| world.finish());
    let judged = match lived {
        Err(Broken::Stopped(reason)) => Err(format!("a rater stopped: {reason}")),
        Err(Broken::NeverDone) => Err("it never came to rest".to_owned()),
        Ok(()) => judge(&world),
    };
    let hits = world.cluster.borrow().hits.clone();
    (judged, hits)
}

type Hits = BTreeMap<&'static str, u64>;

/// Compares what came out with what the oracle says must have.
fn judge(world: &World) -> Result<(), String> {
    let mut lines = Vec::new();
    for partition in 0..PARTITIONS {
        lines.extend(world.committed(Log::Rated(partition)));
    }
    let mut seen = BTreeSet::new();
    let mut quantities: BTreeMap<u64, i64> = BTreeMap::new();
    let mut amounts: BTreeMap<u64, i64> = BTreeMap::new();
    for line in &lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let data = &line["data"];
        let id = format!("{} {} {}", line["id"], data["customer"], data["taken_back"]);
        if !seen.insert(id.clone()) {
            return Err(format!("{id} was rated twice"));
        }
        let customer: u64 = data["customer"].as_str().unwrap()[1..].parse().unwrap();
        let number = |name: &str| data[name].as_str().unwrap().to_owned();
        *quantities.entry(customer).or_default() += number("quantity").parse::<i64>().unwrap();
        *amounts.entry(customer).or_default() += thousandths(&number("amount"));
    }
    for (customer, quantity) in world.usage.quantities() {
        let found = quantities.get(&customer).copied().unwrap_or_default();
        if found != i64::try_from(quantity).unwrap() {
            return Err(format!("C{customer} used {quantity}, but {found} was rated"));
        }
        let price = i64::try_from(usage::price(quantity)).unwrap();
        let found = amounts.get(&customer).copied().unwrap_or_default();
        if found != price {
            return Err(format!("C{customer} owes {price} thousandths, but {found} was rated"));
        }
    }
    judge_counters(world)
}

/// Every record read went exactly one way, and what is in the state is what left it.
fn judge_counters(world: &World) -> Result<(), String> {
    let (mut rated, mut rejected, mut read) = (0, 0, 0);
    for (partition, rater) in world.raters() {
        let counters = rater.counters();
        if !counters.balanced() {
            return Err(format!("partition {partition}: {counters:?} do not add up"));
        }
        let came = world.committed(Log::Raw(partition)).len()
            + world.committed(Log::Forward(partition)).len();
        if counters.read != came as u64 {
            return Err(format!("partition {partition} read {} of {came}", counters.read));
        }
        rated += counters.rated;
        rejected += counters.rejected;
        read += counters.read;
    }
    if rated != world.usage.distinct() {
        return Err(format!("{rated} of {} records were admitted", world.usage.distinct()));
    }
    let letters = world.committed(Log::Rejected).len() as u64;
    if rejected != world.usage.garbage || letters != rejected {
        let garbage = world.usage.garbage;
        return Err(format!("{garbage} were garbage, {rejected} rejected, {letters} letters"));
    }
    if read == 0 {
        return Err("nothing was read".to_owned());
    }
    Ok(())
}

fn thousandths(amount: &str) -> i64 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = format!("{fraction:0<3}");
    assert_eq!(digits.len(), 3, "{amount} has more than three decimals");
    let whole_part: i64 = whole.trim_start_matches('-').parse().unwrap();
    let size = whole_part * 1_000 + digits.parse::<i64>().unwrap();
    if amount.starts_with('-') { -size } else { size }
}

fn seeds() -> Range<u64> {
    let few = if std::env::var_os("CI").is_some() { 10_000 } else { 300 };
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else { return 1..few + 1 };
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::parse(usage::catalog_text().as_bytes()).unwrap())
}

/// Runs seeds on two threads; panics with the first that fails.
fn run_all(seeds: Range<u64>) -> Hits {
    let middle = u64::midpoint(seeds.start, seeds.end);
    let halves = [seeds.start..middle, middle..seeds.end];
    let threads: Vec<_> = halves
        .into_iter()
        .map(|half| {
            std::thread::spawn(move || {
                let catalog = catalog();
                let mut all = Hits::new();
                for seed in half {
                    let (judged, hits) = run(seed, Defect::None, &catalog);
                    assert_eq!(judged, Ok(()), "SIMULATION_SEEDS={seed}..{}", seed + 1);
                    for (what, count) in hits {
                        *all.entry(what).or_default() += count;
                    }
                }
                all
            })
        })
        .collect();
    let mut all = Hits::new();
    for thread in threads {
        let hits = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        for (what, count) in hits {
            *all.entry(what).or_default() += count;
        }
    }
    all
}

/// What every run of enough seeds must have met.
const KINDS: [&str; 19] = [
    "call refused",
    "commit carried out later",
    "commit done, answer lost",
    "commit lost",
    "flushed",
    "killed while live",
    "killed while restoring",
    "late commit came through",
    "let go",
    "log trimmed",
    "made of a snapshot",
    "misrouted record",
    "open transaction ended by fencing",
    "partition moved",
    "snapshot refused",
    "store lost",
    "store of another time",
    "zombie fenced",
    "zombie worked",
];

#[test]
fn nothing_is_lost_or_doubled_whatever_happens() {
    let seeds = seeds();
    let hits = run_all(seeds.clone());
    for (what, count) in &hits {
        tell(&format!("{count:>9} {what}"));
    }
    let missing: Vec<_> = KINDS.iter().filter(|kind| !hits.contains_key(*kind)).collect();
    let is_enough = seeds.end - seeds.start >= 100;
    assert!(!is_enough || missing.is_empty(), "never met: {missing:?}");
}

#[track_caller]
fn is_found(defect: Defect) {
    let catalog = catalog();
    let found = (1..200).find(|seed| run(*seed, defect, &catalog).0.is_err());
    assert!(found.is_some(), "{defect:?} was not found");
}

#[test]
fn a_store_written_before_its_commit_is_found() {
    is_found(Defect::StoreBeforeCommit);
}

#[test]
fn writers_that_are_not_fenced_are_found() {
    is_found(Defect::NoFencing);
}

#[test]
fn a_position_outside_the_transaction_is_found() {
    is_found(Defect::PositionOutside);
}

#[test]
fn a_log_that_is_not_read_to_its_end_is_found() {
    is_found(Defect::ShortRestore);
}

#[test]
fn a_log_that_is_trimmed_too_early_is_found() {
    is_found(Defect::EarlyTrim);
}

#[expect(clippy::print_stderr, reason = "what was met is worth knowing")]
fn tell(line: &str) {
    eprintln!("{line}");
}
