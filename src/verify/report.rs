//! The report: what was read, where it went, and what contradicts the promise.

use super::finding::Findings;
use super::limits::NOTICES_MAX;
use super::records::Outcomes;
use super::{Audit, Written};
use std::fmt::Write as _;

/// How a proof ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// What was read and where it went, as lines for a person.
    pub(crate) summary: String,
    /// What is wrong; none if the proof holds.
    pub(crate) findings: Findings,
}

impl Report {
    pub(super) fn of(audit: Audit) -> Self {
        let Audit { cx, records, totals, lines_count, without_record, notes, .. } = audit;
        let mut summary = String::new();
        let mut all = Outcomes::default();
        // Writing to a string cannot fail.
        for (log, outcomes) in &records.outcomes {
            all = all.plus(*outcomes);
            if records.outcomes.len() > 1 {
                _ = writeln!(summary, "{}: {}", cx.logs.name(*log), told(outcomes));
            }
        }
        if cx.asked.has_input {
            _ = writeln!(summary, "{}", told(&all));
        }
        let (known, written, closed) = totals.counts();
        let letters = records.letters.len();
        _ = writeln!(
            summary,
            "{lines_count} rated line{}, {letters} dead letter{}, {written} total{} \
             ({closed} closed)",
            plural(lines_count),
            plural(letters as u64),
            plural(written as u64)
        );
        let open = known.saturating_sub(written);
        if cx.asked.written == Written::Closed && open > 0 {
            _ = writeln!(
                summary,
                "{open} open total{} not written yet: of their lines the chain of quantities was \
                 checked, but no amount",
                plural(open as u64)
            );
        }
        let are_unpriced = cx.asked.written == Written::Closed && open > 0;
        if without_record > 0 {
            let of = "rated lines are of records that are no longer there";
            _ = writeln!(summary, "{without_record} {of}");
        }
        for note in notes {
            _ = writeln!(summary, "note: {note}");
        }
        for (first, second) in &records.shared {
            let (first, second) = (cx.logs.show(*first), cx.logs.show_beside(*second, *first));
            _ = writeln!(summary, "note: {first} and {second}: one id and source, two owners");
        }
        if records.shared_count > NOTICES_MAX as u64 {
            let count = records.shared_count;
            _ = writeln!(summary, "note: {count} ids are seen under two owners in all");
        }
        if cx.findings.is_empty() {
            summary.push_str(if cx.asked.outputs_begin_late {
                "nothing contradicts the promise, but outputs are gone: sums were not checked\n"
            } else if cx.asked.has_input && are_unpriced {
                "every record is accounted for once, and every sum that is written is exact\n"
            } else if cx.asked.has_input {
                "every record is accounted for once, and every sum is exact\n"
            } else {
                "every sum is exact, and every output is there once; the records themselves are \
                 not kept in this mode\n"
            });
        }
        Self { summary, findings: cx.findings }
    }
}

fn told(outcomes: &Outcomes) -> String {
    let Outcomes { read, rated, unpriced, duplicate, rejected, .. } = outcomes;
    let Outcomes { forwarded, waiting, unread, untold, .. } = outcomes;
    let mut out = format!("{read} record{} = {rated} rated", plural(*read));
    if *unpriced > 0 {
        _ = write!(out, " ({unpriced} of them to nothing)");
    }
    _ = write!(out, " + {duplicate} duplicate + {rejected} rejected + {forwarded} forwarded");
    _ = write!(out, " + {waiting} waiting");
    if *unread > 0 {
        _ = write!(out, " + {unread} not read yet");
    }
    if *untold > 0 {
        _ = write!(out, " + {untold} whose outputs are gone");
    }
    let known = rated + duplicate + rejected + forwarded + waiting + unread + untold;
    if known != *read {
        _ = write!(out, " + {} lost", read.saturating_sub(known));
    }
    out
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
