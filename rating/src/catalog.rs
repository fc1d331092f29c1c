//! The catalog: meters, plans, customers and subscriptions, checked and ready to be asked.

mod bounds;
mod calendars;
mod conflict;
mod dimensions;
mod read;
mod read_charge;
mod read_matrix;
mod read_meter;
mod read_override;
mod read_plan;
mod read_price;
mod read_tiers;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod refusals;
mod schema;

pub(crate) use read::IDENTIFIER_BYTES_MAX;
pub(crate) use read_meter::SYSTEM_TYPES;

use crate::calendar::Calendar;
use crate::charge::Timeline;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::meter::Meter;
use crate::period::{Period, PeriodLength, start_of_day};
use crate::plan::{Override, Plan};
use crate::rounding::Rounding;
use crate::scope::term_holding;
use crate::settings::Settings;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// A hash index whose order nobody may rely on. Its hash is fixed: its keys come from the catalog,
/// which the operator writes, not from records.
type Index<K> = hashbrown::HashMap<K, u32, foldhash::fast::FixedState>;

/// Position of a meter in its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId(pub u32);
/// Position of a customer in its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(pub u32);
/// Position of a subscription in its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// Whom a record's subject names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A customer.
    Customer(CustomerId),
    /// A subscription.
    Subscription(SubscriptionId),
}

/// When the billing periods of a customer or subscription begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CycleRule {
    /// Length of a period.
    pub length: PeriodLength,
    /// Day of the month, 1 to 31.
    pub day: i8,
    /// A month in which longer periods begin, 1 to 12.
    pub month: i8,
}

/// Who is billed.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// The calendar of its days.
    pub zone: TimeZone,
    /// What it sets of the billing settings.
    pub settings: Settings,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionId>,
    /// Its billing periods where orders decide them rather than its own settings.
    pub cycle: Option<CycleRule>,
}

/// What a subscription is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionEntry {
    /// Its id.
    pub id: String,
    /// Other names by which records may call it.
    pub aliases: Vec<String>,
    /// Its customer's id.
    pub customer: String,
    /// The key of its plan.
    pub plan: String,
    /// Its first day.
    pub start: Date,
    /// Its last day; `None` is evergreen.
    pub end: Option<Date>,
    /// First days of its terms behind the first, in order.
    pub renewals: Vec<Date>,
    /// Its own billing periods, where they are not its customer's.
    pub cycle: Option<CycleRule>,
    /// Charges with fields of its own.
    pub overrides: Vec<(String, Vec<Override>)>,
}

impl SubscriptionEntry {
    /// An evergreen one with nothing of its own: by its id, its customer's id, the key of its plan
    /// and its first day. Whoever knows more of it says so by the fields.
    #[must_use]
    pub const fn new(id: String, customer: String, plan: String, start: Date) -> Self {
        Self {
            id,
            aliases: Vec::new(),
            customer,
            plan,
            start,
            end: None,
            renewals: Vec::new(),
            cycle: None,
            overrides: Vec::new(),
        }
    }
}

/// A customer's use of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub customer: CustomerId,
    /// Position of its plan.
    plan: u32,
    /// From the first instant of its first day to the first after its last.
    pub active: Period,
    /// First instants of its terms behind the first, in order.
    pub renewals: Vec<Instant>,
    cycle: Option<CycleRule>,
    /// Position of its calendar, set by [`Catalog::finish`].
    calendar_index: u32,
    /// Its own timelines; `None` where it takes the plan as it is.
    timelines: Option<Vec<Timeline>>,
}

/// Everything that rating needs to know beside the records. Immutable once it is finished.
#[derive(Debug, Default, Clone)]
pub struct Catalog {
    meters: Vec<Meter>,
    meters_by_type: hashbrown::HashMap<String, Vec<MeterId>, foldhash::fast::FixedState>,
    // Where calendars change, a partition has a catalog of its own, and shares these.
    plans: Arc<Vec<Plan>>,
    plan_index: Index<String>,
    customers: Arc<Vec<Customer>>,
    subscriptions: Vec<Subscription>,
    subjects: Arc<hashbrown::HashMap<String, Subject, foldhash::fast::FixedState>>,
    /// Subscriptions of one id that follow each other in time, by the first of them.
    stretches: std::collections::BTreeMap<SubscriptionId, Vec<SubscriptionId>>,
    calendars: Vec<Calendar>,
    /// Whether a type that no meter takes is refused.
    pub strict_types: bool,
}

impl Catalog {
    /// Reads and checks a catalog.
    ///
    /// # Errors
    /// Every fault of the text, in order of place.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<Fault>> {
        let (catalog, faults) = Self::read(text);
        catalog.filter(|_| faults.is_empty()).ok_or(faults)
    }

    /// Reads as much of a catalog as can be, and says every fault of the text, in order of place.
    ///
    /// A catalog with faults is for checking what names its customers and plans, and nothing else.
    /// There is none where the text is no JSON object at all.
    #[must_use]
    pub fn read(text: &[u8]) -> (Option<Self>, Vec<Fault>) {
        read::read(text)
    }

    /// The meters that take records of a type.
    #[must_use]
    pub fn meters_of(&self, event_type: &str) -> &[MeterId] {
        self.meters_by_type.get(event_type).map_or(&[], Vec::as_slice)
    }

    /// All meters, in the catalog's order.
    #[must_use]
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// A meter by its position.
    #[must_use]
    pub fn meter(&self, id: MeterId) -> Option<&Meter> {
        self.meters.get(id.0 as usize)
    }

    /// A plan by its key.
    #[must_use]
    pub fn plan(&self, key: &str) -> Option<&Plan> {
        self.plan_index.get(key).and_then(|index| self.plans.get(*index as usize))
    }

    /// All plans.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// All customers, in the catalog's order.
    #[must_use]
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// A customer by its id, not by an alias.
    #[must_use]
    pub fn customer(&self, id: &str) -> Option<&Customer> {
        match self.subjects.get(id)? {
            Subject::Customer(customer) => {
                self.customer_at(*customer).filter(|customer| customer.id == id)
            }
            Subject::Subscription(_) => None,
        }
    }

    /// A customer by its position.
    #[must_use]
    pub fn customer_at(&self, id: CustomerId) -> Option<&Customer> {
        self.customers.get(id.0 as usize)
    }

    /// All subscriptions, in the catalog's order.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// A subscription by its id, not by an alias.
    #[must_use]
    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        match self.subjects.get(id)? {
            Subject::Subscription(subscription) => {
                self.subscription_at(*subscription).filter(|subscription| subscription.id == id)
            }
            Subject::Customer(_) => None,
        }
    }

    /// A subscription by its position.
    #[must_use]
    pub fn subscription_at(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(id.0 as usize)
    }

    /// Whom a record's subject names.
    #[must_use]
    pub fn subject(&self, name: &str) -> Option<Subject> {
        self.subjects.get(name).copied()
    }

    /// The plan of a subscription.
    #[must_use]
    pub fn plan_of(&self, subscription: &Subscription) -> Option<&Plan> {
        self.plans.get(subscription.plan as usize)
    }

    /// The charges of a subscription through time.
    #[must_use]
    pub fn timelines_of<'a>(&'a self, subscription: &'a Subscription) -> &'a [Timeline] {
        match &subscription.timelines {
            Some(own) => own,
            None => self.plan_of(subscription).map_or(&[], |plan| &plan.timelines),
        }
    }

    /// How lines of a customer are rounded.
    #[must_use]
    pub fn rounding_of(&self, customer: CustomerId) -> Rounding {
        self.customer_at(customer)
            .and_then(|customer| customer.settings.rounding)
            .unwrap_or_default()
    }

    /// Adds a subscription that orders created. Call [`Catalog::finish`] after the last one.
    ///
    /// # Errors
    /// What stands in the way: a name that is taken, an unknown customer or plan.
    pub fn add_subscription(&mut self, entry: SubscriptionEntry) -> Result<(), String> {
        let Some(Subject::Customer(customer)) = self.subject(&entry.customer) else {
            return Err(format!("\"{}\" is not a customer of the catalog", entry.customer));
        };
        let Some(&plan) = self.plan_index.get(&entry.plan) else {
            return Err(format!("\"{}\" is not a plan of the catalog", entry.plan));
        };
        let index =
            u32::try_from(self.subscriptions.len()).map_err(|_| "too many subscriptions")?;
        let id = SubscriptionId(index);
        let owner = self.customers.get(customer.0 as usize).ok_or("unknown customer")?;
        let start = start_of_day(entry.start, &owner.zone);
        let end = entry.end.and_then(|end| end.tomorrow().ok());
        let end = end.map_or(Instant::MAX, |end| start_of_day(end, &owner.zone));
        let active = Period { start, end };
        let renewals = entry.renewals.iter().map(|first| start_of_day(*first, &owner.zone));
        let renewals = renewals.collect();
        match self.subject(&entry.id) {
            Some(Subject::Subscription(first)) if self.follows(first, &entry, customer, active) => {
                self.stretches.entry(first).or_insert_with(|| vec![first]).push(id);
            }
            Some(_) => return Err(taken(&entry.id)),
            None => {
                _ = Arc::make_mut(&mut self.subjects)
                    .insert(entry.id.clone(), Subject::Subscription(id))
            }
        }
        for alias in &entry.aliases {
            let subjects = Arc::make_mut(&mut self.subjects);
            if subjects.insert(alias.clone(), Subject::Subscription(id)).is_some() {
                return Err(taken(alias));
            }
        }
        if let Some(owner) = Arc::make_mut(&mut self.customers).get_mut(customer.0 as usize) {
            owner.subscriptions.push(id);
        }
        let timelines = (!entry.overrides.is_empty())
            .then(|| self.plans.get(plan as usize).map(|plan| plan.overridden(&entry.overrides)))
            .flatten();
        self.subscriptions.push(Subscription {
            id: entry.id,
            customer,
            plan,
            active,
            renewals,
            cycle: entry.cycle,
            calendar_index: 0,
            timelines,
        });
        Ok(())
    }

    /// Whether an entry goes on with the subscription of the same id: another stretch of time, as
    /// an order that changes the plan makes it.
    fn follows(
        &self,
        first: SubscriptionId,
        entry: &SubscriptionEntry,
        customer: CustomerId,
        active: Period,
    ) -> bool {
        self.stretches_of(&first).iter().all(|id| {
            self.subscription_at(*id).is_some_and(|earlier| {
                earlier.id == entry.id
                    && earlier.customer == customer
                    && earlier.active.clipped_to(&active).is_none()
            })
        })
    }

    /// The subscriptions that share the id of one: itself, unless its plan changed in time.
    #[must_use]
    pub fn stretches_of<'a>(&'a self, first: &'a SubscriptionId) -> &'a [SubscriptionId] {
        self.stretches.get(first).map_or_else(|| std::slice::from_ref(first), Vec::as_slice)
    }

    /// The subscription of an id that has a plan at an instant.
    #[must_use]
    pub fn stretch_at(&self, id: &str, plan: &str, at: Instant) -> Option<&Subscription> {
        let Some(Subject::Subscription(first)) = self.subjects.get(id) else { return None };
        let stretches = self.stretches_of(first).iter();
        stretches.filter_map(|id| self.subscription_at(*id)).find(|subscription| {
            subscription.active.contains(at)
                && self.plan_of(subscription).is_some_and(|found| found.key == plan)
        })
    }
}

fn taken(name: &str) -> String {
    format!("\"{name}\" already names a customer or a subscription")
}

impl Subscription {
    /// Its term that holds an instant: see [`term_holding`].
    #[must_use]
    pub fn term_holding(&self, at: Instant) -> Period {
        term_holding(self.active, &self.renewals, at)
    }

    /// Position of its calendar in [`Catalog::calendars`].
    #[must_use]
    pub const fn calendar_index(&self) -> u32 {
        self.calendar_index
    }
}
