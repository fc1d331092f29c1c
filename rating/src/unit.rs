//! Units: a quantity as it is metered, turned into the unit that is priced.

use crate::money::Price;
use crate::quantity::{QUANTITY_SCALE, Quantity};
use crate::rounding::Rounding;
use ethnum::I256;

/// What becomes of the remainder of a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitRounding {
    /// Nothing: the quotient keeps 12 decimals.
    None,
    /// A unit begun is a whole one.
    Up,
    /// A unit begun does not count.
    Down,
    /// Half a unit is a whole one.
    HalfUp,
}

impl UnitRounding {
    /// The names of a catalog.
    pub const NAMES: [(&'static str, Self); 4] =
        [("none", Self::None), ("up", Self::Up), ("down", Self::Down), ("half_up", Self::HalfUp)];
}

/// How many metered units make one that is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Above zero.
    pub divide_by: Price,
    /// What becomes of the remainder.
    pub rounding: UnitRounding,
}

impl Unit {
    /// A metered quantity in priced units; `None` where it leaves the domain.
    #[must_use]
    pub fn convert(&self, metered: Quantity) -> Option<Quantity> {
        const ONE: i128 = 10i128.pow(QUANTITY_SCALE);
        let (metered, divisor) = (I256::new(metered.scaled()), I256::new(self.divide_by.scaled()));
        // Both have 12 decimals, so their quotient is a whole number of units.
        let quotient = match self.rounding {
            UnitRounding::None => {
                let metered = metered.checked_mul(I256::new(ONE))?;
                return to_quantity(Rounding::HalfAwayFromZero.quotient(metered, divisor)?);
            }
            UnitRounding::Up => Rounding::quotient_up(metered, divisor)?,
            UnitRounding::Down => Rounding::quotient_down(metered, divisor)?,
            UnitRounding::HalfUp => Rounding::HalfAwayFromZero.quotient(metered, divisor)?,
        };
        to_quantity(quotient.checked_mul(I256::new(ONE))?)
    }
}

fn to_quantity(scaled: I256) -> Option<Quantity> {
    i128::try_from(scaled).ok().map(Quantity::from_scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_go_where_the_rounding_says() {
        use UnitRounding::{Down, HalfUp, None, Up};
        for (rounding, metered, wanted) in [
            (None, "10", "3.333333333333"),
            (None, "20", "6.666666666667"),
            (Up, "10", "4"),
            (Up, "9", "3"),
            (Down, "11.999999999", "3"),
            (HalfUp, "10.5", "4"),
            (HalfUp, "10.499999999", "3"),
        ] {
            let unit = Unit { divide_by: Price::parse("3").unwrap(), rounding };
            let found = unit.convert(Quantity::parse(metered).unwrap()).unwrap();
            assert_eq!(found.to_string(), wanted, "{metered} {rounding:?}");
        }
    }
}
