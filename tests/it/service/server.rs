//! The service as a process: started, stopped by a signal, or killed.

use super::client::Client;
use crate::program::{Ran, Workplace, signal};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running service; it is killed if a test forgets it.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    log: Option<JoinHandle<String>>,
}

const CONFIG: &str = "usage-rater.toml";
const BEGINS_TO_LISTEN: &str = "listening on http://";
/// How long a condition is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

impl Server {
    /// Starts the service on a free port with these settings besides; its state is `data`.
    pub(super) fn start(place: &Workplace, settings: &str) -> Self {
        write_settings(place, settings);
        let mut command = place.command(&format!("run --config {CONFIG}"));
        command.env_remove("RUST_LOG");
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, address) = channel();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let mut lines = BufReader::new(stderr);
            while lines.read_line(&mut log).is_ok_and(|bytes| bytes > 0) {
                if let Some((_, rest)) = log.split_once(BEGINS_TO_LISTEN) {
                    let address = rest.split(';').next().unwrap().parse::<SocketAddr>().unwrap();
                    _ = sender.send(address);
                    break;
                }
            }
            _ = lines.read_to_string(&mut log);
            log
        });
        let Some(address) = wait_for(&address) else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not listen: {}", log.join().unwrap());
        };
        Self { child, address, log: Some(log) }
    }

    pub(super) fn connect(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// Sends a signal by its name.
    pub(super) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Waits for the end; how it ended and what it said.
    pub(super) fn wait(mut self) -> Ran {
        let status: ExitStatus = self.child.wait().unwrap();
        let stderr = self.log.take().unwrap().join().unwrap();
        Ran { code: status.code(), stdout: String::new(), stderr }
    }

    /// Asks it to stop, which must end well.
    #[track_caller]
    pub(super) fn stop(self) {
        self.signal("TERM");
        let ran = self.wait();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    /// Ends it as a power failure would end its process.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Writes the settings of a service on a free port; lines before the first table come first.
pub(super) fn write_settings(place: &Workplace, settings: &str) {
    let (top, tables) = settings.split_at(settings.find('[').unwrap_or(settings.len()));
    let tables = if tables.contains("[http]") {
        tables.replace("[http]", "[http]\nlisten = \"127.0.0.1:0\"")
    } else {
        format!("{tables}\n[http]\nlisten = \"127.0.0.1:0\"")
    };
    // Usage in tests is of a fixed time, however long ago that is.
    let window = if tables.contains("[dedupe]") { "" } else { "[dedupe]\nwindow = \"36500d\"\n" };
    place.write(CONFIG, format!("mode = \"embedded\"\n{top}\n{tables}\n{window}"));
}

fn wait_for(address: &Receiver<SocketAddr>) -> Option<SocketAddr> {
    address.recv_timeout(PATIENCE).ok()
}

/// Waits until something holds; a test that waits in vain fails.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    assert!(holds(is_so), "in vain: {what}");
}

/// Waits until something holds; whether it did at last.
pub(crate) fn holds(is_so: impl FnMut() -> bool) -> bool {
    holds_within(PATIENCE, is_so)
}

/// Waits until something holds, but no longer than `most`; whether it did at last.
pub(crate) fn holds_within(most: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let tries = most.as_millis() / PAUSE.as_millis();
    (0..tries).any(|_| {
        let so = is_so();
        if !so {
            std::thread::sleep(PAUSE);
        }
        so
    })
}
