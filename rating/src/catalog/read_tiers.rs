//! Reads tiers.

use super::bounds::{above_zero, not_negative};
use crate::fault::{Faults, Fields, read_bool, read_price, read_quantity};
use crate::json::{Kind, Value};
use crate::money::Price;
use crate::price::{Tier, TierRate, Tiers, TiersError};
use crate::quantity::Quantity;

/// What the units in a tier are priced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TierForm {
    /// Units or blocks of them.
    Units,
    /// A share of the value.
    Rates,
    /// Nothing but the flat price.
    FlatOnly,
}

impl TierForm {
    /// The fields of a tier.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Units => &["up_to", "unit_price", "flat_price", "block_size", "block_price"],
            Self::Rates => &["up_to", "rate", "flat_price"],
            Self::FlatOnly => &["up_to", "flat_price"],
        }
    }
}

pub(super) fn read_tiers(
    fields: &Fields<'_>,
    form: TierForm,
    faults: &mut Faults<'_>,
) -> Option<Tiers> {
    let at_zero = fields.optional("flat_price_at_zero", faults, read_bool).unwrap_or(false);
    let list = fields.required("tiers", faults)?;
    if list.kind() != Kind::Array {
        faults.add(list, "\"tiers\" must be a list");
        return None;
    }
    let values: Vec<Value<'_>> = list.elements().collect();
    let read: Vec<TierText> = values.iter().map(|value| read_tier(*value, form, faults)).collect();
    let mut add = |error: TiersError| {
        let at = place_of(error).and_then(|index| values.get(index));
        let at = at.map_or(list, |tier| tier.get("up_to").unwrap_or(*tier));
        faults.add(at, error.to_string());
    };
    let disorder = disorder(&read);
    let is_in_order = disorder.is_empty() && !read.iter().any(|text| text.bound_is_wrong);
    disorder.into_iter().for_each(&mut add);
    if !is_in_order {
        return None;
    }
    let tiers: Vec<Tier> = read.iter().map(|text| text.tier).collect();
    let tiers = Tiers::new(&tiers, at_zero).map_err(add).ok();
    tiers.filter(|_| !read.iter().any(|text| text.price_is_wrong))
}

/// Every bound that does not stand where it must. A bound that could not be read says nothing; one
/// that does not rise is held against the one before it alone.
fn disorder(tiers: &[TierText]) -> Vec<TiersError> {
    let last = tiers.len().saturating_sub(1);
    let mut lower = Quantity::ZERO;
    let mut found = Vec::new();
    for (index, text) in tiers.iter().enumerate().filter(|(_, text)| !text.bound_is_wrong) {
        match text.tier.up_to {
            None if index < last => found.push(TiersError::OpenBeforeLast(index)),
            None => {}
            Some(_) if index == last => found.push(TiersError::LastHasEnd(index)),
            Some(up_to) => {
                if up_to <= lower {
                    found.push(TiersError::NotRising(index));
                }
                lower = up_to;
            }
        }
    }
    found
}

/// The tier that an error is about.
const fn place_of(error: TiersError) -> Option<usize> {
    match error {
        TiersError::Empty => None,
        TiersError::NotRising(index)
        | TiersError::OpenBeforeLast(index)
        | TiersError::LastHasEnd(index)
        | TiersError::Overflow(index) => Some(index),
    }
}

/// A tier as far as it could be read; what could not is free.
struct TierText {
    tier: Tier,
    bound_is_wrong: bool,
    price_is_wrong: bool,
}

fn read_tier(value: Value<'_>, form: TierForm, faults: &mut Faults<'_>) -> TierText {
    let Some(fields) = Fields::open(value, form.fields(), faults) else {
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
    let rate = match form {
        TierForm::Units => read_unit_price(&fields, faults),
        TierForm::Rates => read_rate(&fields, faults),
        TierForm::FlatOnly => Some(FREE),
    };
    if form == TierForm::FlatOnly && !flat_is_stated {
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

fn read_unit_price(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<TierRate> {
    let (unit, block) = (fields.get("unit_price"), fields.get("block_size"));
    match (unit, block.or_else(|| fields.get("block_price"))) {
        (Some(unit), None) => not_negative(read_price)(unit, faults).map(TierRate::Unit),
        (None, Some(_)) => {
            let size = fields.required("block_size", faults);
            let size = size.and_then(|value| above_zero(read_quantity)(value, faults));
            let price = fields.required("block_price", faults);
            let price = price.and_then(|value| not_negative(read_price)(value, faults));
            Some(TierRate::Block { size: size?, price: price? })
        }
        (None, None) if fields.get("flat_price").is_some() => Some(FREE),
        (None, None) => {
            faults.add(fields.value(), "the tier has no price: \"unit_price\" is missing");
            None
        }
        (Some(unit), Some(block)) => {
            faults.add(block, "a tier is priced by unit or by block, not by both");
            // What is wrong with any of them is said, too.
            not_negative(read_price)(unit, faults);
            fields.optional("block_size", faults, above_zero(read_quantity));
            fields.optional("block_price", faults, not_negative(read_price));
            None
        }
    }
}

fn read_rate(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<TierRate> {
    match (fields.get("rate"), fields.get("flat_price")) {
        (Some(rate), _) => not_negative(read_price)(rate, faults).map(TierRate::Unit),
        (None, Some(_)) => Some(FREE),
        (None, None) => {
            faults.add(fields.value(), "the tier has no price: \"rate\" is missing");
            None
        }
    }
}
