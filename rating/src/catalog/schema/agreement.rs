//! The schema and the reader agree, whatever is changed in a catalog that has everything.

use crate::Catalog;
use crate::schema::checks::{Validator, check_file, file};
use serde_json::{Value, json};

/// Every field of a catalog, each with a value, and every form that a value may have.
const FULL: &str = include_str!("full.json");

/// Values that are put in the place of every other.
fn probes() -> Vec<Value> {
    let texts = ["", "x", "0", "-1", "1.5", "1e2", "-0", "-0.1", "05", "+5", "USD", "usd", "day"];
    let more =
        ["2026-01-01", "2026-01-01T00:00:00Z", "$.n", "n", "\u{1}", "first_subscription_start"];
    let texts = texts.into_iter().chain(more).map(Value::from);
    let numbers =
        [json!(0), json!(1), json!(-1), json!(1.5), json!(101), json!(1e13), json!(1e-13)];
    let others = [
        Value::Null,
        json!(true),
        json!(false),
        json!([]),
        json!([7]),
        json!(["x"]),
        json!([{}]),
        json!({}),
        json!({"x": "x"}),
        json!({"percentile": "99.9"}),
        json!("x".repeat(257)),
    ];
    texts.chain(numbers).chain(others).collect()
}

/// What only a reader sees: names that are known or taken, order, digits, and what goes together.
const BEYOND_A_SCHEMA: [&str; 28] = [
    "has more than 1",
    "is not a currency of ISO 4217",
    "is not a time zone",
    "is not a meter of this catalog",
    "the charge has no meter",
    "the meter does not group by",
    "is not a dimension of this matrix",
    "of two versions, the later has the greater number",
    "the dimension \"size\" stands twice",
    "is not a charge of plan",
    "is not a plan of this catalog",
    "is not a customer of this catalog",
    "already names a customer or a subscription",
    "stands twice",
    "take effect on",
    "overlap: both take effect",
    "changes its",
    "has no version in force",
    "lies before the start",
    "does not go with",
    "is measured over billing periods",
    "a percentage is due for each record",
    "is above \"record_maximum\"",
    "the last tier must have `up_to` null",
    "only the last tier may have `up_to` null",
    "`up_to` must rise",
    "must lie between 0 and 100",
    "a percentile lies above 0 and up to 100",
];

/// Calls `visit` with the text of every catalog that differs from `root` in one place.
fn mutate(root: &Value, path: &mut Vec<String>, visit: &mut impl FnMut(&Value, &str)) {
    let pointer: String = path.iter().map(|step| format!("/{step}")).collect();
    let found = root.pointer(&pointer).unwrap().clone();
    for probe in probes() {
        let mut changed = root.clone();
        *changed.pointer_mut(&pointer).unwrap() = probe;
        visit(&changed, &pointer);
    }
    let steps: Vec<String> = match &found {
        Value::Object(members) => {
            for name in members.keys() {
                let mut changed = root.clone();
                changed.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(name);
                visit(&changed, &pointer);
            }
            let mut changed = root.clone();
            let object = changed.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
            object.insert("another".to_owned(), json!("x"));
            visit(&changed, &pointer);
            members.keys().map(|name| name.replace('~', "~0").replace('/', "~1")).collect()
        }
        Value::Array(elements) => (0..elements.len()).map(|index| index.to_string()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for step in steps {
        path.push(step);
        mutate(root, path, visit);
        path.pop();
    }
}

#[test]
fn the_schema_says_what_the_reader_does() {
    let validator = Validator::new(&Catalog::schema());
    let root: Value = serde_json::from_str(FULL).unwrap();
    let (mut seen, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    mutate(&root, &mut Vec::new(), &mut |changed, place| {
        let text = changed.to_string();
        seen += 1;
        match (Catalog::parse(text.as_bytes()), validator.is_valid(changed)) {
            (Ok(_), true) => {}
            (Ok(_), false) => {
                let fault = validator.fault(changed).unwrap_or_default();
                wrong.push(format!("{place}: only the schema refuses: {fault}"));
            }
            (Err(_), false) => refused += 1,
            (Err(faults), true) => {
                let beyond = |message: &str| BEYOND_A_SCHEMA.iter().any(|it| message.contains(it));
                let told = faults.iter().filter(|fault| !beyond(&fault.message));
                let at = |offset: usize| text.get(offset.saturating_sub(1)..).unwrap_or_default();
                wrong.extend(told.map(|fault| {
                    let at: String = at(fault.column).chars().take(30).collect();
                    format!("{place}: only the reader refuses: {} at {at}", fault.message)
                }));
            }
        }
    });
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 5_000 && refused > seen / 2, "{refused} of {seen} refused");
}

#[test]
fn the_schema_of_catalogs() {
    let schema = Catalog::schema();
    check_file("docs/schemas/catalog.json", &schema);
    let validator = Validator::new(&schema);
    validator.check(FULL, true);
    Catalog::parse(FULL.as_bytes()).unwrap();
    let data = "tests/it/scenarios/data";
    for good in [
        "examples/first/catalog.json".to_owned(),
        format!("{data}/vroom.catalog.json"),
        format!("{data}/quarterly.catalog.json"),
    ] {
        validator.check(&file(&good), true);
    }
    validator.check(&file("tests/it/cli/faults/catalog.json"), false);
}
