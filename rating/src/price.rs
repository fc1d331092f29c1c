//! Price models: what a billable quantity costs, exactly.
//!
//! A model is a function `P` from a billable quantity to an amount, before any bound. What one
//! record costs is `P(with it) − P(without it)`, so no model needs to know about records.

mod matrix;
mod percentage;
mod tiers;

pub use matrix::{CellMatch, Matrix, cell_label};
pub use percentage::{Freed, Percentage};
pub use tiers::{Tier, TierRate, Tiers, TiersError};

use crate::dimension::DimensionHash;
use crate::money::{Amount, Price};
use crate::quantity::Quantity;

/// How a billable quantity is priced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriceModel {
    /// Every unit at one price.
    PerUnit {
        /// What a unit costs.
        unit_price: Price,
    },
    /// Whole packages; one begun is paid in full.
    Package {
        /// Units in a package, above zero.
        package_size: Quantity,
        /// What a package costs.
        package_price: Price,
    },
    /// Every unit at the price of the tier that it falls in.
    Graduated(Tiers),
    /// All units at the price of the tier that the quantity ends in.
    Volume(Tiers),
    /// The flat price of the tier that the quantity ends in.
    Stairstep(Tiers),
    /// An amount once a period, used or not.
    Flat {
        /// The amount.
        amount: Price,
    },
    /// A fee for every record.
    Percentage(Percentage),
    /// A price for every combination of dimensions.
    Matrix(Matrix),
}

impl PriceModel {
    /// `P(billable)` for a quantity that is not below zero; `None` where the amount leaves its
    /// domain, and for the models that a quantity alone does not price: [`PriceModel::is_plain`].
    #[must_use]
    pub fn amount(&self, billable: Quantity) -> Option<Amount> {
        debug_assert!(!billable.is_negative(), "a billable quantity is never below zero");
        match self {
            Self::PerUnit { unit_price } => Some(unit_price.times(billable)),
            Self::Package { package_size, package_price } => {
                package_price.times_blocks(billable.blocks_of(*package_size)?)
            }
            Self::Graduated(tiers) => tiers.graduated(billable),
            Self::Volume(tiers) => tiers.volume(billable),
            Self::Stairstep(tiers) => tiers.stairstep(billable),
            Self::Flat { amount } => Some(amount.once()),
            Self::Percentage(_) | Self::Matrix(_) => None,
        }
    }

    /// Whether the quantity alone decides the amount: not which records made it.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        !matches!(self, Self::Percentage(_) | Self::Matrix(_))
    }

    /// The matrix that it is, if it is one.
    #[must_use]
    pub const fn matrix(&self) -> Option<&Matrix> {
        match self {
            Self::Matrix(matrix) => Some(matrix),
            Self::PerUnit { .. }
            | Self::Package { .. }
            | Self::Graduated(_)
            | Self::Volume(_)
            | Self::Stairstep(_)
            | Self::Flat { .. }
            | Self::Percentage(_) => None,
        }
    }

    /// By which cells it sorts records: a digest of a matrix, 0 of all others.
    #[must_use]
    pub fn grid(&self) -> u64 {
        self.matrix().map_or(0, Matrix::grid)
    }

    /// The name of the cell that a record of these dimensions belongs to.
    #[must_use]
    pub fn cell_of(&self, dimensions: &[DimensionHash]) -> &str {
        self.matrix().map_or("", |matrix| matrix.cell_of(dimensions))
    }

    /// The names of its cells: of all but a matrix a single one, without text.
    #[must_use]
    pub fn cells(&self) -> Vec<&str> {
        match self.matrix() {
            Some(matrix) => matrix.prices().map(|(name, _)| name).collect(),
            None => vec![""],
        }
    }

    /// The price of a cell: of a matrix the one of that name, of all others themselves.
    #[must_use]
    pub fn of_cell(&self, name: &str) -> Option<&Self> {
        match self.matrix() {
            Some(matrix) => matrix.price(name),
            None => name.is_empty().then_some(self),
        }
    }

    /// Whether usage moves the amount; a flat price is the same with and without records.
    #[must_use]
    pub const fn needs_meter(&self) -> bool {
        match self {
            Self::Flat { .. } => false,
            Self::PerUnit { .. }
            | Self::Package { .. }
            | Self::Graduated(_)
            | Self::Volume(_)
            | Self::Stairstep(_)
            | Self::Percentage(_)
            | Self::Matrix(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    #[track_caller]
    fn check(model: &PriceModel, rows: &[(&str, &str)]) {
        for (billable, wanted) in rows {
            let amount = model.amount(quantity(billable)).unwrap();
            assert_eq!(amount.to_string(), *wanted, "{billable} in {model:?}");
        }
    }

    #[test]
    fn units_and_packages() {
        let unit = PriceModel::PerUnit { unit_price: price("0.012") };
        check(&unit, &[("0", "0"), ("700.5", "8.406"), ("0.000000001", "0.000000000012")]);
        let package =
            PriceModel::Package { package_size: quantity("10"), package_price: price("3") };
        check(&package, &[("0", "0"), ("0.1", "3"), ("10", "3"), ("10.000000001", "6")]);
        check(&PriceModel::Flat { amount: price("5") }, &[("0", "5"), ("9", "5")]);
    }
}
