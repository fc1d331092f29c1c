//! Tiers: stretches of the line of units, each with its own price.
//!
//! A tier reaches from its lower bound, not included, to `up_to`, included, and is continuous over
//! fractions: of 10.5 units with a bound at 10, half a unit lies in the next tier. A tier is
//! *entered* when the quantity exceeds its lower bound, and its flat price is due from then on.

use crate::money::{Amount, Price};
use crate::quantity::Quantity;

/// What the units in a tier cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierRate {
    /// Each unit.
    Unit(Price),
    /// Each block of units begun.
    Block {
        /// Units in a block, above zero.
        size: Quantity,
        /// What a block costs.
        price: Price,
    },
}

impl TierRate {
    fn amount(self, units: Quantity) -> Option<Amount> {
        match self {
            Self::Unit(price) => Some(price.times(units)),
            Self::Block { size, price } => price.times_blocks(units.blocks_of(size)?),
        }
    }
}

/// One tier as a catalog states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Its upper bound, included; `None` for the last.
    pub up_to: Option<Quantity>,
    /// What its units cost.
    pub rate: TierRate,
    /// What is due once it is entered.
    pub flat_price: Price,
}

/// What is wrong with a list of tiers, and at which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TiersError {
    /// No tier at all.
    #[error("at least one tier is needed")]
    Empty,
    /// A bound that does not exceed the one before, or zero.
    #[error("`up_to` must rise from tier to tier, beginning above 0")]
    NotRising(usize),
    /// A tier behind one without a bound.
    #[error("only the last tier may have `up_to` null")]
    OpenBeforeLast(usize),
    /// A last tier with a bound.
    #[error("the last tier must have `up_to` null, so that no quantity is without a price")]
    LastHasEnd(usize),
    /// Amounts that leave their domain already at a bound.
    #[error("the amounts of these tiers leave the domain")]
    Overflow(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placed {
    tier: Tier,
    lower: Quantity,
    /// What a graduated price has come to when the quantity stands at `lower`, with the flat
    /// prices of the tiers entered until then.
    before: Amount,
}

/// Tiers in rising order, the last one open-ended. [`Tiers::new`] is the only way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers {
    tiers: Vec<Placed>,
    flat_price_at_zero: bool,
}

impl Tiers {
    /// Checks and places tiers; with `flat_price_at_zero` the first flat price is due unused too.
    ///
    /// # Errors
    /// [`TiersError`] with the index of the first tier that is wrong.
    pub fn new(tiers: &[Tier], flat_price_at_zero: bool) -> Result<Self, TiersError> {
        let last = tiers.len().checked_sub(1).ok_or(TiersError::Empty)?;
        let mut placed = Vec::with_capacity(tiers.len());
        let (mut lower, mut before) = (Quantity::ZERO, Amount::ZERO);
        for (index, tier) in tiers.iter().enumerate() {
            placed.push(Placed { tier: *tier, lower, before });
            match tier.up_to {
                None if index < last => return Err(TiersError::OpenBeforeLast(index)),
                None => {}
                Some(_) if index == last => return Err(TiersError::LastHasEnd(index)),
                Some(up_to) if up_to <= lower => return Err(TiersError::NotRising(index)),
                Some(up_to) => {
                    before = up_to
                        .checked_sub(lower)
                        .and_then(|units| tier.rate.amount(units))
                        .and_then(|amount| amount.checked_add(before))
                        .and_then(|amount| amount.checked_add(tier.flat_price.once()))
                        .ok_or(TiersError::Overflow(index))?;
                    lower = up_to;
                }
            }
        }
        Ok(Self { tiers: placed, flat_price_at_zero })
    }

    /// Whether there is something to pay at quantity 0.
    #[must_use]
    pub const fn costs_unused(&self) -> bool {
        self.flat_price_at_zero
    }

    /// What is to pay at quantity 0: the same by all three ways of reading tiers.
    #[must_use]
    pub fn amount_at_zero(&self) -> Amount {
        let first = self.tiers.first().filter(|_| self.flat_price_at_zero);
        first.map_or(Amount::ZERO, |first| first.tier.flat_price.once())
    }

    /// The tier that `quantity` ends in.
    fn ending(&self, quantity: Quantity) -> Option<&Placed> {
        // Plans have a handful of tiers: walking from the top is faster than a binary search.
        let entered = self.tiers.iter().rev().find(|placed| placed.lower < quantity);
        entered.or_else(|| self.tiers.first())
    }

    fn flat_price(&self, placed: &Placed, quantity: Quantity) -> Amount {
        let entered = placed.lower < quantity || self.flat_price_at_zero;
        if entered { placed.tier.flat_price.once() } else { Amount::ZERO }
    }

    /// Each tier prices the units that fall in it, plus the flat prices of entered tiers.
    #[must_use]
    pub fn graduated(&self, quantity: Quantity) -> Option<Amount> {
        let placed = self.ending(quantity)?;
        let inside = placed.tier.rate.amount(quantity.checked_sub(placed.lower)?)?;
        placed.before.checked_add(inside)?.checked_add(self.flat_price(placed, quantity))
    }

    /// The one tier that the quantity ends in prices all of it, plus its flat price.
    #[must_use]
    pub fn volume(&self, quantity: Quantity) -> Option<Amount> {
        let placed = self.ending(quantity)?;
        placed.tier.rate.amount(quantity)?.checked_add(self.flat_price(placed, quantity))
    }

    /// The flat price of the tier that the quantity ends in.
    #[must_use]
    pub fn stairstep(&self, quantity: Quantity) -> Option<Amount> {
        let placed = self.ending(quantity)?;
        Some(self.flat_price(placed, quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `up_to@unit_price+flat_price`, separated by spaces; `-` for no bound.
    fn tiers(text: &str) -> Result<Tiers, TiersError> {
        let parse = |tier: &str| {
            let (up_to, rest) = tier.split_once('@').unwrap();
            let (unit, flat) = rest.split_once('+').unwrap_or((rest, "0"));
            let rate = unit.split_once('/').map_or_else(
                || TierRate::Unit(Price::parse(unit).unwrap()),
                |(price, size)| TierRate::Block {
                    size: Quantity::parse(size).unwrap(),
                    price: Price::parse(price).unwrap(),
                },
            );
            Tier {
                up_to: Quantity::parse(up_to).ok(),
                rate,
                flat_price: Price::parse(flat).unwrap(),
            }
        };
        Tiers::new(&text.split(' ').map(parse).collect::<Vec<_>>(), text.starts_with("0010"))
    }

    #[track_caller]
    fn check(price: fn(&Tiers, Quantity) -> Option<Amount>, text: &str, rows: &[(&str, &str)]) {
        let tiers = tiers(text).unwrap();
        for (quantity, wanted) in rows {
            let amount = price(&tiers, Quantity::parse(quantity).unwrap()).unwrap();
            assert_eq!(amount.to_string(), *wanted, "{quantity} in {text}");
        }
    }

    #[test]
    fn graduated_splits_at_the_bounds() {
        check(
            Tiers::graduated,
            "10@1 20@0.5 -@0.1",
            &[("0", "0"), ("10", "10"), ("10.5", "10.25"), ("20", "15"), ("21", "15.1")],
        );
        check(
            Tiers::graduated,
            "10@1+5 -@0+7",
            &[("0", "0"), ("0.1", "5.1"), ("10", "15"), ("10.1", "22")],
        );
        check(
            Tiers::graduated,
            "10@3/4 -@1/2",
            &[("8", "6"), ("9", "9"), ("10", "9"), ("10.1", "10"), ("12.1", "11")],
        );
    }

    #[test]
    fn volume_and_stairstep_take_the_tier_of_the_end() {
        check(Tiers::volume, "10@1+5 -@0.5+7", &[("0", "0"), ("10", "15"), ("10.5", "12.25")]);
        check(Tiers::volume, "10@3/4 -@1/2", &[("9", "9"), ("11", "6")]);
        check(
            Tiers::stairstep,
            "10@0+5 -@0+7",
            &[("0", "0"), ("0.1", "5"), ("10", "5"), ("10.1", "7")],
        );
    }

    #[test]
    fn a_first_flat_price_may_be_due_at_zero() {
        let tier = |up_to, flat| Tier {
            up_to,
            rate: TierRate::Unit(Price::ZERO),
            flat_price: Price::parse(flat).unwrap(),
        };
        let list = [tier(Quantity::from_units(10), "5"), tier(None, "7")];
        let tiers = Tiers::new(&list, true).unwrap();
        for price in [Tiers::graduated, Tiers::volume, Tiers::stairstep] {
            assert_eq!(price(&tiers, Quantity::ZERO).unwrap().to_string(), "5");
        }
    }

    #[test]
    fn lists_that_leave_a_gap_are_refused() {
        assert_eq!(tiers("10@1 10@1 -@1"), Err(TiersError::NotRising(1)));
        assert_eq!(tiers("0@1 -@1"), Err(TiersError::NotRising(0)));
        assert_eq!(tiers("-@1 10@1"), Err(TiersError::OpenBeforeLast(0)));
        assert_eq!(tiers("5@1 10@1"), Err(TiersError::LastHasEnd(1)));
        assert_eq!(Tiers::new(&[], false), Err(TiersError::Empty));
    }
}
