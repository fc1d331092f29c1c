//! The supervisor: sees to it that a worker runs for every partition that is ours, and no other.

use super::assignment::{Decision, Facts, decide};
use super::catalog_topic::REMEDY;
use super::command::Command;
use super::directory::{Directory, Unsent};
use super::kafka::{Change, Group, TopicFaults};
use super::limits::COMMANDS_MAX;
use super::stop::Stop;
use super::worker::{Job, work};
use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::service::{Desk, Metrics, PartitionMetrics};
use rating::Catalog;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::Duration;

/// Why an instance is not ready that has not been assigned anything yet.
pub(super) const NOT_JOINED: &str = "the group has not said which partitions are of this instance";
/// How long one word with the group takes at most.
const GROUP_POLL: Duration = Duration::from_millis(50);
/// After so long the group has answered a heartbeat: what it has not taken away is still ours.
const GROUP_HEARD: Duration = Duration::from_secs(10);
/// A worker that has worked for so long has not failed in a row.
const WORKED_WELL: Duration = Duration::from_secs(60);

/// What is known of one partition.
#[derive(Debug, Default)]
struct Slot {
    is_assigned: bool,
    is_revoked: bool,
    /// When its worker was started, if there is one.
    worker: Option<Stopwatch>,
    /// What that worker shows of itself.
    metrics: Option<Arc<PartitionMetrics>>,
    is_told_to_stop: bool,
    failed: Option<(u32, Stopwatch)>,
    /// The catalog that it has stopped for: with another, it is tried again at once.
    unfit_with: Option<Arc<Catalog>>,
    fenced: Option<Stopwatch>,
}

/// Everything that is needed to run partitions.
#[derive(Debug)]
pub(crate) struct Supervisor {
    job: Job,
    group: Arc<Group>,
    metrics: Arc<Metrics>,
    directory: Arc<Directory>,
    desk: Arc<Desk>,
    topic_faults: Arc<TopicFaults>,
    is_ending: Arc<AtomicBool>,
    slots: BTreeMap<u32, Slot>,
    ended: Receiver<(u32, Result<(), Stop>)>,
    end: Sender<(u32, Result<(), Stop>)>,
}

impl Supervisor {
    /// A supervisor of partitions that work like `job`.
    pub(crate) fn new(
        job: Job,
        metrics: Arc<Metrics>,
        (directory, desk, topic_faults): (Arc<Directory>, Arc<Desk>, Arc<TopicFaults>),
        is_ending: Arc<AtomicBool>,
    ) -> Self {
        let (end, ended) = channel();
        let group = Arc::clone(&job.group);
        let slots = BTreeMap::new();
        Self { job, group, metrics, directory, desk, topic_faults, is_ending, slots, ended, end }
    }

    /// Runs until it is to end and everything has been let go.
    ///
    /// # Errors
    /// [`Failure`] if the group has shut this instance out for good.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let mut shut_out = None;
        loop {
            let is_ending = self.is_ending.load(Ordering::SeqCst);
            let (changes, failures) = self.group.poll(GROUP_POLL, is_ending);
            for failure in failures {
                tracing::warn!("the consumer group: {failure}");
            }
            for change in changes {
                self.note(&change);
            }
            while let Ok((partition, ended)) = self.ended.try_recv() {
                self.note_end(partition, ended);
            }
            if let Some(reason) = self.group.fatal_error().filter(|_| shut_out.is_none()) {
                let reason = format!("the group does not take this instance any more: {reason}");
                tracing::error!("{reason}; what it holds is let go");
                self.is_ending.store(true, Ordering::SeqCst);
                shut_out = Some(reason);
            }
            let is_ending = self.is_ending.load(Ordering::SeqCst);
            self.act(is_ending);
            self.desk.show_missing(self.missing());
            if is_ending && self.slots.values().all(|slot| slot.worker.is_none()) {
                self.group.leave();
                return shut_out.map_or(Ok(()), |reason| Err(Failure::Dependency(reason)));
            }
        }
    }

    fn note(&mut self, change: &Change) {
        match change {
            Change::Assigned(partitions) => {
                tracing::info!("assigned: partitions {partitions:?}");
                // Those that were added to raw have no state; the watch over topics tells of them.
                let known = |partition: &&u32| **partition < self.job.topics.partitions;
                for partition in partitions.iter().filter(known) {
                    let slot = self.slots.entry(*partition).or_default();
                    (slot.is_assigned, slot.is_revoked) = (true, false);
                    (slot.fenced, slot.failed) = (None, None);
                    self.job.catalog.note_fit(*partition);
                }
            }
            Change::Revoked(partitions) => {
                tracing::info!("revoked: partitions {partitions:?}");
                for partition in partitions {
                    self.slots.entry(*partition).or_default().is_revoked = true;
                    self.job.catalog.note_fit(*partition);
                }
            }
            Change::Lost(partitions) => {
                tracing::warn!("lost: partitions {partitions:?}");
                for partition in partitions {
                    let slot = self.slots.entry(*partition).or_default();
                    (slot.is_assigned, slot.is_revoked) = (false, false);
                    self.job.catalog.note_fit(*partition);
                }
            }
        }
    }

    fn note_end(&mut self, partition: u32, ended: Result<(), Stop>) {
        self.directory.set(partition, None);
        self.metrics.forget(partition);
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let worked = slot.worker.take().map_or(Duration::ZERO, |since| since.elapsed());
        slot.is_told_to_stop = false;
        slot.metrics = None;
        self.job.catalog.note_fit(partition);
        let Err(stop) = ended else { return };
        if let Stop::Fenced(reason) = &stop {
            tracing::warn!(partition, "fenced, so let go: {reason}");
            slot.fenced = Some(Stopwatch::start());
            return;
        }
        if let Stop::Unfit(reason) = &stop {
            // Whoever has it now, or soon, answers for it.
            if slot.is_assigned && !slot.is_revoked {
                self.job.catalog.note_unfit(partition, reason.clone());
            }
            slot.unfit_with = Some(self.job.catalog.in_force().catalog);
        }
        let before = slot.failed.map_or(0, |(failures, _)| failures);
        let failures = if worked >= WORKED_WELL { 1 } else { before + 1 };
        slot.failed = Some((failures, Stopwatch::start()));
        self.metrics.partition_failed(partition);
        tracing::error!(partition, failures, "stopped, to be tried again: {stop}");
    }

    fn act(&mut self, is_ending: bool) {
        let mut released = Vec::new();
        let in_force = self.job.catalog.in_force().catalog;
        let partitions: Vec<u32> = self.slots.keys().copied().collect();
        for partition in partitions {
            let Some(slot) = self.slots.get_mut(&partition) else { continue };
            if slot.unfit_with.take_if(|catalog| !Arc::ptr_eq(catalog, &in_force)).is_some() {
                slot.failed = None;
            }
            let facts = Facts {
                is_assigned: slot.is_assigned,
                is_revoked: slot.is_revoked,
                is_working: slot.worker.is_some(),
                is_told_to_stop: slot.is_told_to_stop,
                is_ending,
                failed: slot.failed.map(|(failures, since)| (failures, since.elapsed())),
                is_fenced: slot.fenced.is_some_and(|since| since.elapsed() < GROUP_HEARD),
            };
            match decide(facts) {
                Decision::Wait => {}
                Decision::Start => self.start(partition),
                Decision::Stop => {
                    // A worker that has just ended need not be told; one that has too much to do
                    // is told again.
                    let told = self.directory.send(partition, Command::Stop);
                    slot.is_told_to_stop = !matches!(told, Err(Unsent::Full(_)));
                }
                Decision::Release => released.push(partition),
            }
        }
        // One answer for all that was revoked: the group takes the first for the last.
        let revoked = self.slots.values().filter(|slot| slot.is_revoked).count();
        if !released.is_empty() && released.len() == revoked {
            for slot in self.slots.values_mut().filter(|slot| slot.is_revoked) {
                (slot.is_assigned, slot.is_revoked) = (false, false);
            }
            tracing::info!("let go: partitions {released:?}");
            if let Err(error) = self.group.release(&released) {
                tracing::warn!("giving back partitions {released:?}: {error}");
            }
        }
    }

    /// What keeps this instance from answering for all that is assigned to it.
    fn missing(&self) -> Vec<String> {
        let mut missing = self.topic_faults.all();
        if !self.group.has_joined() {
            missing.push(NOT_JOINED.to_owned());
        }
        if !self.job.catalog.in_force().is_known {
            missing.push("the topic of the catalog has not been read to its end".to_owned());
        }
        let unfit = self.job.catalog.unfit();
        for (partition, slot) in self.slots.iter().filter(|(_, slot)| slot.is_assigned) {
            let is_live = slot.metrics.as_ref().is_some_and(|metrics| metrics.shows_live());
            if let Some(reason) = unfit.get(partition).filter(|_| !slot.is_revoked) {
                missing.push(told_unfit(*partition, is_live, reason));
                continue;
            }
            let why = match (&slot.failed, &slot.fenced) {
                _ if is_live => continue,
                _ if slot.is_revoked => "is being given back",
                _ if slot.worker.is_some() => "is being restored",
                (_, Some(_)) => "was fenced by another instance",
                (Some(_), None) => "has stopped, and is tried again",
                (None, None) => "is about to be restored",
            };
            missing.push(format!("partition {partition} {why}"));
        }
        missing
    }

    fn start(&mut self, partition: u32) {
        let (commands, received) = sync_channel(COMMANDS_MAX);
        let metrics = match self.metrics.partition(partition) {
            Ok(metrics) => Arc::new(metrics),
            Err(error) => return self.note_end(partition, Err(Stop::Failed(error.to_string()))),
        };
        let shown = Arc::clone(&metrics);
        let job = Job { partition, metrics, ..self.job.clone() };
        let end = self.end.clone();
        let run = move || {
            let worked = catch_unwind(AssertUnwindSafe(|| work(&job, &received)));
            let ended = worked.unwrap_or_else(|panic| Err(panicked(&*panic)));
            // Nobody listens any more only if the process is ending anyway.
            _ = end.send((partition, ended));
        };
        let name = format!("partition-{partition}");
        match std::thread::Builder::new().name(name).spawn(run) {
            Ok(_) => {
                self.directory.set(partition, Some(commands));
                if let Some(slot) = self.slots.get_mut(&partition) {
                    slot.worker = Some(Stopwatch::start());
                    slot.metrics = Some(shown);
                    slot.is_told_to_stop = false;
                }
            }
            Err(error) => {
                let stop = Stop::Failed(format!("cannot start a thread: {error}"));
                self.note_end(partition, Err(stop));
            }
        }
    }
}

/// Says which partition does not fit the catalog in force, and what to do about it.
fn told_unfit(partition: u32, is_live: bool, reason: &str) -> String {
    let does = if is_live {
        "goes on with the catalog before the one in force, and would not start again"
    } else {
        "does not start with the catalog in force"
    };
    format!("partition {partition} {does}: {reason}; {REMEDY}")
}

fn panicked(panic: &(dyn Any + Send)) -> Stop {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    Stop::Failed(format!("panicked, nothing uncommitted counts: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Settings;
    use crate::snapshots::Bucket;
    use crate::stream::catalog_topic::{CatalogBoard, InForce};
    use crate::stream::kafka::{Clients, Topics};
    use crate::stream::rater::Rules;
    use crate::stream::snapshotter::Plan;
    use aggregator::StoreMemory;
    use tokio::runtime::Handle;

    /// A supervisor whose broker nobody answers for: it is told of everything by hand.
    fn supervisor(directory: &std::path::Path, runtime: Handle) -> Supervisor {
        let mut settings = Settings::default();
        "127.0.0.1:1".clone_into(&mut settings.kafka.bootstrap_servers);
        let metrics = Arc::new(Metrics::new().unwrap());
        let clients = Clients::new(&settings, "here:1".to_owned(), Arc::clone(&metrics));
        let [raw, rated, rejected, forward, state, totals] =
            ["raw", "rated", "rejected", "forward", "state", "totals"].map(str::to_owned);
        let (partitions, rejected_bytes_max) = (4, 1 << 20);
        let topics =
            Topics { raw, rated, rejected, forward, state, totals, partitions, rejected_bytes_max };
        let rules = Rules {
            commit_interval: Duration::ZERO,
            future_tolerance: Duration::ZERO,
            dedupe_window: Duration::ZERO,
            grace: Duration::ZERO,
            idle: Duration::ZERO,
            waiting_bytes: 0,
            waiting_age: Duration::ZERO,
            outbox_bytes: 0,
        };
        let bucket = Bucket::directory(directory, runtime.clone()).unwrap();
        let first = InForce { catalog: Arc::default(), position: None, is_known: true };
        let job = Job {
            partition: 0,
            group: Arc::new(Group::join(&clients, "raw").unwrap()),
            clients,
            topics: Arc::new(topics),
            memory: StoreMemory::default(),
            state_dir: directory.to_owned(),
            catalog: Arc::new(CatalogBoard::new(first)),
            rules,
            snapshots: Plan { bucket, interval: Duration::ZERO, is_shared: false, runtime },
            metrics: Arc::new(metrics.partition(0).unwrap()),
        };
        let held = (Arc::default(), Desk::new(1, 1).0, Arc::default());
        Supervisor::new(job, metrics, held, Arc::default())
    }

    /// A worker notes whether it takes a catalog, and the supervisor why a worker has stopped.
    #[test]
    fn the_youngest_word_on_a_partition_that_does_not_fit_counts() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut supervisor = supervisor(directory.path(), runtime.handle().clone());
        let board = Arc::clone(&supervisor.job.catalog);
        let unfit = |reason: &str| Err(Stop::Unfit(reason.to_owned()));
        let noted = || board.unfit().remove(&1);
        supervisor.note(&Change::Assigned(vec![0, 1]));
        // As its worker does when it is told of a catalog.
        board.note_unfit(1, "older".to_owned());
        supervisor.note_end(1, unfit("younger"));
        assert_eq!(noted().as_deref(), Some("younger"));
        supervisor.note_end(0, Ok(()));
        assert_eq!(noted().as_deref(), Some("younger"), "another partition says nothing of it");
        // With what it fits, it is taken up again, and ends for another reason.
        board.note(1, &Ok(()));
        supervisor.note_end(1, Err(Stop::Broker("away".to_owned())));
        assert_eq!(noted(), None);
        supervisor.note_end(1, unfit("again"));
        supervisor.note_end(1, Ok(()));
        assert_eq!(noted(), None);
        // One whose worker ends after it was taken away is somebody else's.
        for gone in [Change::Revoked(vec![1]), Change::Lost(vec![1])] {
            board.note_unfit(1, "here".to_owned());
            supervisor.note(&gone);
            assert_eq!(noted(), None, "{gone:?}");
            supervisor.note_end(1, unfit("late"));
            assert_eq!(noted(), None, "{gone:?}");
            supervisor.note(&Change::Assigned(vec![1]));
        }
    }

    /// Those that were added to raw have no state, nor a place in the other topics.
    #[test]
    fn partitions_that_were_added_are_given_back_and_never_worked_on() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut supervisor = supervisor(directory.path(), runtime.handle().clone());
        supervisor.note(&Change::Assigned(vec![3, 4]));
        assert_eq!(supervisor.slots.keys().copied().collect::<Vec<_>>(), [3]);
        supervisor.note(&Change::Revoked(vec![3, 4]));
        assert!(supervisor.slots.values().all(|slot| slot.is_revoked), "the group waits for both");
    }
}
