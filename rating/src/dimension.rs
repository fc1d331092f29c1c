//! Dimensions: what a meter knows of a record beside its quantity, such as a region.

use smallvec::SmallVec;
use twox_hash::XxHash3_64;

/// A hash of a dimension and its value, by which cells of matrices are found.
///
/// States keep those of every record instead of the texts, so that a record can be found in the
/// cells of versions that came after it. They need no secret: whoever can choose a value that
/// hashes like that of a cell can as well choose the value of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DimensionHash(u64);

/// The dimensions of a record that a meter finds, in the order of its `group_by`.
pub type Dimensions = SmallVec<[DimensionHash; 2]>;

impl DimensionHash {
    /// Of a name and a value.
    // Frozen: states keep them.
    #[must_use]
    pub fn of(name: &str, value: &str) -> Self {
        let seed = XxHash3_64::oneshot(name.as_bytes());
        Self(XxHash3_64::oneshot_with_seed(seed, value.as_bytes()))
    }

    /// One that was kept.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// What is kept of it.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}
