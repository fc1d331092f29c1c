//! The schema and the reader agree, whatever is changed in a file that has every setting.

use super::super::Settings;
use boon::{Compiler, Schemas};
use rating::schema::UNDESCRIBED;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Every setting, each with a value.
fn full() -> Value {
    json!({
        "mode": "kafka", "catalog": "catalog.json", "future_tolerance": "1h",
        "kafka": {
            "bootstrap_servers": "127.0.0.1:9092", "group": "g", "instance_id": "i",
            "partitions": 4, "partitioner": "murmur2", "partition_by": "customer",
            "properties": {"linger.ms": "5"},
            "topics": {
                "raw": "a", "rated": "b", "rejected": "c", "forward": "d", "state": "e",
                "totals": "f", "catalog": "g", "orders": "h"
            }
        },
        "state": {"dir": "data"},
        "http": {
            "listen": "[::1]:8080", "advertise": "rater-1:8080", "body_bytes_max": 1,
            "queue_bytes_max": 2_147_483_648u64,
            "queue_requests_max": 3, "connections_max": 4, "body_timeout": "1m30s"
        },
        "commit": {"interval_ms": 500}, "periods": {"grace": "2d", "idle": "0s"},
        "dedupe": {"window": "40d"}, "waiting": {"bytes_max": 5, "age": "1w"},
        "snapshots": {"url": "s3://bucket/folder", "interval": "10m"}
    })
}

/// What is put in the place of every other value.
fn probes() -> Vec<Value> {
    let texts = [
        "",
        "x",
        "1h",
        "5ms",
        "1",
        "1.5h",
        "-1h",
        "1 h",
        "embedded",
        "crc32",
        "a:1",
        ":1",
        "a:b",
        "s3://",
        "file:///a",
    ];
    let others = [json!(0), json!(1), json!(-1), json!(4_097), json!(60_001), json!(1.5)];
    let nested = [json!(true), json!([]), json!(["x"]), json!({}), json!({"x": "x"})];
    let last = [json!(1u64 << 40), json!({"acks": "1"}), json!({"x": 1.5}), json!({"x": true})];
    texts.into_iter().map(Value::from).chain(others).chain(nested).chain(last).collect()
}

/// What only the reader sees: how long is too long, and what goes together.
const BEYOND_A_SCHEMA: [&str; 5] = [
    "have the same name",
    "is not a duration such as",
    "queue_bytes_max must be at least body_bytes_max",
    "interval must be at least",
    "snapshots are taken only with",
];

/// A value as TOML writes it on one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("\"{key}\" = {}", toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn file_of(root: &Value) -> String {
    let members = root.as_object().into_iter().flatten();
    members.map(|(key, value)| format!("\"{key}\" = {}\n", toml(value))).collect()
}

/// Calls `visit` with every file that differs from `root` in one place.
fn mutate(root: &Value, place: &str, visit: &mut impl FnMut(&Value)) {
    let mut change = |apply: &dyn Fn(&mut Value)| {
        let mut changed = root.clone();
        apply(changed.pointer_mut(place).unwrap());
        if changed.is_object() {
            visit(&changed);
        }
    };
    for probe in probes() {
        change(&|value| *value = probe.clone());
    }
    let Some(members) = root.pointer(place).and_then(Value::as_object) else { return };
    for key in members.keys() {
        change(&|value| _ = value.as_object_mut().unwrap().remove(key));
        change(&|value| _ = value.as_object_mut().unwrap().insert("another".into(), json!(1.5)));
    }
    for key in members.keys() {
        mutate(root, &format!("{place}/{}", key.replace('/', "~1")), visit);
    }
}

/// All keys that a file has, each behind the name of its table.
fn told(table: &Value, name: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (key, value) in table.as_object().into_iter().flatten() {
        keys.insert(format!("{name}.{key}"));
        // Whatever librdkafka knows may stand there.
        if key != "properties" {
            keys.extend(told(value, key));
        }
    }
    keys
}

/// All keys that a schema has, each behind the name of its table.
fn described(schema: &Value) -> BTreeSet<String> {
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    let tables = definitions.map(|(name, table)| (name.as_str(), table)).chain([("", schema)]);
    let keys = tables.flat_map(|(name, table)| {
        let keys = table["properties"].as_object().into_iter().flatten();
        keys.map(move |(key, _)| format!("{name}.{key}"))
    });
    keys.collect()
}

#[test]
fn the_schema_says_what_the_reader_does() {
    let schema: Value = serde_json::from_str(&Settings::schema()).unwrap();
    let mut compiler = Compiler::new();
    compiler.add_resource("service.json", schema.clone()).unwrap();
    let mut schemas = Schemas::new();
    let root = compiler.compile("service.json", &mut schemas).unwrap();
    assert_eq!(told(&full(), ""), described(&schema), "the full file has what is described");
    assert_eq!(schemas.validate(&full(), root).map_err(|error| error.to_string()), Ok(()));
    let (mut refused, mut wrong) = (0, Vec::new());
    mutate(&full(), "", &mut |changed| {
        let file = file_of(changed);
        let is_valid = schemas.validate(changed, root).is_ok();
        match (Settings::parse(&file, Path::new("")), is_valid) {
            (Ok(_), true) => {}
            (Ok(_), false) => wrong.push(format!("only the schema refuses:\n{file}")),
            (Err(_), false) => refused += 1,
            (Err(faults), true) => {
                let beyond = |text: &str| BEYOND_A_SCHEMA.iter().any(|it| text.contains(it));
                let told = faults.iter().filter(|fault| !beyond(&fault.message));
                wrong.extend(told.map(|fault| format!("only the reader refuses: {fault}\n{file}")));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 500, "{refused} refused");
}

#[test]
fn the_schema_of_settings() {
    let schema = Settings::schema();
    assert!(!schema.contains(UNDESCRIBED), "a key without a form: {schema}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/service.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(file == schema, "service.json is out of date: run the tests with UPDATE_SCHEMAS=1");
}
