//! Dimensions of a meter, as filters and matrices name them.

use crate::fault::{Faults, did_you_mean};
use crate::json::{Kind, Value};
use crate::meter::{Path, plain};

/// The dimensions that a meter groups by; `None` where the meter is not known, so that nothing can
/// be said about what it groups by.
pub(super) type Dimensions<'m> = Option<&'m [(String, Path)]>;

/// Notes a fault at `name` if the meter does not group by it.
pub(super) fn check_dimension(name: Value<'_>, known: Dimensions<'_>, faults: &mut Faults<'_>) {
    let (Some(known), Some(dimension)) = (known, name.as_text()) else { return };
    if !known.iter().any(|(known, _)| *known == dimension) {
        let hint = did_you_mean(&dimension, known.iter().map(|(name, _)| name.as_str()));
        faults.add(name, format!("the meter does not group by \"{dimension}\"{hint}"));
    }
}

/// Reads a value of a dimension, as [`crate::Meter::dimension`] finds it in a record.
pub(super) fn read_dimension_value(value: Value<'_>, faults: &mut Faults<'_>) -> Option<String> {
    match value.kind() {
        Kind::String => value.as_text().map(String::from),
        Kind::Number => plain(value.raw()).map(String::from),
        Kind::True | Kind::False => Some(value.raw().to_owned()),
        Kind::Object | Kind::Array | Kind::Null => {
            let kind = value.kind().name();
            faults.add(value, format!("must be a string, a number or a boolean, not {kind}"));
            None
        }
    }
}
