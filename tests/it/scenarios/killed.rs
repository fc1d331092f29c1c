//! Scenarios in which the process dies without warning between any two steps.
//!
//! Every step has a process of its own: this test binary again, told by its environment to run
//! one test and in it one step. It opens the state, takes the step, writes down the verdict and
//! aborts; nothing is closed, flushed or dropped. The next process goes on with what it finds.

use super::outcome::{self, Outcome};
use super::script::{Scenario, Step};
use aggregator::{Clock, Origin, Received};
use ingest::{Decoder, LineSource};
use rating::{Catalog, Instant};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use usage_rater::RatingRun;

/// What the records' source is called.
pub(crate) const SOURCE: &str = "scenario";

/// At which moment a process dies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// After the commit of its step.
    AfterCommit,
    /// Having taken the record of the following step, too, but not committed it.
    BeforeNextCommit,
}

/// The environment variable that makes the test below the process of one step.
const DIRECTORY: &str = "USAGE_RATER_STEP";
const TEST: &str = "scenarios::killed::a_step_has_a_process_of_its_own";
const SIGABRT: i32 = 6;

pub(crate) fn run(scenario: &Scenario, when: When) -> Result<Outcome, String> {
    let directory = tempfile::tempdir().unwrap();
    let place = Place(directory.path().to_owned());
    std::fs::write(place.file("catalog.json"), &scenario.catalog).unwrap();
    let mut verdicts = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let next = scenario.steps.get(index + 1).filter(|_| when == When::BeforeNextCommit);
        let verdict = place.in_own_process(step, next)?;
        if matches!(step, Step::Record { .. }) {
            verdicts.push(verdict);
        }
    }
    let run = RatingRun::open(scenario.read_catalog(), &place.file("state")).unwrap();
    Ok(Outcome::read(verdicts, &run))
}

/// The directory that the processes of a scenario share.
struct Place(PathBuf);

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Takes a step in another process and sees it die.
    fn in_own_process(&self, step: &Step, next: Option<&Step>) -> Result<String, String> {
        write_step(&self.file("step"), step);
        match next {
            Some(next) => write_step(&self.file("next"), next),
            None => _ = std::fs::remove_file(self.file("next")),
        }
        _ = std::fs::remove_file(self.file("verdict"));
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, &self.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = std::fs::read_to_string(self.file("verdict"));
        match (ended.status.signal(), told) {
            (Some(SIGABRT), Ok(verdict)) => Ok(verdict),
            _ => Err(format!(
                "the process of {step:?} ended otherwise ({}):\n{}{}",
                ended.status,
                String::from_utf8_lossy(&ended.stdout),
                String::from_utf8_lossy(&ended.stderr)
            )),
        }
    }

    /// The process of one step; it does not return.
    fn take_step(&self) -> ! {
        let catalog = std::fs::read(self.file("catalog.json")).unwrap();
        let catalog = Arc::new(Catalog::parse(&catalog).unwrap());
        let mut run = RatingRun::open(catalog, &self.file("state")).unwrap();
        let verdict = match read_step(&self.file("step")).unwrap() {
            Step::Record { line, text } => rate(&mut run, line, &text),
            Step::Close(at) => {
                let at = Instant::parse(&at).unwrap();
                run.close(|_| at).unwrap();
                "closed".to_owned()
            }
        };
        if let Some(Step::Record { line, text }) = read_step(&self.file("next")) {
            apply_only(&mut run, line, &text);
        }
        std::fs::write(self.file("verdict"), verdict).unwrap();
        std::process::abort()
    }
}

/// Rates and commits one record as `rate` does with a file whose other lines are blank.
fn rate(run: &mut RatingRun, line: usize, text: &str) -> String {
    let before = outcome::rated(run).len();
    let waited = run.partition().waiting();
    let lines = format!("{}{text}\n", "\n".repeat(line - 1)).into_bytes();
    run.rate_source(LineSource::from_reader(SOURCE, Box::new(std::io::Cursor::new(lines))))
        .unwrap();
    let summary = run.summary();
    assert_eq!(summary.read, 1);
    match summary.rejected.keys().next() {
        Some(code) => code.to_string(),
        None if summary.duplicate == 1 => "duplicate".to_owned(),
        None if run.partition().waiting() > waited => "waiting".to_owned(),
        None => outcome::amounts(outcome::rated(run)[before..].lines()),
    }
}

/// Takes a record as far as it goes without a commit.
fn apply_only(run: &mut RatingRun, line: usize, text: &str) {
    let mut decoder = Decoder::new(run.partition().store().seeds().content);
    let (source, _) = run.partition_mut().source(SOURCE);
    if let Ok(record) = decoder.decode(text.as_bytes()) {
        let origin = Origin { source, position: u64::try_from(line).unwrap() };
        let (bytes, clock) = (text.as_bytes(), Clock::default());
        let received = Received { bytes, key: b"", origin, clock };
        run.partition_mut().apply(&record, &received).unwrap();
    }
}

fn write_step(path: &Path, step: &Step) {
    let text = match step {
        Step::Record { line, text } => format!("{line} {text}"),
        Step::Close(at) => format!("close {at}"),
    };
    std::fs::write(path, text).unwrap();
}

fn read_step(path: &Path) -> Option<Step> {
    let text = std::fs::read_to_string(path).ok()?;
    let (first, rest) = text.split_once(' ').unwrap();
    let rest = rest.to_owned();
    Some(match first {
        "close" => Step::Close(rest),
        line => Step::Record { line: line.parse().unwrap(), text: rest },
    })
}

/// Told a directory, this is the process of one step. Told nothing, it proves that such a process
/// is killed having done its step, and that another one, which cannot do it, says so.
#[test]
fn a_step_has_a_process_of_its_own() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        Place(directory.into()).take_step();
    }
    let directory = tempfile::tempdir().unwrap();
    let place = Place(directory.path().to_owned());
    let step = Step::Close("2026-01-01T00:00:00Z".to_owned());
    assert!(place.in_own_process(&step, None).is_err(), "there is no catalog");
    std::fs::write(place.file("catalog.json"), "{}").unwrap();
    assert_eq!(place.in_own_process(&step, None).unwrap(), "closed");
}
