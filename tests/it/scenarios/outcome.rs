//! What a run of a scenario left behind.

use aggregator::{Error, PeriodTotal};
use usage_rater::RatingRun;

/// Verdicts and outputs.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// For every record: amounts, `unpriced`, `duplicate` or a code.
    pub(crate) verdicts: Vec<String>,
    /// `totals.ndjson`.
    totals: String,
    /// `rated.ndjson`.
    rated: String,
    /// `rejected.ndjson`.
    rejected: String,
}

impl Outcome {
    /// Reads what is committed.
    pub(crate) fn read(verdicts: Vec<String>, run: &RatingRun) -> Self {
        let query = run.partition().query();
        let (mut totals, mut rejected) = (String::new(), Vec::new());
        query
            .totals(|total: &PeriodTotal<'_>| {
                total.write_line(&mut totals);
                Ok::<(), Error>(())
            })
            .unwrap();
        query
            .rejected(|lines| {
                rejected.extend_from_slice(lines);
                Ok::<(), Error>(())
            })
            .unwrap();
        let rejected = String::from_utf8(rejected).unwrap();
        Self { verdicts, totals, rated: rated(run), rejected }
    }

    pub(crate) fn totals(&self) -> Vec<serde_json::Value> {
        self.totals.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All outputs must be the same, byte by byte.
    pub(crate) fn same_outputs(&self, other: &Self) -> Result<(), String> {
        self.same_amounts(other)?;
        same("rejected", &self.rejected, &other.rejected)
    }

    /// Totals and rated usage must be the same, byte by byte.
    pub(crate) fn same_amounts(&self, other: &Self) -> Result<(), String> {
        same("totals", &self.totals, &other.totals)?;
        same("rated", &self.rated, &other.rated)
    }
}

fn same(what: &str, left: &str, right: &str) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{what} differ:\n{left}--\n{right}")) }
}

/// The rated lines that are committed.
pub(crate) fn rated(run: &RatingRun) -> String {
    let mut rated = Vec::new();
    let read = run.partition().query().rated(|lines| {
        rated.extend_from_slice(lines);
        Ok::<(), Error>(())
    });
    read.unwrap();
    String::from_utf8(rated).unwrap()
}

/// Whether a line moves the amount of a later period, and so is of no record of its own.
pub(crate) fn is_shift(line: &str) -> bool {
    line.contains("\"shift\":true")
}

/// The amounts of a record's rated lines, as a scenario writes them.
pub(crate) fn amounts<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let amount = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["data"]["amount"].as_str().unwrap().to_owned()
    };
    let amounts: Vec<String> = lines.filter(|line| !is_shift(line)).map(amount).collect();
    if amounts.is_empty() { "unpriced".to_owned() } else { amounts.join(" + ") }
}
