//! `usage-rater rate`: a file of usage records in, rated usage and totals out.

use crate::changed_calendars;
use crate::cli::{Rating, say};
use crate::failure::Failure;
use crate::input;
use crate::rating_run::RatingRun;
use crate::staging::{StagedFile, Staging};
use aggregator::PeriodTotal;
use clap::Args;
use rating::Instant;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    rating: Rating,
    /// The usage records, one CloudEvent in JSON a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    usage: String,
    /// Where the outputs are written
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Closes every period that ended by this instant, after all records
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    close_at: Option<Instant>,
}

fn parse_instant(text: &str) -> Result<Instant, String> {
    Instant::parse(text).map_err(|error| format!("it {error}"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let catalog = Arc::new(input::catalog(&arguments.rating.catalog)?);
    input::require(&arguments.usage)?;
    let mut staging = Staging::new(&arguments.out)?;
    let state = arguments.rating.state.clone().unwrap_or_else(|| staging.scratch());
    let mut run = RatingRun::open(catalog, &state)?;
    changed_calendars::say(run.partition());
    run.rate(&arguments.usage)?;
    if arguments.rating.state.is_none() {
        run.refuse_unresolved()?;
    }
    if let Some(close_at) = arguments.close_at {
        run.close(|_| close_at)?;
    }
    run.find_times()?;
    let summary = run.summary();
    if arguments.rating.state.is_some() {
        run.partition().store().sync()?;
    }
    write_outputs(&run, &mut staging)?;
    staging.publish()?;
    let rate = summary.records_per_second.map(|rate| format!(" ({rate} records/s)"));
    say(&format!("{summary}{}", rate.unwrap_or_default()));
    Ok(())
}

/// Writes everything that rating gives out.
pub(crate) fn write_outputs(run: &RatingRun, staging: &mut Staging) -> Result<(), Failure> {
    let query = run.partition().query();
    staging.file("rated.ndjson", |file| query.rated(|lines| file.write(lines)))?;
    write_totals(run, staging)
}

/// Writes what every total came to, and every record that was refused.
pub(crate) fn write_totals(run: &RatingRun, staging: &mut Staging) -> Result<(), Failure> {
    let query = run.partition().query();
    staging.file("rejected.ndjson", |file| query.rejected(|lines| file.write(lines)))?;
    staging.file("totals.ndjson", |file: &mut StagedFile| {
        let mut line = String::new();
        query.totals(|total: &PeriodTotal<'_>| {
            line.clear();
            total.write_line(&mut line);
            file.write(line.as_bytes())
        })
    })
}
