//! Every commit that took the first or last record of a total back once looked through all
//! records: with millions of them, tens of seconds in an open transaction, again and again. Now a
//! total keeps a few times, says when it has lost them, and they are found when they are said. What
//! is said is still what the records that stand say, whatever comes in between.

use super::{Told, Trial, catalog};
use crate::commit::{CommitPort, Embedded, Transaction};
use crate::error::Error;
use crate::partition::Verdict;
use crate::query::PeriodTotal;
use crate::store::Store;
use rating::Instant;
use std::collections::BTreeMap;

const SUBSCRIPTION: &str = r#"{"id":"S","customer":"C","plan":"p","start":"2026-01-01"}"#;
const CHARGES: &str = r#"
    {"key":"plain","meter":"sum","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"yearly","meter":"max","scope":"year","price":{"model":"per_unit","unit_price":"1"}},
    {"key":"cells","meter":"sum","price":{"model":"matrix","dimensions":["region"],"cells":[
        {"match":{"region":"eu"},"price":{"model":"per_unit","unit_price":"2"}}],
        "default":{"model":"per_unit","unit_price":"1"}}}"#;
/// How many totals a month has.
const CHARGES_COUNT: usize = 3;

/// A record, and what has corrected it.
struct Placed {
    id: String,
    time: String,
    cancelled: Option<String>,
}

/// Writes to the store, and keeps what is published.
struct Publisher<'a> {
    port: &'a mut Embedded,
    published: &'a mut BTreeMap<String, String>,
}

impl CommitPort for Publisher<'_> {
    fn commit(&mut self, store: &Store, transaction: &Transaction) -> Result<(), Error> {
        self.published.extend(transaction.outputs.totals.iter().cloned());
        self.port.commit(store, transaction)
    }
}

/// A state under test, and all records that it was given.
struct History {
    trial: Trial,
    catalog: String,
    publishes: bool,
    published: BTreeMap<String, String>,
    placed: Vec<Placed>,
    random: u64,
    step: u32,
    /// How often a commit has left totals without times.
    lost: u32,
}

impl History {
    fn new(seed: u64) -> Self {
        let catalog = catalog(&[("2026-01-01", CHARGES)], SUBSCRIPTION);
        let mut history = Self {
            trial: Trial::new(&catalog),
            catalog,
            publishes: seed.is_multiple_of(2),
            published: BTreeMap::new(),
            placed: Vec::new(),
            random: seed,
            step: 0,
            lost: 0,
        };
        history.open();
        history
    }

    fn open(&mut self) {
        if self.publishes {
            self.trial.partition().publish_totals();
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut draw = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        draw = (draw ^ (draw >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((draw ^ (draw >> 31)) % bound as u64).unwrap()
    }

    /// A time of few, so that several records are of the same.
    fn time(&mut self) -> String {
        let (month, day, hour) = (self.below(2) + 1, self.below(28) + 1, self.below(3));
        format!("2026-{month:02}-{day:02}T{hour:02}:00:00")
    }

    fn apply(&mut self, id: &str, time: &str, data: String) {
        let leak = |text: &str| -> &'static str { text.to_owned().leak() };
        let verdict = self.trial.apply(Told(leak(id), leak(time), "S", data.leak()));
        assert!(matches!(verdict, Verdict::Rated(_)), "{id}: {verdict:?}");
    }

    fn add(&mut self) {
        let (time, region) = (self.time(), ["eu", "us"][self.below(2)]);
        let id = format!("r{}", self.step);
        self.apply(&id, &time, format!(r#"{{"n":"1","region":"{region}"}}"#));
        self.placed.push(Placed { id, time, cancelled: None });
    }

    /// Cancels a record, most often one of the first or last, or takes a cancellation back.
    fn cancel(&mut self) {
        self.placed.sort_by(|a, b| {
            (a.cancelled.is_some(), &a.time).cmp(&(b.cancelled.is_some(), &b.time))
        });
        let standing = self.placed.iter().filter(|one| one.cancelled.is_none()).count();
        let at = match self.below(5) {
            0 | 1 => 0,
            2 | 3 => standing.saturating_sub(1),
            _ => self.below(self.placed.len().max(1)),
        };
        let own = format!("c{}", self.step);
        let Some(one) = self.placed.get_mut(at) else { return };
        let of = one.cancelled.take();
        if of.is_none() {
            one.cancelled = Some(own.clone());
        }
        let of = of.unwrap_or_else(|| one.id.clone());
        self.apply(&own, "2026-03-20", format!(r#"{{"of":{{"source":"s","id":"{of}"}}}}"#));
    }

    /// Gives a record another time, or the same.
    fn amend(&mut self) {
        if self.placed.is_empty() {
            return;
        }
        let (at, moves, other) = (self.below(self.placed.len()), self.below(2) == 0, self.time());
        let one = &mut self.placed[at];
        if moves {
            one.time = other;
        }
        let (of, time) = (one.id.clone(), one.time.clone());
        // The latest amendment stands.
        let own_time = format!("2026-04-01T{:02}:{:02}:00", self.step / 60, self.step % 60);
        let data = format!(
            r#"{{"of":{{"source":"s","id":"{of}"}},"replacement":{{
                "specversion":"1.0","time":"{time}Z","data":{{"n":"1","region":"eu"}}}}}}"#
        );
        self.apply(&format!("a{}", self.step), &own_time, data);
    }

    fn commit(&mut self) {
        let port = self.trial.port.as_mut().unwrap();
        let partition = self.trial.partition.as_mut().unwrap();
        partition.commit(&mut Publisher { port, published: &mut self.published }).unwrap();
        self.lost += u32::from(partition.lacks_times());
    }

    fn close(&mut self, day: &str) {
        let until = super::instant(day);
        let port = self.trial.port.as_mut().unwrap();
        let partition = self.trial.partition.as_mut().unwrap();
        let mut port = Publisher { port, published: &mut self.published };
        partition.close(|_| until, &mut port).unwrap();
    }

    fn find(&mut self) {
        self.commit();
        self.trial.partition().find_times().unwrap();
        self.commit();
        assert!(!self.trial.partition().lacks_times());
        assert!(!self.trial.partition().is_finding_due());
    }

    /// Commits, and compares all totals with the records that stand.
    fn check(&mut self) {
        self.commit();
        let of = |start: Instant| {
            let month: String = start.to_string().chars().take(7).collect();
            let standing = self.placed.iter().filter(move |one| one.cancelled.is_none());
            let times: Vec<Instant> = standing
                .filter(|one| one.time.starts_with(&month))
                .map(|one| super::instant(&one.time))
                .collect();
            (times.len() as u64, times.iter().min().copied(), times.iter().max().copied())
        };
        let judge = |total: &PeriodTotal<'_>| {
            let times = &total.total.times;
            let found = (total.total.records, times.first(), times.last());
            assert_eq!(found, of(total.period.start), "{} of {}", total.charge, total.period.start);
            assert!(total.has_its_terms);
        };
        let partition = self.trial.partition.as_ref().unwrap();
        let mut all = 0;
        let read = partition.query().totals(|total| {
            judge(total);
            all += 1;
            Ok::<(), Error>(())
        });
        read.unwrap();
        let mut own = 0;
        let read = partition.query().totals_of("S", |total| {
            judge(total);
            own += 1;
            Ok::<(), Error>(())
        });
        read.unwrap();
        assert_eq!(all, own);
        for charge in ["plain", "yearly", "cells"] {
            for explained in partition.explain("S", charge, "").unwrap() {
                assert!(explained.agrees(), "{:?}", explained.disagreements);
            }
        }
        let sum: u64 =
            ["2026-01-01", "2026-02-01"].map(|day| of(super::instant(day)).0).iter().sum();
        assert!(sum == 0 || all >= CHARGES_COUNT);
    }

    /// In the end, what was published last of every closed total is what it is.
    fn check_published(&mut self) {
        self.find();
        let mut lines = BTreeMap::new();
        let read = self.trial.partition().query().totals_as_kept(|total| {
            if total.total.closed {
                let mut line = String::new();
                total.write_line(&mut line);
                lines.insert(total.key(), line);
            }
            Ok::<(), Error>(())
        });
        read.unwrap();
        assert_eq!(self.published, if self.publishes { lines } else { BTreeMap::new() });
    }
}

fn check(seed: u64) -> u32 {
    let mut history = History::new(seed);
    for step in 0..150 {
        history.step = step;
        // Some histories take more back than others.
        match history.below(30) {
            0 => history.check(),
            1 => {
                history.commit();
                let catalog = history.catalog.clone();
                history.trial.take(&catalog).unwrap();
                history.open();
            }
            2 if step > 70 => history.close("2026-02-01"),
            3 if step > 110 => history.close("2026-03-01"),
            4 => history.find(),
            5..=7 => history.commit(),
            8..=10 => history.amend(),
            11..=17 => history.cancel(),
            _ if step % 50 < 20 => history.add(),
            _ => history.cancel(),
        }
    }
    history.check();
    history.check_published();
    history.check();
    history.lost
}

#[test]
fn times_are_those_of_the_records_that_stand() {
    let lost: u32 = (0..24)
        .map(|seed| {
            std::panic::catch_unwind(|| check(seed)).unwrap_or_else(|_| panic!("of seed {seed}"))
        })
        .sum();
    assert!(lost > 40, "{lost}: hardly any total has lost its times");
}

/// The records that say when a total was used first must not be gone before they are asked.
#[test]
fn times_are_found_before_records_are_forgotten() {
    for publishes in [false, true] {
        let charge = r#"{"key":"x","meter":"sum","price":{"model":"per_unit","unit_price":"1"}}"#;
        let mut trial = Trial::new(&catalog(&[("2026-01-01", charge)], SUBSCRIPTION));
        if publishes {
            trial.partition().publish_totals();
        }
        let names = ["a", "b", "c", "d", "e"];
        let times = ["2026-01-10", "2026-01-11", "2026-01-12", "2026-01-13", "2026-01-14"];
        for (name, time) in names.into_iter().zip(times) {
            trial.rate(&[Told(name, time, "S", r#"{"n":"1"}"#)]);
        }
        trial.commit();
        for (name, data) in [
            ("no-a", r#"{"of":{"source":"s","id":"a"}}"#),
            ("no-b", r#"{"of":{"source":"s","id":"b"}}"#),
            ("no-c", r#"{"of":{"source":"s","id":"c"}}"#),
        ] {
            trial.rate(&[Told(name, "2026-01-20", "S", data)]);
        }
        trial.commit();
        assert!(trial.partition().lacks_times());
        for (name, time) in [("f", "2026-02-10"), ("m", "2026-03-10")] {
            trial.rate(&[Told(name, time, "S", r#"{"n":"1"}"#)]);
            trial.commit();
        }
        trial.forbid_before("2026-02-20");
        trial.rate(&[Told("m2", "2026-03-11", "S", r#"{"n":"1"}"#)]);
        if publishes {
            trial.commit();
            assert!(trial.partition().holds_forgetting() && trial.partition().is_finding_due());
            trial.partition().find_times().unwrap();
        }
        for _ in 0..3 {
            trial.commit();
        }
        assert!(!trial.partition().lacks_times());
        assert!(!trial.partition().is_forgetting_due(), "it was forgotten");
        let totals = trial.totals();
        let wanted =
            r#""first_used_at":"2026-01-13T00:00:00Z","last_used_at":"2026-01-14T00:00:00Z""#;
        assert!(totals.contains(wanted), "{totals}");
    }
}

/// A price may change from the last record on that stands, also where those after it are gone.
#[test]
fn terms_are_asked_for_up_to_the_last_record_that_is_known() {
    let charge = |price: &str| {
        format!(
            r#"{{"key":"x","meter":"sum","price":{{"model":"per_unit","unit_price":"{price}"}}}}"#
        )
    };
    let (old, new) = (charge("1"), charge("2"));
    let before = catalog(&[("2026-01-01", &old)], SUBSCRIPTION);
    let after = catalog(&[("2026-01-01", &old), ("2026-01-15", &new)], SUBSCRIPTION);
    let fits = |trial: &mut Trial| {
        let mut fits = true;
        let read = trial.partition().query().totals_as_kept(|total| {
            fits &= total.has_its_terms;
            Ok::<(), Error>(())
        });
        read.unwrap();
        fits
    };
    for finds in [false, true] {
        let mut trial = Trial::new(&before);
        for (name, time) in
            [("a", "2026-01-10"), ("b", "2026-01-20"), ("c", "2026-01-21"), ("d", "2026-01-22")]
        {
            trial.rate(&[Told(name, time, "S", r#"{"n":"1"}"#)]);
        }
        for data in ["b", "c", "d"] {
            let of = format!(r#"{{"of":{{"source":"s","id":"{data}"}}}}"#);
            let own = format!("no-{data}");
            trial.rate(&[Told(own.leak(), "2026-01-25", "S", of.leak())]);
        }
        trial.commit();
        assert!(trial.partition().lacks_times() && fits(&mut trial));
        if finds {
            trial.partition().find_times().unwrap();
        }
        trial.take(&after).unwrap();
        assert_eq!(fits(&mut trial), finds);
    }
}

/// A period that a catalog has lengthened once hid the records of its shorter self from those that
/// look for times.
#[test]
fn times_are_found_in_a_period_that_was_lengthened() {
    let charge = r#"{"key":"x","meter":"sum","price":{"model":"per_unit","unit_price":"1"}}"#;
    let by = |end: &str| {
        let own = format!(r#"{{"id":"S","customer":"C","plan":"p","start":"2026-01-01"{end}}}"#);
        catalog(&[("2026-01-01", charge)], &own)
    };
    let used = |id, day| Told(id, day, "S", r#"{"n":"1"}"#);
    let mut trial = Trial::new(&by(r#","end":"2026-01-20""#));
    let first = ["a", "b", "c", "d", "e"].map(|id| used(id, "2026-01-05"));
    trial.rate(&first);
    trial.commit();
    trial.take(&by("")).unwrap();
    trial.rate(&["f", "g", "h"].map(|id| used(id, "2026-01-25")));
    trial.commit();
    trial.rate(&[
        Told("no-f", "2026-01-26", "S", r#"{"of":{"source":"s","id":"f"}}"#),
        Told("no-g", "2026-01-26", "S", r#"{"of":{"source":"s","id":"g"}}"#),
        Told("no-h", "2026-01-26", "S", r#"{"of":{"source":"s","id":"h"}}"#),
    ]);
    trial.commit();
    let totals = trial.totals();
    assert!(totals.contains(r#""last_used_at":"2026-01-05T00:00:00Z""#), "{totals}");
    trial.close("2026-02-01");
    assert_eq!(trial.disagreements("x"), [""; 0]);
}
