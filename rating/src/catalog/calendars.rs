//! Which calendar each subscription of a catalog has.

use super::{Catalog, Customer, CustomerId, CycleRule, Index, Subscription};
use crate::calendar::Calendar;
use crate::instant::Instant;
use crate::period::{Cycle, Period, PeriodLength};
use crate::settings::CycleDay;
use crate::share::Share;
use std::sync::Arc;

impl Catalog {
    /// All distinct calendars; [`Subscription::calendar_index`] points into them.
    #[must_use]
    pub fn calendars(&self) -> &[Calendar] {
        &self.calendars
    }

    /// The days and billing periods of a subscription; `None` before [`Catalog::finish`].
    #[must_use]
    pub fn calendar_of(&self, subscription: &Subscription) -> Option<&Calendar> {
        self.calendars.get(subscription.calendar_index as usize)
    }

    /// How much of its billing period, from cycle day to cycle day, a subscription is active in.
    /// `None` beyond the calendar.
    #[must_use]
    pub fn share_of(&self, subscription: &Subscription, period: Period) -> Option<Share> {
        self.calendar_of(subscription)?.share_of(period)
    }

    /// Sets the billing periods of every customer, as orders and their organisation decide them.
    pub fn set_cycles(&mut self, mut rule: impl FnMut(&Customer) -> Option<CycleRule>) {
        for customer in Arc::make_mut(&mut self.customers) {
            customer.cycle = rule(customer);
        }
    }

    /// Works out every subscription's billing periods. To be called when all are known.
    pub fn finish(&mut self) {
        let mut known: Index<(PeriodLength, i8, i8, String)> = Index::default();
        self.calendars.clear();
        for index in 0..self.subscriptions.len() {
            let Some(cycle) = self.own_cycle(index) else { continue };
            let name = cycle.zone.iana_name().unwrap_or_default().to_owned();
            let next = u32::try_from(self.calendars.len()).unwrap_or(u32::MAX);
            let key = (cycle.length, cycle.day, cycle.month, name);
            let calendar = *known.entry(key).or_insert(next);
            if calendar == next {
                self.calendars.push(Calendar::new(cycle));
            }
            if let Some(subscription) = self.subscriptions.get_mut(index) {
                subscription.calendar_index = calendar;
            }
        }
    }

    fn own_cycle(&self, subscription: usize) -> Option<Cycle> {
        let subscription = self.subscriptions.get(subscription)?;
        let customer = self.customer_at(subscription.customer)?;
        let CycleRule { length, day, month } =
            subscription.cycle.unwrap_or_else(|| self.cycle_rule_of(customer));
        Some(Cycle { length, day, month, zone: customer.zone.clone() })
    }

    /// The billing periods of a customer as the catalog has them, whatever they were before.
    #[must_use]
    pub fn cycle_of(&self, customer: &Customer) -> Cycle {
        let CycleRule { length, day, month } = self.cycle_rule_of(customer);
        Cycle { length, day, month, zone: customer.zone.clone() }
    }

    /// The rule of a customer's billing periods, by its own settings and the usual defaults.
    #[must_use]
    pub fn cycle_rule_of(&self, customer: &Customer) -> CycleRule {
        if let Some(rule) = customer.cycle {
            return rule;
        }
        let settings = &customer.settings;
        let length = settings.billing_period.unwrap_or_default();
        let (day, month) = match settings.bill_cycle_day {
            Some(CycleDay::Fixed(day)) => (day, settings.bill_cycle_month.unwrap_or(1)),
            None => (1, settings.bill_cycle_month.unwrap_or(1)),
            Some(CycleDay::FirstSubscriptionStart) => {
                let starts =
                    customer.subscriptions.iter().filter_map(|id| self.subscription_at(*id));
                let first = starts.map(|subscription| subscription.active.start).min();
                first.map_or((1, 1), |start| {
                    let date = customer.zone.to_datetime(start.to_timestamp()).date();
                    (date.day(), date.month())
                })
            }
        };
        CycleRule { length, day, month }
    }

    /// Gives customers calendars that have changed, instead of those that their settings make. The
    /// days on which their subscriptions begin, renew and end stay the same days. To be called on
    /// a catalog that is finished, and once.
    pub fn set_calendars(
        &mut self,
        calendars: impl IntoIterator<Item = (Calendar, Vec<CustomerId>)>,
    ) {
        for (calendar, customers) in calendars {
            let index = u32::try_from(self.calendars.len()).unwrap_or(u32::MAX);
            for customer in customers {
                self.set_calendar(customer, (&calendar, index));
            }
            self.calendars.push(calendar);
        }
    }

    fn set_calendar(&mut self, id: CustomerId, (calendar, index): (&Calendar, u32)) {
        let plain = self.customer_at(id).map(|customer| Calendar::new(self.cycle_of(customer)));
        let (Some(plain), Some(customer)) = (plain, self.customers.get(id.0 as usize)) else {
            return;
        };
        // The day that the catalog named, from the instant that its zone made of it.
        let moved = |at: Instant| match at {
            Instant::MAX => at,
            at => calendar.start_of(plain.day_of(at)),
        };
        for id in &customer.subscriptions {
            let subscription = self.subscriptions.get_mut(id.0 as usize);
            // Orders that make a subscription decide its periods for ever.
            let Some(own) = subscription.filter(|found| found.cycle.is_none()) else { continue };
            own.calendar_index = index;
            let Period { start, end } = own.active;
            own.active = Period { start: moved(start), end: moved(end) };
            own.renewals.iter_mut().for_each(|first| *first = moved(*first));
        }
    }
}
