//! Refusals: counting them, and the words for what waited in vain or came too late.

use super::Partition;
use crate::counters::RejectedByCode;
use crate::waiting::{Cause, Waiting};
use rating::{Code, Instant, Rejection};

impl Partition {
    /// Refused records by code, those since the last commit included.
    #[must_use]
    pub const fn rejected(&self) -> &RejectedByCode {
        &self.rejected
    }

    /// Counts a refused record and keeps its dead letter, one line of JSON.
    pub fn reject(&mut self, code: Code, dead_letter: &str) {
        self.rejected.count(code);
        self.taken += 1;
        self.counters.read += 1;
        self.counters.rejected += 1;
        self.transaction.outputs.rejected.push_str(dead_letter);
    }
}

/// A record that waited in vain.
pub(super) fn gave_up(waiting: Waiting) -> (Waiting, Rejection) {
    let rejection = match &waiting.cause {
        Cause::Subject(name) => {
            let message = format!("\"{name}\" did not come into the catalog in time");
            Rejection::new(Code::UnknownSubject, message)
        }
        Cause::Target(_) => {
            let message = "the record to correct did not come, or is of another customer";
            Rejection::new(Code::UnknownReference, message)
        }
    };
    (waiting, rejection)
}

pub(super) fn too_old(used_at: Instant, oldest: Option<Instant>) -> Rejection {
    let oldest = oldest.unwrap_or(Instant::MIN);
    let message = format!("{used_at} lies before {oldest}: its period is closed for good");
    Rejection::new(Code::LateClosed, message)
}
