//! Matrices: a price for every combination of dimensions, each with a position of its own.

use super::PriceModel;
use crate::content::ContentDigest;
use crate::dimension::DimensionHash;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Prices by the dimensions of a record. [`Matrix::new`] is the only way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    dimensions: Vec<String>,
    /// In order.
    cells: Vec<Cell>,
    /// Of all that no cell matches.
    default: Box<Cell>,
    grid: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    /// Its label, and the grid that it is a cell of.
    name: String,
    /// All dimensions with the values that they must have.
    wanted: Vec<DimensionHash>,
    price: PriceModel,
}

/// Dimensions and the value that each must have; those not named may have any.
pub type CellMatch = Vec<(String, String)>;

/// The label of the price where no cell matches.
const DEFAULT_CELL: &str = "default";

impl Matrix {
    /// A matrix of cells, of which the first that matches is taken; no price may be a matrix.
    #[must_use]
    pub fn new(
        dimensions: Vec<String>,
        cells: Vec<(CellMatch, PriceModel)>,
        default: PriceModel,
    ) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut placed: Vec<Cell> = Vec::with_capacity(cells.len().saturating_add(1));
        for (matches, price) in cells {
            let mut label = label_of(&matches);
            // A second cell of the same match is never reached, but has a price at quantity 0.
            let same = seen.entry(label.clone()).or_default();
            *same = same.saturating_add(1);
            if *same > 1 {
                // Writing to a string cannot fail.
                _ = write!(label, "#{same}");
            }
            let hash = |(name, value): &(String, String)| DimensionHash::of(name, value);
            let wanted = matches.iter().map(hash).collect();
            placed.push(Cell { name: label, wanted, price });
        }
        let mut default =
            Cell { name: String::from(DEFAULT_CELL), wanted: Vec::new(), price: default };
        let labels = placed.iter().chain(std::iter::once(&default)).map(|cell| &*cell.name);
        let grid = ContentDigest::of_texts(labels);
        for cell in placed.iter_mut().chain(std::iter::once(&mut default)) {
            _ = write!(cell.name, "{GRID_SIGN}{grid:016x}");
        }
        Self { dimensions, cells: placed, default: Box::new(default), grid }
    }

    /// Names of the dimensions that cells look at.
    #[must_use]
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

    /// By which cells it sorts records, whatever their prices: a digest of their labels in order.
    #[must_use]
    pub const fn grid(&self) -> u64 {
        self.grid
    }

    /// The name of the first cell that matches a record of these dimensions.
    #[must_use]
    pub fn cell_of(&self, dimensions: &[DimensionHash]) -> &str {
        let matching = |cell: &&Cell| cell.wanted.iter().all(|wanted| dimensions.contains(wanted));
        &self.cells.iter().find(matching).unwrap_or(&self.default).name
    }

    /// The price of a cell; `None` where this matrix has none of that name.
    #[must_use]
    pub fn price(&self, name: &str) -> Option<&PriceModel> {
        let mut cells = self.cells.iter().chain(std::iter::once(&*self.default));
        cells.find(|cell| cell.name == name).map(|cell| &cell.price)
    }

    /// All cells by their names, with their prices.
    pub fn prices(&self) -> impl Iterator<Item = (&str, &PriceModel)> {
        let cells = self.cells.iter().chain(std::iter::once(&*self.default));
        cells.map(|cell| (cell.name.as_str(), &cell.price))
    }
}

/// Between the label of a cell and the sixteen digits of its grid, which hold none.
// Frozen: states keep positions by the names of cells.
const GRID_SIGN: char = '@';

/// What people see of the name of a cell.
#[must_use]
pub fn cell_label(name: &str) -> &str {
    name.rsplit_once(GRID_SIGN).map_or(name, |(label, _)| label)
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
