//! `usage-rater explain`: which records made a total, and whether they still make it.

use crate::cli::print;
use crate::failure::Failure;
use crate::input;
use crate::rating_run::RatingRun;
use aggregator::{ExplainedRecord, Explanation};
use clap::Args;
use rating::json::write_string;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The subscription, or an alias of it
    subscription: String,
    /// The key of the charge
    charge: String,
    /// The period, by the beginning of its first day: 2026-01 or 2026-01-15
    period: String,
    /// The catalog that the state was rated with
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// The state that `rate --state` or `run` keeps
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Prints one JSON object a total, with all its records
    #[arg(long)]
    json: bool,
    /// How many records are listed
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let catalog = Arc::new(input::catalog(&arguments.catalog)?);
    if !arguments.state.is_dir() {
        let message = format!("{}: there is no such state", arguments.state.display());
        return Err(Failure::Input(vec![message]));
    }
    let run = RatingRun::open(catalog, &arguments.state)?;
    let Arguments { subscription, charge, period, .. } = arguments;
    let explanations = run.partition().explain(subscription, charge, period)?;
    if explanations.is_empty() {
        return Err(Failure::Input(vec![format!(
            "error: the state has no total of charge \"{charge}\" of subscription \
             \"{subscription}\" in a period from {period} on"
        )]));
    }
    let mut agrees = true;
    for explanation in &explanations {
        let text =
            if arguments.json { json(explanation) } else { table(explanation, arguments.limit) };
        print(&text)?;
        agrees &= explanation.agrees();
    }
    if agrees {
        return Ok(());
    }
    Err(Failure::Input(vec!["error: a total is not what its records make it".to_owned()]))
}

/// An explanation as a table for a person.
fn table(explanation: &Explanation<'_>, limit: usize) -> String {
    let total = &explanation.total;
    let settled = &total.settled;
    let mut out = format!(
        "{} {} of {}, {} to {}\n\n  {:<30} {:<36} {:>16} {:>20}\n",
        total.subscription,
        total.charge,
        total.customer,
        total.period.start,
        total.period.end,
        "used at",
        "source and id",
        "quantity",
        "amount"
    );
    for record in explanation.records.iter().take(limit) {
        let ExplainedRecord { source, id, used_at, quantity, amount, is_corrected } = record;
        let name = format!("{source} {id}");
        let mark = if *is_corrected { "  corrected" } else { "" };
        // Writing to a string cannot fail.
        _ = writeln!(
            out,
            "  {:<30} {name:<36} {:>16} {:>20}{mark}",
            used_at.to_string(),
            quantity.to_string(),
            amount.to_string()
        );
    }
    let hidden = explanation.records.len().saturating_sub(limit);
    if hidden > 0 {
        _ = writeln!(out, "  and {hidden} more (--limit)");
    }
    let rows = [
        ("records", total.total.records.to_string()),
        ("taken back", explanation.taken_back.to_string()),
        ("quantity", settled.quantity.to_string()),
        ("billable quantity", settled.billable_quantity.to_string()),
        ("amount at quantity 0", settled.amount_at_zero.to_string()),
        ("sum of the rated amounts", explanation.rated.to_string()),
        ("of that, shifted by other periods", explanation.shifted.to_string()),
        ("usage amount", settled.usage_amount.to_string()),
        ("amount after discount and bounds", settled.amount.to_string()),
        ("rounded", format!("{} {}", settled.rounded, total.currency)),
        ("lineage", format!("{:064x}", explanation.lineage)),
    ];
    out.push('\n');
    for (name, value) in rows {
        _ = writeln!(out, "  {name:<34} {value}");
    }
    out.push('\n');
    if explanation.agrees() && !explanation.is_complete {
        _ = writeln!(
            out,
            "  {} of these records, or some of earlier periods that count with them, are older \
             than the dedupe\n  window and no longer kept. The others and all rated lines were \
             counted and added up anew.\n",
            explanation.forgotten
        );
    } else if explanation.agrees() {
        out.push_str("  These records make this total: counted, hashed and rated anew.\n\n");
    } else {
        for disagreement in &explanation.disagreements {
            _ = writeln!(out, "  DISAGREES  {disagreement}");
        }
        out.push('\n');
    }
    out
}

/// An explanation as one line of JSON.
pub(crate) fn json(explanation: &Explanation<'_>) -> String {
    let mut total = String::new();
    explanation.total.write_line(&mut total);
    let mut out = format!("{{\"total\":{},\"records\":[", total.trim_end());
    for (number, record) in explanation.records.iter().enumerate() {
        let ExplainedRecord { source, id, used_at, quantity, amount, is_corrected } = record;
        out.push_str(if number == 0 { "{\"source\":" } else { ",{\"source\":" });
        write_string(&mut out, source);
        out.push_str(",\"id\":");
        write_string(&mut out, id);
        _ = write!(
            out,
            ",\"time\":\"{used_at}\",\"quantity\":\"{quantity}\",\"amount\":\"{amount}\",\
             \"corrected\":{is_corrected}}}"
        );
    }
    _ = write!(
        out,
        "],\"taken_back\":{},\"shifted\":\"{}\",\"rated\":\"{}\",\"lineage\":\"{:064x}\"",
        explanation.taken_back, explanation.shifted, explanation.rated, explanation.lineage
    );
    let (forgotten, is_complete) = (explanation.forgotten, explanation.is_complete);
    _ = write!(out, ",\"forgotten\":{forgotten},\"complete\":{is_complete}");
    match &explanation.rerated {
        Some((quantity, rated)) => {
            _ = write!(out, ",\"rerated\":{{\"quantity\":\"{quantity}\",\"rated\":\"{rated}\"}}");
        }
        None => out.push_str(",\"rerated\":null"),
    }
    _ = write!(out, ",\"agrees\":{},\"disagreements\":[", explanation.agrees());
    for (number, disagreement) in explanation.disagreements.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        write_string(&mut out, disagreement);
    }
    out.push_str("]}\n");
    out
}
