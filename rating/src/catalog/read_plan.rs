//! Reads plans, their versions, and what subscriptions override of them.

use super::read::Reader;
use super::read_charge::{read_charge, read_model};
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
pub(super) struct PlanText<'a> {
    pub(super) key: String,
    currency: Option<Currency>,
    versions: Vec<PlanVersion>,
    /// Where each version stands, for faults between versions.
    places: Vec<Value<'a>>,
}

/// Frozen: states remember the digests of plan versions.
const PLAN_DIGEST_SEED: u64 = 0;

/// Reads all plan versions and groups them by key.
pub(super) fn read_plans<'a>(
    reader: &mut Reader<'_, '_>,
    values: &[Value<'a>],
) -> Vec<PlanText<'a>> {
    let mut plans: Vec<PlanText<'a>> = Vec::new();
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

fn read_version<'a>(reader: &mut Reader<'_, '_>, value: Value<'a>, plans: &mut Vec<PlanText<'a>>) {
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
    let charges = read_charges(reader, &fields);
    let Some(key) = key else { return };
    let index = plans.iter().position(|plan| plan.key == key).unwrap_or_else(|| {
        let (versions, places) = (Vec::new(), Vec::new());
        plans.push(PlanText { key: key.clone(), currency, versions, places });
        plans.len().saturating_sub(1)
    });
    let (Some(plan), Some(version), Some(from)) = (plans.get_mut(index), version, from) else {
        return;
    };
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
    plan.places.push(value);
}

fn read_charges(reader: &mut Reader<'_, '_>, fields: &Fields<'_>) -> Vec<Arc<Charge>> {
    let mut charges: Vec<Arc<Charge>> = Vec::new();
    for value in fields.list("charges", reader.faults) {
        let Some(charge) = read_charge(reader, value) else { continue };
        if charges.iter().any(|other| other.key == charge.key) {
            let message = format!("charge \"{}\" stands twice in this version", charge.key);
            reader.faults.add(value, message);
            continue;
        }
        charges.push(Arc::new(charge));
    }
    charges
}

impl Reader<'_, '_> {
    /// Reads the overrides of a subscription to plan `key`.
    pub(super) fn overrides(
        &mut self,
        value: Value<'_>,
        key: &str,
        plans: &[PlanText<'_>],
    ) -> Vec<(String, Vec<Override>)> {
        if value.kind() != Kind::Object {
            self.faults.add(value, "\"overrides\" must be an object of charges and lists");
        }
        let charges: Vec<&str> = plans
            .iter()
            .filter(|plan| plan.key == key)
            .flat_map(|plan| &plan.versions)
            .flat_map(|version| version.charges.iter().map(|charge| charge.key.as_str()))
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
            overrides.push((charge, changes));
        }
        overrides
    }
}

fn read_override(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Override> {
    const KNOWN: [&str; 5] = ["effective_from", "included", "price", "minimum", "maximum"];
    let fields = Fields::open(value, &KNOWN, faults)?;
    let from = fields.required("effective_from", faults).and_then(|v| read_instant(v, faults));
    let included = fields.optional("included", faults, read_quantity);
    let model = fields.optional("price", faults, read_model);
    let minimum = read_bound(value, "minimum", faults);
    let maximum = read_bound(value, "maximum", faults);
    Some(Override { effective_from: from?, included, model, minimum, maximum })
}

/// A bound that an override sets, or takes away with `null`; `None` where it is not mentioned.
fn read_bound(value: Value<'_>, name: &str, faults: &mut Faults<'_>) -> Option<Option<Price>> {
    let bound = value.get(name)?;
    if bound.is_null() { Some(None) } else { read_price(bound, faults).map(Some) }
}
