//! Rejections: why a record is not rated. The codes are frozen; their order is their precedence.

use std::fmt;

/// Why a record was refused. A record with several faults is refused for the first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Frozen: dead letters, metrics and dashboards name these.
pub enum Code {
    /// Larger than 1 MiB.
    TooLarge,
    /// Not JSON, or with duplicate keys, invalid UTF-8 or nesting over 64.
    MalformedJson,
    /// Not an object of CloudEvents 1.0.
    NotACloudEvent,
    /// An attribute or the quantity is missing.
    MissingField,
    /// `time` is no RFC 3339 instant.
    InvalidTime,
    /// The quantity is no decimal of its domain, or below zero where that is not accepted.
    InvalidQuantity,
    /// `time` lies further ahead than is tolerated.
    InTheFuture,
    /// No meter takes the type, and types are strict.
    UnknownType,
    /// The subject is not in the catalog.
    UnknownSubject,
    /// The customer has several subscriptions that take the meter.
    AmbiguousSubscription,
    /// No plan is in force at the record's time.
    NoActivePlan,
    /// The identity was admitted with other content.
    Conflict,
    /// A correction's target is not there.
    UnknownReference,
    /// Older than corrections and late records may be.
    LateClosed,
    /// An amount or a sum leaves its domain.
    Overflow,
}

impl Code {
    /// All codes in order of precedence.
    pub const ALL: [Self; 15] = [
        Self::TooLarge,
        Self::MalformedJson,
        Self::NotACloudEvent,
        Self::MissingField,
        Self::InvalidTime,
        Self::InvalidQuantity,
        Self::InTheFuture,
        Self::UnknownType,
        Self::UnknownSubject,
        Self::AmbiguousSubscription,
        Self::NoActivePlan,
        Self::Conflict,
        Self::UnknownReference,
        Self::LateClosed,
        Self::Overflow,
    ];

    /// The code as dead letters and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::MalformedJson => "malformed_json",
            Self::NotACloudEvent => "not_a_cloud_event",
            Self::MissingField => "missing_field",
            Self::InvalidTime => "invalid_time",
            Self::InvalidQuantity => "invalid_quantity",
            Self::InTheFuture => "in_the_future",
            Self::UnknownType => "unknown_type",
            Self::UnknownSubject => "unknown_subject",
            Self::AmbiguousSubscription => "ambiguous_subscription",
            Self::NoActivePlan => "no_active_plan",
            Self::Conflict => "conflict",
            Self::UnknownReference => "unknown_reference",
            Self::LateClosed => "late_closed",
            Self::Overflow => "overflow",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refusal: the code for machines, the reason for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Rejection {
    /// Which kind of fault.
    pub code: Code,
    /// What exactly is wrong.
    pub reason: String,
}

impl Rejection {
    /// A refusal for `code`.
    #[must_use]
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_of_precedence() {
        assert!(Code::ALL.is_sorted());
        let names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(
            names.join(" "),
            "too_large malformed_json not_a_cloud_event missing_field invalid_time \
             invalid_quantity in_the_future unknown_type unknown_subject ambiguous_subscription \
             no_active_plan conflict unknown_reference late_closed overflow"
        );
    }
}
