//! The JSON Schema of the settings, made of the lists by which they are read.
//!
//! Editors that check TOML take a JSON Schema. Nothing else needs this one, so that only tests make
//! it: a key that is read and has no form here fails one of them. A new section takes a line in
//! [`SECTIONS`], a new key one in [`form`] and a value in the full file of the tests.

mod agreement;

use super::read::{
    BYTES_MAX, COMMIT, COMMIT_INTERVAL_MAX, DEDUPE, FIXED_PROPERTIES, HTTP, KAFKA, MODES,
    PARTITION_BY, PARTITIONS_MAX, PERIODS, ROOT, SNAPSHOT_URLS, SNAPSHOTS, STATE, TOPICS, WAITING,
};
use super::{Settings, duration};
use crate::stream::Partitioner;
use rating::schema::{Object, Schema, document, map, one_of, text};

/// The tables of the file, with their keys.
const SECTIONS: [(&str, &[&str], &str); 9] = [
    ("kafka", KAFKA, "Only with the mode \"kafka\""),
    ("topics", TOPICS, "Names of the topics; those that are missing are made"),
    ("state", STATE, "Where the state lies"),
    ("http", HTTP, "How the service is reached, and how much it takes at once"),
    ("commit", COMMIT, "How long requests are gathered into one commit"),
    ("periods", PERIODS, "When periods close"),
    ("dedupe", DEDUPE, "How far back records are known"),
    ("waiting", WAITING, "Records whose subject is not in the catalog yet"),
    ("snapshots", SNAPSHOTS, "Copies of the state, from which it is restored"),
];

impl Settings {
    fn schema() -> String {
        let definition = |(name, keys, told)| (name, table(name, keys).described(told));
        let definitions = SECTIONS.map(definition);
        document("Settings of the service", table("", ROOT), definitions.into())
    }
}

/// A table with the keys that its reader knows; the whole file is the one without a name.
fn table(section: &str, keys: &[&'static str]) -> Schema {
    let forms = keys.iter().filter_map(|key| Some((*key, form(section, key)?)));
    let object = forms.fold(Object::of(keys), |object, (key, form)| {
        // TOML has no null.
        if key == "mode" { object.must(key, form) } else { object.may_exactly(key, form) }
    });
    object.schema()
}

/// The form of a key's value.
fn form(section: &str, key: &str) -> Option<Schema> {
    let size = |told| Schema::number((1, BYTES_MAX)).described(told);
    let duration = |told| Schema::pattern(duration::PATTERN).described(told);
    Some(match (section, key) {
        ("", key) | ("kafka", key @ "topics") if SECTIONS.iter().any(|(name, ..)| *name == key) => {
            Schema::reference(key)
        }
        ("", "mode") => one_of(&MODES).described("Where usage comes from and goes to"),
        ("", "catalog") => file("The catalog; without one, the API or the topic brings it"),
        ("", "future_tolerance") => {
            duration("How far ahead of its receipt a record's time may lie")
        }
        ("kafka", key) => return of_kafka(key),
        ("topics", _) => text(),
        ("state", "dir") => file("A directory for RocksDB, and for the catalog of the API"),
        ("http", "listen") => {
            Schema::pattern("^.+:[0-9]+$").described("Address and port; port 0 takes a free one")
        }
        ("http", "advertise") => Schema::pattern("^.+:[0-9]+$")
            .described("Address and port at which other instances reach this one"),
        ("http", "body_bytes_max") => size("Largest body of usage; larger is 413"),
        ("http", "queue_bytes_max") => size("All bodies that are read or rated; beyond it is 429"),
        ("http", "queue_requests_max") => {
            size("Requests that wait for the worker; beyond it is 429")
        }
        ("http", "connections_max") => size("Connections that are open at once; more wait"),
        ("http", "body_timeout") => duration("How long a body may take to arrive"),
        ("commit", "interval_ms") => Schema::number((1, COMMIT_INTERVAL_MAX)),
        ("periods", "grace") => {
            duration("A period closes when the watermark is so far past its end")
        }
        ("periods", "idle") => {
            duration("After so long without a record, the watermark follows the clock")
        }
        ("dedupe", "window") => duration("A record whose own time is older is late_closed"),
        ("waiting", "bytes_max") => size("Memory that they may take"),
        ("waiting", "age") => duration("How long they may wait"),
        ("snapshots", "url") => Schema::pattern(&format!("^({}).+$", SNAPSHOT_URLS.join("|")))
            .described("Where they go: a place that all instances reach"),
        ("snapshots", "interval") => duration("How often one is made, 100ms at least"),
        _ => return None,
    })
}

fn of_kafka(key: &str) -> Option<Schema> {
    Some(match key {
        "partitioner" => {
            one_of(&Partitioner::ALL).described("How producers of raw usage spread customers")
        }
        "partition_by" => Schema::exactly(PARTITION_BY),
        "bootstrap_servers" => text().described("Brokers as host:port, with commas between them"),
        "group" => text().described("The consumer group, and the name under which it writes"),
        "instance_id" => text().described("A name of this instance that survives its restarts"),
        "partitions" => Schema::number((1, PARTITIONS_MAX)).described("Of topics that are made"),
        "properties" => {
            let fixed = FIXED_PROPERTIES.iter().map(|name| (*name, Schema::any().negated()));
            map(Schema::of_types(&["string", "integer", "boolean"]))
                .and(Schema::members(fixed, &[]))
                .described("Properties of librdkafka, but for those that exactly once rests on")
        }
        _ => return None,
    })
}

fn file(told: &str) -> Schema {
    text().described(&format!("{told}; its name begins where the settings lie"))
}
