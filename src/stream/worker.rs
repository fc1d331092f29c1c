//! The worker: the thread of one partition, from its start until it is let go.

use super::catalog_topic::{CatalogBoard, InForce};
use super::command::{Asker, Command, obey, put_off, serve};
use super::kafka::{Clients, Connection, Group, Topics};
use super::limits::COMMANDS_MAX;
use super::provenance::Provenance;
use super::rater::{Rater, Rules, Setup, Tick};
use super::restore::{Restore, Restored};
use super::snapshotter::{Plan, Snapshotter, Whose};
use super::stop::Stop;
use super::{phase, store_directory};
use crate::clock::{self, Stopwatch};
use crate::service::PartitionMetrics;
use aggregator::{Routing, Seeds, StoreMemory};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

/// What a worker needs to know of the world.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) partition: u32,
    pub(crate) clients: Clients,
    pub(crate) topics: Arc<Topics>,
    pub(crate) group: Arc<Group>,
    pub(crate) memory: StoreMemory,
    pub(crate) state_dir: PathBuf,
    /// Where the catalog in force is found.
    pub(crate) catalog: Arc<CatalogBoard>,
    pub(crate) rules: Rules,
    pub(crate) snapshots: Plan,
    pub(crate) metrics: Arc<PartitionMetrics>,
}

/// How long a step waits for a record, and so how long a command may wait for the worker.
const STEP: Duration = Duration::from_millis(20);
/// How long a step of restoring waits for the log.
const RESTORE_STEP: Duration = Duration::from_millis(200);
/// How often restoring says how far it is.
const RESTORE_TOLD: Duration = Duration::from_secs(5);
/// How often the lag is looked at.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// Works on a partition until it is told to stop.
///
/// # Errors
/// [`Stop`] with the reason; the partition may be started again.
pub(crate) fn work(job: &Job, commands: &Receiver<Command>) -> Result<(), Stop> {
    let clock = Stopwatch::start();
    let mut provenance = Provenance::new();
    loop {
        let worked = restored(job, commands, clock, &mut provenance)
            .and_then(|rater| rater.map_or(Ok(()), |rater| live(job, commands, rater, clock)));
        match worked {
            Ok(()) => return Ok(()),
            // A store that the log does not know, or that cannot be read, is made anew.
            Err(Stop::Store(reason)) if provenance.refuse(job, &reason)? => {}
            Err(stop) => return Err(provenance.explain(job, stop)),
        }
    }
}

/// Restores the partition; `None` if it was told to stop before that was done.
fn restored(
    job: &Job,
    commands: &Receiver<Command>,
    clock: Stopwatch,
    provenance: &mut Provenance,
) -> Result<Option<Rater<Connection>>, Stop> {
    phase(job.partition, "restoring");
    // It may have been live, with a store that turned out to be damaged.
    job.metrics.is_not_live();
    let partition = job.partition;
    let (board, waits_for) = (&*job.catalog, None);
    let mut heed =
        Heed { partition, commands, board, waits_for, waiting: Vec::new(), is_told: false };
    let Some(store) = provenance.open(job, &mut heed)? else { return Ok(None) };
    let (clients, topics) = (&job.clients, Arc::clone(&job.topics));
    let connection = Connection::new(
        clients,
        topics,
        Arc::clone(&job.group),
        (job.partition, Arc::clone(&job.metrics)),
    )?;
    let mut restore = Restore::begin(connection, store)?;
    if let Some(snapshot) = provenance.snapshot() {
        restore = restore.made_of(snapshot);
    }
    let (mut told, mut is_behind) = (clock.elapsed(), false);
    loop {
        if heed.is_told_to_stop() {
            return Ok(None);
        }
        restore = match restore.step(RESTORE_STEP)? {
            // A record is never rated by an older catalog than one that has rated its owner.
            Restored::Done(restore) if !restore.may_go_on_with(&job.catalog.in_force())? => {
                is_behind = true;
                heed.waits_for = Some(restore.store().catalog_position()?);
                std::thread::sleep(RESTORE_STEP);
                restore
            }
            Restored::Done(restore) => {
                let (catalog, epoch) = (job.catalog.in_force(), restore.epoch());
                let mut rater = restore.finish(catalog, setup(job), tick(clock))?;
                provenance.is_restored();
                job.catalog.note_fit(job.partition);
                rater.take_snapshots(Box::new(snapshotter(job, epoch)))?;
                for command in heed.waiting {
                    obey(&mut rater, command, &job.catalog, tick(clock))?;
                }
                return Ok(Some(rater));
            }
            Restored::NotYet(restore) => restore,
        };
        let (read, of) = restore.progress();
        job.metrics.restoring(read, of);
        if clock.elapsed().saturating_sub(told) >= RESTORE_TOLD {
            told = clock.elapsed();
            let so_far = if is_behind {
                "restored, and waiting for the catalog that it was rated by".to_owned()
            } else {
                format!("restoring: {read} of {of} records of the log")
            };
            tracing::info!(partition = job.partition, "{so_far}");
        }
    }
}

/// The commands of a worker that is not live yet.
pub(super) struct Heed<'a> {
    partition: u32,
    commands: &'a Receiver<Command>,
    board: &'a CatalogBoard,
    /// How much of the catalog's topic it was rated by, once it is restored but for that.
    waits_for: Option<u64>,
    /// They are answered when it is.
    waiting: Vec<Command>,
    is_told: bool,
}

impl Heed<'_> {
    /// Whether the worker has been told to stop by now.
    pub(super) fn is_told_to_stop(&mut self) -> bool {
        while !self.is_told {
            match self.commands.try_recv().map(|command| self.put_off(command)) {
                Ok(Some(Command::Stop)) | Err(TryRecvError::Disconnected) => self.is_told = true,
                // As many as the channel holds are done when it is live; the others are dropped.
                Ok(Some(other)) if self.waiting.len() < COMMANDS_MAX => self.waiting.push(other),
                Ok(_) => {}
                Err(TryRecvError::Empty) => return false,
            }
        }
        true
    }

    /// Answers what cannot wait.
    fn put_off(&self, command: Command) -> Option<Command> {
        if let Command::TryCatalog { by, reply, .. } = &command
            && self.agrees(*by)
        {
            _ = reply.send(Ok(()));
            return None;
        }
        put_off(command, self.partition)
    }

    /// Whether the partition has nothing against any catalog, because it waits for another than the
    /// one in force, or for a newer one than there is: otherwise it might wait for itself.
    ///
    /// That there is none newer is known to the keeper here alone. An instance that asks may have
    /// read more, and what it asks about may contradict what the partition has rated by that.
    fn agrees(&self, by: Asker) -> bool {
        match by {
            Asker::Keeper if self.is_behind() => true,
            Asker::Peer if self.is_behind() => false,
            Asker::Keeper | Asker::Peer => self.board.unfit().contains_key(&self.partition),
        }
    }

    fn is_behind(&self) -> bool {
        let InForce { is_known, position, .. } = self.board.in_force();
        let behind = |rated_by| position.is_some_and(|position| position < rated_by);
        is_known && self.waits_for.is_some_and(behind)
    }
}

fn snapshotter(job: &Job, epoch: u64) -> Snapshotter {
    let whose = Whose {
        partition: job.partition,
        epoch,
        store_directory: store_directory(&job.state_dir, job.partition),
        clients: job.clients.clone(),
        state_topic: job.topics.state.clone(),
        metrics: Arc::clone(&job.metrics),
    };
    Snapshotter::new(job.snapshots.clone(), whose)
}

/// Secrets for a state that may be about to begin.
pub(super) fn draw_seeds() -> Result<Seeds, Stop> {
    crate::rating_run::draw_seeds().map_err(|failure| Stop::Failed(failure.to_string()))
}

fn setup(job: &Job) -> Setup {
    let (partitioner, partitions) = (job.clients.partitioner, job.topics.partitions);
    Setup {
        partition: job.partition,
        routing: Routing {
            own: job.partition,
            partitioner: partitioner.name(),
            home: Arc::new(move |owner| partitioner.partition_of(owner.as_bytes(), partitions)),
        },
        raw_topic: job.topics.raw.clone(),
        forward_topic: job.topics.forward.clone(),
        rejected_bytes_max: job.topics.rejected_bytes_max,
        rules: job.rules.clone(),
    }
}

fn tick(clock: Stopwatch) -> Tick {
    Tick { now: clock::now(), elapsed: clock.elapsed() }
}

/// Rates until told to stop.
fn live(
    job: &Job,
    commands: &Receiver<Command>,
    mut rater: Rater<Connection>,
    clock: Stopwatch,
) -> Result<(), Stop> {
    // With nothing to commit yet, what the state holds is what is committed.
    job.metrics.committed(rater.counters(), rater.partition().watermark());
    job.metrics.rejected(rater.partition().rejected());
    job.metrics.is_live();
    phase(job.partition, "live");
    let records = rater.counters().read;
    tracing::info!(partition = job.partition, "live, with {records} records so far");
    let mut looked = Duration::ZERO;
    loop {
        let began = tick(clock);
        let progress = rater.step(began, STEP)?;
        if let Some(appended) = progress.committed {
            job.metrics.ages(&appended, clock::now());
            job.metrics.committed(rater.counters(), rater.partition().watermark());
            job.metrics.rejected(rater.partition().rejected());
        }
        if clock.elapsed().saturating_sub(looked) >= LAG_INTERVAL {
            looked = clock.elapsed();
            // Not knowing it is no reason to stop.
            if let Ok(lag) = rater.lag() {
                job.metrics.lag(lag);
            }
            job.metrics.watermark(rater.partition().watermark());
            if let Ok(usage) = rater.partition().store().usage() {
                job.metrics.store(&usage);
            }
        }
        if !serve(&mut rater, commands, &job.catalog, || tick(clock))? {
            return rater.stop(tick(clock));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, sync_channel};

    /// A partition that was rated by a newer catalog than its instance had read agreed to whatever
    /// another instance asked, which had read it.
    #[test]
    fn who_has_read_less_of_the_catalog_agrees_with_its_own_keeper_only() {
        let (worker, commands) = sync_channel(8);
        let in_force = InForce { catalog: Arc::default(), position: Some(5), is_known: true };
        let board = CatalogBoard::new(in_force);
        let check = |waits_for, by| {
            let (reply, answer) = channel();
            worker.send(Command::TryCatalog { catalog: Arc::default(), by, reply }).unwrap();
            let waiting = Vec::new();
            let (commands, board) = (&commands, &board);
            let mut heed =
                Heed { partition: 3, commands, board, waits_for, waiting, is_told: false };
            assert!(!heed.is_told_to_stop());
            answer.recv().unwrap().is_ok()
        };
        assert!(check(Some(7), Asker::Keeper) && !check(Some(7), Asker::Peer));
        for by in [Asker::Keeper, Asker::Peer] {
            assert!(!check(None, by) && !check(Some(5), by), "{by:?}");
        }
        board.note_unfit(3, "cut anew".to_owned());
        assert!(check(None, Asker::Keeper) && check(None, Asker::Peer));
        assert!(!check(Some(7), Asker::Peer));
    }
}
