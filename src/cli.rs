//! The command line: what each command takes, and how its end becomes an exit code.

use crate::command::{bill, check, demo, explain, rate, run, verify};
use crate::failure::Failure;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP_AFTER: &str = "\
Begin with `usage-rater demo`: it needs no file, no server and no argument.
Exit codes: 0 done, 1 the input is wrong, 2 the arguments are, 3 a dependency failed.";

const HELP_AFTER_RATE: &str = "\
Writes rated.ndjson, totals.ndjson and rejected.ndjson into --out. Rejected records do not fail the
run; they are counted on stderr and stand in rejected.ndjson with their line and code.

Example:
  usage-rater rate --catalog catalog.json --usage usage.ndjson --out out \\
    --close-at 2026-02-01T00:00:00Z";

const HELP_AFTER_BILL: &str = "\
Writes invoices.json, credit_memos.json and order_products.json into --out, and totals.ndjson and
rejected.ndjson of the usage beside them.

Example:
  usage-rater bill --catalog catalog.json --orders orders.json --usage usage.ndjson \\
    --as-of 2026-02-01 --out out";

const HELP_AFTER_EXPLAIN: &str = "\
Lists the records that stand in a total, counts, hashes and rates them anew, and compares. Exit
code 1 says that the total is not what they make.

Example:
  usage-rater rate --catalog catalog.json --usage usage.ndjson --out out --state state
  usage-rater explain SUB-7 api 2026-01 --catalog catalog.json --state state";

const HELP_AFTER_CHECK: &str = "\
Which of the two a file is, is seen from its fields. Orders are checked against the customers and
plans of the last catalog among the files, which may have faults of its own.

Example:
  usage-rater check catalog.json orders.json";

const HELP_AFTER_VERIFY: &str = "\
Reads everything again with code of its own. Each contradiction is a line on stderr with its place,
the first 1,000 of them; exit code 1 says that there are any. The service should be at rest.

Example:
  usage-rater rate --catalog catalog.json --usage usage.ndjson --out out
  usage-rater verify --catalog catalog.json --usage usage.ndjson --out out
  usage-rater verify --config usage-rater.toml";

const HELP_AFTER_RUN: &str = "\
deploy/usage-rater.toml of the source shows every setting with its default. SIGTERM ends it in good
order. RUST_LOG says how much is told on stderr.

Example:
  usage-rater run --config usage-rater.toml
  curl -H 'Content-Type: application/x-ndjson' --data-binary @usage.ndjson \\
    http://127.0.0.1:8080/v1/usage";

/// Rates usage records exactly once, in exact decimals, and bills them.
#[derive(Debug, Parser)]
#[command(
    name = "usage-rater",
    version = version(),
    about,
    arg_required_else_help = true,
    after_help = HELP_AFTER
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole way: makes usage, rates it, bills it, and prints an invoice
    #[command(after_help = "Example:\n  usage-rater demo --records 1000000")]
    Demo(demo::Arguments),
    /// Rates a file of usage records against a catalog
    #[command(after_help = HELP_AFTER_RATE)]
    Rate(rate::Arguments),
    /// Bills orders, and usage if there is any, up to a date
    #[command(after_help = HELP_AFTER_BILL)]
    Bill(bill::Arguments),
    /// Says which records made a total, and whether they still make it
    #[command(after_help = HELP_AFTER_EXPLAIN)]
    Explain(explain::Arguments),
    /// Serves: takes usage by HTTP, rates it as it comes, and shows totals and metrics
    #[command(after_help = HELP_AFTER_RUN)]
    Run(run::Arguments),
    /// Says everything that is wrong with catalogs and orders, with line and column
    #[command(after_help = HELP_AFTER_CHECK)]
    Check(check::Arguments),
    /// Proves from input and output that every record is accounted for once and every sum is exact
    #[command(after_help = HELP_AFTER_VERIFY)]
    Verify(verify::Arguments),
}

/// Where usage comes from and against what it is rated.
#[derive(Debug, Args)]
pub(crate) struct Rating {
    /// The catalog: meters, plans, customers, subscriptions
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: PathBuf,
    /// Keeps the state here, so that a later run goes on where this one stopped
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Runs the program with these arguments, its name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is a mistake. If even saying so
            // fails, the exit code is all that is left.
            _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Rate(arguments) => rate::run(&arguments),
        Command::Bill(arguments) => bill::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Writes a line to stderr. A closed stderr is no reason to stop.
pub(crate) fn say(message: &str) {
    _ = writeln!(std::io::stderr(), "{message}");
}

/// Writes text to stdout; a reader that has gone away ends the program quietly.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Dependency(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
