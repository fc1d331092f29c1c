//! Killed in the middle of its work, again and again, `rate --state` comes to the same end as if
//! nothing had happened.

use super::usage;
use crate::program::Workplace;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

/// More than three commits.
const RECORDS: usize = 400_000;
const KILLS: u32 = 6;
const SIGKILL: i32 = 9;

#[test]
fn a_run_killed_at_any_moment_can_be_finished() {
    let seed = std::env::var("USAGE_RATER_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut moments = Moments(seed.unwrap_or(20_260_114));
    let seed = moments.0;
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("usage.ndjson", usage::lines(0, RECORDS));
    let rate = "rate --catalog catalog.json --usage usage.ndjson --close-at 2026-02-01T00:00:00Z";
    let whole = duration(|| _ = place.succeed(&format!("{rate} --state undisturbed --out wanted")));
    let killed = format!("{rate} --state state --out out");
    let mut hits = 0;
    for _ in 0..KILLS {
        let mut child = place.start(&killed);
        std::thread::sleep(moments.next(whole));
        child.kill().unwrap();
        hits += u32::from(child.wait().unwrap().signal() == Some(SIGKILL));
    }
    assert!(hits > 0, "seed {seed}: none of {KILLS} runs was still running when it was killed");
    place.succeed(&killed);
    assert_eq!(place.names("out"), ["rated.ndjson", "rejected.ndjson", "totals.ndjson"]);
    let read = |directory: &str, name: &str| place.text(&format!("{directory}/{name}"));
    for name in ["totals.ndjson", "rejected.ndjson"] {
        assert!(read("out", name) == read("wanted", name), "seed {seed}: {name} differs");
    }
    let (found, wanted) = (read("out", "rated.ndjson"), read("wanted", "rated.ndjson"));
    let (found, wanted) = (sorted(&found), sorted(&wanted));
    assert_eq!(found.len(), wanted.len(), "seed {seed}: rated lines");
    assert!(found == wanted, "seed {seed}: rated.ndjson differs");
    assert_eq!(found.len(), RECORDS - 2 * RECORDS / 1000);
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// How long something takes; it only decides when to kill, never whether a test passes.
#[expect(clippy::disallowed_methods, reason = "a moment within a run is a moment on the clock")]
fn duration(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Random moments in the first two thirds of a run.
struct Moments(u64);

impl Moments {
    /// The generator is splitmix64.
    fn next(&mut self, whole: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut random = self.0;
        random = (random ^ random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        random = (random ^ random >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        let millis = u64::try_from(whole.as_millis()).unwrap() * 2 / 3;
        Duration::from_millis((random ^ random >> 31) % millis.max(1))
    }
}
