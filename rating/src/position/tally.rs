//! Tallies: what a position knows of the records of one of its parts.

use super::Usage;
use crate::aggregation::Aggregation;
use crate::instant::Instant;
use crate::period::Period;
use crate::quantity::Quantity;
use crate::rounding::Rounding;
use crate::rows::{RowUndo, Rows, Weight};
use ethnum::I256;

/// Whether a record is added or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Added.
    Add,
    /// Taken back.
    TakeBack,
}

/// What is known of the records of a part, by aggregation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tally {
    /// For a sum or a count: the sum of the values.
    Sum(Quantity),
    /// For an average.
    Mean {
        /// The sum of the values.
        sum: Quantity,
        /// How many there are.
        count: u64,
    },
    /// For a maximum, a minimum or a percentile: how often there is each value.
    Values(Rows<Quantity, u64>),
    /// For a count of different values: how many are in no earlier part.
    Distinct(u64),
    /// For the latest value, which the records tell.
    Latest,
    /// For a time-weighted sum.
    Weighted {
        /// The sum of the changes.
        level: Quantity,
        /// Σ change × nanoseconds left, in 10^-12 units × nanoseconds.
        weighted: I256,
    },
}

/// How to undo a change of a tally.
#[derive(Debug)]
pub(super) enum TallyUndo {
    /// What it was.
    Whole(Tally),
    /// The row that changed, where values have rows.
    Row(RowUndo<Quantity, u64>),
}

/// The value of a record. Most records come in the order of their time, so that only the last
/// block changes.
impl Weight for Quantity {
    const BLOCK_ROWS_MAX: usize = if cfg!(test) { 8 } else { 1_024 };

    fn weight(&self) -> u64 {
        1
    }
}

impl Tally {
    /// That of no record.
    #[must_use]
    pub fn new(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Sum | Aggregation::Count => Self::Sum(Quantity::ZERO),
            Aggregation::Average => Self::Mean { sum: Quantity::ZERO, count: 0 },
            Aggregation::Max | Aggregation::Min | Aggregation::Percentile(_) => {
                Self::Values(Rows::default())
            }
            Aggregation::UniqueCount => Self::Distinct(0),
            Aggregation::Latest => Self::Latest,
            Aggregation::TimeWeightedSum => {
                Self::Weighted { level: Quantity::ZERO, weighted: I256::ZERO }
            }
        }
    }

    /// Whether nothing of any record is in it. Of the latest value, the records tell.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Sum(sum) => *sum == Quantity::ZERO,
            Self::Mean { count, .. } => *count == 0,
            Self::Values(rows) => rows.is_empty(),
            Self::Distinct(new) => *new == 0,
            Self::Latest => true,
            Self::Weighted { level, weighted } => {
                *level == Quantity::ZERO && *weighted == I256::ZERO
            }
        }
    }

    /// Adds a record or takes it back; `None`, with nothing changed, where a sum leaves its domain
    /// or what is to be taken back is not there.
    pub(super) fn change(
        &mut self,
        usage: &Usage<'_>,
        direction: Direction,
        period: Period,
    ) -> Option<TallyUndo> {
        let signed = match direction {
            Direction::Add => usage.value,
            Direction::TakeBack => usage.value.checked_neg()?,
        };
        let after = match self {
            Self::Sum(sum) => Self::Sum(sum.checked_add(signed)?),
            Self::Mean { sum, count } => {
                let count = match direction {
                    Direction::Add => count.checked_add(1)?,
                    Direction::TakeBack => count.checked_sub(1)?,
                };
                Self::Mean { sum: sum.checked_add(signed)?, count }
            }
            Self::Values(rows) => {
                return change_count(rows, usage.value, direction).map(TallyUndo::Row);
            }
            Self::Distinct(new) => Self::Distinct(*new),
            Self::Latest => Self::Latest,
            Self::Weighted { level, weighted } => {
                let left = period.end.nanos().checked_sub(usage.at.nanos())?;
                let added = I256::new(signed.scaled()).checked_mul(I256::new(left))?;
                let weighted = weighted.checked_add(added)?;
                Self::Weighted { level: level.checked_add(signed)?, weighted }
            }
        };
        Some(TallyUndo::Whole(std::mem::replace(self, after)))
    }

    /// Undoes the last change.
    pub(super) fn undo(&mut self, undo: TallyUndo) {
        match (self, undo) {
            (Self::Values(rows), TallyUndo::Row(undo)) => rows.undo(undo),
            (tally, TallyUndo::Whole(before)) => *tally = before,
            (_, TallyUndo::Row(_)) => {}
        }
    }
}

/// Counts a key once more or once less; `None` where it is to be taken back but not there.
pub(super) fn change_count<K: Ord + Clone>(
    rows: &mut Rows<K, u64>,
    key: K,
    direction: Direction,
) -> Option<RowUndo<K, u64>> {
    let undo = match direction {
        Direction::Add => rows.change(key, |count| Some(count.unwrap_or(0).saturating_add(1))),
        Direction::TakeBack => {
            rows.change(key, |count| count?.checked_sub(1).filter(|left| *left > 0))
        }
    };
    (!matches!(undo, RowUndo::Nothing)).then_some(undo)
}

/// The aggregate of the parts up to some part.
#[derive(Debug, Default)]
pub(super) struct Running<'p> {
    sum: Quantity,
    count: u64,
    least: Option<Quantity>,
    greatest: Option<Quantity>,
    values: Vec<&'p Rows<Quantity, u64>>,
    distinct: u64,
    latest: Quantity,
    weighted: I256,
    /// The level of the periods before the current one.
    pub(super) carried: Quantity,
    period_start: Option<Instant>,
}

impl<'p> Running<'p> {
    /// Where a new billing period begins, weights begin anew from the level so far.
    pub(super) fn enter(&mut self, period: Period) -> Option<()> {
        if self.period_start.replace(period.start) != Some(period.start) {
            self.carried = self.carried.checked_add(self.sum)?;
            (self.sum, self.weighted) = (Quantity::ZERO, I256::ZERO);
        }
        Some(())
    }

    /// Adds a part; `latest` is the value of the last record up to its end.
    pub(super) fn add(&mut self, tally: &'p Tally, latest: Option<Quantity>) -> Option<()> {
        match tally {
            Tally::Sum(sum) => self.sum = self.sum.checked_add(*sum)?,
            Tally::Mean { sum, count } => {
                self.sum = self.sum.checked_add(*sum)?;
                self.count = self.count.checked_add(*count)?;
            }
            Tally::Values(rows) => {
                if let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) {
                    self.least = Some(self.least.map_or(*first, |least| least.min(*first)));
                    self.greatest = Some(self.greatest.map_or(*last, |most| most.max(*last)));
                    self.values.push(rows);
                }
            }
            Tally::Distinct(new) => self.distinct = self.distinct.checked_add(*new)?,
            Tally::Latest => self.latest = latest.unwrap_or_default(),
            Tally::Weighted { level, weighted } => {
                self.sum = self.sum.checked_add(*level)?;
                self.weighted = self.weighted.checked_add(*weighted)?;
            }
        }
        Some(())
    }

    /// The quantity at this point; `None` where it leaves its domain. `near` is what it may be,
    /// which is only where it is looked for first.
    pub(super) fn quantity(
        &self,
        aggregation: Aggregation,
        period: Period,
        near: Quantity,
    ) -> Option<Quantity> {
        match aggregation {
            Aggregation::Sum | Aggregation::Count => Some(self.sum),
            Aggregation::Average => {
                if self.count == 0 {
                    return Some(Quantity::ZERO);
                }
                let (sum, count) = (I256::new(self.sum.scaled()), I256::from(self.count));
                to_quantity(Rounding::HalfAwayFromZero.quotient(sum, count)?)
            }
            Aggregation::Max => Some(self.greatest.unwrap_or_default()),
            Aggregation::Min => Some(self.least.unwrap_or_default()),
            Aggregation::Percentile(percentile) => {
                let count = self.values.iter().map(|rows| rows.weight()).sum();
                let rank = percentile.rank(count);
                if rank == 0 { Some(Quantity::ZERO) } else { self.at_rank(rank, near) }
            }
            Aggregation::UniqueCount => Quantity::from_units(i64::try_from(self.distinct).ok()?),
            Aggregation::Latest => Some(self.latest),
            Aggregation::TimeWeightedSum => {
                let length = period.end.nanos().checked_sub(period.start.nanos())?;
                let length = I256::new(length);
                let carried = I256::new(self.carried.scaled()).checked_mul(length)?;
                let sum = carried.checked_add(self.weighted)?;
                to_quantity(Rounding::HalfAwayFromZero.quotient(sum, length)?)
            }
        }
    }

    /// The value at a rank among the values of all parts.
    ///
    /// A record moves it by one value at most, so that it is looked for from the last one on.
    fn at_rank(&self, rank: u64, near: Quantity) -> Option<Quantity> {
        if let [rows] = self.values.as_slice() {
            return rows.at_rank(rank).copied();
        }
        let mut value = near;
        for _ in 0..STEPS_MAX {
            let (below, up_to) = self.ranks_of(&value);
            let rows = self.values.iter();
            if rank <= below {
                value = rows.filter_map(|rows| Some(rows.last_below(&value)?.0)).max()?;
            } else if rank > up_to {
                value = rows.filter_map(|rows| Some(rows.first_above(&value)?.0)).min()?;
            } else {
                return Some(value);
            }
        }
        // The least value that as many values do not exceed, by halving the range of values.
        let (mut low, mut high) = (self.least?.scaled(), self.greatest?.scaled());
        while low < high {
            // Half the range, without leaving it.
            let middle = low.checked_add(high.checked_sub(low)?.checked_div(2)?)?;
            let (_, up_to) = self.ranks_of(&Quantity::from_scaled(middle));
            if up_to >= rank { high = middle } else { low = middle.checked_add(1)? }
        }
        Some(Quantity::from_scaled(low))
    }

    /// How many values of all parts lie below one, and how many do not exceed it.
    fn ranks_of(&self, value: &Quantity) -> (u64, u64) {
        let ranks = self.values.iter().map(|rows| rows.ranks_of(value));
        ranks.fold((0, 0), |(below, up_to), (less, most)| {
            (below.saturating_add(less), up_to.saturating_add(most))
        })
    }
}

/// Values that are passed from the one that a rank is looked for at.
const STEPS_MAX: usize = if cfg!(test) { 2 } else { 8 };

fn to_quantity(scaled: I256) -> Option<Quantity> {
    i128::try_from(scaled).ok().map(Quantity::from_scaled)
}
