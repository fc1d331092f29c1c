//! `usage-rater run`: the service.

use crate::failure::Failure;
use crate::service::{self, Settings};
use clap::Args;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.config.as_path();
    let settings = Settings::read_file(path)?;
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    // Logging that cannot be set up is no reason not to serve.
    _ = tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    service::run(settings)
}
