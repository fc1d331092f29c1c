//! Reads plans, their versions, and what subscriptions override of them.

use super::read::Reader;
use super::read_charge::{not_negative, read_charge, read_model};
use crate::charge::Charge;
use crate::content::ContentDigest;
use crate::fault::{
    Faults, Fields, did_you_mean, read_currency, read_instant, read_price, read_quantity,
    read_whole,
};
use crate::json::{Kind, Value};
use crate::money::{Currency, Price};
use crate::plan::{Override, Plan, PlanVersion};
use std::sync::Arc;

/// A plan as far as its text could be read.
pub(super) struct PlanText {
    pub(super) key: String,
    currency: Option<Currency>,
    versions: Vec<PlanVersion>,
    /// The keys of all its charges, also of those that are faulty: they are known all the same.
    charge_keys: Vec<String>,
}

/// Frozen: states remember the digests of plan versions.
const PLAN_DIGEST_SEED: u64 = 0;

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
    const KNOWN: [&str; 5] = ["key", "version", "effective_from", "currency", "charges"];
    let Some(fields) = Fields::open(value, &KNOWN, reader.faults) else { return };
    let key = reader.identifier(&fields, "key");
    let version = fields
        .required("version", reader.faults)
        .and_then(|value| read_whole(value, (1, u32::MAX), reader.faults));
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
    refuse_other_meters(reader, plan, &charges, value);
    if plan.versions.iter().any(|other| other.version == version) {
        reader.faults.add(value, format!("version {version} of plan \"{key}\" stands twice"));
        return;
    }
    if let Some(other) = plan.versions.iter().find(|other| other.effective_from == from) {
        let message = format!(
            "versions {} and {version} of plan \"{key}\" overlap: both take effect on {from}",
            other.version
        );
        reader.faults.add(value, message);
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

/// A position counted by one meter means nothing to another.
fn refuse_other_meters(
    reader: &mut Reader<'_, '_>,
    plan: &PlanText,
    charges: &[Arc<Charge>],
    value: Value<'_>,
) {
    let earlier = || plan.versions.iter().flat_map(|version| &version.charges);
    for charge in charges {
        let other = earlier().find(|other| other.key == charge.key && other.meter != charge.meter);
        if other.is_some_and(|other| other.meter.is_some() && charge.meter.is_some()) {
            let key = &charge.key;
            let message = format!("charge \"{key}\" changes its meter; give it another key");
            reader.faults.add(value, message);
        }
    }
}

/// The charges that could be read, and the keys of all.
fn read_charges(
    reader: &mut Reader<'_, '_>,
    fields: &Fields<'_>,
) -> (Vec<Arc<Charge>>, Vec<String>) {
    let (mut charges, mut keys): (Vec<_>, Vec<String>) = (Vec::new(), Vec::new());
    for value in fields.list("charges", reader.faults) {
        if let Some(key) = value.get("key").and_then(|key| key.as_text()) {
            if keys.iter().any(|other| *other == *key) {
                let message = format!("charge \"{key}\" stands twice in this version");
                reader.faults.add(value, message);
            }
            keys.push(key.into_owned());
        }
        charges.extend(read_charge(reader, value).map(Arc::new));
    }
    (charges, keys)
}

impl Reader<'_, '_> {
    /// Reads the overrides of a subscription to plan `key`.
    pub(super) fn overrides(
        &mut self,
        value: Value<'_>,
        key: &str,
        plans: &[PlanText],
    ) -> Vec<(String, Vec<Override>)> {
        if value.kind() != Kind::Object {
            self.faults.add(value, "\"overrides\" must be an object of charges and lists");
        }
        let charges: Vec<&str> = plans
            .iter()
            .filter(|plan| plan.key == key)
            .flat_map(|plan| plan.charge_keys.iter().map(String::as_str))
            .collect();
        let mut overrides = Vec::new();
        for (name, list) in value.members() {
            let charge = name.as_text().unwrap_or_default().into_owned();
            if !charges.contains(&charge.as_str()) {
                let hint = did_you_mean(&charge, charges.iter().copied());
                let message = format!("\"{charge}\" is not a charge of plan \"{key}\"{hint}");
                self.faults.add(name, message);
            }
            if list.kind() != Kind::Array {
                self.faults.add(list, "the overrides of a charge must be a list");
            }
            let mut changes: Vec<Override> =
                list.elements().filter_map(|value| read_override(value, self.faults)).collect();
            changes.sort_by_key(|change| change.effective_from);
            let twice = changes.windows(2).find(|pair| match pair {
                [a, b] => a.effective_from == b.effective_from,
                _ => false,
            });
            if let Some(change) = twice.and_then(|pair| pair.first()) {
                let from = change.effective_from;
                self.faults
                    .add(list, format!("two overrides of \"{charge}\" take effect on {from}"));
            }
            overrides.push((charge, changes));
        }
        overrides
    }
}

fn read_override(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Override> {
    const KNOWN: [&str; 5] = ["effective_from", "included", "price", "minimum", "maximum"];
    let fields = Fields::open(value, &KNOWN, faults)?;
    let from = fields.required("effective_from", faults).and_then(|v| read_instant(v, faults));
    let included = fields.optional("included", faults, not_negative(read_quantity));
    let model = fields.optional("price", faults, read_model);
    let minimum = read_bound(value, "minimum", faults);
    let maximum = read_bound(value, "maximum", faults);
    Some(Override { effective_from: from?, included, model, minimum, maximum })
}

/// A bound that an override sets, or takes away with `null`; `None` where it is not mentioned.
fn read_bound(value: Value<'_>, name: &str, faults: &mut Faults<'_>) -> Option<Option<Price>> {
    let bound = value.get(name)?;
    if bound.is_null() { Some(None) } else { not_negative(read_price)(bound, faults).map(Some) }
}
