//! Durations as settings write them: `500ms`, `1h`, `40d`, `1h30m`.

use std::time::Duration;

/// How durations are spelled, as a regular expression.
#[cfg(test)]
pub(super) const PATTERN: &str = "^([0-9]+(ms|s|m|h|d|w))+$";

/// Reads a duration; `None` if the text is none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    loop {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit())?;
        let (unit, next) = split_where(after, |c| c.is_ascii_digit()).unwrap_or((after, ""));
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
        total = total.checked_add(Duration::from_millis(millis))?;
        if next.is_empty() {
            return Some(total);
        }
        rest = next;
    }
}

fn split_where(text: &str, found: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    text.find(found).and_then(|at| text.split_at_checked(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Option<u64>) {
        assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn durations_are_numbers_with_units() {
        check("500ms", Some(500));
        check("1h", Some(3_600_000));
        check("40d", Some(3_456_000_000));
        check("1h30m", Some(5_400_000));
        check("0s", Some(0));
        for wrong in ["", "1", "h", "1 h", "1.5h", "-1h", "1y", "1h5", "99999999999999999999d"] {
            check(wrong, None);
        }
    }
}
