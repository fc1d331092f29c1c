//! The program: reads its arguments, runs one command, and says how it went.

use std::process::ExitCode;

fn main() -> ExitCode {
    usage_rater::run(std::env::args_os())
}
