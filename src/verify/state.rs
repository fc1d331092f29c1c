//! The proof over a state of embedded mode: its outputs against each other and its counters.
//!
//! Records that came by HTTP are not kept in one piece, so what is proved is what became of them:
//! every line and dead letter is there once, every total is the sum of its lines, and the counters
//! balance and count these very lines. The state is opened as `explain` opens it; from there on
//! nothing is taken from it but bytes and counters.

use super::finding::Kind;
use super::{Audit, Facts, Place, Question, Report, Written};
use crate::failure::Failure;
use crate::rating_run::RatingRun;
use aggregator::PeriodTotal;

/// Proves that a state's outputs agree with each other and with its counters.
pub(crate) fn verify_state(facts: Facts, run: &RatingRun) -> Result<Report, Failure> {
    let question = Question {
        written: Written::All,
        has_input: false,
        begins_late: false,
        outputs_begin_late: false,
        subjects_may_wait: true,
    };
    let mut audit = Audit::new(facts, question);
    let query = run.partition().query();
    let mut rejected = Numbered::new(&mut audit, "rejected");
    query.rejected(|lines| rejected.each(&mut audit, lines, Audit::letter))?;
    let mut rated = Numbered::new(&mut audit, "rated");
    query.rated(|lines| rated.each(&mut audit, lines, Audit::rated))?;
    let mut totals = Numbered::new(&mut audit, "totals");
    let mut text = String::new();
    query.totals(|total: &PeriodTotal<'_>| {
        text.clear();
        total.write_line(&mut text);
        totals.each(&mut audit, text.as_bytes(), Audit::total)
    })?;
    check_counters(&mut audit, run, rejected.number);
    Ok(audit.finish())
}

/// The lines of one output, numbered from one as `rate` would write them to a file.
struct Numbered {
    name: &'static str,
    number: u64,
}

impl Numbered {
    fn new(audit: &mut Audit, name: &'static str) -> Self {
        // There are three logs, which always have numbers.
        _ = audit.file(name, false);
        Self { name, number: 0 }
    }

    fn each(
        &mut self,
        audit: &mut Audit,
        lines: &[u8],
        take: fn(&mut Audit, Place, &[u8]),
    ) -> Result<(), Failure> {
        let Some(log) = audit.file(self.name, false) else {
            return Err(Failure::Usage("so many outputs cannot be told apart".to_owned()));
        };
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.number += 1;
            take(audit, Place::new(log, self.number), line);
        }
        Ok(())
    }
}

fn check_counters(audit: &mut Audit, run: &RatingRun, letters: u64) {
    let counters = *run.partition().counters();
    if !counters.balanced() {
        audit.note(Kind::Counters, || format!("counters: they do not balance: {counters:?}"));
    }
    let lines = audit.records.with_lines();
    let rows = [
        ("records rated to a line or more", counters.rated.checked_sub(counters.unpriced), lines),
        ("records rejected", Some(counters.rejected), letters),
    ];
    for (what, counted, found) in rows {
        if counted != Some(found) {
            let counted = counted.map_or_else(|| "fewer than none".to_owned(), |n| n.to_string());
            audit.note(Kind::Counters, || {
                format!("counters: {what}: {counted}, but the outputs have {found}")
            });
        }
    }
}
