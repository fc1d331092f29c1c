//! Dead letters: what was refused, where it stood, and why, with its original bytes.

use crate::limits::TOO_LARGE_BYTES_KEPT;
use base64::Engine as _;
use rating::{Rejection, json};
use std::fmt::Write as _;

/// Where a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A line of a file; `-` is standard input.
    File {
        /// As it was named on the command line.
        file: &'a str,
        /// From 1.
        line: u64,
    },
    /// A record of a log.
    Log {
        /// Its topic.
        topic: &'a str,
        /// Its partition.
        partition: u32,
        /// Its offset.
        offset: u64,
    },
}

/// A refused record.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// Why it was refused.
    pub rejection: &'a Rejection,
    /// Where it stood.
    pub place: Place<'a>,
    /// Its original bytes, or as many of them as were kept.
    pub record: &'a [u8],
    /// How many bytes it had.
    pub record_bytes: u64,
    /// Whether only its first bytes are written, though all are there: where a letter would be too
    /// large to be sent.
    pub is_cut: bool,
}

impl DeadLetter<'_> {
    /// Appends the letter as one line of JSON, with its end.
    pub fn write_line(&self, out: &mut String) {
        let kept = &self.record.get(..TOO_LARGE_BYTES_KEPT).filter(|_| self.is_cut());
        let record = kept.unwrap_or(self.record);
        out.push_str("{\"code\":\"");
        out.push_str(self.rejection.code.name());
        out.push_str("\",\"reason\":");
        json::write_string(out, &self.rejection.reason);
        // Writing to a string cannot fail.
        match self.place {
            Place::File { file, line } => {
                out.push_str(",\"source\":{\"file\":");
                json::write_string(out, file);
                _ = write!(out, ",\"line\":{line}}},\"record\":");
            }
            Place::Log { topic, partition, offset } => {
                out.push_str(",\"source\":{\"topic\":");
                json::write_string(out, topic);
                _ = write!(out, ",\"partition\":{partition},\"offset\":{offset}}},\"record\":");
            }
        }
        match text_of(record, self.is_cut()) {
            Some(text) => json::write_string(out, text),
            None => {
                out.push('"');
                base64::engine::general_purpose::STANDARD.encode_string(record, out);
                out.push_str("\",\"encoding\":\"base64\"");
            }
        }
        if self.is_cut() {
            _ = write!(out, ",\"truncated\":true,\"record_bytes\":{}", self.record_bytes);
        }
        out.push_str("}\n");
    }

    const fn is_cut(&self) -> bool {
        self.is_cut || self.record_bytes > crate::limits::RECORD_BYTES_MAX as u64
    }
}

/// The record as text, if it is; a cut may have split its last character.
fn text_of(record: &[u8], cut: bool) -> Option<&str> {
    match std::str::from_utf8(record) {
        Ok(text) => Some(text),
        Err(error) if cut && error.error_len().is_none() => {
            record.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok())
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::Code;

    #[track_caller]
    fn check(record: &[u8], wanted: &str) {
        let rejection = Rejection::new(Code::MalformedJson, "no");
        let place = Place::File { file: "u.ndjson", line: 3 };
        let record_bytes = record.len() as u64;
        let mut out = String::new();
        DeadLetter { rejection: &rejection, place, record, record_bytes, is_cut: false }
            .write_line(&mut out);
        let parsed: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(parsed["source"]["line"], 3);
        assert_eq!(parsed["code"], "malformed_json");
        assert_eq!(parsed["record"], wanted);
    }

    #[test]
    fn the_original_bytes_survive() {
        check(b"{\"a\":\t\"\\u0000\"}\x01", "{\"a\":\t\"\\u0000\"}\u{1}");
        check(b"\xff\x00", "/wA=");
        check("ü".as_bytes(), "ü");
        check(b"", "");
    }
}
