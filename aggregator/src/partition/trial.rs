//! Trials: partitions of a test, and every byte that their stores hold.

mod anchors;
mod anew;
mod calendars;
mod cells;
mod corrections;
mod explanations;
mod forgetting;
mod kinds;
mod refusals;
mod times;

use super::{Clock, Explanation, Origin, Partition, Received, Verdict};
use crate::commit::{Delta, Embedded};
use crate::error::Error;
use crate::identity::Seeds;
use crate::rocks::StoreMemory;
use crate::store::{Layout, Store};
use crate::tables::Table;
use rating::json::Tape;
use rating::{Catalog, Instant, UsageRecord};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tempfile::TempDir;

/// A record as a test writes it: id, time, subject, data. The type is `e`, unless the data name
/// what is to be corrected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

/// A state and the partition that has it open.
pub(super) struct Trial {
    partition: Option<Partition>,
    port: Option<Embedded>,
    line: u64,
    clock: Clock,
    directory: TempDir,
}

/// Tables by key; keys begin with the name of the table.
pub(super) type Bytes = BTreeMap<(String, Box<[u8]>), Box<[u8]>>;

impl Trial {
    pub(super) fn new(catalog: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let mut trial = Self { partition: None, port: None, line: 0, clock, directory };
        trial.take(catalog).unwrap();
        trial
    }

    /// Commits and opens the state with a catalog.
    pub(super) fn take(&mut self, catalog: &str) -> Result<(), Error> {
        if self.partition.is_some() {
            self.commit();
            self.partition = None;
        }
        let catalog = Catalog::parse(catalog.as_bytes()).unwrap();
        let seeds = Seeds { identity: [7; 16], content: 7 };
        let directory = self.directory.path().join("state");
        let memory = StoreMemory::default();
        let store = Store::open(&directory, seeds, Layout::EMBEDDED, &memory).unwrap();
        self.port = Some(Embedded::new(&store).unwrap());
        self.partition = Some(Partition::open(Arc::new(catalog), store)?);
        Ok(())
    }

    pub(super) fn commit(&mut self) {
        let port = self.port.as_mut().unwrap();
        self.partition.as_mut().unwrap().commit(port).unwrap();
    }

    pub(super) fn partition(&mut self) -> &mut Partition {
        self.partition.as_mut().unwrap()
    }

    /// Applies a record, and what it releases.
    pub(super) fn apply(&mut self, told: Told) -> Verdict {
        let Told(id, time, subject, data) = told;
        self.line += 1;
        let origin = Origin { source: 0, position: self.line };
        let received = Received { bytes: data.as_bytes(), key: b"", origin, clock: self.clock };
        let (subject, subscription) = subject.split_once('/').unwrap_or((subject, ""));
        let event_type = match data {
            _ if data.contains("\"replacement\"") => "usage.amended",
            _ if data.contains("\"of\"") => "usage.cancelled",
            _ => "e",
        };
        let mut hasher = DefaultHasher::new();
        (id, time, subject, subscription, data).hash(&mut hasher);
        let mut tape = Tape::default();
        let record = UsageRecord {
            id: id.into(),
            source: "s".into(),
            event_type: event_type.into(),
            subject: subject.into(),
            subscription: (!subscription.is_empty()).then_some(subscription.into()),
            used_at: instant(time),
            time_fault: None,
            data: Some(tape.parse(data.as_bytes()).unwrap()),
            content_digest: hasher.finish(),
        };
        let verdict = self.partition().apply(&record, &received).unwrap();
        if matches!(verdict, Verdict::Rejected(_)) {
            // The lines of those that were admitted are to be the same without it.
            self.line -= 1;
        }
        verdict
    }

    /// From here on, what was used before a day is too late.
    pub(super) fn forbid_before(&mut self, day: &str) {
        self.clock.oldest = Some(instant(day));
    }

    pub(super) fn close(&mut self, day: &str) {
        let until = instant(day);
        let port = self.port.as_mut().unwrap();
        self.partition.as_mut().unwrap().close(|_| until, port).unwrap();
    }

    pub(super) fn rate(&mut self, records: &[Told]) {
        for told in records {
            let verdict = self.apply(*told);
            assert!(matches!(verdict, Verdict::Rated(_)), "{told:?}: {verdict:?}");
        }
    }

    /// Commits; gives the totals as lines.
    pub(super) fn totals(&mut self) -> String {
        self.commit();
        let mut lines = String::new();
        let query = self.partition().query();
        query
            .totals(|total| {
                total.write_line(&mut lines);
                Ok::<(), Error>(())
            })
            .unwrap();
        lines
    }

    /// Commits; gives all that the store holds but for counters and positions in sources.
    pub(super) fn bytes(&mut self) -> Bytes {
        self.commit();
        let mut bytes = Bytes::new();
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
            let mut note = |key: &[u8], value: &[u8]| {
                bytes.insert((format!("{table:?}"), key.into()), value.into());
                Ok(())
            };
            self.partition.as_ref().unwrap().store().scan(table, &mut note).unwrap();
        }
        bytes
    }

    /// Drops the rated lines, as if they were in another place than the store.
    pub(super) fn forget_rated(&mut self) {
        let mut delta = Delta::default();
        for (table, key) in self.bytes().into_keys() {
            if table == "Rated" {
                delta.delete(Table::Rated, &key);
            }
        }
        self.partition().store().write(&[&delta]).unwrap();
    }

    /// What explaining a charge finds wrong.
    pub(super) fn disagreements(&mut self, charge: &str) -> Vec<String> {
        self.commit();
        let explained = self.partition().explain("S", charge, "").unwrap();
        assert!(!explained.is_empty(), "there is something to explain of {charge}");
        let faults = |found: Explanation<'_>| found.disagreements;
        explained.into_iter().flat_map(faults).collect()
    }
}

fn instant(text: &str) -> Instant {
    let text = if text.contains('T') { format!("{text}Z") } else { format!("{text}T00:00:00Z") };
    Instant::parse(&text).unwrap()
}

/// A catalog of meters of several aggregations of records of type `e`, a plan `p` with these
/// versions, and a customer with these subscriptions of it.
pub(super) fn catalog(versions: &[(&str, &str)], subscriptions: &str) -> String {
    let versions = (1..).zip(versions).map(|(number, (from, charges))| {
        format!(
            r#"{{"key":"p","version":{number},"effective_from":"{from}T00:00:00Z",
                "currency":"USD","charges":[{charges}]}}"#
        )
    });
    let versions = versions.collect::<Vec<_>>().join(",");
    let meters = [
        ("sum", "\"sum\""),
        ("max", "\"max\""),
        ("latest", "\"latest\""),
        ("p50", r#"{"percentile":50}"#),
        ("unique", "\"unique_count\""),
        ("level", "\"time_weighted_sum\""),
    ];
    let meters = meters.map(|(key, aggregation)| {
        let negative = if ["sum", "level"].contains(&key) { "accept" } else { "reject" };
        format!(
            r#"{{"key":"{key}","event_type":"e","aggregation":{aggregation},"value":"$.n",
                "negative":"{negative}","group_by":{{"region":"$.region"}}}}"#
        )
    });
    let meters = meters.join(",");
    format!(
        r#"{{"meters":[{meters}],
            "plans":[{versions}],"customers":[{{"id":"C"}}],"subscriptions":[{subscriptions}]}}"#
    )
}
