//! Aggregations: how the records of a scope become one quantity.

use crate::decimal;
use crate::rounding::Rounding;
use ethnum::I256;

/// How records become a quantity. Empty, every one of them is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// The values added up.
    Sum,
    /// The number of records.
    Count,
    /// The greatest value.
    Max,
    /// The least value.
    Min,
    /// The sum over the number of records.
    Average,
    /// How many different values there are.
    UniqueCount,
    /// The value of the greatest (time, source, id).
    Latest,
    /// The value at a rank.
    Percentile(Percentile),
    /// Level changes, each weighted by the share of the period that was left.
    TimeWeightedSum,
}

impl Aggregation {
    /// A number that tells it from others.
    // Frozen: digests of terms hold it.
    #[must_use]
    pub fn digest(self) -> u64 {
        match self {
            Self::Sum => 1,
            Self::Count => 2,
            Self::Max => 3,
            Self::Min => 4,
            Self::Average => 5,
            Self::UniqueCount => 6,
            Self::Latest => 7,
            Self::TimeWeightedSum => 8,
            Self::Percentile(Percentile(scaled)) => {
                u64::try_from(scaled).unwrap_or_default().saturating_add(16)
            }
        }
    }

    /// Whether a total is the sum of what its records say, so that nothing else need be kept.
    #[must_use]
    pub const fn adds_up(self) -> bool {
        match self {
            Self::Sum | Self::Count => true,
            Self::Max
            | Self::Min
            | Self::Average
            | Self::UniqueCount
            | Self::Latest
            | Self::Percentile(_)
            | Self::TimeWeightedSum => false,
        }
    }
}

/// A percentile above 0 and up to 100, in 10^-12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentile(i128);

impl Percentile {
    const HUNDRED: i128 = 100_000_000_000_000;

    /// Reads a decimal above 0 and up to 100 with at most 12 digits after the point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let domain = decimal::Domain { integer_digits: 3, fraction_digits: 12 };
        let scaled = decimal::parse_scaled(text, domain, 12).ok()?;
        (0 < scaled && scaled <= Self::HUNDRED).then_some(Self(scaled))
    }

    /// The nearest rank among so many values, counted from 1: ⌈p/100 × count⌉; 0 of none.
    #[must_use]
    pub fn rank(self, count: u64) -> u64 {
        let product = I256::new(self.0).saturating_mul(I256::from(count));
        let rank = Rounding::quotient_up(product, I256::new(Self::HUNDRED));
        rank.and_then(|rank| u64::try_from(rank).ok()).unwrap_or(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_frozen() {
        let percentile = |text| Aggregation::Percentile(Percentile::parse(text).unwrap());
        let all = [
            (Aggregation::Sum, 1),
            (Aggregation::Count, 2),
            (Aggregation::Max, 3),
            (Aggregation::Min, 4),
            (Aggregation::Average, 5),
            (Aggregation::UniqueCount, 6),
            (Aggregation::Latest, 7),
            (Aggregation::TimeWeightedSum, 8),
            (percentile("95"), 95_000_000_000_016),
            (percentile("0.000000000001"), 17),
        ];
        for (aggregation, digest) in all {
            assert_eq!(aggregation.digest(), digest, "{aggregation:?}");
        }
    }

    #[test]
    fn ranks_are_nearest() {
        for (text, count, rank) in [
            ("95", 0, 0),
            ("95", 1, 1),
            ("95", 20, 19),
            ("95", 21, 20),
            ("100", 7, 7),
            ("0.000000000001", 7, 1),
            ("50", 4, 2),
            ("99.9", 1_000, 999),
        ] {
            assert_eq!(Percentile::parse(text).unwrap().rank(count), rank, "{text} of {count}");
        }
        for wrong in ["0", "-1", "100.000000000001", "p95", ""] {
            assert_eq!(Percentile::parse(wrong), None, "{wrong}");
        }
    }
}
