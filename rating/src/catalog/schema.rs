//! The schema of catalogs, made of the lists by which they are read.

#[cfg(test)]
mod agreement;
mod prices;

use super::Catalog;
use super::{read, read_charge, read_meter, read_override, read_plan};
use crate::meter::PATH_PATTERN;
use crate::schema::{Object, Schema, boolean, document, forms, list, map, one_of, text, whole};
use crate::scope::Scope;
use crate::settings::Settings;
use crate::unit::UnitRounding;

impl Catalog {
    /// The JSON Schema of catalogs.
    #[must_use]
    pub fn schema() -> String {
        let part = Schema::reference;
        let root = Object::of(&read::FIELDS)
            .may("meters", list(part("meter")))
            .may("plans", list(part("plan")))
            .may("customers", list(part("customer")))
            .may("subscriptions", list(part("subscription")))
            .may("strict_types", boolean().described("Refuses types that no meter takes"));
        let mut definitions = vec![
            ("meter", meter()),
            ("path", path()),
            ("plan", plan()),
            ("charge", charge()),
            ("override", override_()),
            ("filter", filter()),
            ("unit", unit()),
            ("percent", prices::percent()),
            ("dimension_value", dimension_value()),
            ("customer", customer()),
            ("subscription", subscription()),
        ];
        definitions.extend(prices::definitions());
        document("A catalog", root.schema(), definitions)
    }
}

fn meter() -> Schema {
    let names = one_of(&read_meter::AGGREGATIONS);
    let rank = prices::up_to_hundred(forms::Sign::Positive);
    let percentile = Object::of(&[read_meter::PERCENTILE]).must("percentile", rank).schema();
    let own = Schema::names(&read_meter::SYSTEM_TYPES).negated();
    let count = || Schema::exactly("count");
    Object::of(&read_meter::FIELDS)
        .must("key", Schema::reference("identifier"))
        .must("event_type", text().and(own))
        .must("aggregation", Schema::any_of([names, percentile]))
        .may("value", Schema::reference("path"))
        .may("group_by", map(Schema::reference("path")).described("Dimensions and their places"))
        .may("negative", one_of(&read_meter::NEGATIVE))
        .schema()
        .described("What is counted of the records of one type")
        .and_any_of([
            Schema::members([("aggregation", count()), ("value", Schema::of_type("null"))], &[]),
            Schema::members(
                [("aggregation", count().negated()), ("value", Schema::of_type("string"))],
                &["value"],
            ),
        ])
}

fn path() -> Schema {
    let path = Schema::pattern(PATH_PATTERN);
    path.described("A place in `data`, such as $.usage.calls, $['a.b'] or $.list[0]")
}

fn plan() -> Schema {
    Object::of(&read_plan::FIELDS)
        .must("key", Schema::reference("identifier"))
        .must("version", whole(read_plan::VERSIONS))
        .must("effective_from", Schema::reference("instant"))
        .must("currency", Schema::reference("currency"))
        .may("charges", list(Schema::reference("charge")))
        .schema()
        .described("One dated, immutable version of a plan")
}

fn charge() -> Schema {
    let charge = Object::of(&read_charge::FIELDS)
        .must("key", Schema::reference("identifier"))
        .may("meter", text().described("The key of a meter; only a flat price needs none"))
        .must("price", Schema::reference("price_model"))
        .may("scope", one_of(&Scope::NAMES).described("Where tiers and included units begin anew"));
    replaceable(charge).schema().described("What a plan bills for the records of one meter")
}

fn override_() -> Schema {
    let fields = read_override::fields();
    let change = Object::of(&fields)
        .must(read_override::EFFECTIVE_FROM, Schema::reference("instant"))
        .may_exactly("price", Schema::reference("price_model"));
    replaceable(change).schema().described("Fields of a charge that a subscription replaces")
}

/// The fields that a charge states and an override may replace, beside the price.
fn replaceable(object: Object) -> Object {
    let unsupported = || Schema::of_type("null").described("Not supported yet");
    let amount = || Schema::reference("price_not_negative");
    object
        .may("filter", Schema::reference("filter"))
        .may("unit", Schema::reference("unit"))
        .may("included", Schema::reference("quantity_not_negative"))
        .may("discount_percent", Schema::reference("percent"))
        .may("minimum", amount())
        .may("maximum", amount())
        .may("prorate_included", boolean())
        .may("prorate_minimum", boolean())
        .may("prorate_flat", boolean())
        .may_exactly("rollover", unsupported())
        .may_exactly("pool", unsupported())
        .may_exactly("commitment", unsupported())
        .may_exactly("prorate_commitment", Schema::any_of([no(), Schema::of_type("null")]))
}

fn no() -> Schema {
    Schema::any().with("const", crate::schema::Node::Bool(false))
}

fn filter() -> Schema {
    let values = forms::some(Schema::reference("dimension_value"));
    map(values).described("Dimensions, and the values of them that the charge takes")
}

fn dimension_value() -> Schema {
    Schema::of_types(&["string", "number", "boolean"])
}

fn unit() -> Schema {
    Object::of(&read_charge::UNIT_FIELDS)
        .must("divide_by", Schema::reference("price_positive"))
        .may("rounding", one_of(&UnitRounding::NAMES))
        .schema()
        .described("How many metered units make one that is priced")
}

fn customer() -> Schema {
    let known = [&read::CUSTOMER_FIELDS[..], &Settings::NAMES].concat();
    Object::of(&known)
        .must("id", Schema::reference("identifier"))
        .may("aliases", list(Schema::reference("identifier")))
        .may("time_zone", text().described("A name of the time zone database"))
        .may_all(Settings::schemas())
        .schema()
}

fn subscription() -> Schema {
    let overrides = map(list(Schema::reference("override")));
    Object::of(&read::SUBSCRIPTION_FIELDS)
        .must("id", Schema::reference("identifier"))
        .must("customer", text())
        .must("plan", text())
        .must("start", Schema::reference("date"))
        .may("end", Schema::reference("date"))
        .may("overrides", overrides.described("Overrides by the key of their charge"))
        .may("aliases", list(Schema::reference("identifier")))
        .schema()
}
