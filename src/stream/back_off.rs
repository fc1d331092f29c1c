//! The back-off between two tries to ask partitions about a catalog that could not be asked.
//!
//! Reasons name addresses and may take turns, so it grows whatever the reason is.

use super::limits::REASONS_TOLD_MAX;
use crate::clock::Stopwatch;
use std::collections::BTreeSet;
use std::time::Duration;

/// The first wait, and the longest.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(16);

/// How long it is waited since something was in vain.
#[derive(Debug)]
pub(super) struct BackOff {
    since: Stopwatch,
    wait: Duration,
    /// Why, as far as it was told.
    told: BTreeSet<String>,
}

impl BackOff {
    /// Waits longer than before, for a reason that is told when it is new.
    pub(super) fn again(before: Option<Self>, reason: String) -> Self {
        let (wait, mut told) = match before {
            Some(Self { wait, told, .. }) => ((wait * 2).min(WAIT_MAX), told),
            None => (WAIT, BTreeSet::new()),
        };
        if !told.contains(&reason) {
            tracing::warn!("kafka.topics.catalog: entries wait: {reason}");
            // Told twice is better than held for ever.
            if told.len() >= REASONS_TOLD_MAX {
                told.clear();
            }
            told.insert(reason);
        }
        Self { since: Stopwatch::start(), wait, told }
    }

    /// Whether it is too early to try again.
    pub(super) fn lasts(&self) -> bool {
        self.since.elapsed() < self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reasons that took turns had everybody asked every second, and were told each time.
    #[test]
    fn it_grows_whatever_the_reason() {
        let (mut back_off, mut waits) = (None, Vec::new());
        for reason in ["a", "b", "a", "b", "c", "a"] {
            let again = BackOff::again(back_off.take(), reason.to_owned());
            waits.push(again.wait.as_secs());
            back_off = Some(again);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 16]);
        assert_eq!(back_off.unwrap().told.len(), 3);
    }
}
