//! Entries of the catalog's topic: which are wanted, which are in force.
//!
//! A key is the kind of entry, its name and, for a plan, its version, with `/` between them and
//! everything but letters, digits, `.`, `_` and `-` escaped as `%2F` is: `customer/CUS-7`,
//! `plan/pro/2`. The value is the entry as it stands in `catalog.json`; an empty one takes it away.
//!
//! What is in force stands in the topic, too, under `in_force/` and the entry's key; a record with
//! the key `in_force` marks the end of each decision. So an entry that does not fit, and what it
//! was to replace, are the same to everybody, after a restart and after compaction.

#[cfg(test)]
mod tests;

use super::catalog_judge::{Judge, Objection};
use super::limits::JUDGE_PASSES_MAX;
use crate::service::{CATALOG_BYTES_MAX, CatalogText};
use rating::Catalog;
use rating::json::{Tape, Value};
use std::collections::BTreeMap;

/// Kinds of entries, the lists that they stand in, and the fields that name them.
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("meter", "meters", &["key"]),
    ("plan", "plans", &["key", "version"]),
    ("customer", "customers", &["id"]),
    ("subscription", "subscriptions", &["id"]),
];
/// The key of the mark, and what the keys of entries in force begin with.
// Frozen: it stands in topics.
pub(super) const IN_FORCE: &str = "in_force";
/// A field of a catalog that is no list of entries.
const NO_ENTRY: &str = "strict_types";

/// Entries by key.
pub(super) type Texts = BTreeMap<String, String>;
/// An entry's key, and its text; `None` takes it away.
pub(super) type Change = (String, Option<String>);

/// An entry that is not in force, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    offset: u64,
    text: Option<String>,
}

/// What the topic holds.
#[derive(Debug, Default)]
pub(super) struct Entries {
    in_force: Texts,
    open: BTreeMap<String, Open>,
    /// Bytes of the open entries.
    open_bytes: usize,
    /// What the next mark puts in force.
    coming: Vec<Change>,
    /// Behind the last mark; 0 without one.
    position: u64,
    /// Whether anything has come since [`Entries::decide`].
    is_undecided: bool,
    /// Open entries that contradict what was rated, and why. Until something comes, they are not
    /// tried again: those that were put off would never have their turn.
    refused: Texts,
}

/// What became of the open entries.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// Those that come into force.
    pub(super) changes: Vec<Change>,
    /// What is in force with them; `None` where none of them fits.
    pub(super) catalog: Option<CatalogText>,
    /// Why the others do not, each with its key.
    pub(super) reasons: Vec<String>,
    /// Why some of the others were not tried, if so.
    pub(super) put_off: Option<String>,
}

impl Entries {
    /// Takes a record of the topic; whether it changed what is in force.
    ///
    /// # Errors
    /// What is wrong with a record that is no entry.
    pub(super) fn take(
        &mut self,
        offset: u64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<bool, String> {
        let key = std::str::from_utf8(key).map_err(|_| not_text("a key", offset))?;
        if key == IN_FORCE {
            self.position = offset + 1;
            return Ok(self.put_in_force());
        }
        let text = value.map(std::str::from_utf8).transpose();
        self.has_come();
        let text = text.map_err(|_| not_text(key, offset))?.map(str::to_owned);
        let decided = key.strip_prefix(IN_FORCE).and_then(|key| key.strip_prefix('/'));
        if let Some(entry) = decided {
            self.coming.push((entry.to_owned(), text));
            return Ok(false);
        }
        let kind = key.split('/').next().unwrap_or_default();
        if !KINDS.iter().any(|(known, ..)| *known == kind) || !key.contains('/') {
            return Err(format!(
                "\"{key}\" is not the key of a catalog entry, such as customer/CUS-7 or plan/pro/1"
            ));
        }
        self.note(key, Open { offset, text })?;
        Ok(false)
    }

    fn has_come(&mut self) {
        self.is_undecided = true;
        self.refused.clear();
    }

    fn note(&mut self, key: &str, open: Open) -> Result<(), String> {
        let length = |open: &Open| open.text.as_ref().map_or(0, String::len) + key.len();
        let before = self.open.remove(key);
        if let Some(before) = &before {
            self.open_bytes = self.open_bytes.saturating_sub(length(before));
        }
        // What it takes back may be about to come into force, decided about by somebody who has
        // not read it: then it is the last wish, and stays until the next mark. After compaction
        // that is all there is of what it takes back.
        let is_coming = || self.coming.iter().any(|(coming, _)| coming == key);
        let takes_back = open.text.is_none() || before.is_some() || is_coming();
        if self.in_force.get(key) == open.text.as_ref() && !takes_back {
            return Ok(());
        }
        let bytes = self.open_bytes + length(&open);
        if bytes > CATALOG_BYTES_MAX {
            return Err(format!("{key}: more than {CATALOG_BYTES_MAX} bytes of entries wait"));
        }
        self.open_bytes = bytes;
        self.open.insert(key.to_owned(), open);
        Ok(())
    }

    fn put_in_force(&mut self) -> bool {
        let coming = std::mem::take(&mut self.coming);
        let any = !coming.is_empty();
        if any {
            self.has_come();
        }
        for (key, text) in coming {
            match text {
                Some(text) => self.in_force.insert(key, text),
                None => self.in_force.remove(&key),
            };
        }
        // What was open and is in force now is no longer open. Who decides next has read it: who
        // takes the pen reads to a mark of its own.
        let (in_force, bytes) = (&self.in_force, &mut self.open_bytes);
        self.open.retain(|key, open| {
            let is_open = in_force.get(key) != open.text.as_ref();
            if !is_open {
                let length = open.text.as_ref().map_or(0, String::len) + key.len();
                *bytes = bytes.saturating_sub(length);
            }
            is_open
        });
        any
    }

    /// Up to where the topic made what is in force: the offset behind the last mark.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Whether anything has come since it was last decided about what is open.
    pub(super) const fn is_undecided(&self) -> bool {
        self.is_undecided
    }

    /// What is in force, as a catalog file.
    pub(super) fn document(&self) -> String {
        document(&self.in_force)
    }

    /// Which of the open entries fit what is in force, in the order in which they came, and each
    /// other: a subscription may come before its plan. `catalog` is what is in force; `objection`
    /// tells what else there is against one that would follow it.
    pub(super) fn decide(
        &mut self,
        catalog: &Catalog,
        objection: &mut dyn FnMut(&CatalogText) -> Option<Objection>,
    ) -> Decision {
        self.is_undecided = false;
        let mut decision = Decision::default();
        let mut left: Vec<(u64, Change)> = self
            .open
            .iter()
            .filter(|(key, open)| self.in_force.get(*key) != open.text.as_ref())
            .filter(|(key, _)| !self.refused.contains_key(*key))
            .map(|(key, open)| (open.offset, (key.clone(), open.text.clone())))
            .collect();
        left.sort_by_key(|(offset, _)| *offset);
        let mut left: Vec<Change> = left.into_iter().map(|(_, change)| change).collect();
        let mut judge = Judge::new(self.in_force.clone(), catalog, objection);
        // Again as long as one more fits: they may need each other. Those of further passes come
        // next time, for whatever comes into force is decided after.
        for _ in 0..JUDGE_PASSES_MAX {
            let before = left.len();
            if before == 0 || judge.put_off().is_some() {
                break;
            }
            decision.reasons.clear();
            let mut next = Vec::new();
            judge.add(left, (&mut next, &mut decision));
            left = next;
            if left.len() == before {
                break;
            }
        }
        let (refused, put_off) = judge.done();
        self.note_refused(refused, (left.as_slice(), put_off), &mut decision);
        decision
    }

    /// Tells of those that contradict what was rated, and of those left that were not tried.
    fn note_refused(
        &mut self,
        refused: Texts,
        (left, put_off): (&[Change], Option<String>),
        decision: &mut Decision,
    ) {
        if let Some(reason) = &put_off {
            let later = left.iter().filter(|(key, _)| !refused.contains_key(key)).count();
            decision.reasons.push(format!("{later} entries are tried later: {reason}"));
        }
        let told = self.refused.iter().chain(&refused);
        decision.reasons.extend(told.map(|(key, reason)| format!("{key}: {reason}")));
        decision.put_off = put_off;
        // Beside those that fit now they may be refused, and beside what comes of it not.
        if decision.changes.is_empty() {
            self.refused.extend(refused);
        }
    }

    /// What must change so that the entries of a catalog, and no others, are in force; and what
    /// the topic then holds that would still wait.
    pub(super) fn changes_to(&self, wanted: &Texts) -> Vec<Change> {
        let gone = self.in_force.keys().chain(self.open.keys());
        let gone = gone.filter(|key| !wanted.contains_key(*key));
        let mut changes: BTreeMap<&String, Option<&String>> = gone.map(|key| (key, None)).collect();
        for (key, text) in wanted {
            if self.in_force.get(key) != Some(text) || self.open.contains_key(key) {
                changes.insert(key, Some(text));
            }
        }
        changes.into_iter().map(|(key, text)| (key.clone(), text.cloned())).collect()
    }
}

fn not_text(what: &str, offset: u64) -> String {
    format!("{what} of the record at offset {offset} is not UTF-8")
}

/// The entries as a catalog file.
pub(super) fn document(entries: &Texts) -> String {
    let lists: Vec<String> = KINDS
        .iter()
        .map(|(kind, list, _)| {
            let own = entries.iter().filter(|(key, _)| key.split('/').next() == Some(kind));
            let values: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
            format!("\"{list}\":[{}]", values.join(",\n"))
        })
        .collect();
    format!("{{{}}}\n", lists.join(",\n"))
}

/// The entries of a catalog file without faults.
///
/// # Errors
/// What the topic has no entry for.
pub(super) fn entries_of(catalog: &[u8]) -> Result<Texts, String> {
    let mut tape = Tape::default();
    let text = rating::fault::without_mark(catalog);
    let document = tape.parse(text).map_err(|malformed| malformed.reason.to_owned())?;
    if document.get(NO_ENTRY).is_some_and(|value| value.raw() == "true") {
        return Err(format!(
            "{NO_ENTRY} has no entry in kafka.topics.catalog; take the catalog from a file"
        ));
    }
    let mut texts = Texts::new();
    for (kind, list, names) in KINDS {
        for entry in document.get(list).iter().flat_map(Value::elements) {
            let mut key = kind.to_owned();
            for name in names {
                push_part(&mut key, entry.get(name));
            }
            // A subscription that ends and goes on on other terms has several entries.
            if texts.contains_key(&key) {
                push_part(&mut key, entry.get("start"));
            }
            if texts.insert(key, entry.raw().to_owned()).is_some() {
                return Err(format!("two entries of \"{list}\" have the same name and start"));
            }
        }
    }
    Ok(texts)
}

/// Appends a part of a key, escaped.
fn push_part(key: &mut String, part: Option<Value<'_>>) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or_default();
    let text = part.and_then(|part| part.as_decimal_text()).unwrap_or_default();
    key.push('/');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            key.push(char::from(byte));
        } else {
            key.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
