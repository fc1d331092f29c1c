//! Bytes of stored values. Every value begins with the version of its layout.
//!
//! Integers are little-endian base 128; signed ones are folded so that small sizes stay short.
//! Frozen: a change of any layout here takes a new version byte and a reader for the old one.

use ethnum::{I256, U256};
use rating::{Amount, Instant, Part, Quantity, Sums, Times, TimesEnd, Total};

/// Version of the layout of a total.
const TOTAL_VERSION: u8 = 2;

pub(crate) fn put_varint(out: &mut Vec<u8>, value: u128) {
    // Nearly all fit half the width, in which shifts are cheap.
    match u64::try_from(value) {
        Ok(mut value) => {
            while value >= 0x80 {
                out.push(low_seven(value.into()) | 0x80);
                value >>= 7;
            }
            out.push(low_seven(value.into()));
        }
        Err(_) => put_wide_varint(out, value),
    }
}

fn put_wide_varint(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(low_seven(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven(value));
}

fn low_seven(value: u128) -> u8 {
    u8::try_from(value & 0x7F).unwrap_or_default()
}

/// Folds the sign into the lowest bit.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i128) {
    put_varint(out, ((value << 1) ^ (value >> 127)).cast_unsigned());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u128);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_amount(out: &mut Vec<u8>, amount: Amount) {
    // Length and significant bytes of the two's complement, lowest first.
    let bytes = amount.scaled().to_le_bytes();
    let sign = if amount.scaled() < I256::ZERO { 0xFF } else { 0 };
    let mut length = bytes.iter().rposition(|byte| *byte != sign).map_or(0, |at| at + 1);
    // The highest kept bit must still tell the sign.
    let top = length.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
    if (top & 0x80) != (sign & 0x80) {
        length += 1;
    }
    put_varint(out, length as u128);
    out.extend_from_slice(bytes.get(..length).unwrap_or(&bytes));
}

/// Reads what the functions above wrote; `None` where the bytes end or make no sense.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn varint(&mut self) -> Option<u128> {
        let mut value = 0u128;
        let mut shift = 0u32;
        loop {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    pub(crate) fn signed(&mut self) -> Option<i128> {
        let folded = self.varint()?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        self.varint().and_then(|number| u64::try_from(number).ok())
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    pub(crate) fn amount(&mut self) -> Option<Amount> {
        let length = usize::try_from(self.varint()?).ok()?;
        let taken = self.take(length)?;
        let sign = if taken.last().is_some_and(|top| top & 0x80 != 0) { 0xFF } else { 0 };
        let mut bytes = [sign; 32];
        bytes.get_mut(..length)?.copy_from_slice(taken);
        Some(Amount::from_scaled(I256::from_le_bytes(bytes)))
    }

    pub(crate) fn quantity(&mut self) -> Option<Quantity> {
        self.signed().map(Quantity::from_scaled)
    }

    pub(crate) fn instant(&mut self) -> Option<Instant> {
        self.signed().map(Instant::from_nanos)
    }
}

/// A total as it is stored: with what it takes to show it without its key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredTotal {
    pub(crate) total: Total,
    pub(crate) period_end: Instant,
}

pub(crate) fn encode_total(out: &mut Vec<u8>, total: &Total, period_end: Instant) {
    out.push(TOTAL_VERSION);
    out.push(u8::from(total.closed));
    put_varint(out, u128::from(total.revision));
    put_signed(out, period_end.nanos());
    put_varint(out, u128::from(total.records));
    if total.records > 0 {
        put_times(out, &total.times);
    }
    out.extend_from_slice(&total.terms_digest.to_le_bytes());
    out.extend_from_slice(&total.lineage.to_le_bytes());
    put_amount(out, total.rated);
    put_varint(out, total.parts.len() as u128);
    for part in &total.parts {
        put_signed(out, part.from.nanos());
        put_signed(out, part.quantity.scaled());
    }
    if let Some(sums) = &total.sums {
        for quantity in [sums.quantity, sums.billable, sums.carried] {
            put_signed(out, quantity.scaled());
        }
    }
}

/// In place of the last times: all are among the first.
const ALL_ARE_FIRST: u128 = 1;

// Frozen: the bytes of times. Of each end, twice how many are kept, and 1 where there are no
// others; the outermost, and from each to the next; else to the bound of the others.
fn put_times(out: &mut Vec<u8>, times: &Times) {
    let [first, last] = times.ends();
    put_end(out, first);
    if first.bound().is_none() && last.bound().is_none() {
        put_varint(out, ALL_ARE_FIRST);
    } else {
        put_end(out, last);
    }
}

fn put_end(out: &mut Vec<u8>, end: &TimesEnd) {
    let (kept, bound) = (end.kept(), end.bound());
    put_varint(out, ((kept.len() as u128) << 1) | u128::from(bound.is_none()));
    let mut before = None;
    for time in kept.iter().copied().chain(bound) {
        match before {
            None => put_signed(out, time),
            Some(before) => put_varint(out, time.abs_diff(before)),
        }
        before = Some(time);
    }
}

fn read_times(reader: &mut Reader<'_>) -> Option<Times> {
    let mark = reader.varint()?;
    let first = read_end(reader, mark)?;
    let mark = reader.varint()?;
    if mark != ALL_ARE_FIRST {
        return Some(Times::of(first, read_end(reader, mark)?));
    }
    let last: Vec<i128> = first.kept().iter().rev().map(|time| !time).collect();
    Some(Times::of(first, TimesEnd::of(&last, None)?))
}

fn read_end(reader: &mut Reader<'_>, mark: u128) -> Option<TimesEnd> {
    let (length, has_bound) = (mark >> 1, mark & 1 == 0);
    let mut times = Vec::new();
    for _ in 0..length.checked_add(u128::from(has_bound))? {
        let time = match times.last().copied() {
            None => reader.signed()?,
            Some(before) => i128::checked_add_unsigned(before, reader.varint()?)?,
        };
        times.push(time);
    }
    let bound = if has_bound { times.pop() } else { None };
    TimesEnd::of(&times, bound)
}

pub(crate) fn decode_total(bytes: &[u8]) -> Option<StoredTotal> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != TOTAL_VERSION {
        return None;
    }
    let mut total = Total { closed: reader.byte()? == 1, ..Total::default() };
    total.revision = u32::try_from(reader.varint()?).ok()?;
    let period_end = reader.instant()?;
    total.records = reader.number()?;
    if total.records > 0 {
        total.times = read_times(&mut reader)?;
    }
    total.terms_digest = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
    total.lineage = U256::from_le_bytes(reader.take(32)?.try_into().ok()?);
    total.rated = reader.amount()?;
    for _ in 0..reader.varint()? {
        let from = reader.instant()?;
        total.parts.push(Part { from, quantity: reader.quantity()? });
    }
    if !reader.is_empty() {
        let (quantity, billable) = (reader.quantity()?, reader.quantity()?);
        total.sums = Some(Sums { quantity, billable, carried: reader.quantity()? });
    }
    reader.is_empty().then_some(StoredTotal { total, period_end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn totals_come_back_as_they_were(
            rated in any::<[u8; 32]>(),
            shift in 0u32..256,
            quantities in proptest::collection::vec(any::<i128>(), 0..4),
            added in proptest::collection::vec(any::<i128>(), 0..9),
            taken_back in 0usize..9,
            lineage in any::<[u8; 32]>(),
            closed in any::<bool>(),
            sums in any::<Option<[i128; 3]>>(),
        ) {
            let mut total = Total {
                parts: quantities
                    .iter()
                    .map(|quantity| Part {
                        from: Instant::MIN,
                        quantity: Quantity::from_scaled(*quantity),
                    })
                    .collect(),
                sums: sums.map(|[quantity, billable, carried]| Sums {
                    quantity: Quantity::from_scaled(quantity),
                    billable: Quantity::from_scaled(billable),
                    carried: Quantity::from_scaled(carried),
                }),
                rated: Amount::from_scaled(I256::from_le_bytes(rated) >> shift),
                records: 0,
                times: Times::default(),
                lineage: U256::from_le_bytes(lineage),
                revision: 3,
                closed,
                terms_digest: 7,
            };
            let added: Vec<Instant> =
                added.into_iter().map(|nanos| Instant::from_nanos(nanos >> 1)).collect();
            added.iter().for_each(|at| total.note_added(*at));
            added.iter().take(taken_back).for_each(|at| total.note_taken_back(*at));
            let mut bytes = Vec::new();
            encode_total(&mut bytes, &total, Instant::MAX);
            let found = decode_total(&bytes);
            prop_assert_eq!(found, Some(StoredTotal { total, period_end: Instant::MAX }));
            let whole = decode_total(&bytes).unwrap();
            for length in 0..bytes.len() {
                prop_assert_ne!(decode_total(&bytes[..length]), Some(whole.clone()));
            }
        }
    }

    #[test]
    fn layouts_are_frozen() {
        let mut out = Vec::new();
        put_varint(&mut out, 300);
        put_signed(&mut out, -1);
        put_text(&mut out, "é");
        put_amount(&mut out, Amount::from_scaled(I256::new(-129)));
        put_amount(&mut out, Amount::from_scaled(I256::new(128)));
        put_amount(&mut out, Amount::ZERO);
        assert_eq!(out, [0xAC, 2, 1, 2, 0xC3, 0xA9, 2, 0x7F, 0xFF, 2, 0x80, 0, 0]);
        let times = |nanos: &[i128]| {
            let (mut times, mut out) = (Times::default(), Vec::new());
            nanos.iter().for_each(|nanos| times.add(Instant::from_nanos(*nanos)));
            put_times(&mut out, &times);
            out
        };
        assert_eq!(times(&[20, 10]), [5, 20, 10, 1]);
        assert_eq!(times(&[40, 10, 20, 30]), [6, 20, 10, 10, 0, 6, 81, 10, 10, 0]);
    }
}
