//! The proof that every record is accounted for once, and every sum is exact.
//!
//! It knows nothing of how records are admitted and rated, and shares no code with what does that:
//! it reads what went in and what came out, with a reader, identities and sums of its own, and
//! holds them against each other. What it needs of the catalog is who owns a record, and whether
//! some charge must have taken it. Prices it believes.
//!
//! Memory grows with what is read: some 100 bytes for each record with its line, 600 for each
//! total, 100 for each dead letter.

mod corrections;
mod event;
mod exact;
mod facts;
mod files;
mod finding;
mod fingerprint;
mod kafka;
mod letters;
mod limits;
mod line;
mod place;
mod records;
mod report;
mod state;
#[cfg(test)]
mod tests;
mod totals;

pub(crate) use facts::Facts;
pub(crate) use files::verify_files;
pub(crate) use kafka::{Cluster, verify_kafka};
pub(crate) use report::Report;
pub(crate) use state::verify_state;
pub(crate) use totals::Written;

use event::name_of;
use finding::{Findings, Kind};
use fingerprint::Fingerprint;
use line::RatedLine;
use place::{LogId, Logs, Place};
use records::{Input, Records};
use totals::Totals;

/// A map in no order that anyone can aim at, because its keys are hashes or names of the catalog.
type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// What all parts of the proof need.
#[derive(Debug)]
struct Context {
    facts: Facts,
    logs: Logs,
    findings: Findings,
    asked: Question,
}

/// What is being proved.
#[derive(Debug, Clone, Copy)]
struct Question {
    /// Which totals are written.
    written: Written,
    /// Whether the records are there to be read, not just what became of them.
    has_input: bool,
    /// Whether the first records may be gone, so that an output may have none.
    begins_late: bool,
    /// Whether the first outputs may be gone, so that a record may have none and sums are not
    /// whole.
    outputs_begin_late: bool,
    /// Whether a record may wait until the catalog knows its subject.
    subjects_may_wait: bool,
}

/// A proof under way. What it is fed must come in this order: dead letters, what was forwarded,
/// records, rated lines; totals at any time.
#[derive(Debug)]
struct Audit {
    cx: Context,
    records: Records,
    totals: Totals,
    /// The place of every line.
    lines: Map<Fingerprint, Place>,
    lines_count: u64,
    /// Outputs of records that are no longer there.
    without_record: u64,
    /// What a person should know who reads the report.
    notes: Vec<String>,
}

impl Audit {
    fn new(facts: Facts, question: Question) -> Self {
        let (logs, findings) = (Logs::default(), Findings::default());
        Self {
            cx: Context { facts, logs, findings, asked: question },
            notes: Vec::new(),
            records: Records::default(),
            totals: Totals::default(),
            lines: Map::default(),
            lines_count: 0,
            without_record: 0,
        }
    }

    /// Takes a dead letter.
    fn letter(&mut self, place: Place, bytes: &[u8]) {
        self.records.letters.add(&mut self.cx, place, bytes);
    }

    /// Takes a message that was sent on, before it is taken as a record too.
    fn forward(&mut self, place: Place, bytes: &[u8], hops: u8) {
        self.records.forward(place, bytes, hops);
    }

    /// Takes a record.
    fn record(&mut self, input: &Input<'_>) {
        self.records.add(&mut self.cx, input);
    }

    /// Takes a rated line.
    fn rated(&mut self, place: Place, bytes: &[u8]) {
        if self.lines_count == 0 {
            self.records.prepare();
        }
        self.lines_count += 1;
        let Some((line, numbers)) = RatedLine::read(bytes) else {
            return self.cx.findings.add(Kind::Damaged, || {
                format!("{}: is no rated line that can be read", self.cx.logs.show(place))
            });
        };
        let name = name_of(line.record_source().unwrap_or_default(), &line.id);
        let customer = &*line.data.customer;
        let found = self.records.rated(&self.cx, (name, customer), place);
        let owner = self.records.owner(&self.cx, customer);
        let key = line.fingerprint(owner);
        if let Some(first) = self.lines.get(&key).copied() {
            let Context { logs, findings, .. } = &mut self.cx;
            return findings.add(Kind::RatedTwice, || {
                let record = found.map_or(place, |(_, record)| record);
                let second = logs.show_beside(place, first);
                format!("{}: rated twice: {} and {second}", logs.show(record), logs.show(first))
            });
        }
        self.lines.insert(key, place);
        match found {
            Some((identity, record)) => {
                self.check_partition(record, place);
                if !line.data.shift {
                    let of = line.data.corrects.as_ref();
                    let root = of.map_or(name, |of| name_of(&of.source, &of.id));
                    let counted = (line.data.taken_back, of.is_none());
                    let place_in_totals = line.place_in_totals();
                    self.records.corrections.count((identity.0, root), place_in_totals, counted);
                }
            }
            None if self.cx.asked.begins_late => self.without_record += 1,
            None => self.cx.findings.add(Kind::LineOfNothing, || {
                let (id, source) = (&line.id, line.record_source().unwrap_or_default());
                let place = self.cx.logs.show(place);
                format!("{place}: rated without a record: id \"{id}\" of source \"{source}\"")
            }),
        }
        self.totals.add(&mut self.cx, place, (&line, numbers));
    }

    /// A record and its lines have the same number of a partition.
    fn check_partition(&mut self, record: Place, line: Place) {
        let Context { logs, findings, .. } = &mut self.cx;
        if let (Some(own), Some(found)) = (logs.partition(record), logs.partition(line))
            && own != found
        {
            findings.add(Kind::WrongPartition, || {
                format!("{}: rated in another partition: {}", logs.show(record), logs.show(line))
            });
        }
    }

    /// Takes a total.
    fn total(&mut self, place: Place, bytes: &[u8]) {
        self.totals.read(&mut self.cx, place, bytes);
    }

    /// Notes what a feeder found by itself.
    fn note(&mut self, kind: Kind, told: impl FnOnce() -> String) {
        self.cx.findings.add(kind, told);
    }

    fn file(&mut self, name: &str, is_input: bool) -> Option<LogId> {
        self.cx.logs.file(name, is_input)
    }

    /// Draws the sums.
    fn finish(mut self) -> Report {
        self.records.finish(&mut self.cx);
        if !self.cx.asked.outputs_begin_late {
            self.totals.finish(&mut self.cx);
        }
        Report::of(self)
    }
}
