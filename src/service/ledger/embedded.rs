//! The ledger of embedded mode: one partition, one RocksDB, the catalog in a file beside it.

use super::{CatalogText, Ledger, Refusal};
use crate::failure::Failure;
use crate::rating_run::open_store;
use crate::service::answer::{Answer, Told};
use crate::service::catalog_file;
use crate::service::limits::REJECTED_BYTES_MAX;
use crate::service::settings::Waiting;
use crate::service::wanted::WantedPeriod;
use crate::service::{earlier, later, reads};
use crate::stream::first_end_after;
use crate::{changed_calendars, contradiction};
use aggregator::{
    Clock, Counters, Embedded, ErrorKind, Origin, Partition, Received, RejectedByCode, SavedSource,
    Store, StoreUsage, Verdict, limits,
};
use ingest::{DeadLetter, Decoder, Place};
use rating::json::Tape;
use rating::{Instant, Rejection, UsageRecord};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What dead letters and conflicts name as the source of records that came by HTTP. Their lines
/// are numbered for as long as the state lives.
const SOURCE: &str = "http";

/// What a record's time may be, and what may wait.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How far ahead of its receipt a record's time may lie.
    pub(crate) future_tolerance: Duration,
    /// How far behind.
    pub(crate) dedupe_window: Duration,
    pub(crate) waiting: Waiting,
}

/// A partition in embedded mode.
#[derive(Debug)]
pub(crate) struct EmbeddedLedger {
    /// Absent only while a catalog is being replaced.
    partition: Option<Partition>,
    port: Embedded,
    directory: PathBuf,
    catalog: Option<CatalogText>,
    rules: Rules,
    decoder: Decoder,
    tape: Tape,
    /// Position of [`SOURCE`] among the state's sources.
    source: u32,
    /// Records that came by HTTP since the state began.
    line: u64,
    /// Whether there is something to commit.
    changed: bool,
    next_period_end: Instant,
    dead_letter: String,
}

impl EmbeddedLedger {
    /// Opens the state in `directory` with the catalog that is given, or with the one that the API
    /// brought last.
    ///
    /// # Errors
    /// [`Failure`] if either cannot be read or they contradict each other.
    pub(crate) fn open(
        directory: &Path,
        given: Option<CatalogText>,
        rules: Rules,
    ) -> Result<Self, Failure> {
        let store = open_store(directory)?;
        let port = Embedded::new(&store)?;
        let decoder = Decoder::new(store.seeds().content);
        let catalog = match given {
            Some(given) => Some(given),
            None => catalog_file::read(directory)?,
        };
        let mut partition = open_partition(store, catalog.as_ref())?;
        if catalog.is_some() {
            if let Some(reason) = contradiction::find(&partition)? {
                return Err(Failure::Input(vec![format!("error: {reason}")]));
            }
            partition.note_cuts_agree();
        }
        changed_calendars::log(&partition);
        let mut ledger = Self {
            partition: None,
            port,
            directory: directory.to_owned(),
            catalog,
            rules,
            decoder,
            tape: Tape::default(),
            source: 0,
            line: 0,
            changed: true,
            next_period_end: Instant::MIN,
            dead_letter: String::new(),
        };
        ledger.install(partition);
        ledger.forget()?;
        ledger.take_released()?;
        Ok(ledger)
    }

    /// Forgets identities that nothing needs any more: a state that is full of them could take
    /// nothing that would make it forget.
    fn forget(&mut self) -> Result<(), Failure> {
        let oldest = earlier(self.watermark(), self.rules.dedupe_window);
        let partition = self.partition.as_mut().ok_or_else(gone)?;
        partition.forget_before(oldest);
        for _ in 0..limits::FORGET_COMMITS_MAX {
            if !partition.is_forgetting_due() {
                break;
            }
            partition.commit(&mut self.port)?;
        }
        Ok(())
    }

    fn install(&mut self, mut partition: Partition) {
        let (source, saved) = partition.source(SOURCE);
        self.line = saved.map_or(0, |saved| saved.line);
        self.source = source;
        partition.let_subjects_wait(self.rules.waiting.bytes_max);
        self.partition = Some(partition);
        // Another catalog may have periods that ended long ago.
        self.next_period_end = Instant::MIN;
    }

    fn partition(&self) -> Result<&Partition, Failure> {
        self.partition.as_ref().ok_or_else(gone)
    }

    fn partition_mut(&mut self) -> Result<&mut Partition, Failure> {
        self.partition.as_mut().ok_or_else(gone)
    }

    /// What time it is for a record.
    fn clock(&self, received: Instant) -> Clock {
        Clock {
            received_at: Some(received),
            horizon: Some(later(received, self.rules.future_tolerance)),
            oldest: Some(earlier(received, self.rules.dedupe_window)),
        }
    }

    /// Decodes and applies a record; gives its rejection if it is refused.
    fn judge(
        &mut self,
        record: &[u8],
        (origin, received): (Origin, Instant),
        answer: &mut Answer,
    ) -> Result<Option<Rejection>, Failure> {
        let clock = self.clock(received);
        let decoded: UsageRecord<'_> = match self.decoder.decode(record) {
            Ok(decoded) => decoded,
            Err(rejection) => return Ok(Some(rejection)),
        };
        let partition = self.partition.as_mut().ok_or_else(gone)?;
        let told = match partition
            .apply(&decoded, &Received { bytes: record, key: b"", origin, clock })?
        {
            // It is kept, and will be rated or be a dead letter; nothing is forwarded here.
            Verdict::Rated(_) | Verdict::Waiting | Verdict::Forwarded(_) => Told::Accepted,
            Verdict::Duplicate => Told::Duplicate,
            Verdict::Rejected(rejection) => return Ok(Some(rejection)),
        };
        answer.add(Some(&decoded.id), Some(&decoded.source), told);
        Ok(None)
    }

    /// Counts a refused record and keeps its dead letter.
    fn reject(&mut self, record: &[u8], rejection: &Rejection, origin: Origin) {
        self.dead_letter.clear();
        let Some(partition) = &mut self.partition else { return };
        let file = partition.source_name(origin.source).to_owned();
        let place = Place::File { file: &file, line: origin.position };
        let record_bytes = record.len() as u64;
        let letter = DeadLetter { rejection, place, record, record_bytes, is_cut: false };
        letter.write_line(&mut self.dead_letter);
        partition.reject(rejection.code, &self.dead_letter);
    }

    /// Applies the records that waited for what has come.
    fn take_released(&mut self) -> Result<(), Failure> {
        while let Some(waiting) = self.partition_mut()?.take_released() {
            self.changed = true;
            let received = waiting.received_at.unwrap_or_else(|| self.watermark());
            // Whoever sent it was answered long ago.
            let mut nobody = Answer::default();
            let when = (waiting.origin, received);
            if let Some(rejection) = self.judge(&waiting.bytes, when, &mut nobody)? {
                self.reject(&waiting.bytes, &rejection, waiting.origin);
            }
        }
        Ok(())
    }
}

impl Ledger for EmbeddedLedger {
    fn take(
        &mut self,
        record: &[u8],
        received: Instant,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        self.line += 1;
        self.changed = true;
        let origin = Origin { source: self.source, position: self.line };
        if let Some(rejection) = self.judge(record, (origin, received), answer)? {
            self.reject(record, &rejection, origin);
            let named = self.tape.parse(record).ok();
            let name =
                |key| named.and_then(|event| event.get(key)).and_then(|value| value.as_text());
            let (id, source) = (name("id"), name("source"));
            answer.add(id.as_deref(), source.as_deref(), Told::Rejected(&rejection));
            return Ok(());
        }
        self.take_released()
    }

    fn give_up_waiting(&mut self, now: Instant) -> Result<(), Failure> {
        let before = earlier(now, self.rules.waiting.age);
        while let Some((waiting, rejection)) = self.partition_mut()?.take_expired(before) {
            self.changed = true;
            self.reject(&waiting.bytes, &rejection, waiting.origin);
        }
        Ok(())
    }

    fn commit_due(&self) -> bool {
        self.partition.as_ref().is_some_and(Partition::commit_due)
    }

    fn commit(&mut self) -> Result<bool, Failure> {
        // Nobody else can have the store open, so there is nothing to prove by an empty commit.
        if !self.changed {
            return Ok(false);
        }
        let read = SavedSource { name: SOURCE.to_owned(), line: self.line, bytes: 0, digest: 0 };
        let partition = self.partition.as_mut().ok_or_else(gone)?;
        partition.advance(read);
        partition.commit(&mut self.port)?;
        // The batch is in the log, but the log may still be in the system's memory only.
        partition.store().sync()?;
        self.changed = false;
        Ok(true)
    }

    fn counters(&self) -> Counters {
        self.partition.as_ref().map(|partition| *partition.counters()).unwrap_or_default()
    }

    fn rejected_by_code(&self) -> RejectedByCode {
        self.partition.as_ref().map(|partition| *partition.rejected()).unwrap_or_default()
    }

    fn store_usage(&self) -> Result<StoreUsage, Failure> {
        let partition = self.partition.as_ref().ok_or_else(gone)?;
        Ok(partition.store().usage()?)
    }

    fn watermark(&self) -> Instant {
        self.partition.as_ref().map_or(Instant::MIN, Partition::watermark)
    }

    fn advance_watermark(&mut self, to: Instant) {
        if let Some(partition) = &mut self.partition {
            partition.advance_watermark(to);
            partition.forget_before(earlier(to, self.rules.dedupe_window));
        }
    }

    fn next_period_end(&self) -> Instant {
        if self.catalog.is_some() { self.next_period_end } else { Instant::MAX }
    }

    fn close(&mut self, until: Instant) -> Result<(), Failure> {
        let partition = self.partition.as_mut().ok_or_else(gone)?;
        partition.close(|_| until, &mut self.port)?;
        if self.catalog.is_some() {
            let next = first_end_after(partition.catalog(), until);
            self.next_period_end = self.next_period_end.max(next);
        }
        self.changed = true;
        self.commit().map(|_| ())
    }

    fn totals(&self, subscription: &str, wanted: WantedPeriod) -> Result<Option<String>, Failure> {
        reads::totals(self.partition()?, subscription, wanted)
    }

    fn explain(
        &self,
        subscription: &str,
        charge: &str,
        period: &str,
    ) -> Result<Option<String>, Failure> {
        reads::explain(self.partition()?, subscription, charge, period)
    }

    fn rejected(&self, limit: usize) -> Result<String, Failure> {
        let mut last: VecDeque<String> = VecDeque::new();
        let mut bytes = 0;
        self.partition()?.query().rejected(|chunk| {
            for line in String::from_utf8_lossy(chunk).lines() {
                bytes += line.len();
                last.push_back(line.to_owned());
                while last.len() > limit || bytes > REJECTED_BYTES_MAX {
                    bytes -= last.pop_front().map_or(bytes, |line| line.len());
                }
            }
            Ok::<(), Failure>(())
        })?;
        let lines: Vec<String> = last.into_iter().rev().collect();
        Ok(format!("{{\"rejected\":[{}]}}\n", lines.join(",\n")))
    }

    fn replace_catalog(&mut self, new: CatalogText) -> Result<Result<(), Refusal>, Failure> {
        let has_catalog = self.catalog.is_some();
        let partition = self.partition_mut()?;
        if has_catalog && partition.lacks_times() {
            // The terms that a total was rated by are asked for up to its last record.
            partition.find_times()?;
        }
        // The state that is opened below knows only what is committed, the watermark among it.
        self.changed = true;
        self.commit()?;
        let store = self.partition.take().ok_or_else(gone)?.into_store();
        let refused = match self.try_catalog(store, &new)? {
            Ok(partition) => match catalog_file::write(&self.directory, &new.text) {
                Ok(()) => {
                    self.catalog = Some(new);
                    changed_calendars::log(&partition);
                    self.install(partition);
                    self.changed = true;
                    self.take_released()?;
                    return self.commit().map(|_| Ok(()));
                }
                Err(failure) => (partition.into_store(), Refusal::NotKept(failure.to_string())),
            },
            Err(refused) => refused,
        };
        let (store, refusal) = refused;
        let partition = open_partition(store, self.catalog.as_ref())?;
        self.install(partition);
        Ok(Err(refusal))
    }

    fn catalog(&self) -> Option<&CatalogText> {
        self.catalog.as_ref()
    }
}

impl EmbeddedLedger {
    /// The partition with another catalog; if that cannot be, the store and the reason.
    fn try_catalog(
        &self,
        store: Store,
        new: &CatalogText,
    ) -> Result<Result<Partition, (Store, Refusal)>, Failure> {
        match Partition::open(Arc::clone(&new.catalog), store) {
            Ok(mut partition) => Ok(match contradiction::find(&partition)? {
                None => {
                    partition.note_cuts_agree();
                    Ok(partition)
                }
                Some(reason) => Err((partition.into_store(), Refusal::Contradicts(reason))),
            }),
            Err(error) if error.kind() == ErrorKind::State => {
                // The store went with the partition that was not opened.
                let store = open_store(&self.directory)?;
                Ok(Err((store, Refusal::Contradicts(error.to_string()))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Without a catalog nothing is rated yet, but the state is there to be counted.
fn open_partition(store: Store, catalog: Option<&CatalogText>) -> Result<Partition, Failure> {
    let catalog = catalog.map_or_else(Arc::default, |given| Arc::clone(&given.catalog));
    Ok(Partition::open(catalog, store)?)
}

fn gone() -> Failure {
    Failure::Dependency("the state is not open".to_owned())
}
