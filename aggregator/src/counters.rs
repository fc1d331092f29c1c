//! Counters of a partition: where every record that was read has gone.

use crate::codec::{Reader, put_varint};

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
