//! Calendars: what customers' billing periods were before their settings changed.
//!
//! A catalog says what a customer's time zone, cycle day and billing period are, not since when. So
//! the state keeps what they were when the customer got its first total, and every change since. A
//! change takes effect with the next period: where the one ends that holds the watermark, or the
//! last that the customer has a total of, whichever is later. What was cut before is never cut
//! anew, also for records that come late.
//!
//! What orders decide they decide for all that a customer was ever sold, so they do not decide
//! anew where there is usage.

use super::Partition;
use crate::codec::{Reader, put_signed, put_text};
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{CALENDAR, TotalKey, calendar_key, customer_of_calendar, subscription_prefix};
use crate::limits::CALENDAR_CHANGES_MAX;
use crate::tables::Table;
use rating::{
    Calendar, Catalog, Customer, CustomerId, Cycle, CycleChange, CycleDay, Date, Instant,
    PeriodLength, Subject, TimeZone,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From when on a customer's billing periods are others than they were to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedCalendar {
    /// The customer.
    pub customer: String,
    /// The end of the last billing period that is cut as before.
    pub from: Instant,
    /// What holds from then on.
    pub cycle: Cycle,
    /// Whether it held until now, and what was to take its place was taken back.
    pub is_taken_back: bool,
}

/// A customer's calendar as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    decider: Decider,
    calendar: Calendar,
}

/// Who decided about the last cycle of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decider {
    /// The catalog.
    Settings = 0,
    /// The catalog, by the day on which the first subscription started, which is fixed once.
    FirstStart = 1,
    /// Orders: a run without them keeps what they decided, and nobody decides anew.
    Orders = 2,
}

impl Decider {
    fn of(customer: &Customer) -> Self {
        match customer.settings.bill_cycle_day {
            _ if customer.cycle.is_some() => Self::Orders,
            Some(CycleDay::FirstSubscriptionStart) => Self::FirstStart,
            Some(CycleDay::Fixed(_)) | None => Self::Settings,
        }
    }

    /// Who decides now about what another has decided.
    const fn after(self, before: Self) -> Self {
        match before {
            Self::Orders => before,
            Self::Settings | Self::FirstStart => self,
        }
    }
}

/// What becomes of a catalog in a state that knows calendars.
#[derive(Debug)]
pub(super) struct Calendars {
    /// The catalog with calendars that have changed.
    pub(super) catalog: Arc<Catalog>,
    /// What the state is to keep of them.
    pub(super) delta: Delta,
    /// Whether a customer's calendar is kept, by its position in the catalog.
    pub(super) kept: Vec<bool>,
    /// What the catalog changes.
    pub(super) changed: Vec<ChangedCalendar>,
}

impl Partition {
    /// What the catalog in force has changed of customers' time zones, cycle days and billing
    /// periods when it came.
    #[must_use]
    pub fn changed_calendars(&self) -> &[ChangedCalendar] {
        &self.changed_calendars
    }

    /// The calendars of a catalog's customers, who may have had others until now.
    pub(super) fn calendars_under(&self, given: &Arc<Catalog>) -> Result<Calendars, Error> {
        let mut kept = vec![false; given.customers().len()];
        let others = self.kept_otherwise(given, &mut kept)?;
        let mut found = Calendars {
            catalog: Arc::clone(given),
            delta: Delta::default(),
            kept,
            changed: Vec::new(),
        };
        let mut calendars: BTreeMap<Vec<u8>, (Calendar, Vec<CustomerId>)> = BTreeMap::new();
        for (id, before) in others {
            let Some(customer) = given.customer_at(id) else { continue };
            let now = self.calendar_under((given, customer), &before)?;
            let bytes = encode(&now);
            if now != before {
                found.delta.put(Table::Meta, &calendar_key(&customer.id), &bytes);
                found.changed.extend(now.changed_from(&before, customer));
            }
            if now.calendar != Calendar::new(given.cycle_of(customer)) {
                let same = calendars.entry(bytes).or_insert_with(|| (now.calendar, Vec::new()));
                same.1.push(id);
            }
        }
        if !calendars.is_empty() {
            Arc::make_mut(&mut found.catalog).set_calendars(calendars.into_values());
        }
        Ok(found)
    }

    /// The calendars in the state that are not those which a catalog makes of its settings alone.
    /// Notes of which customers there are some.
    fn kept_otherwise(
        &self,
        catalog: &Catalog,
        kept: &mut [bool],
    ) -> Result<Vec<(CustomerId, Kept)>, Error> {
        let mut others = Vec::new();
        self.store.scan_prefix(Table::Meta, CALENDAR, |key, value| {
            let damaged = || Error::Damaged { what: "calendar of a customer" };
            let name = customer_of_calendar(key).ok_or_else(damaged)?;
            let Some((id, customer)) = customer_named(catalog, name) else { return Ok(()) };
            if let Some(one) = kept.get_mut(id.0 as usize) {
                *one = true;
            }
            let found = decode(value).ok_or_else(damaged)?;
            if found != Kept::of(catalog, customer) {
                others.push((id, found));
            }
            Ok(())
        })?;
        Ok(others)
    }

    /// What becomes of a customer's calendar by the settings of a catalog.
    fn calendar_under(
        &self,
        (catalog, customer): (&Catalog, &Customer),
        before: &Kept,
    ) -> Result<Kept, Error> {
        let last = before.calendar.last();
        let mut wanted = catalog.cycle_of(customer);
        let now = Decider::of(customer);
        let decider = now.after(before.decider);
        match (before.decider, now) {
            (Decider::FirstStart, Decider::FirstStart) => {
                (wanted.day, wanted.month) = (last.day, last.month);
            }
            (Decider::Orders, Decider::Settings | Decider::FirstStart) => {
                wanted = stated(customer, last);
            }
            (Decider::Settings | Decider::FirstStart | Decider::Orders, _) => {}
        }
        let keep = |calendar| Ok(Kept { decider, calendar });
        if last.cuts_as(&wanted) {
            // The month of monthly periods means something once they get longer.
            return keep(before.calendar.clone().said_otherwise(wanted));
        }
        let Some(used) = self.last_period_of((catalog, customer))? else {
            // Its first record was refused in the end.
            return keep(Calendar::new(wanted));
        };
        if decider == Decider::Orders {
            return Err(Error::OrderedCalendar { customer: customer.id.clone() });
        }
        let Some(calendar) = before.calendar.changed(self.watermark.max(used), &wanted) else {
            // The next period would begin beyond the years that there are.
            return keep(before.calendar.clone());
        };
        if calendar.changes().len() > CALENDAR_CHANGES_MAX {
            return Err(Error::ManyCalendars { customer: customer.id.clone() });
        }
        keep(calendar)
    }

    /// The start of the last billing period that a customer has a total of.
    fn last_period_of(
        &self,
        (catalog, customer): (&Catalog, &Customer),
    ) -> Result<Option<Instant>, Error> {
        let mut last = None;
        for id in &customer.subscriptions {
            let Some(subscription) = catalog.subscription_at(*id) else { continue };
            let prefix = subscription_prefix(&customer.id, &subscription.id);
            self.store.scan_prefix(Table::Totals, &prefix, |key, _| {
                let key = TotalKey::read(key).ok_or(Error::Damaged { what: "key of a total" })?;
                last = last.max(Some(key.period_start));
                Ok(())
            })?;
        }
        Ok(last)
    }

    /// Keeps what a customer's calendar is with its first total.
    pub(super) fn note_calendar(&mut self, catalog: &Catalog, id: CustomerId) {
        let known = self.kept_calendars.get_mut(id.0 as usize);
        let (Some(known), Some(customer)) = (known, catalog.customer_at(id)) else { return };
        if std::mem::replace(known, true) {
            return;
        }
        let kept = Kept::of(catalog, customer);
        self.transaction.delta.put(Table::Meta, &calendar_key(&customer.id), &encode(&kept));
    }
}

impl Kept {
    /// The calendar of a customer that has never changed.
    fn of(catalog: &Catalog, customer: &Customer) -> Self {
        let calendar = Calendar::new(catalog.cycle_of(customer));
        Self { decider: Decider::of(customer), calendar }
    }

    /// From when on it cuts otherwise than another was to.
    fn changed_from(&self, before: &Self, customer: &Customer) -> Option<ChangedCalendar> {
        let (now, before) = (self.calendar.changes(), before.calendar.changes());
        let taken_back = before.get(now.len()).filter(|_| before.starts_with(now));
        let changed = now.last().filter(|_| !before.starts_with(now));
        Some(ChangedCalendar {
            customer: customer.id.clone(),
            from: taken_back.or(changed)?.from,
            cycle: self.calendar.last().clone(),
            is_taken_back: taken_back.is_some(),
        })
    }
}

fn customer_named<'a>(catalog: &'a Catalog, id: &str) -> Option<(CustomerId, &'a Customer)> {
    let Some(Subject::Customer(found)) = catalog.subject(id) else { return None };
    let customer = catalog.customer_at(found).filter(|customer| customer.id == id)?;
    Some((found, customer))
}

/// What a customer's entry itself states of its billing periods, and for the rest what holds.
fn stated(customer: &Customer, last: &Cycle) -> Cycle {
    let settings = &customer.settings;
    let (day, month) = match settings.bill_cycle_day {
        Some(CycleDay::Fixed(day)) => (day, settings.bill_cycle_month.unwrap_or(last.month)),
        Some(CycleDay::FirstSubscriptionStart) => (last.day, last.month),
        None => (last.day, settings.bill_cycle_month.unwrap_or(last.month)),
    };
    let length = settings.billing_period.unwrap_or(last.length);
    Cycle { length, day, month, zone: customer.zone.clone() }
}

// Frozen, as `decode` is.
fn encode(kept: &Kept) -> Vec<u8> {
    let mut out = vec![kept.decider as u8];
    put_cycle(&mut out, kept.calendar.first());
    for CycleChange { from, first_day, cycle } in kept.calendar.changes() {
        put_signed(&mut out, from.nanos());
        put_signed(&mut out, first_day.year().into());
        out.extend([first_day.month(), first_day.day()].map(i8::cast_unsigned));
        put_cycle(&mut out, cycle);
    }
    out
}

fn put_cycle(out: &mut Vec<u8>, cycle: &Cycle) {
    put_signed(out, cycle.length.months().into());
    out.extend([cycle.day, cycle.month].map(i8::cast_unsigned));
    put_text(out, cycle.zone.iana_name().unwrap_or_default());
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    let mut reader = Reader::new(bytes);
    let decider = match reader.byte()? {
        0 => Decider::Settings,
        1 => Decider::FirstStart,
        2 => Decider::Orders,
        _ => return None,
    };
    let first = read_cycle(&mut reader)?;
    let mut changes = Vec::new();
    while !reader.is_empty() {
        let from = reader.instant()?;
        let year = i16::try_from(reader.signed()?).ok()?;
        let (month, day) = (reader.byte()?.cast_signed(), reader.byte()?.cast_signed());
        let first_day = Date::new(year, month, day).ok()?;
        changes.push(CycleChange { from, first_day, cycle: read_cycle(&mut reader)? });
    }
    Some(Kept { decider, calendar: Calendar::with_changes(first, changes)? })
}

fn read_cycle(reader: &mut Reader<'_>) -> Option<Cycle> {
    let months = reader.signed()?;
    let mut lengths = PeriodLength::NAMES.map(|(_, length)| length).into_iter();
    let length = lengths.find(|length| i128::from(length.months()) == months)?;
    let (day, month) = (reader.byte()?.cast_signed(), reader.byte()?.cast_signed());
    let zone = TimeZone::get(reader.text()?).ok()?;
    let fits = (1..=31).contains(&day) && (1..=12).contains(&month);
    fits.then_some(Cycle { length, day, month, zone })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_calendar_comes_back() {
        let zone = |name| TimeZone::get(name).unwrap();
        let cycle = |length, day, name| Cycle { length, day, month: 3, zone: zone(name) };
        let mut calendar = Calendar::new(cycle(PeriodLength::Month, 31, "Europe/Berlin"));
        for (at, next) in [
            ("2026-01-05T00:00:00Z", cycle(PeriodLength::Quarter, 1, "America/New_York")),
            ("2027-01-05T00:00:00Z", cycle(PeriodLength::Year, 15, "UTC")),
        ] {
            calendar = calendar.changed(Instant::parse(at).unwrap(), &next).unwrap();
        }
        assert_eq!(calendar.changes().len(), 2);
        for decider in [Decider::Settings, Decider::FirstStart, Decider::Orders] {
            let kept = Kept { decider, calendar: calendar.clone() };
            let bytes = encode(&kept);
            assert_eq!(decode(&bytes), Some(kept));
            for end in 1..bytes.len() {
                assert_ne!(decode(&bytes[..end]), decode(&bytes), "cut at {end}");
            }
        }
        assert_eq!(decode(b"\x00\x02\x00\x01\x03UTC"), None, "no day 0");
    }
}
