//! Records as the proof reads them: with a JSON reader of its own, and by their meaning.
//!
//! Numbers are only ever looked at as text, and two records have the same content if they mean the
//! same: the order of keys, spacing, escapes and the spelling of numbers and times do not count,
//! nor do the trace extensions of CloudEvents.

use super::fingerprint::{Fingerprint, sha256};
use rating::Instant;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A usage record, or a correction of one.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) event_type: String,
    pub(super) subject: String,
    pub(super) subscription: Option<String>,
    pub(super) used_at: Instant,
    pub(super) data: Option<&'a RawValue>,
    /// Equal where the meaning is.
    pub(super) content: u64,
}

/// What a correction does, and to which record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Corrects {
    pub(super) cancels: bool,
    pub(super) target: Fingerprint,
}

/// Deepest nesting that a record may have.
const DEPTH_MAX: usize = 64;
const CANCELLED: &str = "usage.cancelled";
const AMENDED: &str = "usage.amended";

impl<'a> Event<'a> {
    /// Reads a CloudEvent; `None` if it is none that could be rated.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let Members(mut members) = serde_json::from_slice(bytes).ok()?;
        members.retain(|(name, value)| {
            value.get() != "null" && !["traceparent", "tracestate"].contains(&&**name)
        });
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
        let required = |name: &str| find(name).and_then(text).filter(|text| !text.is_empty());
        if required("specversion")? != "1.0" {
            return None;
        }
        let used_at = Instant::parse(&required("time")?).ok()?;
        let subscription = find("subscription").map_or(Some(String::new()), text)?;
        let mut meaning = Vec::new();
        for (name, value) in &members {
            write_text(&mut meaning, b'k', name);
            if name == "time" {
                meaning.extend_from_slice(&used_at.nanos().to_be_bytes());
            } else {
                write_meaning(&mut meaning, value, DEPTH_MAX)?;
            }
        }
        let digest = sha256(&[&meaning]);
        Some(Self {
            id: required("id")?,
            source: required("source")?,
            event_type: required("type")?,
            subject: required("subject")?,
            subscription: Some(subscription).filter(|name| !name.is_empty()),
            used_at,
            data: find("data"),
            content: digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        })
    }

    /// What makes it the same record, within its owner.
    pub(super) fn name(&self) -> Fingerprint {
        name_of(&self.source, &self.id)
    }

    /// What it corrects; `None` where it is usage, or names no target.
    pub(super) fn corrects(&self) -> Option<Corrects> {
        if !self.is_correction() {
            return None;
        }
        let Members(target) = serde_json::from_str(member(self.data?, "of")?.get()).ok()?;
        let find =
            |name: &str| target.iter().find(|(key, _)| key == name).and_then(|(_, raw)| text(raw));
        let target = name_of(&find("source")?, &find("id")?);
        Some(Corrects { cancels: self.event_type == CANCELLED, target })
    }

    pub(super) fn is_correction(&self) -> bool {
        self.event_type == CANCELLED || self.event_type == AMENDED
    }
}

/// The fingerprint of a source and an id.
pub(super) fn name_of(source: &str, id: &str) -> Fingerprint {
    Fingerprint::of(&[source.as_bytes(), id.as_bytes()])
}

/// The members of an object, as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Read).map(Members)
    }
}

/// A string; `None` of anything else.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A member of an object.
pub(super) fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let Members(members) = serde_json::from_str(object.get()).ok()?;
    members.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// An element of an array.
pub(super) fn element(array: &RawValue, index: usize) -> Option<&RawValue> {
    let elements: Vec<&RawValue> = serde_json::from_str(array.get()).ok()?;
    elements.get(index).copied()
}

/// Writes what a value means, equal for every spelling; `None` if it is nested too deep.
fn write_meaning(out: &mut Vec<u8>, value: &RawValue, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match value.get().bytes().next()? {
        b'{' => {
            let Members(mut members) = serde_json::from_str(value.get()).ok()?;
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            out.push(b'{');
            for (name, value) in members {
                write_text(out, b'k', &name);
                write_meaning(out, value, depth)?;
            }
            out.push(b'}');
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            out.push(b'[');
            for element in elements {
                write_meaning(out, element, depth)?;
            }
            out.push(b']');
        }
        b'"' => write_text(out, b's', &text(value)?),
        b'-' | b'0'..=b'9' => write_text(out, b'n', &plain_number(value.get())),
        _ => write_text(out, b'w', value.get()),
    }
    Some(())
}

fn write_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A number as its significant digits and a power of ten.
fn plain_number(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    // What has such an exponent is no quantity; it only has to be equal to itself.
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let places = i64::try_from(zeros).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    format!("{sign}{significant}e{}", exponent.saturating_add(places))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"specversion":"1.0","id":"a","source":"s","type":"t",
"subject":"c","time":"2026-01-01T00:00:00Z","data":{"n":1,"l":[1,{"x":null}]}}"#;

    #[track_caller]
    fn content(text: &str) -> u64 {
        Event::read(text.as_bytes()).unwrap().content
    }

    #[test]
    fn content_is_meaning() {
        let same = [
            GOOD.replace("\"n\":1", "\"n\" : 10.00e-1"),
            GOOD.replace("\"n\":1,\"l\":[1,{\"x\":null}]", "\"l\":[1,{\"\\u0078\":null}],\"n\":1"),
            GOOD.replace("00:00:00Z", "01:00:00.0+01:00"),
            GOOD.replace("\"id\"", "\"traceparent\":\"00\",\"extra\":null,\"id\""),
        ];
        for text in same {
            assert_eq!(content(&text), content(GOOD), "{text}");
        }
        let other = [
            GOOD.replace("\"n\":1", "\"n\":\"1\""),
            GOOD.replace("\"n\":1", "\"n\":10"),
            GOOD.replace("\"n\":1", "\"n\":-1"),
            GOOD.replace("\"n\":1", "\"m\":1"),
            GOOD.replace("[1,", "[1,1,"),
            GOOD.replace("null", "0"),
            GOOD.replace("00:00:00Z", "00:00:00.000000001Z"),
            GOOD.replace("\"c\"", "\"d\""),
        ];
        for text in other {
            assert_ne!(content(&text), content(GOOD), "{text}");
        }
        assert_eq!(plain_number("-0.0e7"), "0");
        assert_eq!(plain_number("1200"), plain_number("0.12E4"));
    }

    #[test]
    fn what_could_not_be_rated_is_no_event() {
        for text in ["", "[]", "{}", "x", &GOOD.replace("1.0", "0.3"), &GOOD.replace("\"a\"", "7")]
        {
            assert!(Event::read(text.as_bytes()).is_none(), "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(
            Event::read(GOOD.replace("\"n\":1", &format!("\"n\":{deep}")).as_bytes()).is_none()
        );
    }

    #[test]
    fn a_correction_names_its_target() {
        let text = GOOD.replace("\"t\"", "\"usage.cancelled\"");
        let text = text.replace("{\"n\":1,", "{\"of\":{\"source\":\"s\",\"id\":\"b\"},");
        let event = Event::read(text.as_bytes()).unwrap();
        assert_eq!(event.corrects(), Some(Corrects { cancels: true, target: name_of("s", "b") }));
        assert!(Event::read(GOOD.as_bytes()).unwrap().corrects().is_none());
    }
}
