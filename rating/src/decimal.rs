//! Decimal text in and out: the only place where digits become integers and back.
//!
//! A decimal is read exactly or not at all. Its grammar is that of a JSON number, also where it
//! stands in a string, so `+1`, `1_000`, `1,5`, `.5` and `NaN` are refused. Whether it fits is
//! decided by its value: trailing zeros and exponents cost nothing (`1.50e1` is 15).

use ethnum::{I256, U256};
use rust_decimal::Decimal;

/// Why a text is no decimal of the wanted domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not written as a JSON number.
    #[error("is not a decimal number")]
    Malformed,
    /// More digits before or after the point than the domain has.
    #[error("has more digits than are allowed")]
    OutOfDomain,
}

/// Digits before and after the point that a kind of number may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// Digits before the point.
    pub integer_digits: u32,
    /// Digits after the point.
    pub fraction_digits: u32,
}

/// Longest decimal text that is looked at; longer ones cannot be meant.
const TEXT_BYTES_MAX: usize = 512;

/// Reads `text` as an integer scaled by 10^`scale`.
///
/// # Errors
/// [`DecimalError`] if it is not a JSON number or leaves the domain.
pub fn parse_scaled(text: &str, domain: Domain, scale: u32) -> Result<i128, DecimalError> {
    debug_assert!(domain.fraction_digits <= scale, "a domain fits its scale");
    match parse_plain(text.as_bytes(), domain, scale) {
        Some(scaled) => Ok(scaled),
        None => parse_any(text, domain, scale),
    }
}

/// Decimal digits that every machine word holds.
const WORD_DIGITS: usize = 19;

/// Reads what nearly all numbers are: a few digits within the domain and no exponent. `None` says
/// nothing but that [`parse_any`] must look.
#[expect(clippy::arithmetic_side_effects, reason = "so few digits fit their words")]
fn parse_plain(text: &[u8], domain: Domain, scale: u32) -> Option<i128> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if unsigned.len() > WORD_DIGITS {
        return None;
    }
    let (integer, value, rest) = digits(unsigned, 0);
    let (fraction, value) = match rest {
        [] => (0, value),
        [b'.', after @ ..] => match digits(after, value) {
            (count @ 1.., value, []) => (count, value),
            _ => return None,
        },
        _ => return None,
    };
    let leading_zero = matches!(unsigned, [b'0', b'0'..=b'9', ..]);
    let in_domain = integer <= domain.integer_digits && fraction <= domain.fraction_digits;
    if integer == 0 || leading_zero || !in_domain {
        return None;
    }
    let factor = POWERS.get(scale.checked_sub(fraction)? as usize)?;
    let scaled = i128::from(value).checked_mul(*factor)?;
    Some(if negative { -scaled } else { scaled })
}

/// Goes on to read digits behind those that `value` stands for: their count, the value with them,
/// and what follows.
#[inline]
fn digits(text: &[u8], value: u64) -> (u32, u64, &[u8]) {
    let (mut count, mut value, mut rest) = (0u32, value, text);
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
        count = count.wrapping_add(1);
        rest = behind;
    }
    (count, value, rest)
}

/// Reads a decimal of any spelling, or says what is wrong with it.
fn parse_any(text: &str, domain: Domain, scale: u32) -> Result<i128, DecimalError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(DecimalError::Malformed);
    }
    let (mantissa, exponent) = split_exponent(text)?;
    let (digits, places) = significant(mantissa);
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = Decimal::from_str_exact(&digits).map_err(|_| DecimalError::OutOfDomain)?;
    let digits = digits.mantissa();
    let shift = i64::from(exponent).saturating_sub(places);
    if shift < i64::from(domain.fraction_digits).saturating_neg() {
        return Err(DecimalError::OutOfDomain);
    }
    let factor = power_of_ten(shift.saturating_add(i64::from(scale)))?;
    let scaled = digits.checked_mul(factor).ok_or(DecimalError::OutOfDomain)?;
    let bound = power_of_ten(i64::from(domain.integer_digits.saturating_add(scale)))?;
    if scaled.unsigned_abs() >= bound.unsigned_abs() {
        return Err(DecimalError::OutOfDomain);
    }
    Ok(scaled)
}

/// The powers of ten that 127 bits hold.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is an error")]
const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

fn power_of_ten(exponent: i64) -> Result<i128, DecimalError> {
    let index = usize::try_from(exponent).map_err(|_| DecimalError::OutOfDomain)?;
    POWERS.get(index).copied().ok_or(DecimalError::OutOfDomain)
}

/// Checks the grammar of a JSON number and splits its exponent off.
fn split_exponent(text: &str) -> Result<(&str, i32), DecimalError> {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(bytes.len());
    let (mantissa, rest) = text.split_at_checked(end).ok_or(DecimalError::Malformed)?;
    check_mantissa(mantissa.as_bytes())?;
    let Some(exponent) = rest.get(1..) else { return Ok((mantissa, 0)) };
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    // An exponent beyond i32 is beyond every domain; zero stays zero whatever its exponent.
    let bound = if exponent.starts_with('-') { i32::MIN } else { i32::MAX };
    Ok((mantissa, exponent.parse().unwrap_or(bound)))
}

fn check_mantissa(bytes: &[u8]) -> Result<(), DecimalError> {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let point = unsigned.iter().position(|b| *b == b'.');
    let (integer, fraction) = match point.and_then(|at| unsigned.split_at_checked(at)) {
        Some((integer, fraction)) => (integer, fraction.get(1..)),
        None => (unsigned, None),
    };
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let leading_zero = integer.len() > 1 && integer.first() == Some(&b'0');
    if digits(integer) && !leading_zero && fraction.is_none_or(digits) {
        Ok(())
    } else {
        Err(DecimalError::Malformed)
    }
}

/// The digits of a mantissa that carry its value, as a whole number with its sign, and how many
/// places behind the point the last of them stands; none where the value is zero.
///
/// Zeros before and behind them are dropped, because `rust_decimal` would count them: `0.0…01e30`
/// and `10…0e-30` fit like `1` does.
fn significant(mantissa: &str) -> (String, i64) {
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", mantissa),
    };
    let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = [integer, fraction].concat();
    let kept = all.trim_end_matches('0');
    let zeros = all.len().saturating_sub(kept.len());
    let digits = kept.trim_start_matches('0');
    if digits.is_empty() {
        return (String::new(), 0);
    }
    let signed = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    ([sign, digits].concat(), signed(fraction.len()).saturating_sub(signed(zeros)))
}

/// Appends `value` ÷ 10^`scale` to `out`: no exponent, no trailing zeros, `0` for zero.
///
/// # Errors
/// Whatever `out` refuses; a string refuses nothing.
pub fn write_scaled(out: &mut impl std::fmt::Write, value: I256, scale: usize) -> std::fmt::Result {
    let mut digits = Digits::default();
    let magnitude = value.unsigned_abs();
    let mut scale = scale;
    match u128::try_from(magnitude) {
        Ok(small) => {
            let (short, left) = without_zeros(small, scale);
            scale = left;
            digits.put(short);
        }
        Err(_) => digits.put_wide(magnitude),
    }
    let used = digits.used().max(scale.saturating_add(1));
    let digits = digits.last(used);
    let (integer, fraction) =
        digits.split_at_checked(used.saturating_sub(scale)).unwrap_or_default();
    let significant =
        fraction.iter().rposition(|b| *b != b'0').map_or(0, |at| at.saturating_add(1));
    if value < I256::ZERO {
        out.write_char('-')?;
    }
    out.write_str(ascii(integer))?;
    if significant > 0 {
        out.write_char('.')?;
        out.write_str(ascii(fraction.get(..significant).unwrap_or_default()))?;
    }
    Ok(())
}

/// Drops zeros from the end of a fraction, many at once: most amounts have few digits, and these
/// then fit a machine word.
fn without_zeros(value: u128, scale: usize) -> (u128, usize) {
    const STEPS: [(u128, usize); 3] = [(1_000_000_000_000, 12), (1_000_000, 6), (1_000, 3)];
    let (mut value, mut scale) = (value, scale);
    for (divisor, zeros) in STEPS {
        let Some(left) = scale.checked_sub(zeros) else { continue };
        let (quotient, rest) = match u64::try_from(value) {
            Ok(word) => {
                let divisor = u64::try_from(divisor).unwrap_or(1);
                let quotient = word.checked_div(divisor).unwrap_or_default();
                let rest = word.checked_rem(divisor).unwrap_or_default();
                (u128::from(quotient), u128::from(rest))
            }
            Err(_) => (
                value.checked_div(divisor).unwrap_or_default(),
                value.checked_rem(divisor).unwrap_or_default(),
            ),
        };
        if rest == 0 {
            (value, scale) = (quotient, left);
        }
    }
    (value, scale)
}

/// Decimal digits, written from the last to the first into a buffer of zeros.
struct Digits {
    buffer: [u8; 80],
    at: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { buffer: [b'0'; 80], at: 80 }
    }
}

/// Digits that are split off at once: the most that fit a machine word.
const CHUNK_DIGITS: usize = 19;
const CHUNK: u64 = 10_000_000_000_000_000_000;

impl Digits {
    const fn used(&self) -> usize {
        self.buffer.len().saturating_sub(self.at)
    }

    fn last(&self, count: usize) -> &[u8] {
        self.buffer.get(self.buffer.len().saturating_sub(count)..).unwrap_or_default()
    }

    fn put(&mut self, value: u128) {
        let chunk = u128::from(CHUNK);
        let mut rest = value;
        // Divided only while it is needed: quantities fit a machine word, most amounts two.
        while let Some(high) = rest.checked_div(chunk).filter(|high| *high > 0) {
            let low = rest.checked_rem(chunk).unwrap_or_default();
            let end = self.at;
            self.put_word(u64::try_from(low).unwrap_or_default());
            self.at = end.saturating_sub(CHUNK_DIGITS);
            rest = high;
        }
        self.put_word(u64::try_from(rest).unwrap_or_default());
    }

    fn put_wide(&mut self, value: U256) {
        let chunk = U256::from(CHUNK);
        let mut rest = value;
        while rest > U256::from(u128::MAX) {
            let (Some(high), Some(low)) = (rest.checked_div(chunk), rest.checked_rem(chunk)) else {
                return;
            };
            let end = self.at;
            self.put_word(low.as_u64());
            self.at = end.saturating_sub(CHUNK_DIGITS);
            rest = high;
        }
        self.put(rest.as_u128());
    }

    fn put_word(&mut self, value: u64) {
        let mut rest = value;
        let free = self.buffer.get_mut(..self.at).unwrap_or_default();
        for slot in free.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *slot = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or_default());
            rest /= 10;
            self.at = self.at.saturating_sub(1);
        }
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOMAIN: Domain = Domain { integer_digits: 15, fraction_digits: 9 };

    #[track_caller]
    fn check(text: &str, wanted: Result<i128, DecimalError>) {
        assert_eq!(parse_scaled(text, DOMAIN, 9), wanted, "{text}");
    }

    #[test]
    fn a_text_may_have_so_many_bytes_and_no_more() {
        let zeros = |count| format!("0.1{}", "0".repeat(count));
        check(&zeros(TEXT_BYTES_MAX - 3), Ok(100_000_000));
        check(&zeros(TEXT_BYTES_MAX - 2), Err(DecimalError::Malformed));
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        check("0.1", Ok(100_000_000));
        check("-0", Ok(0));
        check("0e999999999999", Ok(0));
        check("12.5", Ok(12_500_000_000));
        check("1.50e1", Ok(15_000_000_000));
        check("100e-2", Ok(1_000_000_000));
        check("1.000000000000000000000000000000000000", Ok(1_000_000_000));
        // Zeros that an exponent takes back were counted as digits, of which there were too many.
        check("100000000000000000000000000000000e-32", Ok(1_000_000_000));
        check("0.00000000000000000000000000000001e32", Ok(1_000_000_000));
        check("-120000000000000000000000000000000000e-35", Ok(-1_200_000_000));
        check("999999999999999.999999999", Ok(999_999_999_999_999_999_999_999));
        check("-999999999999999.999999999", Ok(-999_999_999_999_999_999_999_999));
        for beyond in ["1000000000000000", "0.0000000001", "1e15", "1e400", "1e-400", "1.1e-9"] {
            check(beyond, Err(DecimalError::OutOfDomain));
        }
        check("1234567890123456789012345678901234567890", Err(DecimalError::OutOfDomain));
        for wrong in [
            "", "-", "+1", "01", ".5", "5.", "1,5", "1_000", "NaN", "inf", "0x1", "1e", "1e+",
            " 1", "1 ", "1.2.3", "--1", "1e5.0", "１", "1\0",
        ] {
            check(wrong, Err(DecimalError::Malformed));
        }
    }

    #[test]
    fn wide_values_are_printed_whole() {
        let print = |value: I256, scale| {
            let mut out = String::new();
            write_scaled(&mut out, value, scale).unwrap();
            out
        };
        assert_eq!(print(I256::ZERO, 24), "0");
        assert_eq!(print(I256::new(-5), 1), "-0.5");
        assert_eq!(print(I256::new(12_500), 3), "12.5");
        assert_eq!(print(I256::new(10), 0), "10");
        assert_eq!(print(I256::MAX, 0), I256::MAX.to_string());
        assert_eq!(print(I256::MIN, 0), I256::MIN.to_string());
        assert_eq!(print(I256::new(10).pow(40), 20), "100000000000000000000");
    }

    #[test]
    fn plain_numbers_take_the_short_way() {
        for plain in ["0", "-0", "7", "1251.5", "-0.000000001", "999999999999999.999"] {
            assert!(parse_plain(plain.as_bytes(), DOMAIN, 12).is_some(), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(value in -(10i128.pow(24) - 1)..10i128.pow(24)) {
            let mut text = String::new();
            write_scaled(&mut text, I256::new(value), 9).unwrap();
            prop_assert_eq!(parse_scaled(&text, DOMAIN, 9), Ok(value));
        }

        #[test]
        fn the_short_way_leads_to_the_same_place(
            text in "-?(0|[0-9]{1,19})(\\.[0-9]{0,12})?([eE][+-]?[0-9]{1,2})?",
            integer_digits in 1..17u32,
            fraction_digits in 0..13u32,
            at in 0..20usize,
            with in any::<char>(),
        ) {
            let domain = Domain { integer_digits, fraction_digits };
            let mut other: Vec<char> = text.chars().collect();
            if let Some(place) = other.get_mut(at) {
                *place = with;
            }
            for text in [text, other.into_iter().collect()] {
                if let Some(scaled) = parse_plain(text.as_bytes(), domain, 12) {
                    prop_assert_eq!(parse_any(&text, domain, 12), Ok(scaled), "{}", text);
                }
                prop_assert_eq!(
                    parse_scaled(&text, domain, 12), parse_any(&text, domain, 12), "{}", text
                );
            }
        }
    }
}
