//! What is kept of an admitted record, and its bytes.

use crate::codec::{Reader, put_signed, put_varint};
use rating::{DimensionHash, Dimensions, Instant, Measured, Quantity};

/// Where an admitted record stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) content_digest: u64,
    /// Position of the source among the state's sources.
    pub(crate) source: u32,
    /// Line or offset within the source.
    pub(crate) position: u64,
}

/// One line of an admitted record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdmittedLine {
    /// A hash of subscription, charge and plan, by which the charge is found again.
    pub(crate) charge: u64,
    pub(crate) measured: Measured,
    /// By which it is found in cells, also in those of versions that are not known yet.
    pub(crate) dimensions: Dimensions,
}

/// What an admitted record was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Usage, with its lines.
    Usage(Content),
    /// A correction of the record with that identity.
    Correction { target: u128 },
}

/// Whom a record named, as shortly as it can be found again: what amends it goes there too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The customer only.
    Customer,
    /// The subscription that its lines are of.
    SubscriptionOfLines,
    /// A subscription of which no charge took it, by a hash of its id.
    Subscription(u64),
}

/// What stands at the place of a record: its own content, or what an amendment put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) used_at: Instant,
    /// Position of its type among the state's; 0 is one that no meter takes.
    pub(crate) event_type: u32,
    pub(crate) named: Named,
    pub(crate) lines: Vec<AdmittedLine>,
}

/// Marks of what an entry is.
const USAGE: u8 = 0;
const CORRECTION: u8 = 1;
/// Marks of a line, beside the power of ten of its quantity: a hash of its value, where values are
/// told apart, and its dimensions, where it has any, stand behind the quantity.
const DISTINCT: u8 = 0x80;
const DIMENSIONS: u8 = 0x40;

// Frozen: the bytes of an entry.
pub(crate) fn write_entry(
    out: &mut Vec<u8>,
    (identity, seen): (u128, Seen),
    what: (Instant, u32, Named),
    lines: &[AdmittedLine],
    target: Option<u128>,
) {
    out.extend_from_slice(&identity.to_be_bytes());
    out.extend_from_slice(&seen.content_digest.to_le_bytes());
    put_varint(out, u128::from(seen.source));
    put_varint(out, u128::from(seen.position));
    if let Some(target) = target {
        out.push(CORRECTION);
        out.extend_from_slice(&target.to_be_bytes());
        return;
    }
    out.push(USAGE);
    write_content(out, what, lines);
}

/// Writes what stands at the place of a record.
pub(crate) fn write_content(
    out: &mut Vec<u8>,
    (used_at, event_type, named): (Instant, u32, Named),
    lines: &[AdmittedLine],
) {
    put_signed(out, used_at.nanos());
    let mark = match named {
        Named::Customer => 0,
        Named::SubscriptionOfLines => 1,
        Named::Subscription(_) => 2,
    };
    put_varint(out, (u128::from(event_type) << 2) | mark);
    if let Named::Subscription(hash) = named {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    put_varint(out, lines.len() as u128);
    for line in lines {
        let Measured { quantity, distinct } = line.measured;
        out.extend_from_slice(&line.charge.to_le_bytes());
        let (digits, power) = without_zeros(quantity.scaled());
        let distinct_mark = if distinct == 0 { 0 } else { DISTINCT };
        let dimensions_mark = if line.dimensions.is_empty() { 0 } else { DIMENSIONS };
        out.push(power | distinct_mark | dimensions_mark);
        put_signed(out, digits);
        if distinct != 0 {
            out.extend_from_slice(&distinct.to_be_bytes());
        }
        if !line.dimensions.is_empty() {
            put_varint(out, line.dimensions.len() as u128);
            for dimension in &line.dimensions {
                out.extend_from_slice(&dimension.bits().to_le_bytes());
            }
        }
    }
}

/// Reads what [`write_content`] wrote.
pub(crate) fn read_content(reader: &mut Reader<'_>) -> Option<Content> {
    let used_at = reader.instant()?;
    let kind = reader.varint()?;
    let event_type = u32::try_from(kind >> 2).ok()?;
    let named = match kind & 3 {
        0 => Named::Customer,
        1 => Named::SubscriptionOfLines,
        2 => Named::Subscription(u64::from_le_bytes(reader.take(8)?.try_into().ok()?)),
        _ => return None,
    };
    let mut lines = Vec::new();
    for _ in 0..reader.varint()? {
        let charge = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
        let mark = reader.byte()?;
        let power = 10i128.checked_pow(u32::from(mark & !(DISTINCT | DIMENSIONS)))?;
        let quantity = Quantity::from_scaled(reader.signed()?.checked_mul(power)?);
        let distinct = if mark & DISTINCT == 0 {
            0
        } else {
            u128::from_be_bytes(reader.take(16)?.try_into().ok()?)
        };
        let mut dimensions = Dimensions::new();
        if mark & DIMENSIONS != 0 {
            for _ in 0..reader.varint()? {
                let bits = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
                dimensions.push(DimensionHash::from_bits(bits));
            }
        }
        let measured = Measured { quantity, distinct };
        lines.push(AdmittedLine { charge, measured, dimensions });
    }
    Some(Content { used_at, event_type, named, lines })
}

/// Splits zeros off the end: most quantities have few digits and then take few bytes.
fn without_zeros(scaled: i128) -> (i128, u8) {
    // Those that fit a machine word, nearly all, are divided fast; the others are kept as they are.
    let Ok(mut digits) = i64::try_from(scaled) else { return (scaled, 0) };
    let mut power = 0;
    for (divisor, zeros) in [(1_000_000_000, 9), (1_000, 3), (10, 1), (10, 1)] {
        if digits != 0 && digits % divisor == 0 {
            digits /= divisor;
            power += zeros;
        }
    }
    (i128::from(digits), power)
}

/// What a run says of one identity.
pub(crate) struct Entry {
    pub(crate) identity: u128,
    pub(crate) seen: Seen,
    pub(crate) admitted: Admitted,
}

/// Reads what [`write_entry`] wrote.
pub(crate) fn read_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let identity = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
    let content_digest = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
    let source = u32::try_from(reader.varint()?).ok()?;
    let position = reader.number()?;
    let admitted = match reader.byte()? {
        USAGE => Admitted::Usage(read_content(reader)?),
        CORRECTION => {
            let target = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
            Admitted::Correction { target }
        }
        _ => return None,
    };
    Some(Entry { identity, seen: Seen { content_digest, source, position }, admitted })
}
