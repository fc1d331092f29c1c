//! The scanner: one pass over a text of valid UTF-8 that puts its values on the tape.
//!
//! A record is short strings and the signs between them, so both have a short way: a string is
//! searched eight bytes at once, and what follows a sign is looked at before any blank is skipped.
//! A fault is kept aside in the scanner, so that each step gives back one offset in a register.
//! Offsets are 32-bit throughout, as they are on the tape; a document is never longer.
#![expect(clippy::arithmetic_side_effects, reason = "offsets and counts are bounded by the input")]

use super::keys::{KeyMarks, twice};
use super::text::hex4;
use super::{DEPTH_MAX, Kind, Malformed, Node, Tape, offset};

/// Reads one document. No offset can wrap: those that steps are added to lie within the text.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    tape: &'a mut Tape,
    fault: Malformed,
}

/// There is a fault; the scanner knows it.
struct Stop;

/// The offset behind what was read.
type Step = Result<u32, Stop>;

impl<'a> Scanner<'a> {
    /// A scanner of `bytes`, which are UTF-8, onto `tape`, which is empty.
    pub(super) const fn new(bytes: &'a [u8], tape: &'a mut Tape) -> Self {
        Self { bytes, tape, fault: Malformed { offset: 0, reason: "" } }
    }

    /// Reads the whole document.
    pub(super) fn document(mut self) -> Result<(), Malformed> {
        match self.whole() {
            Ok(_) => Ok(()),
            Err(Stop) => Err(self.fault),
        }
    }

    fn whole(&mut self) -> Step {
        let (at, byte) = token(self.bytes, 0);
        let end = self.value(at, byte, 0)?;
        let (at, _) = token(self.bytes, end);
        if self.is_end(at) {
            return Ok(at);
        }
        Err(self.stop(at, "more follows after the document's end"))
    }

    /// Reads one value that begins with `byte`, inside `depth` containers.
    #[inline(always)]
    fn value(&mut self, at: u32, byte: u8, depth: usize) -> Step {
        match byte {
            b'"' => {
                let (end, escaped) = self.string_end(plain_end(self.bytes, at + 1))?;
                self.push(Kind::String, escaped, at + 1, end);
                Ok(end + 1)
            }
            b'-' | b'0'..=b'9' => self.number(at, byte),
            _ => self.nested(at, byte, depth),
        }
    }

    /// Reads any other value. What is nested comes back here, which [`DEPTH_MAX`] bounds.
    #[inline(never)]
    fn nested(&mut self, at: u32, byte: u8, depth: usize) -> Step {
        match byte {
            b'{' => self.object(at, depth),
            b'[' => self.array(at, depth),
            b't' => self.word(at, b"true", Kind::True),
            b'f' => self.word(at, b"false", Kind::False),
            b'n' => self.word(at, b"null", Kind::Null),
            _ => Err(self.stop_or_end(at, "a value was expected")),
        }
    }

    fn object(&mut self, at: u32, depth: usize) -> Step {
        let index = self.open(Kind::Object, at, depth)?;
        let (mut at, mut byte) = token(self.bytes, at + 1);
        if byte == b'}' {
            return Ok(self.close(index, at));
        }
        let mut marks = KeyMarks::default();
        loop {
            if byte != b'"' {
                return Err(self.stop_or_end(at, "a key must be a string"));
            }
            let start = at + 1;
            let (end, print) = key_end(self.bytes, start);
            let (end, escaped) = self.string_end(end)?;
            self.push(Kind::String, escaped, start, end);
            marks.note(print, escaped);
            (at, byte) = token(self.bytes, end + 1);
            if byte != b':' {
                return Err(self.stop(at, "a ':' is missing after a key"));
            }
            (at, byte) = token(self.bytes, at + 1);
            at = self.value(at, byte, depth + 1)?;
            (at, byte) = token(self.bytes, at);
            match byte {
                b',' => (at, byte) = token(self.bytes, at + 1),
                b'}' => break,
                _ => return Err(self.unclosed(at, byte)),
            }
        }
        if marks.suspect()
            && let Some(key) = twice(self.bytes, &self.tape.nodes, index, &mut self.tape.prints)
        {
            return Err(self.stop(key, "a key stands twice"));
        }
        Ok(self.close(index, at))
    }

    fn array(&mut self, at: u32, depth: usize) -> Step {
        let index = self.open(Kind::Array, at, depth)?;
        let (mut at, mut byte) = token(self.bytes, at + 1);
        if byte == b']' {
            return Ok(self.close(index, at));
        }
        loop {
            at = self.value(at, byte, depth + 1)?;
            (at, byte) = token(self.bytes, at);
            match byte {
                b',' => (at, byte) = token(self.bytes, at + 1),
                b']' => return Ok(self.close(index, at)),
                _ => return Err(self.unclosed(at, byte)),
            }
        }
    }

    #[cold]
    fn unclosed(&mut self, at: u32, found: u8) -> Stop {
        self.stop_or_end(
            at,
            match found {
                b'}' | b']' => "a closing bracket does not match",
                _ => "a ',' or a closing bracket is missing",
            },
        )
    }

    fn open(&mut self, kind: Kind, at: u32, depth: usize) -> Result<usize, Stop> {
        if depth >= DEPTH_MAX {
            return Err(self.stop(at, "nested deeper than 64"));
        }
        self.push(kind, false, at, at);
        Ok(self.tape.nodes.len() - 1)
    }

    /// Closes the container at `index` with the bracket at `at`.
    fn close(&mut self, index: usize, at: u32) -> u32 {
        let inside = offset(self.tape.nodes.len() - index - 1);
        if let Some(node) = self.tape.nodes.get_mut(index) {
            node.end = at + 1;
            node.inside = inside;
        }
        at + 1
    }

    /// The offset of the quote that ends a string whose first byte that is not plain is at `at`,
    /// and whether there are escapes before it.
    #[inline(always)]
    fn string_end(&mut self, at: u32) -> Result<(u32, bool), Stop> {
        if peek(self.bytes, at) == b'"' { Ok((at, false)) } else { self.escaped_end(at) }
    }

    /// Goes on from the first byte that is neither plain nor the quote.
    #[cold]
    fn escaped_end(&mut self, start: u32) -> Result<(u32, bool), Stop> {
        let mut at = start;
        let mut escaped = false;
        loop {
            match self.bytes.get(at as usize) {
                Some(b'"') => return Ok((at, escaped)),
                Some(b'\\') => at = self.escape(at)?,
                Some(_) => return Err(self.stop(at, "a control character stands in a string")),
                None => return Err(self.stop(at, "a string does not end")),
            }
            escaped = true;
            at = plain_end(self.bytes, at);
        }
    }

    /// Checks the escape whose backslash is at `at`.
    fn escape(&mut self, at: u32) -> Step {
        let half = "half of a surrogate pair stands alone";
        let place = at as usize;
        match self.bytes.get(place + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match hex4(self.bytes, place + 2) {
                Some(0xD800..=0xDBFF) => {
                    let low = (self.bytes.get(place + 6..place + 8) == Some(b"\\u"))
                        .then(|| hex4(self.bytes, place + 8))
                        .flatten();
                    match low {
                        Some(0xDC00..=0xDFFF) => Ok(at + 12),
                        _ => Err(self.stop(at, half)),
                    }
                }
                Some(0xDC00..=0xDFFF) => Err(self.stop(at, half)),
                Some(_) => Ok(at + 6),
                None => Err(self.stop(at, "'\\u' wants four hexadecimal digits")),
            },
            _ => Err(self.stop(at, "an unknown escape")),
        }
    }

    #[inline(always)]
    fn number(&mut self, start: u32, byte: u8) -> Step {
        let mut at = start;
        let mut byte = byte;
        if byte == b'-' {
            at += 1;
            byte = peek(self.bytes, at);
        }
        at = if byte == b'0' { at + 1 } else { self.digits(at)? };
        byte = peek(self.bytes, at);
        if byte == b'.' {
            at = self.digits(at + 1)?;
            byte = peek(self.bytes, at);
        }
        if matches!(byte, b'e' | b'E') {
            at += 1;
            if matches!(peek(self.bytes, at), b'+' | b'-') {
                at += 1;
            }
            at = self.digits(at)?;
        }
        self.push(Kind::Number, false, start, at);
        Ok(at)
    }

    /// Reads one digit or more.
    #[inline(always)]
    fn digits(&mut self, start: u32) -> Step {
        let mut at = start;
        while peek(self.bytes, at).is_ascii_digit() {
            at = at.wrapping_add(1);
        }
        if at > start { Ok(at) } else { Err(self.stop(at, "a number wants a digit here")) }
    }

    fn word(&mut self, at: u32, word: &[u8], kind: Kind) -> Step {
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.stop(at, "a value was expected"));
        }
        let end = at + offset(word.len());
        self.push(kind, false, at, end);
        Ok(end)
    }

    #[inline(always)]
    fn push(&mut self, kind: Kind, escaped: bool, start: u32, end: u32) {
        self.tape.nodes.push(Node { kind, escaped, start, end, inside: 0 });
    }

    const fn is_end(&self, at: u32) -> bool {
        at as usize >= self.bytes.len()
    }

    #[cold]
    fn stop_or_end(&mut self, at: u32, reason: &'static str) -> Stop {
        let reason = if self.is_end(at) { "ends too early" } else { reason };
        self.stop(at, reason)
    }

    #[cold]
    fn stop(&mut self, at: u32, reason: &'static str) -> Stop {
        self.fault = Malformed { offset: (at as usize).min(self.bytes.len()), reason };
        Stop
    }
}

/// The byte at `at`. Behind the end it is 0, which no grammar wants; whoever must tell the two asks
/// [`Scanner::is_end`].
#[inline(always)]
fn peek(bytes: &[u8], at: u32) -> u8 {
    bytes.get(at as usize).copied().unwrap_or(0)
}

/// The first byte from `at` on that is no blank, and where it is.
#[inline(always)]
fn token(bytes: &[u8], at: u32) -> (u32, u8) {
    let byte = peek(bytes, at);
    if byte > b' ' { (at, byte) } else { token_behind_blanks(bytes, at) }
}

#[inline(never)]
fn token_behind_blanks(bytes: &[u8], at: u32) -> (u32, u8) {
    let mut at = at;
    loop {
        match peek(bytes, at) {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            byte => return (at, byte),
        }
    }
}

/// Eight bytes from `at` on; zeros stand for what lies behind the end.
#[inline(always)]
fn word_at(bytes: &[u8], at: u32) -> u64 {
    let place = at as usize;
    match bytes.get(place..place + 8).and_then(<[u8]>::first_chunk) {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(bytes.get(place..).unwrap_or_default()),
    }
}

#[cold]
fn last_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The first offset from `at` on whose byte is a quote, a backslash or a control character; the
/// end, if there is none.
#[inline(always)]
fn plain_end(bytes: &[u8], at: u32) -> u32 {
    let mut at = at;
    loop {
        let marks = special(word_at(bytes, at));
        if marks != 0 {
            return at.wrapping_add(marks.trailing_zeros() / 8);
        }
        at = at.wrapping_add(8);
    }
}

/// The same for a key, with a number that is equal for equal keys unless they have escapes.
#[inline(always)]
pub(super) fn key_end(bytes: &[u8], start: u32) -> (u32, u64) {
    let word = word_at(bytes, start);
    let marks = special(word);
    if marks == 0 {
        let end = plain_end(bytes, start.wrapping_add(8));
        let last = word_at(bytes, end.wrapping_sub(8));
        let length = u64::from(end.wrapping_sub(start));
        return (end, word ^ last.rotate_left(32) ^ length);
    }
    // All below the byte with the lowest mark: the whole key, in which there is no zero.
    let below = (marks & marks.wrapping_neg()) >> 7;
    (start.wrapping_add(marks.trailing_zeros() / 8), word & below.wrapping_sub(1))
}

/// Marks the highest bit of each byte of a word that is a quote, a backslash or a control
/// character. A byte above such a one may be marked too, which does no harm: only the lowest mark
/// counts.
const fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Below 0x80, a subtraction sets the highest bit only where it falls below zero.
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let controls = word.wrapping_sub(ONES * b' ' as u64);
    (quotes | backslashes | controls) & !word & HIGHS
}
