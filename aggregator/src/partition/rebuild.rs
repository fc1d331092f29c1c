//! Rebuilding: what new terms must know of a scope that has usage already.
//!
//! A total or a position keeps of its records only what its terms need. Where a later catalog
//! prices the same scope by the record, or by other cells, from a date on, the records themselves
//! are needed: how many of them are free, and which cell each belongs to. They are found again,
//! once for all scopes that need it, and the positions of each are made anew as if the terms had
//! been known from the start. The table of identities says what the records were; the rated lines
//! say their sources and ids, where those of the same time must be put in order.

use super::load::{Framed, any_charge, by_record, frame_of, place_of, span_of};
use super::said::{ChargeNames, damaged_line};
use super::{Names, Partition};
use crate::admitted::{AdmittedLine, Content};
use crate::codec::decode_total;
use crate::error::Error;
use crate::identity::owner_hash;
use crate::keys::TotalKey;
use crate::limits::REBUILT_RECORDS_MAX;
use crate::position_codec::decode_position;
use crate::slots::{Slot, SlotKey};
use crate::tables::Table;
use rating::{
    Amount, Catalog, Charge, Dimensions, Direction, Instant, Kept, Measured, Period, Position,
    PositionPart, Pricing, Quantity, Subscription, SubscriptionId, Sums, Tally, Timeline, Total,
    Usage,
};
use std::collections::{BTreeMap, BTreeSet};

/// Positions and totals that a catalog needs in another form than the state has them.
#[derive(Default)]
pub(super) struct Rebuilt {
    positions: Vec<(Vec<u8>, Position)>,
    totals: Vec<(SlotKey, Slot)>,
}

/// What billing periods hold, by their starts.
type ByPeriod = BTreeMap<Instant, (Quantity, Amount)>;

/// Sources and ids of records by their identities.
type Places = BTreeMap<u128, (String, String)>;

/// A charge of a subscription, and the names of both.
type Metered<'c> = (&'c Subscription, &'c Timeline, Names<'c>);

/// The stored positions of a scope, by the names of their cells.
type Stored = Vec<(String, Position)>;

/// A scope whose positions are to be made anew.
struct Wanted<'c> {
    subscription: &'c Subscription,
    timeline: &'c Timeline,
    names: Names<'c>,
    /// When the scope begins and ends.
    span: Period,
    /// What its positions, or the total in their place, have added to billing periods.
    before: ByPeriod,
    /// The total that has held the sum by itself.
    total: Option<(SlotKey, Total)>,
    /// Whether some of its positions hold its records in order.
    keeps_records: bool,
    records: Vec<FoundRecord>,
}

/// A record of such a scope.
struct FoundRecord {
    at: Instant,
    source: String,
    id: String,
    measured: Measured,
    dimensions: Dimensions,
}

impl Partition {
    /// Makes anew what a catalog needs in another form than the state has it.
    ///
    /// # Errors
    /// [`Error::Repriced`] where that cannot be.
    pub(super) fn rebuilt(&self, catalog: &Catalog) -> Result<Rebuilt, Error> {
        let mut wanted = Vec::new();
        for (index, subscription) in (0u32..).zip(catalog.subscriptions()) {
            for (number, timeline) in (0u32..).zip(catalog.timelines_of(subscription)) {
                if !changes_its_kind(timeline) {
                    continue;
                }
                let key = SlotKey {
                    subscription: SubscriptionId(index),
                    timeline: number,
                    period_start: subscription.active.start,
                };
                let names = Names::of(catalog, &key).ok_or(Error::Damaged { what: "slot" })?;
                let charge = (subscription, timeline, names);
                wanted.extend(self.plain_totals(catalog, key, charge)?);
                wanted.extend(self.lacking_scopes(catalog, charge)?);
            }
        }
        let mut rebuilt = Rebuilt::default();
        if wanted.is_empty() {
            return Ok(rebuilt);
        }
        self.find_records(catalog, &mut wanted)?;
        for mut one in wanted {
            let positions = one.positions(catalog).ok_or_else(|| one.refusal())?;
            if let Some((key, total)) = one.total.take() {
                let slot = one.slot(catalog, (key, total), positions.values());
                rebuilt.totals.push((key, slot.ok_or_else(|| one.refusal())?));
            }
            for (cell, position) in positions {
                let mut key = Vec::new();
                one.names.key_of_cell(cell, one.span.start).write(&mut key);
                rebuilt.positions.push((key, position));
            }
        }
        Ok(rebuilt)
    }

    /// Puts what was made anew in the place of what was there; the next commit stores it.
    pub(super) fn install(&mut self, rebuilt: Rebuilt) -> Result<(), Error> {
        for (key, position) in rebuilt.positions {
            self.positions.replace(&self.store, &key, position)?;
        }
        for (key, slot) in rebuilt.totals {
            let index = self.slots.insert(key, slot);
            self.slots.change(index);
        }
        Ok(())
    }

    /// The totals of a charge that hold a sum where its terms need positions.
    fn plain_totals<'c>(
        &self,
        catalog: &'c Catalog,
        key: SlotKey,
        (subscription, timeline, names): Metered<'c>,
    ) -> Result<Vec<Wanted<'c>>, Error> {
        let mut prefix = Vec::new();
        names.key(subscription.active.start).write(&mut prefix);
        prefix.truncate(prefix.len() - START_BYTES);
        let mut found = Vec::new();
        self.store.scan_prefix(Table::Totals, &prefix, |stored, bytes| {
            let start = TotalKey::read(stored).ok_or(DAMAGED_KEY)?.period_start;
            let total = decode_total(bytes).ok_or(Error::Damaged { what: "total" })?.total;
            let frame = frame_of(catalog, subscription, start);
            let period = frame.map(|frame| frame.period).filter(|period| period.start == start);
            let Some(period) = period.filter(|_| total.records > 0) else { return Ok(()) };
            if total.sums.is_some() || timeline.is_simple_in(period) {
                return Ok(());
            }
            let quantity = total.quantity().ok_or(Error::Damaged { what: "total" })?;
            let before = [(start, (quantity, total.rated))].into_iter().filter(is_something);
            found.push(Wanted {
                subscription,
                timeline,
                names,
                span: period,
                before: before.collect(),
                total: Some((SlotKey { period_start: start, ..key }, total)),
                keeps_records: keeps_records(timeline, period),
                records: Vec::new(),
            });
            Ok(())
        })?;
        Ok(found)
    }

    /// The scopes of a charge whose positions lack what its terms need: those that have kept no
    /// records where terms price by the record, and those of cells that records were not counted
    /// in, because no terms had them.
    fn lacking_scopes<'c>(
        &self,
        catalog: &'c Catalog,
        (subscription, timeline, names): Metered<'c>,
    ) -> Result<Vec<Wanted<'c>>, Error> {
        let mut prefix = Vec::new();
        names.key(subscription.active.start).write(&mut prefix);
        // The cell is empty and ends in a zero byte, as all names do.
        prefix.truncate(prefix.len() - START_BYTES - 1);
        let mut scopes: BTreeMap<Instant, Stored> = BTreeMap::new();
        self.store.scan_prefix(Table::Positions, &prefix, |stored, bytes| {
            let key = TotalKey::read(stored).ok_or(DAMAGED_KEY)?;
            let position = decode_position(bytes).ok_or(DAMAGED_POSITION)?;
            scopes.entry(key.period_start).or_default().push((key.cell.to_owned(), position));
            Ok(())
        })?;
        let mut found = Vec::new();
        for (start, stored) in scopes {
            let span = frame_of(catalog, subscription, start).and_then(|framed| {
                span_of(any_charge(timeline)?, subscription, (catalog, start), framed)
            });
            let Some(span) = span.map(|span| span.time).filter(|span| span.start == start) else {
                continue;
            };
            let keeps_too_little = |(cell, position): &(String, Position)| {
                position.kept == Kept::Nothing && by_record(timeline, span, cell)
            };
            if !stored.iter().any(keeps_too_little) && !lacks_a_grid(timeline, span, &stored) {
                continue;
            }
            let positions = stored.iter().map(|(_, position)| position);
            found.push(Wanted {
                subscription,
                timeline,
                names,
                span,
                before: added(positions).ok_or(DAMAGED_POSITION)?,
                total: None,
                keeps_records: keeps_records(timeline, span),
                records: Vec::new(),
            });
        }
        Ok(found)
    }

    /// Finds the records of all scopes in one pass.
    fn find_records(&self, catalog: &Catalog, wanted: &mut [Wanted<'_>]) -> Result<(), Error> {
        let places = self.places(catalog, wanted)?;
        let mut by_charge: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, one) in wanted.iter().enumerate() {
            if self.is_forgotten(one.span.start) {
                return Err(one.refusal());
            }
            by_charge.entry(one.names.charge_hash()).or_default().push(index);
        }
        let mut count = 0;
        self.for_each_standing((Instant::MIN, &|_| true), |identity, content: &Content| {
            for line in &content.lines {
                for index in by_charge.get(&line.charge).into_iter().flatten() {
                    let Some(one) = wanted.get_mut(*index) else { continue };
                    if !one.span.contains(content.used_at) {
                        continue;
                    }
                    let place = match one.keeps_records {
                        true => places.get(&identity).cloned(),
                        false => Some(<(String, String)>::default()),
                    };
                    let place = place.filter(|_| count < REBUILT_RECORDS_MAX);
                    let (source, id) = place.ok_or_else(|| one.refusal())?;
                    count += 1;
                    let AdmittedLine { measured, dimensions, .. } = line.clone();
                    let at = content.used_at;
                    one.records.push(FoundRecord { at, source, id, measured, dimensions });
                }
            }
            Ok(())
        })
    }

    /// Sources and ids of the records of the charges that keep them.
    fn places(&self, catalog: &Catalog, wanted: &[Wanted<'_>]) -> Result<Places, Error> {
        let mut owners: BTreeMap<ChargeNames<'_>, u128> = BTreeMap::new();
        for Wanted { subscription, names, .. } in wanted.iter().filter(|one| one.keeps_records) {
            let customer = catalog.customer_at(subscription.customer);
            let customer = customer.ok_or(Error::Damaged { what: "list of customers" })?;
            owners.insert(names.of_charge(), owner_hash(&customer.id));
        }
        let mut places = Places::new();
        if owners.is_empty() {
            return Ok(places);
        }
        self.for_each_said(|said| {
            let owner = said.with_names(|names| owners.get(names).copied()).flatten();
            let Some(owner) = owner else { return Ok(()) };
            let (source, id) = said.place().ok_or_else(damaged_line)?;
            if places.len() <= REBUILT_RECORDS_MAX {
                places.insert(self.seeds.identity(owner, &source, &id), (source, id));
            }
            Ok(())
        })?;
        Ok(places)
    }
}

/// How many bytes of a key its start takes.
const START_BYTES: usize = 8;
const DAMAGED_KEY: Error = Error::Damaged { what: "key of a total" };
const DAMAGED_POSITION: Error = Error::Damaged { what: "position" };

impl<'c> Wanted<'c> {
    /// The positions as the records make them, by their cells; `None` where they do not add what
    /// was there.
    fn positions(&mut self, catalog: &Catalog) -> Option<BTreeMap<&'c str, Position>> {
        let Self { subscription, timeline, span, .. } = *self;
        let records = &mut self.records;
        records.sort_by(|a, b| (a.at, &a.source, &a.id).cmp(&(b.at, &b.source, &b.id)));
        let aggregation = any_charge(timeline)?.aggregation;
        let mut positions: BTreeMap<&'c str, Position> = BTreeMap::new();
        for FoundRecord { at, source, id, measured, dimensions } in records {
            let framed = frame_of(catalog, subscription, *at)?;
            let (_, place) = place_of(catalog, (subscription, timeline), framed, *at)?;
            let Measured { quantity: value, distinct } = *measured;
            let usage = Usage { value, distinct, at: *at, source, id };
            for cell in timeline.cells_of(*at, span, dimensions) {
                let new = || Position::new(aggregation, by_record(timeline, span, cell));
                let position = positions.entry(cell).or_insert_with(new);
                let pricing = Pricing { timeline, cell, aggregation };
                position.change(&pricing, place, &usage, Direction::Add)?;
            }
        }
        (added(positions.values())? == self.before).then_some(positions)
    }

    /// The total that shows what the positions add, in place of the one that held the sum.
    fn slot<'p>(
        &self,
        catalog: &Catalog,
        (key, mut total): (SlotKey, Total),
        positions: impl Iterator<Item = &'p Position>,
    ) -> Option<Slot> {
        let Framed { period, share } = frame_of(catalog, self.subscription, key.period_start)?;
        let mut sums = Sums::default();
        for part in positions.flat_map(|position| &position.parts) {
            sums.quantity = sums.quantity.checked_add(part.adds.quantity)?;
            sums.billable = sums.billable.checked_add(part.adds.billable)?;
        }
        total.parts.clear();
        total.sums = Some(sums);
        let mut stored_key = Vec::new();
        self.names.key(period.start).write(&mut stored_key);
        Some(Slot::new(total, (period, share), stored_key, self.names.charge_hash()))
    }

    fn refusal(&self) -> Error {
        Error::Repriced {
            subscription: self.names.subscription.to_owned(),
            charge: self.names.charge.to_owned(),
            start: self.span.start,
        }
    }
}

/// What positions add to billing periods, without those to which they add nothing.
fn added<'p>(positions: impl Iterator<Item = &'p Position>) -> Option<ByPeriod> {
    let mut by_period = ByPeriod::new();
    for part in positions.flat_map(|position| &position.parts) {
        let (quantity, amount) = by_period.entry(part.period.start).or_default();
        *quantity = quantity.checked_add(part.adds.quantity)?;
        *amount = amount.checked_add(part.adds.amount)?;
    }
    Some(by_period.into_iter().filter(is_something).collect())
}

/// Whether some positions of a scope hold its records in order.
fn keeps_records(timeline: &Timeline, span: Period) -> bool {
    let mut charges = timeline.within(span).map(|(_, charge)| charge);
    charges.any(|charge| {
        let new = |cell| Position::new(charge.aggregation, by_record(timeline, span, cell));
        charge.model.cells().into_iter().any(|cell| matches!(new(cell).kept, Kept::Records(_)))
    })
}

fn is_something((_, added): &(Instant, (Quantity, Amount))) -> bool {
    *added != (Quantity::ZERO, Amount::ZERO)
}

/// Whether some of its terms may need more of earlier records than others keep. Scope and
/// aggregation of a charge never change, so only its price can.
fn changes_its_kind(timeline: &Timeline) -> bool {
    let mut charges = timeline.terms.iter().filter_map(|terms| terms.charge.as_deref());
    let needs_more = |charge: &Charge| charge.aggregation.adds_up() && !charge.model.is_plain();
    timeline.changes_grid || (timeline.terms.len() > 1 && charges.any(needs_more))
}

/// Whether records were used in a scope that have not been counted in the cells of later terms.
fn lacks_a_grid(timeline: &Timeline, span: Period, stored: &Stored) -> bool {
    if !timeline.changes_grid {
        return false;
    }
    // Where records were counted, by the grids that they were counted in.
    let mut counted: BTreeMap<u64, BTreeSet<Instant>> = BTreeMap::new();
    let mut used: BTreeSet<Instant> = BTreeSet::new();
    for (cell, position) in stored {
        let grids = timeline.within(span).map(|(_, charge)| &charge.model);
        let mut grids = grids.filter(|model| model.of_cell(cell).is_some());
        let Some(grid) = grids.next().map(|model| model.grid()) else { continue };
        let holding = position.parts.iter().filter(|part| may_hold_records(part));
        for part in holding {
            counted.entry(grid).or_default().insert(part.start);
            let own = timeline.at(part.start).and_then(|terms| terms.charge.as_deref());
            if own.is_some_and(|charge| charge.model.grid() == grid) {
                used.insert(part.start);
            }
        }
    }
    used.iter().any(|start| {
        let later = timeline.within(Period { start: *start, end: span.end });
        let mut grids = later.map(|(_, charge)| charge.model.grid());
        grids.any(|grid| !counted.get(&grid).is_some_and(|starts| starts.contains(start)))
    })
}

fn may_hold_records(part: &PositionPart) -> bool {
    match &part.tally {
        Tally::Sum(sum) => *sum != Quantity::ZERO,
        Tally::Mean { count, .. } => *count > 0,
        // Their rows are not looked at.
        Tally::Values(_) | Tally::Distinct(_) | Tally::Latest => true,
        Tally::Weighted { .. } => false,
    }
}
