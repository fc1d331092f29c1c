//! Keys of the store, drawn. Frozen: bytes that were written once are read for ever.
//!
//! ```text
//! totals    shard:2 │ subscription 00 │ charge 00 │ plan 00 │ cell 00 │ start, s + 2^63:8
//! positions shard:2 │ subscription 00 │ charge 00 │ plan 00 │ cell 00 │ scope's start, s + 2^63:8
//! rows      key of the position │ part:4, 2^32 - 1 for those of the whole │ block:4
//! correct.  identity of the target:16 │ identity of the correction:16
//! waiting   number:8
//! ids       run:8   │ first identity of the block:16
//! rated     number:8
//! rejected  number:8
//! meta      name, "bucket/" with the first run:8, "untimed/" with the key of a total,
//!           "group/" meter 00 │ dimension 00 │ path, "calendar/" shard:2 │ customer
//! ```
//! All numbers are big-endian, so that keys sort as they count. Names hold no zero byte: a catalog
//! with control characters in a name is refused. The shard of an identity is its leading bits, so
//! that a run can be split by shards too.

use crate::limits::SHARDS;
use rating::{Instant, Meter, Path};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// The stretch of owners that a customer belongs to. Frozen: its hash has no secret, because every
/// instance must find the same.
pub(crate) fn shard(customer: &str) -> u16 {
    let mut hasher = SipHasher13::new();
    hasher.write(customer.as_bytes());
    u16::try_from(hasher.finish() % u64::from(SHARDS)).unwrap_or_default()
}

/// The cell of a charge that is priced without a matrix.
pub(crate) const NO_CELL: &str = "";

/// What tells a total from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TotalKey<'a> {
    pub(crate) shard: u16,
    pub(crate) subscription: &'a str,
    pub(crate) charge: &'a str,
    pub(crate) plan: &'a str,
    /// The name of a cell of a price matrix, which has its grid in it; else [`NO_CELL`].
    pub(crate) cell: &'a str,
    pub(crate) period_start: Instant,
}

/// The sign bit, flipped so that times before 1970 sort before those after.
const SIGN: u64 = 1 << 63;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

impl<'a> TotalKey<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.shard.to_be_bytes());
        for name in [self.subscription, self.charge, self.plan, self.cell] {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
        // Periods begin with a day, so on a whole second.
        let seconds = self.period_start.nanos().div_euclid(NANOS_PER_SECOND);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MIN).cast_unsigned() ^ SIGN;
        out.extend_from_slice(&seconds.to_be_bytes());
    }

    pub(crate) fn read(key: &'a [u8]) -> Option<Self> {
        let (shard, rest) = key.split_first_chunk::<2>()?;
        let (names, seconds) = rest.split_last_chunk::<8>()?;
        let mut names = names.strip_suffix(&[0])?.split(|byte| *byte == 0);
        let mut name = || names.next().and_then(|name| std::str::from_utf8(name).ok());
        let (subscription, charge, plan, cell) = (name()?, name()?, name()?, name()?);
        let seconds = (u64::from_be_bytes(*seconds) ^ SIGN).cast_signed();
        let period_start = Instant::from_nanos(i128::from(seconds) * NANOS_PER_SECOND);
        let shard = u16::from_be_bytes(*shard);
        Some(Self { shard, subscription, charge, plan, cell, period_start })
    }
}

/// What the keys of all totals of a subscription begin with.
pub(crate) fn subscription_prefix(customer: &str, subscription: &str) -> Vec<u8> {
    let mut prefix = shard(customer).to_be_bytes().to_vec();
    prefix.extend_from_slice(subscription.as_bytes());
    prefix.push(0);
    prefix
}

/// The part under which rows of a whole position are stored.
pub(crate) const WHOLE_POSITION: u32 = u32::MAX;

/// The key of a block of rows.
pub(crate) fn row_key(position: &[u8], part: u32, block: u32) -> Vec<u8> {
    let mut key = position.to_vec();
    key.extend_from_slice(&part.to_be_bytes());
    key.extend_from_slice(&block.to_be_bytes());
    key
}

/// Part and block of a row key that begins with the key of its position.
pub(crate) fn row_numbers(key: &[u8]) -> Option<(u32, u32)> {
    let (rest, block) = key.split_last_chunk::<4>()?;
    let (_, part) = rest.split_last_chunk::<4>()?;
    Some((u32::from_be_bytes(*part), u32::from_be_bytes(*block)))
}

/// The key of a correction.
pub(crate) fn correction_key(target: u128, own: u128) -> [u8; 32] {
    let mut key = [0; 32];
    let (first, second) = key.split_at_mut(16);
    first.copy_from_slice(&target.to_be_bytes());
    second.copy_from_slice(&own.to_be_bytes());
    key
}

/// Target and own identity of a correction.
pub(crate) fn correction_ids(key: &[u8]) -> Option<(u128, u128)> {
    let (target, own) = key.split_first_chunk::<16>()?;
    Some((u128::from_be_bytes(*target), u128::from_be_bytes(own.try_into().ok()?)))
}

/// The key of a block of identities.
pub(crate) fn run_key(run: u64, first: u128) -> [u8; 24] {
    let mut key = [0; 24];
    let (number, identity) = key.split_at_mut(8);
    number.copy_from_slice(&run.to_be_bytes());
    identity.copy_from_slice(&first.to_be_bytes());
    key
}

/// The run of a block of identities.
pub(crate) fn run_of(key: &[u8]) -> Option<u64> {
    key.first_chunk::<8>().map(|run| u64::from_be_bytes(*run))
}

/// What the keys of buckets of identities begin with.
pub(crate) const BUCKET: &[u8] = b"bucket/";

/// What the keys of what is known of dimensions begin with.
pub(crate) const GROUP: &[u8] = b"group/";

/// The key of what is known of a dimension of a meter. Frozen.
pub(crate) fn group_key(meter: &Meter, (name, path): (&str, &Path)) -> Vec<u8> {
    format!("group/{}\0{name}\0{path}", meter.key).into_bytes()
}

/// What the keys of customers' calendars begin with.
pub(crate) const CALENDAR: &[u8] = b"calendar/";

/// The key of a customer's calendar. Frozen.
pub(crate) fn calendar_key(customer: &str) -> Vec<u8> {
    [CALENDAR, &shard(customer).to_be_bytes(), customer.as_bytes()].concat()
}

/// The customer whose calendar has this key.
pub(crate) fn customer_of_calendar(key: &[u8]) -> Option<&str> {
    let (_, customer) = key.strip_prefix(CALENDAR)?.split_first_chunk::<2>()?;
    std::str::from_utf8(customer).ok()
}

/// The key of the bucket that begins with a run.
pub(crate) fn bucket_key(first_run: u64) -> Vec<u8> {
    [BUCKET, &first_run.to_be_bytes()].concat()
}

/// What the keys of totals begin with whose times are to be found.
pub(crate) const UNTIMED: &[u8] = b"untimed/";

/// The key under which it is noted that a total does not know its times.
pub(crate) fn untimed_key(total: &[u8]) -> Vec<u8> {
    [UNTIMED, total].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key<'a>(subscription: &'a str, period_start: &str) -> TotalKey<'a> {
        TotalKey {
            shard: 0x0102,
            subscription,
            charge: "api",
            plan: "pro",
            cell: NO_CELL,
            period_start: Instant::parse(period_start).unwrap(),
        }
    }

    fn bytes(key: &TotalKey<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        key.write(&mut out);
        out
    }

    #[test]
    fn keys_are_frozen_and_come_back() {
        let key = key("S", "1970-01-01T00:00:01Z");
        let wanted = b"\x01\x02S\0api\0pro\0\0\x80\0\0\0\0\0\0\x01";
        assert_eq!(bytes(&key), wanted);
        assert_eq!(TotalKey::read(wanted), Some(key));
        assert_eq!(run_key(1, 2)[..9], [0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(bucket_key(2), b"bucket/\0\0\0\0\0\0\0\x02");
        assert_eq!(run_of(&run_key(7, 9)), Some(7));
        assert_eq!((shard("CUS-7"), shard("")), (3_770, 812));
    }

    #[test]
    fn keys_sort_by_name_then_time() {
        let sorted = [
            key("S", "1969-12-01T00:00:00Z"),
            key("S", "2026-01-01T00:00:00Z"),
            key("S", "2026-02-01T00:00:00Z"),
            key("S1", "1969-12-01T00:00:00Z"),
        ];
        assert!(sorted.iter().map(bytes).collect::<Vec<_>>().is_sorted());
    }
}
