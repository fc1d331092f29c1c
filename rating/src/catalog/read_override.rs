//! Reads what subscriptions override of the charges of their plan.

use super::MeterId;
use super::conflict::conflicts;
use super::read::Reader;
use super::read_charge::{self, read_changes};
use super::read_plan::PLAN_DIGEST_SEED;
use super::read_plan::PlanText;
use crate::content::ContentDigest;
use crate::fault::{Fields, did_you_mean, read_instant};
use crate::json::{Kind, Value};
use crate::plan::Override;

/// Fields of a charge that say what it is, not how it is priced.
const FIXED: [&str; 3] = ["key", "meter", "scope"];

/// The field of an override beside those of a charge.
pub(super) const EFFECTIVE_FROM: &str = "effective_from";

/// The fields that an override may state.
pub(super) fn fields() -> Vec<&'static str> {
    let replaced = read_charge::FIELDS.into_iter().filter(|name| !FIXED.contains(name));
    std::iter::once(EFFECTIVE_FROM).chain(replaced).collect()
}

/// An override and where it stands.
type Placed<'a> = (Override, Value<'a>);

impl Reader<'_, '_> {
    /// Reads the overrides of a subscription to a plan, or to one that is not known.
    pub(super) fn overrides(
        &mut self,
        value: Value<'_>,
        plan: Option<&PlanText>,
    ) -> Vec<(String, Vec<Override>)> {
        if value.kind() != Kind::Object {
            self.faults.add(value, "\"overrides\" must be an object of charges and lists");
        }
        let mut overrides = Vec::new();
        for (name, list) in value.members() {
            let charge = name.as_text().unwrap_or_default().into_owned();
            if let Some(plan) = plan
                && !plan.charge_keys.contains(&charge)
            {
                let hint = did_you_mean(&charge, plan.charge_keys.iter().map(String::as_str));
                let message =
                    format!("\"{charge}\" is not a charge of plan \"{}\"{hint}", plan.key);
                self.faults.add(name, message);
            }
            let changes = self.overrides_of(list, &charge, plan);
            overrides.push((charge, changes));
        }
        overrides
    }

    fn overrides_of(
        &mut self,
        list: Value<'_>,
        charge: &str,
        plan: Option<&PlanText>,
    ) -> Vec<Override> {
        if list.kind() != Kind::Array {
            self.faults.add(list, "the overrides of a charge must be a list");
        }
        let meter = plan.and_then(|plan| plan.meter_of(charge));
        let read =
            list.elements().filter_map(|value| Some((self.read_override(value, meter)?, value)));
        let mut placed: Vec<Placed<'_>> = read.collect();
        placed.sort_by_key(|(change, _)| change.effective_from);
        for pair in placed.windows(2) {
            if let [(earlier, _), (later, at)] = pair
                && earlier.effective_from == later.effective_from
            {
                let from = later.effective_from;
                let message = format!("two overrides of \"{charge}\" take effect on {from}");
                self.faults.add(at.get(EFFECTIVE_FROM).unwrap_or(*at), message);
            }
        }
        let changes: Vec<Override> = placed.iter().map(|(change, _)| change.clone()).collect();
        if let Some(plan) = plan {
            self.check_overridden(plan, (charge, &changes), &placed);
        }
        changes
    }

    fn read_override(&mut self, value: Value<'_>, meter: Option<MeterId>) -> Option<Override> {
        let known = [&fields()[..], &FIXED].concat();
        let fields = Fields::open(value, &known, self.faults)?;
        for (name, _) in value.members() {
            if let Some(fixed) = FIXED.into_iter().find(|fixed| name.is(fixed)) {
                let text = "may not be overridden: it stays what the plan says";
                self.faults.add(name, format!("\"{fixed}\" {text}"));
            }
        }
        let from = fields.required(EFFECTIVE_FROM, self.faults);
        let from = from.and_then(|value| read_instant(value, self.faults));
        if let Some(price) = value.get("price").filter(Value::is_null) {
            self.faults.add(price, "a charge cannot be without a price");
        }
        let dimensions = meter.and_then(|id| self.catalog.meter(id));
        let dimensions = dimensions.map(|meter| meter.group_by.as_slice());
        let changes = read_changes(&fields, dimensions, self.faults);
        let digest = ContentDigest::new(PLAN_DIGEST_SEED).of(value);
        Some(Override { effective_from: from?, changes, digest })
    }

    /// Looks for what an override makes of a charge, under every version of the plan.
    fn check_overridden(
        &mut self,
        plan: &PlanText,
        (charge, changes): (&str, &[Override]),
        placed: &[Placed<'_>],
    ) {
        let Some(plan) = self.catalog.plan(&plan.key) else { return };
        for terms in plan.timeline_with(charge, changes).terms {
            let (Some(from), Some(charge)) = (terms.override_from, &terms.charge) else { continue };
            let Some((_, at)) = placed.iter().find(|(change, _)| change.effective_from == from)
            else {
                continue;
            };
            let version = plan.version_at(terms.from);
            let plain = version
                .and_then(|version| version.charges.iter().find(|plain| plain.key == charge.key));
            // What is wrong with the plan itself is said there.
            let known = plain.map_or_else(Vec::new, |plain| conflicts(plain));
            for conflict in conflicts(charge) {
                if !known.iter().any(|known| known.message == conflict.message) {
                    let place = conflict.fields.iter().find_map(|name| at.get(name));
                    self.faults.add(place.unwrap_or(*at), conflict.message);
                }
            }
            let was_flat = plain.is_some_and(|plain| !plain.model.needs_meter());
            if was_flat && charge.meter.is_none() && charge.model.needs_meter() {
                let message = "the charge has no meter; only a flat price needs none";
                self.faults.add(at.get("price").unwrap_or(*at), message);
            }
        }
    }
}
