//! Undoing: a position after a refused record is what it was before, to the last byte.
//!
//! Taking a record back is not enough: it would leave a part without records, and rows in other
//! blocks than before.

use super::tally::TallyUndo;
use super::{Contribution, Kept, Position, RecordKey, Tally};
use crate::instant::Instant;
use crate::money::Amount;
use crate::quantity::Quantity;
use crate::rows::RowUndo;

/// How to undo the last change of a position.
#[derive(Debug)]
pub struct PositionUndo {
    /// The part that changed.
    pub(super) index: usize,
    /// Whether it was made for that.
    is_new: bool,
    /// What was counted in it.
    pub(super) counted: Option<Counted>,
    /// What it and the parts behind it have added, and the levels that they began with.
    pub(super) adds: Vec<(Contribution, Quantity)>,
}

/// How a part was before a record was counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) tally: TallyUndo,
    pub(super) full_fees: Amount,
    pub(super) kept: KeptUndo,
}

/// How to undo a change of what is kept beside the parts.
#[derive(Debug)]
pub(super) enum KeptUndo {
    Nothing,
    Record(RowUndo<RecordKey, Quantity>),
    Value {
        row: RowUndo<(u128, Instant), u64>,
        /// How many new values there were in the parts that start then.
        new: Vec<(Instant, u64)>,
    },
}

impl PositionUndo {
    pub(super) const fn of_part(index: usize, is_new: bool) -> Self {
        Self { index, is_new, counted: None, adds: Vec::new() }
    }
}

impl Position {
    /// Undoes a change, if all later ones have been undone.
    pub fn undo(&mut self, undo: PositionUndo) {
        let PositionUndo { index, is_new, counted, adds } = undo;
        for (part, (adds, carried)) in self.parts.iter_mut().skip(index).zip(adds) {
            (part.adds, part.carried) = (adds, carried);
        }
        if let Some(Counted { tally, full_fees, kept }) = counted {
            self.undo_kept(kept);
            if let Some(part) = self.parts.get_mut(index) {
                part.tally.undo(tally);
                part.full_fees = full_fees;
            }
        }
        if is_new && index < self.parts.len() {
            let part = self.parts.remove(index);
            self.freed_blocks.forget(part.number);
        }
    }

    fn undo_kept(&mut self, undo: KeptUndo) {
        match (&mut self.kept, undo) {
            (Kept::Records(rows), KeptUndo::Record(undo)) => rows.undo(undo),
            (Kept::Distinct(rows), KeptUndo::Value { row, new }) => {
                rows.undo(row);
                for (start, before) in new.into_iter().rev() {
                    let part = self.parts.iter_mut().find(|part| part.start == start);
                    if let Some(Tally::Distinct(new)) = part.map(|part| &mut part.tally) {
                        *new = before;
                    }
                }
            }
            (_, KeptUndo::Nothing | KeptUndo::Record(_) | KeptUndo::Value { .. }) => {}
        }
    }
}
