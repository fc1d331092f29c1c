//! The keeper: one thread that sees to it that the catalog in force here is the one of its source.
//!
//! From a file, the catalog is what was read at the start or at the last SIGHUP. From the topic, it
//! is what the topic says is in force; entries that come are decided about by whoever takes the
//! pen, and a catalog that came by HTTP becomes entries. Before either, all partitions are asked,
//! also those of other instances. Those that are held here are told at once of what is in force.

use super::audience::{Audience, reason_of};
use super::back_off::BackOff;
use super::broker::BrokerError;
use super::catalog_entries::{Change, Decision, Entries, IN_FORCE, Texts, entries_of};
use super::catalog_judge::{Objection, changed_plan, withdrawn_plan};
use super::catalog_topic::InForce;
use super::kafka::{Clients, EntryReader, Pen};
use super::limits::CATALOG_TRIALS_MAX;
use crate::clock::Stopwatch;
use crate::service::{CatalogText, Refusal};
use rating::Catalog;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
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
/// One that holds no partition leaves it to others, or to itself once it holds some. That lasts no
/// longer than the session of an instance that died.
const NONE_HELD: Duration = Duration::from_secs(60);
/// What partitions were asked so long ago is asked again before it counts: they go on rating.
const FRESH: Duration = Duration::from_secs(1);
/// After so long, partitions that did not take what is in force are told again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// A whole catalog that is to be in force.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) new: CatalogText,
    pub(super) reply: oneshot::Sender<Result<(), Refusal>>,
}

/// Keeps a catalog that comes from a file: whoever has read it again hands it in.
pub(super) fn keep_file(
    audience: &Audience,
    replacements: &Receiver<Replacement>,
    is_ending: &AtomicBool,
) {
    let mut told_again = Stopwatch::start();
    while !is_ending.load(Ordering::SeqCst) {
        if told_again.elapsed() >= TELL_AGAIN {
            audience.tell_again();
            told_again = Stopwatch::start();
        }
        let Ok(Replacement { new, reply }) = replacements.recv_timeout(QUIET) else { continue };
        let newer = InForce { catalog: Arc::clone(&new.catalog), position: None, is_known: true };
        let before = audience.here.board.in_force().catalog;
        let replaced = match changed_plan(&before, &new.catalog) {
            Some(reason) => Err(Refusal::Contradicts(reason)),
            // Another instance takes its catalog from a file of its own.
            None => audience.check_here(&new.catalog).and_then(|()| audience.put(&newer, new.text)),
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
    /// Since when the partitions have last been asked in vain.
    unasked: Option<BackOff>,
    /// Since when those that did not take what is in force have not been told of it.
    told_again: Stopwatch,
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
            unasked: None,
            told_again: Stopwatch::start(),
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
        self.tell_again();
        let waits = self.unasked.as_ref().is_some_and(BackOff::lasts);
        if !waits && self.open_since.is_some_and(|since| since.elapsed() >= self.pause()) {
            match self.decide()? {
                Ok(()) => (self.open_since, self.unasked) = (None, None),
                Err(reason) => self.put_off(reason),
            }
        }
        Ok(())
    }

    /// Waits ever longer to ask partitions that could not be asked, and tells why when that is new.
    fn put_off(&mut self, reason: String) {
        self.unasked = Some(BackOff::again(self.unasked.take(), reason));
    }

    fn tell_again(&mut self) {
        if self.told_again.elapsed() >= TELL_AGAIN {
            self.audience.tell_again();
            self.told_again = Stopwatch::start();
        }
    }

    /// How long this instance leaves it to others to decide.
    fn pause(&self) -> Duration {
        let held = self.audience.here.directory.held();
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
        let board = &self.audience.here.board;
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

    fn decision(
        &mut self,
        objection: &mut dyn FnMut(&CatalogText) -> Option<Objection>,
    ) -> Decision {
        let in_force = self.audience.here.board.in_force().catalog;
        self.entries.decide(&in_force, objection)
    }

    /// Which open entries come into force: those that fit what is, and what was rated; or why not
    /// all partitions could be asked.
    ///
    /// While one cannot be asked, none does: what it does not take would stop it.
    fn asked_decision(&mut self) -> Result<Decision, String> {
        let decision = self.decision(&mut |_| None);
        let audience = self.audience.clone();
        match decision.catalog.as_ref().map_or(Ok(()), |new| audience.check(new)) {
            Ok(()) => {
                self.tell(decision.reasons.clone());
                return Ok(decision);
            }
            Err(Refusal::Contradicts(_)) => {}
            Err(not_now) => return Err(reason_of(not_now)),
        }
        // Some of them do not fit what was rated: one after another, for it is asked at a price.
        let (mut unasked, mut asked) = (None, 1);
        let decision = self.decision(&mut |new| {
            if asked >= CATALOG_TRIALS_MAX {
                let reason = format!("all partitions have been asked {CATALOG_TRIALS_MAX} times");
                return Some(Objection::PutOff(reason));
            }
            asked += 1;
            match audience.check(new) {
                Ok(()) => None,
                Err(Refusal::Contradicts(reason)) => Some(Objection::Contradicts(reason)),
                Err(not_now) => {
                    let reason = reason_of(not_now);
                    unasked = Some(reason.clone());
                    Some(Objection::PutOff(reason))
                }
            }
        });
        if let Some(reason) = unasked {
            return Err(reason);
        }
        self.tell(decision.reasons.clone());
        match &decision.put_off {
            // Nothing would come that has the rest tried.
            Some(reason) if decision.changes.is_empty() => Err(reason.clone()),
            Some(_) | None => Ok(decision),
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

    /// Decides about the open entries, unless somebody else just did; or says why not all
    /// partitions could be asked.
    fn decide(&mut self) -> Result<Result<(), String>, BrokerError> {
        let mut asked = Stopwatch::start();
        let mut decision = match self.asked_decision() {
            Ok(decision) => decision,
            Err(reason) => return Ok(Err(reason)),
        };
        if decision.changes.is_empty() {
            return Ok(Ok(()));
        }
        let pen = self.take_pen()?;
        if self.entries.is_undecided() {
            asked = Stopwatch::start();
            decision = match self.asked_decision() {
                Ok(decision) => decision,
                Err(reason) => return Ok(Err(reason)),
            };
        }
        if let Some(new) = decision.catalog.as_ref().filter(|_| asked.elapsed() > FRESH)
            && let Err(refusal) = self.audience.check_again(new)
        {
            return Ok(Err(reason_of(refusal)));
        }
        if !decision.changes.is_empty() {
            let records: Vec<Change> = decision.changes.into_iter().map(in_force).collect();
            let end = pen.write(&records)?;
            self.read_to(end)?;
        }
        self.show();
        Ok(Ok(()))
    }

    fn replace(&mut self, replacement: Replacement) {
        let Replacement { new, reply } = replacement;
        let replaced = match entries_of(&new.text) {
            Ok(texts) => self.try_replace(&new, &texts),
            Err(reason) => Err(Refusal::Contradicts(reason)),
        };
        // Whoever handed it in may be gone.
        _ = reply.send(replaced);
    }

    fn try_replace(&mut self, new: &CatalogText, texts: &Texts) -> Result<(), Refusal> {
        let broken = |error: BrokerError| {
            Refusal::NotNow(format!(
                "kafka.topics.catalog: {error}; whether it counts is not known"
            ))
        };
        let asked = Stopwatch::start();
        self.audience.check(new)?;
        let pen = self.take_pen().map_err(broken)?;
        // Only now nobody else can change what is in force.
        let (before, after) = (self.audience.here.board.in_force().catalog, &new.catalog);
        let lost = || withdrawn_plan(&before, after);
        if let Some(reason) = changed_plan(&before, after).or_else(lost) {
            return Err(Refusal::Contradicts(reason));
        }
        if asked.elapsed() > FRESH {
            self.audience.check_again(new)?;
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
