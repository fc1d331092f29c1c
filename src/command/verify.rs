//! `usage-rater verify`: proves from input and output that nothing is lost, doubled or mis-added.

use crate::cli::print;
use crate::failure::Failure;
use crate::input;
use crate::rating_run::RatingRun;
use crate::service::{Mode, Settings, kept_catalog};
use crate::verify::{Cluster, Facts, Report, verify_files, verify_kafka, verify_state};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The settings of the service whose input and output is to be verified
    #[arg(long, value_name = "FILE", required_unless_present = "out")]
    config: Option<PathBuf>,
    /// A file of usage that `rate` has rated; several in the order in which it took them
    #[arg(long, value_name = "FILE", conflicts_with = "config", requires = "out")]
    usage: Vec<PathBuf>,
    /// The catalog that it was rated with
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    catalog: Option<PathBuf>,
    /// The directory that `rate` wrote
    #[arg(long, value_name = "DIR", conflicts_with = "config", requires_all = ["usage", "catalog"])]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = match (&arguments.config, &arguments.out, &arguments.catalog) {
        (None, Some(out), Some(catalog)) => {
            verify_files(facts(catalog, &input::read(catalog)?)?, &arguments.usage, out)?
        }
        (Some(config), ..) => verify_service(config)?,
        (None, ..) => return Err(Failure::Usage("name --config, or --out".to_owned())),
    };
    print(&report.summary)?;
    if report.findings.is_empty() {
        return Ok(());
    }
    Err(Failure::Input(report.findings.into_lines()))
}

fn verify_service(config: &Path) -> Result<Report, Failure> {
    let settings = Settings::read_file(config)?;
    match settings.mode {
        Mode::Embedded => {
            let directory = &settings.state_dir;
            if !directory.is_dir() {
                let message = format!("{}: there is no such state", directory.display());
                return Err(Failure::Input(vec![message]));
            }
            let (path, text) = kept_catalog(&settings)?;
            let facts = facts(&path, &text)?;
            let catalog = rating::Catalog::parse(&text);
            let catalog = catalog.map_err(|faults| Failure::faults(&path, &faults))?;
            let run = RatingRun::open(Arc::new(catalog), directory)?;
            verify_state(facts, &run)
        }
        Mode::Kafka => {
            let (path, text) = kept_catalog(&settings)?;
            verify_kafka(facts(&path, &text)?, &cluster())
        }
    }
}

/// Where the service reads and writes: until its settings are read, what they are by default.
fn cluster() -> Cluster {
    let bootstrap_servers = std::env::var("KAFKA_BOOTSTRAP");
    Cluster {
        bootstrap_servers: bootstrap_servers.unwrap_or_else(|_| "127.0.0.1:9092".to_owned()),
        group: "usage-rater".to_owned(),
        properties: BTreeMap::new(),
        raw: "usage.raw".to_owned(),
        forward: "usage.forward".to_owned(),
        rated: "usage.rated".to_owned(),
        rejected: "usage.rejected".to_owned(),
        totals: "usage.totals".to_owned(),
    }
}

fn facts(path: &Path, text: &[u8]) -> Result<Facts, Failure> {
    Facts::read(text)
        .map_err(|reason| Failure::Input(vec![format!("{}: {reason}", path.display())]))
}
