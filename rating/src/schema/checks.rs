//! What schemas are tested with: their files, and a validator that is not ours.

use super::UNDESCRIBED;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;
use std::path::Path;

/// The text of a file of the repository.
#[track_caller]
pub(crate) fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a schema with its file, or writes that where `UPDATE_SCHEMAS` is set.
#[track_caller]
pub(crate) fn check_file(path: &str, schema: &str) {
    assert!(!schema.contains(UNDESCRIBED), "{schema}");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::write(path, schema).unwrap();
    }
    assert!(file(path) == schema, "{path} is out of date: run the tests with UPDATE_SCHEMAS=1");
}

/// A compiled schema.
pub(crate) struct Validator {
    schemas: Schemas,
    root: SchemaIndex,
}

impl Validator {
    #[track_caller]
    pub(crate) fn new(schema: &str) -> Self {
        let mut compiler = Compiler::new();
        let schema: Value = serde_json::from_str(schema).unwrap();
        compiler.add_resource("schema.json", schema).unwrap();
        let mut schemas = Schemas::new();
        let root = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| {
            panic!("{error:#}");
        });
        Self { schemas, root }
    }

    /// What is wrong with a value, if anything is.
    pub(crate) fn fault(&self, value: &Value) -> Option<String> {
        self.schemas.validate(value, self.root).err().map(|error| format!("{error:#}"))
    }

    pub(crate) fn is_valid(&self, value: &Value) -> bool {
        self.schemas.validate(value, self.root).is_ok()
    }

    #[track_caller]
    pub(crate) fn check(&self, text: &str, is_valid: bool) {
        let fault = self.fault(&serde_json::from_str(text).unwrap());
        assert_eq!(fault.is_none(), is_valid, "{text}\n{fault:?}");
    }
}

#[test]
fn the_schema_of_usage_records() {
    let schema = crate::UsageRecord::schema();
    check_file("docs/schemas/usage.json", &schema);
    let validator = Validator::new(&schema);
    for line in file("examples/first/usage.ndjson").lines() {
        validator.check(line, true);
    }
    let good = r#"{"specversion":"1.0","id":"a","source":"s","type":"t","subject":"C",
        "time":"2026-01-14T09:30:00.123456789+01:00","data":{"n":1}}"#;
    for (from, to, is_valid) in [
        ("", "", true),
        ("\"data\"", "\"subscription\":null,\"traceparent\":\"x\",\"data\"", true),
        (",\"data\"", ",\"other\"", true),
        ("\"1.0\"", "\"0.3\"", false),
        ("\"a\"", "7", false),
        ("\"a\"", "\"\"", false),
        ("\"subject\":\"C\",", "", false),
        ("+01:00", "", false),
        ("T09", " 09", false),
        ("\"t\"", "\"usage.cancelled\"", false),
        ("\"t\"", "\"usage.amended\"", false),
    ] {
        validator.check(&good.replacen(from, to, 1), is_valid);
    }
    let correction = |name: &str, data: &str| {
        good.replace("\"t\"", &format!("\"{name}\"")).replace("{\"n\":1}", data)
    };
    let of = r#"{"of":{"source":"s","id":"b"}}"#;
    validator.check(&correction("usage.cancelled", of), true);
    validator.check(&correction("usage.cancelled", &of.replace("\"b\"", "7")), false);
    validator.check(&correction("usage.amended", of), false);
    let replacing = of.replace("}}", "},\"replacement\":{\"n\":2}}");
    validator.check(&correction("usage.amended", &replacing), true);
}
