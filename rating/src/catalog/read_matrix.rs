//! Reads matrices.

use super::dimensions::{Dimensions, check_dimension, read_dimension_value};
use super::read_price::{UNREAD, read_model};
use crate::fault::{Faults, Fields, did_you_mean, read_text};
use crate::json::{Kind, Value};
use crate::price::{CellMatch, Matrix, PriceModel};

/// The fields of a cell.
pub(super) const CELL_FIELDS: [&str; 2] = ["match", "price"];

/// Reads a matrix; a cell that could not be read is left out of it.
pub(super) fn read_matrix(
    fields: &Fields<'_>,
    known: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> Matrix {
    let dimensions = read_dimensions(fields, known, faults);
    let cells = required_list(fields, "cells", faults).unwrap_or_default();
    let cells: Vec<(CellMatch, PriceModel)> = cells
        .into_iter()
        .filter_map(|value| read_cell(value, dimensions.as_deref(), known, faults))
        .collect();
    let default = fields.required("default", faults);
    let default = default.map_or(UNREAD, |value| read_cell_price(value, known, faults));
    Matrix::new(dimensions.unwrap_or_default(), cells, default)
}

fn read_dimensions(
    fields: &Fields<'_>,
    known: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> Option<Vec<String>> {
    let mut dimensions: Vec<String> = Vec::new();
    let mut is_whole = true;
    let list = fields.required("dimensions", faults)?;
    let values = required_list(fields, "dimensions", faults)?;
    if values.is_empty() {
        faults.add(list, "a matrix has at least one dimension");
    }
    for value in values {
        let Some(name) = read_text(value, faults) else {
            is_whole = false;
            continue;
        };
        check_dimension(value, known, faults);
        if dimensions.iter().any(|other| *other == name) {
            faults.add(value, format!("the dimension \"{name}\" stands twice"));
        }
        dimensions.push(name.into_owned());
    }
    is_whole.then_some(dimensions)
}

/// Reads a cell; `dimensions` are those of the matrix, if all of them could be read.
fn read_cell(
    value: Value<'_>,
    dimensions: Option<&[String]>,
    known: Dimensions<'_>,
    faults: &mut Faults<'_>,
) -> Option<(CellMatch, PriceModel)> {
    let fields = Fields::open(value, &CELL_FIELDS, faults)?;
    let wanted = fields.required("match", faults);
    let matches = wanted.and_then(|value| read_match(value, dimensions, faults));
    let price = fields.required("price", faults);
    let price = price.map_or(UNREAD, |value| read_cell_price(value, known, faults));
    Some((matches?, price))
}

fn read_match(
    value: Value<'_>,
    dimensions: Option<&[String]>,
    faults: &mut Faults<'_>,
) -> Option<Vec<(String, String)>> {
    if value.kind() != Kind::Object {
        faults.add(value, "\"match\" must be an object of dimensions and values");
        return None;
    }
    let mut matches = Vec::new();
    let mut is_whole = true;
    for (name, value) in value.members() {
        let dimension = name.as_text().unwrap_or_default().into_owned();
        if let Some(dimensions) = dimensions
            && !dimensions.contains(&dimension)
        {
            let hint = did_you_mean(&dimension, dimensions.iter().map(String::as_str));
            let message = format!("\"{dimension}\" is not a dimension of this matrix{hint}");
            faults.add(name, message);
        }
        match read_dimension_value(value, faults) {
            Some(value) => matches.push((dimension, value)),
            None => is_whole = false,
        }
    }
    if is_whole && matches.is_empty() {
        faults.add(value, "a match names at least one dimension; \"default\" is for all others");
        return None;
    }
    is_whole.then_some(matches)
}

fn read_cell_price(value: Value<'_>, known: Dimensions<'_>, faults: &mut Faults<'_>) -> PriceModel {
    if let Some(name) = value.get("model").filter(|name| name.is("matrix")) {
        faults.add(name, "a matrix may not stand within a matrix");
        return UNREAD;
    }
    read_model(value, known, faults)
}

/// The elements of a list that must be there.
fn required_list<'a>(
    fields: &Fields<'a>,
    name: &str,
    faults: &mut Faults<'_>,
) -> Option<Vec<Value<'a>>> {
    let value = fields.required(name, faults)?;
    if value.kind() != Kind::Array {
        faults.add(value, format!("\"{name}\" must be a list"));
        return None;
    }
    Some(value.elements().collect())
}
