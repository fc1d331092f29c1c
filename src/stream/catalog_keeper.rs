//! The keeper: one thread that sees to it that the catalog in force here is the one of its source.
//!
//! From a file, the catalog is what was read at the start or at the last SIGHUP. From the topic, it
//! is what the topic says is in force; entries that come are decided about by whoever takes the
//! pen, and a catalog that came by HTTP becomes entries. Either way all partitions that are held
//! here are asked before a whole catalog replaces another, and told of it at once.

use super::broker::BrokerError;
use super::catalog_entries::{
    Change, Decision, Entries, IN_FORCE, Texts, changed_plan, entries_of, withdrawn_plan,
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
use std::collections::BTreeSet;
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
/// How long partitions are waited for.
const PATIENCE: Duration = Duration::from_secs(COMMAND_SECONDS_MAX);
/// How long what was written may take to be read.
const READ: Duration = Duration::from_secs(30);
/// The instance that holds this partition decides about entries at once.
const FIRST: u32 = 0;
/// Others leave it so much time, and each another share of a second more.
const OTHERS: Duration = Duration::from_secs(3);
/// One that holds no partition has none to ask: it leaves it to others, or to itself once it holds
/// some. That lasts no longer than the session of an instance that died.
const NONE_HELD: Duration = Duration::from_secs(60);

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
    ///
    /// A contradiction goes before a partition that cannot answer.
    fn check(&self, catalog: &Arc<Catalog>) -> Result<(), Refusal> {
        let mut unasked = Ok(());
        let (clock, mut asked) = (Stopwatch::start(), Vec::new());
        for partition in self.directory.held() {
            let (reply, answer) = channel();
            let command = Command::TryCatalog { catalog: Arc::clone(catalog), reply };
            match self.directory.insist(partition, command) {
                Ok(()) => asked.push((partition, answer)),
                Err(_) => unasked = Err(moving(partition)),
            }
        }
        for (partition, answer) in asked {
            match answer.recv_timeout(PATIENCE.saturating_sub(clock.elapsed())) {
                Ok(Ok(())) => {}
                Ok(Err(contradicts @ Refusal::Contradicts(_))) => return Err(contradicts),
                Ok(Err(not_now)) => unasked = Err(not_now),
                // It has stopped, or takes too long.
                Err(_) => {
                    unasked = Err(Refusal::NotNow(format!(
                        "partition {partition} has not answered whether it fits its state; try \
                         again"
                    )));
                }
            }
        }
        unasked
    }

    /// Puts a catalog in force here, and waits until all partitions that are held have it; says
    /// which of them do not take it.
    fn put(&self, newer: &InForce, text: Bytes) -> Result<(), Refusal> {
        self.desk.show_catalog(Some(CatalogText { catalog: Arc::clone(&newer.catalog), text }));
        // Whoever starts from now on finds it there.
        self.board.set(newer.clone());
        let (clock, mut told) = (Stopwatch::start(), Vec::new());
        for partition in self.directory.held() {
            let (done, answer) = channel();
            let command = Command::Catalog { newer: newer.clone(), done };
            // A worker that is not there any more needs none.
            if self.directory.insist(partition, command).is_ok() {
                told.push((partition, answer));
            }
        }
        let (mut refused, mut late) = (Vec::new(), Vec::new());
        for (partition, answer) in told {
            match answer.recv_timeout(PATIENCE.saturating_sub(clock.elapsed())) {
                // One that has stopped takes up what is in force when it starts.
                Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => {}
                Ok(Err(reason)) => refused.push(format!("partition {partition}: {reason}")),
                Err(RecvTimeoutError::Timeout) => late.push(partition),
            }
        }
        if !refused.is_empty() {
            return Err(Refusal::Contradicts(refused.join("; ")));
        }
        if !late.is_empty() {
            return Err(Refusal::NotNow(format!(
                "it is in force, but partitions {late:?} have not taken it up yet"
            )));
        }
        Ok(())
    }
}

fn moving(partition: u32) -> Refusal {
    Refusal::NotNow(format!("partition {partition} is being moved or restored; try again"))
}

fn reason_of(refusal: Refusal) -> String {
    match refusal {
        Refusal::Contradicts(reason) | Refusal::NotKept(reason) | Refusal::NotNow(reason) => reason,
    }
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
    /// Why entries are not in force, as far as it was told last.
    told: BTreeSet<String>,
    /// Up to where the topic makes a catalog that cannot be read, and why.
    unreadable: Option<(u64, String)>,
}

impl TopicKeeper {
    pub(super) fn new(
        reader: EntryReader,
        (clients, topic): (Clients, String),
        audience: Audience,
        replacements: Receiver<Replacement>,
    ) -> Self {
        Self {
            reader,
            clients,
            topic,
            audience,
            replacements,
            entries: Entries::default(),
            is_new: false,
            open_since: None,
            told: BTreeSet::new(),
            unreadable: None,
        }
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
        self.read()?;
        if !self.reader.has_read_all() {
            return Ok(());
        }
        self.show();
        // Whatever was read by whomever, before an error or after a decision, too.
        if self.entries.is_undecided() {
            let decision = self.decision(&mut |_| None);
            let waits = !decision.changes.is_empty();
            self.tell(decision.reasons);
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
        let held = self.audience.directory.held();
        if held.contains(&FIRST) {
            return Duration::ZERO;
        }
        if held.is_empty() {
            return NONE_HELD;
        }
        OTHERS + Duration::from_millis(u64::from(std::process::id() % 1_000))
    }

    /// Tells why entries are not in force, each reason once.
    fn tell(&mut self, reasons: Vec<String>) {
        for reason in reasons.iter().filter(|reason| !self.told.contains(*reason)) {
            tracing::warn!("kafka.topics.catalog: not in force yet: {reason}");
        }
        self.told = reasons.into_iter().collect();
    }

    /// Reads what has come, until nothing does for a while. What keeps coming is looked at all the
    /// same.
    fn read(&mut self) -> Result<(), BrokerError> {
        let clock = Stopwatch::start();
        while let Some(entry) = self.reader.next(QUIET)? {
            match self.entries.take(entry.offset, &entry.key, entry.value.as_deref()) {
                Ok(is_new) => self.is_new |= is_new,
                Err(reason) => tracing::error!("kafka.topics.catalog: {reason}"),
            }
            if self.reader.has_read_all() && clock.elapsed() > READ_AT_ONCE {
                break;
            }
        }
        Ok(())
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
        let end = self.entries.position();
        let (before, position) = (board.in_force(), Some(end));
        if !self.is_new {
            if !before.is_known || before.position != position {
                board.set(InForce { catalog: before.catalog, position, is_known: true });
            }
            return None;
        }
        if let Some((_, fault)) = self.unreadable.as_ref().filter(|(failed, _)| *failed == end) {
            return Some(Refusal::NotNow(fault.clone()));
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
                self.unreadable = Some((end, fault.clone()));
                return Some(Refusal::NotNow(fault));
            }
        };
        self.is_new = false;
        let newer = InForce { catalog, position, is_known: true };
        let topic = &self.topic;
        match self.audience.put(&newer, text.into()) {
            Ok(()) => {
                tracing::info!("the catalog is in force up to record {end} of {topic}");
                None
            }
            Err(refusal) => {
                let reason = reason_of(refusal.clone());
                tracing::error!(
                    "the catalog up to record {end} of {topic} is in force, but not everywhere \
                     here: {reason}"
                );
                Some(refusal)
            }
        }
    }

    fn decision(&mut self, objection: &mut dyn FnMut(&Arc<Catalog>) -> Option<String>) -> Decision {
        let in_force = self.audience.board.in_force().catalog;
        self.entries.decide(&in_force, objection)
    }

    /// Which open entries come into force: those that fit what is, and what was rated here.
    ///
    /// While a partition cannot be asked, none does: what it does not take would stop it.
    fn asked_decision(&mut self) -> Result<Decision, BrokerError> {
        let decision = self.decision(&mut |_| None);
        let Some(catalog) = &decision.catalog else { return Ok(decision) };
        let audience = self.audience.clone();
        match audience.check(catalog) {
            Ok(()) => return Ok(decision),
            Err(Refusal::Contradicts(_)) => {}
            Err(not_now) => return Err(BrokerError::Failed(reason_of(not_now))),
        }
        // Some of them do not fit what was rated: one after another, for it is asked at a price.
        let mut unasked = None;
        let decision = self.decision(&mut |catalog| {
            if unasked.is_some() {
                return unasked.clone();
            }
            match audience.check(catalog) {
                Ok(()) => None,
                Err(Refusal::Contradicts(reason)) => Some(reason),
                Err(not_now) => {
                    unasked = Some(reason_of(not_now));
                    unasked.clone()
                }
            }
        });
        if let Some(reason) = unasked {
            return Err(BrokerError::Failed(reason));
        }
        self.tell(decision.reasons.clone());
        Ok(decision)
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
        let mut decision = self.asked_decision()?;
        if decision.changes.is_empty() {
            return Ok(());
        }
        let pen = self.take_pen()?;
        if self.entries.is_undecided() {
            decision = self.asked_decision()?;
        }
        if !decision.changes.is_empty() {
            let records: Vec<Change> = decision.changes.into_iter().map(in_force).collect();
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
        let before = self.audience.board.in_force().catalog;
        if let Some(reason) = changed_plan(&before, new).or_else(|| withdrawn_plan(&before, new)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    /// An audience with workers that answer so, one for each partition from 0 on.
    fn audience(answers: &[Result<(), Refusal>]) -> Audience {
        let first = InForce { catalog: Arc::default(), position: None, is_known: true };
        let directory = Directory::default();
        for (partition, answer) in (0..).zip(answers.iter().cloned()) {
            let (worker, commands) = sync_channel(8);
            directory.set(partition, Some(worker));
            std::thread::spawn(move || {
                for command in commands {
                    match command {
                        Command::TryCatalog { reply, .. } => reply.send(answer.clone()).unwrap(),
                        Command::Catalog { done, .. } => {
                            done.send(answer.clone().map_err(reason_of)).unwrap();
                        }
                        Command::Stop | Command::Read(_) | Command::Close { .. } => return,
                    }
                }
            });
        }
        let (board, directory) = (Arc::new(CatalogBoard::new(first)), Arc::new(directory));
        Audience { board, directory, desk: Desk::new(1, 1).0 }
    }

    #[test]
    fn a_contradiction_goes_before_a_partition_that_cannot_answer() {
        let not_now = || Err(Refusal::NotNow("moving".to_owned()));
        let contradicts = || Err(Refusal::Contradicts("cut anew".to_owned()));
        let catalog = Arc::default();
        assert_eq!(audience(&[]).check(&catalog), Ok(()));
        assert_eq!(audience(&[Ok(()), Ok(())]).check(&catalog), Ok(()));
        assert_eq!(audience(&[not_now(), Ok(())]).check(&catalog), not_now());
        assert_eq!(audience(&[not_now(), contradicts(), Ok(())]).check(&catalog), contradicts());
    }

    #[test]
    fn who_refuses_a_catalog_in_force_is_named() {
        let newer = InForce { catalog: Arc::default(), position: Some(7), is_known: true };
        let contradicts = || Err(Refusal::Contradicts("cut anew".to_owned()));
        let audience = audience(&[Ok(()), contradicts(), contradicts()]);
        let refused = audience.put(&newer, Bytes::new()).map_err(reason_of);
        assert_eq!(refused, Err("partition 1: cut anew; partition 2: cut anew".to_owned()));
        assert_eq!(audience.board.in_force().position, Some(7));
    }
}
