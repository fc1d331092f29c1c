//! Simulation: production's own restore and rater against a model broker and a model store, under
//! chance that a seed replays.
//!
//! `SIMULATION_SEEDS=from..to` chooses the seeds; without it there are 300, with `CI` set 10,000.
//! Every run prints how often each kind of fault was met, and fails if one was met less often than
//! once in a hundred seeds. That it can fail is shown by defects put in on purpose.

mod catalogs;
mod cluster;
pub(crate) mod dice;
mod group;
mod instance;
mod judge;
mod model_broker;
mod model_snapshots;
mod model_tables;
mod oracle;
mod slots;
mod stores;
mod usage;
mod world;

use catalogs::Catalogs;
use model_broker::Defect;
use std::collections::BTreeMap;
use std::ops::Range;
use world::{Broken, World};

const STEPS: u64 = 1_000;

type Hits = BTreeMap<&'static str, u64>;

/// What is wrong with a run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// What came out is lost, doubled or false: the judge's word.
    Judged(String),
    /// It did not come to its end.
    Broken(Broken),
}

/// Runs one seed; gives what is wrong, and how often each fault was met.
fn run(seed: u64, defect: Defect, catalogs: &Catalogs) -> (Result<(), Wrong>, Hits) {
    let mut world = World::new(seed, defect, catalogs.clone());
    let lived = (0..STEPS).try_for_each(|_| world.step()).and_then(|()| world.finish());
    let judged = match lived {
        Ok(()) => judge::judge(&world).map_err(Wrong::Judged),
        // What is doubled by then stays so.
        Err(broken) => Err(match judge::judge_so_far(&world) {
            Err(reason) => Wrong::Judged(format!("{reason}, and then: {broken:?}")),
            Ok(()) => Wrong::Broken(broken),
        }),
    };
    let mut hits = Hits::new();
    let cluster = world.cluster.borrow();
    add(&mut hits, &cluster.hits);
    add(&mut hits, &cluster.group.hits);
    let judged = judged.map(|found| add(&mut hits, &found));
    (judged, hits)
}

fn add(all: &mut Hits, hits: &Hits) {
    for (what, count) in hits {
        *all.entry(what).or_default() += count;
    }
}

fn seeds() -> Range<u64> {
    let few = if std::env::var_os("CI").is_some() { 10_000 } else { 300 };
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else { return 1..few + 1 };
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

/// Runs seeds on two threads; panics with the first that fails.
fn run_all(seeds: Range<u64>) -> Hits {
    let middle = u64::midpoint(seeds.start, seeds.end);
    let halves = [seeds.start..middle, middle..seeds.end];
    let threads: Vec<_> = halves
        .into_iter()
        .map(|half| {
            std::thread::spawn(move || {
                let catalogs = Catalogs::new();
                let mut all = Hits::new();
                for seed in half {
                    let (judged, hits) = run(seed, Defect::None, &catalogs);
                    assert_eq!(judged, Ok(()), "SIMULATION_SEEDS={seed}..{}", seed + 1);
                    add(&mut all, &hits);
                }
                all
            })
        })
        .collect();
    let mut all = Hits::new();
    for thread in threads {
        let hits = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        add(&mut all, &hits);
    }
    all
}

/// In so many seeds each of [`KINDS`] must be met once.
const SEEDS_MET: u64 = 100;
/// What every run of enough seeds must have met.
const KINDS: [&str; 46] = [
    "call refused",
    "catalog awaited",
    "catalog published",
    "closed total revised",
    "commit carried out later",
    "commit done, answer lost",
    "commit lost",
    "contradicting catalog tried",
    "days passed",
    "fitting catalog tried",
    "flushed",
    "killed while live",
    "killed while restoring",
    "late commit came through",
    "left in order",
    "let go",
    "let go while restoring",
    "log trimmed",
    "made of a snapshot",
    "misrouted record",
    "newer catalog awaited",
    "open transaction ended by fencing",
    "open transaction timed out",
    "partition moved",
    "partition taken away",
    "period closed",
    "read on after rated lines were sent",
    "refused as too late",
    "session ran out",
    "snapshot refused",
    "stale generation refused",
    "static member came back",
    "stopped by the broker",
    "stopped, fenced",
    "store lost",
    "store made anew",
    "store of another time",
    "subject awaited in vain",
    "target awaited in vain",
    "target forgotten",
    "usage trimmed",
    "woke after its session",
    "zombie fenced",
    "zombie fenced that its group would vouch for",
    "zombie left behind",
    "zombie worked",
];

#[test]
fn nothing_is_lost_or_doubled_whatever_happens() {
    let seeds = seeds();
    let hits = run_all(seeds.clone());
    for (what, count) in &hits {
        tell(&format!("{count:>9} {what}"));
    }
    let least = (seeds.end - seeds.start) / SEEDS_MET;
    let met = |kind: &str| hits.get(kind).copied().unwrap_or_default();
    let missing: Vec<_> = KINDS.iter().filter(|kind| met(kind) < least).collect();
    assert!(missing.is_empty(), "met less often than {least} times: {missing:?}");
}

#[test]
fn a_seed_replays() {
    let catalogs = Catalogs::new();
    for seed in 1..4 {
        let first = run(seed, Defect::None, &catalogs);
        assert_eq!(first, run(seed, Defect::None, &catalogs), "seed {seed}");
    }
}

/// By what a defect is to be found.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// The judge says that something is lost, doubled or false.
    Judged,
    /// A rater stops, and says this.
    Stopped(&'static str),
}

impl Sign {
    fn is(self, wrong: &Wrong) -> bool {
        match (self, wrong) {
            (Self::Judged, Wrong::Judged(_)) => true,
            (Self::Stopped(sign), Wrong::Broken(Broken::Stopped(reason))) => reason.contains(sign),
            (_, Wrong::Judged(_) | Wrong::Broken(_)) => false,
        }
    }
}

#[track_caller]
fn is_found(defect: Defect, sign: Sign) {
    let catalogs = Catalogs::new();
    let wrong = |seed| Some((seed, run(seed, defect, &catalogs).0.err()?));
    let mut others = Vec::new();
    let found = (1..200).filter_map(wrong).find(|(_, wrong)| {
        let is_found = sign.is(wrong);
        others.extend((!is_found).then(|| wrong.clone()));
        is_found
    });
    let Some((seed, wrong)) = found else {
        panic!("{defect:?} was not found by {sign:?}, but by: {others:#?}")
    };
    tell(&format!("{defect:?} was found with seed {seed}: {wrong:?}"));
}

#[test]
fn a_store_written_before_its_commit_is_found() {
    is_found(Defect::StoreBeforeCommit, Sign::Judged);
}

#[test]
fn writers_that_are_not_fenced_are_found() {
    is_found(Defect::NoFencing, Sign::Judged);
}

#[test]
fn a_position_outside_the_transaction_is_found() {
    is_found(Defect::PositionOutside, Sign::Judged);
}

#[test]
fn a_log_that_is_not_read_to_its_end_is_found() {
    is_found(Defect::ShortRestore, Sign::Judged);
}

#[test]
fn a_generation_that_stands_in_for_an_epoch_is_found() {
    is_found(Defect::GenerationOnly, Sign::Judged);
}

#[test]
fn totals_that_leave_before_their_commit_are_found() {
    is_found(Defect::TotalsOutside, Sign::Judged);
}

#[test]
fn identities_that_are_forgotten_too_early_are_found() {
    is_found(Defect::ForgetsTooEarly, Sign::Judged);
}

#[test]
fn an_older_catalog_than_before_is_found() {
    is_found(Defect::StaleCatalog, Sign::Stopped("which this catalog does not have"));
}

#[test]
fn usage_that_is_deleted_before_it_was_read_is_found() {
    is_found(Defect::RawTrimmedTooEarly, Sign::Stopped("was trimmed before it was read"));
}

#[test]
fn a_log_that_is_trimmed_too_early_is_found() {
    is_found(Defect::EarlyTrim, Sign::Stopped("what stood before is gone"));
}

#[expect(clippy::print_stderr, reason = "what was met is worth knowing")]
fn tell(line: &str) {
    eprintln!("{line}");
}
