//! Snapshots with a real broker: the state log is trimmed, and stores come back without what was
//! in it.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, PARTITIONS, catalog};
use super::wire::Wire;
use crate::moto::Moto;
use crate::program::Workplace;
use crate::service::eventually;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Between two batches of usage while something is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// A place, its broker, and what was sent.
struct World {
    broker: &'static Broker,
    place: Workplace,
    names: Names,
    wire: Wire,
    load: Load,
}

impl World {
    fn new(broker: &'static Broker) -> Self {
        let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
        place.write("catalog.json", catalog());
        Self { broker, place, names, wire, load: Load::default() }
    }

    /// Settings of an instance with a directory of its own, whose snapshots go to one of all.
    fn configure(&self, name: &str) {
        let url = self.place.path("shared").display().to_string();
        self.configure_with(name, &format!("url = \"file://{url}\""));
    }

    fn configure_with(&self, name: &str, url: &str) {
        let further = format!(
            "[state]\ndir = \"{name}\"\n[commit]\ninterval_ms = 40\n\
             [snapshots]\n{url}\ninterval = \"300ms\""
        );
        let settings = self.names.settings(&self.broker.bootstrap, &further);
        self.place.write(&format!("{name}.toml"), settings);
    }

    fn send(&mut self, count: usize) {
        self.load.send(&self.wire, &self.names, count);
    }

    /// Sends all the time while something is waited for.
    fn send_while(&mut self, wait: impl FnOnce()) {
        let (waited, is_over) = channel::<()>();
        let Self { load, wire, names, .. } = self;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while is_over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    load.send(wire, names, 40);
                }
            });
            // Dropped at the end of this, also where what is waited for has failed.
            let _waited = waited;
            wait();
        });
    }

    /// Sends until the state log of every partition has lost its beginning.
    fn send_until_trimmed(&mut self) {
        let log = self.names.topic("state");
        eventually("the state logs are trimmed", || {
            self.load.send(&self.wire, &self.names, 40);
            self.wire.starts(&log, i32::try_from(PARTITIONS).unwrap()).iter().all(|low| *low > 0)
        });
    }

    fn finish(self, instance: Instance) {
        instance.catch_up(&self.wire, &self.names);
        instance.stop();
        self.load.check(&self.place, &self.wire, &self.names);
    }

    fn store(&self, name: &str, partition: u32) -> PathBuf {
        self.place.path(&format!("{name}/partition-{partition}"))
    }

    /// Flips a bit in every table file of a store.
    fn damage_tables(&self, directory: &str) {
        for name in self.place.names(directory) {
            if name.ends_with(".sst") {
                damage(&self.place, &format!("{directory}/{name}"));
            }
        }
    }

    /// Where the snapshots of a partition are.
    fn folder(&self, partition: u32) -> String {
        let Names { prefix } = &self.names;
        format!("shared/{prefix}/{prefix}.raw/partition-{partition}")
    }

    /// The objects of the manifests of a partition, the newest last.
    fn objects(&self, partition: u32) -> Vec<BTreeSet<String>> {
        let folder = format!("{}/manifests", self.folder(partition));
        let manifests = self.place.names(&folder);
        let read = |name: &String| self.place.json(&format!("{folder}/{name}"));
        let objects = |manifest: serde_json::Value| {
            let files = manifest["files"].as_array().unwrap().clone();
            files.iter().map(|file| file["object"].as_str().unwrap().to_owned()).collect()
        };
        manifests.iter().map(|name| objects(read(name))).collect()
    }
}

/// Flips a bit of a file, among the first bytes that count in any, if it is still there.
fn damage(place: &Workplace, path: &str) {
    let Ok(mut bytes) = std::fs::read(place.path(path)) else { return };
    let at = bytes.len().saturating_sub(1).min(20);
    bytes[at] ^= 0x10;
    place.write(path, bytes);
}

fn said(instance: &Instance, words: &str) -> usize {
    instance.said().iter().filter(|line| line.contains(words)).count()
}

#[test]
fn a_store_that_is_lost_comes_back_without_the_beginning_of_the_log() {
    let Some(broker) = Broker::shared() else { return };
    let mut world = World::new(broker);
    world.configure("a");
    world.configure("b");
    let first = Instance::start(&world.place, "a.toml");
    world.send(500);
    world.send_until_trimmed();
    first.kill();
    world.send(300);
    // A snapshot that was not announced yet when it was killed is fetched in vain first.
    for partition in 0..PARTITIONS {
        std::fs::remove_dir_all(world.store("a", partition)).unwrap();
    }
    let again = Instance::start(&world.place, "a.toml");
    again.catch_up(&world.wire, &world.names);
    assert!(said(&again, "is fetched") >= 4, "{:#?}", again.said());
    world.send(200);
    again.kill();
    // Another machine.
    let other = Instance::start(&world.place, "b.toml");
    other.catch_up(&world.wire, &world.names);
    assert!(said(&other, "is fetched") >= 4, "{:#?}", other.said());
    world.send_until_trimmed();
    world.finish(other);
}

#[test]
fn flipped_bytes_are_found_and_an_older_snapshot_is_used() {
    let Some(broker) = Broker::shared() else { return };
    let mut world = World::new(broker);
    world.configure("a");
    let first = Instance::start(&world.place, "a.toml");
    world.send(500);
    world.send_until_trimmed();
    // In all table files of a store that is in use: nobody copies them as they are.
    world.damage_tables("a/partition-3");
    eventually("the store is made anew", || {
        world.send(40);
        said(&first, "put aside") >= 1
    });
    first.catch_up(&world.wire, &world.names);
    first.kill();
    world.send(300);
    // In all table files of another store, and in what its newest snapshot alone has.
    world.damage_tables("a/partition-1");
    let objects = world.objects(1);
    let [.., older, newer] = objects.as_slice() else { panic!("{objects:?}") };
    let news: Vec<_> = newer.difference(older).collect();
    assert!(!news.is_empty());
    for object in news {
        damage(&world.place, &format!("{}/objects/{object}", world.folder(1)));
    }
    let again = Instance::start(&world.place, "a.toml");
    again.catch_up(&world.wire, &world.names);
    let all = again.said();
    assert_eq!(said(&again, "put aside"), 1, "{all:#?}");
    assert!(said(&again, "is damaged") >= 1, "{all:#?}");
    assert_eq!(said(&again, "is fetched"), 1, "{all:#?}");
    world.send(200);
    world.finish(again);
}

#[test]
fn killed_around_its_snapshots_it_loses_and_doubles_nothing() {
    let Some(broker) = Broker::shared() else { return };
    let mut world = World::new(broker);
    world.configure("a");
    for aim in ["uploading", "announced", "uploading", "trimming"] {
        let server = Instance::start(&world.place, "a.toml");
        world.send_while(|| server.await_phase(aim));
        server.kill();
        // A disk that goes, too.
        std::fs::remove_dir_all(world.store("a", 2)).unwrap_or_default();
    }
    let server = Instance::start(&world.place, "a.toml");
    world.send_until_trimmed();
    world.finish(server);
}

#[test]
fn a_machine_of_its_own_keeps_its_log() {
    let Some(broker) = Broker::shared() else { return };
    let mut world = World::new(broker);
    world.configure_with("a", "");
    let first = Instance::start(&world.place, "a.toml");
    eventually("snapshots are taken", || {
        world.send(40);
        let manifests = |partition| {
            let Names { prefix } = &world.names;
            let folder =
                format!("a/snapshots/{prefix}/{prefix}.raw/partition-{partition}/manifests");
            world.place.names(&folder).len()
        };
        (0..PARTITIONS).all(|partition| manifests(partition) >= 3)
    });
    first.kill();
    let log = world.names.topic("state");
    assert_eq!(world.wire.starts(&log, 4), [0; 4]);
    std::fs::remove_dir_all(world.store("a", 2)).unwrap();
    let again = Instance::start(&world.place, "a.toml");
    again.catch_up(&world.wire, &world.names);
    assert!(said(&again, "is fetched") >= 1, "{:#?}", again.said());
    again.stop();
    // Another machine has none of them, and goes by the log.
    world.configure_with("b", "");
    let other = Instance::start(&world.place, "b.toml");
    other.catch_up(&world.wire, &world.names);
    assert_eq!(said(&other, "is fetched"), 0, "{:#?}", other.said());
    world.finish(other);
}

#[test]
fn an_object_store_that_all_reach_keeps_what_the_log_need_not() {
    let Some(broker) = Broker::shared() else { return };
    let Some(moto) = Moto::start("snapshots") else { return };
    let mut world = World::new(broker);
    world.configure_with("a", "url = \"s3://snapshots/of/tests\"");
    world.configure_with("b", "url = \"s3://snapshots/of/tests\"");
    let first = Instance::start_with(&world.place, "a.toml", moto.environment());
    world.send(500);
    world.send_until_trimmed();
    first.kill();
    world.send(200);
    let other = Instance::start_with(&world.place, "b.toml", moto.environment());
    other.catch_up(&world.wire, &world.names);
    assert!(said(&other, "is fetched") >= 4, "{:#?}", other.said());
    other.kill();
    // Without it, what it kept cannot be had: nothing is rated, and the service says why.
    drop(moto);
    std::fs::remove_dir_all(world.store("b", 2)).unwrap();
    let lonely = Instance::start_with(&world.place, "b.toml", nobody_there());
    eventually("it says what is missing", || said(&lonely, "the object store fails") > 0);
    lonely.kill();
}

/// An environment that leads to an S3 server that does not answer.
fn nobody_there() -> impl Iterator<Item = (String, String)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    [
        ("AWS_ENDPOINT", format!("http://{address}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "any".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "any".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
}
