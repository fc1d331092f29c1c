//! A catalog that somebody else's partition contradicts: it does not come into force, whoever
//! decides; and where one did all the same, the partition says so, and there is a way out.

use super::super::broker::Broker;
use super::super::instance::Instance;
use super::super::load::PARTITIONS;
use super::{
    CUSTOMERS, JSON, PUT, Scene, customer, entries, entry, eventually, file_of, plan, put,
    subscription, told,
};
use usage_rater::stream::Partitioner;

/// The partitions that are live at an instance.
fn live(server: &Instance) -> Vec<u32> {
    let metrics = server.client().get("/metrics").body;
    let is_live = |number: &u32| {
        metrics.contains(&format!("usage_rater_partition_live{{partition=\"{number}\"}} 1"))
    };
    (0..PARTITIONS).filter(is_live).collect()
}

fn home(customer: usize) -> u32 {
    Partitioner::Murmur2.partition_of(format!("C{customer}").as_bytes(), PARTITIONS)
}

/// The day on which no subscription began.
const MOVED: &str = "\"2026-01-02\"";

/// The same catalog with subscriptions that begin a day later.
fn moved(catalog: &str) -> String {
    catalog.replace("\"2026-01-01\"", MOVED)
}

/// Only the partitions of the instance that decided were asked: what contradicted those of others
/// came into force, and they did not start again.
#[test]
fn what_other_instances_have_rated_is_asked_for() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let mut all = entries();
    let (a, b) = (scene.start("a"), scene.start("b"));
    put(&a, &all);
    eventually("each holds some", || {
        let (of_a, of_b) = (live(&a), live(&b));
        !of_a.is_empty() && !of_b.is_empty() && of_a.len() + of_b.len() == PARTITIONS as usize
    });
    // Whoever holds the first partition decides about entries at once; usage is of the other.
    let (decides, other) = if live(&a).contains(&0) { (a, b) } else { (b, a) };
    let elsewhere = live(&other);
    let theirs: Vec<usize> = (0..CUSTOMERS).filter(|one| elsewhere.contains(&home(*one))).collect();
    assert!(!theirs.is_empty(), "{elsewhere:?}");
    scene.use_by(&theirs, 1, 100);
    scene.all_rated_by(&other);
    let send = |server: &Instance, text: &str| server.client().send(PUT, JSON, text);
    send(&decides, &moved(&file_of(&all))).expect(409, "does not have");
    send(&other, &moved(&file_of(&all))).expect(409, "does not have");
    // Nor does an entry come into force, and it keeps no other away.
    let (key, text) = subscription(theirs[0]);
    scene.produce("catalog", &[(key.clone(), moved(&text)), customer(CUSTOMERS)]);
    eventually("that is told", || told(&decides, &format!("not in force yet: {key}: ")));
    let shows =
        |server: &Instance, words: &str| server.client().get("/v1/catalog").body.contains(words);
    eventually("the other entry is in force", || shows(&other, &format!("\"C{CUSTOMERS}\"")));
    assert!(!shows(&decides, MOVED) && !shows(&other, MOVED));
    scene.produce("catalog", &[subscription(theirs[0])]);
    all.push(customer(CUSTOMERS));
    // Of one that cannot be asked nothing is known, so nothing comes into force.
    other.kill();
    all.push(plan(2, "2026-02-01", "0.03"));
    send(&decides, &file_of(&all)).expect(503, "has not been asked");
    assert!(!shows(&decides, "\"version\":2"));
    // Once its session has ended.
    put(&decides, &all);
    send(&decides, &moved(&file_of(&all))).expect(409, "does not have");
    scene.rate_by(&decides, 2, 100);
    decides.client().get("/readyz").expect(200, "ready");
    decides.stop();
    scene.check(&all);
}

/// A record can be rated after its partition was asked and before the answer counts.
#[test]
fn a_partition_that_does_not_fit_says_so_and_goes_on_with_one_that_it_fits() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let all = entries();
    let server = scene.start_rating(&all);
    // As if it had been decided before that usage was rated.
    let (key, text) = subscription(1);
    let decided = [entry(&format!("in_force/{key}"), &moved(&text)), entry("in_force", "{}")];
    scene.produce("catalog", &decided);
    let name = format!("partition {}", home(1));
    let unready = |server: &Instance, words: &str| {
        let reply = server.client().get("/readyz");
        reply.status == 503
            && [&name, words, "such as the one before"]
                .iter()
                .all(|words| reply.body.contains(words))
    };
    eventually("it says so", || unready(&server, "goes on with the catalog before"));
    for words in ["is not taken: ", "does not have"] {
        eventually("that is told", || told(&server, words));
    }
    scene.rate_by(&server, 1, 50);
    server.stop();
    // The others start.
    let server = scene.start("a");
    eventually("it says so", || unready(&server, "does not start with the catalog in force"));
    eventually("that is told", || told(&server, "does not fit what was rated"));
    scene.use_in(1, 50);
    eventually("the others rate", || live(&server).len() == PARTITIONS as usize - 1);
    put(&server, &all);
    scene.all_rated_by(&server);
    eventually("it is ready", || server.client().get("/readyz").status == 200);
    server.stop();
    scene.check(&all);
}

/// A version stays once it is in force, so what it came too late for must go.
#[test]
fn records_that_a_new_version_came_too_late_for_can_be_cancelled() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let mut all = entries();
    let server = scene.start_rating(&all);
    let late = scene.sent;
    scene.use_by(&[1], 2, 1);
    scene.all_rated_by(&server);
    all.push(plan(2, "2026-02-01", "0.03"));
    let (key, text) = &all[all.len() - 1];
    let decided = [entry(&format!("in_force/{key}"), text), entry("in_force", "{}")];
    scene.produce("catalog", &decided);
    let unready = |server: &Instance| server.client().get("/readyz").body;
    eventually("it says so", || unready(&server).contains("takes effect before what was rated"));
    scene.cancel(late, 1);
    scene.all_rated_by(&server);
    eventually("it takes the catalog", || server.client().get("/readyz").status == 200);
    scene.rate_by(&server, 2, 50);
    server.stop();
    scene.check(&all);
}
