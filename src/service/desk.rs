//! The desk: where HTTP hands requests in, and how much of them may lie there.
//!
//! Whoever serves the other end answers. Two bounds keep it short: bytes of bodies, counted from
//! the first byte that is read, and requests that wait. At either, the sender is told to come back;
//! nothing is ever queued without a bound.

use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::service::answer::Answer;
use crate::service::ledger::{CatalogText, Refusal};
use crate::service::owners::Owners;
use crate::service::reads::Read;
use crate::service::trials::Trials;
use axum::body::Bytes;
use rating::Instant;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What the worker is asked for.
#[derive(Debug)]
pub(crate) enum Request {
    /// To rate these records.
    Usage(Submission),
    /// To answer as of a commit after this.
    Read(Read),
    /// For the last dead letters.
    Rejected { limit: usize, reply: oneshot::Sender<Result<DeadLetters, Failure>> },
    /// To take another catalog.
    Catalog { new: CatalogText, reply: oneshot::Sender<Result<(), Refusal>> },
    /// To close the periods that ended by an instant.
    Close { until: Instant, reply: oneshot::Sender<()> },
}

/// Where dead letters are.
#[derive(Debug)]
pub(crate) enum DeadLetters {
    /// The last of them, as JSON.
    Here(String),
    /// All of them are in a topic of this name.
    InTopic(String),
}

/// Usage records in one body.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) body: Bytes,
    /// Where each record lies in the body.
    pub(crate) records: Vec<Range<u32>>,
    /// When the request was received.
    pub(crate) received: Instant,
    /// Running since then.
    pub(crate) age: Stopwatch,
    /// Room for the body, given back with the answer.
    pub(crate) room: Room,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Too much is waiting.
    Full,
    /// The service is stopping.
    Closed,
}

/// Room for bytes of a body among those of all bodies.
#[derive(Debug)]
pub(crate) struct Room {
    budget: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Makes room for further bytes, or says that there is none.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Turned> {
        let bytes = u32::try_from(bytes).map_err(|_| Turned::Full)?;
        let more = Arc::clone(&self.budget).try_acquire_many_owned(bytes);
        let more = more.map_err(|_| Turned::Full)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// The side of the desk where requests are handed in.
#[derive(Debug)]
pub(crate) struct Desk {
    sender: SyncSender<Request>,
    budget: Arc<Semaphore>,
    closed: AtomicBool,
    open: AtomicBool,
    catalog: RwLock<Option<CatalogText>>,
    /// What is yet missing to be ready.
    missing: RwLock<Vec<String>>,
    owners: OnceLock<Arc<dyn Owners>>,
    trials: OnceLock<Arc<dyn Trials>>,
}

impl Desk {
    /// A desk for so many requests and bytes of bodies, and its other side.
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> (Arc<Self>, Receiver<Request>) {
        let (sender, receiver) = sync_channel(requests_max);
        let desk = Self {
            sender,
            budget: Arc::new(Semaphore::new(bytes_max)),
            closed: AtomicBool::new(false),
            open: AtomicBool::new(false),
            catalog: RwLock::new(None),
            missing: RwLock::new(Vec::new()),
            owners: OnceLock::new(),
            trials: OnceLock::new(),
        };
        (Arc::new(desk), receiver)
    }

    /// Room for a body, none of it taken yet.
    pub(crate) fn room(&self) -> Room {
        Room { budget: Arc::clone(&self.budget), permit: None }
    }

    /// Hands a request in.
    pub(crate) fn submit(&self, request: Request) -> Result<(), Turned> {
        if self.is_closed() {
            return Err(Turned::Closed);
        }
        self.sender.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(_) => Turned::Full,
            TrySendError::Disconnected(_) => Turned::Closed,
        })
    }

    /// Takes no further request; those that wait are still served.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Says that the worker has its state open.
    pub(crate) fn set_open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Whether the worker has its state open and is not told to stop.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) && !self.is_closed()
    }

    /// Shows the catalog that is in force from now on.
    pub(crate) fn show_catalog(&self, catalog: Option<CatalogText>) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
    }

    /// The catalog in force.
    pub(crate) fn catalog(&self) -> Option<CatalogText> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows what is yet missing to be ready.
    pub(crate) fn show_missing(&self, missing: Vec<String>) {
        *self.missing.write().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// What is yet missing to be ready, beside what [`Desk::is_open`] and [`Desk::catalog`] say.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.missing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says who knows the other instances; once.
    pub(crate) fn show_owners(&self, owners: Arc<dyn Owners>) {
        // A second one would know the same.
        _ = self.owners.set(owners);
    }

    /// Whoever knows the other instances, where there are any.
    pub(crate) fn owners(&self) -> Option<Arc<dyn Owners>> {
        self.owners.get().map(Arc::clone)
    }

    /// Says who can have catalogs tried by partitions; once.
    pub(crate) fn show_trials(&self, trials: Arc<dyn Trials>) {
        // A second one would ask the same ones.
        _ = self.trials.set(trials);
    }

    /// Whoever can have catalogs tried by partitions, where those may be of several instances.
    pub(crate) fn trials(&self) -> Option<Arc<dyn Trials>> {
        self.trials.get().map(Arc::clone)
    }
}
