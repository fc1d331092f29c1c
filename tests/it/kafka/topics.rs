//! Topics that change while the service runs.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;

/// An instance that has rated some usage.
struct Scene {
    place: Workplace,
    names: Names,
    wire: Wire,
    server: Instance,
    load: Load,
}

impl Scene {
    fn new(broker: &Broker) -> Self {
        let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
        place.write("catalog.json", catalog());
        place.write("a.toml", names.settings(&broker.bootstrap, ""));
        let server = Instance::start(&place, "a.toml");
        let mut load = Load::default();
        load.send(&wire, &names, 200);
        server.catch_up(&wire, &names);
        Self { place, names, wire, server, load }
    }
}

/// What was in the new partitions was read by nobody, and nobody was told.
#[test]
fn partitions_that_are_added_are_told_of() {
    let Some(broker) = Broker::shared() else { return };
    let Scene { place, names, wire, server, mut load } = Scene::new(broker);
    wire.add_partitions(&names.topic("raw"), 6);
    let unready = |words: &str| {
        let reply = server.client().get("/readyz");
        reply.status == 503 && reply.body.contains("kafka.topics.raw") && reply.body.contains(words)
    };
    eventually("it is told", || unready("has 6 partitions now, but had 4"));
    // Those that it has go on.
    load.send(&wire, &names, 200);
    server.catch_up(&wire, &names);
    server.stop();
    load.check(&place, &wire, &names);
}

/// A topic that was deleted came back with one partition, or failed with words that did not say so.
#[test]
fn a_topic_that_is_deleted_is_named() {
    let Some(broker) = Broker::shared() else { return };
    let Scene { place, names, wire, server, mut load } = Scene::new(broker);
    wire.delete(&names.topic("rated"));
    load.send(&wire, &names, 200);
    let gone = format!("kafka.topics.rated: topic {} is not there", names.topic("rated"));
    eventually("it is told", || {
        let reply = server.client().get("/readyz");
        reply.status == 503 && reply.body.contains(&gone)
    });
    server.kill();
    // What it held is gone, which is told of the one that takes its place.
    let server = Instance::start(&place, "a.toml");
    server.catch_up(&wire, &names);
    let told = |words: &str| server.said().iter().any(|line| line.contains(words));
    assert!(told("kafka.topics.rated: ") && told("is made anew"), "{:#?}", server.said());
    server.stop();
}
