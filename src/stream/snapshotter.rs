//! The snapshotter: takes snapshots of one partition's store beside its work.
//!
//! The partition's own thread begins a flush, makes the checkpoint once that is over, which links
//! files, and announces what is complete. Everything else is done by one thread at a time, which
//! knows nothing of the store: reading the checkpoint, uploading it, and, once it is announced,
//! trimming the log and collecting what nobody needs.

use super::kafka::{Clients, trim};
use super::phase;
use super::snapshot_port::Snapshots;
use super::stop::Stop;
use crate::clock;
use crate::service::PartitionMetrics;
use crate::snapshots::{Bucket, SnapshotError, Taken, Taker, beside, remove};
use aggregator::limits::ANNOUNCED_MAX;
use aggregator::state_log::LogPosition;
use aggregator::{Announced, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long before its checkpoint a store begins to write its files.
const FLUSH_AHEAD: Duration = Duration::from_secs(2);
/// The longest time until a snapshot, or a trim, that failed is tried again.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How long after it was written something that no snapshot names may be collected. Whoever still
/// restores from an older snapshot may find it gone, and then fetches a newer one.
const GRACE: Duration = Duration::from_secs(600);

/// Where snapshots go, and how often they are taken.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The folder of all partitions.
    pub(crate) bucket: Bucket,
    pub(crate) interval: Duration,
    /// Whether every instance reaches them, so that the log need not be kept for one that does not.
    pub(crate) is_shared: bool,
    pub(crate) runtime: Handle,
}

impl Plan {
    /// The folder of one partition.
    pub(crate) fn folder(&self, partition: u32) -> Bucket {
        self.bucket.folder(&format!("partition-{partition}"))
    }
}

/// Whose snapshots are taken.
#[derive(Debug)]
pub(super) struct Whose {
    pub(super) partition: u32,
    pub(super) epoch: u64,
    pub(super) store_directory: PathBuf,
    pub(super) clients: Clients,
    pub(super) state_topic: String,
    pub(super) metrics: Arc<PartitionMetrics>,
}

/// What a thread gives back.
#[derive(Debug)]
struct Worked {
    taker: Taker,
    done: Result<Option<Taken>, SnapshotError>,
}

/// What is going on.
#[derive(Debug)]
enum Doing {
    Nothing,
    /// The store began to write its files at this time.
    Flushing(Duration),
    /// A snapshot is uploaded.
    Uploading(Receiver<Worked>),
    /// What an announced snapshot allows is done.
    Trimming(Receiver<Worked>),
}

/// Takes snapshots of one partition.
#[derive(Debug)]
pub(super) struct Snapshotter {
    plan: Plan,
    whose: Whose,
    /// None while a thread has it.
    taker: Option<Taker>,
    doing: Doing,
    announced: Vec<Announced>,
    /// When the next snapshot is due, once that is known.
    due: Option<Duration>,
    has_failed: bool,
    /// When what the announced snapshots allow is to be done, unless it is done already.
    trim_due: Option<Duration>,
    has_failed_to_trim: bool,
    /// Why the store must not be worked with, if it must not.
    damage: Option<String>,
    /// Tells the thread that nobody waits for it.
    is_over: Arc<AtomicBool>,
}

impl Snapshotter {
    pub(super) fn new(plan: Plan, whose: Whose) -> Self {
        remove_old_checkpoints(&whose.store_directory);
        Self {
            plan,
            whose,
            taker: None,
            doing: Doing::Nothing,
            announced: Vec::new(),
            due: None,
            has_failed: false,
            trim_due: None,
            has_failed_to_trim: false,
            damage: None,
            is_over: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Has a thread do something, and gives what its outcome comes by.
    fn begin(
        &mut self,
        work: impl FnOnce(&mut Taker, &AtomicBool) -> Result<Option<Taken>, SnapshotError>
        + Send
        + 'static,
    ) -> Result<Receiver<Worked>, SnapshotError> {
        let Whose { partition, epoch, .. } = self.whose;
        let new = || Taker::new(&self.plan.folder(partition), partition, epoch);
        let (mut taker, is_over) =
            (self.taker.take().unwrap_or_else(new), Arc::clone(&self.is_over));
        let (send, worked) = sync_channel(1);
        let name = format!("snapshot-{partition}");
        let begun = std::thread::Builder::new().name(name).spawn(move || {
            let done = work(&mut taker, &is_over);
            // Nobody waits for it any more if the partition was let go.
            _ = send.send(Worked { taker, done });
        });
        begun.map(|_| worked).map_err(|error| SnapshotError::Disk(error.to_string()))
    }

    fn failed(&mut self, error: &SnapshotError) {
        tracing::warn!(partition = self.whose.partition, "a snapshot is not taken: {error}");
        self.whose.metrics.snapshot_failed();
        self.doing = Doing::Nothing;
        self.has_failed = true;
    }

    /// Another snapshot would not help: the next comes when it is due.
    fn failed_to_trim(&mut self, error: &SnapshotError) {
        tracing::warn!(
            partition = self.whose.partition,
            "the log is not trimmed for its snapshots, or old ones are not collected: {error}"
        );
        self.whose.metrics.snapshot_failed();
        self.doing = Doing::Nothing;
        self.has_failed_to_trim = true;
    }

    /// Whether the log holds more than the last snapshot and its announcement.
    fn is_worth_it(&self, at: LogPosition) -> bool {
        match self.announced.last() {
            None => at.sequence > 0,
            Some(last) => at.sequence > last.position.sequence + 1,
        }
    }

    /// Copies the store, and has a thread upload the copy.
    fn begin_upload(&mut self, store: &Store, at: LogPosition) -> Result<(), Stop> {
        let directory = beside(&self.whose.store_directory, &checkpoint_end(self.whose.epoch));
        if let Err(error) = remove(&directory) {
            self.failed(&error);
            return Ok(());
        }
        if let Err(error) = store.checkpoint(&directory) {
            let text = error.to_string();
            // A full disk costs the snapshot; a damaged store is not to be worked with.
            if let stop @ Stop::Store(_) = Stop::from(error) {
                return Err(stop);
            }
            self.failed(&SnapshotError::Disk(text));
            return Ok(());
        }
        let announced = self.announced.clone();
        let partition = self.whose.partition;
        let begun = self.begin(move |taker, is_over| {
            phase(partition, "uploading");
            let told = &mut |_| !is_over.load(Ordering::Relaxed);
            let taken = taker.take(&directory, at, &announced, told);
            remove(&directory)?;
            taken.map(Some)
        });
        match begun {
            Ok(worked) => self.doing = Doing::Uploading(worked),
            Err(error) => self.failed(&error),
        }
        Ok(())
    }

    /// Has a thread do what announced snapshots allow, once they are found whole.
    fn begin_trim(&mut self) {
        let announced = self.announced.clone();
        let Some(oldest) = announced.first().filter(|_| announced.len() == ANNOUNCED_MAX) else {
            return;
        };
        let before = oldest.position.offset;
        let (plan, partition) = (self.plan.clone(), self.whose.partition);
        let (clients, topic) = (self.whose.clients.clone(), self.whose.state_topic.clone());
        let begun = self.begin(move |taker, _| {
            match taker.check(&announced) {
                // Another machine has taken one of them, for itself.
                Err(SnapshotError::Damaged(_)) if !plan.is_shared => return Ok(None),
                checked => checked?,
            }
            let mut trimmed = Ok(());
            if plan.is_shared {
                phase(partition, "trimming");
                trimmed = trim(&clients, (&topic, partition), before, &plan.runtime);
                tracing::debug!(partition, "trimming the log to {before}: {trimmed:?}");
            }
            let now = clock::now().nanos().div_euclid(1_000_000_000);
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            let collected = taker.collect(&announced, (now, GRACE))?;
            tracing::debug!(partition, "of older snapshots, gone are {collected:?}");
            trimmed.map_err(|error| SnapshotError::Unavailable(error.to_string()))?;
            Ok(None)
        });
        match begun {
            Ok(worked) => self.doing = Doing::Trimming(worked),
            Err(error) => self.failed_to_trim(&error),
        }
    }
}

impl Snapshots for Snapshotter {
    fn take(&mut self, store: &Store, at: LogPosition, elapsed: Duration) -> Result<(), Stop> {
        if let Some(reason) = self.damage.take() {
            return Err(Stop::Store(reason));
        }
        let interval = self.plan.interval;
        if std::mem::take(&mut self.has_failed) {
            self.due = Some(elapsed + interval.min(RETRY_MAX));
        }
        if std::mem::take(&mut self.has_failed_to_trim) {
            self.trim_due = Some(elapsed + interval.min(RETRY_MAX));
        }
        let due = *self.due.get_or_insert(elapsed + interval);
        match self.doing {
            Doing::Nothing if self.trim_due.is_some_and(|due| elapsed >= due) => {
                self.trim_due = None;
                self.begin_trim();
            }
            Doing::Nothing if elapsed >= due && self.is_worth_it(at) => {
                // What the checkpoint must write itself is little then.
                store.begin_flush()?;
                self.doing = Doing::Flushing(elapsed);
            }
            Doing::Flushing(since) if elapsed >= since + FLUSH_AHEAD.min(interval / 4) => {
                self.due = Some(elapsed + interval);
                self.begin_upload(store, at)?;
            }
            Doing::Nothing | Doing::Flushing(_) | Doing::Uploading(_) | Doing::Trimming(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self) -> Option<Announced> {
        let (worked, is_trim) = match &self.doing {
            Doing::Nothing | Doing::Flushing(_) => return None,
            Doing::Uploading(worked) => (worked, false),
            Doing::Trimming(worked) => (worked, true),
        };
        let done = match worked.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => {
                Err(SnapshotError::Disk("the thread of the snapshot panicked".to_owned()))
            }
            Ok(Worked { taker, done }) => {
                self.taker = Some(taker);
                done
            }
        };
        self.doing = Doing::Nothing;
        match done {
            Ok(taken) => taken.map(|Taken { snapshot, bytes, uploaded }| {
                let LogPosition { sequence, offset, .. } = snapshot.position;
                tracing::info!(
                    partition = self.whose.partition,
                    "snapshot of group {sequence} at offset {offset} of the state log: {bytes} \
                     bytes, {uploaded} of them new"
                );
                self.whose.metrics.snapshot_taken();
                snapshot
            }),
            Err(error) if is_trim => {
                self.failed_to_trim(&error);
                None
            }
            Err(error) => {
                self.failed(&error);
                if let SnapshotError::Store(reason) = error {
                    self.damage = Some(reason);
                }
                None
            }
        }
    }

    fn announced(&mut self, snapshots: Vec<Announced>) {
        if let Some(last) = snapshots.last() {
            self.whose.metrics.snapshot_announced(last.position.offset);
            self.announced = snapshots;
            // As soon as nothing else is done.
            self.trim_due = Some(Duration::ZERO);
        }
    }
}

impl Drop for Snapshotter {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn checkpoint_end(epoch: u64) -> String {
    format!(".checkpoint-{epoch}")
}

/// Removes what an owner left that was killed. A thread of an earlier one that still reads fails.
fn remove_old_checkpoints(store_directory: &Path) {
    let Some(parent) = store_directory.parent() else { return };
    let name = store_directory.file_name().unwrap_or_default().to_string_lossy();
    let left = format!("{name}.checkpoint-");
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&left)
            && let Err(error) = remove(&entry.path())
        {
            tracing::warn!("a checkpoint that was left over stays: {error}");
        }
    }
}
