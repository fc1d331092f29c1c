//! The worker: the thread of one partition, from its start until it is let go.

use super::catalog_topic::{CatalogBoard, InForce};
use super::kafka::{Clients, Connection, Group, Topics};
use super::rater::{Rater, Rules, Setup, Tick};
use super::restore::{Restore, Restored};
use super::stop::Stop;
use super::{murmur2, phase, store_directory};
use crate::clock::{self, Stopwatch};
use crate::failure::Failure;
use crate::service::{PartitionMetrics, WantedPeriod, reads};
use aggregator::{Layout, Routing, Seeds, Store, StoreMemory};
use rating::Instant;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a worker can be asked for while it works.
#[derive(Debug)]
pub(crate) enum Command {
    /// To commit what is open and let go.
    Stop,
    /// To go on with another catalog.
    Catalog(InForce),
    /// For the totals of a subscription, as of a commit begun after this.
    Totals {
        subscription: String,
        wanted: WantedPeriod,
        reply: oneshot::Sender<Result<Option<String>, Failure>>,
    },
    /// For the records of the totals of a charge.
    Explain {
        subscription: String,
        charge: String,
        period: String,
        reply: oneshot::Sender<Result<Option<String>, Failure>>,
    },
    /// To close the periods that ended by an instant.
    Close { until: Instant, done: std::sync::mpsc::Sender<()> },
}

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
    let mut is_second = false;
    loop {
        let worked = restored(job, commands, clock)
            .and_then(|rater| rater.map_or(Ok(()), |rater| live(job, commands, rater, clock)));
        match worked {
            Ok(()) => return Ok(()),
            // A store that the log does not know, or that cannot be read, is made anew, once.
            Err(Stop::Store(reason)) if !is_second => {
                tracing::warn!(
                    partition = job.partition,
                    "the store is made anew from the state log: {reason}"
                );
                put_store_aside(job)?;
                is_second = true;
            }
            Err(stop) => return Err(stop),
        }
    }
}

/// Puts the store out of the way; the one that was put there before goes.
fn put_store_aside(job: &Job) -> Result<(), Stop> {
    let directory = store_directory(&job.state_dir, job.partition);
    let mut aside = directory.clone().into_os_string();
    aside.push(".aside");
    let moved = match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::rename(&directory, &aside),
    };
    match moved {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Stop::Failed(format!("cannot move {} away: {error}", directory.display())))
        }
        _ => Ok(()),
    }
}

/// Restores the partition; `None` if it was told to stop before that was done.
fn restored(
    job: &Job,
    commands: &Receiver<Command>,
    clock: Stopwatch,
) -> Result<Option<Rater<Connection>>, Stop> {
    phase(job.partition, "restoring");
    let store = open_store(job)?;
    let (clients, topics) = (&job.clients, Arc::clone(&job.topics));
    let connection = Connection::new(
        clients,
        topics,
        Arc::clone(&job.group),
        (job.partition, Arc::clone(&job.metrics)),
    )?;
    let mut restore = Restore::begin(connection, store)?;
    let (mut told, mut waiting) = (clock.elapsed(), Vec::new());
    loop {
        match commands.try_recv() {
            Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return Ok(None),
            // It is on the board.
            Ok(Command::Catalog(_)) => {}
            // They are answered when it is live.
            Ok(other) => waiting.push(other),
            Err(TryRecvError::Empty) => {}
        }
        restore = match restore.step(RESTORE_STEP)? {
            // A record is never rated by an older catalog than one that has rated its owner.
            Restored::Done(restore) if !is_new_enough(&restore, &job.catalog.in_force())? => {
                if clock.elapsed().saturating_sub(told) >= RESTORE_TOLD {
                    told = clock.elapsed();
                    tracing::info!(
                        partition = job.partition,
                        "restored, and waiting for the catalog that it was rated by"
                    );
                }
                std::thread::sleep(RESTORE_STEP);
                restore
            }
            Restored::Done(restore) => {
                let catalog = job.catalog.in_force();
                let mut rater = restore.finish(catalog, setup(job), tick(clock))?;
                for command in waiting {
                    obey(&mut rater, command, clock)?;
                }
                return Ok(Some(rater));
            }
            Restored::NotYet(restore) => restore,
        };
        let (read, of) = restore.progress();
        job.metrics.restoring(read, of);
        if clock.elapsed().saturating_sub(told) >= RESTORE_TOLD {
            told = clock.elapsed();
            tracing::info!(
                partition = job.partition,
                "restoring: {read} of {of} records of the log"
            );
        }
    }
}

fn is_new_enough(restore: &Restore<Connection>, catalog: &InForce) -> Result<bool, Stop> {
    restore.may_go_on_with(catalog)
}

fn open_store(job: &Job) -> Result<Store, Stop> {
    std::fs::create_dir_all(&job.state_dir).map_err(|error| {
        Stop::Failed(format!("cannot make {}: {error}", job.state_dir.display()))
    })?;
    let directory = store_directory(&job.state_dir, job.partition);
    let layout = Layout { partitions: job.topics.partitions, is_replica: true };
    Ok(Store::open(&directory, draw_seeds()?, layout, &job.memory)?)
}

/// Secrets for a state that may be about to begin.
fn draw_seeds() -> Result<Seeds, Stop> {
    crate::rating_run::draw_seeds().map_err(|failure| Stop::Failed(failure.to_string()))
}

fn setup(job: &Job) -> Setup {
    let partitions = job.topics.partitions;
    Setup {
        partition: job.partition,
        routing: Routing {
            own: job.partition,
            home: Arc::new(move |owner| murmur2::partition_of(owner.as_bytes(), partitions)),
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
        }
        if clock.elapsed().saturating_sub(looked) >= LAG_INTERVAL {
            looked = clock.elapsed();
            // Not knowing it is no reason to stop.
            if let Ok(lag) = rater.lag() {
                job.metrics.lag(lag);
            }
            job.metrics.watermark(rater.partition().watermark());
        }
        loop {
            match commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    return rater.stop(tick(clock));
                }
                Ok(command) => obey(&mut rater, command, clock)?,
                Err(TryRecvError::Empty) => break,
            }
        }
    }
}

/// Does what was asked for. Whoever asked may have gone away since.
fn obey(rater: &mut Rater<Connection>, command: Command, clock: Stopwatch) -> Result<(), Stop> {
    match command {
        Command::Stop => {}
        Command::Catalog(newer) => {
            if let Err(reason) = rater.set_catalog(newer, tick(clock))? {
                tracing::error!("the new catalog is not taken: {reason}");
            }
        }
        Command::Totals { subscription, wanted, reply } => {
            rater.commit(tick(clock))?;
            _ = reply.send(reads::totals(rater.partition(), &subscription, wanted));
        }
        Command::Explain { subscription, charge, period, reply } => {
            rater.commit(tick(clock))?;
            _ = reply.send(reads::explain(rater.partition(), &subscription, &charge, &period));
        }
        Command::Close { until, done } => {
            rater.close(until, tick(clock))?;
            _ = done.send(());
        }
    }
    Ok(())
}
