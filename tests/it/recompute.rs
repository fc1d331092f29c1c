//! The recomputation: a second implementation in another language must agree to the last digit.

use std::path::Path;
use std::process::Command;

/// Cases that are compared unless `USAGE_RATER_SEEDS` says how many.
const SEEDS: u32 = 120;

/// Runs a script of the recomputation; Python is needed, so its absence fails.
#[track_caller]
pub(crate) fn python(script: &str, arguments: &[&str]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recompute");
    let ended = Command::new("python3")
        .arg(directory.join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("python3 cannot be run, install it: {error}"));
    let told = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{script}:\n{}", String::from_utf8_lossy(&told));
}

#[test]
fn every_random_case_agrees() {
    let seeds = match std::env::var("USAGE_RATER_SEEDS") {
        Ok(seeds) => seeds.parse().expect("USAGE_RATER_SEEDS is a number of cases"),
        Err(_) => SEEDS,
    };
    assert!(seeds > 0, "no case is no test");
    let seeds = format!("1..{seeds}");
    // Cases that differ stay here, with the command that shows it.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recompute");
    let (kept, binary) = (kept.to_str().unwrap(), env!("CARGO_BIN_EXE_usage-rater"));
    python("compare.py", &["--binary", binary, "--seeds", &seeds, "--keep", kept]);
}

#[test]
fn it_knows_what_was_worked_out_by_hand() {
    python("selftest.py", &[]);
}
