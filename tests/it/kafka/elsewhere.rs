//! Reads of what another instance holds: any instance answers for any subscription, also after a
//! move and after a kill, and never with totals of before.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::{Reply, eventually};

const PERIOD: &str = "2026-01-01";

fn start(place: &Workplace, names: &Names, broker: &Broker, name: &str) -> Instance {
    let config = format!("{name}.toml");
    // Periods that the clock closes would change between two looks.
    let further = format!("[state]\ndir = \"{name}\"\n[periods]\nidle = \"1h\"");
    let settings = names.settings(&broker.bootstrap, &further);
    place.write(&config, settings);
    Instance::start(place, &config)
}

fn totals_of(server: &Instance, number: usize) -> Reply {
    server.client().get(&format!("/v1/subscriptions/S{number}/totals"))
}

/// The totals of all subscriptions, as an instance answers; an answer may be put off for a while.
/// Whether they are closed yet is another question.
#[track_caller]
fn all_totals(server: &Instance) -> Vec<serde_json::Value> {
    let answer = |number| {
        let mut found = serde_json::Value::Null;
        eventually("an instance answers", || {
            let reply = totals_of(server, number);
            assert!([200, 503].contains(&reply.status), "{reply:?}");
            found = reply.json();
            reply.status == 200
        });
        for total in found["totals"].as_array_mut().unwrap() {
            let total = total.as_object_mut().unwrap();
            assert!(total.remove("status").is_some() && total.remove("revision").is_some());
        }
        found
    };
    (0..50).map(answer).collect()
}

fn is_ready(server: &Instance) -> bool {
    server.client().get("/readyz").status == 200
}

#[test]
fn any_instance_answers_for_any_subscription() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let mut load = Load::default();
    let a = start(&place, &names, broker, "a");
    load.send(&wire, &names, 1_000);
    a.catch_up(&wire, &names);
    let alone = all_totals(&a);
    // A second one takes some partitions over.
    let b = start(&place, &names, broker, "b");
    eventually("b rates, too", || b.said().iter().any(|line| line.contains("live, with")));
    eventually("both are ready", || is_ready(&a) && is_ready(&b));
    assert_eq!(all_totals(&a), alone);
    assert_eq!(all_totals(&b), alone);
    let elsewhere = "usage_rater_http_reads_elsewhere_total{answered=\"yes\"";
    assert!(a.counted(elsewhere) > 0 && b.counted(elsewhere) > 0);
    // Of the explanation the same holds; what there is none of is 404 from wherever it is held.
    for number in 0..10 {
        let path = format!("/v1/subscriptions/S{number}/charges/calls/explanation?period={PERIOD}");
        let (here, there) = (a.client().get(&path), b.client().get(&path));
        assert_eq!((here.status, &here.body), (200, &there.body), "{here:?}");
        let none = path.replace("calls", "none");
        a.client().get(&none).expect(404, "there is no total");
        b.client().get(&none).expect(404, "there is no total");
    }
    // What was passed on once is not passed on again.
    let mut refused = 0;
    for number in 0..50 {
        let mut client = a.client();
        let line = format!("GET /v1/subscriptions/S{number}/totals");
        client.begin(&line, "text/plain", "usage-rater-passed-on: 1").unwrap();
        let reply = client.reply().unwrap();
        if reply.status != 200 {
            reply.expect(503, "not held here");
            refused += 1;
        }
    }
    assert!((1..50).contains(&refused), "{refused}");
    // Once b has let go, a holds all; then b comes back, and is killed.
    b.stop();
    assert_eq!(all_totals(&a), alone);
    let b = start(&place, &names, broker, "b");
    eventually("b rates again", || b.said().iter().any(|line| line.contains("live, with")));
    assert_eq!(all_totals(&a), alone);
    b.kill();
    let statuses: Vec<u16> = (0..50).map(|number| totals_of(&a, number).status).collect();
    assert!(statuses.contains(&503), "nobody answers for what a dead one holds: {statuses:?}");
    assert_eq!(all_totals(&a), alone, "until its session has ended");
    load.send(&wire, &names, 300);
    a.catch_up(&wire, &names);
    a.stop();
    load.check(&place, &wire, &names);
}

#[test]
fn reads_that_wait_share_a_commit() {
    let Some(broker) = Broker::shared() else { return };
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    let mut load = Load::default();
    let server = start(&place, &names, broker, "a");
    load.send(&wire, &names, 200);
    server.catch_up(&wire, &names);
    let commits = || server.counted("usage_rater_commit_seconds_count");
    let before = commits();
    let reads = 20 * 20;
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = server.client();
                for _ in 0..20 {
                    client.get("/v1/subscriptions/S7/totals").expect(200, "totals");
                }
            });
        }
    });
    let made = commits() - before;
    assert!(made > 0 && made < reads / 2, "{made} commits for {reads} reads");
    server.stop();
}
