//! Matrices: a price for every combination of dimensions, each with a position of its own.

use super::PriceModel;

/// Prices by the dimensions of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Names of the dimensions that cells look at.
    pub dimensions: Vec<String>,
    /// The first one that matches is taken.
    pub cells: Vec<Cell>,
    /// The price where none matches.
    pub default: Box<PriceModel>,
}

/// One price of a matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Dimensions and the value that each must have; those not named may have any.
    pub matches: Vec<(String, String)>,
    /// What it costs; no matrix itself.
    pub price: PriceModel,
}

/// The label of the price where no cell matches.
pub const DEFAULT_CELL: &str = "default";

impl Cell {
    /// What tells the cell from others, in every version of the matrix: the same for the same
    /// matches in whatever order, and never the same for others.
    #[must_use]
    pub fn label(&self) -> String {
        let plain = |text: &str| text.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=");
        let matches = self.matches.iter();
        let mut matches: Vec<String> =
            matches.map(|(name, value)| format!("{}={}", plain(name), plain(value))).collect();
        matches.sort_unstable();
        matches.join(",")
    }
}

impl Matrix {
    /// The position of the first cell that matches, that of the default behind all others.
    #[must_use]
    pub fn cell_of<'v>(&self, mut dimension: impl FnMut(&str) -> Option<&'v str>) -> usize {
        let found = self.cells.iter().position(|cell| {
            cell.matches.iter().all(|(name, value)| dimension(name) == Some(value))
        });
        found.unwrap_or(self.cells.len())
    }

    /// The label of a cell by its position.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.cells.get(index).map_or_else(|| DEFAULT_CELL.to_owned(), Cell::label)
    }

    /// The price of a cell; `None` where this matrix has none of that label.
    #[must_use]
    pub fn price(&self, label: &str) -> Option<&PriceModel> {
        if label == DEFAULT_CELL {
            return Some(&self.default);
        }
        self.cells.iter().find(|cell| cell.label() == label).map(|cell| &cell.price)
    }

    /// All labels with their prices.
    pub fn prices(&self) -> impl Iterator<Item = (String, &PriceModel)> {
        let cells = self.cells.iter().map(|cell| (cell.label(), &cell.price));
        cells.chain(std::iter::once((DEFAULT_CELL.to_owned(), &*self.default)))
    }
}
