//! Instants: points in time to the nanosecond, read from RFC 3339 and written in UTC.

use jiff::Timestamp;
use std::fmt;

/// A point in time, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i128);

/// Why a text is no RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 instant with up to nanoseconds, such as 2026-01-14T09:30:00.5Z")]
pub struct InstantError;

/// Seconds of 0000-01-01T00:00:00Z and of 10000-01-01T00:00:00Z, between which years have four
/// digits.
const YEAR_0: i64 = -62_167_219_200;
const YEAR_10000: i64 = 253_402_300_800;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

impl Instant {
    /// Before every instant that can be written.
    pub const MIN: Self = Self(i128::MIN);
    /// After every instant that can be written.
    pub const MAX: Self = Self(i128::MAX);

    /// The instant so many nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// Reads an RFC 3339 instant: a date, `T`, a time with up to nine digits of a second, and `Z`
    /// or an offset. A leap second is read as the second before it.
    ///
    /// # Errors
    /// [`InstantError`] for everything else, also for a date without a time or an offset.
    pub fn parse(text: &str) -> Result<Self, InstantError> {
        parse(text.as_bytes()).ok_or(InstantError)
    }

    /// The instant as jiff has it; beyond its years 1 to 9999 the nearest one it has.
    #[must_use]
    pub fn to_timestamp(self) -> Timestamp {
        let bound = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_nanosecond(self.0).unwrap_or(bound)
    }
}

impl From<Timestamp> for Instant {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_nanosecond())
    }
}

/// RFC 3339 in UTC with as many digits of a second as it takes.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// 0000-03-01, from which [`civil_from_days`] counts, to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

impl Instant {
    /// Appends the instant as [`fmt::Display`] writes it, without its detours.
    ///
    /// # Errors
    /// Whatever `out` refuses; a string refuses nothing.
    #[expect(clippy::arithmetic_side_effects, reason = "jiff's years keep every term small")]
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        // From 1677 to 2262 the nanoseconds fit a machine word, which divides many times faster.
        let (seconds, nanos) = match i64::try_from(self.0) {
            Ok(word) => (word.div_euclid(1_000_000_000), word.rem_euclid(1_000_000_000)),
            Err(_) => {
                let seconds = self.0.div_euclid(NANOS_PER_SECOND);
                let nanos = self.0.rem_euclid(NANOS_PER_SECOND);
                (i64::try_from(seconds).unwrap_or(i64::MAX), i64::try_from(nanos).unwrap_or(0))
            }
        };
        if !(YEAR_0..YEAR_10000).contains(&seconds) {
            return out.write_str(if seconds < 0 { "before all time" } else { "after all time" });
        }
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let time = seconds.rem_euclid(86_400);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        put_digits(text.get_mut(..4), year);
        put_digits(text.get_mut(5..7), month);
        put_digits(text.get_mut(8..10), day);
        put_digits(text.get_mut(11..13), time / 3600);
        put_digits(text.get_mut(14..16), time / 60 % 60);
        put_digits(text.get_mut(17..19), time % 60);
        if nanos == 0 {
            out.write_str(ascii(text.get(..19)))?;
            return out.write_char('Z');
        }
        put_digits(text.get_mut(20..29), nanos);
        let digits = text.get(..29).unwrap_or_default();
        let end = digits.iter().rposition(|byte| *byte != b'0').map_or(0, |at| at + 1);
        out.write_str(ascii(digits.get(..end)))?;
        out.write_char('Z')
    }
}

/// Fills `digits` with those of `value`.
#[expect(clippy::arithmetic_side_effects, reason = "a digit is below ten")]
fn put_digits(digits: Option<&mut [u8]>, value: i64) {
    let mut rest = value;
    for digit in digits.unwrap_or_default().iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

fn ascii(text: Option<&[u8]>) -> &str {
    std::str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
}

/// The date of a day since 1970-01-01: the reverse of [`days_from_civil`].
#[expect(clippy::arithmetic_side_effects, reason = "jiff's years keep every term small")]
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_TO_1970;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

fn parse(bytes: &[u8]) -> Option<Instant> {
    let year = digits(bytes.get(0..4)?)?;
    let month = digits(bytes.get(5..7)?)?;
    let day = digits(bytes.get(8..10)?)?;
    let hour = digits(bytes.get(11..13)?)?;
    let minute = digits(bytes.get(14..16)?)?;
    let second = digits(bytes.get(17..19)?)?;
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let marked = marks.iter().all(|&(at, mark)| bytes.get(at) == Some(&mark));
    let separated = matches!(bytes.get(10), Some(b'T' | b't'));
    let in_range = hour < 24 && minute < 60 && second < 61 && year > 0;
    if !(marked && separated && in_range) {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    let (fraction, zone) = fraction(bytes.get(19..)?)?;
    let time = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?;
    let seconds = days
        .checked_mul(86_400)?
        .checked_add(time)?
        .checked_add(second.min(59))?
        .checked_sub(offset_seconds(zone)?)?;
    let instant = i128::from(seconds).checked_mul(NANOS_PER_SECOND)?.checked_add(fraction)?;
    Some(Instant(instant))
}

/// Splits `.123Z` into nanoseconds and the zone.
fn fraction(rest: &[u8]) -> Option<(i128, &[u8])> {
    let Some(after) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let count = after.iter().position(|b| !b.is_ascii_digit())?;
    let (text, zone) = after.split_at_checked(count)?;
    let missing = 9u32.checked_sub(u32::try_from(count).ok()?)?;
    let value = digits(text)?.checked_mul(10i64.checked_pow(missing)?)?;
    (count > 0).then_some((i128::from(value), zone))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), ref hours @ .., b':', m1, m2] if hours.len() == 2 => {
            let (hours, minutes) = (digits(hours)?, digits(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
            if sign == b'-' { seconds.checked_neg() } else { Some(seconds) }
        }
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte.wrapping_sub(b'0')))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted in years from March so that
/// the leap day is a year's last.
#[expect(clippy::arithmetic_side_effects, reason = "four-digit years keep every term small")]
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let shifted = year - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    Some(shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - DAYS_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, wanted: Option<&str>) {
        let found = Instant::parse(text).ok().map(|instant| instant.to_string());
        assert_eq!(found.as_deref(), wanted, "{text}");
    }

    #[test]
    fn only_rfc_3339_is_an_instant() {
        check("2026-01-14T09:30:00.123456789Z", Some("2026-01-14T09:30:00.123456789Z"));
        check("2026-01-14t09:30:00z", Some("2026-01-14T09:30:00Z"));
        check("2026-01-01T00:30:00+01:00", Some("2025-12-31T23:30:00Z"));
        check("2024-02-29T12:00:00-00:00", Some("2024-02-29T12:00:00Z"));
        check("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59Z"));
        for wrong in [
            "2026-01-14",
            "2026-01-14T09:30:00",
            "2026-01-14 09:30:00Z",
            "2026-01-14T09:30Z",
            "2026-01-14T09:30:00.Z",
            "2026-01-14T09:30:00.1234567891Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-14T24:00:00Z",
            "2026-01-14T09:30:00+1:00",
            "2026-01-14T09:30:00+0100",
            "2026-01-14T09:30:00+24:00",
            "2026-01-14T09:30:00Z[UTC]",
            "0000-01-01T00:00:00Z",
            "",
            "yesterday",
        ] {
            check(wrong, None);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(
            seconds in -60_000_000_000i64..250_000_000_000,
            nanos in 0i32..1_000_000_000,
        ) {
            let timestamp = Timestamp::new(seconds, nanos).unwrap();
            let instant = Instant::from(timestamp);
            prop_assert_eq!(Instant::parse(&timestamp.to_string()), Ok(instant));
            prop_assert_eq!(instant.to_string(), timestamp.to_string());
        }
    }
}
