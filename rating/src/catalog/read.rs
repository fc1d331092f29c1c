//! Reads a catalog and notes every fault on the way.

use super::read_plan::{PlanText, PlanTexts, read_plans};
use super::{
    Catalog, Customer, CustomerId, MeterId, Subject, SubscriptionEntry, SubscriptionId, taken,
};
use crate::fault::{
    Fault, Faults, Fields, did_you_mean, read_bool, read_date, read_text, read_time_zone,
    without_mark,
};
use crate::json::{Tape, Value};
use crate::plan::Plan;
use crate::settings::Settings;
use hashbrown::hash_map::Entry;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields of a catalog.
pub(super) const FIELDS: [&str; 5] =
    ["meters", "plans", "customers", "subscriptions", "strict_types"];
/// The fields of a customer beside its settings.
pub(super) const CUSTOMER_FIELDS: [&str; 3] = ["id", "aliases", "time_zone"];
/// The fields of a subscription.
pub(super) const SUBSCRIPTION_FIELDS: [&str; 7] =
    ["id", "customer", "plan", "start", "end", "overrides", "aliases"];

/// What is known so far while a catalog is read.
pub(super) struct Reader<'f, 't> {
    pub(super) catalog: Catalog,
    pub(super) faults: &'f mut Faults<'t>,
    /// All meters by their keys, also those that are faulty: they are known all the same.
    pub(super) meters: BTreeMap<String, Option<MeterId>>,
    pub(super) searched: Searched,
}

pub(super) fn read(text: &[u8]) -> (Option<Catalog>, Vec<Fault>) {
    let text = without_mark(text);
    let mut faults = Faults::new(text);
    let mut tape = Tape::default();
    let catalog = match tape.parse(text) {
        Ok(document) => read_document(document, &mut faults),
        Err(malformed) => {
            faults.add_malformed(&malformed);
            None
        }
    };
    (catalog, faults.into_sorted())
}

fn read_document(document: Value<'_>, faults: &mut Faults<'_>) -> Option<Catalog> {
    let fields = Fields::open(document, &FIELDS, faults)?;
    let (catalog, meters, searched) = <_>::default();
    let mut reader = Reader { catalog, faults, meters, searched };
    reader.document(&fields);
    let mut catalog = reader.catalog;
    if faults.is_empty() {
        catalog.finish();
    }
    Some(catalog)
}

impl Reader<'_, '_> {
    fn document(&mut self, fields: &Fields<'_>) {
        self.catalog.strict_types =
            fields.optional("strict_types", self.faults, read_bool).unwrap_or(false);
        for value in fields.list("meters", self.faults) {
            self.meter(value);
        }
        let plans = fields.list("plans", self.faults);
        let plans = read_plans(self, &plans);
        for value in fields.list("customers", self.faults) {
            self.customer(value);
        }
        for value in fields.list("subscriptions", self.faults) {
            self.subscription(value, &plans);
        }
    }

    fn customer(&mut self, value: Value<'_>) {
        let known = [&CUSTOMER_FIELDS[..], &Settings::NAMES].concat();
        let Some(fields) = Fields::open(value, &known, self.faults) else { return };
        let id = self.identifier(&fields, "id");
        let aliases = self.aliases(&fields);
        let zone = fields.optional("time_zone", self.faults, read_time_zone);
        let settings = Settings::read(&fields, self.faults);
        let index = u32::try_from(self.catalog.customers.len()).unwrap_or(u32::MAX);
        let own = id.iter().map(|id| (id.clone(), value));
        for (name, at) in own.chain(aliases) {
            let subject = Subject::Customer(CustomerId(index));
            // Who has a name keeps it, for others may call them by it.
            match Arc::make_mut(&mut self.catalog.subjects).entry(name) {
                Entry::Vacant(free) => _ = free.insert(subject),
                Entry::Occupied(other) => self.faults.add(at, taken(other.key())),
            }
        }
        let Some(id) = id else { return };
        let zone = zone.unwrap_or(TimeZone::UTC);
        Arc::make_mut(&mut self.catalog.customers).push(Customer {
            id,
            zone,
            settings,
            subscriptions: Vec::new(),
            cycle: None,
        });
    }

    fn subscription(&mut self, value: Value<'_>, plans: &PlanTexts) {
        let Some(fields) = Fields::open(value, &SUBSCRIPTION_FIELDS, self.faults) else { return };
        let id = self.identifier(&fields, "id");
        let aliases = self.aliases(&fields);
        let aliases = self.free_names(aliases, id.as_deref());
        let customer = self.known_customer(&fields);
        let plan = self.known_plan(&fields, plans);
        let start = fields.required("start", self.faults).and_then(|v| read_date(v, self.faults));
        let end = fields.optional("end", self.faults, read_date);
        if let (Some(start), Some(end), Some(value)) = (start, end, fields.get("end"))
            && end < start
        {
            self.faults.add(value, format!("the end {end} lies before the start {start}"));
        }
        if let (Some(plan), Some(start), Some(value)) = (plan, start, fields.get("start")) {
            self.check_in_force(plan, start, value);
        }
        let overrides = match fields.get("overrides") {
            Some(overrides) => self.overrides(overrides, plan),
            None => Vec::new(),
        };
        // A plan that is there but faulty was reported at its own place.
        let plan = plan.map(|plan| plan.key.clone());
        let plan = plan.filter(|key| self.catalog.plan(key).is_some());
        let Some(id) = id else { return self.claim(aliases) };
        let (Some(customer), Some(plan), Some(start)) = (customer, plan, start) else {
            return self.claim(std::iter::once(id).chain(aliases));
        };
        let Some(stands_twice) = self.stands_twice(&id) else { return };
        let entry = SubscriptionEntry::new(id, customer, plan, start);
        let entry = SubscriptionEntry { aliases, end, overrides, ..entry };
        if let Err(message) = self.catalog.add_subscription(entry) {
            let message = if stands_twice {
                let id = fields.get("id").map_or("", |id| id.raw());
                format!(
                    "subscription \"{id}\" stands twice; to change its plan, let the days of one \
                     entry follow those of the other"
                )
            } else {
                message
            };
            self.faults.add(value, message);
        }
    }

    /// The names that a subscription may go by beside its id; one that is taken is a fault.
    fn free_names(&mut self, names: Vec<(String, Value<'_>)>, id: Option<&str>) -> Vec<String> {
        let mut free: Vec<String> = Vec::new();
        for (name, at) in names {
            let is_known = self.catalog.subjects.contains_key(&name);
            if is_known || Some(&*name) == id || free.contains(&name) {
                self.faults.add(at, taken(&name));
            } else {
                free.push(name);
            }
        }
        free
    }

    /// Keeps the names of a subscription that is too faulty to be added.
    fn claim(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            let subject = Subject::Subscription(REFUSED);
            Arc::make_mut(&mut self.catalog.subjects).entry(name).or_insert(subject);
        }
    }

    /// Whether a subscription of that id was added already; `None` if one was refused, of which
    /// nobody knows whether another may follow it.
    fn stands_twice(&self, id: &str) -> Option<bool> {
        match self.catalog.subject(id) {
            Some(Subject::Subscription(REFUSED)) => None,
            _ => Some(self.catalog.subscription(id).is_some()),
        }
    }

    fn known_customer(&mut self, fields: &Fields<'_>) -> Option<String> {
        let value = fields.required("customer", self.faults)?;
        let id = read_text(value, self.faults)?;
        if self.catalog.customer(&id).is_none() {
            let known = self.catalog.customers.iter().map(|customer| customer.id.as_str());
            let hint = did_you_mean(&id, self.searched.next(known));
            self.faults.add(value, format!("\"{id}\" is not a customer of this catalog{hint}"));
            return None;
        }
        Some(id.into_owned())
    }

    /// The plan that a subscription names, also one that is faulty.
    fn known_plan<'p>(
        &mut self,
        fields: &Fields<'_>,
        plans: &'p PlanTexts,
    ) -> Option<&'p PlanText> {
        let value = fields.required("plan", self.faults)?;
        let key = read_text(value, self.faults)?;
        let found = plans.find(&key);
        if found.is_none() {
            let hint = did_you_mean(&key, self.searched.next(plans.keys()));
            self.faults.add(value, format!("\"{key}\" is not a plan of this catalog{hint}"));
        }
        found
    }

    /// A subscription that begins before its plan does would refuse its first records.
    fn check_in_force(&mut self, plan: &PlanText, start: Date, at: Value<'_>) {
        let key = &plan.key;
        let Some(first) = self.catalog.plan(key).and_then(Plan::first_version) else { return };
        if start < first.first_day() {
            let from = first.effective_from;
            let text = format!("plan \"{key}\" has no version in force on {start}");
            self.faults.add(at, format!("{text}; the first takes effect on {from}"));
        }
    }

    /// The aliases, and where they stand.
    fn aliases<'a>(&mut self, fields: &Fields<'a>) -> Vec<(String, Value<'a>)> {
        let list = fields.list("aliases", self.faults).into_iter();
        list.filter_map(|value| Some((self.checked_identifier(value)?, value))).collect()
    }

    /// A name that keys and messages are made from.
    pub(super) fn identifier(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        let value = fields.required(name, self.faults)?;
        self.checked_identifier(value)
    }

    fn checked_identifier(&mut self, value: Value<'_>) -> Option<String> {
        let text = read_text(value, self.faults)?;
        if text.len() > IDENTIFIER_BYTES_MAX || text.chars().any(char::is_control) {
            let message = format!(
                "a name has at most {IDENTIFIER_BYTES_MAX} bytes and no control characters"
            );
            self.faults.add(value, message);
            return None;
        }
        Some(text.into_owned())
    }
}

/// Stands for every subscription that has a name and could not be added.
const REFUSED: SubscriptionId = SubscriptionId(u32::MAX);
/// Longest id or key of a catalog, in bytes.
pub(crate) const IDENTIFIER_BYTES_MAX: usize = 256;
/// Names that are searched for all suggestions together; more would take longer than anybody waits.
const SEARCHED_MAX: usize = 500_000;

/// How many names were searched for suggestions.
#[derive(Debug, Default)]
pub(super) struct Searched(usize);

impl Searched {
    /// As many of the names as may be searched for one more suggestion.
    pub(super) fn next<'k>(
        &mut self,
        names: impl Iterator<Item = &'k str>,
    ) -> impl Iterator<Item = &'k str> {
        let names = names.take(SEARCHED_MAX.saturating_sub(self.0));
        names.inspect(|_| self.0 = self.0.saturating_add(1))
    }
}
