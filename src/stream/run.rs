//! Running the stream: topics, the group, the supervisor, and the front that serves HTTP's desk.

use super::broker::BrokerError;
use super::catalog_topic::{CatalogBoard, Entries, InForce, follow};
use super::front::Front;
use super::kafka::{Clients, EntryReader, Group, Topics, TopicsError};
use super::rater::Rules;
use super::snapshotter::Plan;
use super::supervisor::{Directory, Supervisor};
use super::worker::Job;
use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::service::{Begun, CatalogText, Metrics, PartitionMetrics, Settings, start_thread};
use crate::snapshots::Bucket;
use aggregator::StoreMemory;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a broker may stay away when the service starts.
const BROKER_PATIENCE: Duration = Duration::from_secs(20);
/// The time between two tries.
const BROKER_PAUSE: Duration = Duration::from_secs(1);

/// Starts the thread that serves the desk from Kafka; what it ends with comes by the channel.
///
/// # Errors
/// [`Failure`] if the thread cannot be started.
pub(crate) fn start(
    settings: Settings,
    given: Option<CatalogText>,
    begun: Begun,
) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
    let runtime = Handle::current();
    start_thread("front", move || serve(&settings, given, begun, &runtime))
}

fn serve(
    settings: &Settings,
    given: Option<CatalogText>,
    begun: Begun,
    runtime: &Handle,
) -> Result<(), Failure> {
    let Begun { address, desk, requests, metrics } = begun;
    let clients = clients(settings);
    let topics = Arc::new(find_topics(settings, &clients, runtime)?);
    let broken = |error: BrokerError| Failure::Dependency(error.to_string());
    let group = Arc::new(Group::join(&clients, &topics.raw).map_err(broken)?);
    let from_topic = given.is_none();
    let first = given.as_ref().map(|given| Arc::clone(&given.catalog)).unwrap_or_default();
    let position = from_topic.then_some(0);
    let catalog =
        Arc::new(CatalogBoard::new(InForce { catalog: first, position, is_known: !from_topic }));
    let job = Job {
        partition: 0,
        clients: clients.clone(),
        topics: Arc::clone(&topics),
        group,
        memory: StoreMemory::default(),
        state_dir: settings.state_dir.clone(),
        catalog: Arc::clone(&catalog),
        rules: rules(settings),
        snapshots: snapshots(settings, runtime)?,
        metrics: Arc::new(unused(&metrics)?),
    };
    let directory = Arc::new(Directory::default());
    let is_ending = Arc::new(AtomicBool::new(false));
    let supervisor =
        Supervisor::new(job, Arc::clone(&metrics), Arc::clone(&directory), Arc::clone(&is_ending));
    let supervising = std::thread::Builder::new()
        .name("supervisor".to_owned())
        .spawn(move || supervisor.run())
        .map_err(|error| Failure::Dependency(format!("cannot start a thread: {error}")))?;
    desk.show_catalog(given);
    let following = if from_topic {
        let reader = EntryReader::new(&clients, &settings.kafka.topics.catalog).map_err(broken)?;
        let (board, directory, desk) =
            (Arc::clone(&catalog), Arc::clone(&directory), Arc::clone(&desk));
        let is_ending = Arc::clone(&is_ending);
        Some(start_thread("catalog", move || {
            follow(&reader, (&board, &directory, &desk), &is_ending);
            Ok(())
        })?)
    } else {
        None
    };
    desk.set_open();
    tracing::info!(
        "listening on http://{address}; topic {} has {} partitions",
        topics.raw,
        topics.partitions
    );
    let front = Front::new(&clients, &topics, catalog, (directory, metrics))?;
    let mut following = following;
    let served = front.serve(&desk, &requests, || {
        // The thread of the catalog ends only by an error.
        let gone = following.as_mut().is_some_and(|ended| ended.try_recv().is_ok());
        gone || supervising.is_finished()
    });
    is_ending.store(true, Ordering::SeqCst);
    let supervised = supervising.join();
    served?;
    supervised.map_err(|_| Failure::Dependency("the supervisor panicked".to_owned()))
}

/// The catalog as its topic has it now.
///
/// # Errors
/// [`Failure`] if it cannot be read.
pub(crate) fn read_catalog(settings: &Settings) -> Result<Vec<u8>, Failure> {
    let broken = |error: BrokerError| Failure::Dependency(error.to_string());
    let clients = clients(settings);
    let reader = EntryReader::new(&clients, &settings.kafka.topics.catalog).map_err(broken)?;
    let mut entries = Entries::default();
    while !reader.has_read_all() {
        if let Some((key, value)) = reader.next(BROKER_PAUSE).map_err(broken)? {
            // The service told of keys that are none.
            _ = entries.take(&key, value.as_deref());
        }
    }
    let (made, _) = entries.put_together();
    Ok(made.map(|(_, text)| text.into_bytes()).unwrap_or_default())
}

fn clients(settings: &Settings) -> Clients {
    let kafka = settings.kafka.clone();
    Clients::new(
        kafka.bootstrap_servers,
        kafka.group,
        kafka.instance_id,
        kafka.properties,
        settings.commit_interval,
    )
}

/// Where snapshots of these settings go. Without a place that all instances reach, the log is kept
/// whole: another machine may have to make a partition's state of it.
fn snapshots(settings: &Settings, runtime: &Handle) -> Result<Plan, Failure> {
    let url = settings.snapshots.url.as_deref();
    let own = || settings.state_dir.join("snapshots");
    let text =
        |(key, value): (OsString, OsString)| key.into_string().ok().zip(value.into_string().ok());
    let environment = std::env::vars_os().filter_map(text);
    let bucket = match url.map(|url| (url, url.strip_prefix("file://"))) {
        Some((url, None)) => Bucket::s3(url, environment, runtime.clone())?,
        Some((_, Some(directory))) => Bucket::directory(Path::new(directory), runtime.clone())?,
        None => Bucket::directory(&own(), runtime.clone())?,
    };
    if url.is_none() {
        tracing::info!(
            "snapshots go to {} on this machine, and the state log is not trimmed; with \
             snapshots.url it would be",
            own().display()
        );
    }
    let bucket = bucket.folder(&settings.kafka.group).folder(&settings.kafka.topics.raw);
    let (interval, runtime) = (settings.snapshots.interval, runtime.clone());
    Ok(Plan { bucket, interval, is_shared: url.is_some(), runtime })
}

/// The metrics of a partition that is never shown; each worker gets its own.
fn unused(metrics: &Metrics) -> Result<PartitionMetrics, Failure> {
    let made = metrics.partition(0);
    metrics.forget(0);
    made.map_err(|error| Failure::Dependency(format!("cannot register metrics: {error}")))
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        commit_interval: settings.commit_interval,
        future_tolerance: settings.future_tolerance,
        dedupe_window: settings.dedupe_window,
        // What may yet come from the future must not be late when it does.
        grace: settings.periods.grace.max(settings.future_tolerance),
        idle: settings.periods.idle,
        waiting_bytes: settings.waiting.bytes_max,
        waiting_age: settings.waiting.age,
    }
}

/// Finds or makes the topics, waiting for a broker that is not there yet.
fn find_topics(
    settings: &Settings,
    clients: &Clients,
    runtime: &Handle,
) -> Result<Topics, Failure> {
    let waited = Stopwatch::start();
    let (names, window) = (&settings.kafka.topics, settings.dedupe_window);
    loop {
        let ensured = Topics::ensure(clients, names, settings.kafka.partitions, window);
        match runtime.block_on(ensured) {
            Ok((topics, odd)) => {
                for warning in odd {
                    tracing::warn!("{warning}");
                }
                return Ok(topics);
            }
            Err(TopicsError::Unusable(reason)) => return Err(Failure::Dependency(reason)),
            Err(TopicsError::Unavailable(reason)) if waited.elapsed() > BROKER_PATIENCE => {
                return Err(Failure::Dependency(reason));
            }
            Err(TopicsError::Unavailable(reason)) => {
                tracing::warn!("{reason}; trying again");
                std::thread::sleep(BROKER_PAUSE);
            }
        }
    }
}
