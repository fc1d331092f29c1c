//! A scenario: its catalog, its steps, and what it expects of both.

use super::Outcome;
use crate::catalog_text::CatalogText;
use crate::table::{Block, Row, Table, aligned, blocks, value};
use rating::Catalog;
use std::path::Path;
use std::sync::Arc;

/// One scenario file.
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// The catalog as JSON.
    pub(crate) catalog: String,
    pub(crate) steps: Vec<Step>,
    /// What is expected of each step that is a record.
    verdicts: Vec<String>,
    totals: Vec<Row>,
}

/// What happens in a scenario.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A record arrives; its line in the scenario is its place in the source.
    Record { line: usize, text: String },
    /// All periods that ended by then are closed.
    Close(String),
}

/// Columns of a usage table that are attributes of the record; all others are its data.
const ATTRIBUTES: [&str; 6] = ["usage", "source", "type", "subject", "subscription", "time"];

impl Scenario {
    /// Every file beside this one that ends in `.scenario`.
    pub(crate) fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenarios");
        let mut paths: Vec<_> =
            directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let files = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "scenario"));
        let read = |path: &std::path::PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Self::parse(name, &std::fs::read_to_string(path).unwrap())
        };
        files.map(read).collect()
    }

    fn parse(name: String, text: &str) -> Self {
        let mut catalog = CatalogText::default();
        let (mut steps, mut verdicts, mut totals) = (Vec::new(), Vec::new(), Vec::new());
        for block in blocks(text, &["close"]) {
            let table = match block {
                Block::Statement { argument, .. } => {
                    steps.push(Step::Close(argument));
                    continue;
                }
                Block::Table(table) => catalog.take(table),
            };
            match table {
                None => {}
                Some(Table { name, rows }) if name == "usage" => {
                    for row in rows {
                        let text = record(&row, catalog.event_type());
                        steps.push(Step::Record { line: row.line, text });
                        verdicts.push(row.need("verdict").to_owned());
                    }
                }
                Some(Table { name, rows }) if name == "total" => totals.extend(rows),
                Some(Table { name: table, .. }) => panic!("{name}: what is a table {table}?"),
            }
        }
        let scenario = Self { name, catalog: catalog.json(), steps, verdicts, totals };
        assert!(!scenario.totals.is_empty(), "{}: no total is expected", scenario.name);
        scenario.read_catalog();
        scenario
    }

    /// The catalog, read by the program.
    pub(crate) fn read_catalog(&self) -> Arc<Catalog> {
        let catalog = Catalog::parse(self.catalog.as_bytes());
        let tell = |faults: &[rating::Fault]| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("{}: {}\n{}", self.name, lines.join("\n"), self.catalog)
        };
        Arc::new(catalog.unwrap_or_else(|faults| panic!("{}", tell(&faults))))
    }

    /// Compares what happened with what was expected.
    pub(crate) fn check(&self, found: &Outcome) -> Result<(), String> {
        let records = self.steps.iter().filter_map(|step| match step {
            Step::Record { line, text } => Some((*line, text)),
            Step::Close(_) => None,
        });
        let mut faults = Vec::new();
        if found.verdicts.len() != self.verdicts.len() {
            faults.push(format!("{} verdicts, not {}", found.verdicts.len(), self.verdicts.len()));
        }
        for ((line, text), (found, wanted)) in
            records.zip(found.verdicts.iter().zip(&self.verdicts))
        {
            if found != wanted {
                faults.push(format!("line {line}: verdict {found}, not {wanted}: {text}"));
            }
        }
        self.check_totals(found, &mut faults);
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    /// Every expected total must be there, and every closed one must be expected.
    fn check_totals(&self, found: &Outcome, faults: &mut Vec<String>) {
        let mut unexpected = found.totals();
        for row in &self.totals {
            let columns = |row: &Row| row.cells().map(|(column, _)| column.to_owned()).collect();
            let wanted: Vec<String> = row.cells().map(|(_, cell)| cell.to_owned()).collect();
            let is_it = |total: &serde_json::Value| {
                let names = ["total", "charge", "period_start"];
                names.iter().all(|column| shown(total, column) == row.need(column))
            };
            let Some(at) = unexpected.iter().position(is_it) else {
                faults.push(format!("line {}: there is no such total: {wanted:?}", row.line));
                continue;
            };
            let total = unexpected.remove(at);
            let actual: Vec<String> =
                row.cells().map(|(column, _)| shown(&total, column)).collect();
            if actual != wanted {
                let table = aligned(&[columns(row), actual, wanted]);
                faults.push(format!("line {}: total found, total expected:\n{table}", row.line));
            }
        }
        unexpected.retain(|total| total["status"] == "closed");
        faults.extend(unexpected.iter().map(|total| format!("a total nobody expected: {total}")));
    }
}

/// A field of a total under the name of a column.
fn shown(total: &serde_json::Value, column: &str) -> String {
    let field = match column {
        "total" => "subscription",
        "billable" => "billable_quantity",
        "rounded" => "rounded_amount",
        other => other,
    };
    let value = &total[field];
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A row of a usage table as a record; without a type it is one of `event_type`.
pub(crate) fn record(row: &Row, event_type: &str) -> String {
    let of_data = |column: &str| !ATTRIBUTES.contains(&column) && column != "verdict";
    let attributes = row.object(|column| match column {
        "usage" => Some("id"),
        "data" => Some("data"),
        attribute => ATTRIBUTES.iter().copied().find(|known| *known == attribute),
    });
    let mut text = format!("{{\"specversion\":\"1.0\",{attributes}");
    for (name, default) in [("source", "metering"), ("type", event_type)] {
        if row.get(name).is_none() {
            text.push_str(&format!(",\"{name}\":{}", value(name, default)));
        }
    }
    if row.get("data").is_none() {
        let data = row.object(|column| of_data(column).then_some(column));
        text.push_str(&format!(",\"data\":{{{data}}}"));
    }
    text.push('}');
    text
}
