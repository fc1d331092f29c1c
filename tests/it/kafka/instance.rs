//! An instance of the service with Kafka, watched by what it says of itself.

use super::signals::Signals;
use super::wire::Wire;
use crate::program::{Workplace, signal};
use crate::service::{Client, holds, holds_within};
use crate::simulation::dice::Dice;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Names of one test's topics and group.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) prefix: String,
}

impl Names {
    /// Names that no other test has.
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("t{}-{number}", std::process::id()) }
    }

    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The settings of an instance.
    pub(super) fn settings(&self, bootstrap: &str, further: &str) -> String {
        let prefix = &self.prefix;
        let names = ["raw", "rated", "rejected", "forward", "state", "totals", "catalog", "orders"];
        let topics: Vec<String> =
            names.iter().map(|name| format!("{name} = \"{prefix}.{name}\"")).collect();
        format!(
            "mode = \"kafka\"\ncatalog = \"catalog.json\"\n[kafka]\n\
             bootstrap_servers = \"{bootstrap}\"\ngroup = \"{prefix}\"\npartitions = 4\n\
             [kafka.topics]\n{}\n[kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n\
             \"heartbeat.interval.ms\" = \"500\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [dedupe]\nwindow = \"36500d\"\n{further}\n",
            topics.join("\n")
        )
    }
}

/// A running instance; it is killed if a test forgets it.
pub(super) struct Instance {
    child: Child,
    pub(super) address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
}

/// How long it may take to read and commit everything.
const CATCH_UP: Duration = Duration::from_secs(60);
/// How long a phase is waited for that must come.
const PHASE: Duration = Duration::from_secs(60);
/// How long what a stopped process has said may take to be read.
const LOOK: Duration = Duration::from_millis(2);
/// So many lines hold what each partition said last.
const LATEST: usize = 400;
/// So many of its last lines are told of an instance whose test has failed.
const TOLD: usize = 300;
const BEGINS_TO_LISTEN: &str = "listening on http://";

impl Instance {
    /// Starts one whose settings are in `config` of the place.
    pub(super) fn start(place: &Workplace, config: &str) -> Self {
        Self::start_with(place, config, std::iter::empty())
    }

    /// As [`Instance::start`], with more in its environment.
    pub(super) fn start_with(
        place: &Workplace,
        config: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let mut command = place.command(&format!("run --config {config}"));
        command.envs(environment);
        command.env("RUST_LOG", "info,usage_rater::phase=trace");
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (sender, address) = channel();
        let notes = Arc::clone(&said);
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once(BEGINS_TO_LISTEN) {
                    _ = sender.send(rest.split(';').next().unwrap().parse().unwrap());
                }
                notes.lock().unwrap().push(line);
            }
        });
        let Ok(address) = address.recv_timeout(Duration::from_secs(60)) else {
            _ = child.kill();
            panic!("it does not listen: {:#?}", said.lock().unwrap());
        };
        Self { child, address, said, reading: Some(reading) }
    }

    /// What it said so far.
    pub(super) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    pub(super) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Σ of the metrics whose line contains these words.
    pub(super) fn counted(&self, part: &str) -> i64 {
        sum_of(&self.client().get("/metrics").body, part)
    }

    /// Waits until a partition enters a phase, which it must.
    #[track_caller]
    pub(super) fn await_phase(&self, phase: &str) {
        let is_met = self.meets_phase(PHASE, |line| is_of(line, &[phase]));
        assert!(is_met, "no partition came to \"{phase}\": {:#?}", self.said());
    }

    /// Waits until a line is said that `is_wanted` takes, but no longer than `most`; whether one
    /// was.
    pub(super) fn meets_phase(&self, most: Duration, is_wanted: impl Fn(&str) -> bool) -> bool {
        let pause = Duration::from_micros(50);
        let mut seen = self.said.lock().unwrap().len();
        for _ in 0..most.as_micros() / pause.as_micros() {
            {
                let said = self.said.lock().unwrap();
                if said[seen..].iter().any(|line| is_wanted(line)) {
                    return true;
                }
                seen = said.len();
            }
            std::thread::sleep(pause);
        }
        false
    }

    /// The phase that each partition is in, as far as it has been read.
    fn phases(&self) -> Vec<String> {
        phases(&self.said())
    }

    /// Kills it, and says in which phase each partition was.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reading.take().unwrap().join().unwrap();
        self.phases()
    }

    /// Kills it once a partition is in a phase of these, or when it has not been for too long.
    pub(super) fn kill_in(self, aim: &[&str], most: Duration, dice: &mut Dice) -> Vec<String> {
        self.stop_in((aim, 0), most, dice);
        self.kill()
    }

    /// Stops it where it stands once a partition is in a phase of these, or when it has not been
    /// for too long, and says in which phase each partition is. What it had said before so many
    /// lines is of partitions that it may have lost.
    ///
    /// Some phases are over in less time than it takes to see them and to stop. So it is stopped
    /// again and again, after ever so short a while, until one of its partitions stands there.
    pub(super) fn stop_in(
        &self,
        (aim, from): (&[&str], usize),
        most: Duration,
        dice: &mut Dice,
    ) -> Vec<String> {
        let is_aim = |phase: &str| aim.contains(&phase);
        // Whether it has been met in time is seen by what is said below.
        _ = self.meets_phase(most, |line| is_of(line, aim));
        let mut signals = Signals::new(self.child.id());
        for _ in 0..most.as_millis() / LOOK.as_millis() {
            signals.send("STOP");
            // What it had said by then has been read by now.
            std::thread::sleep(LOOK);
            let is_there = {
                let said = self.said.lock().unwrap();
                let latest = said.len().saturating_sub(LATEST).max(from);
                phases(&said[latest..]).iter().any(|phase| is_aim(phase))
            };
            if is_there {
                return phases(&self.said()[from..]);
            }
            signals.send("CONT");
            std::thread::sleep(Duration::from_micros(dice.below(500)));
        }
        signals.send("STOP");
        std::thread::sleep(LOOK);
        phases(&self.said()[from..])
    }

    /// Asks it to stop, which must end well.
    #[track_caller]
    pub(super) fn stop(mut self) {
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{:#?}", self.said());
    }

    /// Waits until it has ended by itself, and gives its exit code.
    #[track_caller]
    pub(super) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let has_ended = holds(|| self.child.try_wait().unwrap().is_some());
        assert!(has_ended, "it does not end: {:#?}", self.said());
        self.reading.take().unwrap().join().unwrap();
        (self.child.wait().unwrap().code(), self.said())
    }

    /// Waits until everything in raw and forward is read and committed.
    #[track_caller]
    pub(super) fn catch_up(&self, wire: &Wire, names: &Names) {
        self.catch_up_within(CATCH_UP, wire, names);
    }

    /// As [`Instance::catch_up`], but no longer than `most`.
    #[track_caller]
    pub(super) fn catch_up_within(&self, most: Duration, wire: &Wire, names: &Names) {
        let wanted: i64 = wire.ends(&names.topic("raw"), 4).iter().sum();
        let mut last = String::new();
        let is_there = || {
            let text = self.client().get("/metrics").expect(200, "").body;
            let outcome = |name: &str| sum_of(&text, &format!("outcome=\"{name}\""));
            let [rated, duplicate, rejected, forwarded] =
                ["rated", "duplicate", "rejected", "forwarded"].map(outcome);
            let waiting = sum_of(&text, "usage_rater_records_waiting");
            last = format!("{rated} {duplicate} {rejected} {forwarded} {waiting} of {wanted}");
            // What was forwarded is read twice, and counted once more.
            rated + duplicate + rejected + waiting == wanted
        };
        if !holds_within(most, is_there) {
            panic!("it does not catch up: {last}\n{}", self.said().join("\n"));
        }
    }
}

/// What a line says of a partition's phase.
fn phase_of(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("usage_rater::phase: ")?;
    let (phase, partition) = rest.split_once(" partition=")?;
    Some((partition, phase))
}

/// Whether a line says that a partition has entered one of these phases.
fn is_of(line: &str, aim: &[&str]) -> bool {
    phase_of(line).is_some_and(|(_, phase)| aim.contains(&phase))
}

/// The phase that each partition was in last.
fn phases(said: &[String]) -> Vec<String> {
    let last: BTreeMap<&str, &str> = said.iter().filter_map(|line| phase_of(line)).collect();
    last.into_values().map(str::to_owned).collect()
}

/// Σ of the values of the metrics whose line contains `part`.
fn sum_of(metrics: &str, part: &str) -> i64 {
    let lines = metrics.lines().filter(|line| !line.starts_with('#') && line.contains(part));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok()).sum()
}

impl Drop for Instance {
    #[expect(clippy::print_stderr, reason = "a test that fails says what there is to learn from")]
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            let latest = said.len().saturating_sub(TOLD);
            eprintln!("an instance said at last: {:#?}", &said[latest..]);
        }
    }
}
