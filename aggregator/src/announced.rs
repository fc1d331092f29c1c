//! Announced snapshots: copies of a store that its state log tells of.
//!
//! The list of the last ones is a value of the store like any other. So it comes with a commit,
//! every copy of the store agrees on it, and following the log brings it back.

use crate::codec::{Reader, put_text};
use crate::error::Error;
use crate::limits::ANNOUNCED_MAX;
use crate::state_log::LogPosition;

const DAMAGED: Error = Error::Damaged { what: "list of snapshots" };

/// A snapshot that a committed transaction told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its name where snapshots are kept.
    pub name: String,
    /// The last group of the log that it holds.
    pub position: LogPosition,
}

// Frozen: the bytes of the list, older first.
pub(crate) fn encode(list: &[Announced]) -> Vec<u8> {
    let mut out = Vec::new();
    for announced in list {
        put_text(&mut out, &announced.name);
        out.extend_from_slice(&announced.position.encode());
    }
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Announced>, Error> {
    let mut reader = Reader::new(bytes);
    let mut list = Vec::new();
    while !reader.is_empty() {
        let name = reader.text().ok_or(DAMAGED)?.to_owned();
        let position = reader.take(LogPosition::BYTES).and_then(LogPosition::decode);
        list.push(Announced { name, position: position.ok_or(DAMAGED)? });
    }
    Ok(list)
}

/// The list with one more; the oldest go.
pub(crate) fn with(mut list: Vec<Announced>, newer: Announced) -> Vec<Announced> {
    list.push(newer);
    let surplus = list.len().saturating_sub(ANNOUNCED_MAX);
    list.split_off(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(sequence: u64) -> Announced {
        let position = LogPosition { sequence, digest: 7, offset: sequence * 3 };
        Announced { name: format!("snapshot-{sequence}"), position }
    }

    #[test]
    fn the_last_two_are_kept_and_read_back() {
        let list = with(with(with(Vec::new(), numbered(1)), numbered(2)), numbered(3));
        assert_eq!(list, [numbered(2), numbered(3)]);
        assert_eq!(decode(&encode(&list)).unwrap(), list);
        assert_eq!(decode(b"").unwrap(), []);
        let bytes = encode(&list);
        for length in [1, 12, bytes.len() - 1] {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
