//! Members of the group: names that are kept over restarts, and the group's protocols.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;

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

#[test]
fn the_newer_protocol_of_groups_moves_partitions_too() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let old = "\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"500\"\n";
    let newer = (old, "\"group.protocol\" = \"consumer\"\n");
    let start = |name| start(&place, &names.settings(&broker.bootstrap, ""), name, newer);
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
