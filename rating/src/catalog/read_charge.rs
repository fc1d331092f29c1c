//! Reads charges, and the fields of them that overrides replace.

use super::MeterId;
use super::bounds::{above_zero, not_negative, read_percent};
use super::conflict::conflicts;
use super::dimensions::{Dimensions, check_dimension, read_dimension_value};
use super::read::Reader;
use super::read_price::{UNREAD, read_model};
use crate::aggregation::Aggregation;
use crate::charge::{Charge, Filter, Prorated};
use crate::fault::{
    Faults, Fields, did_you_mean, read_bool, read_name, read_price, read_quantity, read_text,
};
use crate::json::{Kind, Value};
use crate::money::Price;
use crate::plan::Changes;
use crate::price::PriceModel;
use crate::quantity::Quantity;
use crate::scope::Scope;
use crate::unit::{Unit, UnitRounding};
use std::sync::Arc;

/// The fields of a charge.
pub(super) const FIELDS: [&str; 17] = [
    "key",
    "meter",
    "filter",
    "included",
    "price",
    "minimum",
    "maximum",
    "scope",
    "rollover",
    "pool",
    "unit",
    "discount_percent",
    "commitment",
    "prorate_included",
    "prorate_minimum",
    "prorate_flat",
    "prorate_commitment",
];

/// The fields of a unit.
pub(super) const UNIT_FIELDS: [&str; 2] = ["divide_by", "rounding"];

/// A charge as far as it could be read; what could not is as where it is not stated.
pub(super) struct ChargeText {
    pub(super) charge: Arc<Charge>,
    /// Its scope, if that could be read.
    pub(super) scope: Option<Scope>,
}

pub(super) fn read_charge(reader: &mut Reader<'_, '_>, value: Value<'_>) -> Option<ChargeText> {
    let fields = Fields::open(value, &FIELDS, reader.faults)?;
    let key = reader.identifier(&fields, "key");
    let meter = read_meter(reader, &fields);
    let scope = match fields.get("scope") {
        None => Some(Scope::default()),
        Some(value) => read_name(value, &Scope::NAMES, reader.faults),
    };
    fields.required("price", reader.faults);
    let known = meter.and_then(|id| reader.catalog.meter(id));
    let dimensions = known.map(|meter| meter.group_by.as_slice());
    let mut changes = read_changes(&fields, dimensions, reader.faults);
    let model = changes.model.take();
    if model.as_ref().is_some_and(PriceModel::needs_meter) && fields.get("meter").is_none() {
        reader.faults.add(value, "the charge has no meter; only a flat price needs none");
    }
    let mut charge = Charge {
        key: key.clone().unwrap_or_default(),
        meter,
        aggregation: known.map_or(Aggregation::Sum, |meter| meter.aggregation),
        filter: Filter::new(),
        scope: scope.unwrap_or_default(),
        unit: None,
        included: Quantity::ZERO,
        model: model.unwrap_or(UNREAD),
        discount_percent: Price::ZERO,
        minimum: None,
        maximum: None,
        prorated: Prorated::default(),
    };
    changes.apply(&mut charge);
    for conflict in conflicts(&charge) {
        let at = conflict.fields.iter().find_map(|name| fields.get(name));
        reader.faults.add(at.unwrap_or(value), conflict.message);
    }
    key.map(|_| ChargeText { charge: Arc::new(charge), scope })
}

/// Reads all fields of a charge that an override may replace, as far as they are stated. In both a
/// charge and an override, null is what the field is where no charge states it.
pub(super) fn read_changes(
    fields: &Fields<'_>,
    dimensions: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> Changes {
    refuse_unsupported(fields, faults);
    let mut reader = ChangesReader { fields, faults };
    Changes {
        filter: reader.stated("filter", |v, f| read_filter(v, dimensions, f)),
        unit: reader.stated("unit", |v, f| read_unit(v, f).map(Some)),
        included: reader.stated("included", not_negative(read_quantity)),
        model: fields.optional("price", reader.faults, |v, f| Some(read_model(v, dimensions, f))),
        discount_percent: reader.stated("discount_percent", read_percent),
        minimum: reader.stated("minimum", |v, f| not_negative(read_price)(v, f).map(Some)),
        maximum: reader.stated("maximum", |v, f| not_negative(read_price)(v, f).map(Some)),
        prorate_included: reader.stated("prorate_included", read_bool),
        prorate_minimum: reader.stated("prorate_minimum", read_bool),
        prorate_flat: reader.stated("prorate_flat", read_bool),
    }
}

struct ChangesReader<'r, 'a, 't> {
    fields: &'r Fields<'a>,
    faults: &'r mut Faults<'t>,
}

impl<'a> ChangesReader<'_, 'a, '_> {
    fn stated<T: Default>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value<'a>, &mut Faults<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.fields.value().get(name)?;
        if value.is_null() { Some(T::default()) } else { read(value, self.faults) }
    }
}

/// Fields that have their place in the format but are not rated yet must not be ignored.
fn refuse_unsupported(fields: &Fields<'_>, faults: &mut Faults<'_>) {
    for name in ["rollover", "pool", "commitment"] {
        if let Some(value) = fields.get(name) {
            faults.add(value, format!("\"{name}\" is not supported yet"));
        }
    }
    if let Some(value) = fields.get("prorate_commitment")
        && read_bool(value, faults) == Some(true)
    {
        faults.add(value, "\"prorate_commitment\" is not supported yet");
    }
}

fn read_meter(reader: &mut Reader<'_, '_>, fields: &Fields<'_>) -> Option<MeterId> {
    let value = fields.get("meter")?;
    let key = read_text(value, reader.faults)?;
    // A meter that is there but faulty is reported at its own place.
    let found = reader.meters.get(&*key);
    if found.is_none() {
        let known = reader.searched.next(reader.meters.keys().map(String::as_str));
        let hint = did_you_mean(&key, known);
        reader.faults.add(value, format!("\"{key}\" is not a meter of this catalog{hint}"));
    }
    found.copied().flatten()
}

fn read_filter(
    value: Value<'_>,
    dimensions: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> Option<Filter> {
    if value.kind() != Kind::Object {
        faults.add(value, "\"filter\" must be an object of dimensions and lists of values");
        return None;
    }
    let mut filter = Filter::new();
    for (name, list) in value.members() {
        check_dimension(name, dimensions, faults);
        if list.kind() != Kind::Array || list.elements().next().is_none() {
            faults.add(list, "the values of a filter must be a list that is not empty");
        }
        let values = list.elements().filter_map(|value| read_dimension_value(value, faults));
        let dimension = name.as_text().unwrap_or_default().into_owned();
        filter.push((dimension, values.collect()));
    }
    Some(filter)
}

fn read_unit(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Unit> {
    let fields = Fields::open(value, &UNIT_FIELDS, faults)?;
    let divide_by = fields.required("divide_by", faults);
    let divide_by = divide_by.and_then(|value| above_zero(read_price)(value, faults));
    let rounding =
        fields.optional("rounding", faults, |v, f| read_name(v, &UnitRounding::NAMES, f));
    Some(Unit { divide_by: divide_by?, rounding: rounding.unwrap_or(UnitRounding::None) })
}
