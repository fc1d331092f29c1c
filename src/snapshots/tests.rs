//! Tests of snapshots: of directories that stand for checkpoints, in a directory that stands for an
//! object store, and in an object store.

mod s3;

use super::bucket::Bucket;
use super::error::SnapshotError;
use super::fetch::{Refused, fetch};
use super::limits::PART_BYTES;
use super::taker::{Taken, Taker};
use aggregator::Announced;
use aggregator::state_log::LogPosition;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Later than anything that a test writes, in seconds since 1970.
const LATER: i64 = i64::MAX;
const NO_GRACE: Duration = Duration::ZERO;

/// A place with a bucket, checkpoints and stores.
struct World {
    place: TempDir,
    folder: Bucket,
    /// Serves the bucket.
    _runtime: Runtime,
}

/// Names and bytes of files.
type Files = BTreeMap<String, Vec<u8>>;

fn files(list: &[(&str, &[u8])]) -> Files {
    list.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

const fn position(sequence: u64) -> LogPosition {
    LogPosition { sequence, digest: 0xD1, offset: sequence * 10 }
}

impl World {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let bucket = Bucket::directory(&place.path().join("bucket"), runtime.handle().clone());
        Self { place, folder: bucket.unwrap().folder("group").folder("part"), _runtime: runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn taker(&self, epoch: u64) -> Taker {
        let mut taker = Taker::new(&self.folder, 3, epoch);
        // These files are none of RocksDB.
        taker.check = |_, _| Ok(());
        taker
    }

    /// A directory of files.
    fn checkpoint(&self, files: &Files) -> PathBuf {
        let directory = self.path("checkpoint");
        super::remove(&directory).unwrap();
        std::fs::create_dir(&directory).unwrap();
        for (name, bytes) in files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        directory
    }

    fn take(
        &self,
        taker: &mut Taker,
        sequence: u64,
        files: &Files,
        announced: &[Announced],
    ) -> Result<Taken, SnapshotError> {
        let checkpoint = self.checkpoint(files);
        taker.take(&checkpoint, position(sequence), announced, &mut |_| true)
    }

    /// Fetches a store; which snapshot it is of, and its files.
    fn fetch(&self, refused: &mut Refused) -> Option<(Announced, Files)> {
        let directory = self.path("store");
        super::remove(&directory).unwrap();
        let fetched = fetch((&self.folder, 3), &directory, refused, &mut |_, _| true).unwrap();
        let read = |path: PathBuf| std::fs::read(path).unwrap();
        let found = |entry: std::fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), read(entry.path()))
        };
        fetched.map(|snapshot| {
            (snapshot, directory.read_dir().unwrap().map(|entry| found(entry.unwrap())).collect())
        })
    }

    fn objects(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .folder
            .folder("objects")
            .list()
            .unwrap()
            .into_iter()
            .map(|found| found.name)
            .collect();
        names.sort();
        names
    }

    /// Flips a bit of the object that holds these bytes.
    fn damage(&self, bytes: &[u8]) {
        let directory = self.path("bucket/group/part/objects");
        let mut damaged = 0;
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let mut found = std::fs::read(&path).unwrap();
            if found == bytes {
                let middle = found.len() / 2;
                found[middle] ^= 0x10;
                std::fs::write(&path, found).unwrap();
                damaged += 1;
            }
        }
        assert_eq!(damaged, 1, "objects with these bytes");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn what_was_taken_is_fetched_and_only_news_is_uploaded() {
    let world = World::new();
    let mut taker = world.taker(7);
    // One of them takes several parts.
    let large = vec![5; PART_BYTES * 2 + 9];
    let first = files(&[("1.sst", &large), ("CURRENT", b"M-1"), ("empty", b"")]);
    let taken = world.take(&mut taker, 1, &first, &[]).unwrap();
    assert_eq!((taken.bytes, taken.uploaded), (large.len() as u64 + 3, large.len() as u64 + 3));
    assert_eq!(world.fetch(&mut Refused::new()), Some((taken.snapshot.clone(), first.clone())));
    // Two files of the same content, one of which is there already.
    let second = files(&[("1.sst", &large), ("2.sst", b"new"), ("CURRENT", b"M-2")]);
    let announced = [taken.snapshot];
    let taken = world.take(&mut taker, 2, &second, &announced).unwrap();
    assert_eq!(taken.uploaded, 6);
    assert_eq!(world.fetch(&mut Refused::new()), Some((taken.snapshot.clone(), second.clone())));
    // Another owner makes another file of the same name, and goes on from what is announced.
    let third = files(&[("1.sst", &large), ("2.sst", b"other"), ("CURRENT", b"M-2")]);
    let announced = [announced[0].clone(), taken.snapshot];
    let taken = world.take(&mut world.taker(9), 3, &third, &announced).unwrap();
    assert_eq!(taken.uploaded, 5);
    assert_eq!(world.fetch(&mut Refused::new()), Some((taken.snapshot, third)));
}

#[test]
fn what_is_not_announced_is_not_gone_on_from() {
    let world = World::new();
    let taken = files(&[("1.sst", b"one")]);
    world.take(&mut world.taker(7), 1, &taken, &[]).unwrap();
    // Somebody may collect what the earlier owner left.
    let again = world.take(&mut world.taker(8), 1, &taken, &[]).unwrap();
    assert_eq!(again.uploaded, 3);
    assert_eq!(world.objects().len(), 2);
}

#[test]
fn of_damaged_snapshots_the_one_before_is_used() {
    let world = World::new();
    let mut taker = world.taker(7);
    let first = files(&[("1.sst", b"shared"), ("2.sst", b"old")]);
    let older = world.take(&mut taker, 1, &first, &[]).unwrap().snapshot;
    let second = files(&[("1.sst", b"shared"), ("3.sst", b"new")]);
    let newer = world.take(&mut taker, 2, &second, std::slice::from_ref(&older)).unwrap().snapshot;
    world.damage(b"new");
    let mut refused = Refused::new();
    assert_eq!(world.fetch(&mut refused), Some((older.clone(), first)));
    assert!(refused[&newer.name].contains("damaged"), "{refused:?}");
    // What was not there is not taken for what was written either.
    let gone = world.path("bucket/group/part/objects").read_dir().unwrap();
    for entry in gone {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(world.fetch(&mut refused), None);
    assert!(refused[&older.name].contains("missing"), "{refused:?}");
    assert!(!world.path("store").exists());
}

#[test]
fn instead_of_a_snapshot_that_is_collected_meanwhile_a_newer_one_is_fetched() {
    let world = World::new();
    let mut taker = world.taker(7);
    let first = files(&[("1.sst", b"one"), ("2.sst", b"two")]);
    let older = world.take(&mut taker, 1, &first, &[]).unwrap().snapshot;
    let old_objects = world.objects();
    let second = files(&[("3.sst", b"three")]);
    let newer = world.take(&mut taker, 2, &second, &[]).unwrap().snapshot;
    // It comes only while the older one is fetched, of which then everything goes.
    let part = world.path("bucket/group/part");
    let manifest = |name: &str| part.join("manifests").join(name);
    let held_back = world.path("held-back");
    std::fs::rename(manifest(&newer.name), &held_back).unwrap();
    let mut told = |_, _| {
        if held_back.exists() {
            std::fs::rename(&held_back, manifest(&newer.name)).unwrap();
            std::fs::remove_file(manifest(&older.name)).unwrap();
            for object in &old_objects {
                std::fs::remove_file(part.join("objects").join(object)).unwrap();
            }
        }
        true
    };
    let (directory, mut refused) = (world.path("store"), Refused::new());
    let fetched = fetch((&world.folder, 3), &directory, &mut refused, &mut told).unwrap();
    assert_eq!(fetched, Some(newer));
    assert!(refused[&older.name].contains("missing"), "{refused:?}");
    assert_eq!(std::fs::read(directory.join("3.sst")).unwrap(), b"three");
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing_that_counts() {
    let world = World::new();
    let large = vec![9; PART_BYTES + 1];
    let first = files(&[("1.sst", b"one"), ("2.sst", &large), ("3.sst", b"three")]);
    let checkpoint = world.checkpoint(&first);
    for parts in 0..6 {
        let mut left = parts;
        let mut told = |_| {
            left -= 1;
            left >= 0
        };
        // One that has read nothing yet.
        let cut = world.taker(7).take(&checkpoint, position(1), &[], &mut told);
        assert_eq!(cut, Err(SnapshotError::GivenUp), "after {parts} parts");
        assert_eq!(world.fetch(&mut Refused::new()), None);
    }
    let taken = world.take(&mut world.taker(7), 1, &first, &[]).unwrap();
    assert_eq!(world.fetch(&mut Refused::new()), Some((taken.snapshot, first)));
}

#[test]
fn what_no_snapshot_needs_is_collected() {
    let world = World::new();
    let mut taker = world.taker(7);
    let mut announced = Vec::new();
    for sequence in 1..=3u64 {
        let own = sequence.to_string();
        let taken = files(&[("1.sst", b"always"), ("2.sst", own.as_bytes())]);
        let taken = world.take(&mut taker, sequence, &taken, &announced).unwrap();
        announced = [announced, vec![taken.snapshot]].concat().split_off(usize::from(sequence > 2));
    }
    assert_eq!(world.objects().len(), 4);
    taker.check(&announced).unwrap();
    let too_early = taker.collect(&announced, (0, NO_GRACE)).unwrap();
    assert_eq!((too_early.manifests, too_early.objects), (0, 0));
    let collected = taker.collect(&announced, (LATER, NO_GRACE)).unwrap();
    assert_eq!((collected.manifests, collected.objects), (1, 1));
    taker.check(&announced).unwrap();
    assert_eq!(taker.collect(&announced, (LATER, NO_GRACE)).unwrap().objects, 0);
    // Of what is announced, nothing may be missing, or the log is still needed.
    world.folder.folder("objects").delete(&world.objects()[0]).unwrap();
    assert!(matches!(taker.check(&announced), Err(SnapshotError::Damaged(_))));
}

/// A directory keeps an object under a name of its own until it is whole; of uploads that were
/// killed these stayed for ever.
#[test]
fn what_a_killed_upload_left_is_collected() {
    let world = World::new();
    let mut taker = world.taker(7);
    let first = files(&[("1.sst", b"one")]);
    let older = world.take(&mut taker, 1, &first, &[]).unwrap().snapshot;
    let newer = world.take(&mut taker, 9, &first, &[]).unwrap().snapshot;
    let (old, later) = (format!("{:020}-ab", 6), format!("{:020}-ab", 8));
    let part = world.path("bucket/group/part");
    let leave = |name: &str| std::fs::write(part.join(name), b"half of it").unwrap();
    let own = &world.objects()[0];
    let manifest = older.name.replace(&format!("{:020}", 1), &format!("{:020}", 2));
    assert_ne!(manifest, older.name, "manifests begin with the number of their group");
    leave(&format!("objects/{old}#1"));
    leave(&format!("objects/{own}#17"));
    leave(&format!("manifests/{manifest}#1"));
    // One that a later owner writes, and what is no upload at all.
    leave(&format!("objects/{later}#1"));
    leave(&format!("objects/{old}#x"));
    let announced = [newer];
    let too_early = taker.collect(&announced, (0, NO_GRACE)).unwrap();
    assert_eq!(too_early.unfinished, 0);
    let collected = taker.collect(&announced, (LATER, NO_GRACE)).unwrap();
    assert_eq!(collected.unfinished, 3);
    taker.check(&announced).unwrap();
    for left in [format!("objects/{later}#1"), format!("objects/{old}#x")] {
        assert!(part.join(left).exists());
    }
    assert_eq!(taker.collect(&announced, (LATER, NO_GRACE)).unwrap().unfinished, 0);
}

#[test]
fn an_owner_of_before_takes_nothing_from_the_one_after() {
    let world = World::new();
    let mut before = world.taker(7);
    let snapshot =
        |taker: &mut Taker, sequence, list: &[(&str, &[u8])], announced: &[Announced]| {
            world.take(taker, sequence, &files(list), announced).unwrap().snapshot
        };
    let first = snapshot(&mut before, 1, &[("1.sst", b"a"), ("2.sst", b"b")], &[]);
    let known = [first.clone()];
    let second = snapshot(&mut before, 2, &[("2.sst", b"b"), ("3.sst", b"c")], &known);
    let known = [first, second];
    // It uploads once more, and is let go before that is announced.
    snapshot(&mut before, 3, &[("9.sst", b"never announced")], &known);
    // The next owner uses objects of both, makes some anew, and collects.
    let mut after = world.taker(8);
    let third = snapshot(&mut after, 4, &[("3.sst", b"c"), ("4.sst", b"d")], &known);
    let later = [known[1].clone(), third];
    let fourth = snapshot(&mut after, 5, &[("4.sst", b"d"), ("9.sst", b"never announced")], &later);
    let later = [later[1].clone(), fourth];
    after.collect(&later, (LATER, NO_GRACE)).unwrap();
    after.check(&later).unwrap();
    // The one before wakes up.
    before.collect(&known, (LATER, NO_GRACE)).unwrap();
    after.check(&later).unwrap();
    let woken = world.taker(7);
    woken.collect(&[], (LATER, NO_GRACE)).unwrap();
    woken.collect(&later[..1], (LATER, NO_GRACE)).unwrap();
    after.check(&later).unwrap();
    assert_eq!(world.fetch(&mut Refused::new()).unwrap().0, later[1]);
}
