//! One run of rating over a source: read, decode, apply, commit.

use crate::clock::Stopwatch;
use crate::contradiction;
use crate::failure::Failure;
use crate::progress::Progress;
use aggregator::{
    Clock, Counters, Embedded, Layout, Origin, Partition, Received, SavedSource, Seeds, Store,
    StoreMemory, Verdict, Waiting,
};
use ingest::{DeadLetter, Decoder, LineSource, Place, ReadLine, SourcePosition};
use rating::{Calendar, Catalog, Code, Instant, Rejection};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A partition in embedded mode and what goes into it.
#[derive(Debug)]
pub struct RatingRun {
    partition: Partition,
    port: Embedded,
    rejected: BTreeMap<Code, u64>,
    before: Counters,
    clock: Stopwatch,
    dead_letter: String,
}

/// Records from which on a speed means something.
const RATE_RECORDS_MIN: u64 = 10_000;
/// Records between two looks at the progress.
const PROGRESS_RECORDS: u64 = 1 << 14;

impl RatingRun {
    /// Opens the state in `directory`, or makes a new one there.
    ///
    /// # Errors
    /// [`Failure`] if the state cannot be opened or belongs to something else.
    pub fn open(catalog: Arc<Catalog>, directory: &Path) -> Result<Self, Failure> {
        let store = open_store(directory)?;
        let port = Embedded::new(&store)?;
        let mut partition = Partition::open(catalog, store)?;
        let before = *partition.counters();
        if let Some(reason) = contradiction::find(&partition)? {
            return Err(Failure::Input(vec![format!("error: {reason}")]));
        }
        partition.note_cuts_agree();
        let (rejected, dead_letter) = (BTreeMap::new(), String::new());
        Ok(Self { partition, port, rejected, before, clock: Stopwatch::start(), dead_letter })
    }

    /// The partition.
    #[must_use]
    pub const fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The partition, to put records into it one by one.
    pub const fn partition_mut(&mut self) -> &mut Partition {
        &mut self.partition
    }

    /// Closes every period that ended by the instant that `until` gives for its calendar.
    ///
    /// # Errors
    /// [`Failure`] if the state cannot be written.
    pub fn close(&mut self, until: impl Fn(&Calendar) -> Instant) -> Result<(), Failure> {
        Ok(self.partition.close(until, &mut self.port)?)
    }

    /// Finds the first and last records of all totals that do not know theirs, and commits them.
    ///
    /// # Errors
    /// [`Failure`] if the state cannot be read or written.
    pub fn find_times(&mut self) -> Result<(), Failure> {
        if self.partition.lacks_times() {
            self.partition.find_times()?;
            self.commit()?;
        }
        Ok(())
    }

    /// Commits what is not yet.
    ///
    /// # Errors
    /// [`Failure`] if the state cannot be written.
    pub fn commit(&mut self) -> Result<(), Failure> {
        Ok(self.partition.commit(&mut self.port)?)
    }

    /// Rates all records of a file, or of standard input if `name` is `-`, from where an earlier
    /// run on the same state stopped.
    ///
    /// # Errors
    /// [`Failure`] if the source cannot be read or the state not be written. Bad records are none.
    pub fn rate(&mut self, name: &str) -> Result<(), Failure> {
        let (_, saved) = self.partition.source(name);
        let position = saved.map(|saved| SourcePosition {
            line: saved.line,
            bytes: saved.bytes,
            digest: saved.digest,
        });
        let source = LineSource::open(name, position)?;
        let size = std::fs::metadata(name).ok().map(|metadata| metadata.len());
        self.rate_lines(source, &Progress::of_bytes(size.filter(|_| name != "-")))
    }

    /// Rates all records of an open source.
    ///
    /// # Errors
    /// As [`RatingRun::rate`].
    pub fn rate_source(&mut self, source: LineSource) -> Result<(), Failure> {
        self.rate_lines(source, &Progress::of_bytes(None))
    }

    fn rate_lines(&mut self, mut source: LineSource, progress: &Progress) -> Result<(), Failure> {
        let name = source.name().to_owned();
        let (index, _) = self.partition.source(&name);
        let mut decoder = Decoder::new(self.partition.store().seeds().content);
        let mut records = 0u64;
        while let Some(line) = source.next_line()? {
            let origin = Origin { source: index, position: line.number };
            self.apply(&mut decoder, &line, origin)?;
            while let Some(waiting) = self.partition.take_released() {
                self.apply_waiting(&mut decoder, &waiting)?;
            }
            records += 1;
            if records.is_multiple_of(PROGRESS_RECORDS) {
                let bytes = source.position().bytes;
                progress.set(bytes, records, self.clock.per_second(records));
            }
            if self.partition.commit_due() {
                self.advance(&source);
                self.commit()?;
            }
        }
        progress.finish();
        self.advance(&source);
        self.commit()?;
        Ok(())
    }

    /// Refuses the corrections whose targets have not come, because no more records will.
    ///
    /// # Errors
    /// [`Failure`] if the state cannot be written.
    pub fn refuse_unresolved(&mut self) -> Result<(), Failure> {
        while let Some((waiting, rejection)) = self.partition.take_unresolved() {
            let length = waiting.bytes.len() as u64;
            self.reject(&rejection, waiting.origin, (&waiting.bytes, length));
        }
        self.commit()?;
        Ok(())
    }

    fn apply(
        &mut self,
        decoder: &mut Decoder,
        line: &ReadLine<'_>,
        origin: Origin,
    ) -> Result<(), Failure> {
        let rejection = match line.too_large() {
            Some(rejection) => Some(rejection),
            None => self.judge(decoder, line.bytes, origin)?,
        };
        if let Some(rejection) = rejection {
            self.reject(&rejection, origin, (line.bytes, line.length));
        }
        Ok(())
    }

    fn apply_waiting(&mut self, decoder: &mut Decoder, waiting: &Waiting) -> Result<(), Failure> {
        if let Some(rejection) = self.judge(decoder, &waiting.bytes, waiting.origin)? {
            let length = waiting.bytes.len() as u64;
            self.reject(&rejection, waiting.origin, (&waiting.bytes, length));
        }
        Ok(())
    }

    fn judge(
        &mut self,
        decoder: &mut Decoder,
        bytes: &[u8],
        origin: Origin,
    ) -> Result<Option<Rejection>, Failure> {
        let record = match decoder.decode(bytes) {
            Ok(record) => record,
            Err(rejection) => return Ok(Some(rejection)),
        };
        // A file has no clock: nothing in it is too old or in the future.
        let received = Received { bytes, key: b"", origin, clock: Clock::default() };
        Ok(match self.partition.apply(&record, &received)? {
            Verdict::Rated(_) | Verdict::Duplicate | Verdict::Waiting | Verdict::Forwarded(_) => {
                None
            }
            Verdict::Rejected(rejection) => Some(rejection),
        })
    }

    /// Writes a dead letter for a record of which `bytes` were kept of `length`.
    fn reject(&mut self, rejection: &Rejection, origin: Origin, (bytes, length): (&[u8], u64)) {
        let name = self.partition.source_name(origin.source).to_owned();
        let place = Place::File { file: &name, line: origin.position };
        self.dead_letter.clear();
        DeadLetter { rejection, place, record: bytes, record_bytes: length, is_cut: false }
            .write_line(&mut self.dead_letter);
        self.partition.reject(rejection.code, &self.dead_letter);
        *self.rejected.entry(rejection.code).or_default() += 1;
    }

    /// What was read of standard input cannot be read again, so only files have a position.
    fn advance(&mut self, source: &LineSource) {
        if source.is_repeatable() {
            let SourcePosition { line, bytes, digest } = source.position();
            let name = source.name().to_owned();
            self.partition.advance(SavedSource { name, line, bytes, digest });
        }
    }

    /// What this run did.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let (now, before) = (self.partition.counters(), &self.before);
        let read = now.read - before.read;
        Summary {
            read,
            rated: now.rated - before.rated,
            unpriced: now.unpriced - before.unpriced,
            waiting: now.waiting,
            duplicate: now.duplicate - before.duplicate,
            rejected: self.rejected.clone(),
            records_per_second: self.clock.per_second(read).filter(|_| read >= RATE_RECORDS_MIN),
        }
    }
}

/// Opens the store of a state directory, or makes a new one there.
pub(crate) fn open_store(directory: &Path) -> Result<Store, Failure> {
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("partition-0");
    let foreign = directory.read_dir().is_ok_and(|entries| {
        let mut names = entries.flatten().map(|entry| entry.file_name()).peekable();
        names.peek().is_some() && !names.any(|name| ours(&name))
    });
    if foreign {
        let reason = "is not a state directory, and not empty; name another";
        return Err(Failure::Input(vec![format!("error: {}: {reason}", directory.display())]));
    }
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::io("make the directory", directory, &error))?;
    let directory = directory.join("partition-0");
    Ok(Store::open(&directory, draw_seeds()?, Layout::EMBEDDED, &StoreMemory::default())?)
}

/// Secrets for a state that is about to be made.
pub(crate) fn draw_seeds() -> Result<Seeds, Failure> {
    let mut identity = [0; 16];
    let mut content = [0; 8];
    getrandom::fill(&mut identity)
        .and_then(|()| getrandom::fill(&mut content))
        .map_err(|error| Failure::Dependency(format!("the system gives no randomness: {error}")))?;
    Ok(Seeds { identity, content: u64::from_le_bytes(content) })
}

/// Records of one run by outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Records read.
    pub read: u64,
    /// Of those, rated.
    pub rated: u64,
    /// Of those rated, the ones that no charge took.
    pub unpriced: u64,
    /// Corrections that wait for their targets, also from earlier runs.
    pub waiting: u64,
    /// Of those read, seen before.
    pub duplicate: u64,
    /// Of those read, refused, by code.
    pub rejected: BTreeMap<Code, u64>,
    /// How fast; `None` if there were too few to tell.
    pub records_per_second: Option<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected: u64 = self.rejected.values().sum();
        let records = if self.read == 1 { "record" } else { "records" };
        write!(f, "{} {records} read: {} rated", self.read, self.rated)?;
        if self.unpriced > 0 {
            write!(f, " ({} of them taken by no charge)", self.unpriced)?;
        }
        write!(f, ", {} duplicate, {rejected} rejected", self.duplicate)?;
        if self.waiting > 0 {
            write!(f, ", {} waiting for the record to correct", self.waiting)?;
        }
        if rejected > 0 {
            let codes = self.rejected.iter().map(|(code, count)| format!("{count} {code}"));
            write!(f, " ({})", codes.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}
