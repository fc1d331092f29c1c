//! The schemas of prices: one for each model, and of them those that a cell may have.

use crate::catalog::read_matrix::CELL_FIELDS;
use crate::catalog::read_price::{FREE_RECORDS_MAX, MODELS, ModelName};
use crate::catalog::read_tiers::TierForm;
use crate::money::Price;
use crate::schema::{Node, Object, Schema, boolean, decimal, forms, list, map, text, whole};

/// All models, the choices between them, and what they consist of.
pub(super) fn definitions() -> Vec<(&'static str, Schema)> {
    let models = MODELS.iter().map(|(name, _)| *name);
    let of_cells = models.clone().filter(|name| *name != MATRIX);
    let mut definitions = vec![
        ("price_model", Schema::any_of(models.map(Schema::reference))),
        ("cell_price", Schema::any_of(of_cells.map(Schema::reference))),
    ];
    definitions.extend(MODELS.iter().map(|(name, model)| (*name, schema_of(name, *model))));
    definitions.extend([
        ("tier", tier(TierForm::Units)),
        ("rate_tier", tier(TierForm::Rates)),
        ("flat_tier", tier(TierForm::FlatOnly)),
        ("cell", cell()),
    ]);
    definitions
}

const MATRIX: &str = "matrix";

fn amount() -> Schema {
    Schema::reference("price_not_negative")
}

/// What one model's price is, for people.
const fn told(model: ModelName) -> &'static str {
    match model {
        ModelName::PerUnit => "Every unit at one price",
        ModelName::Package => "Whole packages; one begun is paid in full",
        ModelName::Graduated => "Every unit at the price of the tier that it falls in",
        ModelName::Volume => "All units at the price of the tier that the quantity ends in",
        ModelName::Stairstep => "The flat price of the tier that the quantity ends in",
        ModelName::Percentage => {
            "A share of each record's value, plus a fixed price, within bounds"
        }
        ModelName::GraduatedPercentage => "Every part of the value at the rate of its tier",
        ModelName::Multiplier => "The value, which is money already, times a factor",
        ModelName::Matrix => "A price for every combination of dimensions; the first match counts",
        ModelName::Flat => "An amount once a period, used or not",
    }
}

fn schema_of(name: &str, model: ModelName) -> Schema {
    let price = Object::of(model.fields()).must("model", Schema::exactly(name));
    let price = match model {
        ModelName::PerUnit => price.must("unit_price", amount()),
        ModelName::Package => price
            .must("package_size", Schema::reference("quantity_positive"))
            .must("package_price", amount()),
        ModelName::Graduated | ModelName::Volume => tiered(price, "tier"),
        ModelName::GraduatedPercentage => tiered(price, "rate_tier"),
        ModelName::Stairstep => tiered(price, "flat_tier"),
        ModelName::Percentage => price
            .must("rate", amount().described("A fraction: 0.029 is 2.9 %"))
            .may("fixed_price", amount())
            .may("free_records", whole((0, FREE_RECORDS_MAX)))
            .may("free_amount", Schema::reference("quantity_not_negative"))
            .may("record_minimum", amount())
            .may("record_maximum", amount()),
        ModelName::Multiplier => price.must("multiplier", amount()),
        ModelName::Matrix => price
            .must("dimensions", forms::some(text()).described("Dimensions of the meter"))
            .must("cells", list(Schema::reference("cell")))
            .must("default", Schema::reference("cell_price")),
        ModelName::Flat => price.must("amount", amount()),
    };
    price.schema().described(told(model))
}

fn tiered(price: Object, tier: &str) -> Object {
    let first = "Whether the flat price of the first tier is due at quantity 0, too";
    price
        .must("tiers", forms::some(Schema::reference(tier)))
        .may("flat_price_at_zero", boolean().described(first))
}

fn tier(form: TierForm) -> Schema {
    let bound = Schema::reference("quantity_not_negative").or_null();
    let tier = Object::of(form.fields())
        .must("up_to", bound.described("Included; null in the last tier, and only there"));
    let absent = |name| (name, Schema::of_type("null"));
    let flat = || ("flat_price", amount());
    match form {
        TierForm::Units => tier
            .may("unit_price", amount())
            .may("flat_price", amount())
            .may("block_size", Schema::reference("quantity_positive"))
            .may("block_price", amount())
            .schema()
            .and_any_of([
                Schema::members(
                    [("unit_price", amount()), absent("block_size"), absent("block_price")],
                    &["unit_price"],
                ),
                Schema::members(
                    [
                        absent("unit_price"),
                        ("block_size", Schema::reference("quantity_positive")),
                        ("block_price", amount()),
                    ],
                    &["block_size", "block_price"],
                ),
                Schema::members(
                    [flat(), absent("unit_price"), absent("block_size"), absent("block_price")],
                    &["flat_price"],
                ),
            ]),
        TierForm::Rates => {
            let schema = tier.may("rate", amount()).may("flat_price", amount()).schema();
            schema.and_any_of([
                Schema::members([("rate", amount())], &["rate"]),
                Schema::members([flat()], &["flat_price"]),
            ])
        }
        TierForm::FlatOnly => tier.must("flat_price", amount()).schema(),
    }
}

fn cell() -> Schema {
    let matches = map(Schema::reference("dimension_value")).with("minProperties", Node::Whole(1));
    Object::of(&CELL_FIELDS)
        .must("match", matches.described("Some of the dimensions; the others may have any value"))
        .must("price", Schema::reference("cell_price"))
        .schema()
}

/// A percentage from 0 to 100.
pub(super) fn percent() -> Schema {
    up_to_hundred(forms::Sign::NotNegative)
}

pub(super) fn up_to_hundred(sign: forms::Sign) -> Schema {
    decimal(Price::DOMAIN, sign).with("maximum", Node::Whole(100))
}
