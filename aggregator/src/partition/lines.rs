//! Lines: what a record adds to totals, and what taking it back takes from them.

use super::load::{Framed, new_position, place_of};
use super::{Names, Partition};
use crate::admitted::AdmittedLine;
use crate::error::Error;
use crate::keys::NO_CELL;
use crate::lineage::record_hash;
use crate::rated::{self, RatedLine};
use crate::slots::{SlotIndex, SlotKey};
use rating::resolve::Line;
use rating::{
    Catalog, Code, Dimensions, Direction, Instant, Measured, Pricing, Rated, Rejection, Shift,
    Sums, Terms, Timeline, Total, Usage, UsageRecord, cell_label, rate, take_back,
};

/// One line of a record: which charge it goes to, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) line: Line,
    /// By which it is found in cells.
    pub(super) dimensions: &'a Dimensions,
    /// When it was used.
    pub(super) at: Instant,
    /// Whose record it is: that of the place, also where an amendment stands there.
    pub(super) source: &'a str,
    pub(super) id: &'a str,
    pub(super) direction: Direction,
    pub(super) voice: Voice<'a>,
}

/// Under whose name rated lines are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    /// The record that causes them.
    pub(super) source: &'a str,
    pub(super) id: &'a str,
    pub(super) at: Instant,
    /// Whether it corrects another.
    pub(super) corrects: bool,
}

impl Partition {
    /// Does something to totals and positions wholly or, where it is refused, not at all: they are
    /// then what they were before, to the last byte.
    pub(super) fn whole_or_not<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Result<T, Rejection>, Error>,
    ) -> Result<Result<T, Rejection>, Error> {
        let output = self.transaction.outputs.rated.len();
        self.slots.begin();
        self.positions.begin();
        let done = work(self)?;
        self.slots.end(done.is_ok());
        self.positions.end(done.is_ok());
        if done.is_err() {
            self.transaction.outputs.rated.truncate(output);
        }
        Ok(done)
    }

    /// Adds a record to all its totals, or to none.
    pub(super) fn add_record(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        lines: &[Line],
    ) -> Result<Result<(), Rejection>, Error> {
        // A single line of a sum, as most are, is refused before anything has changed.
        let is_plain = |line: &Line| {
            timeline_of(catalog, line, record.used_at).is_ok_and(|(found, _)| found.is_simple)
        };
        if lines.len() <= 1 && lines.iter().all(is_plain) {
            return self.add_lines(catalog, record, lines);
        }
        self.whole_or_not(|partition| partition.add_lines(catalog, record, lines))
    }

    fn add_lines(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        lines: &[Line],
    ) -> Result<Result<(), Rejection>, Error> {
        let (source, id, at) = (&*record.source, &*record.id, record.used_at);
        let voice = Voice { source, id, at, corrects: false };
        for line in lines {
            let dimensions = dimensions_of(catalog, line, record)?;
            let direction = Direction::Add;
            let entry =
                Entry { line: *line, dimensions: &dimensions, at, source, id, direction, voice };
            match self.change(catalog, &entry)? {
                Ok(charge) => {
                    let measured = line.measured;
                    self.admitted.push(AdmittedLine { charge, measured, dimensions });
                }
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        Ok(Ok(()))
    }

    fn is_simple(&self, index: SlotIndex) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.total.sums.is_none())
    }

    /// Adds one line or takes it back, and writes what that comes to; gives the hash by which its
    /// charge is found again.
    pub(super) fn change(
        &mut self,
        catalog: &Catalog,
        entry: &Entry<'_>,
    ) -> Result<Result<u64, Rejection>, Error> {
        let Some(index) = self.load(catalog, &entry.line, entry.at)? else {
            let reason = "the record's time lies beyond the calendar";
            return Ok(Err(Rejection::new(Code::NoActivePlan, reason)));
        };
        let (timeline, terms) = timeline_of(catalog, &entry.line, entry.at)?;
        let quantity = entry.line.measured.quantity;
        let period_end = self.slots.get(index).ok_or(SLOT)?.period.end;
        self.changed_until = self.changed_until.max(period_end);
        self.used_until = self.used_until.max(entry.at);
        if self.is_simple(index) {
            let slot = self.slots.try_change(index).ok_or(SLOT)?;
            let by = (timeline, terms, slot.share);
            let rated = match entry.direction {
                Direction::Add => rate(&mut slot.total, by, quantity, entry.at),
                Direction::TakeBack => take_back(&mut slot.total, by, quantity, entry.at),
            };
            let Some(rated) = rated else { return Ok(Err(overflow(timeline))) };
            self.note(catalog, entry, (index, terms), rated);
            return Ok(Ok(self.slots.get(index).ok_or(SLOT)?.charge));
        }
        if self.positions.notes_steps() {
            return self.change_positions(catalog, entry, index);
        }
        self.whole_or_not(|partition| partition.change_positions(catalog, entry, index))
    }

    /// What [`Partition::change`] does where the total does not hold all that is needed.
    fn change_positions(
        &mut self,
        catalog: &Catalog,
        entry: &Entry<'_>,
        index: SlotIndex,
    ) -> Result<Result<u64, Rejection>, Error> {
        let (timeline, terms) = timeline_of(catalog, &entry.line, entry.at)?;
        let shifts = match self.shift(catalog, entry, index)? {
            Ok(shifts) => shifts,
            Err(rejection) => return Ok(Err(rejection)),
        };
        if !self.fit(catalog, (entry, index), &shifts)? {
            return Ok(Err(overflow(timeline)));
        }
        self.add_shifts(catalog, entry, (index, timeline, terms), &shifts)?;
        Ok(Ok(self.slots.get(index).ok_or(SLOT)?.charge))
    }

    fn slot_key(&mut self, catalog: &Catalog, line: &Line, at: Instant) -> Result<SlotKey, Error> {
        let subscription = catalog.subscription_at(line.subscription).ok_or(SLOT)?;
        let period = self.period(catalog, subscription, at).ok_or(SLOT)?;
        let timeline = u32::try_from(line.timeline).unwrap_or(u32::MAX);
        let period_start = period.start;
        Ok(SlotKey { subscription: line.subscription, timeline, period_start })
    }

    /// Changes the positions of all cells that a line counts in; gives by how much that changes
    /// billing periods, that of the line first. Where it is refused, some may have changed, which
    /// [`Partition::whole_or_not`] undoes.
    fn shift(
        &mut self,
        catalog: &Catalog,
        entry: &Entry<'_>,
        index: SlotIndex,
    ) -> Result<Result<Vec<Shift>, Rejection>, Error> {
        let (timeline, terms) = timeline_of(catalog, &entry.line, entry.at)?;
        let charge = terms.charge.as_deref().ok_or(SLOT)?;
        let subscription = catalog.subscription_at(entry.line.subscription).ok_or(SLOT)?;
        let slot = self.slots.get(index).ok_or(SLOT)?;
        let framed = Framed { period: slot.period, share: slot.share };
        let placed = place_of(catalog, (subscription, timeline), framed, entry.at);
        let Some((span, place)) = placed else {
            let reason = "the record's time lies beyond the calendar";
            return Ok(Err(Rejection::new(Code::NoActivePlan, reason)));
        };
        let slot_key = self.slot_key(catalog, &entry.line, entry.at)?;
        let names = Names::of(catalog, &slot_key).ok_or(SLOT)?;
        let aggregation = charge.aggregation;
        let Measured { quantity, distinct } = entry.line.measured;
        let Entry { at, source, id, direction, .. } = *entry;
        let usage = Usage { value: quantity, distinct, at, source, id };
        let mut shifts: Vec<Shift> = Vec::new();
        for cell in timeline.cells_of(at, span.time, entry.dimensions) {
            let mut key = Vec::new();
            names.key_of_cell(cell, span.time.start).write(&mut key);
            let new = || new_position((timeline, span.time, cell), aggregation);
            let position = self.positions.change(&self.store, &key, new)?;
            // Cells of terms that were withdrawn are not counted in any more.
            position.grids = timeline.grids_of(span.time);
            let pricing = Pricing { timeline, cell, aggregation };
            let Some(changed) = position.change(&pricing, place, &usage, direction) else {
                return Ok(Err(overflow(timeline)));
            };
            self.positions.changed(&key, changed.undo);
            if add_to(&mut shifts, changed.shifts).is_none() {
                return Ok(Err(overflow(timeline)));
            }
        }
        Ok(Ok(shifts))
    }

    /// Whether all totals can take what a position says.
    fn fit(
        &mut self,
        catalog: &Catalog,
        (entry, index): (&Entry<'_>, SlotIndex),
        shifts: &[Shift],
    ) -> Result<bool, Error> {
        let key = self.slot_key(catalog, &entry.line, entry.at)?;
        for (number, shift) in shifts.iter().enumerate() {
            let shifted = SlotKey { period_start: shift.period.start, ..key };
            let index =
                if number == 0 { index } else { self.load_slot(catalog, shifted, shift.period)? };
            let mut total = self.slots.get(index).ok_or(SLOT)?.total.clone();
            let added = add_shift(&mut total, shift);
            if added.is_none() || !total.rated.fits_a_total() || total.quantity().is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds what a position says to the totals of its billing periods: first that of the record,
    /// then those that it shifts.
    fn add_shifts(
        &mut self,
        catalog: &Catalog,
        entry: &Entry<'_>,
        (index, timeline, terms): (SlotIndex, &Timeline, &Terms),
        shifts: &[Shift],
    ) -> Result<(), Error> {
        let key = self.slot_key(catalog, &entry.line, entry.at)?;
        let names = Names::of(catalog, &key).ok_or(SLOT)?;
        let overflow = || Error::Overflow {
            subscription: names.subscription.to_owned(),
            charge: names.charge.to_owned(),
        };
        for (number, shift) in shifts.iter().enumerate() {
            let own = number == 0;
            let shifted = SlotKey { period_start: shift.period.start, ..key };
            let index = if own { index } else { self.load_slot(catalog, shifted, shift.period)? };
            let slot = self.slots.change(index).ok_or(SLOT)?;
            let total_before = slot.total.quantity().ok_or_else(overflow)?;
            add_shift(&mut slot.total, shift).ok_or_else(overflow)?;
            let rated = Rated { amount: shift.by.amount, total_before };
            if own {
                match entry.direction {
                    Direction::Add => slot.total.note_added(entry.at),
                    Direction::TakeBack => slot.total.note_taken_back(entry.at),
                }
                self.note(catalog, entry, (index, terms), rated);
                continue;
            }
            slot.revise(self.causes);
            if !rated.amount.is_zero() {
                let terms = timeline.at(shift.period.start).unwrap_or(terms);
                self.quantity_text.clear();
                self.quantity_text.push('0');
                self.write(catalog, entry, (index, terms), (rated, true));
            }
        }
        Ok(())
    }

    /// Notes in a total that a record was added or taken back, and writes its line.
    fn note(
        &mut self,
        catalog: &Catalog,
        entry: &Entry<'_>,
        (index, terms): (SlotIndex, &Terms),
        rated: Rated,
    ) {
        let Some(slot) = self.slots.change(index) else { return };
        let charge = terms.charge.as_deref().map_or("", |charge| &charge.key);
        slot.revise(self.causes);
        let total = &mut slot.total;
        let quantity = entry.line.measured.quantity;
        self.quantity_text.clear();
        // Writing to a string cannot fail.
        _ = quantity.write_to(&mut self.quantity_text);
        let hash = record_hash(entry.source, entry.id, charge, &self.quantity_text);
        match entry.direction {
            Direction::Add => total.lineage = total.lineage.wrapping_add(hash),
            Direction::TakeBack => total.lineage = total.lineage.wrapping_sub(hash),
        }
        self.write(catalog, entry, (index, terms), (rated, false));
    }

    /// Writes a rated line with the quantity that was written last.
    fn write(
        &mut self,
        catalog: &Catalog,
        entry: &Entry<'_>,
        (index, terms): (SlotIndex, &Terms),
        (rated, is_shift): (Rated, bool),
    ) {
        let Some(slot) = self.slots.change(index) else { return };
        if slot.rated_head.is_empty() || slot.rated_from != terms.from {
            slot.rated_head = rated::head(catalog, &entry.line, slot.period.start, terms);
            slot.rated_from = terms.from;
        }
        let line = RatedLine {
            source: entry.voice.source,
            id: entry.voice.id,
            at: entry.voice.at,
            head: &slot.rated_head,
            quantity: &self.quantity_text,
            is_shift,
            taken_back: entry.direction == Direction::TakeBack,
            rated: &rated,
            cell: cell_label(
                terms
                    .charge
                    .as_deref()
                    .map_or(NO_CELL, |charge| charge.model.cell_of(entry.dimensions)),
            ),
            corrects: entry.voice.corrects.then_some((entry.source, entry.id)),
            is_adjustment: slot.total.closed,
        };
        line.write(&mut self.transaction.outputs.rated);
    }

    /// Brings the slot of a line into memory; `None` beyond the calendar.
    pub(super) fn load(
        &mut self,
        catalog: &Catalog,
        line: &Line,
        at: Instant,
    ) -> Result<Option<SlotIndex>, Error> {
        let subscription = catalog
            .subscription_at(line.subscription)
            .ok_or(Error::Damaged { what: "list of subscriptions" })?;
        let Some(period) = self.period(catalog, subscription, at) else { return Ok(None) };
        let timeline = u32::try_from(line.timeline).unwrap_or(u32::MAX);
        let period_start = period.start;
        let key = SlotKey { subscription: line.subscription, timeline, period_start };
        self.load_slot(catalog, key, period).map(Some)
    }
}

const SLOT: Error = Error::Damaged { what: "slot" };

fn overflow(timeline: &Timeline) -> Rejection {
    let reason = format!("the total of charge \"{}\" overflows", timeline.key);
    Rejection::new(Code::Overflow, reason)
}

/// Adds up what several cells say of the same billing periods.
fn add_to(shifts: &mut Vec<Shift>, others: Vec<Shift>) -> Option<()> {
    if shifts.is_empty() {
        *shifts = others;
        return Some(());
    }
    for other in others {
        match shifts.iter_mut().find(|shift| shift.period == other.period) {
            Some(shift) => shift.by = shift.by.plus(other.by)?,
            None => shifts.push(other),
        }
    }
    Some(())
}

fn add_shift(total: &mut Total, shift: &Shift) -> Option<()> {
    let sums = total.sums.unwrap_or_default();
    let rated = total.rated.checked_add(shift.by.amount)?;
    total.sums = Some(Sums {
        quantity: sums.quantity.checked_add(shift.by.quantity)?,
        billable: sums.billable.checked_add(shift.by.billable)?,
        carried: shift.carried,
    });
    total.rated = rated;
    Some(())
}

/// The charge of a line through time, and its terms at an instant.
pub(super) fn timeline_of<'c>(
    catalog: &'c Catalog,
    line: &Line,
    at: Instant,
) -> Result<(&'c Timeline, &'c Terms), Error> {
    let subscription = catalog.subscription_at(line.subscription);
    let timeline = subscription
        .and_then(|subscription| catalog.timelines_of(subscription).get(line.timeline))
        .ok_or(Error::Damaged { what: "list of charges" })?;
    Ok((timeline, timeline.at(at).ok_or(Error::Damaged { what: "timeline" })?))
}

/// The dimensions of a record that the meter of a line finds.
pub(super) fn dimensions_of(
    catalog: &Catalog,
    line: &Line,
    record: &UsageRecord<'_>,
) -> Result<Dimensions, Error> {
    let (_, terms) = timeline_of(catalog, line, record.used_at)?;
    let meter = terms.charge.as_deref().and_then(|charge| catalog.meter(charge.meter?));
    Ok(meter.ok_or(Error::Damaged { what: "list of charges" })?.dimensions(record.data))
}
