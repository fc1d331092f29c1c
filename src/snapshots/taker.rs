//! Taking: a checkpoint of a store becomes objects and a manifest.

use super::bucket::{Bucket, Told, sha256_of};
use super::error::SnapshotError;
use super::limits::{FILES_MAX, MANIFEST_BYTES_MAX};
use super::manifest::{FileEntry, Manifest};
use aggregator::state_log::LogPosition;
use aggregator::{Announced, check_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Takes the snapshots of one partition, as long as one owner has it.
#[derive(Debug)]
pub(crate) struct Taker {
    pub(super) manifests: Bucket,
    pub(super) objects: Bucket,
    pub(super) partition: u32,
    /// A number that is greater for each later owner.
    pub(super) epoch: u64,
    /// Digests of table files by their names: those never change, and need be read once.
    digests: BTreeMap<String, (Identity, String)>,
    /// Checks that table files of these names are what the database wrote.
    pub(super) check: Check,
}

/// Checks files of a checkpoint.
pub(super) type Check = fn(&Path, &BTreeSet<String>) -> Result<(), aggregator::Error>;

/// What tells a file from another of the same name: device, number, size and time of change.
type Identity = (u64, u64, u64, i64, i64);

/// A snapshot that is complete, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) snapshot: Announced,
    /// Bytes of all its files.
    pub(crate) bytes: u64,
    /// Bytes that were not there yet.
    pub(crate) uploaded: u64,
}

impl Taker {
    /// Takes snapshots to the folder of a partition.
    pub(crate) fn new(folder: &Bucket, partition: u32, epoch: u64) -> Self {
        let (manifests, objects) = (folder.folder("manifests"), folder.folder("objects"));
        Self { manifests, objects, partition, epoch, digests: BTreeMap::new(), check: check_files }
    }

    /// Uploads what a checkpoint at `position` has and no announced snapshot had, and then its
    /// manifest. Nothing that is there is changed.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was uploaded by then is used next time, or collected.
    pub(crate) fn take(
        &mut self,
        checkpoint: &Path,
        position: LogPosition,
        announced: &[Announced],
        told: &mut Told<'_>,
    ) -> Result<Taken, SnapshotError> {
        let turns = self.objects.clone();
        let turn = turns.turn()?;
        let there: BTreeMap<String, u64> =
            self.objects.list()?.into_iter().map(|found| (found.name, found.bytes)).collect();
        let is_there = |object: &str, bytes| there.get(object) == Some(&bytes);
        let known = self.objects_of(announced);
        let found = self.digest_all(checkpoint, told)?;
        // What was checked once need not be again; what is new, or has changed, must.
        let is_new = |sha256: &String| !known.contains_key(sha256);
        let new = found.iter().filter(|(_, _, sha256)| is_new(sha256));
        let new = new.map(|(name, ..)| name.clone()).filter(|name| is_table(Path::new(name)));
        (self.check)(checkpoint, &new.collect()).map_err(|error| {
            if error.is_damage() {
                SnapshotError::Store(error.to_string())
            } else {
                SnapshotError::Disk(error.to_string())
            }
        })?;
        let (mut files, mut uploaded) = (Vec::new(), 0u64);
        for (name, bytes, sha256) in found {
            let known = known.get(&sha256).filter(|object| is_there(object, bytes));
            let object = if let Some(object) = known {
                object.clone()
            } else {
                let object = format!("{:020}-{sha256}", self.epoch);
                if !is_there(&object, bytes) {
                    self.objects.upload(&object, (&checkpoint.join(&name), &sha256), told)?;
                    uploaded += bytes;
                }
                object
            };
            files.push(FileEntry { name, object, bytes, sha256 });
        }
        let manifest = Manifest::new(self.partition, position, self.epoch, files);
        self.create(&manifest)?;
        drop(turn);
        let snapshot = Announced { name: manifest.name(), position };
        Ok(Taken { snapshot, bytes: manifest.bytes(), uploaded })
    }

    fn create(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let (name, bytes) = (manifest.name(), manifest.write()?);
        // An answer that was lost makes the second try find what the first wrote.
        if self.manifests.create(&name, bytes.clone())?
            || self.manifests.read(&name, MANIFEST_BYTES_MAX)? == bytes
        {
            return Ok(());
        }
        Err(SnapshotError::Damaged(format!("manifest {name} is there already, and another")))
    }

    /// A manifest that an announced snapshot has.
    pub(super) fn manifest(&self, name: &str) -> Result<Manifest, SnapshotError> {
        let bytes = self.manifests.read(name, MANIFEST_BYTES_MAX)?;
        Manifest::read(name, self.partition, &bytes)
    }

    /// The objects of announced snapshots by digest. Only these may be used again: whatever else
    /// is there, somebody may be about to collect.
    fn objects_of(&self, announced: &[Announced]) -> BTreeMap<String, String> {
        let mut known = BTreeMap::new();
        for snapshot in announced {
            match self.manifest(&snapshot.name) {
                Ok(manifest) => {
                    let files = manifest.files.into_iter();
                    known.extend(files.map(|file| (file.sha256, file.object)));
                }
                // Then all is uploaded once more.
                Err(error) => tracing::warn!(
                    partition = self.partition,
                    "an earlier snapshot cannot be gone on from: {error}"
                ),
            }
        }
        known
    }

    /// Name, size and digest of every file of a checkpoint.
    fn digest_all(
        &mut self,
        checkpoint: &Path,
        told: &mut Told<'_>,
    ) -> Result<Vec<(String, u64, String)>, SnapshotError> {
        let unread = |error: std::io::Error| SnapshotError::disk("read", checkpoint, &error);
        let mut found = Vec::new();
        let mut digests = BTreeMap::new();
        for entry in checkpoint.read_dir().map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let (path, metadata) = (entry.path(), entry.metadata().map_err(unread)?);
            let name = entry.file_name().to_string_lossy().into_owned();
            let identity = identity_of(&metadata);
            let before = self.digests.get(&name).filter(|(known, _)| *known == identity);
            let sha256 = match before {
                Some((_, sha256)) => sha256.clone(),
                None => sha256_of(&path, told)?,
            };
            if is_table(&path) {
                digests.insert(name.clone(), (identity, sha256.clone()));
            }
            found.push((name, metadata.len(), sha256));
            if found.len() > FILES_MAX {
                let reason = format!("{} has more than {FILES_MAX} files", checkpoint.display());
                return Err(SnapshotError::Disk(reason));
            }
        }
        self.digests = digests;
        found.sort();
        Ok(found)
    }
}

fn is_table(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "sst")
}

fn identity_of(metadata: &Metadata) -> Identity {
    let (device, number) = (metadata.dev(), metadata.ino());
    (device, number, metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}
