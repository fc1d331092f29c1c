//! Scenarios: what finance expects of records, written as text and run in every way that must not
//! make a difference: in one go, with the process killed between any two steps, and with every
//! record delivered again and again.

mod in_one_process;
mod killed;
mod outcome;
mod script;

use outcome::Outcome;
use script::Scenario;
pub(crate) use script::record;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn plain() {
    for_each(|scenario| scenario.check(&in_one_process::run(scenario)));
}

/// A second delivery is a duplicate, or refused for the same reason; it changes no total.
#[test]
fn delivered_again_and_again() {
    for_each(|scenario| {
        let once = in_one_process::run(scenario);
        let again = in_one_process::run_twice(scenario)?;
        scenario.check(&again)?;
        once.same_amounts(&again)
    });
}

#[test]
fn killed_after_every_step() {
    for_each(|scenario| {
        let killed = killed::run(scenario, killed::When::AfterCommit)?;
        scenario.check(&killed)?;
        in_one_process::run(scenario).same_outputs(&killed)
    });
}

#[test]
fn killed_before_every_commit() {
    for_each(|scenario| {
        let killed = killed::run(scenario, killed::When::BeforeNextCommit)?;
        scenario.check(&killed)?;
        in_one_process::run(scenario).same_outputs(&killed)
    });
}

/// Runs `way` on every scenario, several at a time, and tells of all that failed.
fn for_each(way: impl Fn(&Scenario) -> Result<(), String> + Sync) {
    let scenarios = Scenario::all();
    assert!(scenarios.len() >= 10, "scenarios found: {}", scenarios.len());
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = way(scenario) {
                        failures.lock().unwrap().push(format!("{}: {failure}", scenario.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
