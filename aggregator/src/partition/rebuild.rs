//! Rebuilding: what new terms must know of a scope that has usage already.
//!
//! A total or a position keeps of its records only what its terms need. Where a later catalog
//! prices the same scope by the record, or by other cells, from a date on, the records themselves
//! are needed: how many of them are free, and which cell each belongs to. They are found again,
//! once for all scopes that need it, and the positions of each are made anew as if the terms had
//! been known from the start. The table of identities says what the records were; the rated lines
//! say their sources and ids, where those of the same time must be put in order.

use super::load::{Framed, any_charge, by_record, frame_of, new_position, place_of, span_of};
use super::said::{ChargeNames, damaged_line};
use super::{Names, Partition};
use crate::admitted::{AdmittedLine, Content};
use crate::codec::decode_total;
use crate::error::Error;
use crate::identity::owner_hash;
use crate::keys::TotalKey;
use crate::limits::{REBUILT_POSITIONS_MAX, REBUILT_RECORDS_MAX};
use crate::position_codec::decode_position;
use crate::slots::{Slot, SlotKey};
use crate::tables::Table;
use rating::{
    Aggregation, Amount, Catalog, Charge, Dimensions, Direction, Instant, Kept, Measured, Period,
    Position, PositionPart, PriceModel, Pricing, Quantity, Subscription, SubscriptionId, Sums,
    Timeline, Total, Usage,
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

/// A charge of a subscription, and the names of both.
type Metered<'c> = (&'c Subscription, &'c Timeline, Names<'c>);

/// A scope whose positions are to be made anew.
struct Wanted<'c> {
    subscription: &'c Subscription,
    timeline: &'c Timeline,
    names: Names<'c>,
    /// When the scope begins and ends.
    span: Period,
    /// What its positions, or the total in their place, have added to billing periods.
    before: ByPeriod,
    /// When its parts with records begin, and the billing periods that they are of.
    parts: BTreeMap<Instant, Period>,
    /// The total that has held the sum by itself.
    total: Option<(SlotKey, Total)>,
    /// Whether some of its positions hold its records in order.
    keeps_records: bool,
    /// What has been counted so far, by cells; of those that are stored, all, so that one without
    /// records goes.
    positions: BTreeMap<String, Position>,
    /// Those that are to be put in order before they are counted.
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
        for one in &wanted {
            self.check_found(catalog, one)?;
        }
        self.find_records(catalog, &mut wanted)?;
        for mut one in wanted {
            one.count_in_order(catalog)?;
            if let Some((key, total)) = one.total.take() {
                let slot = one.slot(catalog, (key, total));
                rebuilt.totals.push((key, slot.ok_or_else(|| one.refusal())?));
            }
            for (cell, position) in std::mem::take(&mut one.positions) {
                let mut key = Vec::new();
                one.names.key_of_cell(&cell, one.span.start).write(&mut key);
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
            let total = decode_total(bytes).ok_or(DAMAGED_TOTAL)?.total;
            let frame = frame_of(catalog, subscription, start);
            let period = frame.map(|frame| frame.period).filter(|period| period.start == start);
            let Some(period) = period.filter(|_| total.records > 0) else { return Ok(()) };
            if total.sums.is_some() || timeline.is_simple_in(period) {
                return Ok(());
            }
            let quantity = total.quantity().ok_or(DAMAGED_TOTAL)?;
            let before = [(start, (quantity, total.rated))].into_iter().filter(is_something);
            let mut one = Wanted::new((subscription, timeline, names), period);
            one.before = before.collect();
            one.parts = total.parts.iter().map(|part| (part.from.max(start), period)).collect();
            one.total = Some((SlotKey { period_start: start, ..key }, total));
            found.push(one);
            Ok(())
        })?;
        Ok(found)
    }

    /// The scopes of a charge whose positions lack what its terms need: those that have kept no
    /// records where terms price by the record, and those whose records were counted in the cells
    /// of other grids than the scope has now.
    fn lacking_scopes<'c>(
        &self,
        catalog: &'c Catalog,
        (subscription, timeline, names): Metered<'c>,
    ) -> Result<Vec<Wanted<'c>>, Error> {
        let mut prefix = Vec::new();
        names.key(subscription.active.start).write(&mut prefix);
        // The cell is empty and ends in a zero byte, as all names do.
        prefix.truncate(prefix.len() - START_BYTES - 1);
        let scan = |each: &mut dyn FnMut(TotalKey<'_>, Position) -> Result<(), Error>| {
            self.store.scan_prefix(Table::Positions, &prefix, |stored, bytes| {
                let key = TotalKey::read(stored).ok_or(DAMAGED_KEY)?;
                each(key, decode_position(bytes).ok_or(DAMAGED_POSITION)?)
            })
        };
        let mut lacking: BTreeMap<Instant, Wanted<'c>> = BTreeMap::new();
        scan(&mut |key, position| {
            let start = key.period_start;
            let span = frame_of(catalog, subscription, start).and_then(|framed| {
                span_of(any_charge(timeline)?, subscription, (catalog, start), framed)
            });
            let Some(span) = span.map(|span| span.time).filter(|span| span.start == start) else {
                return Ok(());
            };
            let keeps_too_little =
                position.kept == Kept::Nothing && by_record(timeline, span, key.cell);
            // In the cells of its own terms, a scope of one grid has all that was used.
            let grids = timeline.grids_of(span);
            if keeps_too_little || (grids != 0 && position.grids != grids) {
                let new = || Wanted::new((subscription, timeline, names), span);
                lacking.entry(start).or_insert_with(new);
            }
            Ok(())
        })?;
        if lacking.is_empty() {
            return Ok(Vec::new());
        }
        scan(&mut |key, position| match lacking.get_mut(&key.period_start) {
            None => Ok(()),
            Some(one) => one.add_stored(key.cell, &position).ok_or(DAMAGED_POSITION),
        })?;
        Ok(lacking.into_values().collect())
    }

    /// Refuses a scope whose records are not all there any more, or do not say what its cells look
    /// at.
    fn check_found(&self, catalog: &Catalog, one: &Wanted<'_>) -> Result<(), Error> {
        for period in one.parts.values().filter(|period| self.is_forgotten(period.end)) {
            let mut key = Vec::new();
            one.names.key(period.start).write(&mut key);
            let total = self.store.get(Table::Totals, &key)?;
            let total = total.map(|bytes| decode_total(&bytes).ok_or(DAMAGED_TOTAL)).transpose()?;
            if total.is_some_and(|stored| stored.total.records > 0) {
                return Err(one.refusal());
            }
        }
        let known = self.dimensions_known_since(catalog, one.timeline, one.span)?;
        match one.parts.first_key_value() {
            Some((first, _)) if *first < known => Err(one.refusal()),
            _ => Ok(()),
        }
    }

    /// Finds the records of all scopes in one pass, and counts those that need no order.
    fn find_records(&self, catalog: &Catalog, wanted: &mut [Wanted<'_>]) -> Result<(), Error> {
        let places = self.places(catalog, wanted)?;
        let mut by_charge: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, one) in wanted.iter().enumerate() {
            by_charge.entry(one.names.charge_hash()).or_default().push(index);
        }
        let mut kept = 0;
        let mut positions: usize = wanted.iter().map(|one| one.positions.len()).sum();
        self.for_each_standing((Instant::MIN, &|_| true), |identity, content: &Content| {
            for line in &content.lines {
                for index in by_charge.get(&line.charge).into_iter().flatten() {
                    let Some(one) = wanted.get_mut(*index) else { continue };
                    if !one.span.contains(content.used_at) {
                        continue;
                    }
                    let AdmittedLine { measured, dimensions, .. } = line.clone();
                    let at = content.used_at;
                    if !one.keeps_records {
                        let (source, id) = <(String, String)>::default();
                        let found = FoundRecord { at, source, id, measured, dimensions };
                        let before = one.positions.len();
                        one.count(catalog, &found).ok_or_else(|| one.refusal())?;
                        positions += one.positions.len() - before;
                        if positions > REBUILT_POSITIONS_MAX {
                            return Err(one.refusal());
                        }
                        continue;
                    }
                    let place = places.get(&identity).filter(|_| kept < REBUILT_RECORDS_MAX);
                    let (source, id) = place.cloned().ok_or_else(|| one.refusal())?;
                    kept += 1;
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
const DAMAGED_TOTAL: Error = Error::Damaged { what: "total" };
const DAMAGED_POSITION: Error = Error::Damaged { what: "position" };

impl<'c> Wanted<'c> {
    fn new((subscription, timeline, names): Metered<'c>, span: Period) -> Self {
        Self {
            subscription,
            timeline,
            names,
            span,
            before: ByPeriod::new(),
            parts: BTreeMap::new(),
            total: None,
            keeps_records: keeps_records(timeline, span),
            positions: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// Notes what a position has added; one without records takes its place.
    fn add_stored(&mut self, cell: &str, position: &Position) -> Option<()> {
        for part in &position.parts {
            add(&mut self.before, part)?;
            self.parts.insert(part.start, part.period);
        }
        let aggregation = any_charge(self.timeline)?.aggregation;
        let new = new_position((self.timeline, self.span, cell), aggregation);
        self.positions.insert(cell.to_owned(), new);
        Some(())
    }

    /// Counts a record in all its cells; `None` where an amount leaves its domain.
    fn count(&mut self, catalog: &Catalog, record: &FoundRecord) -> Option<()> {
        let Self { subscription, timeline, span, .. } = *self;
        let FoundRecord { at, source, id, measured, dimensions } = record;
        let aggregation = any_charge(timeline)?.aggregation;
        let framed = frame_of(catalog, subscription, *at)?;
        let (_, place) = place_of(catalog, (subscription, timeline), framed, *at)?;
        let Measured { quantity: value, distinct } = *measured;
        let usage = Usage { value, distinct, at: *at, source, id };
        for cell in timeline.cells_of(*at, span, dimensions) {
            if !self.positions.contains_key(cell) {
                let new = new_position((timeline, span, cell), aggregation);
                self.positions.insert(cell.to_owned(), new);
            }
            let pricing = Pricing { timeline, cell, aggregation };
            let position = self.positions.get_mut(cell)?;
            position.change(&pricing, place, &usage, Direction::Add)?;
        }
        Some(())
    }

    /// Counts the records that were to be put in order.
    ///
    /// # Errors
    /// [`Error::Repriced`] where all together do not add what was there.
    fn count_in_order(&mut self, catalog: &Catalog) -> Result<(), Error> {
        let mut records = std::mem::take(&mut self.records);
        records.sort_by(|a, b| (a.at, &a.source, &a.id).cmp(&(b.at, &b.source, &b.id)));
        for record in &records {
            self.count(catalog, record).ok_or_else(|| self.refusal())?;
        }
        let mut added = ByPeriod::new();
        for part in self.positions.values().flat_map(|position| &position.parts) {
            add(&mut added, part).ok_or_else(|| self.refusal())?;
        }
        self.before.retain(|start, added| is_something(&(*start, *added)));
        added.retain(|start, added| is_something(&(*start, *added)));
        if added == self.before { Ok(()) } else { Err(self.refusal()) }
    }

    /// The total that shows what the positions add, in place of the one that held the sum.
    fn slot(&self, catalog: &Catalog, (key, mut total): (SlotKey, Total)) -> Option<Slot> {
        let Framed { period, share } = frame_of(catalog, self.subscription, key.period_start)?;
        let mut sums = Sums::default();
        for part in self.positions.values().flat_map(|position| &position.parts) {
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

/// Adds what a part adds to its billing period.
fn add(by_period: &mut ByPeriod, part: &PositionPart) -> Option<()> {
    let (quantity, amount) = by_period.entry(part.period.start).or_default();
    *quantity = quantity.checked_add(part.adds.quantity)?;
    *amount = amount.checked_add(part.adds.amount)?;
    Some(())
}

/// Whether some positions of a scope hold its records in order.
fn keeps_records(timeline: &Timeline, span: Period) -> bool {
    let charges = timeline.within(span).map(|(_, charge)| charge);
    let by_record = |model: &PriceModel| matches!(model, PriceModel::Percentage(_));
    charges.into_iter().any(|charge| {
        charge.aggregation == Aggregation::Latest
            || by_record(&charge.model)
            || matches!(&charge.model, PriceModel::Matrix(matrix)
                if matrix.prices().any(|(_, price)| by_record(price)))
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
