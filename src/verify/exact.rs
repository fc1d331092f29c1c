//! Exact decimals, and the lineage sum: the proof's own arithmetic, in whole numbers of 256 bits.
//!
//! Amounts have up to 24 decimals, everything else fewer, so one scale serves them all. Nothing is
//! rounded here, and what does not fit is no number.

use super::fingerprint::sha256;
use ethnum::{I256, U256};
use std::fmt;

/// Decimals behind the point.
const SCALE: usize = 24;
/// Digits that are read in all: 2^255 has 77.
const DIGITS_MAX: usize = 76;
/// Digits that every `u128` holds.
const SHORT_DIGITS_MAX: usize = 38;

/// A decimal in units of 10^-24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Exact(I256);

impl Exact {
    /// Reads digits with at most one point and one minus, as outputs write them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let digits = || whole.bytes().chain(fraction.bytes());
        let fits = fraction.len() <= SCALE && whole.len() + SCALE <= DIGITS_MAX;
        if whole.is_empty() || !fits || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digit = |byte: u8| u128::from(byte - b'0');
        let read = if whole.len() + fraction.len() <= SHORT_DIGITS_MAX {
            U256::from(digits().fold(0u128, |sum, byte| sum * 10 + digit(byte)))
        } else {
            digits().fold(U256::ZERO, |sum, byte| sum * 10 + U256::from(digit(byte)))
        };
        let shift = u32::try_from(SCALE - fraction.len()).ok()?;
        let scaled = read.checked_mul(U256::from(10u8).pow(shift))?;
        let scaled = I256::try_from(scaled).ok()?;
        Some(Self(if negative { -scaled } else { scaled }))
    }

    /// The sum; `None` beyond 256 bits.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0.is_negative() { "-" } else { "" };
        let digits = format!("{:025}", self.0.unsigned_abs());
        let (whole, fraction) = digits.split_at_checked(digits.len() - SCALE).unwrap_or_default();
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// A sum modulo 2^256 of a hash of every record, as totals publish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lineage(U256);

impl Lineage {
    /// The number of one record: SHA-256 of source, id, charge and quantity as netstrings.
    pub(super) fn of(source: &str, id: &str, charge: &str, quantity: &str) -> Self {
        let parts = [source, id, charge, quantity].map(str::as_bytes);
        Self(U256::from_be_bytes(sha256(&parts)))
    }

    /// Reads 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        U256::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub(super) fn take_back(&mut self, other: Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:064x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_written_to_the_last_place() {
        let long = "123456789012345678901234567890123.123456789012345678901234";
        for text in ["0", "12.5", "-0.000000000000000000000001", long, &format!("-{long}")] {
            assert_eq!(Exact::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Exact::parse("007.50").unwrap().to_string(), "7.5");
        assert_eq!(Exact::parse("-0"), Some(Exact::default()));
        let too_long = "9".repeat(60);
        for text in
            ["", "-", ".5", "5.", "1e3", "+1", "1.2.3", "0.0000000000000000000000001", &too_long]
        {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sums_lose_nothing() {
        let sum = |a: &str, b: &str| {
            Exact::parse(a).unwrap().plus(Exact::parse(b).unwrap()).unwrap().to_string()
        };
        assert_eq!(
            sum("0.000000000000000000000001", "99999999999"),
            "99999999999.000000000000000000000001"
        );
        assert_eq!(sum("1.5", "-1.5"), "0");
    }

    #[test]
    fn a_lineage_is_a_sum_that_anyone_can_form() {
        // printf '1:s,1:i,3:api,4:12.5,' | sha256sum
        let text = "6deeabf44db42753e29179ea0bddd786c9cbc5163827a17045dc1e3e72f2e19e";
        let mut sum = Lineage::of("s", "i", "api", "12.5");
        assert_eq!(sum.to_string(), text);
        assert_eq!(Lineage::parse(text), Some(sum));
        sum.add(Lineage::of("s", "j", "api", "1"));
        sum.take_back(Lineage::of("s", "i", "api", "12.5"));
        assert_eq!(sum, Lineage::of("s", "j", "api", "1"));
        assert_eq!(Lineage::parse("+6"), None);
    }
}
