//! The digest of content: equal for equal meaning, whatever the spelling.
//!
//! Key order, spacing, escapes and the spelling of numbers do not count; neither do the trace
//! extensions of CloudEvents, which differ from one delivery of a record to the next. Members are
//! hashed one by one, each with its key, and summed, so that no sorting is needed; the hash is
//! keyed with a seed that only the state knows, so that nobody can aim at a sum.

#![expect(clippy::arithmetic_side_effects, reason = "digit counts are bounded by the text")]

use crate::instant::Instant;
use crate::json::{Kind, Value};
use twox_hash::XxHash3_64;

/// Attributes that say how a record travelled, not what it means.
const TRACE_EXTENSIONS: [&str; 2] = ["traceparent", "tracestate"];

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

impl ContentDigest {
    /// Digests of different seeds differ.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, digits: Vec::new() }
    }

    /// The digest of a CloudEvent whose `time` is `used_at`.
    pub fn of_event(&mut self, event: Value<'_>, used_at: Instant) -> u64 {
        let mut sum = 0u64;
        for (key, value) in event.members() {
            let name = key.as_text().unwrap_or_default();
            if value.is_null() || TRACE_EXTENSIONS.contains(&&*name) {
                continue;
            }
            let path = hash(self.seed, name.as_bytes());
            sum = sum.wrapping_add(if name == "time" {
                mix(path, INSTANT, hash(path, &used_at.nanos().to_le_bytes()))
            } else {
                self.value(path, value)
            });
        }
        mix(self.seed, OBJECT, sum)
    }

    /// The digest of any value.
    pub fn of(&mut self, value: Value<'_>) -> u64 {
        self.value(self.seed, value)
    }

    fn value(&mut self, path: u64, value: Value<'_>) -> u64 {
        match value.kind() {
            Kind::String => mix(path, STRING, self.text(path, value)),
            Kind::Number => mix(path, NUMBER, self.number(path, value.raw())),
            Kind::True => mix(path, TRUE, 0),
            Kind::False => mix(path, FALSE, 0),
            Kind::Null => mix(path, NULL, 0),
            Kind::Object => {
                let mut sum = 0u64;
                for (key, member) in value.members() {
                    let inner = self.text(path, key);
                    sum = sum.wrapping_add(self.value(inner, member));
                }
                mix(path, OBJECT, sum)
            }
            Kind::Array => {
                let mut chain = path;
                for element in value.elements() {
                    chain = self.value(chain, element);
                }
                mix(path, ARRAY, chain)
            }
        }
    }

    fn text(&self, seed: u64, value: Value<'_>) -> u64 {
        hash(seed, value.as_text().unwrap_or_default().as_bytes())
    }

    /// Hashes a number by its value: sign, significant digits, and the power of ten behind them.
    fn number(&mut self, seed: u64, text: &str) -> u64 {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        self.digits.clear();
        let all = integer.bytes().chain(fraction.bytes());
        self.digits.extend(all.skip_while(|digit| *digit == b'0'));
        let zeros = self.digits.iter().rev().take_while(|digit| **digit == b'0').count();
        self.digits.truncate(self.digits.len() - zeros);
        if self.digits.is_empty() {
            return hash(seed, b"0");
        }
        let places = i64::try_from(zeros).unwrap_or(i64::MAX)
            - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        // An exponent beyond i64 is no quantity; such numbers only need to hash alike.
        let power = exponent.parse::<i64>().unwrap_or(i64::MAX).saturating_add(places);
        self.digits.push(if negative { b'-' } else { b'+' });
        self.digits.extend(power.to_le_bytes());
        hash(seed, &self.digits)
    }
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// Spreads a hash so that sums of them keep no structure.
const fn mix(path: u64, tag: u64, value: u64) -> u64 {
    // The finaliser of MurmurHash3, over a value that depends on where it stands.
    let mut mixed = value ^ path.rotate_left(29) ^ tag.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    mixed ^ (mixed >> 33)
}
