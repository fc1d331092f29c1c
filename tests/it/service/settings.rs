//! Settings, and what is in the way of a start: each is said, and ends with its exit code.

use super::server::{Server, write_settings};
use super::world::{self, CATALOG, LINES};
use crate::program::Workplace;
use std::net::TcpListener;

const RUN: &str = "run --config usage-rater.toml";

#[test]
fn faults_of_the_settings_are_told_with_their_lines() {
    let place = Workplace::new();
    place.fail("run", 2, &["--config <FILE>"]);
    place.fail(RUN, 1, &["usage-rater.toml", "no such file"]);
    place.write("usage-rater.toml", "mode = \"embedded\"\n[htpp]\n[state]\ndri = \"x\"\n");
    place.fail(RUN, 1, &["usage-rater.toml:2:2:", "\"http\"?", ":4:1:", "\"dir\"?"]);
    place.write("usage-rater.toml", "mode = \"embedded\"\ngrace = ");
    place.fail(RUN, 1, &["usage-rater.toml:2:", "not valid TOML"]);
    place.write("usage-rater.toml", "mode = \"kafka\"\n[kafka]\npartition_by = \"owner\"\n");
    place.fail(RUN, 1, &["usage-rater.toml:3:", "partition_by", "\"customer\" is"]);
    place.write("usage-rater.toml", "mode = \"kafka\"\n[kafka.properties]\nacks = 0\n");
    place.fail(RUN, 1, &["usage-rater.toml:3:", "acks", "exactly once"]);
    assert_eq!(place.names("."), ["usage-rater.toml"], "nothing was made");
}

#[test]
fn faults_of_the_catalog_are_told_before_anything_is_made() {
    let place = Workplace::new();
    write_settings(&place, "catalog = \"catalog.json\"\n");
    place.fail(RUN, 1, &["catalog.json", "no such file"]);
    place.write("catalog.json", CATALOG.replace("\"USD\"", "\"usd\""));
    place.fail(RUN, 1, &["catalog.json:3:", "usd", "\"USD\"?"]);
    assert!(place.names("data").is_empty());
}

#[test]
fn a_catalog_that_contradicts_the_state_is_refused() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    server.connect().usage(LINES, &world::lines("a", 3)).expect(200, "accepted");
    server.stop();
    place.write("catalog.json", CATALOG.replace("0.01", "0.02"));
    place.fail(RUN, 1, &["version 1", "\"pro\"", "immutable"]);
    place.write("catalog.json", CATALOG.replace("\"SUB-0\"", "\"SUB-9\""));
    place.fail(RUN, 1, &["\"api\"", "\"SUB-0\"", "does not have"]);
    let start = "\"start\":\"2026-01-01\"";
    place.write("catalog.json", CATALOG.replace(start, "\"start\":\"2026-01-02\""));
    place.fail(RUN, 1, &["\"SUB-0\"", "does not have"]);
    place.write("catalog.json", CATALOG);
    let server = Server::start(&place, "catalog = \"catalog.json\"\n");
    assert_eq!(server.connect().totals("SUB-0", "2026-01")[0]["records"], 3);
}

#[test]
fn a_port_or_a_state_in_use_ends_with_3() {
    let place = Workplace::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = format!("mode = \"embedded\"\n[http]\nlisten = \"{address}\"\n");
    place.write("usage-rater.toml", settings);
    place.fail(RUN, 3, &[&address.to_string(), "in use"]);
    let server = world::start(&place, "");
    place.fail(RUN, 3, &["another", "data"]);
    server.connect().usage(LINES, &world::lines("a", 1)).expect(200, "accepted");
    server.stop();
}

#[test]
fn a_directory_of_somebody_else_is_no_state() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("data")).unwrap();
    place.write("data/letter.txt", "not a state");
    write_settings(&place, "");
    place.fail(RUN, 1, &["data", "not empty"]);
    assert_eq!(place.names("data"), ["letter.txt"]);
}
