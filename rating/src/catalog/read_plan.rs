//! Reads plans and their versions.

use super::read::Reader;
use super::read_charge::{ChargeText, read_charge};
use super::{Index, MeterId};
use crate::content::ContentDigest;
use crate::fault::{Fields, read_currency, read_instant, read_whole};
use crate::json::Value;
use crate::money::Currency;
use crate::plan::{Plan, PlanVersion};
use crate::scope::Scope;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The first and the last number that a version may have.
pub(super) const VERSIONS: (u32, u32) = (1, u32::MAX);

/// A plan as far as its text could be read.
#[derive(Default)]
pub(super) struct PlanText {
    pub(super) key: String,
    currency: Option<Currency>,
    versions: Vec<PlanVersion>,
    /// Whether there is a version that is missing from them, being faulty.
    misses_versions: bool,
    /// What stays the same of a charge in all versions, by its key.
    fixed: hashbrown::HashMap<String, Fixed, foldhash::fast::FixedState>,
    /// The keys of all its charges, also of those that are faulty: they are known all the same.
    pub(super) charge_keys: BTreeSet<String>,
}

/// What stays the same of a charge, as the first version says that states it.
#[derive(Clone, Copy, Default)]
struct Fixed {
    /// A flat price may have no meter; before and behind it there is still only one.
    meter: Option<MeterId>,
    scope: Option<Scope>,
}

impl PlanText {
    /// The meter of a charge, which is the same in all versions.
    pub(super) fn meter_of(&self, charge: &str) -> Option<MeterId> {
        self.fixed.get(charge).and_then(|fixed| fixed.meter)
    }
}

/// All plans of a catalog as far as they could be read, in its order.
#[derive(Default)]
pub(super) struct PlanTexts {
    plans: Vec<PlanText>,
    index: Index<String>,
}

impl PlanTexts {
    /// A plan by its key.
    pub(super) fn find(&self, key: &str) -> Option<&PlanText> {
        self.index.get(key).and_then(|index| self.plans.get(*index as usize))
    }

    /// The keys of all plans.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.plans.iter().map(|plan| plan.key.as_str())
    }

    /// The plan of a key, which may be new.
    fn entry(&mut self, key: String) -> Option<&mut PlanText> {
        let next = u32::try_from(self.plans.len()).ok()?;
        let index = *self.index.entry(key.clone()).or_insert(next);
        if index == next {
            self.plans.push(PlanText { key, ..PlanText::default() });
        }
        self.plans.get_mut(index as usize)
    }
}

/// The fields of a plan version.
pub(super) const FIELDS: [&str; 5] = ["key", "version", "effective_from", "currency", "charges"];

/// Frozen: states remember the digests of plan versions.
pub(super) const PLAN_DIGEST_SEED: u64 = 0;

/// Reads all plan versions and groups them by key.
pub(super) fn read_plans(reader: &mut Reader<'_, '_>, values: &[Value<'_>]) -> PlanTexts {
    let mut plans = PlanTexts::default();
    for value in values {
        read_version(reader, *value, &mut plans);
    }
    for plan in &plans.plans {
        // A plan without a currency will be refused; its other faults do not depend on it.
        let currency = plan.currency.or_else(|| Currency::parse("USD"));
        let Some(currency) = currency.filter(|_| !plan.versions.is_empty()) else { continue };
        let index = u32::try_from(reader.catalog.plans.len()).unwrap_or(u32::MAX);
        reader.catalog.plan_index.insert(plan.key.clone(), index);
        let mut read = Plan::new(plan.key.clone(), currency, plan.versions.clone());
        read.misses_versions = plan.misses_versions;
        Arc::make_mut(&mut reader.catalog.plans).push(read);
    }
    plans
}

fn read_version(reader: &mut Reader<'_, '_>, value: Value<'_>, plans: &mut PlanTexts) {
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
    let Some(plan) = key.and_then(|key| plans.entry(key)) else { return };
    plan.charge_keys.extend(charge_keys);
    refuse_other_positions(reader, plan, &charges);
    let charges = charges.into_iter().map(|(text, _)| text.charge).collect();
    if let (Some(first), Some(own)) = (plan.currency, currency)
        && first != own
    {
        let message = format!("plan \"{}\" changes its currency from {first} to {own}", plan.key);
        reader.faults.add(fields.get("currency").unwrap_or(value), message);
    }
    plan.currency = plan.currency.or(currency);
    let digest = ContentDigest::new(PLAN_DIGEST_SEED).of(value);
    let version = version.zip(from).map(|(version, effective_from)| PlanVersion {
        version,
        effective_from,
        charges,
        digest,
    });
    match version.filter(|version| takes_its_place(reader, plan, version, &fields)) {
        Some(version) => plan.versions.push(version),
        None => plan.misses_versions = true,
    }
}

/// Holds a version against those that were read before it: numbers are not given twice, and the
/// later number has the later date.
fn takes_its_place(
    reader: &mut Reader<'_, '_>,
    plan: &PlanText,
    own: &PlanVersion,
    fields: &Fields<'_>,
) -> bool {
    let PlanVersion { version, effective_from: from, .. } = own;
    let key = &plan.key;
    let others = || plan.versions.iter();
    if others().any(|other| other.version == *version) {
        let message = format!("version {version} of plan \"{key}\" stands twice");
        reader.faults.add(fields.value(), message);
        return false;
    }
    let before = others().filter(|other| other.version < *version).max_by_key(|it| it.version);
    let behind = others().filter(|other| other.version > *version).min_by_key(|it| it.version);
    let message = if let Some(same) = others().find(|other| other.effective_from == *from) {
        let versions = format!("versions {} and {version} of plan \"{key}\"", same.version);
        Some(format!("{versions} overlap: both take effect on {from}"))
    } else if let Some(before) = before.filter(|before| before.effective_from > *from) {
        Some(misdated(own, "before", before))
    } else {
        let behind = behind.filter(|behind| behind.effective_from < *from);
        behind.map(|behind| misdated(own, "after", behind))
    };
    if let Some(message) = message {
        let at = fields.get("effective_from").unwrap_or_else(|| fields.value());
        reader.faults.add(at, message);
    }
    true
}

fn misdated(own: &PlanVersion, side: &str, other: &PlanVersion) -> String {
    let PlanVersion { version, effective_from, .. } = own;
    let (number, date) = (other.version, other.effective_from);
    format!(
        "version {version} takes effect on {effective_from}, {side} version {number} on {date}; \
         of two versions, the later has the greater number"
    )
}

/// A charge as far as it was read, and where it stands.
type Placed<'a> = (ChargeText, Value<'a>);

/// A position that goes on from version to version is counted by one meter, over one scope.
fn refuse_other_positions(
    reader: &mut Reader<'_, '_>,
    plan: &mut PlanText,
    charges: &[Placed<'_>],
) {
    for (ChargeText { charge, scope }, at) in charges {
        let key = &charge.key;
        let earlier = plan.fixed.get(key).copied().unwrap_or_default();
        if earlier.meter.is_some() && charge.meter.is_some() && earlier.meter != charge.meter {
            let message = format!("charge \"{key}\" changes its meter; give it another key");
            reader.faults.add(at.get("meter").unwrap_or(*at), message);
        }
        if let Some((from, to)) = earlier.scope.zip(*scope).filter(|(from, to)| from != to) {
            let (from, to) = (name_of(from), name_of(to));
            let text = format!("charge \"{key}\" changes its scope from {from} to {to}");
            let message = format!("{text}; give it another key");
            reader.faults.add(at.get("scope").unwrap_or(*at), message);
        }
    }
    // Of two charges of one key in this version, one is a fault; it says nothing of the other.
    for (ChargeText { charge, scope }, _) in charges {
        let fixed = plan.fixed.entry_ref(charge.key.as_str()).or_default();
        fixed.meter = fixed.meter.or(charge.meter);
        fixed.scope = fixed.scope.or(*scope);
    }
}

fn name_of(scope: Scope) -> &'static str {
    let found = Scope::NAMES.into_iter().find(|(_, known)| *known == scope);
    found.map_or("", |(name, _)| name)
}

/// The charges that could be read, and the keys of all. There may be many thousand.
fn read_charges<'a>(
    reader: &mut Reader<'_, '_>,
    fields: &Fields<'a>,
) -> (Vec<Placed<'a>>, BTreeSet<String>) {
    let (mut charges, mut keys) = (Vec::new(), BTreeSet::new());
    for value in fields.list("charges", reader.faults) {
        if let Some(key) = value.get("key").and_then(|key| key.as_text()) {
            if keys.contains(&*key) {
                let message = format!("charge \"{key}\" stands twice in this version");
                reader.faults.add(value, message);
            }
            keys.insert(key.into_owned());
        }
        charges.extend(read_charge(reader, value).map(|text| (text, value)));
    }
    (charges, keys)
}
