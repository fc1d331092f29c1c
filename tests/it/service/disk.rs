//! A disk that fills up under the service: it ends with 3, and what it answered is there.
//!
//! The disk is a small file system that is mounted here, for which one must be root. Where that
//! may not be, the test is skipped with a line that says so, and fails where `CI` is set.

use super::server::Server;
use super::world::{self, LINES};
use crate::program::Workplace;
use std::path::PathBuf;
use std::process::Command;

/// A file system in memory, gone when this is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=20m", "tmpfs"], &at).then(|| Self(at))
    }

    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=200m"], &self.0));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn mount(options: &[&str], at: &PathBuf) -> bool {
    let done = Command::new("mount").args(options).arg(at).output();
    done.is_ok_and(|ended| ended.status.success())
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn a_full_disk_ends_it_with_3_and_nothing_answered_is_lost() {
    const RECORDS: usize = 4_000;
    let place = Workplace::new();
    let Some(disk) = Mount::new(place.path("disk")) else {
        assert!(std::env::var_os("CI").is_none(), "with CI set no test may be skipped");
        eprintln!("skipped: cannot mount a file system");
        return;
    };
    let settings = "[state]\ndir = \"disk/data\"\n";
    let server = world::start(&place, settings);
    let mut client = server.connect();
    let mut accepted = 0;
    // A disk of 20 MB holds fewer records than this.
    for round in 0..500 {
        let lines = world::lines(&round.to_string(), RECORDS);
        match client.try_send("POST /v1/usage", LINES, lines.as_bytes()) {
            Ok(reply) if reply.status == 200 => accepted += RECORDS,
            Ok(reply) => {
                // The commit that failed may have reached the log.
                reply.expect(503, "may have been taken");
                break;
            }
            // The process may end before it has said so.
            Err(_) => break,
        }
    }
    let ran = server.wait();
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("No space left"), "{}", ran.stderr);
    disk.grow();
    let server = Server::start(&place, &format!("catalog = \"catalog.json\"\n{settings}"));
    let mut client = server.connect();
    let kept = client.totals("SUB-0", "")[0]["records"].as_u64().unwrap();
    // A commit that failed half-way is not answered, but may have reached the log.
    assert!(kept >= accepted as u64, "{accepted} were answered, {kept} are there");
    assert!(kept <= (accepted + RECORDS) as u64);
    server.stop();
}
