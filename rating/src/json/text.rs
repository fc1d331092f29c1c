//! Strings of JSON: their escapes, resolved and written.
#![expect(clippy::arithmetic_side_effects, reason = "offsets are bounded by the text")]

use std::fmt::Write as _;

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Nearly all texts have nothing to escape and are copied as they are.
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        match rest.as_bytes().get(at) {
            Some(b'"') => out.push_str("\\\""),
            Some(b'\\') => out.push_str("\\\\"),
            Some(b'\n') => out.push_str("\\n"),
            Some(b'\r') => out.push_str("\\r"),
            Some(b'\t') => out.push_str("\\t"),
            Some(control) => {
                // Writing to a string cannot fail.
                _ = write!(out, "\\u{control:04x}");
            }
            None => {}
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

/// Resolves the escapes of a string that the scanner has found well-formed.
pub(super) fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        let plain = match raw.get(at + 1).copied() {
            Some(b'u') => {
                let high = hex4(raw, at + 2).unwrap_or(0xFFFD);
                at += 6;
                let code = if (0xD800..0xDC00).contains(&high) {
                    let low = hex4(raw, at + 2).unwrap_or(0xDC00);
                    at += 6;
                    0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)
                } else {
                    high
                };
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(other) => other,
            None => b'\\',
        };
        out.push(plain);
        at += 2;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The number that four hexadecimal digits at `at` stand for.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits
        .iter()
        .try_fold(0, |value, &digit| char::from(digit).to_digit(16).map(|digit| value * 16 + digit))
}
