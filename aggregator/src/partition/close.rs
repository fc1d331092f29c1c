//! Closing: every charge of a period that has ended gets a closed total, used or not.

use super::{Names, Partition, SlotKey};
use crate::codec::decode_total;
use crate::commit::CommitPort;
use crate::error::Error;
use crate::limits::CLOSE_TOTALS_MAX;
use crate::tables::Table;
use rating::{Calendar, Catalog, Instant, Period, SubscriptionId};
use std::sync::Arc;

impl Partition {
    /// Closes every period that ended by the instant that `until` gives for its calendar, and
    /// commits. Closing again changes nothing.
    ///
    /// # Errors
    /// As [`Partition::commit`].
    pub fn close(
        &mut self,
        until: impl Fn(&Calendar) -> Instant,
        port: &mut dyn CommitPort,
    ) -> Result<(), Error> {
        let catalog = Arc::clone(&self.catalog);
        if self.taken > 0 {
            self.commit(port)?;
        }
        // No transaction is open, and one pass serves all that close.
        let latest = catalog.calendars().iter().map(&until).max().unwrap_or(Instant::MIN);
        self.find_times_until(latest)?;
        for index in 0..catalog.subscriptions().len() {
            let id = SubscriptionId(u32::try_from(index).unwrap_or(u32::MAX));
            let Some(subscription) = catalog.subscription_at(id) else { continue };
            let Some(calendar) = catalog.calendar_of(subscription) else { continue };
            // Their own partitions close the periods of the others.
            if self.elsewhere(subscription.customer).is_some() {
                continue;
            }
            self.close_subscription(&catalog, id, until(calendar))?;
            if self.slots.dirty_count() >= CLOSE_TOTALS_MAX {
                self.commit(port)?;
            }
        }
        self.commit(port)
    }

    fn close_subscription(
        &mut self,
        catalog: &Catalog,
        id: SubscriptionId,
        until: Instant,
    ) -> Result<(), Error> {
        let Some(subscription) = catalog.subscription_at(id) else { return Ok(()) };
        let Some(calendar) = catalog.calendar_of(subscription) else { return Ok(()) };
        let mut at = subscription.active.start;
        while at < until {
            let Some(whole) = calendar.period_holding(at) else { break };
            let Some(period) = whole.clipped_to(&subscription.active) else { break };
            if until < period.end {
                break;
            }
            for (timeline, terms) in catalog.timelines_of(subscription).iter().enumerate() {
                if terms.at_end(period.start, period.end).is_some() {
                    self.close_total(catalog, id, timeline, period)?;
                }
            }
            at = whole.end;
        }
        Ok(())
    }

    fn close_total(
        &mut self,
        catalog: &Catalog,
        subscription: SubscriptionId,
        timeline: usize,
        period: Period,
    ) -> Result<(), Error> {
        let timeline = u32::try_from(timeline).unwrap_or(u32::MAX);
        let key = SlotKey { subscription, timeline, period_start: period.start };
        // What was closed before needs no slot: a state may hold years of closed periods.
        if self.slots.find(&key).is_none() && self.is_closed(catalog, &key)? {
            return Ok(());
        }
        let index = self.load_slot(catalog, key, period)?;
        if self.slots.get(index).is_some_and(|slot| !slot.total.closed)
            && let Some(slot) = self.slots.change(index)
        {
            slot.total.closed = true;
        }
        Ok(())
    }

    fn is_closed(&self, catalog: &Catalog, key: &SlotKey) -> Result<bool, Error> {
        let names = Names::of(catalog, key).ok_or(Error::Damaged { what: "slot" })?;
        let mut stored_key = Vec::new();
        names.key(key.period_start).write(&mut stored_key);
        let Some(value) = self.store.get(Table::Totals, &stored_key)? else { return Ok(false) };
        Ok(decode_total(&value).ok_or(Error::Damaged { what: "total" })?.total.closed)
    }
}
