//! Rebuilding: what new terms must know of a scope that has usage already.
//!
//! A total or a position keeps of its records only what its terms need. Where a later catalog
//! prices the same scope by the record or by cells from a date on, the records themselves are
//! needed: how many of them are free, and which. They are found again, once for all positions that
//! need it, and each position is made anew as if the terms had been known from the start. The table
//! of identities says what the records were, the rated lines their sources and ids, by which those
//! of the same time are put in order.

use super::load::{Framed, any_charge, by_record, frame_of, place_of, span_of};
use super::said::{ChargeNames, damaged_line};
use super::{Names, Partition};
use crate::admitted::Content;
use crate::codec::decode_total;
use crate::error::Error;
use crate::identity::owner_hash;
use crate::keys::{NO_CELL, TotalKey};
use crate::limits::REBUILT_RECORDS_MAX;
use crate::position_codec::decode_position;
use crate::slots::{Slot, SlotKey};
use crate::tables::Table;
use rating::{
    Amount, Catalog, Charge, Direction, Instant, Kept, Measured, Period, Position, Pricing,
    Quantity, Subscription, SubscriptionId, Sums, Timeline, Total, Usage,
};
use std::collections::BTreeMap;

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

/// A position to be made anew.
struct Wanted<'c> {
    subscription: &'c Subscription,
    timeline: &'c Timeline,
    names: Names<'c>,
    cell: String,
    /// When its scope begins and ends.
    span: Period,
    /// What it, or the total in its place, has added to billing periods.
    before: ByPeriod,
    /// The total that has held the sum by itself.
    total: Option<(SlotKey, Total)>,
    records: Vec<FoundRecord>,
}

/// A record of such a position.
struct FoundRecord {
    at: Instant,
    source: String,
    id: String,
    measured: Measured,
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
                wanted.extend(self.plain_positions(catalog, charge)?);
            }
        }
        let mut rebuilt = Rebuilt::default();
        if wanted.is_empty() {
            return Ok(rebuilt);
        }
        self.find_records(catalog, &mut wanted)?;
        for mut one in wanted {
            let position = one.position(catalog).ok_or_else(|| one.refusal())?;
            if let Some((key, total)) = one.total.take() {
                let slot = one.slot(catalog, (key, total), &position);
                rebuilt.totals.push((key, slot.ok_or_else(|| one.refusal())?));
            }
            let mut key = Vec::new();
            one.names.key_of_cell(&one.cell, one.span.start).write(&mut key);
            rebuilt.positions.push((key, position));
        }
        Ok(rebuilt)
    }

    /// Puts what was made anew in the place of what was there; the next commit stores it.
    pub(super) fn install(&mut self, rebuilt: Rebuilt) {
        for (key, position) in rebuilt.positions {
            self.positions.replace(&key, position);
        }
        for (key, slot) in rebuilt.totals {
            let index = self.slots.insert(key, slot);
            self.slots.change(index);
        }
    }

    /// The totals of a charge that hold a sum where its terms need a position.
    fn plain_totals<'c>(
        &self,
        catalog: &'c Catalog,
        key: SlotKey,
        (subscription, timeline, names): (&'c Subscription, &'c Timeline, Names<'c>),
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
                cell: NO_CELL.to_owned(),
                span: period,
                before: before.collect(),
                total: Some((SlotKey { period_start: start, ..key }, total)),
                records: Vec::new(),
            });
            Ok(())
        })?;
        Ok(found)
    }

    /// The positions of a charge that have kept no records where its terms need them.
    fn plain_positions<'c>(
        &self,
        catalog: &'c Catalog,
        (subscription, timeline, names): (&'c Subscription, &'c Timeline, Names<'c>),
    ) -> Result<Vec<Wanted<'c>>, Error> {
        let mut prefix = Vec::new();
        names.key(subscription.active.start).write(&mut prefix);
        // The cell is empty and ends in a zero byte, as all names do.
        prefix.truncate(prefix.len() - START_BYTES - 1);
        let mut found = Vec::new();
        self.store.scan_prefix(Table::Positions, &prefix, |stored, bytes| {
            let key = TotalKey::read(stored).ok_or(DAMAGED_KEY)?;
            let position = decode_position(bytes).ok_or(Error::Damaged { what: "position" })?;
            let start = key.period_start;
            let span = frame_of(catalog, subscription, start).and_then(|framed| {
                span_of(any_charge(timeline)?, subscription, (catalog, start), framed)
            });
            let Some(span) = span.map(|span| span.time) else { return Ok(()) };
            let keeps = position.kept != Kept::Nothing || !by_record(timeline, span, key.cell);
            if keeps || span.start != start {
                return Ok(());
            }
            found.push(Wanted {
                subscription,
                timeline,
                names,
                cell: key.cell.to_owned(),
                span,
                before: added(&position).ok_or(Error::Damaged { what: "position" })?,
                total: None,
                records: Vec::new(),
            });
            Ok(())
        })?;
        Ok(found)
    }

    /// Finds the records of all positions in one pass.
    fn find_records(&self, catalog: &Catalog, wanted: &mut [Wanted<'_>]) -> Result<(), Error> {
        let places = self.places(catalog, wanted)?;
        let mut by_charge: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, one) in wanted.iter().enumerate() {
            by_charge.entry(one.names.charge_hash(&one.cell)).or_default().push(index);
        }
        let mut count = 0;
        self.for_each_standing((Instant::MIN, &|_| true), |identity, content: &Content| {
            for line in &content.lines {
                for index in by_charge.get(&line.charge).into_iter().flatten() {
                    let Some(one) = wanted.get_mut(*index) else { continue };
                    if !one.span.contains(content.used_at) {
                        continue;
                    }
                    let place = places.get(&identity).filter(|_| count < REBUILT_RECORDS_MAX);
                    let (source, id) = place.cloned().ok_or_else(|| one.refusal())?;
                    count += 1;
                    let (at, measured) = (content.used_at, line.measured);
                    one.records.push(FoundRecord { at, source, id, measured });
                }
            }
            Ok(())
        })
    }

    /// Sources and ids of the records of some charges.
    fn places(&self, catalog: &Catalog, wanted: &[Wanted<'_>]) -> Result<Places, Error> {
        let mut owners: BTreeMap<ChargeNames<'_>, u128> = BTreeMap::new();
        for Wanted { subscription, names, .. } in wanted {
            let customer = catalog.customer_at(subscription.customer);
            let customer = customer.ok_or(Error::Damaged { what: "list of customers" })?;
            owners.insert(names.of_charge(), owner_hash(&customer.id));
        }
        let mut places = Places::new();
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

impl Wanted<'_> {
    /// The position as its records make it; `None` where it is not what was there.
    fn position(&mut self, catalog: &Catalog) -> Option<Position> {
        let Self { subscription, timeline, cell, .. } = self;
        let records = &mut self.records;
        records.sort_by(|a, b| (a.at, &a.source, &a.id).cmp(&(b.at, &b.source, &b.id)));
        let aggregation = any_charge(timeline)?.aggregation;
        let mut position = Position::new(aggregation, by_record(timeline, self.span, cell));
        let pricing = Pricing { timeline, cell, aggregation };
        for FoundRecord { at, source, id, measured } in records {
            let framed = frame_of(catalog, subscription, *at)?;
            let (_, place) = place_of(catalog, (subscription, timeline), framed, *at)?;
            let Measured { quantity: value, distinct } = *measured;
            let usage = Usage { value, distinct, at: *at, source, id };
            position.change(&pricing, place, &usage, Direction::Add)?;
        }
        (added(&position)? == self.before).then_some(position)
    }

    /// The total that shows what the position adds, in place of the one that held the sum.
    fn slot(
        &self,
        catalog: &Catalog,
        (key, mut total): (SlotKey, Total),
        position: &Position,
    ) -> Option<Slot> {
        let Framed { period, share } = frame_of(catalog, self.subscription, key.period_start)?;
        let mut sums = Sums::default();
        for part in &position.parts {
            sums.quantity = sums.quantity.checked_add(part.adds.quantity)?;
            sums.billable = sums.billable.checked_add(part.adds.billable)?;
        }
        total.parts.clear();
        total.sums = Some(sums);
        let mut stored_key = Vec::new();
        self.names.key(period.start).write(&mut stored_key);
        Some(Slot::new(total, (period, share), stored_key, self.names.charge_hash(NO_CELL)))
    }

    fn refusal(&self) -> Error {
        Error::Repriced {
            subscription: self.names.subscription.to_owned(),
            charge: self.names.charge.to_owned(),
            start: self.span.start,
        }
    }
}

/// What a position adds to billing periods, without those to which it adds nothing.
fn added(position: &Position) -> Option<ByPeriod> {
    let mut by_period = ByPeriod::new();
    for part in &position.parts {
        let (quantity, amount) = by_period.entry(part.period.start).or_default();
        *quantity = quantity.checked_add(part.adds.quantity)?;
        *amount = amount.checked_add(part.adds.amount)?;
    }
    Some(by_period.into_iter().filter(is_something).collect())
}

fn is_something((_, added): &(Instant, (Quantity, Amount))) -> bool {
    *added != (Quantity::ZERO, Amount::ZERO)
}

/// Whether some of its terms may need more of earlier records than others keep. Scope and
/// aggregation of a charge never change, so only its price can.
fn changes_its_kind(timeline: &Timeline) -> bool {
    let mut charges = timeline.terms.iter().filter_map(|terms| terms.charge.as_deref());
    let needs_more = |charge: &Charge| charge.aggregation.adds_up() && !charge.model.is_plain();
    timeline.terms.len() > 1 && charges.any(needs_more)
}
