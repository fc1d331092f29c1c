//! Matrices: a price for every combination of dimensions, each with a position of its own.

use super::PriceModel;

/// Prices by the dimensions of a record. [`Matrix::new`] is the only way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    dimensions: Vec<String>,
    cells: Vec<Cell>,
    default: Box<PriceModel>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    /// What tells the cell from others, in every version of the matrix.
    label: String,
    matches: CellMatch,
    price: PriceModel,
}

/// Dimensions and the value that each must have; those not named may have any.
pub type CellMatch = Vec<(String, String)>;

/// The label of the price where no cell matches.
pub const DEFAULT_CELL: &str = "default";

impl Matrix {
    /// A matrix of cells, of which the first that matches is taken; no price may be a matrix.
    #[must_use]
    pub fn new(
        dimensions: Vec<String>,
        cells: Vec<(CellMatch, PriceModel)>,
        default: PriceModel,
    ) -> Self {
        let mut placed: Vec<Cell> = Vec::with_capacity(cells.len());
        for (matches, price) in cells {
            let label = label_of(&matches);
            // A second cell of the same match is never reached, but has a price at quantity 0.
            let same = placed.iter().filter(|cell| label_of(&cell.matches) == label).count();
            let label = match same {
                0 => label,
                _ => format!("{label}#{}", same.saturating_add(1)),
            };
            placed.push(Cell { label, matches, price });
        }
        Self { dimensions, cells: placed, default: Box::new(default) }
    }

    /// Names of the dimensions that cells look at.
    #[must_use]
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

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
    pub fn label(&self, index: usize) -> &str {
        self.cells.get(index).map_or(DEFAULT_CELL, |cell| &cell.label)
    }

    /// The price of a cell; `None` where this matrix has none of that label.
    #[must_use]
    pub fn price(&self, label: &str) -> Option<&PriceModel> {
        if label == DEFAULT_CELL {
            return Some(&self.default);
        }
        self.cells.iter().find(|cell| cell.label == label).map(|cell| &cell.price)
    }

    /// All labels with their prices.
    pub fn prices(&self) -> impl Iterator<Item = (&str, &PriceModel)> {
        let cells = self.cells.iter().map(|cell| (cell.label.as_str(), &cell.price));
        cells.chain(std::iter::once((DEFAULT_CELL, &*self.default)))
    }
}

/// The values of a match in the order of their dimensions' names; never the same for others.
// Frozen: states keep positions by it.
fn label_of(matches: &CellMatch) -> String {
    let plain = |text: &str| {
        ['\\', ',', '=', '#']
            .iter()
            .fold(text.to_owned(), |text, sign| text.replace(*sign, &format!("\\{sign}")))
    };
    let mut parts: Vec<String> =
        matches.iter().map(|(name, value)| format!("{}={}", plain(name), plain(value))).collect();
    parts.sort_unstable();
    parts.join(",")
}
