//! The digest of content: equal for equal meaning, whatever the spelling.
//!
//! Key order, spacing, escapes and the spelling of numbers do not count; neither do the trace
//! extensions of CloudEvents, which differ from one delivery of a record to the next. Members are
//! hashed one by one, each with its key, and summed, so that no sorting is needed; the hash is
//! keyed with a seed that only the state knows, so that nobody can aim at a sum. Most keys, texts
//! and numbers fit one or two machine words, which are mixed directly.

#![expect(clippy::arithmetic_side_effects, reason = "digit counts are bounded by the text")]

use crate::instant::Instant;
use crate::json::{Kind, Value};
use twox_hash::XxHash3_64;

/// Makes content digests with one seed.
#[derive(Debug)]
pub struct ContentDigest {
    seed: u64,
    /// Significant digits of the number at hand.
    digits: Vec<u8>,
}

// Frozen: what a value is goes into its hash, so that "1", 1 and [1] differ.
const STRING: u64 = 1;
const NUMBER: u64 = 2;
const OBJECT: u64 = 3;
const ARRAY: u64 = 4;
const TRUE: u64 = 5;
const FALSE: u64 = 6;
const NULL: u64 = 7;
const INSTANT: u64 = 8;
const KEY: u64 = 9;
const LONG_NUMBER: u64 = 10;
const NEGATIVE: u64 = 11;
/// The second word of something that takes two.
const SECOND: u64 = 12;

impl ContentDigest {
    /// One digest of several, in their order.
    // Frozen: states remember them.
    #[must_use]
    pub fn of_digests(digests: impl IntoIterator<Item = u64>) -> u64 {
        let bytes: Vec<u8> = digests.into_iter().flat_map(u64::to_le_bytes).collect();
        XxHash3_64::oneshot(&bytes)
    }

    /// One digest of several texts, in their order.
    // Frozen: states remember them.
    #[must_use]
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> u64 {
        Self::of_digests(texts.into_iter().map(|text| XxHash3_64::oneshot(text.as_bytes())))
    }

    /// Digests of different seeds differ.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, digits: Vec::new() }
    }

    /// What one attribute of a CloudEvent, other than `time`, adds to its digest.
    pub fn of_attribute(&mut self, name: &[u8], value: Value<'_>) -> u64 {
        // How a record travelled is not what it means.
        if matches!(name, b"traceparent" | b"tracestate") {
            return 0;
        }
        self.value(text(self.seed, KEY, name), value)
    }

    /// The digest of a CloudEvent whose `time` is `used_at` and whose other attributes that are not
    /// null add up to `attributes`, wrapping.
    #[must_use]
    pub fn of_event(&self, attributes: u64, used_at: Instant) -> u64 {
        let path = text(self.seed, KEY, b"time");
        mix(self.seed, OBJECT, attributes.wrapping_add(instant(path, used_at)))
    }

    /// The digest of any value.
    pub fn of(&mut self, value: Value<'_>) -> u64 {
        self.value(self.seed, value)
    }

    #[inline(always)]
    fn value(&mut self, path: u64, value: Value<'_>) -> u64 {
        match value.kind() {
            Kind::String => text(path, STRING, &value.text_bytes()),
            Kind::Number => self.number(path, value.raw_bytes()),
            Kind::True => mix(path, TRUE, 0),
            Kind::False => mix(path, FALSE, 0),
            Kind::Null => mix(path, NULL, 0),
            Kind::Object => self.object(path, value),
            Kind::Array => self.array(path, value),
        }
    }

    fn object(&mut self, path: u64, value: Value<'_>) -> u64 {
        let mut sum = 0u64;
        for (key, member) in value.members() {
            let inner = text(path, KEY, &key.text_bytes());
            sum = sum.wrapping_add(self.value(inner, member));
        }
        mix(path, OBJECT, sum)
    }

    fn array(&mut self, path: u64, value: Value<'_>) -> u64 {
        let mut chain = path;
        for element in value.elements() {
            chain = self.value(chain, element);
        }
        mix(path, ARRAY, chain)
    }

    /// Hashes a number by its value: sign, significant digits, and the power of ten behind them.
    fn number(&mut self, path: u64, text: &[u8]) -> u64 {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        match short_number(unsigned) {
            Some((digits, power)) => number(path, negative, digits, power),
            None => self.long_number(path, negative, unsigned),
        }
    }

    /// The same for a number of any spelling.
    #[cold]
    fn long_number(&mut self, path: u64, negative: bool, text: &[u8]) -> u64 {
        let mut halves = text.splitn(2, |byte| matches!(byte, b'e' | b'E'));
        let mantissa = halves.next().unwrap_or_default();
        let exponent = std::str::from_utf8(halves.next().unwrap_or(b"0")).unwrap_or_default();
        let mut parts = mantissa.splitn(2, |byte| *byte == b'.');
        let integer = parts.next().unwrap_or_default();
        let fraction = parts.next().unwrap_or_default();
        self.digits.clear();
        let all = integer.iter().chain(fraction);
        self.digits.extend(all.skip_while(|digit| **digit == b'0'));
        let zeros = self.digits.iter().rev().take_while(|digit| **digit == b'0').count();
        self.digits.truncate(self.digits.len() - zeros);
        let places = i64::try_from(zeros).unwrap_or(i64::MAX)
            - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        // An exponent beyond i64 is no quantity; such numbers only need to hash alike.
        let power = exponent.parse::<i64>().unwrap_or(i64::MAX).saturating_add(places);
        if self.digits.len() > WORD_DIGITS {
            let digits = XxHash3_64::oneshot_with_seed(path, &self.digits);
            return number(mix(path, LONG_NUMBER, 0), negative, digits, power);
        }
        let add = |value: u64, digit: &u8| value * 10 + u64::from(digit.wrapping_sub(b'0'));
        number(path, negative, self.digits.iter().fold(0, add), power)
    }
}

/// Decimal digits that every machine word holds.
const WORD_DIGITS: usize = 19;

/// The significant digits of an unsigned number and the power of ten behind them; `None` if it has
/// an exponent or is long.
#[inline]
fn short_number(text: &[u8]) -> Option<(u64, i64)> {
    if text.len() > WORD_DIGITS {
        return None;
    }
    let (mut value, mut power, mut step) = (0u64, 0i64, 0i64);
    for byte in text {
        match byte {
            b'0'..=b'9' => value = value.wrapping_mul(10).wrapping_add(u64::from(*byte - b'0')),
            b'.' => step = 1,
            _ => return None,
        }
        power -= step;
    }
    // The point itself was counted.
    power += step;
    while value != 0 && value.is_multiple_of(10) {
        value /= 10;
        power += 1;
    }
    Some((value, power))
}

/// Hashes a number of so many significant digits, of which the last is not 0.
#[inline]
fn number(path: u64, negative: bool, digits: u64, power: i64) -> u64 {
    // Zero is zero, whatever its sign and its places.
    if digits == 0 {
        return mix(path, NUMBER, 0);
    }
    let sign = if negative { NEGATIVE } else { NUMBER };
    mix(mix(path, sign, digits), SECOND, power.cast_unsigned())
}

fn instant(path: u64, instant: Instant) -> u64 {
    let nanos = instant.nanos().cast_unsigned();
    let [low, high] = [nanos, nanos >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)));
    mix(mix(path, INSTANT, low.unwrap_or_default()), SECOND, high.unwrap_or_default())
}

/// Hashes a text, of which `tag` says what it is.
#[inline(always)]
fn text(path: u64, tag: u64, text: &[u8]) -> u64 {
    let length = text.len();
    // Shorter texts than a word are equal if their words and lengths are; so are texts of up to two
    // words, which then overlap.
    let tag = tag | (length as u64) << 8;
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        if length > 16 {
            return mix(path, tag, XxHash3_64::oneshot_with_seed(path, text));
        }
        let first = mix(path, tag, u64::from_le_bytes(*first));
        return mix(first, SECOND, u64::from_le_bytes(*last));
    }
    mix(path, tag, short_word(text))
}

/// The bytes of a text shorter than eight bytes, each at least once.
#[inline]
fn short_word(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    match *text {
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a] => u64::from(a),
        _ => 0,
    }
}

/// Spreads a hash so that sums of them keep no structure.
#[inline(always)]
const fn mix(path: u64, tag: u64, value: u64) -> u64 {
    // The finaliser of MurmurHash3, over a value that depends on where it stands.
    let mut mixed = value ^ path.rotate_left(29) ^ tag.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tape;
    use proptest::prelude::*;

    fn digest(text: &str) -> u64 {
        let mut tape = Tape::default();
        ContentDigest::new(7).of(tape.parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn texts_of_every_length_differ() {
        let texts: Vec<String> = (0..40)
            .flat_map(|length| {
                ["a", "b", "\\u0000"].map(|part| format!("\"{}\"", part.repeat(length)))
            })
            .collect();
        let mut digests: Vec<u64> = texts.iter().map(|text| digest(text)).collect();
        digests.sort_unstable();
        digests.dedup();
        // The empty text comes thrice.
        assert_eq!(digests.len(), texts.len() - 2);
    }

    proptest! {
        #[test]
        fn both_ways_of_reading_numbers_agree(
            text in "(0|[1-9][0-9]{0,22})(\\.[0-9]{1,10})?",
            negative in any::<bool>(),
        ) {
            let mut digest = ContentDigest::new(7);
            let long = digest.long_number(1, negative, text.as_bytes());
            let signed = format!("{}{text}", if negative { "-" } else { "" });
            prop_assert_eq!(digest.number(1, signed.as_bytes()), long, "{}", signed);
        }

        #[test]
        fn numbers_are_their_values(
            digits in "[1-9][0-9]{0,24}",
            shift in 0..12usize,
            zeros in 0..12usize,
        ) {
            let whole = digest(&digits);
            let (zeros, shifted) = ("0".repeat(zeros), "0".repeat(shift));
            prop_assert_eq!(digest(&format!("{digits}.0{zeros}")), whole);
            prop_assert_eq!(digest(&format!("{digits}{shifted}e-{shift}")), whole);
            let places = shift + digits.len();
            prop_assert_eq!(digest(&format!("0.{shifted}{digits}E+{places}")), whole);
            prop_assert_ne!(digest(&format!("-{digits}")), whole);
            prop_assert_ne!(digest(&format!("{digits}0")), whole);
            prop_assert_ne!(digest(&format!("{digits}.1")), whole);
            prop_assert_ne!(digest(&format!("\"{digits}\"")), whole);
        }

        #[test]
        fn escapes_do_not_count(text in "[a-zé]{0,40}") {
            let escaped: String =
                text.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect();
            prop_assert_eq!(digest(&format!("\"{text}\"")), digest(&format!("\"{escaped}\"")));
            let (plain, escaped) = (format!("{{\"{text}\":1}}"), format!("{{\"{escaped}\":1}}"));
            prop_assert_eq!(digest(&plain), digest(&escaped));
        }
    }
}
