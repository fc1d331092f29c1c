//! Bytes of stored positions: the parts, and the rows in their blocks.
//!
//! Frozen: a change of any layout here takes a new version byte and a reader for the old one.

use crate::codec::{Reader, put_amount, put_signed, put_text, put_varint};
use ethnum::I256;
use rating::{
    Contribution, FreedBlocks, Instant, Kept, Period, Position, PositionPart, Quantity, RecordKey,
    Rows, Share, Tally,
};

const POSITION_VERSION: u8 = 2;

/// Writes a position without its rows.
pub(crate) fn encode_position(out: &mut Vec<u8>, position: &Position) {
    out.push(POSITION_VERSION);
    out.push(match position.kept {
        Kept::Nothing => 0,
        Kept::Distinct(_) => 1,
        Kept::Records(_) => 2,
    });
    out.extend_from_slice(&position.grids.to_le_bytes());
    put_varint(out, position.parts.len() as u128);
    for part in &position.parts {
        for instant in [part.start, part.period.start, part.period.end] {
            put_signed(out, instant.nanos());
        }
        for number in [part.share.active, part.share.whole, part.number] {
            put_varint(out, u128::from(number));
        }
        encode_tally(out, &part.tally);
        put_amount(out, part.full_fees);
        for quantity in [part.carried, part.adds.quantity, part.adds.billable] {
            put_signed(out, quantity.scaled());
        }
        put_amount(out, part.adds.amount);
    }
}

fn encode_tally(out: &mut Vec<u8>, tally: &Tally) {
    match tally {
        Tally::Sum(sum) => {
            out.push(0);
            put_signed(out, sum.scaled());
        }
        Tally::Mean { sum, count } => {
            out.push(1);
            put_signed(out, sum.scaled());
            put_varint(out, u128::from(*count));
        }
        Tally::Values(_) => out.push(2),
        Tally::Distinct(new) => {
            out.push(3);
            put_varint(out, u128::from(*new));
        }
        Tally::Latest => out.push(4),
        Tally::Weighted { level, weighted } => {
            out.push(5);
            put_signed(out, level.scaled());
            out.extend_from_slice(&weighted.to_le_bytes());
        }
    }
}

/// Reads a position; its rows are still to be put in.
pub(crate) fn decode_position(bytes: &[u8]) -> Option<Position> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != POSITION_VERSION {
        return None;
    }
    let kept = match reader.byte()? {
        0 => Kept::Nothing,
        1 => Kept::Distinct(Rows::default()),
        2 => Kept::Records(Rows::default()),
        _ => return None,
    };
    let grids = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
    let count = reader.number()?;
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push(decode_part(&mut reader)?);
    }
    let freed_blocks = FreedBlocks::default();
    reader.is_empty().then_some(Position { parts, kept, freed_blocks, grids })
}

fn decode_part(reader: &mut Reader<'_>) -> Option<PositionPart> {
    let start = reader.instant()?;
    let period = Period { start: reader.instant()?, end: reader.instant()? };
    let mut number = || u32::try_from(reader.varint()?).ok();
    let share = Share { active: number()?, whole: number()? };
    let number = number()?;
    let tally = match reader.byte()? {
        0 => Tally::Sum(reader.quantity()?),
        1 => Tally::Mean { sum: reader.quantity()?, count: reader.number()? },
        2 => Tally::Values(Rows::default()),
        3 => Tally::Distinct(reader.number()?),
        4 => Tally::Latest,
        5 => {
            let level = reader.quantity()?;
            let weighted = I256::from_le_bytes(reader.take(32)?.try_into().ok()?);
            Tally::Weighted { level, weighted }
        }
        _ => return None,
    };
    let full_fees = reader.amount()?;
    let (carried, quantity) = (reader.quantity()?, reader.quantity()?);
    let billable = reader.quantity()?;
    let adds = Contribution { quantity, billable, amount: reader.amount()? };
    Some(PositionPart { start, period, share, number, tally, full_fees, carried, adds })
}

/// Rows that are stored in blocks.
pub(crate) trait Row: Sized {
    fn encode(&self, before: Option<&Self>, out: &mut Vec<u8>);
    fn decode(reader: &mut Reader<'_>, before: Option<&Self>) -> Option<Self>;
}

impl Row for (Quantity, u64) {
    fn encode(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        // Values lie close to each other; differences are short. They wrap, and wrap back.
        let before = before.map_or(0, |(value, _)| value.scaled());
        put_signed(out, self.0.scaled().wrapping_sub(before));
        put_varint(out, u128::from(self.1));
    }

    fn decode(reader: &mut Reader<'_>, before: Option<&Self>) -> Option<Self> {
        let before = before.map_or(0, |(value, _)| value.scaled());
        let value = before.wrapping_add(reader.signed()?);
        Some((Quantity::from_scaled(value), reader.number()?))
    }
}

impl Row for ((u128, Instant), u64) {
    fn encode(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.0.to_be_bytes());
        put_signed(out, self.0.1.nanos());
        put_varint(out, u128::from(self.1));
    }

    fn decode(reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let hash = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
        Some(((hash, reader.instant()?), reader.number()?))
    }
}

impl Row for (RecordKey, Quantity) {
    fn encode(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        let before = before.map_or(0, |(key, _)| key.at.nanos());
        put_signed(out, self.0.at.nanos().wrapping_sub(before));
        put_text(out, &self.0.source);
        put_text(out, &self.0.id);
        put_signed(out, self.1.scaled());
    }

    fn decode(reader: &mut Reader<'_>, before: Option<&Self>) -> Option<Self> {
        let before = before.map_or(0, |(key, _)| key.at.nanos());
        let at = Instant::from_nanos(before.wrapping_add(reader.signed()?));
        let (source, id) = (reader.text()?.into(), reader.text()?.into());
        Some((RecordKey { at, source, id }, reader.quantity()?))
    }
}

/// Writes a block of rows.
pub(crate) fn encode_rows<R: Row>(out: &mut Vec<u8>, rows: &[R]) {
    let mut before = None;
    for row in rows {
        row.encode(before, out);
        before = Some(row);
    }
}

/// Reads a block of rows.
pub(crate) fn decode_rows<R: Row>(bytes: &[u8]) -> Option<Vec<R>> {
    let mut reader = Reader::new(bytes);
    let mut rows: Vec<R> = Vec::new();
    while !reader.is_empty() {
        let row = R::decode(&mut reader, rows.last())?;
        rows.push(row);
    }
    Some(rows)
}
