//! One run of rating over a source: read, decode, apply, commit.

use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::progress::Progress;
use aggregator::{Counters, Embedded, Origin, Partition, SavedSource, Seeds, Store, Verdict};
use ingest::{DeadLetter, Decoder, LineSource, Place, ReadLine, SourcePosition};
use rating::{Catalog, Code, Rejection};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A partition in embedded mode and what goes into it.
#[derive(Debug)]
pub struct RatingRun {
    partition: Partition,
    rejected: BTreeMap<Code, u64>,
    before: Counters,
    clock: Stopwatch,
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
        let port = Box::new(Embedded::new(&store)?);
        let partition = Partition::open(catalog, store, port)?;
        let before = *partition.counters();
        Ok(Self { partition, rejected: BTreeMap::new(), before, clock: Stopwatch::start() })
    }

    /// The partition.
    #[must_use]
    pub const fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The partition, to close periods.
    pub const fn partition_mut(&mut self) -> &mut Partition {
        &mut self.partition
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
        let mut dead_letter = String::new();
        let mut records = 0u64;
        while let Some(line) = source.next_line()? {
            let origin = Origin { source: index, position: line.number };
            if let Some(rejection) = self.apply(&mut decoder, &line, origin)? {
                dead_letter.clear();
                let place = Place::File { file: &name, line: line.number };
                let record_bytes = line.length;
                DeadLetter { rejection: &rejection, place, record: line.bytes, record_bytes }
                    .write_line(&mut dead_letter);
                self.partition.reject(&dead_letter);
                *self.rejected.entry(rejection.code).or_default() += 1;
            }
            records += 1;
            if records.is_multiple_of(PROGRESS_RECORDS) {
                let bytes = source.position().bytes;
                progress.set(bytes, records, self.clock.per_second(records));
            }
            if self.partition.commit_due() {
                self.advance(&source);
                self.partition.commit()?;
            }
        }
        progress.finish();
        self.advance(&source);
        self.partition.commit()?;
        Ok(())
    }

    fn apply(
        &mut self,
        decoder: &mut Decoder,
        line: &ReadLine<'_>,
        origin: Origin,
    ) -> Result<Option<Rejection>, Failure> {
        if let Some(rejection) = line.too_large() {
            return Ok(Some(rejection));
        }
        let record = match decoder.decode(line.bytes) {
            Ok(record) => record,
            Err(rejection) => return Ok(Some(rejection)),
        };
        // A file has no clock: nothing in it is in the future.
        Ok(match self.partition.apply(&record, origin, None)? {
            Verdict::Rated(_) | Verdict::Duplicate => None,
            Verdict::Rejected(rejection) => Some(rejection),
        })
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
    Ok(Store::open(&directory, draw_seeds()?)?)
}

/// Secrets for a state that is about to be made.
fn draw_seeds() -> Result<Seeds, Failure> {
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
        if rejected > 0 {
            let codes = self.rejected.iter().map(|(code, count)| format!("{count} {code}"));
            write!(f, " ({})", codes.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}
