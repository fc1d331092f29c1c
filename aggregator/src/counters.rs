//! Counters of a partition: where every record that was read has gone.

use crate::codec::{Reader, put_text, put_varint};
use rating::Code;

/// Records by outcome, since the state began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Records read.
    pub read: u64,
    /// Admitted, and rated to zero lines or more.
    pub rated: u64,
    /// Of those rated, the ones that no charge took.
    pub unpriced: u64,
    /// Seen before with the same content.
    pub duplicate: u64,
    /// Refused with a code.
    pub rejected: u64,
    /// Sent on to their owner's partition.
    pub forwarded: u64,
    /// Kept until the catalog knows their subject.
    pub waiting: u64,
}

impl Counters {
    /// Whether every record read has gone exactly one way.
    #[must_use]
    pub const fn balanced(&self) -> bool {
        self.read == self.rated + self.duplicate + self.rejected + self.forwarded + self.waiting
    }

    // Frozen: the order of the numbers.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [
            self.read,
            self.rated,
            self.unpriced,
            self.duplicate,
            self.rejected,
            self.forwarded,
            self.waiting,
        ] {
            put_varint(&mut out, u128::from(number));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut next = || reader.varint().and_then(|number| u64::try_from(number).ok());
        let counters = Self {
            read: next()?,
            rated: next()?,
            unpriced: next()?,
            duplicate: next()?,
            rejected: next()?,
            forwarded: next()?,
            waiting: next()?,
        };
        reader.is_empty().then_some(counters)
    }
}

/// Refused records by code, since the state began to count them so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RejectedByCode([u64; Code::ALL.len()]);

impl RejectedByCode {
    /// How many were refused with a code.
    #[must_use]
    pub fn of(&self, code: Code) -> u64 {
        place_of(code).and_then(|place| self.0.get(place)).copied().unwrap_or(0)
    }

    pub(crate) fn count(&mut self, code: Code) {
        if let Some(number) = place_of(code).and_then(|place| self.0.get_mut(place)) {
            *number += 1;
        }
    }

    // Frozen: each number stands behind the name of its code, so that codes may be added.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, number) in Code::ALL.iter().zip(self.0).filter(|(_, number)| *number > 0) {
            put_text(&mut out, code.name());
            put_varint(&mut out, u128::from(number));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut found = Self::default();
        while !reader.is_empty() {
            let name = reader.text()?;
            let number = u64::try_from(reader.varint()?).ok()?;
            let place = Code::ALL.iter().position(|code| code.name() == name)?;
            *found.0.get_mut(place)? = number;
        }
        Some(found)
    }
}

fn place_of(code: Code) -> Option<usize> {
    Code::ALL.iter().position(|known| *known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_by_code_are_read_back() {
        let mut rejected = RejectedByCode::default();
        for code in [Code::Overflow, Code::TooLarge, Code::Overflow] {
            rejected.count(code);
        }
        let encoded = rejected.encode();
        assert_eq!(RejectedByCode::decode(&encoded), Some(rejected));
        assert_eq!((rejected.of(Code::Overflow), rejected.of(Code::Conflict)), (2, 0));
        assert_eq!(RejectedByCode::decode(&[]), Some(RejectedByCode::default()));
        assert_eq!(RejectedByCode::decode(&encoded[1..]), None);
    }
}
