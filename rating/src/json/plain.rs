//! A second reader for the tests: byte by byte, with nothing that is there for speed. What the
//! scanner makes of a text must be the same to the byte, faults and their places included.

use super::text::unescape;
use super::{DEPTH_MAX, Kind, Malformed, Node, offset};
use std::collections::BTreeSet;

/// The nodes of `text`, or its first fault.
pub(super) fn read(text: &str) -> Result<Vec<Node>, Malformed> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0, nodes: Vec::new() };
    reader.value(0)?;
    reader.blanks();
    if reader.at < text.len() {
        return reader.fault("more follows after the document's end");
    }
    Ok(reader.nodes)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        self.blanks();
        let start = self.at;
        let index = self.nodes.len();
        let (kind, escaped) = match self.bytes.get(start) {
            Some(b'"') => (Kind::String, self.string()?),
            Some(b'{') => (Kind::Object, self.list(depth, true)?),
            Some(b'[') => (Kind::Array, self.list(depth, false)?),
            Some(b'-' | b'0'..=b'9') => (Kind::Number, self.number()?),
            Some(b't') => (Kind::True, self.word("true")?),
            Some(b'f') => (Kind::False, self.word("false")?),
            Some(b'n') => (Kind::Null, self.word("null")?),
            Some(_) => return self.fault("a value was expected"),
            None => return self.fault("ends too early"),
        };
        let quote = usize::from(kind == Kind::String);
        let (start, end) = (offset(start + quote), offset(self.at - quote));
        let inside = offset(self.nodes.len() - index);
        self.nodes.insert(index, Node { kind, escaped, start, end, inside });
        Ok(())
    }

    fn list(&mut self, depth: usize, keyed: bool) -> Result<bool, Malformed> {
        if depth >= DEPTH_MAX {
            return self.fault("nested deeper than 64");
        }
        let close = if keyed { b'}' } else { b']' };
        let (mut seen, mut twice) = (BTreeSet::new(), None);
        self.at += 1;
        self.blanks();
        while self.bytes.get(self.at) != Some(&close) || !seen.is_empty() {
            if keyed {
                let start = self.at;
                let text = self.key(depth)?;
                if !seen.insert(text) {
                    twice = twice.or(Some(start));
                }
            } else {
                seen.insert(String::new());
            }
            self.value(depth + 1)?;
            self.blanks();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(byte) if *byte == close => break,
                Some(b'}' | b']') => return self.fault("a closing bracket does not match"),
                Some(_) => return self.fault("a ',' or a closing bracket is missing"),
                None => return self.fault("ends too early"),
            }
            self.blanks();
        }
        if let Some(start) = twice {
            return Err(Malformed { offset: start, reason: "a key stands twice" });
        }
        self.at += 1;
        Ok(false)
    }

    fn key(&mut self, depth: usize) -> Result<String, Malformed> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.value(depth)?,
            Some(_) => return self.fault("a key must be a string"),
            None => return self.fault("ends too early"),
        }
        let node = self.nodes[self.nodes.len() - 1];
        self.blanks();
        if self.bytes.get(self.at) != Some(&b':') {
            return self.fault("a ':' is missing after a key");
        }
        self.at += 1;
        Ok(unescape(&self.bytes[node.start as usize..node.end as usize]))
    }

    fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1F) => return self.fault("a control character stands in a string"),
                Some(_) => self.at += 1,
                None => return self.fault("a string does not end"),
            }
        }
        self.at += 1;
        Ok(escaped)
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let rest = std::str::from_utf8(&self.bytes[self.at + 1..]).unwrap_or_default();
        let unit = |from: usize| {
            let digits = rest.get(from..from + 5)?.strip_prefix('u')?;
            let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            all.then(|| u32::from_str_radix(digits, 16).unwrap())
        };
        self.at += match (rest.chars().next(), unit(0), unit(6)) {
            (Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't'), ..) => 2,
            (Some('u'), None, _) => return self.fault("'\\u' wants four hexadecimal digits"),
            (Some('u'), Some(0xD800..0xDC00), Some(0xDC00..0xE000))
                if rest.as_bytes().get(5) == Some(&b'\\') =>
            {
                12
            }
            (Some('u'), Some(0xD800..0xE000), _) => {
                return self.fault("half of a surrogate pair stands alone");
            }
            (Some('u'), Some(_), _) => 6,
            _ => return self.fault("an unknown escape"),
        };
        Ok(())
    }

    fn number(&mut self) -> Result<bool, Malformed> {
        self.skip("-");
        if !self.skip("0") {
            self.digits()?;
        }
        if self.skip(".") {
            self.digits()?;
        }
        if self.skip("eE") {
            self.skip("+-");
            self.digits()?;
        }
        Ok(false)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.skip("0123456789") {
            return self.fault("a number wants a digit here");
        }
        while self.skip("0123456789") {}
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<bool, Malformed> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fault("a value was expected");
        }
        self.at += word.len();
        Ok(false)
    }

    fn blanks(&mut self) {
        while self.skip(" \t\n\r") {}
    }

    /// Goes behind one of `bytes`, if it is there.
    fn skip(&mut self, bytes: &str) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| bytes.as_bytes().contains(byte));
        self.at += usize::from(found);
        found
    }

    fn fault<T>(&self, reason: &'static str) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at, reason })
    }
}
