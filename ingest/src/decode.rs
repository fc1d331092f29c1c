//! Decoding: bytes to a usage record, or the first fault in the order of the codes.

use crate::limits::RECORD_BYTES_MAX;
use rating::json::{Kind, Tape, Value};
use rating::{Code, ContentDigest, Instant, Rejection, UsageRecord};
use std::borrow::Cow;

/// Decodes records one by one, reusing its memory.
#[derive(Debug)]
pub struct Decoder {
    tape: Tape,
    digest: ContentDigest,
}

/// The attributes of a CloudEvent that rating reads.
#[derive(Default)]
struct Attributes<'a> {
    specversion: Option<Value<'a>>,
    id: Option<Value<'a>>,
    source: Option<Value<'a>>,
    event_type: Option<Value<'a>>,
    subject: Option<Value<'a>>,
    subscription: Option<Value<'a>>,
    time: Option<Value<'a>>,
    data: Option<Value<'a>>,
}

impl Decoder {
    /// A decoder whose content digests are keyed with `seed`; digests of another seed differ.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { tape: Tape::default(), digest: ContentDigest::new(seed) }
    }

    /// Decodes one CloudEvent in JSON.
    ///
    /// # Errors
    /// [`Rejection`] with the first of `too_large`, `malformed_json`, `not_a_cloud_event` and
    /// `missing_field` that applies. A wrong `time` is left to the record.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<UsageRecord<'a>, Rejection> {
        if bytes.len() > RECORD_BYTES_MAX {
            let message = format!("{} bytes are more than {RECORD_BYTES_MAX}", bytes.len());
            return Err(Rejection::new(Code::TooLarge, message));
        }
        let event = self
            .tape
            .parse(bytes)
            .map_err(|error| Rejection::new(Code::MalformedJson, error.to_string()))?;
        if event.kind() != Kind::Object {
            let message = format!("a CloudEvent is an object, not {}", event.kind().name());
            return Err(Rejection::new(Code::NotACloudEvent, message));
        }
        let mut attributes = Attributes::default();
        let content = attributes.gather(event, &mut self.digest);
        if !attributes.specversion.is_some_and(|version| version.is("1.0")) {
            return Err(Rejection::new(Code::NotACloudEvent, "specversion is not \"1.0\""));
        }
        attributes.check_texts()?;
        let id = required(attributes.id, "id")?;
        let source = required(attributes.source, "source")?;
        let event_type = required(attributes.event_type, "type")?;
        let subject = required(attributes.subject, "subject")?;
        let time = required(attributes.time, "time")?;
        let (used_at, time_fault) = match Instant::parse(&time) {
            Ok(used_at) => (used_at, None),
            Err(error) => (Instant::MIN, Some(format!("\"{time}\" {error}"))),
        };
        let subscription = attributes.subscription.and_then(|value| value.as_text());
        Ok(UsageRecord {
            id,
            source,
            event_type,
            subject,
            subscription: subscription.filter(|name| !name.is_empty()),
            used_at,
            time_fault,
            data: attributes.data,
            content_digest: self.digest.of_event(content, used_at),
        })
    }
}

impl<'a> Attributes<'a> {
    /// Finds the attributes of `event`; gives what all but `time` add to the digest of content.
    fn gather(&mut self, event: Value<'a>, digest: &mut ContentDigest) -> u64 {
        let mut content = 0u64;
        for (key, value) in event.members() {
            // To CloudEvents, null is the same as absent.
            if value.is_null() {
                continue;
            }
            let name = key.text_bytes();
            match &*name {
                b"specversion" => self.specversion = Some(value),
                b"id" => self.id = Some(value),
                b"source" => self.source = Some(value),
                b"type" => self.event_type = Some(value),
                b"subject" => self.subject = Some(value),
                b"subscription" => self.subscription = Some(value),
                b"data" => self.data = Some(value),
                b"time" => {
                    self.time = Some(value);
                    continue;
                }
                _ => {}
            }
            content = content.wrapping_add(digest.of_attribute(&name, value));
        }
        content
    }

    fn check_texts(&self) -> Result<(), Rejection> {
        let texts = [
            ("id", self.id),
            ("source", self.source),
            ("type", self.event_type),
            ("subject", self.subject),
            ("subscription", self.subscription),
            ("time", self.time),
        ];
        for (name, value) in texts {
            if let Some(value) = value.filter(|value| value.kind() != Kind::String) {
                let message = format!("{name} must be a string, not {}", value.kind().name());
                return Err(Rejection::new(Code::NotACloudEvent, message));
            }
        }
        Ok(())
    }
}

#[inline]
fn required<'a>(value: Option<Value<'a>>, name: &str) -> Result<Cow<'a, str>, Rejection> {
    value
        .and_then(|value| value.as_text())
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Rejection::new(Code::MissingField, format!("{name} is missing or empty")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"specversion":"1.0","id":"a","source":"s",
"type":"t","subject":"c","time":"2026-01-01T00:00:00Z","data":{"n":1}}"#;

    #[track_caller]
    fn check(text: &str, wanted: Option<Code>) {
        let mut decoder = Decoder::new(1);
        let found = decoder.decode(text.as_bytes()).map_err(|rejection| rejection.code).err();
        assert_eq!(found, wanted, "{text}");
    }

    #[track_caller]
    fn digest(text: &str) -> u64 {
        Decoder::new(7).decode(text.as_bytes()).unwrap().content_digest
    }

    #[test]
    fn each_fault_has_its_code() {
        check(GOOD, None);
        check(&GOOD.replace("\"1.0\"", "\"0.3\""), Some(Code::NotACloudEvent));
        check(&GOOD.replace("\"1.0\"", "1.0"), Some(Code::NotACloudEvent));
        check(&GOOD.replace("\"a\"", "7"), Some(Code::NotACloudEvent));
        check("[]", Some(Code::NotACloudEvent));
        check("{}", Some(Code::NotACloudEvent));
        check("", Some(Code::MalformedJson));
        check(&GOOD.replace("{\"n\":1}", "{\"n\":1,\"n\":1}"), Some(Code::MalformedJson));
        for attribute in ["id", "source", "type", "subject", "time"] {
            check(&GOOD.replace(&format!("\"{attribute}\":"), "\"x\":"), Some(Code::MissingField));
        }
        check(&GOOD.replace("\"a\"", "\"\""), Some(Code::MissingField));
        check(&GOOD.replace("\"a\"", "null"), Some(Code::MissingField));
        let no_offset = GOOD.replace("00:00Z", "00:00");
        let mut decoder = Decoder::new(1);
        assert!(decoder.decode(no_offset.as_bytes()).unwrap().time_fault.is_some());
        check(&GOOD.replace("{\"n\":1}", &"9".repeat(1 << 20)), Some(Code::TooLarge));
    }

    #[test]
    fn an_earlier_code_hides_a_later_one() {
        let faults = [
            (
                GOOD.replace("2026-01-01T00:00:00Z", "never").replace("\"a\"", "\"\""),
                Code::MissingField,
            ),
            (
                GOOD.replace("2026-01-01T00:00:00Z", "never")
                    .replace("\"a\"", "\"\"")
                    .replace("1.0", "2"),
                Code::NotACloudEvent,
            ),
        ];
        for (text, code) in faults {
            check(&text, Some(code));
        }
    }

    #[test]
    fn content_is_meaning_not_spelling() {
        let same = [
            GOOD.replace("\"n\":1", "\"n\": 1.00"),
            GOOD.replace("\"n\":1", "\"n\":10e-1"),
            GOOD.replace("\"n\":1", "\"\\u006e\":1"),
            GOOD.replace("00:00:00Z", "01:00:00+01:00"),
            GOOD.replace(
                "\"type\":\"t\",\"subject\":\"c\"",
                "\"subject\":\"\\u0063\",\"type\":\"t\"",
            ),
            GOOD.replace("\"type\"", "\"traceparent\":\"00-1\",\"type\""),
            GOOD.replace("\"type\"", "\"extra\":null,\"type\""),
        ];
        for text in same {
            assert_eq!(digest(&text), digest(GOOD), "{text}");
        }
        let other = [
            GOOD.replace("\"n\":1", "\"n\":2"),
            GOOD.replace("\"n\":1", "\"n\":-1"),
            GOOD.replace("\"n\":1", "\"n\":10"),
            GOOD.replace("\"n\":1", "\"n\":\"1\""),
            GOOD.replace("\"n\":1", "\"m\":1"),
            GOOD.replace("\"n\":1", "\"n\":[1]"),
            GOOD.replace("\"n\":1", "\"n\":{}"),
            GOOD.replace("\"n\":1", "\"n\":1,\"o\":null"),
            GOOD.replace("00:00:00Z", "00:00:00.000000001Z"),
            GOOD.replace("\"type\"", "\"extra\":\"x\",\"type\""),
        ];
        for text in other {
            assert_ne!(digest(&text), digest(GOOD), "{text}");
        }
        let list = |values: &str| digest(&GOOD.replace("\"n\":1", &format!("\"n\":{values}")));
        assert_ne!(list("[1,2]"), list("[2,1]"));
        assert_ne!(list("[[],1]"), list("[1,[]]"));
        assert_ne!(list("0"), list("null"));
        assert_eq!(list("0"), list("-0.0e5"));
    }
}
