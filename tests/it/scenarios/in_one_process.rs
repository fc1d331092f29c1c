//! Scenarios in one process: whatever lies between two closes is one commit.

use super::outcome::{self, Outcome};
use super::script::{Scenario, Step};
use aggregator::{Clock, Origin, Received, Verdict};
use ingest::{DeadLetter, Decoder, Place};
use rating::Instant;
use usage_rater::RatingRun;

/// What a record came to; amounts are known only once it is committed.
enum Judged {
    Rated(usize),
    Told(String),
}

/// Each record once.
pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let mut run = RatingRun::open(scenario.read_catalog(), directory.path()).unwrap();
    let mut judged = Vec::new();
    for step in &scenario.steps {
        match step {
            Step::Record { line, text } => judged.push(apply(&mut run, *line, text)),
            Step::Close(at) => close(&mut run, at),
        }
    }
    run.commit().unwrap();
    finish(&run, judged)
}

/// Each record twice in a row, and all of them once more at the end.
pub(crate) fn run_twice(scenario: &Scenario) -> Result<Outcome, String> {
    let directory = tempfile::tempdir().unwrap();
    let mut run = RatingRun::open(scenario.read_catalog(), directory.path()).unwrap();
    let (mut judged, mut faults) = (Vec::new(), Vec::new());
    for step in &scenario.steps {
        match step {
            Step::Record { line, text } => {
                let first = apply(&mut run, *line, text);
                let second = apply(&mut run, *line, text);
                expect_repeated(&first, &second, text, &mut faults);
                judged.push(first);
            }
            Step::Close(at) => close(&mut run, at),
        }
    }
    run.commit().unwrap();
    let records = scenario.steps.iter().filter_map(|step| match step {
        Step::Record { line, text } => Some((*line, text)),
        Step::Close(_) => None,
    });
    for ((line, text), first) in records.zip(&judged) {
        expect_repeated(first, &apply(&mut run, line, text), text, &mut faults);
    }
    run.commit().unwrap();
    if faults.is_empty() { Ok(finish(&run, judged)) } else { Err(faults.join("\n")) }
}

/// What was rated is a duplicate from then on; what was refused stays refused.
fn expect_repeated(first: &Judged, again: &Judged, text: &str, faults: &mut Vec<String>) {
    let wanted = match first {
        Judged::Rated(_) => "duplicate",
        // What waits is known already, and so is what was rated.
        Judged::Told(verdict) if verdict == "waiting" => "duplicate",
        Judged::Told(verdict) => verdict,
    };
    match again {
        Judged::Told(verdict) if verdict == wanted => {}
        Judged::Told(verdict) => {
            faults.push(format!("delivered again: {verdict}, not {wanted}: {text}"));
        }
        Judged::Rated(_) => faults.push(format!("rated twice: {text}")),
    }
}

fn apply(run: &mut RatingRun, line: usize, text: &str) -> Judged {
    let line = u64::try_from(line).unwrap();
    let mut decoder = Decoder::new(run.partition().store().seeds().content);
    let (source, _) = run.partition_mut().source(super::killed::SOURCE);
    let verdict = match decoder.decode(text.as_bytes()) {
        Ok(record) => {
            let origin = Origin { source, position: line };
            let received =
                Received { bytes: text.as_bytes(), key: b"", origin, clock: Clock::default() };
            run.partition_mut().apply(&record, &received).unwrap()
        }
        Err(rejection) => Verdict::Rejected(rejection),
    };
    match verdict {
        Verdict::Rated(lines) => Judged::Rated(lines + apply_released(run)),
        Verdict::Waiting => Judged::Told("waiting".to_owned()),
        Verdict::Forwarded(partition) => panic!("nothing is routed, least of all to {partition}"),
        Verdict::Duplicate => Judged::Told("duplicate".to_owned()),
        Verdict::Rejected(rejection) => {
            let place = Place::File { file: super::killed::SOURCE, line };
            let (record, record_bytes) = (text.as_bytes(), text.len() as u64);
            let mut letter = String::new();
            DeadLetter { rejection: &rejection, place, record, record_bytes, is_cut: false }
                .write_line(&mut letter);
            run.partition_mut().reject(rejection.code, &letter);
            Judged::Told(rejection.code.to_string())
        }
    }
}

/// Applies what the last record released; gives how many lines that took.
fn apply_released(run: &mut RatingRun) -> usize {
    let mut count = 0;
    while let Some(waiting) = run.partition_mut().take_released() {
        let mut decoder = Decoder::new(run.partition().store().seeds().content);
        let record = decoder.decode(&waiting.bytes).unwrap();
        let (bytes, origin) = (waiting.bytes.as_slice(), waiting.origin);
        let received = Received { bytes, key: b"", origin, clock: Clock::default() };
        match run.partition_mut().apply(&record, &received).unwrap() {
            Verdict::Rated(lines) => count += lines,
            other @ (Verdict::Duplicate
            | Verdict::Waiting
            | Verdict::Forwarded(_)
            | Verdict::Rejected(_)) => {
                panic!("a released record is {other:?}")
            }
        }
    }
    count
}

fn close(run: &mut RatingRun, at: &str) {
    let at = Instant::parse(at).unwrap();
    run.close(|_| at).unwrap();
}

/// Reads the outputs and gives every rated record its lines, which stand in the same order.
fn finish(run: &RatingRun, judged: Vec<Judged>) -> Outcome {
    let rated = outcome::rated(run);
    let mut lines = rated.lines().filter(|line| !outcome::is_shift(line));
    let verdicts = judged.into_iter().map(|judged| match judged {
        Judged::Told(verdict) => verdict,
        Judged::Rated(count) => outcome::amounts(lines.by_ref().take(count)),
    });
    let verdicts = verdicts.collect();
    assert_eq!(lines.next(), None, "a rated line that belongs to no record");
    Outcome::read(verdicts, run)
}
