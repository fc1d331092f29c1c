//! JSON with the place of everything: one reader for usage records, catalogs and orders.
//!
//! Numbers stay the text they were written as, because `0.1` must be 0.1 and a general-purpose
//! parser has turned it into a float before anyone can ask. Every value remembers its span, so that
//! a fault can be shown with line and column. Duplicate keys, invalid UTF-8 and deep nesting are
//! refused here, once, for all inputs. The tape is reused from record to record: after the first
//! few records nothing is allocated.
#![expect(clippy::arithmetic_side_effects, reason = "offsets and counts are bounded by the input")]

mod text;

pub use text::write_string;

use std::borrow::Cow;
use text::{hex4, unescape};

/// Deepest nesting of arrays and objects that is read.
pub const DEPTH_MAX: usize = 64;
/// Longest document that is read, in bytes; spans are 32-bit.
pub const DOCUMENT_BYTES_MAX: usize = u32::MAX as usize - 1;
/// Objects with more keys than this are checked for duplicates by sorting.
const SMALL_OBJECT_KEYS: usize = 24;

/// Why a text is not JSON as accepted here, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct Malformed {
    /// Offset of the first offending byte.
    pub offset: usize,
    /// What is wrong, for a person.
    pub reason: &'static str,
}

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, kept as text.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

impl Kind {
    /// How a person calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::True | Self::False => "a boolean",
            Self::Null => "null",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    escaped: bool,
    /// Span of the content: without quotes for a string, with brackets for a container.
    start: u32,
    end: u32,
    /// Index of the node after this one and all that is inside it.
    next: u32,
}

/// The nodes of one document, in reading order. Reuse it: [`Tape::parse`] keeps the memory.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    keys: Vec<u32>,
}

impl Tape {
    /// Reads `bytes` as one JSON document.
    ///
    /// # Errors
    /// [`Malformed`] with the offset of the first fault.
    pub fn parse<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Value<'a>, Malformed> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(Malformed { offset: 0, reason: "longer than 4 GiB" });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| Malformed {
            offset: error.valid_up_to(),
            reason: "not valid UTF-8",
        })?;
        self.nodes.clear();
        Scanner { bytes, at: 0, tape: self }.document()?;
        Ok(Value { nodes: &self.nodes, text, index: 0 })
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    tape: &'a mut Tape,
}

impl Scanner<'_> {
    fn document(mut self) -> Result<(), Malformed> {
        self.value(0)?;
        match self.skip_space() {
            None => Ok(()),
            Some(_) => Err(self.fault("more follows after the document's end")),
        }
    }

    /// Reads one value inside `depth` containers. It calls itself for what is nested, which
    /// [`DEPTH_MAX`] bounds.
    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.skip_space() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(_) => Err(self.fault("a value was expected")),
            None => Err(self.fault("ends too early")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Malformed> {
        let index = self.open(Kind::Object, depth)?;
        if self.skip_space() == Some(b'}') {
            self.close(index);
            return Ok(());
        }
        // A bit for each key: equal keys share one, so most objects are proven free of duplicates
        // without comparing any two keys.
        let mut seen = 0u64;
        let mut suspect = false;
        loop {
            match self.skip_space() {
                Some(b'"') => self.string()?,
                Some(_) => return Err(self.fault("a key must be a string")),
                None => return Err(self.fault("ends too early")),
            }
            if let Some(key) = self.tape.nodes.last() {
                let mark = 1u64 << key_mark(self.bytes, key);
                suspect |= seen & mark != 0 || key.escaped;
                seen |= mark;
            }
            if self.skip_space() != Some(b':') {
                return Err(self.fault("a ':' is missing after a key"));
            }
            self.at += 1;
            self.value(depth + 1)?;
            match self.skip_space() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                other => return Err(self.unclosed(other)),
            }
        }
        if suspect {
            self.refuse_duplicate_keys(index)?;
        }
        self.close(index);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), Malformed> {
        let index = self.open(Kind::Array, depth)?;
        if self.skip_space() == Some(b']') {
            self.close(index);
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.skip_space() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                other => return Err(self.unclosed(other)),
            }
        }
        self.close(index);
        Ok(())
    }

    fn unclosed(&self, found: Option<u8>) -> Malformed {
        self.fault(match found {
            None => "ends too early",
            Some(b'}' | b']') => "a closing bracket does not match",
            Some(_) => "a ',' or a closing bracket is missing",
        })
    }

    fn open(&mut self, kind: Kind, depth: usize) -> Result<usize, Malformed> {
        if depth >= DEPTH_MAX {
            return Err(self.fault("nested deeper than 64"));
        }
        self.push(kind, false, self.at, self.at);
        self.at += 1;
        Ok(self.tape.nodes.len() - 1)
    }

    fn close(&mut self, index: usize) {
        self.at += 1;
        let (end, next) = (offset(self.at), offset(self.tape.nodes.len()));
        if let Some(node) = self.tape.nodes.get_mut(index) {
            node.end = end;
            node.next = next;
        }
    }

    fn refuse_duplicate_keys(&mut self, object: usize) -> Result<(), Malformed> {
        let nodes = &self.tape.nodes;
        let keys = &mut self.tape.keys;
        keys.clear();
        let mut at = object + 1;
        while let Some(value) = nodes.get(at + 1) {
            keys.push(offset(at));
            at = value.next as usize;
        }
        let text = |index: u32| -> Cow<'_, [u8]> {
            let Some(node) = nodes.get(index as usize) else { return Cow::Borrowed(b"") };
            let raw = self.bytes.get(node.start as usize..node.end as usize).unwrap_or_default();
            if node.escaped { Cow::Owned(unescape(raw).into_bytes()) } else { Cow::Borrowed(raw) }
        };
        let duplicate = if keys.len() <= SMALL_OBJECT_KEYS {
            keys.iter().enumerate().find_map(|(position, &key)| {
                keys.iter().take(position).any(|&other| text(other) == text(key)).then_some(key)
            })
        } else {
            // Unescaped once each, not once a comparison.
            let mut texts: Vec<_> = keys.iter().map(|&key| (text(key), key)).collect();
            texts.sort_unstable();
            texts.windows(2).find_map(|pair| match pair {
                [(a, _), (b, key)] if a == b => Some(*key),
                _ => None,
            })
        };
        duplicate.map_or(Ok(()), |key| {
            let at = nodes.get(key as usize).map_or(0, |node| node.start as usize);
            Err(Malformed { offset: at.saturating_sub(1), reason: "a key stands twice" })
        })
    }

    fn string(&mut self) -> Result<(), Malformed> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += plain_bytes(self.bytes, at);
            let Some(&byte) = self.bytes.get(at) else {
                self.at = at;
                return Err(self.fault("a string does not end"));
            };
            if byte == b'"' {
                break;
            }
            if byte == b'\\' {
                escaped = true;
                at = self.escape(at)?;
            } else if byte < 0x20 {
                self.at = at;
                return Err(self.fault("a control character stands in a string"));
            } else {
                at += 1;
            }
        }
        self.push(Kind::String, escaped, start, at);
        self.at = at + 1;
        Ok(())
    }

    /// Checks the escape whose backslash is at `at`; returns the offset behind it.
    fn escape(&mut self, at: usize) -> Result<usize, Malformed> {
        self.at = at;
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match hex4(self.bytes, at + 2) {
                Some(0xD800..=0xDBFF) => {
                    let low = (self.bytes.get(at + 6..at + 8) == Some(b"\\u"))
                        .then(|| hex4(self.bytes, at + 8))
                        .flatten();
                    match low {
                        Some(0xDC00..=0xDFFF) => Ok(at + 12),
                        _ => Err(self.fault("half of a surrogate pair stands alone")),
                    }
                }
                Some(0xDC00..=0xDFFF) => Err(self.fault("half of a surrogate pair stands alone")),
                Some(_) => Ok(at + 6),
                None => Err(self.fault("'\\u' wants four hexadecimal digits")),
            },
            _ => Err(self.fault("an unknown escape")),
        }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault("a number wants a digit here")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        self.push(Kind::Number, false, start, self.at);
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), Malformed> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault("a number wants a digit here"));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Malformed> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(self.fault("a value was expected"));
        }
        self.push(kind, false, self.at, end);
        self.at = end;
        Ok(())
    }

    fn push(&mut self, kind: Kind, escaped: bool, start: usize, end: usize) {
        let next = offset(self.tape.nodes.len() + 1);
        let (start, end) = (offset(start), offset(end));
        self.tape.nodes.push(Node { kind, escaped, start, end, next });
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek();
            match byte {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                _ => return byte,
            }
        }
    }

    fn fault(&self, reason: &'static str) -> Malformed {
        Malformed { offset: self.at.min(self.bytes.len()), reason }
    }
}

/// A number below 64 from the length and the first eight bytes of a key.
fn key_mark(bytes: &[u8], key: &Node) -> u32 {
    let text = bytes.get(key.start as usize..key.end as usize).unwrap_or_default();
    let word = match text.first_chunk::<8>() {
        Some(window) => u64::from_le_bytes(*window),
        None => text.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    };
    let mixed = (word ^ u64::from(key.end - key.start)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u32::try_from(mixed >> 58).unwrap_or_default()
}

/// How many bytes of a string from `at` on, in steps of eight, need no look one by one: neither a
/// quote, nor a backslash, nor a control character.
fn plain_bytes(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The highest bit of each byte that is zero in `word`; a byte above a zero one may be marked
    // too, which does no harm, because only the lowest mark counts.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let mut plain = 0;
    for chunk in rest.chunks_exact(8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let quote = zeros(word ^ (ONES * b'"' as u64));
        let backslash = zeros(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let marks = quote | backslash | control;
        if marks != 0 {
            return plain + (marks.trailing_zeros() / 8) as usize;
        }
        plain += 8;
    }
    plain
}

/// Offsets and node counts fit: a document is shorter than 4 GiB and a node takes a byte or more.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One value of a parsed document.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    nodes: &'a [Node],
    text: &'a str,
    index: u32,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.raw())
    }
}

impl<'a> Value<'a> {
    fn node(&self) -> Node {
        const NULL: Node = Node { kind: Kind::Null, escaped: false, start: 0, end: 0, next: 0 };
        self.nodes.get(self.index as usize).copied().unwrap_or(NULL)
    }

    /// What the value is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// Offset of its first byte in the document (of a string: of its opening quote).
    #[must_use]
    pub fn offset(&self) -> usize {
        let node = self.node();
        (node.start as usize).saturating_sub(usize::from(node.kind == Kind::String))
    }

    /// The text it was written as; a string without its quotes, escapes unresolved.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        let node = self.node();
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// The string, escapes resolved; `None` if it is no string.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'a, str>> {
        let node = self.node();
        let raw = self.raw();
        (node.kind == Kind::String).then(|| {
            if node.escaped { Cow::Owned(unescape(raw.as_bytes())) } else { Cow::Borrowed(raw) }
        })
    }

    /// The characters of a decimal, whether written as a number or as a string.
    #[must_use]
    pub fn as_decimal_text(&self) -> Option<Cow<'a, str>> {
        if self.kind() == Kind::Number { Some(Cow::Borrowed(self.raw())) } else { self.as_text() }
    }

    /// The members of an object in their order; nothing for any other kind.
    #[must_use]
    pub fn members(&self) -> Members<'a> {
        let node = self.node();
        let end = if node.kind == Kind::Object { node.next } else { self.index + 1 };
        Members { nodes: self.nodes, text: self.text, at: self.index + 1, end }
    }

    /// The elements of an array in their order; nothing for any other kind.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        let node = self.node();
        let end = if node.kind == Kind::Array { node.next } else { self.index + 1 };
        Elements { nodes: self.nodes, text: self.text, at: self.index + 1, end }
    }

    /// The member called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Self> {
        self.members().find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }

    /// Whether it is the string `text`.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let node = self.node();
        node.kind == Kind::String
            && if node.escaped {
                unescape(self.raw().as_bytes()) == text
            } else {
                self.raw() == text
            }
    }
}

/// Iterates over the members of an object as (key, value).
#[derive(Debug, Clone)]
pub struct Members<'a> {
    nodes: &'a [Node],
    text: &'a str,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let key = Value { nodes: self.nodes, text: self.text, index: self.at };
        let value = Value { nodes: self.nodes, text: self.text, index: self.at + 1 };
        self.at = value.node().next.max(self.at + 2);
        Some((key, value))
    }
}

/// Iterates over the elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    nodes: &'a [Node],
    text: &'a str,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let value = Value { nodes: self.nodes, text: self.text, index: self.at };
        self.at = value.node().next.max(self.at + 1);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, wanted: Result<(), &str>) {
        let mut tape = Tape::default();
        let found = tape.parse(input.as_bytes()).map(|_| ()).map_err(|fault| fault.reason);
        assert_eq!(found, wanted, "{input}");
    }

    #[test]
    fn accepts_json_and_nothing_else() {
        for good in ["{}", "[]", " [1, -0.5e+3, \"a\\u00e9\\ud83d\\ude00\"] ", "null", "{\"a\":{}}"]
        {
            check(good, Ok(()));
        }
        check("", Err("ends too early"));
        check("{", Err("ends too early"));
        check("[1,]", Err("a value was expected"));
        check("{\"a\":1,}", Err("a key must be a string"));
        check("{a:1}", Err("a key must be a string"));
        check("[1 2]", Err("a ',' or a closing bracket is missing"));
        check("{\"a\" 1}", Err("a ':' is missing after a key"));
        check("[1}", Err("a closing bracket does not match"));
        check("[1", Err("ends too early"));
        check("{\"a\":1]", Err("a closing bracket does not match"));
        check("{]", Err("a key must be a string"));
        check("[}", Err("a value was expected"));
        check("01", Err("more follows after the document's end"));
        check("-", Err("a number wants a digit here"));
        check("1.", Err("a number wants a digit here"));
        check("1e", Err("a number wants a digit here"));
        check("NaN", Err("a value was expected"));
        check("\"\\ud800\"", Err("half of a surrogate pair stands alone"));
        check("\"\\udc00\"", Err("half of a surrogate pair stands alone"));
        check("\"\\x\"", Err("an unknown escape"));
        check("\"\u{1}\"", Err("a control character stands in a string"));
        check("\"a", Err("a string does not end"));
        check("}", Err("a value was expected"));
    }

    #[test]
    fn duplicate_keys_are_found_whatever_their_spelling() {
        check("{\"a\":1,\"b\":2,\"a\":3}", Err("a key stands twice"));
        check("{\"a\":1,\"\\u0061\":3}", Err("a key stands twice"));
        check("{\"a\":{\"b\":1},\"b\":1}", Ok(()));
        let many: Vec<String> = (0..100).map(|key| format!("\"k{key}\":0")).collect();
        check(&format!("{{{}}}", many.join(",")), Ok(()));
        check(&format!("{{{},\"k7\":1}}", many.join(",")), Err("a key stands twice"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        check(&nested(64), Ok(()));
        check(&nested(65), Err("nested deeper than 64"));
        check(&"[".repeat(10_000), Err("nested deeper than 64"));
    }

    #[test]
    fn values_are_found_again() {
        let mut tape = Tape::default();
        let text = r#"{"a":[1,{"b":"x\n"},null],"n":0.10,"é":true}"#;
        let value = tape.parse(text.as_bytes()).unwrap();
        let elements: Vec<_> = value.get("a").unwrap().elements().collect();
        assert_eq!(elements.len(), 3);
        assert_eq!(elements[1].get("b").unwrap().as_text().unwrap(), "x\n");
        assert_eq!(value.get("n").unwrap().raw(), "0.10");
        assert_eq!(value.get("é").unwrap().kind(), Kind::True);
        assert!(value.get("b").is_none());
    }
}
