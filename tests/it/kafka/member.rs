//! Members of the group: names that are kept over restarts, and the group's protocols.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;
use std::time::Duration;

/// Starts an instance with a state of its own, and with other words for some of the settings.
#[track_caller]
fn start(place: &Workplace, settings: &str, name: &str, (old, new): (&str, &str)) -> Instance {
    assert!(settings.contains(old), "{settings}");
    let settings = settings.replace(old, new) + &format!("[state]\ndir = \"{name}\"\n");
    let config = format!("{name}.toml");
    place.write(&config, settings);
    Instance::start(place, &config)
}

/// The one that was fenced ended with words about a supervisor.
#[test]
fn of_two_instances_with_one_name_the_first_ends_and_says_why() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let named = ("[kafka]\n", "[kafka]\ninstance_id = \"rater-1\"\n");
    let start = |name| start(&place, &names.settings(&broker.bootstrap, ""), name, named);
    let mut load = Load::default();
    let first = start("a");
    load.send(&wire, &names, 300);
    first.catch_up(&wire, &names);
    let second = start("b");
    let (code, said) = first.end();
    assert_eq!(code, Some(3), "{said:#?}");
    let last = said.last().unwrap();
    for words in ["kafka.instance_id", "rater-1"] {
        assert!(last.contains(words), "no {words} in {last}");
    }
    load.send(&wire, &names, 300);
    second.catch_up(&wire, &names);
    second.stop();
    load.check(&place, &wire, &names);
}

/// A broker that had not answered for long took the instance's earlier request to join for that of
/// another, and the instance ended.
#[test]
fn a_name_that_was_taken_by_mistake_is_claimed_again() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let named = ("[kafka]\n", "[kafka]\ninstance_id = \"rater-1\"\n");
    let server = start(&place, &names.settings(&broker.bootstrap, ""), "a", named);
    let mut load = Load::default();
    load.send(&wire, &names, 300);
    server.catch_up(&wire, &names);
    // As that request does, it has the name and goes away.
    let ghost = wire.join(&names, "rater-1");
    let told = |words: &str| server.said().iter().any(|line| line.contains(words));
    eventually("the name is lost", || {
        ghost.poll(Duration::from_millis(100));
        told("so it is joined anew")
    });
    load.send(&wire, &names, 300);
    server.catch_up(&wire, &names);
    drop(ghost);
    server.stop();
    load.check(&place, &wire, &names);
}

/// The name of one that died is not free until its session has ended, and its next start ended
/// with 3.
#[test]
fn a_name_that_is_not_free_yet_is_waited_for() {
    let sessions = "group.consumer.min.session.timeout.ms=5000\n\
                    group.consumer.session.timeout.ms=10000\n\
                    group.consumer.min.heartbeat.interval.ms=1000\n\
                    group.consumer.heartbeat.interval.ms=1000\n";
    let Some(broker) = Broker::with_settings(sessions) else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let settings = names.settings(&broker.bootstrap, "");
    let named = settings.replace("[kafka]\n", "[kafka]\ninstance_id = \"rater-1\"\n");
    let mut load = Load::default();
    let first = start(&place, &named, "a", NEWER);
    load.send(&wire, &names, 300);
    first.catch_up(&wire, &names);
    first.kill();
    let second = start(&place, &named, "a", NEWER);
    load.send(&wire, &names, 300);
    second.catch_up(&wire, &names);
    assert!(
        second.said().iter().any(|line| line.contains("its session has not ended yet")),
        "{:#?}",
        second.said()
    );
    second.stop();
    load.check(&place, &wire, &names);
}

/// The settings of the newer protocol in the place of the older one's.
const NEWER: (&str, &str) = (
    "\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"500\"\n",
    "\"group.protocol\" = \"consumer\"\n",
);

#[test]
fn the_newer_protocol_of_groups_moves_partitions_too() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let start = |name| start(&place, &names.settings(&broker.bootstrap, ""), name, NEWER);
    let mut load = Load::default();
    let first = start("a");
    load.send(&wire, &names, 500);
    first.catch_up(&wire, &names);
    let second = start("b");
    eventually("partitions move", || second.said().iter().any(|line| line.contains("live, with")));
    load.send(&wire, &names, 500);
    first.stop();
    load.send(&wire, &names, 500);
    second.catch_up(&wire, &names);
    second.stop();
    load.check(&place, &wire, &names);
}
