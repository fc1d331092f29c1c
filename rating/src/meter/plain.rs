//! Numbers as they are spelled plainly, so that equal ones are spelled alike.

use std::borrow::Cow;

/// Digits that a plain spelling has at most on either side of the point.
const PLAIN_DIGITS_MAX: i64 = 64;

/// A JSON number without exponent, leading or trailing zeros; very large and very small ones keep
/// an exponent. `None` if its digits cannot be counted.
// Frozen: states remember hashes of it.
pub(crate) fn plain(raw: &str) -> Option<Cow<'_, str>> {
    let is_plain = raw.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { Some(Cow::Borrowed(raw)) } else { spelled(raw).map(Cow::Owned) }
}

fn spelled(raw: &str) -> Option<String> {
    let (negative, rest) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.trim_start_matches('+')),
        None => (rest, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction_digits = i64::try_from(fraction.len()).ok()?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let dropped = i64::try_from(digits.len().checked_sub(significant.len())?).ok()?;
    let sign = if negative { "-" } else { "" };
    // Σ digits × 10^power; an exponent beyond any number is kept as it is written.
    let shift = dropped.checked_sub(fraction_digits)?;
    let power = exponent.parse::<i64>().ok().and_then(|exponent| exponent.checked_add(shift));
    let Some(power) = power else { return Some(format!("{sign}{significant}e{exponent}+{shift}")) };
    let length = i64::try_from(significant.len()).ok()?;
    let point = length.checked_add(power)?;
    if power.abs() > PLAIN_DIGITS_MAX || point.abs() > PLAIN_DIGITS_MAX {
        return Some(format!("{sign}{significant}e{power}"));
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(if power >= 0 {
        format!("{sign}{significant}{}", zeros(power))
    } else if point > 0 {
        let (whole, fraction) = significant.split_at_checked(usize::try_from(point).ok()?)?;
        format!("{sign}{whole}.{fraction}")
    } else {
        format!("{sign}0.{}{significant}", zeros(point.checked_neg()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_plainly() {
        for (raw, wanted) in [
            ("12", "12"),
            ("0", "0"),
            ("-0", "0"),
            ("100", "100"),
            ("1e2", "100"),
            ("12.0", "12"),
            ("1.2e1", "12"),
            ("120e-1", "12"),
            ("-0.0", "0"),
            ("0.050", "0.05"),
            ("5e-2", "0.05"),
            ("-1.50", "-1.5"),
            ("12345678901234567890", "12345678901234567890"),
            ("1e400", "1e400"),
            ("10e399", "1e400"),
            ("1e99999999999999999999", "1e99999999999999999999+0"),
        ] {
            assert_eq!(plain(raw).as_deref(), Some(wanted), "{raw}");
        }
    }
}
