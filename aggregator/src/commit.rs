//! The commit port: what becomes true at once, and who makes it so.
//!
//! A partition only ever describes a [`Transaction`]; it does not know what a commit is. Embedded,
//! a commit is one RocksDB batch with the write-ahead log. With Kafka, outputs, delta and position
//! go into one Kafka transaction, and only after its commit the delta into RocksDB.

use crate::error::Error;
use crate::limits::OUTPUT_CHUNK_BYTES_MAX;
use crate::store::Store;
use crate::tables::Table;
use std::ops::Range;

/// Final values to be put into the store, and keys to be deleted, in one run of bytes.
#[derive(Debug, Default, Clone)]
pub struct Delta {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where the key of a change is, and its value; `None` deletes it.
#[derive(Debug, Clone)]
struct Entry {
    table: Table,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl Delta {
    /// Notes a value.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let value = Some(middle..self.bytes.len());
        self.entries.push(Entry { table, key: start..middle, value });
    }

    /// Notes that a key is to be deleted.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.entries.push(Entry { table, key: start..self.bytes.len(), value: None });
    }

    /// Notes a value whose key and value `write` appends one after the other; it returns where
    /// the value begins.
    pub(crate) fn put_with(&mut self, table: Table, write: impl FnOnce(&mut Vec<u8>) -> usize) {
        let start = self.bytes.len();
        let middle = write(&mut self.bytes);
        let value = Some(middle..self.bytes.len());
        self.entries.push(Entry { table, key: start..middle, value });
    }

    /// All changes as (table, key, value); without a value the key is deleted.
    pub fn changes(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        let slice = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.entries
            .iter()
            .map(move |entry| (entry.table, slice(&entry.key), entry.value.as_ref().map(slice)))
    }

    /// Puts the values of each table in the order of their keys: RocksDB takes them faster so.
    pub(crate) fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |entry: &Entry| bytes.get(entry.key.clone()).unwrap_or_default();
        // The keys lie wherever they were written; the first bytes of each, kept together, tell
        // nearly all of them apart.
        let mut order: Vec<(u8, u128, usize)> = (self.entries.iter().enumerate())
            .map(|(index, entry)| (entry.table as u8, first_bytes(key(entry)), index))
            .collect();
        let rest = |index: usize| self.entries.get(index).map(key);
        order.sort_unstable_by(|a, b| {
            // Of several changes of one key the last must stay the last.
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| (rest(a.2), a.2).cmp(&(rest(b.2), b.2)))
        });
        let sorted = order.iter().filter_map(|(_, _, index)| self.entries.get(*index).cloned());
        self.entries = sorted.collect();
    }

    /// Adds all changes of another delta behind its own.
    pub(crate) fn append(&mut self, other: &Self) {
        for (table, key, value) in other.changes() {
            match value {
                Some(value) => self.put(table, key, value),
                None => self.delete(table, key),
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}

/// The beginning of a key as a number that sorts as the key does; a shorter key is filled up with
/// zeros, so that equal numbers say nothing yet.
fn first_bytes(key: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = key.len().min(first.len());
    if let (Some(to), Some(from)) = (first.get_mut(..length), key.get(..length)) {
        to.copy_from_slice(from);
    }
    u128::from_be_bytes(first)
}

/// Lines that leave the partition with a commit.
#[derive(Debug, Default, Clone)]
pub struct Outputs {
    /// Rated usage, one line of JSON each.
    pub rated: String,
    /// Dead letters, one line of JSON each.
    pub rejected: String,
    /// Closed totals that changed: the key of each, and a line of JSON.
    pub totals: Vec<(String, String)>,
}

impl Outputs {
    pub(crate) const fn bytes(&self) -> usize {
        self.rated.len() + self.rejected.len()
    }

    pub(crate) fn clear(&mut self) {
        self.rated.clear();
        self.rejected.clear();
        self.totals.clear();
    }
}

/// Everything that one commit makes true.
#[derive(Debug, Default)]
pub struct Transaction {
    /// What changes in the store, counters and source positions included.
    pub delta: Delta,
    /// What leaves the partition.
    pub outputs: Outputs,
}

/// Makes transactions durable, whole or not at all.
pub trait CommitPort {
    /// Commits; on an error nothing of the transaction may be visible, now or later.
    ///
    /// # Errors
    /// Whatever stood in the way. The partition must then be opened anew.
    fn commit(&mut self, store: &Store, transaction: &Transaction) -> Result<(), Error>;
}

/// Embedded mode: outputs are rows of the store, and one batch with its log is the transaction.
#[derive(Debug)]
pub struct Embedded {
    next_rated: u64,
    next_rejected: u64,
}

impl Embedded {
    /// Goes on behind the outputs that `store` holds.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Damaged`] if they cannot be read.
    pub fn new(store: &Store) -> Result<Self, Error> {
        let next = |table| -> Result<u64, Error> {
            let Some(key) = store.last_key(table)? else { return Ok(0) };
            let number: [u8; 8] =
                key.as_ref().try_into().map_err(|_| Error::Damaged { what: "output number" })?;
            Ok(u64::from_be_bytes(number) + 1)
        };
        Ok(Self { next_rated: next(Table::Rated)?, next_rejected: next(Table::Rejected)? })
    }
}

impl CommitPort for Embedded {
    fn commit(&mut self, store: &Store, transaction: &Transaction) -> Result<(), Error> {
        let mut rows = Delta::default();
        let outputs = &transaction.outputs;
        let next_rated = put_chunks(&mut rows, Table::Rated, self.next_rated, &outputs.rated);
        let next_rejected =
            put_chunks(&mut rows, Table::Rejected, self.next_rejected, &outputs.rejected);
        store.write(&[&transaction.delta, &rows])?;
        (self.next_rated, self.next_rejected) = (next_rated, next_rejected);
        Ok(())
    }
}

/// Cuts lines into compressed chunks; gives the number of the next one.
fn put_chunks(rows: &mut Delta, table: Table, first: u64, lines: &str) -> u64 {
    let mut number = first;
    let mut rest = lines;
    while !rest.is_empty() {
        let (chunk, after) = split_at_line(rest, OUTPUT_CHUNK_BYTES_MAX);
        let packed = lz4_flex::compress_prepend_size(chunk.as_bytes());
        rows.put(table, &number.to_be_bytes(), &packed);
        number += 1;
        rest = after;
    }
    number
}

/// Splits behind the last line that ends within `bytes_max`, or behind the first line.
fn split_at_line(lines: &str, bytes_max: usize) -> (&str, &str) {
    let bytes = lines.as_bytes();
    let window = bytes.get(..bytes_max.min(bytes.len())).unwrap_or_default();
    let end = window.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
    let end = end.or_else(|| bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1));
    lines.split_at_checked(end.unwrap_or(lines.len())).unwrap_or((lines, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_whole_lines() {
        assert_eq!(split_at_line("ab\ncd\nef\n", 7), ("ab\ncd\n", "ef\n"));
        assert_eq!(split_at_line("ab\ncd\n", 6), ("ab\ncd\n", ""));
        assert_eq!(split_at_line("abcdef\ngh\n", 3), ("abcdef\n", "gh\n"));
        assert_eq!(split_at_line("abc", 2), ("abc", ""));
    }

    #[test]
    fn sorting_keeps_keys_with_their_values() {
        let mut delta = Delta::default();
        delta.put(Table::Ids, b"b", b"2");
        delta.put(Table::Ids, b"a", b"1");
        delta.put(Table::Meta, b"z", b"3");
        delta.sort();
        delta.delete(Table::Ids, b"b");
        delta.sort();
        let found: Vec<_> = delta.changes().collect();
        assert_eq!(
            found,
            [
                (Table::Meta, &b"z"[..], Some(&b"3"[..])),
                (Table::Ids, b"a", Some(b"1")),
                (Table::Ids, b"b", Some(b"2")),
                (Table::Ids, b"b", None)
            ]
        );
    }
}
