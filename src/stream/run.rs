//! Running the stream: topics, the group, the supervisor, and the front that serves HTTP's desk.

use super::audience::{Audience, Here};
use super::broker::BrokerError;
use super::catalog_entries::Entries;
use super::catalog_keeper::{Replacement, TopicKeeper, keep_file};
use super::catalog_topic::{CatalogBoard, InForce};
use super::elsewhere::Elsewhere;
use super::front::Front;
use super::kafka::{
    Clients, EntryReader, Group, StateTails, TopicFaults, Topics, TopicsError, Watched, watch,
    watch_topics,
};
use super::keeping::Keeping;
use super::limits::OUTBOX_BYTES_MAX;
use super::rater::Rules;
use super::snapshotter::Plan;
use super::supervisor::{NOT_JOINED, Supervisor};
use super::worker::Job;
use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::service::{
    Begun, CatalogText, Desk, Http, Metrics, PartitionMetrics, Settings, start_thread,
};
use crate::snapshots::Bucket;
use aggregator::StoreMemory;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
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
    let advertise = advertised(&settings.http, address)?;
    let clients = Clients::new(settings, advertise.clone(), Arc::clone(&metrics));
    clients.check_properties()?;
    let is_ending = || desk.is_closed();
    let Some(topics) = find_topics(settings, &clients, (runtime, &is_ending))? else {
        return Ok(());
    };
    let topics = Arc::new(topics);
    let broken = |error: BrokerError| Failure::Dependency(error.to_string());
    let owners = Arc::new(StateTails::new(&clients, &topics.state).map_err(broken)?);
    check_partitioner(&clients, &owners, &topics)?;
    let group = Arc::new(Group::join(&clients, &topics.raw).map_err(broken)?);
    let elsewhere = Elsewhere { owners: owners.clone(), own: advertise, runtime: runtime.clone() };
    let audience = audience(first_catalog(given.as_ref()), (&topics, &desk), elsewhere);
    let here = audience.here.clone();
    let job = Job {
        partition: 0,
        clients: clients.clone(),
        topics: Arc::clone(&topics),
        group,
        memory: StoreMemory::default(),
        state_dir: settings.state_dir.clone(),
        catalog: Arc::clone(&here.board),
        rules: rules(settings),
        snapshots: snapshots(settings, runtime)?,
        metrics: Arc::new(unused(&metrics)?),
    };
    let is_ending = Arc::new(AtomicBool::new(false));
    // Until the supervisor has looked for the first time.
    desk.show_missing(vec![NOT_JOINED.to_owned()]);
    let of_catalog = given.is_none().then_some(settings.kafka.topics.catalog.as_str());
    let watched = topics.watched(of_catalog);
    let (faults, mut watching) = watch_over_topics(&clients, watched, &is_ending)?;
    let held = (Arc::clone(&here.directory), Arc::clone(&desk), faults);
    let supervisor = Supervisor::new(job, Arc::clone(&metrics), held, Arc::clone(&is_ending));
    let supervising = std::thread::Builder::new()
        .name("supervisor".to_owned())
        .spawn(move || supervisor.run())
        .map_err(|error| Failure::Dependency(format!("cannot start a thread: {error}")))?;
    watch_calls(&clients, &metrics)?;
    desk.show_owners(owners);
    if given.is_none() {
        desk.show_trials(Arc::new(here.clone()));
    }
    let (replacements, received) = sync_channel(1);
    let keeping = keep_catalog((settings, given), (&clients, &audience), received, &is_ending)?;
    let mut keeping = Keeping::new("keeper of the catalog", keeping);
    desk.set_open();
    tracing::info!(
        "listening on http://{address}; topic {} has {} partitions",
        topics.raw,
        topics.partitions
    );
    let front = Front::new(&clients, &topics, &here, (replacements, metrics))?;
    let mut is_over = || keeping.has_ended() || watching.has_ended() || supervising.is_finished();
    let served = front.serve(&desk, &requests, &mut is_over);
    is_ending.store(true, Ordering::SeqCst);
    let supervised = supervising.join();
    let panicked = |_| Failure::Dependency("the supervisor panicked".to_owned());
    let (kept, watched) = (keeping.join(runtime), watching.join(runtime));
    // Why they have ended says more than that they have.
    supervised.map_err(panicked)??;
    kept?;
    watched?;
    served
}

/// Whether customers are spread as they were when the state was begun: those that moved to another
/// partition would find nothing there of what they have used.
fn check_partitioner(
    clients: &Clients,
    tails: &StateTails,
    topics: &Topics,
) -> Result<(), Failure> {
    let (name, topic) = (clients.partitioner.name(), &topics.state);
    let begun = tails.partitioner(topics.partitions);
    match begun.map_err(|reason| Failure::Dependency(format!("kafka.topics.state: {reason}")))? {
        Some(found) if found != name => Err(Failure::Dependency(format!(
            "kafka.partitioner is \"{name}\", but the state in topic {topic} was begun with \
             \"{found}\": set that, or begin with other topics and another state"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Whoever must know of a catalog; nothing is held yet.
fn audience(
    first: InForce,
    (topics, desk): (&Topics, &Arc<Desk>),
    elsewhere: Elsewhere,
) -> Audience {
    let (board, partitions) = (Arc::new(CatalogBoard::new(first)), topics.partitions);
    let here = Here { board, directory: Arc::default(), partitions };
    Audience { here, desk: Arc::clone(desk), elsewhere }
}

/// What is in force before anything was read.
fn first_catalog(given: Option<&CatalogText>) -> InForce {
    let is_known = given.is_some();
    let catalog = given.map(|given| Arc::clone(&given.catalog)).unwrap_or_default();
    InForce { catalog, position: (!is_known).then_some(0), is_known }
}

/// Starts the thread that keeps the catalog of its file or its topic in force.
fn keep_catalog(
    (settings, given): (&Settings, Option<CatalogText>),
    (clients, audience): (&Clients, &Audience),
    replacements: Receiver<Replacement>,
    is_ending: &Arc<AtomicBool>,
) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
    let (audience, is_ending) = (audience.clone(), Arc::clone(is_ending));
    if given.is_some() {
        audience.desk.show_catalog(given);
        return start_thread("catalog", move || {
            keep_file(&audience, &replacements, &is_ending);
            Ok(())
        });
    }
    let topic = settings.kafka.topics.catalog.clone();
    let reader = begin_reading(clients, &topic)?;
    let keeper = TopicKeeper::new(reader, (clients.clone(), topic), audience, replacements);
    start_thread("catalog", move || {
        keeper.keep(&is_ending);
        Ok(())
    })
}

/// Begins to read the catalog's topic, waiting for one that is not there yet.
fn begin_reading(clients: &Clients, topic: &str) -> Result<EntryReader, Failure> {
    let waited = Stopwatch::start();
    loop {
        match EntryReader::new(clients, topic) {
            Ok(reader) => return Ok(reader),
            Err(error) if waited.elapsed() > BROKER_PATIENCE => {
                return Err(Failure::Dependency(format!("kafka.topics.catalog: {error}")));
            }
            Err(error) => {
                tracing::warn!("kafka.topics.catalog: {error}; trying again");
                std::thread::sleep(BROKER_PAUSE);
            }
        }
    }
}

/// Starts the watch over calls of librdkafka. It lasts until the process ends, because stopping is
/// done by such calls, too.
fn watch_calls(clients: &Clients, metrics: &Arc<Metrics>) -> Result<(), Failure> {
    let (calls, metrics) = (Arc::clone(clients.calls()), Arc::clone(metrics));
    // What it ends with is heard by nobody: it does not end.
    start_thread("watch", move || watch(&calls, &metrics)).map(drop)
}

/// Starts the watch over topics, and gives where it tells what it found.
fn watch_over_topics(
    clients: &Clients,
    topics: Vec<Watched>,
    is_ending: &Arc<AtomicBool>,
) -> Result<(Arc<TopicFaults>, Keeping), Failure> {
    let clients = clients.clone();
    let (faults, is_ending) = (Arc::<TopicFaults>::default(), Arc::clone(is_ending));
    let found = Arc::clone(&faults);
    let watching = start_thread("topics", move || {
        watch_topics(&clients, &topics, &found, &is_ending);
        Ok(())
    })?;
    Ok((faults, Keeping::new("watch over topics", watching)))
}

/// Where other instances reach this one's HTTP: as set, or where it listens.
fn advertised(http: &Http, address: SocketAddr) -> Result<String, Failure> {
    if let Some(advertise) = &http.advertise {
        return Ok(advertise.clone());
    }
    if !address.ip().is_unspecified() {
        return Ok(address.to_string());
    }
    let system = rustix::system::uname();
    match system.nodename().to_str() {
        Ok(name) if !name.is_empty() => Ok(format!("{name}:{}", address.port())),
        _ => Err(Failure::Dependency(
            "http.advertise is missing: http.listen names all addresses, and this machine has no \
             name by which other instances could reach it"
                .to_owned(),
        )),
    }
}

/// The catalog as its topic has it now.
///
/// # Errors
/// [`Failure`] if it cannot be read.
pub(crate) fn read_catalog(settings: &Settings) -> Result<Vec<u8>, Failure> {
    let broken = |error: BrokerError| Failure::Dependency(error.to_string());
    let metrics = Metrics::new()
        .map_err(|error| Failure::Dependency(format!("cannot register metrics: {error}")))?;
    let clients = Clients::new(settings, String::new(), Arc::new(metrics));
    let reader = EntryReader::new(&clients, &settings.kafka.topics.catalog).map_err(broken)?;
    let mut entries = Entries::default();
    while !reader.has_read_all() {
        if let Some(entry) = reader.next(BROKER_PAUSE).map_err(broken)? {
            // The service told of records that are no entries.
            _ = entries.take(entry.offset, &entry.key, entry.value.as_deref());
        }
    }
    Ok(entries.document().into_bytes())
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
        outbox_bytes: OUTBOX_BYTES_MAX,
    }
}

/// Finds or makes the topics, waiting for a broker that is not there yet; `None` if it was to end
/// meanwhile.
fn find_topics(
    settings: &Settings,
    clients: &Clients,
    (runtime, is_ending): (&Handle, &dyn Fn() -> bool),
) -> Result<Option<Topics>, Failure> {
    let waited = Stopwatch::start();
    let (names, window) = (&settings.kafka.topics, settings.dedupe_window);
    loop {
        let sizes = (settings.kafka.partitions, window);
        let ensured = Topics::ensure(clients, names, sizes, is_ending);
        match runtime.block_on(ensured) {
            Err(TopicsError::Unavailable(_)) if is_ending() => return Ok(None),
            Ok((topics, odd)) => {
                for warning in odd {
                    tracing::warn!("{warning}");
                }
                return Ok(Some(topics));
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
