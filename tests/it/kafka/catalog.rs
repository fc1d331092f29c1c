//! The catalog of a service that runs: from its topic, entry by entry; by the API; from its file
//! at a signal. What was rated is checked against `usage-rater rate` with the last catalog.

mod elsewhere;

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, PARTITIONS};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::{eventually, holds};
use std::fmt::Write as _;
use usage_rater::stream::Partitioner;

const CUSTOMERS: usize = 8;
const PUT: &str = "PUT /v1/catalog";
const JSON: &str = "application/json";
/// Key and text of an entry.
type Entry = (String, String);

fn entry(key: &str, text: &str) -> Entry {
    (key.to_owned(), text.to_owned())
}

fn meter() -> Entry {
    entry("meter/calls", r#"{"key":"calls","event_type":"t","aggregation":"sum","value":"$.n"}"#)
}

fn plan(version: usize, from: &str, price: &str) -> Entry {
    let text = format!(
        r#"{{"key":"pro","version":{version},"effective_from":"{from}T00:00:00Z","currency":"EUR",
            "charges":[{{"key":"calls","meter":"calls","price":{{"model":"graduated","tiers":[
                {{"up_to":"20","unit_price":"{price}"}},
                {{"up_to":null,"unit_price":"0.005"}}]}}}}]}}"#
    );
    (format!("plan/pro/{version}"), text)
}

fn customer(number: usize) -> Entry {
    (format!("customer/C{number}"), format!(r#"{{"id":"C{number}","time_zone":"Europe/Berlin"}}"#))
}

fn subscription(number: usize) -> Entry {
    let text =
        format!(r#"{{"id":"S{number}","customer":"C{number}","plan":"pro","start":"2026-01-01"}}"#);
    (format!("subscription/S{number}"), text)
}

/// All entries, each before those that it needs.
fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = (0..CUSTOMERS).map(subscription).collect();
    entries.extend((0..CUSTOMERS).map(customer));
    entries.extend([plan(1, "2025-12-01", "0.02"), meter()]);
    entries
}

/// The same as a file.
fn file_of(entries: &[Entry]) -> String {
    let lists = [("meter", "meters"), ("plan", "plans"), ("customer", "customers")];
    let lists = lists.into_iter().chain([("subscription", "subscriptions")]);
    let lists = lists.map(|(kind, list)| {
        let own = entries.iter().filter(|(key, _)| key.split('/').next() == Some(kind));
        let own: Vec<&str> = own.map(|(_, text)| text.as_str()).collect();
        format!("\"{list}\":[{}]", own.join(",\n"))
    });
    format!("{{{}}}\n", lists.collect::<Vec<_>>().join(",\n"))
}

/// A place where the catalog comes from the topic, and usage that has been sent to it.
struct Scene {
    place: Workplace,
    names: Names,
    wire: Wire,
    bootstrap: String,
    sent: usize,
    file: String,
}

impl Scene {
    fn new(broker: &Broker) -> Self {
        let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
        wire.make(&names.topic("catalog"), 1, &[("cleanup.policy", "compact")]);
        let (bootstrap, file) = (broker.bootstrap.clone(), String::new());
        Self { place, names, wire, bootstrap, sent: 0, file }
    }

    fn start(&self, state: &str) -> Instance {
        self.start_with(state, "catalog")
    }

    /// Starts an instance with a state of its own, whose catalog comes from this topic.
    fn start_with(&self, state: &str, topic: &str) -> Instance {
        let settings = self
            .names
            .settings(&self.bootstrap, &further(state))
            .replace("catalog = \"catalog.json\"\n", "")
            .replace(&self.names.topic("catalog"), &self.names.topic(topic));
        let config = format!("{state}.toml");
        self.place.write(&config, settings);
        Instance::start(&self.place, &config)
    }

    fn produce(&self, topic: &str, entries: &[Entry]) {
        for (key, text) in entries {
            self.wire.send(&self.names.topic(topic), 0, (key, text.as_bytes()));
        }
        self.wire.flush();
    }

    /// Usage of all customers in a month.
    fn use_in(&mut self, month: usize, records: usize) {
        self.use_by(&Vec::from_iter(0..CUSTOMERS), month, records);
    }

    /// Usage of some customers in a month.
    fn use_by(&mut self, customers: &[usize], month: usize, records: usize) {
        for _ in 0..records {
            let number = self.sent;
            self.sent += 1;
            let customer = format!("C{}", customers[number % customers.len()]);
            let record = format!(
                "{{\"specversion\":\"1.0\",\"id\":\"r{number}\",\"source\":\"s\",\"type\":\"t\",\
                 \"subject\":\"{customer}\",\"time\":\"2026-{month:02}-{:02}T10:00:00Z\",\
                 \"data\":{{\"n\":\"{}.{:03}\"}}}}",
                2 + number % 26,
                number % 9,
                number % 1_000
            );
            let home = Partitioner::Murmur2.partition_of(customer.as_bytes(), PARTITIONS);
            let topic = self.names.topic("raw");
            let partition = i32::try_from(home).unwrap();
            self.wire.send(&topic, partition, (&customer, record.as_bytes()));
            writeln!(self.file, "{record}").unwrap();
        }
        self.wire.flush();
    }

    /// Takes back a record of a customer.
    fn cancel(&mut self, number: usize, customer: usize) {
        let record = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"c{number}\",\"source\":\"s\",\"type\":\
             \"usage.cancelled\",\"subject\":\"C{customer}\",\"time\":\"2026-02-28T10:00:00Z\",\
             \"data\":{{\"of\":{{\"source\":\"s\",\"id\":\"r{number}\"}}}}}}"
        );
        let customer = format!("C{customer}");
        let home =
            i32::try_from(Partitioner::Murmur2.partition_of(customer.as_bytes(), PARTITIONS))
                .unwrap();
        self.wire.send(&self.names.topic("raw"), home, (&customer, record.as_bytes()));
        self.wire.flush();
        self.sent += 1;
        writeln!(self.file, "{record}").unwrap();
    }

    /// Waits until all of it is rated, and nothing waits for its subject.
    #[track_caller]
    fn all_rated_by(&self, server: &Instance) {
        let records = i64::try_from(self.sent).unwrap();
        eventually("everything is rated", || server.counted("outcome=\"rated\"") == records);
    }

    /// Usage of all customers in a month, which one instance rates.
    #[track_caller]
    fn rate_by(&mut self, server: &Instance, month: usize, records: usize) {
        self.use_in(month, records);
        self.all_rated_by(server);
    }

    /// An instance that is given a catalog by the API, and has rated some usage by it.
    #[track_caller]
    fn start_rating(&mut self, catalog: &[Entry]) -> Instance {
        let server = self.start("a");
        put(&server, catalog);
        self.rate_by(&server, 1, 100);
        server
    }

    /// Checks what came out against `usage-rater rate`, and by `verify` with the topic's catalog.
    #[track_caller]
    fn check(&self, entries: &[Entry]) {
        self.place.write("catalog.json", file_of(entries));
        Load::given(self.file.clone(), self.sent).check(&self.place, &self.wire, &self.names);
    }
}

/// A state of its own, and periods that the clock does not close: prices change in them.
fn further(state: &str) -> String {
    format!("[state]\ndir = \"{state}\"\n[periods]\nidle = \"1h\"")
}

/// Puts a whole catalog in force, as soon as that can be.
#[track_caller]
fn put(server: &Instance, catalog: &[Entry]) {
    let file = file_of(catalog);
    eventually("it is taken", || server.client().send(PUT, JSON, &file).status == 200);
}

fn told(server: &Instance, words: &str) -> bool {
    server.said().iter().any(|line| line.contains(words))
}

#[test]
fn entries_come_in_any_order_and_while_it_runs() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let mut all = entries();
    scene.produce("catalog", &all);
    scene.produce("catalog", &[entry("customer/BAD", "{\"id\":7}"), entry("invoice/1", "{}")]);
    let server = scene.start("a");
    scene.rate_by(&server, 1, 200);
    eventually("the faulty one is told", || told(&server, "customer/BAD: "));
    eventually("and what is no entry", || told(&server, "invoice/1"));
    server.client().get("/readyz").expect(200, "ready");
    // A price from February on, without a restart.
    all.push(plan(2, "2026-02-01", "0.03"));
    scene.produce("catalog", &all[all.len() - 1..]);
    eventually("the price is in force", || {
        server.client().get("/v1/catalog").body.contains("\"version\":2")
    });
    scene.rate_by(&server, 2, 200);
    // One version that is in force does not change.
    scene.produce("catalog", &[plan(1, "2025-12-01", "0.07")]);
    eventually("that is told", || told(&server, "immutable"));
    server.stop();
    // A restart keeps it, and so does an instance that has nothing yet.
    for state in ["a", "b"] {
        let server = scene.start(state);
        scene.rate_by(&server, 2, 100);
        server.stop();
    }
    scene.check(&all);
}

/// The last good text of an entry was in force until the next start, and then was not: its owner's
/// usage would have waited, or been rated otherwise. Now the topic keeps what is in force.
#[test]
fn a_faulty_text_leaves_the_good_one_in_force_over_restarts_and_moves() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let all = entries();
    scene.produce("catalog", &all);
    let server = scene.start("a");
    scene.rate_by(&server, 1, 100);
    scene.produce("catalog", &[entry("customer/C1", "{\"id\":\"C1\",\"time_zone\":\"Atlantis\"}")]);
    eventually("the faulty text is told", || told(&server, "customer/C1: "));
    scene.rate_by(&server, 1, 50);
    server.stop();
    for state in ["a", "b"] {
        let server = scene.start(state);
        scene.rate_by(&server, 1, 50);
        eventually("it is told again", || told(&server, "customer/C1: "));
        server.stop();
    }
    scene.check(&all);
}

#[test]
fn an_instance_that_is_behind_the_catalog_does_not_go_live() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let all = entries();
    // The same text again and again makes the topic long.
    for _ in 0..200 {
        scene.produce("catalog", &[customer(0)]);
    }
    scene.produce("catalog", &all);
    let server = scene.start("a");
    scene.rate_by(&server, 1, 100);
    server.stop();
    // A copy of the topic that ends earlier, as one that was not copied to its end.
    scene.wire.make(&scene.names.topic("copy"), 1, &[("cleanup.policy", "compact")]);
    scene.produce("copy", &all);
    let server = scene.start_with("a", "copy");
    scene.use_in(1, 50);
    assert!(holds(|| told(&server, "waiting for the catalog")), "{:#?}", server.said());
    assert_eq!(server.counted("outcome=\"rated\""), 0, "nothing is rated meanwhile");
    let reply = server.client().get("/readyz");
    reply.expect(503, "is being restored");
    for _ in 0..400 {
        scene.produce("copy", &[customer(0)]);
    }
    scene.produce("copy", &[customer(CUSTOMERS)]);
    scene.all_rated_by(&server);
    server.stop();
    scene.check(&all);
}

#[test]
fn the_api_puts_a_whole_catalog_into_the_topic() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let mut all = entries();
    let (a, b) = (scene.start("a"), scene.start("b"));
    a.client().get("/v1/catalog").expect(404, "no catalog yet");
    put(&a, &all);
    eventually("everywhere", || b.client().get("/v1/catalog").body.contains("\"S7\""));
    scene.use_in(1, 200);
    let rated = |a: &Instance, b: &Instance| {
        a.counted("outcome=\"rated\"") + b.counted("outcome=\"rated\"")
    };
    eventually("both rate by it", || rated(&a, &b) == 200);
    // All faults at once; what was rated stays; neither is in force anywhere.
    let faulty = file_of(&all).replace("\"EUR\"", "\"eur\"");
    a.client().send(PUT, JSON, &faulty).expect(422, "faults");
    let dearer = file_of(&all).replace("0.02", "0.04");
    a.client().send(PUT, JSON, &dearer).expect(409, "immutable");
    let strict = file_of(&all).replacen('{', "{\"strict_types\":true,", 1);
    a.client().send(PUT, JSON, &strict).expect(409, "strict_types");
    all.push(plan(2, "2026-02-01", "0.03"));
    eventually("a version more is taken", || {
        b.client().send(PUT, JSON, &file_of(&all)).status == 200
    });
    assert!(b.client().get("/v1/catalog").body.contains("\"version\":2"), "and in force at once");
    eventually("by the other one, too", || {
        a.client().get("/v1/catalog").body.contains("\"version\":2")
    });
    scene.use_in(2, 200);
    eventually("both rate by it", || rated(&a, &b) == 400);
    a.stop();
    b.stop();
    // Whoever reads the topic finds the entries under their own keys.
    let records = scene.wire.read_all(&scene.names.topic("catalog"));
    let mut keys = records.iter().filter_map(|one| one.key.as_deref());
    assert!(keys.any(|key| key == "plan/pro/2"), "{records:?}");
    scene.check(&all);
}

#[test]
fn a_catalog_that_contradicts_what_was_rated_is_refused() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let all = entries();
    let server = scene.start_rating(&all);
    let moved = file_of(&all).replace("2026-01-01", "2026-01-02");
    server.client().send(PUT, JSON, &moved).expect(409, "does not have");
    assert!(!server.client().get("/v1/catalog").body.contains("2026-01-02"));
    scene.rate_by(&server, 1, 50);
    server.stop();
    scene.check(&all);
}

/// Periods are cut by what each partition's state knows of them: also of one that is made from the
/// log alone, and as a run over files cuts them whose catalog changes.
#[test]
fn another_cycle_day_holds_from_the_next_period_on() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let mut all = entries();
    let server = scene.start_rating(&all);
    let rate = "rate --catalog catalog.json --usage usage.ndjson --state files --out out";
    let rate_files = |scene: &Scene, all: &[Entry]| {
        scene.place.write("catalog.json", file_of(all));
        scene.place.write("usage.ndjson", &scene.file);
        scene.place.succeed(rate);
    };
    rate_files(&scene, &all);
    for (key, text) in &mut all {
        if key.starts_with("customer/") {
            *text = text.replace("Europe/Berlin\"}", "America/New_York\",\"bill_cycle_day\":9}");
            scene.produce("catalog", &[(key.clone(), text.clone())]);
        }
    }
    let from = "from 2026-01-31T23:00:00Z on, billing periods are of a month, begin on day 9";
    let changes = || server.said().iter().filter(|line| line.contains(from)).count();
    // A partition that starts anew before its next commit says it again.
    eventually("that is told", || changes() >= CUSTOMERS);
    scene.rate_by(&server, 1, 50);
    scene.rate_by(&server, 2, 200);
    server.stop();
    let server = scene.start("b");
    scene.rate_by(&server, 2, 50);
    scene.rate_by(&server, 3, 50);
    rate_files(&scene, &all);
    let fields = ["subscription", "period_start", "period_end", "records", "quantity", "amount"];
    let row = |total: &serde_json::Value| fields.map(|field| total[field].to_string()).join(" ");
    let totals = (0..CUSTOMERS).flat_map(|n| server.client().totals(&format!("S{n}"), ""));
    let mut totals: Vec<String> = totals.map(|total| row(&total)).collect();
    let mut wanted: Vec<String> = scene.place.lines("out/totals.ndjson").iter().map(row).collect();
    totals.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(totals, wanted);
    let broken = "2026-01-31T23:00:00Z\" \"2026-02-09T05:00:00Z";
    assert!(totals.iter().any(|total| total.contains(broken)), "{totals:?}");
    server.stop();
}

#[test]
fn a_file_is_read_again_at_a_signal() {
    let Some(broker) = Broker::shared() else { return };
    let mut scene = Scene::new(broker);
    let mut all = entries();
    scene.place.write("catalog.json", file_of(&all));
    let settings = scene.names.settings(&scene.bootstrap, &further("a"));
    scene.place.write("a.toml", settings);
    let server = Instance::start(&scene.place, "a.toml");
    scene.rate_by(&server, 1, 100);
    server.client().send(PUT, JSON, &file_of(&all)).expect(409, "SIGHUP");
    for (wrong, words) in [
        ("nonsense".to_owned(), "not valid JSON"),
        (file_of(&all).replace("0.02", "0.04"), "immutable"),
    ] {
        scene.place.write("catalog.json", wrong);
        server.signal("HUP");
        eventually("it is refused", || told(&server, words));
    }
    all.push(plan(2, "2026-02-01", "0.03"));
    scene.place.write("catalog.json", file_of(&all));
    server.signal("HUP");
    eventually("it is in force", || told(&server, "catalog.json is in force"));
    scene.rate_by(&server, 2, 100);
    server.stop();
    scene.check(&all);
}
