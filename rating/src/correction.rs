//! Corrections: records that take another one back, or put a replacement in its place.

use crate::catalog::SYSTEM_TYPES;
use crate::instant::Instant;
use crate::json::{Kind, Value};
use crate::record::UsageRecord;
use crate::rejection::{Code, Rejection};
use std::borrow::Cow;

/// What a correction does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorrectionKind {
    /// Takes it back.
    Cancelled,
    /// Takes it back and rates a replacement in its place.
    Amended,
}

/// A correction as its record states it.
#[derive(Debug, Clone)]
pub struct Correction<'a> {
    /// What it does.
    pub kind: CorrectionKind,
    /// The source of its target.
    pub source: Cow<'a, str>,
    /// The id of its target within that source.
    pub id: Cow<'a, str>,
    /// What is to stand in the target's place.
    pub replacement: Option<Replacement<'a>>,
}

/// What is to stand in the place of a record. What it does not state is as the target has it.
#[derive(Debug, Clone)]
pub struct Replacement<'a> {
    /// Another type.
    pub event_type: Option<Cow<'a, str>>,
    /// Another subject, of the same owner.
    pub subject: Option<Cow<'a, str>>,
    /// Another subscription.
    pub subscription: Option<Cow<'a, str>>,
    /// Another time.
    pub used_at: Option<Instant>,
    /// Other data.
    pub data: Option<Value<'a>>,
}

impl<'a> Correction<'a> {
    /// Which kind of correction a record is; `None` if it is usage.
    #[must_use]
    pub fn kind_of(record: &UsageRecord<'_>) -> Option<CorrectionKind> {
        let [cancelled, amended] = SYSTEM_TYPES;
        if record.event_type == cancelled {
            return Some(CorrectionKind::Cancelled);
        }
        (record.event_type == amended).then_some(CorrectionKind::Amended)
    }

    /// Reads the correction that a record is; `None` if it is usage.
    ///
    /// # Errors
    /// `missing_field` where target or replacement are missing, `invalid_time` where the time of
    /// the replacement is none.
    pub fn of(record: &UsageRecord<'a>) -> Result<Option<Self>, Rejection> {
        let Some(kind) = Self::kind_of(record) else { return Ok(None) };
        let target = record.data.and_then(|data| data.get("of"));
        let text = |name: &str| {
            let value = target.and_then(|target| target.get(name));
            let text = value.filter(|value| value.kind() == Kind::String)?.as_text()?;
            (!text.is_empty()).then_some(text)
        };
        let (Some(source), Some(id)) = (text("source"), text("id")) else {
            let message = "data.of must name the record to correct by \"source\" and \"id\"";
            return Err(Rejection::new(Code::MissingField, message));
        };
        let replacement = match kind {
            CorrectionKind::Cancelled => None,
            CorrectionKind::Amended => {
                let value = record.data.and_then(|data| data.get("replacement"));
                let value =
                    value.filter(|value| value.kind() == Kind::Object).ok_or_else(|| {
                        let message = "data.replacement must be an object: what was really used";
                        Rejection::new(Code::MissingField, message)
                    })?;
                Some(Replacement::read(value)?)
            }
        };
        Ok(Some(Self { kind, source, id, replacement }))
    }
}

impl<'a> Replacement<'a> {
    /// Reads an event, or, where it looks like none, data alone.
    fn read(value: Value<'a>) -> Result<Self, Rejection> {
        let stated = |name: &str| value.get(name).filter(|found| !found.is_null());
        let is_object = |found: &Value<'_>| found.kind() == Kind::Object;
        if stated("specversion").is_none() && !stated("data").as_ref().is_some_and(is_object) {
            return Ok(Self {
                event_type: None,
                subject: None,
                subscription: None,
                used_at: None,
                data: Some(value),
            });
        }
        let text = |name: &str| match stated(name) {
            None => Ok(None),
            Some(found) if found.kind() == Kind::String => Ok(found.as_text()),
            Some(_) => {
                let message = format!("data.replacement.{name} must be a string");
                Err(Rejection::new(Code::NotACloudEvent, message))
            }
        };
        let (event_type, subject) = (text("type")?, text("subject")?);
        let subscription = text("subscription")?;
        let used_at = text("time")?.map(|time| {
            Instant::parse(&time).map_err(|error| {
                let message = format!("data.replacement.time: \"{time}\" {error}");
                Rejection::new(Code::InvalidTime, message)
            })
        });
        let data = stated("data");
        Ok(Self { event_type, subject, subscription, used_at: used_at.transpose()?, data })
    }
}
