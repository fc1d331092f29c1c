//! Two runs at once: one does its work, the other says who is in the way.

use super::usage;
use crate::program::Workplace;
use std::io::Write as _;
use std::process::Child;
use std::time::Duration;

/// A run that has begun and waits for its input.
fn waiting(place: &Workplace, line: &str, until: &str) -> Child {
    let mut child = place.start(line);
    for _ in 0..2000 {
        if place.path(until).exists() {
            return child;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("{line}: there is no {until} after 10 s");
}

fn finish(mut child: Child) {
    let input = usage::lines(0, 50);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn place() -> Workplace {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, 100));
    place
}

#[test]
fn the_second_run_on_an_output_directory_says_so() {
    let place = place();
    let rate = "rate --catalog catalog.json --out out";
    let first = waiting(&place, &format!("{rate} --usage -"), "out/.usage-rater.partial/state");
    place.fail(&format!("{rate} --usage usage.ndjson"), 3, &["another run", "out"]);
    finish(first);
    assert_eq!(place.lines("out/rated.ndjson").len(), 50, "the first run's, untouched");
    assert_eq!(place.names("out"), ["rated.ndjson", "rejected.ndjson", "totals.ndjson"]);
    place.succeed(&format!("{rate} --usage usage.ndjson"));
    assert_eq!(place.lines("out/rated.ndjson").len(), 100);
}

#[test]
fn the_second_run_on_a_state_says_so() {
    let place = place();
    let rate = "rate --catalog catalog.json --state state";
    let first = waiting(&place, &format!("{rate} --out a --usage -"), "state/partition-0/CURRENT");
    place.fail(&format!("{rate} --out b --usage usage.ndjson"), 3, &["another", "state"]);
    assert!(place.names("b").is_empty(), "{:?}", place.names("b"));
    finish(first);
    assert_eq!(place.lines("a/rated.ndjson").len(), 50);
    place.succeed(&format!("{rate} --out b --usage usage.ndjson"));
    assert_eq!(place.lines("b/rated.ndjson").len(), 100, "50 of them from the first run");
}
