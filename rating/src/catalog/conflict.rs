//! Conflicts: fields of a charge that are right each by itself and wrong together.
//!
//! They are looked for in charges as they are in force, so that what a plan may not state cannot
//! come in through an override either.

use crate::aggregation::Aggregation;
use crate::charge::Charge;
use crate::price::PriceModel;
use crate::quantity::Quantity;
use crate::scope::Scope;
use std::borrow::Cow;

/// What does not go together.
pub(super) struct Conflict {
    /// The fields in question, that first which is most likely the wrong one.
    pub(super) fields: &'static [&'static str],
    /// Why they do not go together.
    pub(super) message: Cow<'static, str>,
}

/// All conflicts within a charge.
pub(super) fn conflicts(charge: &Charge) -> Vec<Conflict> {
    let is_percentage = matches!(charge.model, PriceModel::Percentage(_));
    let is_matrix = matches!(charge.model, PriceModel::Matrix(_));
    let by_record = is_percentage || has_percentage_cell(&charge.model);
    let includes = charge.included != Quantity::ZERO;
    let weighted = charge.aggregation == Aggregation::TimeWeightedSum;
    let adds_up = charge.aggregation.adds_up();
    let rules = [
        (is_percentage && includes, &["included", "price"][..], INCLUDED_OF_PERCENTAGE),
        (is_matrix && includes, &["included", "price"], INCLUDED_OF_MATRIX),
        (by_record && charge.unit.is_some(), &["unit", "price"], UNIT_OF_PERCENTAGE),
        (by_record && !adds_up && charge.meter.is_some(), &["price", "meter"], NOT_BY_RECORD),
        (weighted && charge.scope != Scope::BillingPeriod, &["scope", "meter"], WEIGHTED_SCOPE),
        (weighted && is_matrix, &["price", "meter"], WEIGHTED_MATRIX),
    ];
    let found = rules.into_iter().filter(|(is_broken, ..)| *is_broken);
    found.map(|(_, fields, message)| Conflict { fields, message: message.into() }).collect()
}

const INCLUDED_OF_PERCENTAGE: &str = "\"included\" does not go with a percentage, whose free part \
    is \"free_records\" and \"free_amount\"";
const INCLUDED_OF_MATRIX: &str = "\"included\" does not go with a matrix, of which each cell has a \
    position of its own";
const UNIT_OF_PERCENTAGE: &str =
    "\"unit\" does not go with a percentage, which is due on the value of each record";
const NOT_BY_RECORD: &str = "a percentage is due for each record: the aggregation of its meter \
    must be \"sum\" or \"count\"";
const WEIGHTED_SCOPE: &str =
    "a \"time_weighted_sum\" is measured over billing periods and has no other scope";
const WEIGHTED_MATRIX: &str = "a matrix does not go with the aggregation \"time_weighted_sum\"";

fn has_percentage_cell(model: &PriceModel) -> bool {
    let PriceModel::Matrix(matrix) = model else { return false };
    matrix.prices().any(|(_, price)| matches!(price, PriceModel::Percentage(_)))
}
