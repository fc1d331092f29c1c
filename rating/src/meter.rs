//! Meters: what of a record's data is counted, and by which dimensions it can be told apart.

mod distinct;
mod plain;

pub(crate) use plain::plain;

use crate::aggregation::Aggregation;
use crate::decimal::DecimalError;
use crate::dimension::{DimensionHash, Dimensions};
use crate::json::{Kind, Value};
use crate::quantity::Quantity;
use std::borrow::Cow;

/// A path into a record's data, such as `$.usage.calls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

/// Deepest path that a catalog may state; data is not nested deeper either.
const STEPS_MAX: usize = 16;
/// What [`Path::parse`] reads, as a pattern.
pub(crate) const PATH_PATTERN: &str = r"^\$(\.[^.\[]+|\['[^\]]*'\]|\[\+?[0-9]+\]){1,16}$";

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Member(name) => write!(f, "['{name}']"),
            Step::Element(index) => write!(f, "[{index}]"),
        })
    }
}

impl Path {
    /// Reads `$`, `.name`, `['name']` and `[0]` steps; `None` if the text is no such path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, after) = after.split_at_checked(end)?;
                (Step::Member((!name.is_empty()).then(|| name.to_owned())?), after)
            } else {
                let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
                let quoted = inside.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
                let step = match quoted {
                    Some(name) => Step::Member(name.to_owned()),
                    None => Step::Element(inside.parse().ok()?),
                };
                (step, after)
            };
            steps.push(step);
            rest = after;
        }
        (!steps.is_empty() && steps.len() <= STEPS_MAX).then_some(Self(steps))
    }

    /// The value that the path leads to.
    #[must_use]
    pub fn find<'a>(&self, data: Value<'a>) -> Option<Value<'a>> {
        self.0.iter().try_fold(data, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(index) => value.elements().nth(*index),
        })
    }
}

/// What is counted of the records of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Its name in charges.
    pub key: String,
    /// The type of record that it counts.
    pub event_type: String,
    /// How records become a quantity.
    pub aggregation: Aggregation,
    /// Where the quantity stands; `None` for a count.
    pub value: Option<Path>,
    /// Dimensions by name.
    pub group_by: Vec<(String, Path)>,
    /// Whether quantities below zero are accepted.
    pub accepts_negative: bool,
}

/// Why a record gives a meter no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityFault {
    /// There is no value where the meter looks.
    Missing,
    /// The value is no number or text.
    NotADecimal,
    /// The value is an object or a list, of which none is the same as another.
    NotAScalar,
    /// The text or number is not a decimal of the domain.
    Decimal(DecimalError),
    /// Below zero, which this meter refuses.
    Negative,
}

impl QuantityFault {
    /// What is wrong, for a person.
    #[must_use]
    pub fn reason(self, meter: &Meter) -> String {
        let key = &meter.key;
        match self {
            Self::Missing => format!("meter {key} finds no value in the data"),
            Self::NotADecimal => format!("the value of meter {key} is neither a number nor a text"),
            Self::NotAScalar => format!("the value of meter {key} is an object or a list"),
            Self::Decimal(error) => format!("the value of meter {key} {error}"),
            Self::Negative => format!("the value of meter {key} is below zero"),
        }
    }
}

/// What a record measures by a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Its value; 1 where only its being there, or being different, counts.
    pub quantity: Quantity,
    /// A hash of its value, where different values are counted; else 0.
    pub distinct: u128,
}

impl Meter {
    /// What `data` adds to this meter.
    ///
    /// # Errors
    /// [`QuantityFault`] if there is no usable value.
    pub fn measure(&self, data: Option<Value<'_>>) -> Result<Measured, QuantityFault> {
        const ONE: Quantity = Quantity::from_scaled(1_000_000_000_000);
        let Some(path) = &self.value else { return Ok(Measured { quantity: ONE, distinct: 0 }) };
        let found = data.and_then(|data| path.find(data)).filter(|value| !value.is_null());
        let value = found.ok_or(QuantityFault::Missing)?;
        if self.aggregation == Aggregation::UniqueCount {
            let distinct = distinct::hash_of(value).ok_or(QuantityFault::NotAScalar)?;
            return Ok(Measured { quantity: ONE, distinct });
        }
        let text = value.as_decimal_text().ok_or(QuantityFault::NotADecimal)?;
        let quantity = Quantity::parse(&text).map_err(QuantityFault::Decimal)?;
        if quantity.is_negative() && !self.accepts_negative {
            return Err(QuantityFault::Negative);
        }
        Ok(Measured { quantity, distinct: 0 })
    }

    /// The value of a dimension: texts as they are, numbers as they are spelled plainly, so that
    /// equal ones are equal, and booleans as they are written.
    #[must_use]
    pub fn dimension<'a>(&self, name: &str, data: Option<Value<'a>>) -> Option<Cow<'a, str>> {
        let (_, path) = self.group_by.iter().find(|(key, _)| key == name)?;
        dimension_at(path, data?)
    }

    /// All dimensions that `data` has.
    #[must_use]
    pub fn dimensions(&self, data: Option<Value<'_>>) -> Dimensions {
        let Some(data) = data else { return Dimensions::new() };
        let found = self
            .group_by
            .iter()
            .filter_map(|(name, path)| Some(DimensionHash::of(name, &dimension_at(path, data)?)));
        found.collect()
    }
}

fn dimension_at<'a>(path: &Path, data: Value<'a>) -> Option<Cow<'a, str>> {
    let value = path.find(data)?;
    match value.kind() {
        Kind::String => value.as_text(),
        Kind::Number => plain(value.raw()),
        Kind::True | Kind::False => Some(Cow::Borrowed(value.raw())),
        Kind::Object | Kind::Array | Kind::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tape;

    #[track_caller]
    fn check(path: &str, data: &str, wanted: Option<&str>) {
        let mut tape = Tape::default();
        let value = tape.parse(data.as_bytes()).unwrap();
        let found = Path::parse(path).and_then(|path| path.find(value)).map(|value| value.raw());
        assert_eq!(found, wanted, "{path} in {data}");
    }

    /// One record that came as 1 and once more as 1.0 cost what the first of them did.
    #[test]
    fn equal_numbers_are_one_dimension() {
        let meter = Meter {
            key: "m".to_owned(),
            event_type: "t".to_owned(),
            aggregation: Aggregation::Count,
            value: None,
            group_by: vec![("size".to_owned(), Path::parse("$.size").unwrap())],
            accepts_negative: false,
        };
        let rows = [("1", "1"), ("1.0", "1"), ("1e0", "1"), ("\"1\"", "1"), ("\"1.0\"", "1.0")];
        for (size, wanted) in rows {
            let (mut tape, data) = (Tape::default(), format!("{{\"size\":{size}}}"));
            let data = Some(tape.parse(data.as_bytes()).unwrap());
            assert_eq!(meter.dimension("size", data).as_deref(), Some(wanted), "{size}");
            assert_eq!(meter.dimensions(data).as_slice(), [DimensionHash::of("size", wanted)]);
        }
    }

    #[test]
    fn paths_lead_to_values() {
        check("$.calls", r#"{"calls":"12.5"}"#, Some("12.5"));
        check("$.a.b[1]", r#"{"a":{"b":[1,2]}}"#, Some("2"));
        check("$['a.b']", r#"{"a.b":7}"#, Some("7"));
        check("$.calls", r#"{"other":1}"#, None);
        for wrong in ["", "calls", "$", "$.", "$..a", "$.a[", "$[x]", "$a"] {
            assert_eq!(Path::parse(wrong), None, "{wrong}");
        }
    }
}
