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
    /// or an offset. A leap second, which only the last minute of a day in UTC has, is read as the
    /// second before it.
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

/// Reads what [`Instant::parse`] accepts. Every record has one, so nothing here loops but the
/// digits of a second, and a number out of its range is found by the same comparison as a letter.
#[expect(clippy::arithmetic_side_effects, reason = "four-digit years keep every term small")]
fn parse(bytes: &[u8]) -> Option<Instant> {
    let (date, rest) = bytes.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't'] = date else { return None };
    let &[h1, h2, b':', n1, n2, b':', s1, s2] = time else { return None };
    let days = days_from_civil(pair(y1, y2) * 100 + pair(y3, y4), pair(m1, m2), pair(d1, d2))?;
    let (hour, minute, second) = (pair(h1, h2), pair(n1, n2), pair(s1, s2));
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let time = hour * 3600 + minute * 60 + second.min(59);
    let (fraction, zone) = fraction(rest)?;
    let offset = if matches!(zone, [b'Z' | b'z']) { 0 } else { offset_seconds(zone)? };
    let seconds = days * 86_400 + i64::from(time) - offset;
    if second == 60 && seconds.rem_euclid(86_400) != 86_399 {
        return None;
    }
    // No wrapping happens; in 128 bits it is looking for it that costs.
    let nanos = i128::from(seconds).wrapping_mul(NANOS_PER_SECOND);
    Some(Instant(nanos.wrapping_add(i128::from(fraction))))
}

/// Splits `.123Z` into nanoseconds and the zone.
#[expect(clippy::arithmetic_side_effects, reason = "nine digits fit")]
fn fraction(rest: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.', after @ ..] = rest else { return Some((0, rest)) };
    let (mut nanos, mut unit, mut zone) = (0, 100_000_000, after);
    while let [digit @ b'0'..=b'9', behind @ ..] = zone {
        // The tenth digit would count less than a nanosecond.
        if unit == 0 {
            return None;
        }
        nanos += u32::from(digit - b'0') * unit;
        unit /= 10;
        zone = behind;
    }
    (zone.len() < after.len()).then_some((nanos, zone))
}

#[expect(clippy::arithmetic_side_effects, reason = "less than a day")]
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = zone else { return None };
    let (hours, minutes) = (pair(h1, h2), pair(m1, m2));
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    Some(if sign == b'-' { -seconds } else { seconds })
}

/// The number that two digits make; one that is out of every range if they are none.
#[expect(clippy::arithmetic_side_effects, reason = "two digits fit")]
fn pair(tens: u8, ones: u8) -> u32 {
    const NONE: u32 = 10_000;
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { NONE } else { u32::from(tens) * 10 + u32::from(ones) }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted in years from March so that
/// the leap day is a year's last; `None` if there is no such date in the years 1 to 9999.
#[expect(clippy::arithmetic_side_effects, reason = "four-digit years keep every term small")]
fn days_from_civil(year: u32, month: u32, day: u32) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || day == 0 || day > length {
        return None;
    }
    let shifted = year - u32::from(month <= 2);
    let month_from_march = if month <= 2 { month + 9 } else { month - 3 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    Some(i64::from(days) - DAYS_TO_1970)
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
        check("2016-12-31T15:59:60.5-08:00", Some("2016-12-31T23:59:59.5Z"));
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
            "2026-01-14T12:59:60Z",
            "2026-01-14T23:59:60+01:00",
            "2026-01-14T23:59:61Z",
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

    /// The grammar of RFC 3339 as it is written there, by way of jiff's calendar.
    fn plainly(text: &str) -> Option<Instant> {
        let number = |from: usize, to: usize| {
            let part = text.get(from..to)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i16>().ok())?
        };
        let two = |from: usize| number(from, from + 2).and_then(|part| i8::try_from(part).ok());
        let marks = [text.get(4..5)?, text.get(7..8)?, text.get(13..14)?, text.get(16..17)?];
        let separator = text.get(10..11)?.eq_ignore_ascii_case("T");
        if marks != ["-", "-", ":", ":"] || !separator {
            return None;
        }
        let year = number(0, 4).filter(|year| *year > 0)?;
        let date = jiff::civil::Date::new(year, two(5)?, two(8)?).ok()?;
        let second = two(17).filter(|second| *second <= 60)?;
        let is_leap = second == 60;
        let second = second.min(59);
        let rest = text.get(19..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit())?),
            None => ("0", rest),
        };
        if fraction.is_empty() || fraction.len() > 9 {
            return None;
        }
        let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
        let time = jiff::civil::Time::new(two(11)?, two(14)?, second, nanos).ok()?;
        let at = text.len() - zone.len();
        let offset = match zone.as_bytes() {
            b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let hours = i64::from(two(at + 1).filter(|hours| *hours < 24)?);
                let minutes = i64::from(two(at + 4).filter(|minutes| *minutes < 60)?);
                (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
            }
            _ => return None,
        };
        let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let since = epoch.duration_until(date.to_datetime(time));
        let instant = Instant(since.as_nanos() - i128::from(offset) * NANOS_PER_SECOND);
        let is_late = instant.to_string().contains("T23:59:59");
        (!is_leap || is_late).then_some(instant)
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_reading(
            text in "(0001|0000|19[0-9]{2}|2024|2000|1900|[0-9]{4})\
                     -(02|[01][0-9])-(29|[0-3][0-9])[Tt]\
                     [0-2][0-9]:[0-6][0-9]:([0-5][0-9]|60|61)(\\.[0-9]{0,10})?\
                     ([Zz]|[+-][0-2][0-9]:[0-6][0-9]|)",
            at in 0..40usize,
            with in any::<char>(),
        ) {
            prop_assert_eq!(Instant::parse(&text).ok(), plainly(&text), "{}", text);
            let mut other: Vec<char> = text.chars().collect();
            if let Some(place) = other.get_mut(at) {
                *place = with;
            }
            let other: String = other.into_iter().collect();
            prop_assert_eq!(Instant::parse(&other).ok(), plainly(&other), "{}", other);
        }

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
