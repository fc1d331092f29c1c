//! What cannot work is told, with the setting's name, and never hangs.

use super::broker::Broker;
use super::instance::Names;
use super::load::catalog;
use super::wire::Wire;
use crate::program::Workplace;

#[track_caller]
fn refused(settings: &str, words: &[&str]) {
    let place = Workplace::new();
    place.write("catalog.json", catalog());
    place.write("a.toml", settings);
    place.fail("run --config a.toml", 3, words);
}

#[test]
fn no_broker() {
    let settings = Names::new().settings("127.0.0.1:1", "");
    refused(&settings, &["kafka.bootstrap_servers", "127.0.0.1:1"]);
}

#[test]
fn partition_counts_that_differ() {
    let Some(broker) = Broker::shared() else { return };
    let (names, wire) = (Names::new(), Wire::new(&broker.bootstrap));
    wire.make(&names.topic("raw"), 3, &[]);
    wire.make(&names.topic("state"), 2, &[("retention.ms", "-1")]);
    let settings = names.settings(&broker.bootstrap, "");
    refused(&settings, &["kafka.topics.state", "has 2 partitions", "must have 3"]);
}

#[test]
fn a_topic_that_is_compacted() {
    let Some(broker) = Broker::shared() else { return };
    let (names, wire) = (Names::new(), Wire::new(&broker.bootstrap));
    wire.make(&names.topic("raw"), 2, &[("cleanup.policy", "compact")]);
    let settings = names.settings(&broker.bootstrap, "");
    refused(&settings, &["kafka.topics.raw", "cleanup.policy"]);
}

#[test]
fn a_state_topic_that_forgets() {
    let Some(broker) = Broker::shared() else { return };
    let (names, wire) = (Names::new(), Wire::new(&broker.bootstrap));
    wire.make(&names.topic("raw"), 2, &[]);
    wire.make(&names.topic("state"), 2, &[]);
    let settings = names.settings(&broker.bootstrap, "");
    refused(&settings, &["kafka.topics.state", "retention.ms"]);
}
