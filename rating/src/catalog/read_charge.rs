//! Reads a charge and its price.

use super::MeterId;
use super::read::Reader;
use crate::aggregation::Aggregation;
use crate::charge::{Charge, Filter, Prorated};
use crate::fault::{
    Faults, Fields, did_you_mean, read_bool, read_name, read_price, read_quantity, read_text,
};
use crate::json::{Kind, Value};
use crate::money::Price;
use crate::price::{PriceModel, Tier, TierRate, Tiers, TiersError};
use crate::quantity::Quantity;
use crate::scope::Scope;

const KNOWN: [&str; 17] = [
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

pub(super) fn read_charge(reader: &mut Reader<'_, '_>, value: Value<'_>) -> Option<Charge> {
    let fields = Fields::open(value, &KNOWN, reader.faults)?;
    let key = reader.identifier(&fields, "key");
    refuse_unsupported(&fields, reader.faults);
    let model = fields.required("price", reader.faults).and_then(|v| read_model(v, reader.faults));
    let meter = read_meter(reader, &fields);
    if model.as_ref().is_some_and(PriceModel::needs_meter) && fields.get("meter").is_none() {
        reader.faults.add(value, "the charge has no meter; only a flat price needs none");
    }
    let filter = read_filter(reader, &fields, meter);
    let included = fields.optional("included", reader.faults, not_negative(read_quantity));
    let minimum = fields.optional("minimum", reader.faults, not_negative(read_price));
    let maximum = fields.optional("maximum", reader.faults, not_negative(read_price));
    let included = included.unwrap_or_default();
    let aggregation = meter
        .and_then(|id| reader.catalog.meter(id))
        .map_or(Aggregation::Sum, |meter| meter.aggregation);
    Some(Charge {
        key: key?,
        meter,
        aggregation,
        filter,
        scope: Scope::BillingPeriod,
        unit: None,
        included,
        model: model?,
        discount_percent: Price::ZERO,
        minimum,
        maximum,
        prorated: Prorated::default(),
    })
}

/// Fields that have their place in the format but are not rated yet must not be ignored.
fn refuse_unsupported(fields: &Fields<'_>, faults: &mut Faults<'_>) {
    for name in ["rollover", "pool", "unit", "discount_percent", "commitment"] {
        if let Some(value) = fields.get(name) {
            faults.add(value, format!("\"{name}\" is not supported yet"));
        }
    }
    for name in ["prorate_included", "prorate_minimum", "prorate_flat", "prorate_commitment"] {
        if let Some(value) = fields.get(name)
            && read_bool(value, faults) == Some(true)
        {
            faults.add(value, format!("\"{name}\" is not supported yet"));
        }
    }
    let scopes = [
        ("billing_period", true),
        ("day", false),
        ("calendar_month", false),
        ("year", false),
        ("term", false),
    ];
    if let Some(value) = fields.get("scope")
        && read_name(value, &scopes, faults) == Some(false)
    {
        faults.add(value, format!("the scope \"{}\" is not supported yet", value.raw()));
    }
}

fn read_meter(reader: &mut Reader<'_, '_>, fields: &Fields<'_>) -> Option<MeterId> {
    let value = fields.get("meter")?;
    let key = read_text(value, reader.faults)?;
    let found = reader.catalog.meters.iter().position(|meter| meter.key == key);
    // A meter that is there but faulty is reported at its own place.
    if found.is_none() && !reader.meter_keys.iter().any(|known| *known == key) {
        let hint = did_you_mean(&key, reader.meter_keys.iter().map(String::as_str));
        reader.faults.add(value, format!("\"{key}\" is not a meter of this catalog{hint}"));
    }
    found.and_then(|index| u32::try_from(index).ok()).map(MeterId)
}

fn read_filter(reader: &mut Reader<'_, '_>, fields: &Fields<'_>, meter: Option<MeterId>) -> Filter {
    let Some(value) = fields.get("filter") else { return Filter::new() };
    if value.kind() != Kind::Object {
        reader.faults.add(value, "\"filter\" must be an object of dimensions and lists of values");
    }
    let known: Option<Vec<String>> = meter
        .and_then(|id| reader.catalog.meter(id))
        .map(|meter| meter.group_by.iter().map(|(name, _)| name.clone()).collect());
    let mut filter = Filter::new();
    for (name, list) in value.members() {
        let dimension = name.as_text().unwrap_or_default().into_owned();
        if let Some(known) = &known
            && !known.contains(&dimension)
        {
            let hint = did_you_mean(&dimension, known.iter().map(String::as_str));
            let message = format!("the meter does not group by \"{dimension}\"{hint}");
            reader.faults.add(name, message);
        }
        if list.kind() != Kind::Array || list.elements().next().is_none() {
            reader.faults.add(list, "the values of a filter must be a list that is not empty");
        }
        let values = list.elements().filter_map(|v| read_text(v, reader.faults));
        filter.push((dimension, values.map(String::from).collect()));
    }
    filter
}

#[derive(Clone, Copy)]
enum ModelName {
    PerUnit,
    Package,
    Graduated,
    Volume,
    Stairstep,
    Flat,
    Later,
}

const MODELS: [(&str, ModelName); 10] = [
    ("per_unit", ModelName::PerUnit),
    ("package", ModelName::Package),
    ("graduated", ModelName::Graduated),
    ("volume", ModelName::Volume),
    ("stairstep", ModelName::Stairstep),
    ("flat", ModelName::Flat),
    ("percentage", ModelName::Later),
    ("graduated_percentage", ModelName::Later),
    ("multiplier", ModelName::Later),
    ("matrix", ModelName::Later),
];

/// Reads the `price` of a charge or of an override.
pub(super) fn read_model(value: Value<'_>, faults: &mut Faults<'_>) -> Option<PriceModel> {
    if value.kind() != Kind::Object {
        faults.add(value, format!("a price must be an object, not {}", value.kind().name()));
        return None;
    }
    let Some(name) = value.get("model").filter(|name| !name.is_null()) else {
        faults.add(value, "the field \"model\" is missing");
        return None;
    };
    let model = read_name(name, &MODELS, faults)?;
    let known: &[&str] = match model {
        ModelName::PerUnit => &["model", "unit_price"],
        ModelName::Package => &["model", "package_size", "package_price"],
        ModelName::Graduated | ModelName::Volume | ModelName::Stairstep => {
            &["model", "tiers", "flat_price_at_zero"]
        }
        ModelName::Flat => &["model", "amount"],
        ModelName::Later => {
            faults.add(name, format!("the price model \"{}\" is not supported yet", name.raw()));
            return None;
        }
    };
    let fields = Fields::open(value, known, faults)?;
    match model {
        ModelName::PerUnit => {
            let unit_price = required_price(&fields, "unit_price", faults)?;
            Some(PriceModel::PerUnit { unit_price })
        }
        ModelName::Package => {
            let package_size = required_size(&fields, "package_size", faults);
            let package_price = required_price(&fields, "package_price", faults);
            Some(PriceModel::Package { package_size: package_size?, package_price: package_price? })
        }
        ModelName::Graduated => read_tiers(&fields, true, faults).map(PriceModel::Graduated),
        ModelName::Volume => read_tiers(&fields, true, faults).map(PriceModel::Volume),
        ModelName::Stairstep => read_tiers(&fields, false, faults).map(PriceModel::Stairstep),
        ModelName::Flat => {
            let amount = required_price(&fields, "amount", faults)?;
            Some(PriceModel::Flat { amount })
        }
        ModelName::Later => None,
    }
}

fn read_tiers(fields: &Fields<'_>, with_units: bool, faults: &mut Faults<'_>) -> Option<Tiers> {
    let at_zero = fields.optional("flat_price_at_zero", faults, read_bool).unwrap_or(false);
    let list = fields.required("tiers", faults)?;
    if list.kind() != Kind::Array {
        faults.add(list, "\"tiers\" must be a list");
        return None;
    }
    let values: Vec<Value<'_>> = list.elements().collect();
    let read: Vec<TierText> =
        values.iter().map(|value| read_tier(*value, with_units, faults)).collect();
    // The order of bounds is looked at also where a price is wrong, but not where a bound is.
    if read.iter().any(|text| text.bound_is_wrong) {
        return None;
    }
    let tiers: Vec<Tier> = read.iter().map(|text| text.tier).collect();
    match Tiers::new(&tiers, at_zero) {
        Ok(tiers) => Some(tiers).filter(|_| !read.iter().any(|text| text.price_is_wrong)),
        Err(error) => {
            let index = match error {
                TiersError::Empty => None,
                TiersError::NotRising(index)
                | TiersError::OpenBeforeLast(index)
                | TiersError::LastHasEnd(index)
                | TiersError::Overflow(index) => values.get(index),
            };
            let at = index.map_or(list, |tier| tier.get("up_to").unwrap_or(*tier));
            faults.add(at, error.to_string());
            None
        }
    }
}

/// A tier as far as it could be read; what could not is free.
struct TierText {
    tier: Tier,
    bound_is_wrong: bool,
    price_is_wrong: bool,
}

fn read_tier(value: Value<'_>, with_units: bool, faults: &mut Faults<'_>) -> TierText {
    let known: &[&str] = if with_units {
        &["up_to", "unit_price", "flat_price", "block_size", "block_price"]
    } else {
        &["up_to", "flat_price"]
    };
    let Some(fields) = Fields::open(value, known, faults) else {
        let tier = Tier { up_to: None, rate: FREE, flat_price: Price::ZERO };
        return TierText { tier, bound_is_wrong: true, price_is_wrong: true };
    };
    if value.get("up_to").is_none() {
        faults.add(value, "the field \"up_to\" is missing; the last tier's is null");
    }
    let up_to = fields.optional("up_to", faults, not_negative(read_quantity));
    let bound_is_stated = fields.get("up_to").is_some();
    let flat_price = fields.optional("flat_price", faults, not_negative(read_price));
    let flat_is_stated = fields.get("flat_price").is_some();
    let rate = if with_units { read_tier_rate(&fields, faults) } else { Some(FREE) };
    if !with_units && !flat_is_stated {
        faults.add(value, "the field \"flat_price\" is missing");
    }
    TierText {
        bound_is_wrong: value.get("up_to").is_none() || bound_is_stated != up_to.is_some(),
        price_is_wrong: rate.is_none() || flat_is_stated != flat_price.is_some(),
        tier: Tier {
            up_to,
            rate: rate.unwrap_or(FREE),
            flat_price: flat_price.unwrap_or_default(),
        },
    }
}

const FREE: TierRate = TierRate::Unit(Price::ZERO);

fn read_tier_rate(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<TierRate> {
    let (unit, block) = (fields.get("unit_price"), fields.get("block_size"));
    match (unit, block.or_else(|| fields.get("block_price"))) {
        (Some(unit), None) => not_negative(read_price)(unit, faults).map(TierRate::Unit),
        (None, Some(_)) => {
            let size = required_size(fields, "block_size", faults);
            let price = required_price(fields, "block_price", faults);
            Some(TierRate::Block { size: size?, price: price? })
        }
        (None, None) if fields.get("flat_price").is_some() => Some(FREE),
        (None, None) => {
            faults.add(fields.value(), "the tier has no price: \"unit_price\" is missing");
            None
        }
        (Some(_), Some(block)) => {
            faults.add(block, "a tier is priced by unit or by block, not by both");
            None
        }
    }
}

fn required_price(fields: &Fields<'_>, name: &str, faults: &mut Faults<'_>) -> Option<Price> {
    fields.required(name, faults).and_then(|value| not_negative(read_price)(value, faults))
}

fn required_size(fields: &Fields<'_>, name: &str, faults: &mut Faults<'_>) -> Option<Quantity> {
    let value = fields.required(name, faults)?;
    let size = not_negative(read_quantity)(value, faults)?;
    if size == Quantity::ZERO {
        faults.add(value, format!("\"{name}\" must be above 0"));
        return None;
    }
    Some(size)
}

/// Reads with `read` and refuses what is below zero.
pub(super) fn not_negative<'a, T: Default + PartialOrd>(
    read: impl Fn(Value<'a>, &mut Faults<'_>) -> Option<T>,
) -> impl Fn(Value<'a>, &mut Faults<'_>) -> Option<T> {
    move |value, faults| {
        let number = read(value, faults)?;
        if number < T::default() {
            faults.add(value, "must not be below 0");
            return None;
        }
        Some(number)
    }
}
