//! What the documented formats say, worked out anew each time in 256 bits.
//!
//! Quantities, prices and percents are whole numbers of 10^-12, amounts of 10^-24, and what is owed
//! of 10^-38.

use ethnum::I256;

/// A unit, in 10^-12.
pub(super) const ONE: i128 = 1_000_000_000_000;

pub(super) fn wide(number: i128) -> I256 {
    I256::new(number)
}

/// Ten to some power.
pub(super) fn ten(exponent: u32) -> I256 {
    wide(10).pow(exponent)
}

/// The nearest whole number, halves away from zero.
pub(super) fn nearest(numerator: I256, denominator: I256) -> I256 {
    let size = (numerator.abs() * 2 + denominator) / (denominator * 2);
    if numerator < 0 { -size } else { size }
}

/// The nearest whole number, halves to the even one.
pub(super) fn nearest_even(numerator: I256, denominator: I256) -> I256 {
    let (whole, rest) = (numerator.abs() / denominator, numerator.abs() % denominator * 2);
    let up = rest > denominator || (rest == denominator && whole % 2 == 1);
    let size = if up { whole + 1 } else { whole };
    if numerator < 0 { -size } else { size }
}

/// How many blocks are begun; nothing here is below zero.
fn ceil(units: I256, size: I256) -> I256 {
    (units + size - 1) / size
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Rate {
    Unit(i128),
    Block { size: i128, price: i128 },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Tier {
    pub(super) up_to: Option<i128>,
    pub(super) rate: Rate,
    pub(super) flat: i128,
}

#[derive(Debug, Clone)]
pub(super) enum Model {
    PerUnit(i128),
    Multiplier(i128),
    Package { size: i128, price: i128 },
    Graduated { tiers: Vec<Tier>, at_zero: bool },
    GraduatedPercentage { tiers: Vec<Tier>, at_zero: bool },
    Volume { tiers: Vec<Tier>, at_zero: bool },
    Stairstep { tiers: Vec<Tier>, at_zero: bool },
}

impl Model {
    /// P of a billable quantity.
    pub(super) fn amount(&self, billable: I256) -> I256 {
        match self {
            Self::PerUnit(price) | Self::Multiplier(price) => billable * wide(*price),
            Self::Package { size, price } => ceil(billable, wide(*size)) * wide(*price) * wide(ONE),
            Self::Graduated { tiers, at_zero } | Self::GraduatedPercentage { tiers, at_zero } => {
                graduated(tiers, billable) + unused(tiers, billable, *at_zero)
            }
            Self::Volume { tiers, at_zero } => {
                let tier = ending(tiers, billable);
                rated(tier.rate, billable)
                    + entered(tier, billable)
                    + unused(tiers, billable, *at_zero)
            }
            Self::Stairstep { tiers, at_zero } => {
                entered(ending(tiers, billable), billable) + unused(tiers, billable, *at_zero)
            }
        }
    }

    pub(super) fn tiers(&self) -> &[Tier] {
        match self {
            Self::PerUnit(_) | Self::Multiplier(_) | Self::Package { .. } => &[],
            Self::Graduated { tiers, .. }
            | Self::GraduatedPercentage { tiers, .. }
            | Self::Volume { tiers, .. }
            | Self::Stairstep { tiers, .. } => tiers,
        }
    }
}

fn graduated(tiers: &[Tier], billable: I256) -> I256 {
    let (mut amount, mut lower) = (I256::ZERO, I256::ZERO);
    for tier in tiers {
        if billable > lower {
            let upper = tier.up_to.map_or(billable, |end| billable.min(wide(end)));
            amount += rated(tier.rate, upper - lower) + wide(tier.flat) * wide(ONE);
        }
        lower = wide(tier.up_to.unwrap_or(0));
    }
    amount
}

fn rated(rate: Rate, units: I256) -> I256 {
    match rate {
        Rate::Unit(price) => units * wide(price),
        Rate::Block { size, price } => ceil(units, wide(size)) * wide(price) * wide(ONE),
    }
}

/// The tier that a quantity ends in: a bound belongs to the tier below it.
fn ending(tiers: &[Tier], billable: I256) -> &Tier {
    tiers.iter().find(|tier| tier.up_to.is_none_or(|end| billable <= wide(end))).unwrap()
}

/// The flat price of the tier that a quantity ends in, which it enters unless it is 0.
fn entered(tier: &Tier, billable: I256) -> I256 {
    if billable > 0 { wide(tier.flat) * wide(ONE) } else { I256::ZERO }
}

/// The flat price that is due without use.
fn unused(tiers: &[Tier], billable: I256, at_zero: bool) -> I256 {
    if at_zero && billable == 0 { wide(tiers[0].flat) * wide(ONE) } else { I256::ZERO }
}

/// A price by the record, and what of it is free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fee {
    pub(super) rate: i128,
    pub(super) fixed: i128,
    pub(super) free_records: Option<u64>,
    pub(super) free_amount: Option<i128>,
    pub(super) least: Option<i128>,
    pub(super) most: Option<i128>,
}

impl Fee {
    /// What each of some records costs, and how much of its value is priced; they are in the order
    /// in which they are freed, and none of their values is below zero.
    pub(super) fn of(&self, values: &[i128]) -> Vec<(I256, I256)> {
        let (mut records, mut value) = (0, I256::ZERO);
        let fees = values.iter().map(|of_record| {
            let fee = self.behind(records, value, wide(*of_record));
            records += 1;
            value += wide(*of_record);
            fee
        });
        fees.collect()
    }

    fn behind(&self, records: u64, before: I256, value: I256) -> (I256, I256) {
        let has_free = self.free_records.is_some() || self.free_amount.is_some();
        let records_left = self.free_records.is_none_or(|free| records < free);
        let amount_left = self.free_amount.is_none_or(|free| before < wide(free));
        if !(has_free && records_left && amount_left) {
            return (self.bounded(value), value);
        }
        let over = self.free_amount.map_or(I256::ZERO, |free| before + value - wide(free));
        if over > 0 { (self.bounded(over), over) } else { (I256::ZERO, I256::ZERO) }
    }

    /// Value × rate + fixed, at most the maximum, at least the minimum.
    fn bounded(&self, value: I256) -> I256 {
        let once = |price: i128| wide(price) * wide(ONE);
        let fee = value * wide(self.rate) + once(self.fixed);
        let capped = self.most.map_or(fee, |most| fee.min(once(most)));
        self.least.map_or(capped, |least| capped.max(once(least)))
    }
}
