//! What is free of a position whose records are priced one by one: the first in time, up to where
//! the free part runs out.
//!
//! Where all records of a block are free, their sums are remembered until the block changes, so
//! that a free part of many thousand records is not walked for every one of them.

use super::{Kept, PositionPart, RecordKey};
use crate::instant::Instant;
use crate::money::Amount;
use crate::price::{Freed, Percentage};
use crate::quantity::Quantity;
use crate::rows::Block;
use std::collections::BTreeMap;

/// Sums of blocks by part and block. They can be worked out at any time, so they are not stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FreedBlocks {
    sums: BTreeMap<(u32, u32), Sums>,
}

/// What the records of a block come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sums {
    /// Which state of the block this is of.
    stamp: u64,
    /// The end of the part that it is of.
    end: Option<Instant>,
    /// What all of them use of the free part.
    used: Freed,
    /// The values of those that lie in the part.
    value: Quantity,
    /// What those would cost.
    fees: Amount,
}

impl FreedBlocks {
    /// Forgets the sums of a part that is gone: its number may be given to another.
    pub(super) fn forget(&mut self, number: u32) {
        self.sums.retain(|(part, _), _| *part != number);
    }

    /// How many units of a part are free, and what they would have cost.
    pub(super) fn freed(
        &mut self,
        kept: &Kept,
        percentage: &Percentage,
        (part, end): (&PositionPart, Option<Instant>),
    ) -> Option<(Quantity, Amount)> {
        let Kept::Records(rows) = kept else { return None };
        let (mut before, mut free, mut saved) = (Freed::default(), Quantity::ZERO, Amount::ZERO);
        for block in rows.blocks() {
            let starts_behind =
                block.rows.first().is_some_and(|(key, _)| end.is_some_and(|end| end <= key.at));
            if percentage.has_run_out(before) || starts_behind {
                break;
            }
            let sums = self.sums(percentage, block, (part, end))?;
            let after = before.plus(sums.used)?;
            let ends_behind =
                block.rows.last().is_some_and(|(key, _)| end.is_some_and(|end| end <= key.at));
            if !percentage.has_run_out(after) && !ends_behind {
                // As long as something is left behind the last, all of them were free.
                free = free.checked_add(sums.value)?;
                saved = saved.checked_add(sums.fees)?;
                before = after;
                continue;
            }
            for (key, value) in &block.rows {
                if percentage.has_run_out(before) || end.is_some_and(|end| end <= key.at) {
                    return Some((free, saved));
                }
                if part.start <= key.at {
                    let billable = percentage.billable(before, *value)?;
                    free = free.checked_add(value.checked_sub(billable)?)?;
                    let fee = percentage.fee(before, *value)?;
                    saved = saved.checked_add(percentage.full_fee(*value)?.checked_sub(fee)?)?;
                }
                before = before.and(*value)?;
            }
        }
        Some((free, saved))
    }

    fn sums(
        &mut self,
        percentage: &Percentage,
        block: &Block<RecordKey, Quantity>,
        (part, end): (&PositionPart, Option<Instant>),
    ) -> Option<Sums> {
        let place = (part.number, block.number);
        let known =
            self.sums.get(&place).filter(|sums| (sums.stamp, sums.end) == (block.stamp, end));
        if let Some(known) = known {
            return Some(*known);
        }
        let mut sums = Sums {
            stamp: block.stamp,
            end,
            used: Freed::default(),
            value: Quantity::ZERO,
            fees: Amount::ZERO,
        };
        for (key, value) in &block.rows {
            sums.used = sums.used.and(*value)?;
            if part.start <= key.at && end.is_none_or(|end| key.at < end) {
                sums.value = sums.value.checked_add(*value)?;
                sums.fees = sums.fees.checked_add(percentage.full_fee(*value)?)?;
            }
        }
        self.sums.insert(place, sums);
        Some(sums)
    }
}
