//! `usage-rater verify`: proves from input and output that nothing is lost, doubled or mis-added.

use crate::cli::print;
use crate::failure::Failure;
use crate::input;
use crate::rating_run::RatingRun;
use crate::service::{Kafka, Mode, Settings, kept_catalog};
use crate::stream::{self, TopicNames};
use crate::verify::{Cluster, Facts, Report, verify_files, verify_kafka, verify_state};
use clap::Args;
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
            let (path, text) = match &settings.catalog {
                Some(path) => (path.clone(), input::read(path)?),
                None => (PathBuf::from("kafka.topics.catalog"), stream::read_catalog(&settings)?),
            };
            verify_kafka(facts(&path, &text)?, &cluster(settings.kafka))
        }
    }
}

/// Where the service reads and writes.
fn cluster(kafka: Kafka) -> Cluster {
    let Kafka { bootstrap_servers, group, topics, properties, .. } = kafka;
    let TopicNames { raw, rated, rejected, forward, totals, .. } = topics;
    Cluster { bootstrap_servers, group, properties, raw, forward, rated, rejected, totals }
}

fn facts(path: &Path, text: &[u8]) -> Result<Facts, Failure> {
    Facts::read(text)
        .map_err(|reason| Failure::Input(vec![format!("{}: {reason}", path.display())]))
}
