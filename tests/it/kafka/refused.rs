//! What cannot work is told, with the setting's name, and never hangs.

use super::broker::{Broker, MECHANISMS};
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;

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
fn credentials_that_are_wrong() {
    let Some(broker) = Broker::with_password() else { return };
    let names = Names::new();
    let with = |address: &str, (mechanism, password): (&str, &str), more: &[(&str, &str)]| {
        let secret = [("sasl.username", "rater"), ("sasl.password", password)];
        let properties = [("sasl.mechanism", mechanism)].into_iter().chain(secret);
        let properties = properties.chain(more.iter().copied());
        let lines = properties.map(|(key, value)| format!("\"{key}\" = \"{value}\"\n"));
        let lines = format!("[kafka.properties]\n{}", lines.collect::<String>());
        names.settings(address, "").replace("[kafka.properties]\n", &lines)
    };
    let plain = [("security.protocol", "SASL_PLAINTEXT")];
    let authority = broker.authority.to_str().unwrap();
    let tls = [("security.protocol", "SASL_SSL"), ("ssl.ca.location", authority)];
    for (address, ways) in [(&broker.plain, &plain[..]), (&broker.tls, &tls[..])] {
        for mechanism in MECHANISMS {
            let wrong = with(address, (mechanism, "wrong"), ways);
            refused(&wrong, &["kafka.properties", "sasl.password", address]);
            // It is not for anything else that it is refused.
            let place = Workplace::new();
            place.write("catalog.json", catalog());
            place.write("a.toml", with(address, (mechanism, "secret"), ways));
            Instance::start(&place, "a.toml").stop();
        }
    }
    // A certificate that nobody here vouches for.
    let untrusted = with(&broker.tls, ("PLAIN", "secret"), &tls[..1]);
    refused(&untrusted, &["kafka.properties", "ssl.", &broker.tls]);
}

#[test]
fn a_catalog_topic_that_forgets() {
    let Some(broker) = Broker::shared() else { return };
    let (names, wire) = (Names::new(), Wire::new(&broker.bootstrap));
    wire.make(&names.topic("catalog"), 1, &[]);
    let settings = names.settings(&broker.bootstrap, "");
    refused(&settings, &["kafka.topics.catalog", "cleanup.policy"]);
}

#[test]
fn a_state_topic_that_takes_too_little() {
    let Some(broker) = Broker::shared() else { return };
    let (names, wire) = (Names::new(), Wire::new(&broker.bootstrap));
    wire.make(&names.topic("raw"), 2, &[]);
    let kept = [("retention.ms", "-1"), ("max.message.bytes", "500000")];
    wire.make(&names.topic("state"), 2, &kept);
    let settings = names.settings(&broker.bootstrap, "");
    refused(&settings, &["kafka.topics.state", "max.message.bytes"]);
}

/// What is larger than its topic takes stopped its partition with words that named no topic.
#[test]
fn a_rated_topic_that_takes_too_little_is_named_and_mended() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    wire.make(&names.topic("rated"), 4, &[("max.message.bytes", "100")]);
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, ""));
    let server = Instance::start(&place, "a.toml");
    let mut load = Load::default();
    load.send(&wire, &names, 100);
    let told = |words: &str| server.said().iter().any(|line| line.contains(words));
    eventually("the topic is named", || told("max.message.bytes") && told(&names.topic("rated")));
    wire.set(&names.topic("rated"), ("max.message.bytes", "2400000"));
    server.catch_up(&wire, &names);
    server.stop();
    load.check(&place, &wire, &names);
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
fn a_raw_topic_that_is_compacted_or_forgets_too_early() {
    let Some(broker) = Broker::shared() else { return };
    let wire = Wire::new(&broker.bootstrap);
    for (property, words) in [
        (("cleanup.policy", "compact"), &["kafka.topics.raw", "cleanup.policy"][..]),
        (("retention.ms", "3600000"), &["kafka.topics.raw", "retention.ms", "dedupe.window"][..]),
    ] {
        let names = Names::new();
        wire.make(&names.topic("raw"), 2, &[property]);
        refused(&names.settings(&broker.bootstrap, ""), words);
    }
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

/// It was told again and again, and the service never joined.
#[test]
fn a_session_that_brokers_do_not_allow() {
    let Some(broker) = Broker::shared() else { return };
    let longer = "\"3000000\"\n\"max.poll.interval.ms\" = \"4000000\"";
    let settings = Names::new().settings(&broker.bootstrap, "").replace("\"6000\"", longer);
    refused(&settings, &["kafka.properties", "session.timeout.ms"]);
}

/// What only the clients of partitions look at was found when they were made, again and again.
#[test]
fn properties_that_nobody_knows() {
    let names = Names::new();
    for (property, words) in [
        ("\"no.such.property\" = \"1\"", "no.such.property"),
        ("\"linger.ms\" = \"soon\"", "linger.ms"),
        ("\"max.poll.interval.ms\" = \"5000\"", "session.timeout.ms"),
        ("\"ssl.ca.location\" = \"no-such-file\"\n\"security.protocol\" = \"ssl\"", "ssl.ca"),
        ("\"partitioner\" = \"crc32\"", "partitioner"),
    ] {
        let lines = format!("[kafka.properties]\n{property}\n");
        let settings = names.settings("127.0.0.1:1", "").replace("[kafka.properties]\n", &lines);
        let place = Workplace::new();
        place.write("catalog.json", catalog());
        place.write("a.toml", settings);
        place.fail("run --config a.toml", 1, &["kafka.properties", words]);
    }
}
