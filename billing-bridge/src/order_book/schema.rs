//! The schema of orders, made of the lists by which they are read.

use super::{OrderBook, read};
use crate::order::{Kind, LegibleHead, LegibleProduct, PricePeriod};
use crate::product::{Product, Provision, RevenueModel, with_settings};
use crate::terms::BillingTiming;
use rating::Settings;
use rating::schema::{Object, Schema, document, list, one_of, text};

impl OrderBook {
    /// The JSON Schema of orders.
    #[must_use]
    pub fn schema() -> String {
        let part = Schema::reference;
        let root = Object::of(&read::FIELDS)
            .may("settings", part("settings"))
            .may("products", list(part("product")))
            .may("orders", list(part("order")));
        let settings = Object::of(&Settings::NAMES).may_all(Settings::schemas()).schema();
        let nearest = "Of the levels that state a setting, the nearest to the order product wins";
        let definitions = vec![
            ("settings", settings.described(nearest)),
            ("product", product()),
            ("order", order()),
            ("order_product", order_product()),
        ];
        document("Orders", root.schema(), definitions)
    }
}

fn with(object: Object) -> Object {
    object.may("settings", Schema::reference("settings")).may_all(Settings::schemas())
}

fn product() -> Schema {
    let product = Object::of(&with_settings(&Product::FIELDS))
        .must("sku", text())
        .may("name", text())
        .must("provisions", one_of(&Provision::NAMES))
        .must("revenue_model", one_of(&RevenueModel::NAMES))
        .may("billing_timing", one_of(&BillingTiming::NAMES));
    with(product).schema().described("What is sold, and how it is billed")
}

fn order() -> Schema {
    let order = Object::of(&with_settings(&LegibleHead::FIELDS))
        .must("id", text())
        .must("customer", text().described("A customer of the catalog"))
        .must("kind", one_of(&Kind::NAMES).described("Of a change, quantities are deltas"))
        .must("activated_on", Schema::reference("date"))
        .may("order_products", list(Schema::reference("order_product")));
    with(order).schema()
}

fn order_product() -> Schema {
    let total = "The contract value, where it is not price times term";
    let line = Object::of(&with_settings(&LegibleProduct::FIELDS))
        .must("id", text())
        .must("sku", text().described("A product"))
        .must("reference", text().described("What it creates or changes"))
        .may("quantity", Schema::reference("quantity"))
        .may("included_quantity", Schema::reference("quantity"))
        .may("unit_price", Schema::reference("price"))
        .may("price_period", one_of(&PricePeriod::NAMES))
        .must("start", Schema::reference("date"))
        .may("end", Schema::reference("date"))
        .may("total", Schema::reference("price").and(Schema::any().described(total)))
        .may("plan", text().described("A plan of the catalog, which prices what is used"))
        .may("billing_timing", one_of(&BillingTiming::NAMES));
    with(line).schema()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Catalog, QUARTERLY, VROOM};
    use boon::{Compiler, Schemas};
    use rating::schema::UNDESCRIBED;
    use serde_json::{Value, json};
    use std::path::Path;

    /// Every field of a document, each with a value.
    const FULL: &str = r#"{"settings":{"billing_period":"month","bill_cycle_day":31,
        "bill_cycle_month":1,"payment_term_days":30,"proration":false,"currency":"USD",
        "proration_basis":"days_of_period","first_invoice_on_activation":true,
        "rounding":"half_even","hide_zero_items":false,"credit_memos":true,"auto_activate":false},
        "products":[{"sku":"SEAT","name":"Seats","provisions":"subscription","proration":true,
        "revenue_model":"recurring","billing_timing":"in_advance","settings":{"currency":"USD"}}],
        "orders":[{"id":"O","customer":"CUS-1","kind":"new","activated_on":"2026-01-01",
        "auto_activate":true,"settings":null,"order_products":[{"id":"L","sku":"SEAT",
        "reference":"S","quantity":"5","included_quantity":0,"unit_price":"10",
        "price_period":"month","start":"2026-01-01","end":"2026-12-31","total":"7",
        "plan":"USD-pro","billing_timing":"in_arrears","settings":{},"rounding":null}]}]}"#;

    fn probes() -> Vec<Value> {
        let texts = ["", "x", "0", "-1", "1.5", "1e2", "-0", "05", "+5", "USD", "2026-01-01"];
        let others = [json!(null), json!(true), json!(0), json!(1), json!(-1.5), json!(40)];
        let nested = [json!([]), json!([7]), json!([{}]), json!({}), json!({"x": "x"})];
        texts.into_iter().map(Value::from).chain(others).chain(nested).collect()
    }

    /// Places of all values of a document.
    fn places(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(members) => {
                members
                    .iter()
                    .for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
            }
            Value::Array(elements) => elements.iter().enumerate().for_each(|(index, value)| {
                places(value, &format!("{at}/{index}"), found);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Every document that differs from `root` in one place.
    fn mutated(root: &Value) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        places(root, "", &mut found);
        let mut mutated = Vec::new();
        for place in found {
            let mut change = |apply: &dyn Fn(&mut Value)| {
                let mut changed = root.clone();
                apply(changed.pointer_mut(&place).unwrap());
                mutated.push((place.clone(), changed));
            };
            for probe in probes() {
                change(&|value| *value = probe.clone());
            }
            let names = root.pointer(&place).and_then(Value::as_object).map(|object| object.keys());
            for name in names.into_iter().flatten() {
                change(&|value| _ = value.as_object_mut().unwrap().remove(name));
                change(&|value| {
                    _ = value.as_object_mut().unwrap().insert("another".into(), json!(1))
                });
            }
        }
        mutated
    }

    /// What only the reader sees.
    const BEYOND_A_SCHEMA: [&str; 12] = [
        "is not a currency of ISO 4217",
        "unknown customer",
        "unknown sku",
        "unknown plan",
        "lies before",
        "must lie between 0 and \"quantity\"",
        "the field \"quantity\" is missing",
        "the field \"unit_price\" is missing",
        "the field \"price_period\" is missing",
        "wants an \"end\"",
        "the sign of total",
        "below 0",
    ];

    #[test]
    fn the_schema_of_orders_says_what_the_reader_does() {
        let schema = OrderBook::schema();
        assert!(!schema.contains(UNDESCRIBED), "{schema}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas/orders.json");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(file == schema, "orders.json is out of date: set UPDATE_SCHEMAS=1");
        let mut compiler = Compiler::new();
        compiler.add_resource("orders.json", serde_json::from_str(&schema).unwrap()).unwrap();
        let mut schemas = Schemas::new();
        let root = compiler.compile("orders.json", &mut schemas).unwrap();
        let is_valid = |value: &Value| schemas.validate(value, root).is_ok();
        for good in [QUARTERLY, VROOM, FULL] {
            assert!(is_valid(&serde_json::from_str(good).unwrap()), "{good}");
        }
        let full: Value = serde_json::from_str(FULL).unwrap();
        let (mut refused, mut wrong) = (0, Vec::new());
        for (place, changed) in mutated(&full) {
            let text = changed.to_string();
            match (OrderBook::parse(text.as_bytes(), &Catalog::default()), is_valid(&changed)) {
                (Ok(_), true) => {}
                (Ok(_), false) => wrong.push(format!("{place}: only the schema refuses: {text}")),
                (Err(_), false) => refused += 1,
                (Err(faults), true) => {
                    let beyond = |text: &str| BEYOND_A_SCHEMA.iter().any(|it| text.contains(it));
                    let told = faults.iter().filter(|fault| !beyond(&fault.message));
                    wrong.extend(told.map(|fault| format!("{place}: only the reader: {fault}")));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(refused > 500, "{refused} refused");
    }
}
