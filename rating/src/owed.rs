//! What is owed: a usage amount after its discount, exactly.
//!
//! A discount of 12 decimals, in percent, makes 38 decimals of an amount's 24. 256 bits leave 38
//! digits before the point, more than any amount has.

use crate::decimal;
use crate::money::{AMOUNT_SCALE, Amount, Currency, Money, PRICE_SCALE, Price};
use crate::rounding::Rounding;
use ethnum::I256;
use std::fmt;

/// Digits after the point of what is owed.
pub const OWED_SCALE: u32 = AMOUNT_SCALE + PRICE_SCALE + 2;

/// What is owed, in 10^-38 of the major unit. Never rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owed(I256);

/// A hundred percent, in 10^-12 percent.
const WHOLE: i128 = 100 * 10i128.pow(PRICE_SCALE);

impl Default for Owed {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Owed {
    /// Nothing.
    pub const ZERO: Self = Self(I256::ZERO);

    /// An amount as it is; `None` where it leaves the domain.
    #[must_use]
    pub fn of(amount: Amount) -> Option<Self> {
        amount.scaled().checked_mul(I256::new(WHOLE)).map(Self)
    }

    /// An amount after a discount of so many percent, up to 100.
    #[must_use]
    pub fn after_discount(amount: Amount, percent: Price) -> Option<Self> {
        let left = WHOLE.checked_sub(percent.scaled())?;
        amount.scaled().checked_mul(I256::new(left)).map(Self)
    }

    /// The sum, or `None` where it leaves the domain.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// What it is as money of `currency`, rounded once; `None` beyond 127 bits of minor units.
    #[must_use]
    pub fn to_money(self, currency: Currency, rounding: Rounding) -> Option<Money> {
        let places = OWED_SCALE.checked_sub(currency.exponent())?;
        let minor = rounding.quotient(self.0, I256::new(10).checked_pow(places)?)?;
        Some(Money::from_minor(i128::try_from(minor).ok()?, currency))
    }
}

impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::write_scaled(f, self.0, OWED_SCALE as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Quantity;

    #[test]
    fn what_is_owed_adds_up() {
        let owed = |text| Owed::of(Price::parse(text).unwrap().once()).unwrap();
        assert_eq!(owed("1.5").checked_add(owed("0.25")), Some(owed("1.75")));
        assert_eq!(owed("1.5").checked_add(Owed::ZERO), Some(owed("1.5")));
    }

    #[test]
    fn a_discount_is_exact() {
        let amount = Price::parse("0.000000000001").unwrap();
        let amount = amount.times(Quantity::parse("0.000000001").unwrap());
        let discount = Price::parse("0.000000000001").unwrap();
        let owed = Owed::after_discount(amount, discount).unwrap();
        assert_eq!(owed.to_string(), "0.00000000000000000000099999999999999");
        assert_eq!(Owed::after_discount(amount, Price::parse("100").unwrap()), Some(Owed::ZERO));
    }
}
