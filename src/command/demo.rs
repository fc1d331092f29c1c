//! `usage-rater demo`: the whole way, with no file, server or argument.

use crate::cli::print;
use crate::failure::Failure;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many usage records to make
    #[arg(long, default_value_t = 200_000)]
    records: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    print(&format!("{}\n", arguments.records))
}
