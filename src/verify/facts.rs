//! What the proof takes from a catalog: who owns a record, whether some charge must have taken it,
//! and which charges add up.
//!
//! It reads the catalog by itself and knows nothing of prices. Where a record has left nothing
//! behind, these facts tell one that no charge takes from one that was lost.

use super::Map;
use super::event::{Event, element, member, text};
use rating::{Date, Instant, TimeZone, start_of_day};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a record must have come to, if nothing else is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expectation {
    /// A charge takes it: it must have a rated line.
    Lines,
    /// No charge takes it: it is rated to nothing.
    Nothing,
    /// The catalog does not know its subject: it may wait for it.
    Subject,
}

/// The facts of one catalog.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Customers and subscriptions, under all their names.
    subjects: Map<String, Subject>,
    /// By customer.
    subscriptions_of: Vec<Vec<u32>>,
    subscriptions: Vec<Subscription>,
    plans: Map<String, Vec<Version>>,
    /// By type of record.
    meters: Map<String, Vec<Meter>>,
    /// By plan and charge, whether a total's quantity is the sum of its records'.
    adds_up: Map<(String, String), bool>,
}

#[derive(Debug, Clone)]
enum Subject {
    Customer(u32),
    /// Its customer, and the parts of its time that different plans take up.
    Subscription(u32, Vec<u32>),
}

#[derive(Debug)]
struct Subscription {
    plan: String,
    start: Instant,
    end: Instant,
    /// By charge, in order of time; only those that state a filter.
    filters: BTreeMap<String, Vec<(Instant, Filter)>>,
}

#[derive(Debug)]
struct Version {
    effective_from: Instant,
    charges: Vec<Charge>,
}

#[derive(Debug)]
struct Charge {
    key: String,
    meter: String,
    filter: Filter,
}

#[derive(Debug)]
struct Meter {
    key: String,
    group_by: BTreeMap<String, String>,
}

type Filter = BTreeMap<String, Values>;

/// The values of a dimension that a charge takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// A catalog as far as it is of use here.
#[derive(Debug, Deserialize)]
struct Document {
    meters: Option<Vec<MeterEntry>>,
    plans: Option<Vec<PlanEntry>>,
    customers: Option<Vec<CustomerEntry>>,
    subscriptions: Option<Vec<SubscriptionEntry>>,
}

#[derive(Debug, Deserialize)]
struct MeterEntry {
    key: String,
    event_type: String,
    aggregation: serde_json::Value,
    group_by: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct PlanEntry {
    key: String,
    effective_from: String,
    charges: Option<Vec<ChargeEntry>>,
}

#[derive(Debug, Deserialize)]
struct ChargeEntry {
    key: String,
    meter: Option<String>,
    filter: Option<Filter>,
}

#[derive(Debug, Deserialize)]
struct CustomerEntry {
    id: String,
    aliases: Option<Vec<String>>,
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SubscriptionEntry {
    id: String,
    customer: String,
    plan: String,
    start: String,
    end: Option<String>,
    aliases: Option<Vec<String>>,
    overrides: Option<BTreeMap<String, Vec<OverrideEntry>>>,
}

#[derive(Debug, Deserialize)]
struct OverrideEntry {
    effective_from: String,
    // Present and null takes the plan's filter away.
    #[serde(default, deserialize_with = "stated")]
    filter: Option<Option<Filter>>,
}

fn stated<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<Filter>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Facts {
    /// Reads a catalog that has been found good.
    ///
    /// # Errors
    /// What is not as expected, for a person.
    pub(crate) fn read(catalog: &[u8]) -> Result<Self, String> {
        let catalog = catalog.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(catalog);
        let document: Document =
            serde_json::from_slice(catalog).map_err(|error| error.to_string())?;
        let mut facts = Self::default();
        let mut sums = Map::default();
        for meter in document.meters.unwrap_or_default() {
            let sum =
                meter.aggregation.as_str().is_some_and(|name| ["sum", "count"].contains(&name));
            sums.insert(meter.key.clone(), sum);
            let group_by = meter.group_by.unwrap_or_default();
            let of_type = facts.meters.entry(meter.event_type).or_default();
            of_type.push(Meter { key: meter.key, group_by });
        }
        for plan in document.plans.unwrap_or_default() {
            facts.add_plan(plan, &sums)?;
        }
        let mut zones = Vec::new();
        for customer in document.customers.unwrap_or_default() {
            let number = u32::try_from(zones.len()).map_err(|_| "too many customers")?;
            let zone = customer.time_zone.as_deref().unwrap_or("UTC");
            zones.push(TimeZone::get(zone).map_err(|error| error.to_string())?);
            facts.subscriptions_of.push(Vec::new());
            for name in customer.aliases.into_iter().flatten().chain([customer.id]) {
                facts.subjects.insert(name, Subject::Customer(number));
            }
        }
        for subscription in document.subscriptions.unwrap_or_default() {
            facts.add_subscription(subscription, &zones)?;
        }
        Ok(facts)
    }

    fn add_plan(&mut self, plan: PlanEntry, sums: &Map<String, bool>) -> Result<(), String> {
        let mut charges = Vec::new();
        for ChargeEntry { key, meter, filter } in plan.charges.unwrap_or_default() {
            let Some(meter) = meter else { continue };
            let sum = sums.get(&meter).copied().unwrap_or(false);
            // If versions differ, some of the quantity is not a sum.
            let known = self.adds_up.entry((plan.key.clone(), key.clone())).or_insert(sum);
            *known &= sum;
            charges.push(Charge { key, meter, filter: filter.unwrap_or_default() });
        }
        let effective_from = instant(&plan.effective_from)?;
        self.plans.entry(plan.key).or_default().push(Version { effective_from, charges });
        Ok(())
    }

    fn add_subscription(
        &mut self,
        entry: SubscriptionEntry,
        zones: &[TimeZone],
    ) -> Result<(), String> {
        let Some(Subject::Customer(customer)) = self.subjects.get(&entry.customer).cloned() else {
            return Err(format!("subscription {} has no customer", entry.id));
        };
        let owner = usize::try_from(customer).unwrap_or(usize::MAX);
        let zone = zones.get(owner).cloned().unwrap_or(TimeZone::UTC);
        let day = |text: &str| text.parse::<Date>().map_err(|error| error.to_string());
        let start = start_of_day(day(&entry.start)?, &zone);
        let end = match &entry.end {
            Some(end) => day(end)?.tomorrow().map_or(Instant::MAX, |day| start_of_day(day, &zone)),
            None => Instant::MAX,
        };
        let mut filters: BTreeMap<String, Vec<(Instant, Filter)>> = BTreeMap::new();
        for (charge, list) in entry.overrides.into_iter().flatten() {
            for OverrideEntry { effective_from, filter } in list {
                if let Some(filter) = filter {
                    let of_charge = filters.entry(charge.clone()).or_default();
                    of_charge.push((instant(&effective_from)?, filter.unwrap_or_default()));
                    of_charge.sort_by_key(|(from, _)| *from);
                }
            }
        }
        let number =
            u32::try_from(self.subscriptions.len()).map_err(|_| "too many subscriptions")?;
        self.subscriptions.push(Subscription { plan: entry.plan, start, end, filters });
        if let Some(all) = self.subscriptions_of.get_mut(owner) {
            all.push(number);
        }
        // A subscription that changes its plan has an entry for each, all under its names.
        let mut parts = vec![number];
        if let Some(Subject::Subscription(_, earlier)) = self.subjects.get(&entry.id) {
            parts.extend(earlier);
        }
        for name in entry.aliases.into_iter().flatten().chain([entry.id]) {
            self.subjects.insert(name, Subject::Subscription(customer, parts.clone()));
        }
        Ok(())
    }

    /// The number of the customer that goes by a name.
    pub(super) fn customer(&self, name: &str) -> Option<u32> {
        match self.subjects.get(name)? {
            Subject::Customer(number) | Subject::Subscription(number, _) => Some(*number),
        }
    }

    /// How many customers there are.
    pub(super) fn customers(&self) -> usize {
        self.subscriptions_of.len()
    }

    /// Whether the quantity of a total is the sum of what its records say; `None` if the catalog
    /// does not have its charge.
    pub(super) fn adds_up(&self, plan: &str, charge: &str) -> Option<bool> {
        self.adds_up.get(&(plan.to_owned(), charge.to_owned())).copied()
    }

    /// What a record that is no correction must have come to.
    pub(super) fn expects(&self, event: &Event<'_>) -> Expectation {
        let subject = self.subjects.get(&event.subject);
        let named = event.subscription.as_deref().map(|name| self.subjects.get(name));
        let candidates: &[u32] = match (subject, named) {
            (None, _) | (_, Some(None)) => return Expectation::Subject,
            (Some(Subject::Subscription(_, parts)), None)
            | (_, Some(Some(Subject::Subscription(_, parts)))) => parts,
            (Some(Subject::Customer(number)), _) => {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                self.subscriptions_of.get(number).map_or(&[], Vec::as_slice)
            }
            (Some(Subject::Subscription(..)), Some(Some(Subject::Customer(_)))) => {
                return Expectation::Subject;
            }
        };
        let Some(meters) = self.meters.get(&event.event_type) else { return Expectation::Nothing };
        let at = |number: &u32| self.subscriptions.get(usize::try_from(*number).ok()?);
        let taken = candidates.iter().filter_map(at).any(|found| self.takes(found, meters, event));
        if taken { Expectation::Lines } else { Expectation::Nothing }
    }

    fn takes(&self, subscription: &Subscription, meters: &[Meter], event: &Event<'_>) -> bool {
        let active = subscription.start..subscription.end;
        let Some(versions) = self.plans.get(&subscription.plan) else { return false };
        let in_force = versions.iter().filter(|version| version.effective_from <= event.used_at);
        let in_force = in_force.max_by_key(|version| version.effective_from);
        let Some(version) = in_force.filter(|_| active.contains(&event.used_at)) else {
            return false;
        };
        version.charges.iter().any(|charge| {
            let meter = meters.iter().find(|meter| meter.key == charge.meter);
            let mut overrides = subscription.filters.get(&charge.key).into_iter().flatten();
            let last = overrides.rfind(|(from, _)| *from <= event.used_at);
            let filter = last.map_or(&charge.filter, |(_, filter)| filter);
            meter.is_some_and(|meter| passes(filter, meter, event.data))
        })
    }
}

fn instant(text: &str) -> Result<Instant, String> {
    Instant::parse(text).map_err(|error| format!("\"{text}\" {error}"))
}

/// Whether data has one of the wanted values in every dimension.
fn passes(filter: &Filter, meter: &Meter, data: Option<&RawValue>) -> bool {
    filter.iter().all(|(dimension, wanted)| {
        let path = meter.group_by.get(dimension);
        let found = path.and_then(|path| find(path, data?)).and_then(scalar);
        found.is_some_and(|found| match wanted {
            Values::One(value) => *value == found,
            Values::Several(values) => values.contains(&found),
        })
    })
}

/// The value that a path such as `$.a['b'][0]` leads to.
fn find<'a>(path: &str, data: &'a RawValue) -> Option<&'a RawValue> {
    let mut rest = path.strip_prefix('$')?;
    let mut value = data;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let (name, after) = after.split_at(after.find(['.', '[']).unwrap_or(after.len()));
            (value, rest) = (member(value, name)?, after);
            continue;
        }
        let (step, after) = rest.strip_prefix('[')?.split_once(']')?;
        let name = step.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
        value = match name {
            Some(name) => member(value, name)?,
            None => element(value, step.parse().ok()?)?,
        };
        rest = after;
    }
    Some(value)
}

/// A text as it is; a number or a truth value as it is written.
fn scalar(value: &RawValue) -> Option<String> {
    match value.get().bytes().next()? {
        b'"' => text(value),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOG: &str = r#"{
"meters":[{"key":"calls","event_type":"api","aggregation":"sum","value":"$.n",
    "group_by":{"region":"$.r[1]['x']"}},
  {"key":"top","event_type":"level","aggregation":{"percentile":95},"value":"$.n"}],
"plans":[{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
  "charges":[
    {"key":"api","meter":"calls","filter":{"region":["eu"]},"price":{}},{"key":"fee","price":{}}]},
  {"key":"pro","version":2,"effective_from":"2026-03-01T00:00:00Z","currency":"USD","charges":[
    {"key":"api","meter":"calls","price":{}},{"key":"top","meter":"top","price":{}}]}],
"customers":[{"id":"C","aliases":["acme"],"time_zone":"Europe/Berlin"}],
"subscriptions":[{"id":"S","customer":"C","plan":"pro","start":"2026-02-01","end":"2026-12-31",
  "overrides":{"api":[{"effective_from":"2026-04-01T00:00:00Z","filter":{"region":["us"]}}]}}]}"#;

    #[track_caller]
    fn check(event_type: &str, subject: &str, time: &str, region: &str, wanted: Expectation) {
        let text = r#"{"specversion":"1.0","id":"a","source":"s","type":"TYPE","subject":"WHO",
            "time":"WHEN","data":{"n":1,"r":[0,{"x":"WHERE"}]}}"#;
        let text = text.replace("TYPE", event_type).replace("WHO", subject);
        let text = text.replace("WHEN", time).replace("WHERE", region);
        let event = Event::read(text.as_bytes()).unwrap();
        assert_eq!(Facts::read(CATALOG.as_bytes()).unwrap().expects(&event), wanted, "{text}");
    }

    #[test]
    fn a_record_is_taken_by_type_time_and_filter() {
        use Expectation::{Lines, Nothing, Subject};
        check("api", "acme", "2026-02-01T00:00:00Z", "eu", Lines);
        check("api", "S", "2026-02-01T00:00:00Z", "us", Nothing);
        check("other", "S", "2026-02-01T00:00:00Z", "eu", Nothing);
        check("level", "S", "2026-02-01T00:00:00Z", "eu", Nothing);
        check("level", "S", "2026-03-01T00:00:00Z", "eu", Lines);
        check("api", "C", "2026-03-01T00:00:00Z", "us", Lines);
        check("api", "C", "2026-04-01T00:00:00Z", "eu", Nothing);
        check("api", "C", "2026-04-01T00:00:00Z", "us", Lines);
        check("api", "nobody", "2026-04-01T00:00:00Z", "us", Subject);
        // In Berlin, the first and the last day begin and end an hour earlier.
        check("api", "S", "2026-01-31T23:00:00Z", "eu", Lines);
        check("api", "S", "2026-01-31T22:59:59Z", "eu", Nothing);
        check("api", "S", "2026-12-31T23:00:00Z", "us", Nothing);
    }

    #[test]
    fn sums_and_counts_add_up() {
        let facts = Facts::read(CATALOG.as_bytes()).unwrap();
        assert_eq!(facts.adds_up("pro", "api"), Some(true));
        assert_eq!(facts.adds_up("pro", "top"), Some(false));
        assert_eq!(facts.adds_up("pro", "nothing"), None);
        assert_eq!((facts.customer("acme"), facts.customer("S")), (Some(0), Some(0)));
        assert!(Facts::read(b"{\"meters\":1}").is_err());
    }
}
