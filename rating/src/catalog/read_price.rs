//! Reads prices: one object for each model, with the fields of that model and no others.

use super::bounds::{above_zero, not_negative};
use super::dimensions::Dimensions;
use super::read_matrix::read_matrix;
use super::read_tiers::{TierForm, read_tiers};
use crate::fault::{Faults, Fields, read_name, read_price, read_quantity, read_whole};
use crate::json::{Kind, Value};
use crate::money::Price;
use crate::price::{Percentage, PriceModel};

/// The models as a catalog names them; some of them are the same to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelName {
    PerUnit,
    Package,
    Graduated,
    Volume,
    Stairstep,
    Percentage,
    GraduatedPercentage,
    Multiplier,
    Matrix,
    Flat,
}

pub(super) const MODELS: [(&str, ModelName); 10] = [
    ("per_unit", ModelName::PerUnit),
    ("package", ModelName::Package),
    ("graduated", ModelName::Graduated),
    ("volume", ModelName::Volume),
    ("stairstep", ModelName::Stairstep),
    ("percentage", ModelName::Percentage),
    ("graduated_percentage", ModelName::GraduatedPercentage),
    ("multiplier", ModelName::Multiplier),
    ("matrix", ModelName::Matrix),
    ("flat", ModelName::Flat),
];

impl ModelName {
    /// The fields of a price of this model.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::PerUnit => &["model", "unit_price"],
            Self::Package => &["model", "package_size", "package_price"],
            Self::Graduated | Self::Volume | Self::Stairstep | Self::GraduatedPercentage => {
                &["model", "tiers", "flat_price_at_zero"]
            }
            Self::Percentage => &[
                "model",
                "rate",
                "fixed_price",
                "free_records",
                "free_amount",
                "record_minimum",
                "record_maximum",
            ],
            Self::Multiplier => &["model", "multiplier"],
            Self::Matrix => &["model", "dimensions", "cells", "default"],
            Self::Flat => &["model", "amount"],
        }
    }

    /// What the tiers of a price of this model are like.
    pub(super) const fn tiers(self) -> Option<TierForm> {
        match self {
            Self::Graduated | Self::Volume => Some(TierForm::Units),
            Self::GraduatedPercentage => Some(TierForm::Rates),
            Self::Stairstep => Some(TierForm::FlatOnly),
            Self::PerUnit
            | Self::Package
            | Self::Percentage
            | Self::Multiplier
            | Self::Matrix
            | Self::Flat => None,
        }
    }
}

/// What a price is taken for of which not even the model could be read: the one that goes with
/// everything.
pub(super) const UNREAD: PriceModel = PriceModel::Flat { amount: Price::ZERO };

/// Reads the `price` of a charge, of an override, or of a cell of a matrix.
///
/// What could not be read in it is zero, so that the rest can be held against other fields; the
/// fault is noted, and no catalog is made.
pub(super) fn read_model(
    value: Value<'_>,
    dimensions: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> PriceModel {
    open_model(value, faults)
        .map_or(UNREAD, |(model, fields)| read_fields(model, &fields, dimensions, faults))
}

fn open_model<'a>(value: Value<'a>, faults: &mut Faults<'_>) -> Option<(ModelName, Fields<'a>)> {
    if value.kind() != Kind::Object {
        faults.add(value, format!("a price must be an object, not {}", value.kind().name()));
        return None;
    }
    let Some(name) = value.get("model").filter(|name| !name.is_null()) else {
        faults.add(value, "the field \"model\" is missing");
        return None;
    };
    let model = read_name(name, &MODELS, faults)?;
    Some((model, Fields::open(value, model.fields(), faults)?))
}

fn read_fields(
    model: ModelName,
    fields: &Fields<'_>,
    dimensions: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> PriceModel {
    let tiers = model.tiers().and_then(|form| read_tiers(fields, form, faults));
    match model {
        ModelName::PerUnit => {
            PriceModel::PerUnit { unit_price: required_price(fields, "unit_price", faults) }
        }
        // The record carries the money; what it is multiplied by is the price of its unit.
        ModelName::Multiplier => {
            PriceModel::PerUnit { unit_price: required_price(fields, "multiplier", faults) }
        }
        ModelName::Package => {
            let package_size = fields.required("package_size", faults);
            let package_size = package_size.and_then(|v| above_zero(read_quantity)(v, faults));
            PriceModel::Package {
                package_size: package_size.unwrap_or_default(),
                package_price: required_price(fields, "package_price", faults),
            }
        }
        ModelName::Graduated | ModelName::GraduatedPercentage => {
            tiers.map_or(UNREAD, PriceModel::Graduated)
        }
        ModelName::Volume => tiers.map_or(UNREAD, PriceModel::Volume),
        ModelName::Stairstep => tiers.map_or(UNREAD, PriceModel::Stairstep),
        ModelName::Flat => PriceModel::Flat { amount: required_price(fields, "amount", faults) },
        ModelName::Percentage => PriceModel::Percentage(read_percentage(fields, faults)),
        ModelName::Matrix => PriceModel::Matrix(read_matrix(fields, dimensions, faults)),
    }
}

/// The greatest number of records that may be free.
pub(super) const FREE_RECORDS_MAX: u32 = u32::MAX;

fn read_percentage(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Percentage {
    let rate = required_price(fields, "rate", faults);
    let free_records =
        fields.optional("free_records", faults, |v, f| read_whole(v, (0, FREE_RECORDS_MAX), f));
    let free_amount = fields.optional("free_amount", faults, not_negative(read_quantity));
    let [fixed_price, record_minimum, record_maximum] =
        ["fixed_price", "record_minimum", "record_maximum"]
            .map(|name| fields.optional(name, faults, not_negative(read_price)));
    if let (Some(least), Some(most), Some(at)) =
        (record_minimum, record_maximum, fields.get("record_minimum"))
        && most < least
    {
        let message = format!("\"record_minimum\" {least} is above \"record_maximum\" {most}");
        faults.add(at, message);
    }
    Percentage {
        rate,
        fixed_price: fixed_price.unwrap_or_default(),
        free_records: free_records.map(u64::from),
        free_amount,
        record_minimum,
        record_maximum,
    }
}

fn required_price(fields: &Fields<'_>, name: &str, faults: &mut Faults<'_>) -> Price {
    let value = fields.required(name, faults);
    value.and_then(|value| not_negative(read_price)(value, faults)).unwrap_or_default()
}
