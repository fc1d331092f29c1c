//! The keeper: one thread that sees to it that the catalog in force here is the one of its source.
//!
//! From a file, the catalog is what was read at the start or at the last SIGHUP. From the topic, it
//! is what the topic says is in force; entries that come are decided about by whoever takes the
//! pen, and a catalog that came by HTTP becomes entries. Either way all partitions that are held
//! here are asked before a whole catalog replaces another, and told of it at once.

use super::broker::BrokerError;
use super::catalog_entries::{
    Change, Decision, Entries, IN_FORCE, Texts, changed_plan, entries_of,
};
use super::catalog_topic::{CatalogBoard, InForce};
use super::command::Command;
use super::directory::Directory;
use super::kafka::{Clients, EntryReader, Pen};
use super::limits::COMMAND_SECONDS_MAX;
use crate::clock::Stopwatch;
use crate::service::{CatalogText, Desk, Refusal};
use axum::body::Bytes;
use rating::Catalog;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// The time between two tries to read.
const PAUSE: Duration = Duration::from_secs(1);
/// After so long without a further entry, those that came are put together.
const QUIET: Duration = Duration::from_millis(100);
/// How long it reads, once it has come to the end, before it looks at what has come.
const READ_AT_ONCE: Duration = Duration::from_secs(1);
/// How long what was written may take to be read.
const READ: Duration = Duration::from_secs(30);
/// The instance that holds this partition decides about entries at once.
const FIRST: u32 = 0;
/// Others leave it so much time, and each another share of a second more.
const OTHERS: Duration = Duration::from_secs(3);

/// A whole catalog that is to be in force.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) new: CatalogText,
    pub(super) reply: oneshot::Sender<Result<(), Refusal>>,
}

/// Whoever must know of a catalog.
#[derive(Debug, Clone)]
pub(super) struct Audience {
    pub(super) board: Arc<CatalogBoard>,
    pub(super) directory: Arc<Directory>,
    pub(super) desk: Arc<Desk>,
}

impl Audience {
    /// Asks all partitions that are held here whether a catalog fits what they have rated.
    fn check(&self, catalog: &Arc<Catalog>) -> Result<(), Refusal> {
        let (reply, answers) = channel();
        let held = self.directory.held();
        for partition in &held {
            let command =
                Command::TryCatalog { catalog: Arc::clone(catalog), reply: reply.clone() };
            if self.directory.insist(*partition, command).is_err() {
                return Err(moving(*partition));
            }
        }
        drop(reply);
        let patience = Duration::from_secs(COMMAND_SECONDS_MAX);
        for _ in &held {
            // Without an answer the partition has stopped, or takes too long.
            answers.recv_timeout(patience).map_err(|_| {
                let reason = "a partition has not answered whether it fits its state";
                Refusal::NotNow(format!("{reason}; try again"))
            })??;
        }
        Ok(())
    }

    /// Puts a catalog in force here, and waits until all partitions that are held have it.
    fn put(&self, newer: &InForce, text: Bytes) -> Result<(), Refusal> {
        self.desk.show_catalog(Some(CatalogText { catalog: Arc::clone(&newer.catalog), text }));
        // Whoever starts from now on finds it there.
        self.board.set(newer.clone());
        let (reply, answers) = channel();
        let mut told = 0;
        for partition in self.directory.held() {
            let command = Command::Catalog { newer: newer.clone(), done: reply.clone() };
            // A worker that is not there any more needs none.
            told += usize::from(self.directory.insist(partition, command).is_ok());
        }
        drop(reply);
        let patience = Duration::from_secs(COMMAND_SECONDS_MAX);
        let mut refused = Ok(());
        for _ in 0..told {
            match answers.recv_timeout(patience) {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => refused = Err(Refusal::Contradicts(reason)),
                // It has stopped, and takes up what is in force when it starts.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let reason = "it is in force, but a partition has not taken it up yet";
                    return Err(Refusal::NotNow(reason.to_owned()));
                }
            }
        }
        refused
    }
}

fn moving(partition: u32) -> Refusal {
    Refusal::NotNow(format!("partition {partition} is being moved or restored; try again"))
}

/// Keeps a catalog that comes from a file: whoever has read it again hands it in.
pub(super) fn keep_file(
    audience: &Audience,
    replacements: &Receiver<Replacement>,
    is_ending: &AtomicBool,
) {
    while !is_ending.load(Ordering::SeqCst) {
        let Ok(Replacement { new, reply }) = replacements.recv_timeout(QUIET) else { continue };
        let newer = InForce { catalog: Arc::clone(&new.catalog), position: None, is_known: true };
        let before = audience.board.in_force().catalog;
        let replaced = match changed_plan(&before, &new.catalog) {
            Some(reason) => Err(Refusal::Contradicts(reason)),
            None => audience.check(&new.catalog).and_then(|()| audience.put(&newer, new.text)),
        };
        // Whoever handed it in may be gone.
        _ = reply.send(replaced);
    }
}

/// Keeps a catalog that comes from the topic.
pub(super) struct TopicKeeper {
    reader: EntryReader,
    clients: Clients,
    topic: String,
    audience: Audience,
    replacements: Receiver<Replacement>,
    entries: Entries,
    /// Whether what is in force differs from what is on the board.
    is_new: bool,
    /// Since when entries are open that fit.
    open_since: Option<Stopwatch>,
}

impl TopicKeeper {
    pub(super) fn new(
        reader: EntryReader,
        (clients, topic): (Clients, String),
        audience: Audience,
        replacements: Receiver<Replacement>,
    ) -> Self {
        let entries = Entries::default();
        let (is_new, open_since) = (false, None);
        Self { reader, clients, topic, audience, replacements, entries, is_new, open_since }
    }

    /// Reads the topic for as long as the service lives. While it cannot be read or written, the
    /// catalog in force stays.
    pub(super) fn keep(mut self, is_ending: &AtomicBool) {
        while !is_ending.load(Ordering::SeqCst) {
            if let Err(error) = self.turn() {
                tracing::warn!("kafka.topics.catalog: {error}; trying again");
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn turn(&mut self) -> Result<(), BrokerError> {
        let came = self.read()?;
        if !self.reader.has_read_all() {
            return Ok(());
        }
        let is_first = !self.audience.board.in_force().is_known;
        self.show();
        if came || is_first {
            let decision = self.decision();
            for reason in decision.reasons {
                tracing::warn!("kafka.topics.catalog: not in force yet: {reason}");
            }
            let waits = !decision.changes.is_empty();
            self.open_since = waits.then(|| self.open_since.unwrap_or_else(Stopwatch::start));
        }
        if let Ok(replacement) = self.replacements.try_recv() {
            self.replace(replacement);
        }
        if self.open_since.is_some_and(|since| since.elapsed() >= self.pause()) {
            self.decide()?;
            self.open_since = None;
        }
        Ok(())
    }

    /// How long this instance leaves it to others to decide.
    fn pause(&self) -> Duration {
        if self.audience.directory.held().contains(&FIRST) {
            return Duration::ZERO;
        }
        OTHERS + Duration::from_millis(u64::from(std::process::id() % 1_000))
    }

    /// Reads what has come, until nothing does for a while; whether anything has. What keeps
    /// coming is looked at all the same.
    fn read(&mut self) -> Result<bool, BrokerError> {
        let (clock, mut came) = (Stopwatch::start(), false);
        while let Some(entry) = self.reader.next(QUIET)? {
            came = true;
            match self.entries.take(entry.offset, &entry.key, entry.value.as_deref()) {
                Ok(is_new) => self.is_new |= is_new,
                Err(reason) => tracing::error!("kafka.topics.catalog: {reason}"),
            }
            if self.reader.has_read_all() && clock.elapsed() > READ_AT_ONCE {
                break;
            }
        }
        Ok(came)
    }

    /// Reads until the mark that ends before an offset.
    fn read_to(&mut self, end: u64) -> Result<(), BrokerError> {
        let clock = Stopwatch::start();
        while self.entries.position() < end {
            self.read()?;
            if clock.elapsed() > READ {
                let reason = "what was written to it did not come back in time";
                return Err(BrokerError::Failed(reason.to_owned()));
            }
        }
        Ok(())
    }

    /// Puts in force here what the topic says.
    fn show(&mut self) -> Option<Refusal> {
        let board = &self.audience.board;
        let (before, position) = (board.in_force(), Some(self.entries.position()));
        if !self.is_new {
            if !before.is_known || before.position != position {
                board.set(InForce { catalog: before.catalog, position, is_known: true });
            }
            return None;
        }
        let text = self.entries.document();
        let catalog = match Catalog::parse(text.as_bytes()) {
            Ok(catalog) => Arc::new(catalog),
            Err(faults) => {
                let fault = faults.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(
                    "kafka.topics.catalog: what is in force there cannot be read by this program, \
                     so the catalog before stays: {fault}"
                );
                return Some(Refusal::NotNow(fault));
            }
        };
        self.is_new = false;
        let refused =
            self.audience.put(&InForce { catalog, position, is_known: true }, text.into());
        let end = self.entries.position();
        tracing::info!("the catalog is in force up to record {end} of {}", self.topic);
        refused.err()
    }

    fn decision(&self) -> Decision {
        if self.entries.has_open() {
            self.entries.decide(&self.audience.board.in_force().catalog)
        } else {
            Decision::default()
        }
    }

    /// Takes the pen, and reads what was written before.
    fn take_pen(&mut self) -> Result<Pen, BrokerError> {
        let pen = Pen::take(&self.clients, &self.topic)?;
        let end = pen.write(&[])?;
        self.read_to(end)?;
        self.show();
        Ok(pen)
    }

    /// Decides about the open entries, unless somebody else just did.
    fn decide(&mut self) -> Result<(), BrokerError> {
        let pen = self.take_pen()?;
        let Decision { changes, .. } = self.decision();
        if !changes.is_empty() {
            let records: Vec<Change> = changes.into_iter().map(in_force).collect();
            let end = pen.write(&records)?;
            self.read_to(end)?;
        }
        self.show();
        Ok(())
    }

    fn replace(&mut self, replacement: Replacement) {
        let Replacement { new, reply } = replacement;
        let replaced = match entries_of(&new.text) {
            Ok(texts) => self.try_replace(&new.catalog, &texts),
            Err(reason) => Err(Refusal::Contradicts(reason)),
        };
        // Whoever handed it in may be gone.
        _ = reply.send(replaced);
    }

    fn try_replace(&mut self, new: &Arc<Catalog>, texts: &Texts) -> Result<(), Refusal> {
        let broken = |error: BrokerError| {
            Refusal::NotNow(format!(
                "kafka.topics.catalog: {error}; whether it counts is not known"
            ))
        };
        self.audience.check(new)?;
        let pen = self.take_pen().map_err(broken)?;
        // Only now nobody else can change what is in force.
        if let Some(reason) = changed_plan(&self.audience.board.in_force().catalog, new) {
            return Err(Refusal::Contradicts(reason));
        }
        let changes = self.entries.changes_to(texts);
        if changes.is_empty() {
            return Ok(());
        }
        // Each entry as whoever reads the topic knows it, and that it is in force.
        let records: Vec<Change> =
            changes.into_iter().flat_map(|change| [change.clone(), in_force(change)]).collect();
        let end = pen.write(&records).map_err(broken)?;
        self.read_to(end).map_err(broken)?;
        self.show().map_or(Ok(()), Err)
    }
}

fn in_force((key, text): Change) -> Change {
    (format!("{IN_FORCE}/{key}"), text)
}
