//! The service: HTTP in front, one worker behind that owns the state, and a desk between them.
//!
//! HTTP hands requests in at the desk and waits; the worker gathers them, makes them durable by one
//! commit, and answers. HTTP knows the desk only, and the worker the port `Ledger` only, so Kafka
//! can take the place of the embedded ledger without either of them noticing.

mod answer;
mod catalog_file;
mod desk;
mod http;
mod ledger;
mod limits;
mod metrics;
mod owners;
mod reads;
mod settings;
mod signals;
mod split;
mod trials;
mod wanted;
mod worker;

pub(crate) use answer::{Answer, Told};
pub(crate) use desk::{DeadLetters, Desk, Request, Submission};
pub(crate) use http::ask_trial;
pub(crate) use ledger::{CatalogText, Refusal};
pub(crate) use limits::{CATALOG_BYTES_MAX, TRIAL_SECONDS_MAX, TRIAL_TURN_SECONDS_MAX};
pub(crate) use metrics::{ClientFacts, ConnectionFacts, Metrics, PartitionMetrics};
pub(crate) use owners::Owners;
pub(crate) use reads::{Read, Unread};
pub(crate) use settings::{Http, Kafka, Mode, Settings};
pub(crate) use trials::{Trial, Trials};

use crate::clock::{earlier, later};
use crate::failure::Failure;
use crate::input;
use crate::stream;
use http::App;
use ledger::{EmbeddedLedger, Ledger as _, Rules};
use signals::{Signals, Wish};
use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use worker::Worker;

/// Threads that speak HTTP; the work is done by the worker.
const HTTP_THREADS: usize = 2;
/// What a second signal ends the process with.
const STOPPED_AT_ONCE: i32 = 130;

/// The catalog of a service that is not running, and where it lies: the file of its settings, or
/// what the API brought last.
///
/// # Errors
/// [`Failure`] if there is none, or it cannot be read.
pub(crate) fn kept_catalog(settings: &Settings) -> Result<(PathBuf, Vec<u8>), Failure> {
    let kept = || catalog_file::path(&settings.state_dir);
    let path = settings.catalog.clone().unwrap_or_else(kept);
    let text = input::read(&path)?;
    Ok((path, text))
}

/// Serves until a signal asks to stop.
///
/// # Errors
/// [`Failure`] if the service cannot start, or if its worker fails.
pub(crate) fn run(settings: Settings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(HTTP_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::Dependency(format!("cannot start a runtime: {error}")))?;
    let served = runtime.block_on(serve(settings));
    // Connections that have outlived the service have nobody left to ask.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::new()
        .map_err(|error| Failure::Dependency(format!("cannot watch signals: {error}")))?;
    // Nobody is served yet, so that nothing waits for it.
    let given = settings.catalog.as_deref().map(catalog_file::load).transpose()?;
    let cannot_listen =
        |error| Failure::Dependency(format!("cannot listen on {}: {error}", settings.http.listen));
    let listener = TcpListener::bind(&settings.http.listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let metrics = Metrics::new()
        .map_err(|error| Failure::Dependency(format!("cannot register metrics: {error}")))?;
    let metrics = Arc::new(metrics);
    let (http, catalog) = (settings.http.clone(), settings.catalog.clone());
    let (desk, requests) = Desk::new(http.queue_requests_max, http.queue_bytes_max);
    let app = App::new(Arc::clone(&desk), Arc::clone(&metrics), http, catalog.clone());
    let (stop, stopping) = oneshot::channel::<()>();
    let serving = tokio::spawn(http::serve(listener, app, async {
        _ = stopping.await;
    }));
    let begun = Begun { address, desk: Arc::clone(&desk), requests, metrics };
    let mut worker = match settings.mode {
        Mode::Embedded => start_worker(settings, given, begun)?,
        Mode::Kafka => stream::start(settings, given, begun)?,
    };
    let read_again = Arc::new(Notify::new());
    tokio::spawn(catalog_file::follow(catalog, Arc::clone(&desk), Arc::clone(&read_again)));
    loop {
        tokio::select! {
            ended = &mut worker => return ended.unwrap_or_else(|_| Err(vanished())),
            wish = signals.next() => match wish {
                Wish::Stop => break,
                Wish::ReadAgain => read_again.notify_one(),
            },
        }
    }
    tracing::info!("stopping: finishing what was begun");
    tokio::spawn(async move {
        signals.stop().await;
        std::process::exit(STOPPED_AT_ONCE);
    });
    // Open requests first, so that each is still answered; then the worker.
    _ = stop.send(());
    let patience = Duration::from_secs(limits::STOP_SECONDS_MAX);
    if tokio::time::timeout(patience, serving).await.is_err() {
        tracing::warn!("requests that did not end within {patience:?} are left unanswered");
    }
    desk.close();
    let ended = worker.await.unwrap_or_else(|_| Err(vanished()));
    tracing::info!("stopped");
    ended
}

/// What whoever serves the desk begins with.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Where HTTP listens.
    pub(crate) address: SocketAddr,
    /// Where HTTP hands requests in.
    pub(crate) desk: Arc<Desk>,
    /// The other side of the desk.
    pub(crate) requests: Receiver<Request>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts the thread of the worker; what it ends with comes by the channel.
fn start_worker(
    settings: Settings,
    given: Option<CatalogText>,
    begun: Begun,
) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
    let work = move || {
        let Begun { address, desk, requests, metrics } = begun;
        let rules = Rules {
            future_tolerance: settings.future_tolerance,
            dedupe_window: settings.dedupe_window,
            waiting: settings.waiting.clone(),
        };
        let ledger = EmbeddedLedger::open(&settings.state_dir, given, rules)?;
        desk.show_catalog(ledger.catalog().cloned());
        let shown = metrics
            .partition(0)
            .map_err(|error| Failure::Dependency(format!("cannot register metrics: {error}")))?;
        shown.committed(&ledger.counters(), ledger.watermark());
        shown.rejected(&ledger.rejected_by_code());
        desk.set_open();
        announce(address, &settings, &ledger);
        let Settings { commit_interval, periods, .. } = settings;
        let worker = Worker { ledger, desk, requests, metrics: shown, commit_interval, periods };
        worker.run().map_err(|failure| {
            Failure::Dependency(format!("the worker failed, nothing unanswered counts: {failure}"))
        })
    };
    start_thread("worker", work)
}

/// Starts a thread; what it ends with comes by the channel, also if it panics.
pub(crate) fn start_thread(
    name: &str,
    work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
    let (done, ended) = oneshot::channel();
    let whose = name.to_owned();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let worked = catch_unwind(AssertUnwindSafe(work));
            // Nobody listens any more only if the process is ending anyway.
            _ = done.send(worked.unwrap_or_else(|panic| Err(panicked(&whose, &*panic))));
        })
        .map_err(|error| Failure::Dependency(format!("cannot start a thread: {error}")))?;
    Ok(ended)
}

fn announce(address: SocketAddr, settings: &Settings, ledger: &EmbeddedLedger) {
    let records = ledger.counters().read;
    let state = settings.state_dir.display();
    tracing::info!("listening on http://{address}; the state in {state} has {records} records");
    if ledger.catalog().is_none() {
        tracing::info!("there is no catalog yet; PUT /v1/catalog brings one");
    }
}

fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    let whose = format!("the thread \"{thread}\"");
    Failure::Dependency(format!("{whose} panicked, nothing unanswered counts: {text}"))
}

fn vanished() -> Failure {
    Failure::Dependency("the worker vanished".to_owned())
}
