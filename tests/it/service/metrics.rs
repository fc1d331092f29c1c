//! `/metrics`: names that dashboards rely on, in the text that Prometheus reads.

use super::server::{Server, eventually};
use super::world::{self, LINES, ONE, record};
use crate::program::Workplace;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Samples by name and labels; every line that is none must be help or a type.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut helped = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.ends_with('.'), "{line}");
            helped.push(name.to_owned());
        } else if !line.starts_with("# TYPE ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(helped.iter().any(|known| name.starts_with(known)), "no help for {line}");
            assert_eq!(found.insert(name.to_owned(), value.parse().unwrap()), None, "{line}");
        }
    }
    found
}

fn records(outcome: &str) -> String {
    format!("usage_rater_records_total{{outcome=\"{outcome}\",partition=\"0\"}}")
}

fn rejected(code: &str) -> String {
    format!("usage_rater_rejected_total{{code=\"{code}\",partition=\"0\"}}")
}

#[test]
fn metrics_say_what_was_committed_and_survive_a_restart() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    client.usage(LINES, &(world::lines("a", 30) + "x\n")).expect(207, "results");
    client.usage(ONE, &record("a-1", 1)).expect(200, "duplicate");
    let reply = client.get("/metrics").expect(200, "usage_rater");
    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let found = samples(&reply.body);
    let committed = |found: &BTreeMap<String, f64>| {
        ["rated", "duplicate", "rejected", "forwarded"].map(|outcome| found[&records(outcome)])
    };
    assert_eq!(committed(&found), [30.0, 1.0, 1.0, 0.0]);
    for name in ["usage_rater_records_waiting", "usage_rater_consumer_lag_records"] {
        assert_eq!(found[&format!("{name}{{partition=\"0\"}}")], 0.0);
    }
    assert_eq!(found[&rejected("malformed_json")], 1.0);
    assert_eq!(found[&rejected("overflow")], 0.0);
    assert_eq!(found["usage_rater_record_age_seconds_count"], 32.0);
    assert!(found["usage_rater_commit_seconds_count"] >= 2.0);
    assert!(found["usage_rater_commit_seconds_bucket{le=\"+Inf\"}"] >= 2.0);
    let watermark = found["usage_rater_watermark_timestamp_seconds{partition=\"0\"}"];
    // 2026-01-28T00:00:27Z is the latest of the records.
    assert!(watermark >= 1_769_558_427.0, "{watermark}");
    promtool(&reply.body);
    server.kill();
    let server = Server::start(&place, "catalog = \"catalog.json\"\n");
    let mut found = samples(&server.connect().get("/metrics").body);
    assert_eq!(committed(&found), [30.0, 1.0, 1.0, 0.0]);
    assert_eq!(found[&rejected("malformed_json")], 1.0, "kept like the others");
    eventually("the store tells what it takes", || {
        found = samples(&server.connect().get("/metrics").body);
        found["usage_rater_store_memtable_bytes{partition=\"0\"}"] > 0.0
    });
    server.stop();
}

/// Prometheus' own judge, where it is installed (Debian: `prometheus`).
#[expect(clippy::print_stderr, reason = "a check that is left out must say so")]
pub(crate) fn promtool(text: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "promtool is not installed");
        eprintln!("promtool is not installed; the format was read by this test only");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let judged = child.wait_with_output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
}
