//! The line source: records of a file or of standard input, one a line.
//!
//! It remembers how far it has been read and a digest of all that lies before, so that a later run
//! can go on where an earlier one stopped, and notices if the file is another one by then.

use crate::limits::{READ_AHEAD_BYTES, RECORD_BYTES_MAX, TOO_LARGE_BYTES_KEPT};
use rating::{Code, Rejection};
use std::fs::File;
use std::hash::Hasher as _;
use std::io::{self, Read, Seek as _};
use std::ops::Range;
use std::path::Path;
use twox_hash::XxHash3_64;

/// `\r\n`.
const LINE_END_BYTES_MAX: usize = 2;

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {error}")]
pub struct SourceError {
    /// The source as the user named it.
    pub name: String,
    /// What the system said.
    pub error: io::Error,
}

/// How far a source has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourcePosition {
    /// Lines read.
    pub line: u64,
    /// Bytes read.
    pub bytes: u64,
    /// A digest of those bytes.
    pub digest: u64,
}

/// One line, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLine<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes; of one that is too large, only the first.
    pub bytes: &'a [u8],
    /// How many bytes it has.
    pub length: u64,
}

impl ReadLine<'_> {
    /// The refusal of a line that is longer than a record may be.
    #[must_use]
    pub fn too_large(&self) -> Option<Rejection> {
        (self.length > RECORD_BYTES_MAX as u64).then(|| {
            let reason = format!("{} bytes are more than {RECORD_BYTES_MAX}", self.length);
            Rejection::new(Code::TooLarge, reason)
        })
    }
}

/// A line taken off the buffer.
enum Taken {
    Whole(Range<usize>),
    /// Only its beginning is kept.
    Large {
        length: u64,
    },
}

/// Reads lines from a file or from standard input.
pub struct LineSource {
    name: String,
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The beginning of the last line that was too large.
    large: Vec<u8>,
    /// What of the buffer has been read but not given out.
    start: usize,
    end: usize,
    at_end: bool,
    /// Whether it is a plain file, which can be read again from where it was left.
    repeatable: bool,
    unfinished: bool,
    line: u64,
    bytes: u64,
    digest: XxHash3_64,
}

impl std::fmt::Debug for LineSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineSource({} at line {})", self.name, self.line)
    }
}

impl LineSource {
    /// Opens a file, or standard input if `name` is `-`, and goes on behind `position` if the file
    /// still begins with the bytes that were read then; else it begins at the start.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be opened or read.
    pub fn open(name: &str, position: Option<SourcePosition>) -> Result<Self, SourceError> {
        if name == "-" {
            return Ok(Self::from_reader(name, Box::new(io::stdin())));
        }
        let fail = |error| SourceError { name: name.to_owned(), error };
        let mut file = File::open(Path::new(name)).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(fail(io::Error::other("it is a directory")));
        }
        if !metadata.is_file() {
            return Ok(Self::from_reader(name, Box::new(file)));
        }
        let resumed = match position {
            Some(position) => begins_alike(&mut file, position).map_err(fail)?,
            None => None,
        };
        if resumed.is_none() && position.is_some() {
            file.rewind().map_err(fail)?;
        }
        let mut source = Self::from_reader(name, Box::new(file));
        source.repeatable = true;
        if let (Some(digest), Some(position)) = (resumed, position) {
            (source.line, source.bytes, source.digest) = (position.line, position.bytes, digest);
        }
        Ok(source)
    }

    /// Reads lines from anything.
    #[must_use]
    pub fn from_reader(name: &str, input: Box<dyn Read + Send>) -> Self {
        Self {
            name: name.to_owned(),
            input,
            buffer: vec![0; READ_AHEAD_BYTES],
            large: Vec::new(),
            start: 0,
            end: 0,
            at_end: false,
            repeatable: false,
            unfinished: false,
            line: 0,
            bytes: 0,
            digest: XxHash3_64::with_seed(0),
        }
    }

    /// The source as the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a later run can go on behind a position: true of plain files, not of pipes.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// How far it has been read: behind the last whole line that was given out.
    #[must_use]
    pub fn position(&self) -> SourcePosition {
        SourcePosition {
            line: self.line - u64::from(self.unfinished),
            bytes: self.bytes,
            digest: self.digest.finish(),
        }
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// [`SourceError`] if reading fails.
    pub fn next_line(&mut self) -> Result<Option<ReadLine<'_>>, SourceError> {
        let (range, length) = loop {
            match self.take_line()? {
                None => return Ok(None),
                Some(Taken::Large { length }) => {
                    return Ok(Some(ReadLine { number: self.line, bytes: &self.large, length }));
                }
                Some(Taken::Whole(line)) => {
                    let bytes = self.buffer.get(line.clone()).unwrap_or_default();
                    let inner = without_end(bytes, self.line == 1);
                    let record = line.start + inner.start..line.start + inner.end;
                    let bytes = bytes.get(inner).unwrap_or_default();
                    if !bytes.iter().all(u8::is_ascii_whitespace) {
                        break (record, bytes.len() as u64);
                    }
                }
            }
        };
        let bytes = self.buffer.get(range).unwrap_or_default();
        Ok(Some(ReadLine { number: self.line, bytes, length }))
    }

    /// Takes one line with its end off the buffer.
    fn take_line(&mut self) -> Result<Option<Taken>, SourceError> {
        let mut searched = self.start;
        loop {
            let unread = self.buffer.get(searched..self.end).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', unread) {
                return Ok(Some(self.give(searched + found + 1)));
            }
            if self.at_end {
                return Ok((self.start < self.end).then(|| self.give_unfinished()));
            }
            if self.end - self.start > RECORD_BYTES_MAX + LINE_END_BYTES_MAX {
                return self.skip_large_line().map(Some);
            }
            searched = self.end;
            searched -= self.fill()?;
        }
    }

    fn give(&mut self, end: usize) -> Taken {
        let line = self.start..end;
        self.count(end);
        self.line += 1;
        Taken::Whole(line)
    }

    /// Gives the last line of a source that does not end it. It is not counted as read: whoever
    /// was writing it may finish it, and a later run must see it whole.
    const fn give_unfinished(&mut self) -> Taken {
        let line = self.start..self.end;
        self.start = self.end;
        self.line += 1;
        self.unfinished = true;
        Taken::Whole(line)
    }

    /// Counts the bytes up to `end` as read.
    fn count(&mut self, end: usize) {
        let read = self.buffer.get(self.start..end).unwrap_or_default();
        self.digest.write(read);
        self.bytes += read.len() as u64;
        self.start = end;
    }

    /// Reads a line of any length away, keeping only its beginning.
    fn skip_large_line(&mut self) -> Result<Taken, SourceError> {
        let head = self.start..self.start + TOO_LARGE_BYTES_KEPT;
        self.large.clear();
        self.large.extend_from_slice(self.buffer.get(head).unwrap_or_default());
        let (begin, digest) = (self.bytes, self.digest.clone());
        let ended = loop {
            let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
            let found = memchr::memchr(b'\n', rest);
            self.count(found.map_or(self.end, |at| self.start + at + 1));
            if found.is_some() || self.at_end {
                break found.is_some();
            }
            self.fill()?;
        };
        self.line += 1;
        let length = self.bytes - begin;
        if !ended {
            // As with a short one, whoever is writing it may finish it.
            (self.unfinished, self.bytes, self.digest) = (true, begin, digest);
        }
        Ok(Taken::Large { length })
    }

    /// Reads more behind what is there; gives by how much that was moved to make room.
    fn fill(&mut self) -> Result<usize, SourceError> {
        let moved = self.start;
        if moved > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= moved;
            self.start = 0;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let fail = |error| SourceError { name: self.name.clone(), error };
        loop {
            match self.input.read(room) {
                Ok(0) => {
                    self.at_end = true;
                    return Ok(moved);
                }
                Ok(count) => {
                    self.end += count;
                    return Ok(moved);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }
}

/// Where the record lies in a line: without its end, and without the byte-order mark that some
/// editors put at the start of a file.
fn without_end(line: &[u8], first: bool) -> Range<usize> {
    let bytes = line.strip_suffix(b"\n").unwrap_or(line);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mark = first && bytes.starts_with(b"\xEF\xBB\xBF");
    if mark { 3..bytes.len() } else { 0..bytes.len() }
}

/// Reads the file up to `position`; gives the digest's state if the bytes are the same as then.
fn begins_alike(file: &mut File, position: SourcePosition) -> io::Result<Option<XxHash3_64>> {
    if file.metadata()?.len() < position.bytes {
        return Ok(None);
    }
    let mut digest = XxHash3_64::with_seed(0);
    let mut chunk = vec![0; 1 << 16];
    let mut rest = position.bytes;
    while rest > 0 {
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(chunk.len());
        let part = chunk.get_mut(..wanted).unwrap_or_default();
        file.read_exact(part)?;
        digest.write(part);
        rest -= wanted as u64;
    }
    Ok((digest.finish() == position.digest).then_some(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Vec<u8>, u64)> {
        let mut source = LineSource::from_reader("x", Box::new(io::Cursor::new(text.to_vec())));
        let mut found = Vec::new();
        while let Some(line) = source.next_line().unwrap() {
            found.push((line.number, line.bytes.to_vec(), line.length));
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        assert_eq!(source.position().bytes, whole as u64);
        found
    }

    #[test]
    fn ends_blanks_and_marks_are_not_part_of_a_line() {
        let found = lines(b"\xEF\xBB\xBFa\r\n\n  \nb\nc");
        assert_eq!(found, [(1, b"a".to_vec(), 1), (4, b"b".to_vec(), 1), (5, b"c".to_vec(), 1)]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_of_any_length_costs_itself_alone() {
        for size in [RECORD_BYTES_MAX, RECORD_BYTES_MAX + 1, 3 * READ_AHEAD_BYTES, 5_000_001] {
            let mut text = b"before\n".to_vec();
            text.extend(vec![b'x'; size]);
            text.extend(b"\nafter\n");
            let found = lines(&text);
            assert_eq!(found.len(), 3, "{size}");
            assert!(found[1].2 >= size as u64 && found[1].2 <= size as u64 + 1, "{size}");
            assert!(found[1].1.starts_with(b"xxx"));
            assert_eq!(found[2], (3, b"after".to_vec(), 5));
        }
    }

    #[test]
    fn reading_goes_on_behind_a_position_only_in_the_same_file() {
        let directory = std::env::temp_dir().join(format!("lines-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("usage.ndjson");
        std::fs::write(&path, "a\nb\n").unwrap();
        let name = path.to_str().unwrap();
        let mut source = LineSource::open(name, None).unwrap();
        source.next_line().unwrap();
        let position = source.position();
        std::fs::write(&path, "a\nb\nc\n").unwrap();
        let mut resumed = LineSource::open(name, Some(position)).unwrap();
        assert_eq!(resumed.next_line().unwrap().unwrap().bytes, b"b");
        std::fs::write(&path, "x\nb\nc\n").unwrap();
        let mut other = LineSource::open(name, Some(position)).unwrap();
        assert_eq!(other.next_line().unwrap().unwrap().bytes, b"x");
        std::fs::write(&path, "a").unwrap();
        let mut shorter = LineSource::open(name, Some(position)).unwrap();
        assert_eq!(shorter.next_line().unwrap().unwrap().number, 1);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
