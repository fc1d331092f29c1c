//! The proof over files: usage that was rated by `usage-rater rate`, and what came of it.

use super::records::Input;
use super::{Audit, Facts, Place, Question, Report, Written};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::verify::limits::LINE_BYTES_MAX;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// Proves that `out` is what became of the records of these files, in their order.
pub(crate) fn verify_files(facts: Facts, usage: &[PathBuf], out: &Path) -> Result<Report, Failure> {
    let question = Question {
        written: Written::All,
        has_input: true,
        begins_late: false,
        outputs_begin_late: false,
        subjects_may_wait: false,
    };
    let mut audit = Audit::new(facts, question);
    // Dead letters name their files, so all of them must be known before.
    for path in usage {
        audit.file(&path.to_string_lossy(), true);
    }
    each_line(&mut audit, (&out.join("rejected.ndjson"), false), |audit, line| {
        audit.letter(line.place, line.bytes);
    })?;
    for path in usage {
        each_line(&mut audit, (path, true), |audit, line| audit.record(line))?;
    }
    each_line(&mut audit, (&out.join("rated.ndjson"), false), |audit, line| {
        audit.rated(line.place, line.bytes);
    })?;
    each_line(&mut audit, (&out.join("totals.ndjson"), false), |audit, line| {
        audit.total(line.place, line.bytes);
    })?;
    Ok(audit.finish())
}

/// Calls `take` with every line of a file that is not blank.
fn each_line(
    audit: &mut Audit,
    (path, is_input): (&Path, bool),
    mut take: impl FnMut(&mut Audit, &Input<'_>),
) -> Result<(), Failure> {
    let fail = |error: std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            Failure::Input(vec![format!("{}: there is no such file", path.display())])
        } else {
            Failure::io("read", path, &error)
        }
    };
    let name = path.to_string_lossy();
    let Some(log) = audit.file(&name, is_input) else {
        return Err(Failure::Usage("so many files cannot be told apart".to_owned()));
    };
    let file = File::open(path).map_err(fail)?;
    let size = file.metadata().ok().map(|metadata| metadata.len());
    let progress = Progress::of_bytes(size);
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut line, mut number, mut read) = (Vec::new(), 0u64, 0u64);
    while let Some(taken) = take_line(&mut reader, &mut line).map_err(fail)? {
        number += 1;
        read += taken;
        if number.is_multiple_of(1 << 14) {
            progress.set(read, number, None);
        }
        let mut bytes = line.as_slice();
        if number == 1 {
            bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        }
        bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        // Of what was cut, the end is not there to be left out.
        let cut = taken.saturating_sub(line.len() as u64);
        let length = bytes.len() as u64 + cut.saturating_sub(u64::from(cut > 0));
        let (place, is_read) = (Place::new(log, number), true);
        let input = Input { place, bytes, length, hops: None, is_read };
        take(audit, &input);
    }
    progress.finish();
    Ok(())
}

/// Reads a line with its end, of which no more than [`LINE_BYTES_MAX`] bytes are kept; gives how
/// many there were, and `None` at the end.
fn take_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<u64>> {
    line.clear();
    let mut taken = 0u64;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(Some(taken).filter(|taken| *taken > 0));
        }
        let end = memchr::memchr(b'\n', buffer);
        let used = end.map_or(buffer.len(), |at| at + 1);
        let free = LINE_BYTES_MAX.saturating_sub(line.len()).min(used);
        line.extend_from_slice(buffer.get(..free).unwrap_or_default());
        reader.consume(used);
        taken += used as u64;
        if end.is_some() {
            return Ok(Some(taken));
        }
    }
}
