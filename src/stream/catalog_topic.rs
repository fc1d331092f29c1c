//! The catalog from its topic: entries by key, the last of each in force, put together into one
//! catalog whenever some came.
//!
//! A key is the kind of entry, its name and, for a plan, its version, with `/` between them and
//! everything but letters, digits, `.`, `_` and `-` escaped as `%2F` is: `customer/CUS-7`,
//! `plan/pro/2`. The value is the entry as it stands in `catalog.json`; an empty one takes it away.
//! An entry that does not fit the others waits, and is tried again with each that comes: a
//! subscription may come before its plan. What is in force is not held back by it.

use super::kafka::EntryReader;
use super::supervisor::Directory;
use super::worker::Command;
use crate::service::{CatalogText, Desk};
use axum::body::Bytes;
use rating::Catalog;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The time between two tries to read.
const PAUSE: Duration = Duration::from_secs(1);
/// After so long without a further entry, those that came are put together.
const QUIET: Duration = Duration::from_millis(100);

/// The catalog in force, and how much of its topic made it.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// How many records of the topic have been read; `None` where the catalog is a file.
    pub position: Option<u64>,
    /// Whether it is there: a topic must have been read to its end first.
    pub is_known: bool,
}

/// Where everybody finds the catalog in force.
#[derive(Debug)]
pub(crate) struct CatalogBoard(Mutex<InForce>);

impl CatalogBoard {
    pub(crate) const fn new(first: InForce) -> Self {
        Self(Mutex::new(first))
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, newer: InForce) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = newer;
    }
}

/// Kinds of entries, and the lists that they stand in.
const KINDS: [(&str, &str); 4] = [
    ("meter", "meters"),
    ("plan", "plans"),
    ("customer", "customers"),
    ("subscription", "subscriptions"),
];

/// Entries of the topic.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Those that make the catalog in force.
    good: BTreeMap<String, String>,
    /// Those that do not fit it yet; `None` takes an entry away.
    waiting: Waiting,
}

/// Entries by key; `None` takes one away.
type Waiting = BTreeMap<String, Option<String>>;

/// A catalog and its text.
type Made = (Catalog, String);

impl Entries {
    /// Takes a record of the topic.
    ///
    /// # Errors
    /// What is wrong with its key.
    pub(super) fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let kind = key.split('/').next().unwrap_or_default();
        if !KINDS.iter().any(|(known, _)| *known == kind) || !key.contains('/') {
            return Err(format!(
                "\"{key}\" is not the key of a catalog entry, such as customer/CUS-7 or plan/pro/1"
            ));
        }
        self.waiting.insert(key.to_owned(), value.map(str::to_owned));
        Ok(())
    }

    /// The catalog of all entries that fit together, if some came since the last; and the reasons
    /// of those that do not.
    pub(super) fn put_together(&mut self) -> (Option<(Catalog, String)>, Vec<String>) {
        if self.waiting.is_empty() {
            return (None, Vec::new());
        }
        let mut left = std::mem::take(&mut self.waiting);
        let (mut made, mut reasons) = (None, Vec::new());
        // Again as long as one more fits: they may need each other.
        loop {
            let before = left.len();
            reasons.clear();
            let mut next = BTreeMap::new();
            self.add(left, (&mut made, &mut next, &mut reasons));
            left = next;
            if left.is_empty() || left.len() == before {
                self.waiting = left;
                return (made, reasons);
            }
        }
    }

    /// Takes over all entries that fit, by halves: a few that do not cost a few readings.
    fn add(
        &mut self,
        mut entries: Waiting,
        (made, left, reasons): (&mut Option<Made>, &mut Waiting, &mut Vec<String>),
    ) {
        match self.try_with(&entries) {
            Ok(catalog) => *made = Some(catalog),
            Err(reason) if entries.len() == 1 => {
                reasons.extend(entries.keys().map(|key| format!("{key}: {reason}")));
                left.append(&mut entries);
            }
            Err(_) => {
                let middle = entries.keys().nth(entries.len() / 2).cloned().unwrap_or_default();
                let second = entries.split_off(&middle);
                self.add(entries, (made, left, reasons));
                self.add(second, (made, left, reasons));
            }
        }
    }

    /// Takes over entries if they fit.
    fn try_with(
        &mut self,
        entries: &BTreeMap<String, Option<String>>,
    ) -> Result<(Catalog, String), String> {
        let mut candidate = self.good.clone();
        for (key, value) in entries {
            match value {
                Some(value) => candidate.insert(key.clone(), value.clone()),
                None => candidate.remove(key),
            };
        }
        let text = document(&candidate);
        match Catalog::parse(text.as_bytes()) {
            Ok(catalog) => {
                self.good = candidate;
                Ok((catalog, text))
            }
            Err(faults) => Err(faults.first().map(ToString::to_string).unwrap_or_default()),
        }
    }
}

/// The entries as a catalog file.
fn document(entries: &BTreeMap<String, String>) -> String {
    let lists: Vec<String> = KINDS
        .iter()
        .map(|(kind, list)| {
            let own = entries.iter().filter(|(key, _)| key.split('/').next() == Some(kind));
            let values: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
            format!("\"{list}\":[{}]", values.join(",\n"))
        })
        .collect();
    format!("{{{}}}\n", lists.join(",\n"))
}

/// Reads the topic for as long as the service lives, and tells everybody of each new catalog. While
/// it cannot be read, the catalog in force stays.
pub(super) fn follow(
    reader: &EntryReader,
    (board, directory, desk): (&CatalogBoard, &Directory, &Desk),
    is_ending: &AtomicBool,
) {
    let mut entries = Entries::default();
    let mut has_told = false;
    while !is_ending.load(Ordering::SeqCst) {
        let mut came = false;
        loop {
            let (key, value) = match reader.next(QUIET) {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("kafka.topics.catalog: {error}; trying again");
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            came = true;
            if let Err(reason) = entries.take(&key, value.as_deref()) {
                tracing::error!("kafka.topics.catalog: {reason}");
            }
        }
        if !came && has_told || !reader.has_read_all() {
            continue;
        }
        let (made, reasons) = entries.put_together();
        for reason in reasons {
            tracing::warn!("kafka.topics.catalog: not in force yet: {reason}");
        }
        let position = Some(reader.position());
        let catalog = match made {
            Some((catalog, text)) => {
                let catalog = Arc::new(catalog);
                let text = Bytes::from(text);
                desk.show_catalog(Some(CatalogText { catalog: Arc::clone(&catalog), text }));
                catalog
            }
            None => board.in_force().catalog,
        };
        has_told = true;
        let newer = InForce { catalog, position, is_known: true };
        board.set(newer.clone());
        for partition in directory.held() {
            // A worker that is not there any more needs none.
            _ = directory.send(partition, Command::Catalog(newer.clone()));
        }
        tracing::info!("the catalog is in force up to record {}", reader.position());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METER: (&str, &str) =
        ("meter/calls", r#"{"key":"calls","event_type":"t","aggregation":"count"}"#);
    const PLAN: (&str, &str) = (
        "plan/pro/1",
        r#"{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
            "charges":[{"key":"c","meter":"calls",
                "price":{"model":"per_unit","unit_price":"1"}}]}"#,
    );
    const CUSTOMER: (&str, &str) = ("customer/C", r#"{"id":"C","time_zone":"UTC"}"#);
    const SUBSCRIPTION: (&str, &str) = (
        "subscription/S",
        r#"{"id":"S","customer":"C","plan":"pro","start":"2026-01-01","end":null}"#,
    );

    fn take(entries: &mut Entries, (key, value): (&str, &str)) {
        entries.take(key, Some(value)).unwrap();
    }

    #[test]
    fn entries_in_any_order_make_a_catalog() {
        let mut entries = Entries::default();
        take(&mut entries, SUBSCRIPTION);
        let (made, reasons) = entries.put_together();
        assert!(made.is_none() && reasons.len() == 1, "{reasons:?}");
        for entry in [PLAN, METER, CUSTOMER] {
            take(&mut entries, entry);
        }
        let (made, reasons) = entries.put_together();
        assert_eq!(reasons, [""; 0]);
        assert_eq!(made.unwrap().0.subscriptions().len(), 1);
        assert!(entries.put_together().0.is_none(), "nothing came since");
    }

    #[test]
    fn what_does_not_fit_holds_nothing_back() {
        let mut entries = Entries::default();
        for entry in [METER, PLAN, CUSTOMER, SUBSCRIPTION, ("customer/D", "{\"id\":7}")] {
            take(&mut entries, entry);
        }
        let (made, reasons) = entries.put_together();
        assert_eq!(made.unwrap().0.subscriptions().len(), 1);
        assert!(reasons.len() == 1 && reasons[0].starts_with("customer/D: "), "{reasons:?}");
        take(&mut entries, ("customer/D", "{\"id\":\"D\",\"time_zone\":\"UTC\"}"));
        let (made, reasons) = entries.put_together();
        assert_eq!((made.unwrap().0.customers().len(), reasons.len()), (2, 0));
    }

    #[test]
    fn an_empty_value_takes_an_entry_away() {
        let mut entries = Entries::default();
        for entry in [METER, PLAN, CUSTOMER, SUBSCRIPTION] {
            take(&mut entries, entry);
        }
        entries.put_together().0.unwrap();
        entries.take("subscription/S", None).unwrap();
        assert_eq!(entries.put_together().0.unwrap().0.subscriptions().len(), 0);
        assert!(entries.take("invoice/1", None).unwrap_err().contains("invoice/1"));
    }
}
