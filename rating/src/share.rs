//! Shares: how much of a whole period a subscription was active in.

use crate::money::Price;
use crate::quantity::Quantity;
use crate::rounding::Rounding;
use ethnum::I256;

/// Active days out of the days of a whole period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Days active.
    pub active: u32,
    /// Days from cycle day to cycle day, above zero.
    pub whole: u32,
}

impl Share {
    /// A whole period.
    pub const WHOLE: Self = Self { active: 1, whole: 1 };

    /// This share of a number of 10^-12, half away from zero; `None` where it does not fit.
    #[must_use]
    pub fn of_scaled(self, scaled: i128) -> Option<i128> {
        if self.active == self.whole {
            return Some(scaled);
        }
        let product = I256::new(scaled).checked_mul(I256::from(self.active))?;
        let quotient = Rounding::HalfAwayFromZero.quotient(product, I256::from(self.whole))?;
        i128::try_from(quotient).ok()
    }

    /// This share of a price, to 12 decimals.
    #[must_use]
    pub fn of_price(self, price: Price) -> Option<Price> {
        self.of_scaled(price.scaled()).map(Price::from_scaled)
    }

    /// This share of a quantity, to 12 decimals.
    #[must_use]
    pub fn of(self, quantity: Quantity) -> Option<Quantity> {
        self.of_scaled(quantity.scaled()).map(Quantity::from_scaled)
    }
}
