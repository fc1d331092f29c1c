//! The forms that values take, each as its reader in [`crate::fault`] has them.

use super::Schema;
use super::print::Node;
use crate::catalog::IDENTIFIER_BYTES_MAX;
use crate::decimal::Domain;
use crate::money::Price;
use crate::quantity::Quantity;

/// Which side of zero a decimal may be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Either, and zero.
    Any,
    /// Zero or above.
    NotNegative,
    /// Above zero.
    Positive,
}

/// A text that is not empty.
#[must_use]
pub fn text() -> Schema {
    Schema::of_type("string").with("minLength", Node::Whole(1))
}

/// An id or key.
#[must_use]
pub fn identifier() -> Schema {
    let longest = u64::try_from(IDENTIFIER_BYTES_MAX).unwrap_or(u64::MAX);
    let no_control = r"^[^\u0000-\u001f\u007f-\u009f]+$";
    let text = text().with("maxLength", Node::Whole(longest)).with("pattern", no_control);
    text.described(&format!("At most {longest} bytes of UTF-8"))
}

/// `true` or `false`.
#[must_use]
pub fn boolean() -> Schema {
    Schema::of_type("boolean")
}

/// A whole number between two bounds, both included, as a number or a text.
#[must_use]
pub fn whole((least, most): (u32, u32)) -> Schema {
    Schema::of_types(&["integer", "string"])
        .with("minimum", Node::Whole(least.into()))
        .with("maximum", Node::Whole(most.into()))
        .with("pattern", if least > 0 { "^[1-9][0-9]*$" } else { "^(0|[1-9][0-9]*)$" })
}

/// One of the names that a reader knows.
#[must_use]
pub fn one_of<T>(names: &[(&'static str, T)]) -> Schema {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    Schema::names(&names)
}

/// A list of values of one form.
#[must_use]
pub fn list(of: Schema) -> Schema {
    Schema::of_type("array").with("items", of)
}

/// A list that is not empty.
pub(crate) fn some(of: Schema) -> Schema {
    list(of).with("minItems", Node::Whole(1))
}

/// An object with any names, and values of one form.
#[must_use]
pub fn map(of: Schema) -> Schema {
    Schema::of_type("object").with("additionalProperties", of)
}

/// A decimal, as a number or a text that is spelled like one.
///
/// How many digits it may have depends on its value, not on its spelling, so that the schema only
/// tells of it.
#[must_use]
pub fn decimal(domain: Domain, sign: Sign) -> Schema {
    let number = Schema::of_types(&["string", "number"]);
    let exponent = "([eE][+-]?[0-9]+)?";
    let any = r"(0|[1-9][0-9]*)(\.[0-9]+)?";
    let number = match sign {
        Sign::Any => number.with("pattern", format!("^-?{any}{exponent}$")),
        Sign::NotNegative => number
            .with("pattern", format!(r"^(-0(\.0+)?|{any}){exponent}$"))
            .with("minimum", Node::Whole(0)),
        Sign::Positive => number
            .with("pattern", format!(r"^(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?){exponent}$"))
            .with("exclusiveMinimum", Node::Whole(0)),
    };
    let Domain { integer_digits, fraction_digits } = domain;
    number.described(&format!(
        "A decimal of up to {integer_digits} digits before and {fraction_digits} after the point"
    ))
}

/// What the schemas of several inputs refer to.
#[must_use]
pub fn shared() -> Vec<(&'static str, Schema)> {
    let instant = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?";
    let instant = format!("{instant}([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})$");
    let date = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
    vec![
        ("identifier", identifier()),
        (
            "date",
            Schema::pattern(date).described(
                "A day of the customer's time zone; the last day of a stretch is part of it",
            ),
        ),
        (
            "instant",
            Schema::pattern(&instant)
                .described("RFC 3339 with `Z` or an offset, and up to nine digits of a second"),
        ),
        ("currency", Schema::pattern("^[A-Z]{3}$").described("A code of ISO 4217")),
        ("quantity", decimal(Quantity::DOMAIN, Sign::Any)),
        ("quantity_not_negative", decimal(Quantity::DOMAIN, Sign::NotNegative)),
        ("quantity_positive", decimal(Quantity::DOMAIN, Sign::Positive)),
        ("price", decimal(Price::DOMAIN, Sign::Any)),
        ("price_not_negative", decimal(Price::DOMAIN, Sign::NotNegative)),
        ("price_positive", decimal(Price::DOMAIN, Sign::Positive)),
    ]
}
