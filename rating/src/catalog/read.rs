//! Reads a catalog and notes every fault on the way.

use super::read_plan::{PlanText, read_plans};
use super::{Catalog, Customer, CustomerId, MeterId, Subject, SubscriptionEntry};
use crate::aggregation::Aggregation;
use crate::fault::{
    Fault, Faults, Fields, did_you_mean, read_bool, read_date, read_name, read_text, read_time_zone,
};
use crate::json::{Kind, Tape, Value};
use crate::meter::{Meter, Path};
use crate::settings::Settings;
use jiff::tz::TimeZone;

/// What is known so far while a catalog is read.
pub(super) struct Reader<'f, 't> {
    pub(super) catalog: Catalog,
    pub(super) faults: &'f mut Faults<'t>,
    /// The keys of all meters, also of those that are faulty: they are known all the same.
    pub(super) meter_keys: Vec<String>,
}

pub(super) fn read(text: &[u8]) -> Result<Catalog, Vec<Fault>> {
    // Editors on some systems put a byte-order mark before the text.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut faults = Faults::new(text);
    let mut tape = Tape::default();
    let mut reader =
        Reader { catalog: Catalog::default(), faults: &mut faults, meter_keys: Vec::new() };
    match tape.parse(text) {
        Ok(document) => reader.document(document),
        Err(malformed) => reader.faults.add_malformed(&malformed),
    }
    let mut catalog = reader.catalog;
    if !faults.is_empty() {
        return Err(faults.into_sorted());
    }
    catalog.finish();
    Ok(catalog)
}

impl Reader<'_, '_> {
    fn document(&mut self, document: Value<'_>) {
        const KNOWN: [&str; 5] = ["meters", "plans", "customers", "subscriptions", "strict_types"];
        let Some(fields) = Fields::open(document, &KNOWN, self.faults) else { return };
        self.catalog.strict_types =
            fields.optional("strict_types", self.faults, read_bool).unwrap_or(false);
        for value in fields.list("meters", self.faults) {
            self.meter(value);
        }
        let plans = fields.list("plans", self.faults);
        let plans: Vec<PlanText> = read_plans(self, &plans);
        for value in fields.list("customers", self.faults) {
            self.customer(value);
        }
        for value in fields.list("subscriptions", self.faults) {
            self.subscription(value, &plans);
        }
    }

    fn meter(&mut self, value: Value<'_>) {
        const KNOWN: [&str; 6] =
            ["key", "event_type", "aggregation", "value", "group_by", "negative"];
        let Some(fields) = Fields::open(value, &KNOWN, self.faults) else { return };
        let key = self.identifier(&fields, "key");
        if let Some(key) = &key {
            if self.meter_keys.contains(key) {
                self.faults.add(value, format!("meter \"{key}\" stands twice"));
            }
            self.meter_keys.push(key.clone());
        }
        let event_type = fields.required_text("event_type", self.faults).map(String::from);
        if let (Some(event_type), Some(at)) = (&event_type, fields.get("event_type"))
            && SYSTEM_TYPES.contains(&event_type.as_str())
        {
            self.faults.add(at, format!("\"{event_type}\" is a type of the system's own"));
        }
        let aggregation = self.aggregation(&fields);
        let path = fields.optional("value", self.faults, read_path);
        match (aggregation, fields.get("value")) {
            (Some(Aggregation::Count), Some(value)) => {
                self.faults.add(value, "a count has no \"value\"");
            }
            (Some(Aggregation::Sum), None) => {
                self.faults
                    .add(fields.value(), "the field \"value\" is missing: a path such as $.calls");
            }
            _ => {}
        }
        let group_by = self.group_by(&fields);
        let names = [("reject", false), ("accept", true)];
        let negative = fields.optional("negative", self.faults, |v, f| read_name(v, &names, f));
        let (Some(key), Some(event_type), Some(aggregation)) = (key, event_type, aggregation)
        else {
            return;
        };
        let id = MeterId(u32::try_from(self.catalog.meters.len()).unwrap_or(u32::MAX));
        self.catalog.meters_by_type.entry(event_type.clone()).or_default().push(id);
        let accepts_negative = negative.unwrap_or(false);
        let meter = Meter { key, event_type, aggregation, value: path, group_by, accepts_negative };
        self.catalog.meters.push(meter);
    }

    fn aggregation(&mut self, fields: &Fields<'_>) -> Option<Aggregation> {
        const LATER: [&str; 6] =
            ["max", "min", "average", "unique_count", "latest", "time_weighted_sum"];
        let value = fields.required("aggregation", self.faults)?;
        let later = value.kind() == Kind::Object && value.get("percentile").is_some();
        if later || LATER.iter().any(|name| value.is(name)) {
            self.faults.add(value, format!("the aggregation {} is not supported yet", value.raw()));
            return None;
        }
        read_name(value, &[("sum", Aggregation::Sum), ("count", Aggregation::Count)], self.faults)
    }

    fn group_by(&mut self, fields: &Fields<'_>) -> Vec<(String, Path)> {
        let Some(value) = fields.get("group_by") else { return Vec::new() };
        if value.kind() != Kind::Object {
            self.faults.add(value, "\"group_by\" must be an object of dimensions and paths");
        }
        let mut dimensions = Vec::new();
        for (name, path) in value.members() {
            let name = name.as_text().unwrap_or_default().into_owned();
            if let Some(path) = read_path(path, self.faults) {
                dimensions.push((name, path));
            }
        }
        dimensions
    }

    fn customer(&mut self, value: Value<'_>) {
        let mut known = vec!["id", "aliases", "time_zone"];
        known.extend(Settings::NAMES);
        let Some(fields) = Fields::open(value, &known, self.faults) else { return };
        let id = self.identifier(&fields, "id");
        let aliases = self.aliases(&fields);
        let zone = fields.optional("time_zone", self.faults, read_time_zone);
        let settings = Settings::read(&fields, self.faults);
        let Some(id) = id else { return };
        let index = u32::try_from(self.catalog.customers.len()).unwrap_or(u32::MAX);
        for name in std::iter::once(&id).chain(&aliases) {
            let subject = Subject::Customer(CustomerId(index));
            if self.catalog.subjects.insert(name.clone(), subject).is_some() {
                let message = format!("\"{name}\" already names a customer or a subscription");
                self.faults.add(value, message);
            }
        }
        let zone = zone.unwrap_or(TimeZone::UTC);
        self.catalog.customers.push(Customer {
            id,
            zone,
            settings,
            subscriptions: Vec::new(),
            cycle: None,
        });
    }

    fn subscription(&mut self, value: Value<'_>, plans: &[PlanText]) {
        const KNOWN: [&str; 7] = ["id", "customer", "plan", "start", "end", "overrides", "aliases"];
        let Some(fields) = Fields::open(value, &KNOWN, self.faults) else { return };
        let id = self.identifier(&fields, "id");
        let aliases = self.aliases(&fields);
        let customer = self.known_customer(&fields);
        let plan = self.known_plan(&fields, plans);
        let start = fields.required("start", self.faults).and_then(|v| read_date(v, self.faults));
        let end = fields.optional("end", self.faults, read_date);
        if let (Some(start), Some(end), Some(value)) = (start, end, fields.get("end"))
            && end < start
        {
            self.faults.add(value, format!("the end {end} lies before the start {start}"));
        }
        let overrides = match (fields.get("overrides"), &plan) {
            (Some(overrides), Some(plan)) => self.overrides(overrides, plan, plans),
            _ => Vec::new(),
        };
        let (Some(id), Some(customer), Some(plan), Some(start)) = (id, customer, plan, start)
        else {
            return;
        };
        if self.catalog.subscription(&id).is_some() {
            self.faults.add(value, format!("subscription \"{id}\" stands twice"));
            return;
        }
        let entry =
            SubscriptionEntry { id, aliases, customer, plan, start, end, cycle: None, overrides };
        if let Err(message) = self.catalog.add_subscription(entry) {
            self.faults.add(value, message);
        }
    }

    fn known_customer(&mut self, fields: &Fields<'_>) -> Option<String> {
        let value = fields.required("customer", self.faults)?;
        let id = read_text(value, self.faults)?;
        if self.catalog.customer(&id).is_none() {
            let known = self.catalog.customers.iter().map(|customer| customer.id.as_str());
            let hint = did_you_mean(&id, known.take(SUGGESTIONS_FROM_MAX));
            self.faults.add(value, format!("\"{id}\" is not a customer of this catalog{hint}"));
            return None;
        }
        Some(id.into_owned())
    }

    fn known_plan(&mut self, fields: &Fields<'_>, plans: &[PlanText]) -> Option<String> {
        let value = fields.required("plan", self.faults)?;
        let key = read_text(value, self.faults)?;
        if self.catalog.plan(&key).is_some() {
            return Some(key.into_owned());
        }
        // A plan that is there but faulty is reported at its own place.
        if !plans.iter().any(|plan| plan.key == key) {
            let hint = did_you_mean(&key, plans.iter().map(|plan| plan.key.as_str()));
            self.faults.add(value, format!("\"{key}\" is not a plan of this catalog{hint}"));
        }
        None
    }

    fn aliases(&mut self, fields: &Fields<'_>) -> Vec<String> {
        let list = fields.list("aliases", self.faults);
        list.into_iter().filter_map(|value| self.checked_identifier(value)).collect()
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

/// Types of records that speak of other records; no meter may take them.
pub(crate) const SYSTEM_TYPES: [&str; 2] = ["usage.cancelled", "usage.amended"];
/// Longest id or key of a catalog, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 256;
/// Names that are searched for a suggestion; more would take longer than a person waits.
const SUGGESTIONS_FROM_MAX: usize = 100_000;

fn read_path(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Path> {
    let text = read_text(value, faults)?;
    let path = Path::parse(&text);
    if path.is_none() {
        faults.add(value, format!("\"{text}\" is not a path into data such as $.calls"));
    }
    path
}
