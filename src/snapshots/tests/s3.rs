//! Snapshots in an object store: S3 as moto has it, which `scripts/moto.sh` runs.

#[path = "../../../tests/it/moto.rs"]
mod moto;

use super::super::bucket::Bucket;
use super::super::fetch::Refused;
use super::super::limits::PART_BYTES;
use super::{LATER, NO_GRACE, World, files, runtime};
use moto::Moto;

#[test]
fn an_object_store_does_as_a_directory_does() {
    let Some(moto) = Moto::start("snapshots") else { return };
    let runtime = runtime();
    let url = "s3://snapshots/of/tests/";
    let bucket = Bucket::s3(url, moto.environment(), runtime.handle().clone()).unwrap();
    let folder = bucket.folder("group").folder("part");
    let world = World { place: tempfile::tempdir().unwrap(), folder, _runtime: runtime };
    assert_eq!(world.fetch(&mut Refused::new()), None);
    let mut taker = world.taker(7);
    // One of them takes several parts.
    let large = vec![5; PART_BYTES * 2 + 9];
    let first = files(&[("1.sst", &large), ("CURRENT", b"M-1")]);
    let older = world.take(&mut taker, 1, &first, &[]).unwrap().snapshot;
    assert_eq!(world.fetch(&mut Refused::new()), Some((older.clone(), first.clone())));
    let second = files(&[("1.sst", &large), ("2.sst", b"new"), ("CURRENT", b"M-1")]);
    let taken = world.take(&mut taker, 2, &second, std::slice::from_ref(&older)).unwrap();
    assert_eq!(taken.uploaded, 3);
    let newer = taken.snapshot;
    let announced = [older, newer.clone()];
    taker.check(&announced).unwrap();
    assert_eq!(world.fetch(&mut Refused::new()), Some((newer.clone(), second)));
    // A manifest is never written over.
    let manifests = world.folder.folder("manifests");
    assert_eq!(manifests.create(&newer.name, b"other".to_vec()), Ok(false));
    // An object that is gone makes the snapshot that names it unusable, and the log needed.
    let objects = world.folder.folder("objects");
    assert_eq!(world.objects().len(), 3);
    let collected = taker.collect(&announced[1..], (LATER, NO_GRACE)).unwrap();
    assert_eq!((collected.manifests, collected.objects), (1, 0));
    let large = objects.list().unwrap().into_iter().max_by_key(|found| found.bytes).unwrap();
    objects.delete(&large.name).unwrap();
    taker.check(&announced[1..]).unwrap_err();
    let mut refused = Refused::new();
    assert_eq!(world.fetch(&mut refused), None);
    assert!(refused[&newer.name].contains("missing"), "{refused:?}");
}

#[test]
fn an_address_that_makes_no_sense_is_told() {
    let runtime = runtime();
    let bucket = Bucket::s3("s3://", std::iter::empty(), runtime.handle().clone());
    assert!(bucket.unwrap_err().to_string().starts_with("snapshots.url: "));
}
