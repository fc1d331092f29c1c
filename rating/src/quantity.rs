//! Quantities: how much was used, exactly.
//!
//! A quantity is an integer of 10^-12 units. Records carry up to 15 digits before and 9 after the
//! point; the three spare places are for quotients, which are rounded to 12. The sum of 10^11
//! largest records still fits.

use crate::decimal::{self, DecimalError, Domain};
use ethnum::I256;
use std::fmt;

/// Digits after the point that a [`Quantity`] keeps.
pub const QUANTITY_SCALE: u32 = 12;

/// An exact number of units, in 10^-12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Quantity(i128);

impl Quantity {
    /// No units.
    pub const ZERO: Self = Self(0);
    /// What a usage record or a catalog may state: 15 digits before and 9 after the point.
    pub const DOMAIN: Domain = Domain { integer_digits: 15, fraction_digits: 9 };

    /// Reads a decimal of [`Quantity::DOMAIN`].
    ///
    /// # Errors
    /// [`DecimalError`] if the text is no decimal or leaves the domain.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        decimal::parse_scaled(text, Self::DOMAIN, QUANTITY_SCALE).map(Self)
    }

    /// A whole number of units; `None` beyond the domain of sums.
    #[must_use]
    pub fn from_units(units: i64) -> Option<Self> {
        i128::from(units).checked_mul(10i128.checked_pow(QUANTITY_SCALE)?).map(Self)
    }

    /// The quantity of so many 10^-12 units.
    #[must_use]
    pub const fn from_scaled(scaled: i128) -> Self {
        Self(scaled)
    }

    /// The number of 10^-12 units.
    #[must_use]
    pub const fn scaled(self) -> i128 {
        self.0
    }

    /// The sum, or `None` where it leaves the domain.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it leaves the domain.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The same size with the other sign, or `None` where it leaves the domain.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// How many whole `size`s it takes to cover this quantity; `None` unless both are positive.
    #[must_use]
    pub fn blocks_of(self, size: Self) -> Option<i128> {
        if self.0 < 0 || size.0 <= 0 {
            return None;
        }
        // A machine word holds most quantities and divides many times faster.
        if let (Ok(quantity), Ok(size)) = (u64::try_from(self.0), u64::try_from(size.0)) {
            return Some(i128::from(quantity.div_ceil(size)));
        }
        let whole = self.0.checked_div(size.0)?;
        let rest = self.0.checked_rem(size.0)?;
        whole.checked_add(i128::from(rest > 0))
    }
}

impl Quantity {
    /// Appends the quantity as [`fmt::Display`] writes it, without its detours.
    ///
    /// # Errors
    /// Whatever `out` refuses; a string refuses nothing.
    pub fn write_to(self, out: &mut impl fmt::Write) -> fmt::Result {
        decimal::write_scaled(out, I256::new(self.0), QUANTITY_SCALE as usize)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_zero_is_negative() {
        let quantity = |text| Quantity::parse(text).unwrap();
        assert!(quantity("-0.000000001").is_negative());
        assert!(!Quantity::ZERO.is_negative());
        assert!(!quantity("0.000000001").is_negative());
    }

    #[test]
    fn blocks_cover_fractions() {
        let quantity = |text| Quantity::parse(text).unwrap();
        for (used, size, blocks) in [("0", "10", 0), ("10", "10", 1), ("10.000000001", "10", 2)] {
            assert_eq!(quantity(used).blocks_of(quantity(size)), Some(blocks), "{used}");
        }
        assert_eq!(quantity("1").blocks_of(Quantity::ZERO), None);
        assert_eq!(quantity("-1").blocks_of(quantity("1")), None);
    }
}
