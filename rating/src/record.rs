//! The usage record: who used what, when, under which identity.

use crate::instant::Instant;
use crate::json::Value;
use std::borrow::Cow;

/// One usage record, decoded and well-formed, borrowing from the bytes that it was read from.
#[derive(Debug, Clone)]
pub struct UsageRecord<'a> {
    /// Unique within `source` for one customer.
    pub id: Cow<'a, str>,
    /// Who measured.
    pub source: Cow<'a, str>,
    /// What was measured; selects the meters.
    pub event_type: Cow<'a, str>,
    /// A customer, a subscription, or an alias of either.
    pub subject: Cow<'a, str>,
    /// Which subscription, where a customer has several that take the meter.
    pub subscription: Option<Cow<'a, str>>,
    /// When it was used; without meaning where `time_fault` says so.
    pub used_at: Instant,
    /// Why `time` is no instant. It is kept for later, because a missing quantity, which only the
    /// catalog can tell, comes before it in the order of codes.
    pub time_fault: Option<String>,
    /// What was measured.
    pub data: Option<Value<'a>>,
    /// A digest of the meaning of the whole record: equal for equal content, however it is
    /// spelled, and different, but for chance, for any other.
    pub content_digest: u64,
}
