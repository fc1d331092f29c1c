//! Findings: what contradicts the promise, each with its place, counted by kind.

use super::limits::FINDINGS_MAX;
use std::collections::BTreeMap;
use std::fmt;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A record left nothing behind.
    Lost,
    /// What is no record has no dead letter.
    Unreadable,
    /// An identity has two contents, and none of them was refused.
    Conflict,
    /// Two dead letters name one place.
    RejectedTwice,
    /// A dead letter names a place where nothing is.
    LetterOfNothing,
    /// A dead letter does not hold the record of its place.
    LetterAltered,
    /// A rated line has no record.
    LineOfNothing,
    /// A record was rated twice in one total.
    RatedTwice,
    /// A record was rated by another partition than its own.
    WrongPartition,
    /// A message was forwarded, but not from any record.
    ForwardOfNothing,
    /// Lines stand that were cancelled, or do not that should.
    Standing,
    /// A total's usage amount is not P(0) and its rated amounts.
    Amount,
    /// A total's quantity is not the sum of its records'.
    Quantity,
    /// A total's count of records is not that of its lines.
    Records,
    /// A total's lineage is not that of its lines.
    Lineage,
    /// A total's first or last time is not that of its records.
    Times,
    /// A line does not begin where the one before it ended.
    Chain,
    /// Lines have no total.
    TotalMissing,
    /// A total is written twice.
    TotalTwice,
    /// An output cannot be read.
    Damaged,
    /// The state's counters are not what its outputs say.
    Counters,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unreadable => "unreadable without a dead letter",
            Self::Conflict => "conflict without a dead letter",
            Self::RejectedTwice => "rejected twice",
            Self::LetterOfNothing => "dead letter of nothing",
            Self::LetterAltered => "dead letter of something else",
            Self::LineOfNothing => "rated without a record",
            Self::RatedTwice => "rated twice",
            Self::WrongPartition => "rated by another partition",
            Self::ForwardOfNothing => "forwarded without a record",
            Self::Standing => "correction not in force",
            Self::Amount => "wrong usage amount",
            Self::Quantity => "wrong quantity",
            Self::Records => "wrong count of records",
            Self::Lineage => "wrong lineage",
            Self::Times => "wrong first or last time",
            Self::Chain => "broken chain of totals",
            Self::TotalMissing => "missing total",
            Self::TotalTwice => "total written twice",
            Self::Damaged => "unreadable output",
            Self::Counters => "wrong counters",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All findings; only the first ones are kept in words.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    lines: Vec<String>,
    counts: BTreeMap<Kind, u64>,
}

impl Findings {
    /// Notes one; `told` says it with its place, `usage.raw[3]@1204: …`.
    pub(super) fn add(&mut self, kind: Kind, told: impl FnOnce() -> String) {
        *self.counts.entry(kind).or_default() += 1;
        if self.lines.len() < FINDINGS_MAX {
            self.lines.push(told());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    #[cfg(test)]
    pub(super) fn of_kind(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// One line for each that was kept, and the counts of all.
    pub(crate) fn into_lines(self) -> Vec<String> {
        let Self { mut lines, counts } = self;
        let total: u64 = counts.values().sum();
        let hidden = total.saturating_sub(lines.len() as u64);
        if hidden > 0 {
            lines.push(format!("and {hidden} more"));
        }
        let counts: Vec<String> =
            counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let plural = if total == 1 { "" } else { "s" };
        lines.push(format!("{total} finding{plural}: {}", counts.join(", ")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_told_and_all_are_counted() {
        let mut findings = Findings::default();
        for number in 0..FINDINGS_MAX + 2 {
            let kind = if number == 0 { Kind::Chain } else { Kind::Lost };
            findings.add(kind, || format!("u:{number}: no"));
        }
        let lines = findings.into_lines();
        assert_eq!(lines.len(), FINDINGS_MAX + 2);
        assert_eq!(lines[FINDINGS_MAX], "and 2 more");
        assert_eq!(lines[FINDINGS_MAX + 1], "1002 findings: 1001 lost, 1 broken chain of totals");
    }
}
