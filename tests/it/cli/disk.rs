//! Disks that refuse: exit code 3, clear words, and nothing half-done among earlier outputs.
//!
//! Each test mounts a small file system of its own, for which it must be root. Where it may not,
//! it is skipped with a line that says so, and fails where `CI` is set.

use super::usage;
use crate::program::Workplace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, gone when this is dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None` where this user may not mount.
    fn new(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let done = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at);
        if done.is_ok() {
            return Some(Self(at.to_owned()));
        }
        let told = format!("skipped: cannot mount a file system: {}", done.unwrap_err());
        assert!(std::env::var_os("CI").is_none(), "with CI set no test may be {told}");
        tell(&told);
        None
    }

    fn make_read_only(&self) {
        mount(&["-o", "remount,ro"], &self.0).unwrap();
    }

    fn make_writable(&self) {
        mount(&["-o", "remount,rw"], &self.0).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("--lazy").arg(&self.0).output();
        let done = done.is_ok_and(|ended| ended.status.success());
        assert!(done || std::thread::panicking(), "cannot unmount {}", self.0.display());
    }
}

#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn tell(message: &str) {
    eprintln!("{message}");
}

fn mount(arguments: &[&str], at: &Path) -> Result<(), String> {
    let ended = Command::new("mount").args(arguments).arg(at).output();
    let ended = ended.map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    if ended.status.success() { Ok(()) } else { Err(told) }
}

fn place() -> Workplace {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    place.write("orders.json", r#"{"orders":[]}"#);
    place.write("usage.ndjson", usage::lines(0, 10));
    place
}

fn outputs(place: &Workplace) -> (Vec<String>, Vec<String>) {
    let names = place.names("disk/out");
    let texts = names.iter().map(|name| place.text(&format!("disk/out/{name}"))).collect();
    (names, texts)
}

#[test]
fn a_full_disk_ends_with_3_and_leaves_earlier_outputs() {
    let place = place();
    let Some(_mount) = Mount::new(&place.path("disk"), "1m") else { return };
    let rate = "rate --catalog catalog.json --state state --out disk/out --usage";
    place.succeed(&format!("{rate} usage.ndjson"));
    let before = outputs(&place);
    assert_eq!(before.0, ["rated.ndjson", "rejected.ndjson", "totals.ndjson"]);
    // 10,000 rated lines are some 3 MB.
    place.write("more.ndjson", usage::lines(10, 10_000));
    for _ in 0..2 {
        place.fail(&format!("{rate} more.ndjson"), 3, &["No space left", "disk/out"]);
        assert_eq!(outputs(&place), before);
    }
    // The same state has lost nothing: elsewhere there is room for the outputs.
    place.succeed(&format!("{rate} more.ndjson").replace("disk/out", "out"));
    assert_eq!(place.lines("out/rated.ndjson").len(), 9980);
}

#[test]
fn a_state_on_a_full_disk_ends_with_3() {
    let place = place();
    let Some(_mount) = Mount::new(&place.path("disk"), "1m") else { return };
    place.write("more.ndjson", usage::lines(10, 30_000));
    let rate = "rate --catalog catalog.json --usage more.ndjson";
    place.fail(
        &format!("{rate} --state disk/state --out out"),
        3,
        &["No space left", "disk/state"],
    );
    assert!(place.names("out").is_empty(), "{:?}", place.names("out"));
    std::fs::remove_dir_all(place.path("disk/state")).unwrap();
    place.fail(&format!("{rate} --out disk/out"), 3, &["No space left", "disk/out"]);
    assert!(place.names("disk").is_empty(), "{:?}", place.names("disk"));
}

#[test]
fn a_disk_that_cannot_be_written_ends_with_3() {
    let place = place();
    let Some(mount) = Mount::new(&place.path("disk"), "10m") else { return };
    let rate = "rate --catalog catalog.json --usage usage.ndjson --out disk/out";
    place.succeed(rate);
    let before = outputs(&place);
    mount.make_read_only();
    let words = ["Read-only file system", "disk/out"];
    place.fail(rate, 3, &words);
    let bill = "bill --catalog catalog.json --orders orders.json --as-of 2026-02-01";
    place.fail(&format!("{bill} --out disk/out"), 3, &words);
    place.fail(&format!("{bill} --out disk/new"), 3, &["Read-only file system", "disk/new"]);
    place.fail(
        &rate.replace("disk/out", "out --state disk/state"),
        3,
        &["Read-only", "disk/state"],
    );
    assert!(place.names("out").is_empty(), "{:?}", place.names("out"));
    assert_eq!(outputs(&place), before);
    mount.make_writable();
    place.succeed(rate);
    assert_eq!(outputs(&place), before);
}

/// A pipe that is closed is a reader who has seen enough; a device that is full is not.
#[test]
fn an_answer_that_cannot_be_written_ends_with_3() {
    let place = place();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = place.command("check catalog.json").stdout(full).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), told.contains("stdout")), (Some(3), true), "{told}");
}
