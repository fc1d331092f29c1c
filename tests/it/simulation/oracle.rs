//! The oracle: what must come out, from what was sent alone. It knows no partitions, no order and
//! no faults: records that count and stand are added up, and priced once.

use super::catalogs::VERSIONS;
use super::usage::{Kind, Sent, Usage};
use rating::Instant;
use std::collections::BTreeMap;

/// What a customer owes for a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Owed {
    pub(super) quantity: u64,
    pub(super) records: u64,
    pub(super) first_used_at: Option<i128>,
    pub(super) last_used_at: Option<i128>,
}

/// A customer, and a month such as `2026-01`.
pub(super) type Whose = (u64, String);

/// The month in which an instant lies.
pub(super) fn month_of(nanos: i128) -> String {
    Instant::from_nanos(nanos).to_string()[..7].to_owned()
}

/// What is owed, where there is any usage that stands.
pub(super) fn owed(usage: &Usage) -> BTreeMap<Whose, Owed> {
    let mut owed: BTreeMap<Whose, Owed> = BTreeMap::new();
    for sent in &usage.sent {
        let Kind::Usage { quantity, is_priced: true } = sent.kind else { continue };
        if sent.cancelled_by.is_some() {
            continue;
        }
        let one = owed.entry((sent.customer, month_of(sent.used_at))).or_default();
        one.quantity += quantity;
        one.records += 1;
        let at = sent.used_at;
        one.first_used_at = Some(one.first_used_at.map_or(at, |first| first.min(at)));
        one.last_used_at = Some(one.last_used_at.map_or(at, |last| last.max(at)));
    }
    owed
}

/// The price of a month's quantity, in thousandths.
pub(super) fn price(month: &str, quantity: u64) -> u64 {
    let (_, first, rest) = VERSIONS.into_iter().rfind(|(from, ..)| *from <= month).unwrap();
    quantity.min(10) * first + quantity.saturating_sub(10) * rest
}

/// How many different records count: they are rated, to a line or to none.
pub(super) fn counting(usage: &Usage) -> u64 {
    usage.sent.iter().filter(|sent| counts(sent)).count() as u64
}

/// Whether a record counts, as usage or as a correction.
pub(super) const fn counts(sent: &Sent) -> bool {
    matches!(sent.kind, Kind::Usage { .. } | Kind::Cancels { is_in_time: true, .. })
}
