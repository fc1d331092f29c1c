//! Reads meters: what is counted of which records, and by which dimensions.

use super::MeterId;
use super::read::Reader;
use crate::aggregation::{Aggregation, Percentile};
use crate::fault::{Faults, Fields, read_name, read_text};
use crate::json::{Kind, Value};
use crate::meter::{Meter, Path};

/// The fields of a meter.
pub(super) const FIELDS: [&str; 6] =
    ["key", "event_type", "aggregation", "value", "group_by", "negative"];

/// The aggregations that are a name; a percentile is an object.
pub(super) const AGGREGATIONS: [(&str, Aggregation); 8] = [
    ("sum", Aggregation::Sum),
    ("count", Aggregation::Count),
    ("max", Aggregation::Max),
    ("min", Aggregation::Min),
    ("average", Aggregation::Average),
    ("unique_count", Aggregation::UniqueCount),
    ("latest", Aggregation::Latest),
    ("time_weighted_sum", Aggregation::TimeWeightedSum),
];

/// The field of an aggregation that is an object.
pub(super) const PERCENTILE: &str = "percentile";

/// Whether quantities below zero are accepted.
pub(super) const NEGATIVE: [(&str, bool); 2] = [("reject", false), ("accept", true)];

/// Types of records that speak of other records; no meter may take them.
pub(crate) const SYSTEM_TYPES: [&str; 2] = ["usage.cancelled", "usage.amended"];

impl Reader<'_, '_> {
    pub(super) fn meter(&mut self, value: Value<'_>) {
        let Some(fields) = Fields::open(value, &FIELDS, self.faults) else { return };
        let key = self.identifier(&fields, "key");
        if let Some(key) = &key {
            if self.meters.contains_key(key) {
                self.faults.add(value, format!("meter \"{key}\" stands twice"));
            }
            self.meters.entry(key.clone()).or_default();
        }
        let event_type = fields.required_text("event_type", self.faults).map(String::from);
        if let (Some(event_type), Some(at)) = (&event_type, fields.get("event_type"))
            && SYSTEM_TYPES.contains(&event_type.as_str())
        {
            self.faults.add(at, format!("\"{event_type}\" is a type of the system's own"));
        }
        let aggregation = fields.required("aggregation", self.faults);
        let aggregation = aggregation.and_then(|value| read_aggregation(value, self.faults));
        let path = fields.optional("value", self.faults, read_path);
        match (aggregation, fields.get("value")) {
            (Some(Aggregation::Count), Some(value)) => {
                self.faults.add(value, "a count has no \"value\"");
            }
            (Some(other), None) if other != Aggregation::Count => {
                let message = "the field \"value\" is missing: a path such as $.calls";
                self.faults.add(fields.value(), message);
            }
            _ => {}
        }
        let group_by = read_group_by(&fields, self.faults);
        let negative = fields.optional("negative", self.faults, |v, f| read_name(v, &NEGATIVE, f));
        // A meter of which anything is unknown stays out, so that nothing is held against it.
        let (Some(key), Some(event_type), Some(aggregation), Some(group_by)) =
            (key, event_type, aggregation, group_by)
        else {
            return;
        };
        let id = MeterId(u32::try_from(self.catalog.meters.len()).unwrap_or(u32::MAX));
        self.catalog.meters_by_type.entry(event_type.clone()).or_default().push(id);
        if let Some(known) = self.meters.get_mut(&key) {
            known.get_or_insert(id);
        }
        let accepts_negative = negative.unwrap_or(false);
        let meter = Meter { key, event_type, aggregation, value: path, group_by, accepts_negative };
        self.catalog.meters.push(meter);
    }
}

fn read_aggregation(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Aggregation> {
    if value.kind() == Kind::Object {
        let fields = Fields::open(value, &[PERCENTILE], faults)?;
        let rank = fields.required(PERCENTILE, faults)?;
        let percentile = rank.as_decimal_text().and_then(|text| Percentile::parse(&text));
        if percentile.is_none() {
            let text = "a percentile lies above 0 and up to 100, with at most 12 digits";
            faults.add(rank, format!("{text} after the point"));
        }
        return percentile.map(Aggregation::Percentile);
    }
    if value.is(PERCENTILE) {
        faults.add(value, "a percentile is written as an object such as {\"percentile\": 95}");
        return None;
    }
    read_name(value, &AGGREGATIONS, faults)
}

/// The dimensions with their paths; `None` if any of them is wrong.
fn read_group_by(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Vec<(String, Path)>> {
    let Some(value) = fields.get("group_by") else { return Some(Vec::new()) };
    if value.kind() != Kind::Object {
        faults.add(value, "\"group_by\" must be an object of dimensions and paths");
        return None;
    }
    let dimensions = value.members().map(|(name, path)| {
        let name = name.as_text().unwrap_or_default().into_owned();
        (name, read_path(path, faults))
    });
    // All of them are read before one that is wrong ends it, so that all faults are noted.
    let dimensions: Vec<_> = dimensions.collect();
    dimensions.into_iter().map(|(name, path)| Some((name, path?))).collect()
}

fn read_path(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Path> {
    let text = read_text(value, faults)?;
    let path = Path::parse(&text);
    if path.is_none() {
        faults.add(value, format!("\"{text}\" is not a path into data such as $.calls"));
    }
    path
}
