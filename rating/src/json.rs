//! JSON with the place of everything: one reader for usage records, catalogs and orders.
//!
//! Numbers stay the text they were written as, because `0.1` must be 0.1 and a general-purpose
//! parser has turned it into a float before anyone can ask. Every value remembers its span, so that
//! a fault can be shown with line and column. Duplicate keys, invalid UTF-8 and deep nesting are
//! refused here, once, for all inputs. The tape is reused from record to record: after the first
//! few records nothing is allocated.
#![expect(clippy::arithmetic_side_effects, reason = "offsets and counts are bounded by the input")]

mod keys;
#[cfg(test)]
mod plain;
mod scan;
mod text;

pub use text::write_string;

use scan::Scanner;
use std::borrow::Cow;
use text::unescape;

/// Deepest nesting of arrays and objects that is read.
pub const DEPTH_MAX: usize = 64;
/// Longest document that is read, in bytes; spans are 32-bit.
pub const DOCUMENT_BYTES_MAX: usize = u32::MAX as usize - 1;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    kind: Kind,
    escaped: bool,
    /// Span of the content: without quotes for a string, with brackets for a container.
    start: u32,
    end: u32,
    /// How many nodes are inside it: those that follow it on the tape.
    inside: u32,
}

/// The nodes of one document, in reading order. Reuse it: [`Tape::parse`] keeps the memory.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    /// Memory of the check for duplicate keys.
    prints: Vec<u64>,
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
        Scanner::new(bytes, self).document()?;
        Ok(Value { nodes: &self.nodes, text })
    }
}

/// Offsets and node counts fit: a document is shorter than 4 GiB and a node takes a byte or more.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One value of a parsed document.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// Its own node and those inside it.
    nodes: &'a [Node],
    text: &'a str,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.raw())
    }
}

impl<'a> Value<'a> {
    #[inline]
    fn node(&self) -> Node {
        const NULL: Node = Node { kind: Kind::Null, escaped: false, start: 0, end: 0, inside: 0 };
        self.nodes.first().copied().unwrap_or(NULL)
    }

    /// The nodes inside it, if it is a `kind`.
    #[inline]
    fn inside(&self, kind: Kind) -> &'a [Node] {
        match self.nodes {
            [node, inside @ ..] if node.kind == kind => inside,
            _ => &[],
        }
    }

    /// What the value is.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Whether it is `null`.
    #[must_use]
    #[inline]
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
    #[inline]
    pub fn raw(&self) -> &'a str {
        let node = self.node();
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// The string, escapes resolved; `None` if it is no string.
    #[must_use]
    #[inline]
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
    #[inline]
    pub fn members(&self) -> Members<'a> {
        Members { rest: self.inside(Kind::Object), text: self.text }
    }

    /// The elements of an array in their order; nothing for any other kind.
    #[must_use]
    #[inline]
    pub fn elements(&self) -> Elements<'a> {
        Elements { rest: self.inside(Kind::Array), text: self.text }
    }

    /// The member called `name`.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Option<Self> {
        self.members().find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }

    /// Whether it is the string `text`.
    #[must_use]
    #[inline]
    pub fn is(&self, text: &str) -> bool {
        match self.plain_text() {
            Some(plain) => plain == text.as_bytes(),
            None => self.as_text().is_some_and(|own| own == text),
        }
    }

    /// The bytes of a string, escapes resolved; none, if it is no string.
    #[must_use]
    #[inline]
    pub fn text_bytes(&self) -> Cow<'a, [u8]> {
        match self.plain_text() {
            Some(plain) => Cow::Borrowed(plain),
            None => self.resolved(),
        }
    }

    /// The bytes that it was written as; of a string without its quotes, escapes unresolved.
    #[inline]
    pub(crate) fn raw_bytes(&self) -> &'a [u8] {
        let node = self.node();
        self.text.as_bytes().get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// The bytes of a string without escapes, as nearly all are.
    #[inline]
    fn plain_text(&self) -> Option<&'a [u8]> {
        let node = self.node();
        (node.kind == Kind::String && !node.escaped).then(|| self.raw_bytes())
    }

    #[cold]
    fn resolved(self) -> Cow<'a, [u8]> {
        let text = self.as_text().unwrap_or_default();
        Cow::Owned(text.into_owned().into_bytes())
    }
}

/// Iterates over the members of an object as (key, value).
#[derive(Debug, Clone)]
pub struct Members<'a> {
    rest: &'a [Node],
    text: &'a str,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.rest.split_at_checked(1)?;
        let (value, rest) = rest.split_at_checked(rest.first()?.inside as usize + 1)?;
        self.rest = rest;
        let text = self.text;
        Some((Value { nodes: key, text }, Value { nodes: value, text }))
    }
}

/// Iterates over the elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: &'a [Node],
    text: &'a str,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = self.rest.split_at_checked(self.rest.first()?.inside as usize + 1)?;
        self.rest = rest;
        Some(Value { nodes: value, text: self.text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

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

    #[test]
    fn keys_that_look_alike_are_told_apart() {
        // Alike in length and in their first and last eight bytes, from the start of the text to
        // its end.
        check("{\"abcdefgh1abcdefgh\":1,\"abcdefgh2abcdefgh\":2}", Ok(()));
        check("{\"abcdefgh1abcdefgh\":1,\"abcdefgh1abcdefgh\":2}", Err("a key stands twice"));
        check("{\"\":1,\"\":2}", Err("a key stands twice"));
        check("{\"a\":{\"\":1},\"a\":2}", Err("a key stands twice"));
        check("{\"a\":1,\"b\":{\"a\":1,\"ab\":2,\"abc\":3}}", Ok(()));
    }

    /// Both readers must make the same of `text`.
    fn compare(tape: &mut Tape, text: &str) -> Result<(), TestCaseError> {
        let plainly = plain::read(text);
        let outcome = tape.parse(text.as_bytes()).map(|_| ());
        let found = outcome.map(|()| tape.nodes.clone());
        prop_assert_eq!(found, plainly, "{}", text);
        Ok(())
    }

    fn document() -> impl Strategy<Value = String> {
        let key = "[a-c]{0,2}|(key_of_)?[a-c]{8,10}|\\\\u006[1-3]|é";
        let leaf = prop_oneof![
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
            "\"([a-zé😀 ]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-fA-F]{2}|\\\\ud83d\\\\ude00){0,20}\"",
            "true|false|null",
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            let blank = "|| |\n\t";
            let member =
                (key, blank, inner.clone(), blank).prop_map(|(key, before, value, after)| {
                    format!("\"{key}\":{before}{value}{after}")
                });
            prop_oneof![
                vec(inner, 0..6).prop_map(|values| format!("[{}]", values.join(","))),
                vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_readers_read_documents_alike(
            text in document(),
            at in any::<prop::sample::Index>(),
            with in prop_oneof![any::<char>(), prop::char::range('\0', '~')],
        ) {
            let mut tape = Tape::default();
            compare(&mut tape, &text)?;
            let mut broken: Vec<char> = text.chars().collect();
            let at = at.index(broken.len());
            broken[at] = with;
            let broken: String = broken.into_iter().collect();
            compare(&mut tape, &broken)?;
            let cut: String = text.chars().take(at).collect();
            compare(&mut tape, &cut)?;
        }

        #[test]
        fn both_readers_refuse_other_texts_alike(
            pieces in vec(prop::sample::select(&[
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u0061\"", "\"bcdefghijk\"", "\"", "\\",
                "1", "-", "0", ".", "e+", "true", "nul", " ", "\n", "\u{1}", "\\ud800", "\\udc00",
                "ü", "\0",
            ][..]), 0..24),
        ) {
            compare(&mut Tape::default(), &pieces.concat())?;
        }
    }
}
