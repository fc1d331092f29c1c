//! Loading: totals and positions come into memory when a record needs them.

use super::{Names, Partition};
use crate::codec::decode_total;
use crate::error::Error;
use crate::keys::{NO_CELL, TotalKey};
use crate::limits::PERIODS_MAX;
use crate::slots::{Slot, SlotIndex, SlotKey};
use crate::tables::Table;
use rating::{
    Aggregation, Catalog, Charge, Instant, Period, Place, Position, PriceModel, Share, Span,
    Subscription, Sums, Timeline, Total,
};

impl Partition {
    pub(super) fn load_slot(
        &mut self,
        catalog: &Catalog,
        key: SlotKey,
        period: Period,
    ) -> Result<SlotIndex, Error> {
        if let Some(index) = self.slots.find(&key) {
            return Ok(index);
        }
        let Some(names) = Names::of(catalog, &key) else {
            return Err(Error::Damaged { what: "slot" });
        };
        let mut stored_key = Vec::new();
        names.key(key.period_start).write(&mut stored_key);
        let subscription = catalog
            .subscription_at(key.subscription)
            .ok_or(Error::Damaged { what: "list of subscriptions" })?;
        let total = match self.store.get(Table::Totals, &stored_key)? {
            None => {
                if !self.cuts_agree {
                    self.refuse_overlap(&names, period)?;
                }
                self.note_calendar(catalog, subscription.customer);
                Total::default()
            }
            Some(value) => decode_total(&value).ok_or(Error::Damaged { what: "total" })?.total,
        };
        let timeline = catalog
            .timelines_of(subscription)
            .get(key.timeline as usize)
            .ok_or(Error::Damaged { what: "list of charges" })?;
        let share = catalog.share_of(subscription, period).unwrap_or(Share::WHOLE);
        let simple = timeline.is_simple_in(period);
        // The other way round is no harm: what has positions keeps them.
        if total.records > 0 && !simple && total.sums.is_none() {
            return Err(Error::Repriced {
                subscription: names.subscription.to_owned(),
                charge: names.charge.to_owned(),
                start: period.start,
            });
        }
        let mut slot = Slot::new(total, (period, share), stored_key, names.charge_hash());
        if !simple && slot.total.sums.is_none() {
            let carried = self.carried_into(&names, (subscription, timeline), (period, share))?;
            slot.total.sums = Some(Sums { carried, ..Sums::default() });
        }
        Ok(self.slots.insert(key, slot))
    }

    /// The level that a new total begins with. Its period becomes a part of the position, so that
    /// earlier records that come later shift it.
    fn carried_into(
        &mut self,
        names: &Names<'_>,
        (subscription, timeline): (&Subscription, &Timeline),
        (period, share): (Period, Share),
    ) -> Result<rating::Quantity, Error> {
        let charge = timeline.within(period).map(|(_, charge)| charge).next();
        let weighted =
            charge.is_some_and(|charge| charge.aggregation == Aggregation::TimeWeightedSum);
        if !weighted {
            return Ok(rating::Quantity::ZERO);
        }
        let mut key = Vec::new();
        names.key_of_cell(NO_CELL, subscription.active.start).write(&mut key);
        let new = || Position::new(Aggregation::TimeWeightedSum, false);
        let position = self.positions.change(&self.store, &key, new)?;
        let place = place_at_start(timeline, Framed { period, share });
        let ensured = position.ensure(Aggregation::TimeWeightedSum, place);
        let (carried, undo) = ensured.ok_or_else(|| Error::Overflow {
            subscription: names.subscription.to_owned(),
            charge: names.charge.to_owned(),
        })?;
        self.positions.changed(&key, undo);
        Ok(carried)
    }

    /// Refuses a total whose period overlaps one that the state has: the subscription's billing
    /// periods, time zone or days were changed after usage had been rated, and both totals would
    /// be billed.
    fn refuse_overlap(&self, names: &Names<'_>, period: Period) -> Result<(), Error> {
        let mut bound = Vec::new();
        names.key(period.end).write(&mut bound);
        let Some((key, value)) = self.store.last_below(Table::Totals, &bound)? else {
            return Ok(());
        };
        let Some(found) = TotalKey::read(&key) else { return Ok(()) };
        let same = names.key(found.period_start) == found;
        let end = decode_total(&value).ok_or(Error::Damaged { what: "total" })?.period_end;
        if same && end > period.start {
            return Err(Error::Recut {
                subscription: names.subscription.to_owned(),
                charge: names.charge.to_owned(),
                start: found.period_start,
                end,
            });
        }
        Ok(())
    }

    /// The billing period of a subscription that holds an instant, within its active time.
    pub(super) fn period(
        &mut self,
        catalog: &Catalog,
        subscription: &Subscription,
        at: Instant,
    ) -> Option<Period> {
        let index = subscription.calendar_index() as usize;
        let recent = self.periods.get_mut(index)?;
        let known = recent.iter().rev().find(|period| period.contains(at)).copied();
        let whole = match known {
            Some(period) => period,
            None => {
                let period = catalog.calendars().get(index)?.period_holding(at)?;
                if recent.len() >= PERIODS_MAX {
                    recent.clear();
                }
                recent.push(period);
                period
            }
        };
        whole.clipped_to(&subscription.active)
    }
}

/// A billing period of a subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framed {
    pub(super) period: Period,
    /// How much of it the subscription is active in.
    pub(super) share: Share,
}

/// The billing period of a subscription that holds an instant of its active time.
pub(super) fn frame_of(
    catalog: &Catalog,
    subscription: &Subscription,
    at: Instant,
) -> Option<Framed> {
    let calendar = catalog.calendar_of(subscription)?;
    let period = calendar.period_holding(at)?.clipped_to(&subscription.active)?;
    let share = catalog.share_of(subscription, period).unwrap_or(Share::WHOLE);
    period.contains(at).then_some(Framed { period, share })
}

/// The scope of a charge that holds an instant, and which part of its position does.
pub(super) fn place_of(
    catalog: &Catalog,
    (subscription, timeline): (&Subscription, &Timeline),
    framed: Framed,
    at: Instant,
) -> Option<(Span, Place)> {
    let terms = timeline.at(at)?;
    let span = span_of(terms.charge.as_deref()?, subscription, (catalog, at), framed)?;
    let share = Share { active: span.active_days, whole: span.whole_days };
    let Framed { period, .. } = framed;
    Some((span, Place { start: terms.from.max(period.start), period, share }))
}

/// The part of a level's position in which a billing period begins.
pub(super) fn place_at_start(timeline: &Timeline, framed: Framed) -> Place {
    let Framed { period, share } = framed;
    let start = timeline.at(period.start).map_or(period.start, |terms| terms.from);
    Place { start: start.max(period.start), period, share }
}

/// A charge of a timeline: scope and aggregation, which never change, can be asked of any.
pub(super) fn any_charge(timeline: &Timeline) -> Option<&Charge> {
    timeline.terms.iter().find_map(|terms| terms.charge.as_deref())
}

/// The stretch of time in which the position of a charge grows that holds an instant; `None`
/// beyond the calendar.
pub(super) fn span_of(
    charge: &Charge,
    subscription: &Subscription,
    (catalog, at): (&Catalog, Instant),
    Framed { period, share }: Framed,
) -> Option<Span> {
    let whole = |time| Span { time, active_days: share.active, whole_days: share.whole };
    if charge.aggregation == Aggregation::TimeWeightedSum {
        // Its level is carried from period to period.
        return Some(whole(subscription.active));
    }
    let calendar = catalog.calendar_of(subscription)?;
    charge
        .scope
        .span_holding(at, (subscription.active, subscription.term_holding(at)), calendar)
        .or_else(|| (charge.scope == rating::Scope::BillingPeriod).then(|| whole(period)))
}

/// A position of a cell in a scope, without records.
pub(super) fn new_position(
    (timeline, span, cell): (&Timeline, Period, &str),
    aggregation: Aggregation,
) -> Position {
    let position = Position::new(aggregation, by_record(timeline, span, cell));
    Position { grids: timeline.grids_of(span), ..position }
}

/// Whether some terms within a span price every record by itself.
pub(super) fn by_record(timeline: &Timeline, span: Period, cell: &str) -> bool {
    timeline
        .within(span)
        .any(|(_, charge)| matches!(charge.model.of_cell(cell), Some(PriceModel::Percentage(_))))
}
