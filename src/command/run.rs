//! `usage-rater run`: the service.

use crate::failure::Failure;
use crate::input;
use crate::service::{self, Settings};
use clap::Args;
use std::path::{Path, PathBuf};
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
    let text = input::read(path)?;
    let text = String::from_utf8(text)
        .map_err(|_| Failure::Input(vec![format!("{}: is not UTF-8", path.display())]))?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let settings =
        Settings::parse(&text, directory).map_err(|faults| Failure::faults(path, &faults))?;
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    // Logging that cannot be set up is no reason not to serve.
    _ = tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    service::run(settings)
}
