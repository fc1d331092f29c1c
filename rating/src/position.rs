//! Positions: where the quantity of one charge stands in one scope, and what that costs.
//!
//! A position is cut into parts: where the terms of the charge change, and where a billing period
//! begins. Each part adds to its billing period `P(position at its end) − P(position at its
//! start)`, by its own terms. A record changes its own part and shifts those after it.

mod freed;
mod tally;
mod undo;

pub use freed::FreedBlocks;
pub use tally::{Direction, Tally};
pub use undo::PositionUndo;

use crate::aggregation::Aggregation;
use crate::charge::{Charge, Timeline};
use crate::instant::Instant;
use crate::money::Amount;
use crate::period::Period;
use crate::price::{Percentage, PriceModel};
use crate::quantity::Quantity;
use crate::rows::{RowUndo, Rows};
use crate::share::Share;
use tally::{Running, change_count};
use undo::{Counted, KeptUndo};

/// What one record measured for one position.
#[derive(Debug, Clone, Copy)]
pub struct Usage<'a> {
    /// Its value; 1 where only its being there, or being different, counts.
    pub value: Quantity,
    /// A hash of the value, where different values are counted.
    pub distinct: u128,
    /// When it was used.
    pub at: Instant,
    /// Who measured.
    pub source: &'a str,
    /// Its id within the source.
    pub id: &'a str,
}

/// The order of records: by time, source and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// When it was used.
    pub at: Instant,
    /// Who measured.
    pub source: Box<str>,
    /// Its id within the source.
    pub id: Box<str>,
}

impl RecordKey {
    /// Below all records from an instant on.
    fn first_of(at: Instant) -> Self {
        Self { at, source: Box::from(""), id: Box::from("") }
    }
}

/// What a position knows of its records beside the tallies of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// How often each value was seen, by a hash of it, in the part that starts then.
    Distinct(Rows<(u128, Instant), u64>),
    /// The value of every record, in their order.
    Records(Rows<RecordKey, Quantity>),
}

/// What a part adds to its billing period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contribution {
    /// Units used.
    pub quantity: Quantity,
    /// Units priced.
    pub billable: Quantity,
    /// What they cost.
    pub amount: Amount,
}

/// A stretch of a position under one set of terms, within one billing period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionPart {
    /// The later of the start of its terms and of its billing period.
    pub start: Instant,
    /// Its billing period.
    pub period: Period,
    /// How much of its scope the subscription was active in.
    pub share: Share,
    /// The number under which its rows are stored.
    pub number: u32,
    /// What is known of its records.
    pub tally: Tally,
    /// Σ of what its records cost where nothing is free, for prices by the record.
    pub full_fees: Amount,
    /// The level that its billing period began with, for a time-weighted sum.
    pub carried: Quantity,
    /// What it adds to its billing period.
    pub adds: Contribution,
}

/// Where a charge stands in a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// In order of their starts.
    pub parts: Vec<PositionPart>,
    /// What is known beside them.
    pub kept: Kept,
    /// What blocks of records come to where all of them are free.
    pub freed_blocks: FreedBlocks,
    /// The grids that its scope met when its records were counted: [`Timeline::grids_of`]. Where
    /// they are others now, some records may be missing in it.
    pub grids: u64,
}

/// By what a position is priced.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'a> {
    /// The charge through time.
    pub timeline: &'a Timeline,
    /// The name of the cell that its records belong to; empty without a matrix. Terms that have no
    /// cell of that name, as their grid is another, count its records and price none.
    pub cell: &'a str,
    /// How its records become a quantity.
    pub aggregation: Aggregation,
}

/// Where in a position a record belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The later of the start of its terms and of its billing period.
    pub start: Instant,
    /// Its billing period.
    pub period: Period,
    /// How much of its scope the subscription is active in.
    pub share: Share,
}

/// What a record did to a position.
#[derive(Debug)]
pub struct Change {
    /// Which billing periods change by how much, that of the record first.
    pub shifts: Vec<Shift>,
    /// How to undo it.
    pub undo: PositionUndo,
}

/// By how much a billing period changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Which one.
    pub period: Period,
    /// By what.
    pub by: Contribution,
    /// The level that it begins with now.
    pub carried: Quantity,
}

impl Position {
    /// One without records. `by_record` where some of its terms price every record by itself.
    #[must_use]
    pub fn new(aggregation: Aggregation, by_record: bool) -> Self {
        let kept = match aggregation {
            _ if by_record => Kept::Records(Rows::default()),
            Aggregation::Latest => Kept::Records(Rows::default()),
            Aggregation::UniqueCount => Kept::Distinct(Rows::default()),
            Aggregation::Sum
            | Aggregation::Count
            | Aggregation::Max
            | Aggregation::Min
            | Aggregation::Average
            | Aggregation::Percentile(_)
            | Aggregation::TimeWeightedSum => Kept::Nothing,
        };
        Self { parts: Vec::new(), kept, freed_blocks: FreedBlocks::default(), grids: 0 }
    }

    /// Whether nothing of any record is in it, so that it is as good as a new one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing_kept = match &self.kept {
            Kept::Nothing => true,
            Kept::Distinct(rows) => rows.is_empty(),
            Kept::Records(rows) => rows.is_empty(),
        };
        nothing_kept && self.parts.iter().all(|part| part.tally.is_empty())
    }

    /// Makes sure that there is a part at a place; gives the level that its period begins with, and
    /// how to undo it.
    pub fn ensure(
        &mut self,
        aggregation: Aggregation,
        place: Place,
    ) -> Option<(Quantity, PositionUndo)> {
        let (index, is_new) = self.part_at(aggregation, place)?;
        let carried = self.parts.get(index)?.carried;
        Some((carried, PositionUndo::of_part(index, is_new)))
    }

    /// The index of the part at a place, which is made if there is none, and whether it was.
    fn part_at(&mut self, aggregation: Aggregation, place: Place) -> Option<(usize, bool)> {
        match self.parts.binary_search_by_key(&place.start, |part| part.start) {
            Ok(index) => Some((index, false)),
            Err(index) => {
                let last = self.parts.iter().map(|part| part.number).max();
                let number = last.map_or(Some(0), |last| last.checked_add(1))?;
                let carried = self.level_before(place.period.start)?;
                let part = PositionPart {
                    start: place.start,
                    period: place.period,
                    share: place.share,
                    number,
                    tally: Tally::new(aggregation),
                    full_fees: Amount::ZERO,
                    carried,
                    adds: Contribution::default(),
                };
                self.parts.insert(index, part);
                Some((index, true))
            }
        }
    }

    /// The level that earlier periods have left, for a time-weighted sum.
    fn level_before(&self, period_start: Instant) -> Option<Quantity> {
        let mut earlier = self.parts.iter().filter(|part| part.period.start < period_start);
        earlier.try_fold(Quantity::ZERO, |sum, part| match &part.tally {
            Tally::Weighted { level, .. } => sum.checked_add(*level),
            Tally::Sum(_)
            | Tally::Mean { .. }
            | Tally::Values(_)
            | Tally::Distinct(_)
            | Tally::Latest => Some(sum),
        })
    }

    /// Adds a record or takes it back.
    ///
    /// `None`, with the position unchanged, where an amount or a sum leaves its domain, or where
    /// what is to be taken back is not there.
    pub fn change(
        &mut self,
        pricing: &Pricing<'_>,
        place: Place,
        usage: &Usage<'_>,
        direction: Direction,
    ) -> Option<Change> {
        let (index, is_new) = self.part_at(pricing.aggregation, place)?;
        let mut undo = PositionUndo::of_part(index, is_new);
        let shifts = self.change_part(pricing, usage, direction, &mut undo);
        if shifts.is_none() {
            self.undo(undo);
            return None;
        }
        shifts.map(|shifts| Change { shifts, undo })
    }

    /// Changes the part of `undo`, which notes how to undo that, also of what is half done.
    fn change_part(
        &mut self,
        pricing: &Pricing<'_>,
        usage: &Usage<'_>,
        direction: Direction,
        undo: &mut PositionUndo,
    ) -> Option<Vec<Shift>> {
        let index = undo.index;
        self.count(pricing, usage, direction, undo)?;
        let mut after = self.contributions(pricing, index)?;
        let shifts = self.shifts(index, &after)?;
        for (part, (adds, carried)) in self.parts.iter_mut().skip(index).zip(&mut after) {
            std::mem::swap(&mut part.adds, adds);
            std::mem::swap(&mut part.carried, carried);
        }
        undo.adds = after;
        Some(shifts)
    }

    /// By how much billing periods change when the parts from `first` on add what is given.
    fn shifts(&self, first: usize, after: &[(Contribution, Quantity)]) -> Option<Vec<Shift>> {
        let mut shifts: Vec<Shift> = Vec::new();
        for (part, (adds, carried)) in self.parts.iter().skip(first).zip(after) {
            let by = adds.minus(part.adds)?;
            let moved = part.carried != *carried;
            if let Some(shift) = shifts.iter_mut().find(|shift| shift.period == part.period) {
                shift.by = shift.by.plus(by)?;
            } else if shifts.is_empty() || moved || by != Contribution::default() {
                shifts.push(Shift { period: part.period, by, carried: *carried });
            }
        }
        Some(shifts)
    }

    /// Notes a record in the tallies, without pricing it.
    fn count(
        &mut self,
        pricing: &Pricing<'_>,
        usage: &Usage<'_>,
        direction: Direction,
        undo: &mut PositionUndo,
    ) -> Option<()> {
        let part = self.parts.get_mut(undo.index)?;
        let fees = match percentage_of(pricing, part.start) {
            None => part.full_fees,
            Some(percentage) => {
                let fee = percentage.full_fee(usage.value)?;
                match direction {
                    Direction::Add => part.full_fees.checked_add(fee)?,
                    Direction::TakeBack => part.full_fees.checked_sub(fee)?,
                }
            }
        };
        let tally = part.tally.change(usage, direction, part.period)?;
        let full_fees = std::mem::replace(&mut part.full_fees, fees);
        let start = part.start;
        let counted = undo.counted.insert(Counted { tally, full_fees, kept: KeptUndo::Nothing });
        match &mut self.kept {
            Kept::Nothing => {}
            Kept::Records(rows) => {
                let key =
                    RecordKey { at: usage.at, source: usage.source.into(), id: usage.id.into() };
                counted.kept = KeptUndo::Record(match direction {
                    Direction::Add => rows.change(key, |_| Some(usage.value)),
                    Direction::TakeBack => rows.change(key, |_| None),
                });
            }
            Kept::Distinct(_) => {
                self.count_distinct((usage.distinct, start), direction, counted)?
            }
        }
        Some(())
    }

    /// A value counts in the first part that has it.
    fn count_distinct(
        &mut self,
        key: (u128, Instant),
        direction: Direction,
        counted: &mut Counted,
    ) -> Option<()> {
        let Kept::Distinct(rows) = &mut self.kept else { return None };
        let row = change_count(rows, key, direction)?;
        let same = |other: &(u128, Instant)| (other.0 == key.0).then_some(other.1);
        let (earlier, later) = rows.neighbours(&row);
        let is_first = earlier.and_then(same).is_none();
        let later = later.and_then(same);
        let was_there_already = matches!(row, RowUndo::Replaced(..));
        counted.kept = KeptUndo::Value { row, new: Vec::new() };
        if was_there_already || !is_first {
            return Some(());
        }
        self.add_new(key.1, direction, counted)?;
        let Some(later) = later else { return Some(()) };
        let back = match direction {
            Direction::Add => Direction::TakeBack,
            Direction::TakeBack => Direction::Add,
        };
        self.add_new(later, back, counted)
    }

    fn add_new(
        &mut self,
        start: Instant,
        direction: Direction,
        counted: &mut Counted,
    ) -> Option<()> {
        let part = self.parts.iter_mut().find(|part| part.start == start)?;
        let Tally::Distinct(new) = &mut part.tally else { return None };
        if let KeptUndo::Value { new: before, .. } = &mut counted.kept {
            before.push((start, *new));
        }
        *new = match direction {
            Direction::Add => new.checked_add(1)?,
            Direction::TakeBack => new.checked_sub(1)?,
        };
        Some(())
    }

    /// What each part from `first` on adds to its billing period, and the level that it began
    /// with.
    ///
    /// What a part adds is the aggregate at its end less that at its start, so that what earlier
    /// parts add tells where it starts, where they add all that they count; only weights begin anew
    /// with a billing period.
    fn contributions(
        &mut self,
        pricing: &Pricing<'_>,
        first: usize,
    ) -> Option<Vec<(Contribution, Quantity)>> {
        let mut running = Running::default();
        let mut unfreed = Quantity::ZERO;
        let mut all = Vec::new();
        let mut start = Quantity::ZERO;
        let Self { parts, kept, freed_blocks, .. } = self;
        for (index, part) in parts.iter().enumerate() {
            let weighted = pricing.aggregation == Aggregation::TimeWeightedSum;
            if weighted {
                running.enter(part.period)?;
            }
            let end = parts.get(index.checked_add(1)?).map(|next| next.start);
            let by_record = percentage_of(pricing, part.start);
            if index < first && by_record.is_none() {
                running.add(&part.tally, latest_before(kept, end))?;
                start = match price_at(pricing, part.start) {
                    Some(_) => start.checked_add(part.adds.quantity)?,
                    None => running.quantity(pricing.aggregation, part.period, start)?,
                };
                continue;
            }
            if weighted {
                start = running.quantity(pricing.aggregation, part.period, start)?;
            }
            running.add(&part.tally, latest_before(kept, end))?;
            let near = start.checked_add(part.adds.quantity).unwrap_or(start);
            let after = running.quantity(pricing.aggregation, part.period, near)?;
            let moved = (start, after);
            start = after;
            let adds = match by_record {
                Some(percentage) => {
                    let freed = freed_blocks.freed(kept, percentage, (part, end))?;
                    fees(part, moved, freed, &mut unfreed)?
                }
                None => contribution(pricing, part, moved)?,
            };
            if index < first {
                continue;
            }
            all.push((adds, if weighted { running.carried } else { Quantity::ZERO }));
        }
        Some(all)
    }
}

/// The value of the last record before an instant, where records are kept.
fn latest_before(kept: &Kept, end: Option<Instant>) -> Option<Quantity> {
    let Kept::Records(rows) = kept else { return None };
    let last = match end {
        Some(end) => rows.last_below(&RecordKey::first_of(end)),
        None => rows.last(),
    };
    last.map(|(_, value)| *value)
}

fn contribution(
    pricing: &Pricing<'_>,
    part: &PositionPart,
    (before, after): (Quantity, Quantity),
) -> Option<Contribution> {
    let Some((charge, model)) = price_at(pricing, part.start) else {
        // Terms without the cell: what was used under them is priced by the cell that they have.
        return Some(Contribution::default());
    };
    let quantity = after.checked_sub(before)?;
    let billable = |position| charge.billable(position, part.share);
    let price = |position| charge.priced(model, position, part.share);
    Some(Contribution {
        quantity,
        billable: billable(after)?.checked_sub(billable(before)?)?,
        amount: price(after)?.checked_sub(price(before)?)?,
    })
}

/// What a part adds whose records are priced one by one. `unfreed` is what of the position was not
/// free before; it may be below zero where values may, but what is billable is not.
fn fees(
    part: &PositionPart,
    (before, after): (Quantity, Quantity),
    (free, saved): (Quantity, Amount),
    unfreed: &mut Quantity,
) -> Option<Contribution> {
    let quantity = after.checked_sub(before)?;
    let billable_before = (*unfreed).max(Quantity::ZERO);
    *unfreed = unfreed.checked_add(quantity.checked_sub(free)?)?;
    let billable = (*unfreed).max(Quantity::ZERO).checked_sub(billable_before)?;
    Some(Contribution { quantity, billable, amount: part.full_fees.checked_sub(saved)? })
}

impl Contribution {
    /// The sum; `None` where it leaves its domain.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_add(other.quantity)?,
            billable: self.billable.checked_add(other.billable)?,
            amount: self.amount.checked_add(other.amount)?,
        })
    }

    fn minus(self, other: Self) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_sub(other.quantity)?,
            billable: self.billable.checked_sub(other.billable)?,
            amount: self.amount.checked_sub(other.amount)?,
        })
    }
}

/// The charge in force at an instant, and its price for a cell.
fn price_at<'a>(pricing: &Pricing<'a>, at: Instant) -> Option<(&'a Charge, &'a PriceModel)> {
    let charge = pricing.timeline.at(at)?.charge.as_deref()?;
    Some((charge, charge.model.of_cell(pricing.cell)?))
}

fn percentage_of<'a>(pricing: &Pricing<'a>, at: Instant) -> Option<&'a Percentage> {
    match price_at(pricing, at)?.1 {
        PriceModel::Percentage(percentage) => Some(percentage),
        PriceModel::PerUnit { .. }
        | PriceModel::Package { .. }
        | PriceModel::Graduated(_)
        | PriceModel::Volume(_)
        | PriceModel::Stairstep(_)
        | PriceModel::Flat { .. }
        | PriceModel::Matrix(_) => None,
    }
}
