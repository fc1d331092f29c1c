//! Reads plans and their versions.

use super::MeterId;
use super::read::Reader;
use super::read_charge::read_charge;
use crate::charge::Charge;
use crate::content::ContentDigest;
use crate::fault::{Fields, read_currency, read_instant, read_whole};
use crate::json::Value;
use crate::money::Currency;
use crate::plan::{Plan, PlanVersion};
use crate::scope::Scope;
use std::sync::Arc;

/// The first and the last number that a version may have.
pub(super) const VERSIONS: (u32, u32) = (1, u32::MAX);

/// A plan as far as its text could be read.
pub(super) struct PlanText {
    pub(super) key: String,
    currency: Option<Currency>,
    versions: Vec<PlanVersion>,
    /// The keys of all its charges, also of those that are faulty: they are known all the same.
    pub(super) charge_keys: Vec<String>,
}

impl PlanText {
    /// The meter of a charge, which is the same in all versions.
    pub(super) fn meter_of(&self, charge: &str) -> Option<MeterId> {
        let charges = self.versions.iter().flat_map(|version| &version.charges);
        charges.filter(|other| other.key == charge).find_map(|charge| charge.meter)
    }
}

/// The fields of a plan version.
pub(super) const FIELDS: [&str; 5] = ["key", "version", "effective_from", "currency", "charges"];

/// Frozen: states remember the digests of plan versions.
pub(super) const PLAN_DIGEST_SEED: u64 = 0;

/// Reads all plan versions and groups them by key.
pub(super) fn read_plans(reader: &mut Reader<'_, '_>, values: &[Value<'_>]) -> Vec<PlanText> {
    let mut plans: Vec<PlanText> = Vec::new();
    for value in values {
        read_version(reader, *value, &mut plans);
    }
    for plan in &plans {
        let Some(currency) = plan.currency else { continue };
        if plan.versions.is_empty() {
            continue;
        }
        let index = u32::try_from(reader.catalog.plans.len()).unwrap_or(u32::MAX);
        reader.catalog.plan_index.insert(plan.key.clone(), index);
        reader.catalog.plans.push(Plan::new(plan.key.clone(), currency, plan.versions.clone()));
    }
    plans
}

fn read_version(reader: &mut Reader<'_, '_>, value: Value<'_>, plans: &mut Vec<PlanText>) {
    let Some(fields) = Fields::open(value, &FIELDS, reader.faults) else { return };
    let key = reader.identifier(&fields, "key");
    let version = fields
        .required("version", reader.faults)
        .and_then(|value| read_whole(value, VERSIONS, reader.faults));
    let from = fields
        .required("effective_from", reader.faults)
        .and_then(|value| read_instant(value, reader.faults));
    let currency =
        fields.required("currency", reader.faults).and_then(|v| read_currency(v, reader.faults));
    let (charges, charge_keys) = read_charges(reader, &fields);
    let Some(key) = key else { return };
    let index = plans.iter().position(|plan| plan.key == key).unwrap_or_else(|| {
        let (versions, charge_keys) = (Vec::new(), Vec::new());
        plans.push(PlanText { key: key.clone(), currency, versions, charge_keys });
        plans.len().saturating_sub(1)
    });
    let Some(plan) = plans.get_mut(index) else { return };
    plan.charge_keys.extend(charge_keys);
    let (Some(version), Some(from)) = (version, from) else { return };
    refuse_other_positions(reader, plan, &charges);
    let charges = charges.into_iter().map(|(charge, _)| charge).collect();
    if plan.versions.iter().any(|other| other.version == version) {
        reader.faults.add(value, format!("version {version} of plan \"{key}\" stands twice"));
        return;
    }
    if let Some(other) = plan.versions.iter().find(|other| other.effective_from == from) {
        let message = format!(
            "versions {} and {version} of plan \"{key}\" overlap: both take effect on {from}",
            other.version
        );
        reader.faults.add(fields.get("effective_from").unwrap_or(value), message);
    }
    if let (Some(first), Some(own)) = (plan.currency, currency)
        && first != own
    {
        let message = format!("plan \"{key}\" changes its currency from {first} to {own}");
        reader.faults.add(fields.get("currency").unwrap_or(value), message);
    }
    plan.currency = plan.currency.or(currency);
    let digest = ContentDigest::new(PLAN_DIGEST_SEED).of(value);
    plan.versions.push(PlanVersion { version, effective_from: from, charges, digest });
}

/// A charge that was read, and where it stands.
type Placed<'a> = (Arc<Charge>, Value<'a>);

/// A position that goes on from version to version is counted by one meter, over one scope.
fn refuse_other_positions(reader: &mut Reader<'_, '_>, plan: &PlanText, charges: &[Placed<'_>]) {
    for (charge, at) in charges {
        let key = &charge.key;
        let earlier = plan.versions.iter().flat_map(|version| &version.charges);
        let earlier: Vec<_> = earlier.filter(|earlier| earlier.key == *key).collect();
        // A flat price may have no meter; before and behind it there is still only one.
        let meter = earlier.iter().find_map(|earlier| earlier.meter);
        if meter.is_some() && charge.meter.is_some() && meter != charge.meter {
            let message = format!("charge \"{key}\" changes its meter; give it another key");
            reader.faults.add(at.get("meter").unwrap_or(*at), message);
        }
        if let Some(earlier) = earlier.iter().find(|earlier| earlier.scope != charge.scope) {
            let (from, to) = (name_of(earlier.scope), name_of(charge.scope));
            let text = format!("charge \"{key}\" changes its scope from {from} to {to}");
            let message = format!("{text}; give it another key");
            reader.faults.add(at.get("scope").unwrap_or(*at), message);
        }
    }
}

fn name_of(scope: Scope) -> &'static str {
    let found = Scope::NAMES.into_iter().find(|(_, known)| *known == scope);
    found.map_or("", |(name, _)| name)
}

/// The charges that could be read, and the keys of all.
fn read_charges<'a>(
    reader: &mut Reader<'_, '_>,
    fields: &Fields<'a>,
) -> (Vec<Placed<'a>>, Vec<String>) {
    let (mut charges, mut keys): (Vec<_>, Vec<String>) = (Vec::new(), Vec::new());
    for value in fields.list("charges", reader.faults) {
        if let Some(key) = value.get("key").and_then(|key| key.as_text()) {
            if keys.iter().any(|other| *other == *key) {
                let message = format!("charge \"{key}\" stands twice in this version");
                reader.faults.add(value, message);
            }
            keys.push(key.into_owned());
        }
        charges.extend(read_charge(reader, value).map(|charge| (Arc::new(charge), value)));
    }
    (charges, keys)
}
