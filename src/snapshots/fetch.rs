//! Fetching: a store is made of the newest snapshot that can be used.

use super::bucket::{Bucket, Told};
use super::error::SnapshotError;
use super::limits::{MANIFEST_BYTES_MAX, TRIED_MAX};
use super::manifest::{Manifest, sequence_of};
use aggregator::Announced;
use std::collections::BTreeMap;
use std::path::Path;

/// Snapshots that are not to be used, and why.
pub(crate) type Refused = BTreeMap<String, String>;

/// Makes the directory of a store of the newest snapshot of a partition that is not refused and
/// whose bytes are those that were written. What cannot be used is added to `refused`; then what
/// there is is looked at again, since a snapshot may have been collected while it was fetched, and
/// newer ones have come. Whether the log knows the snapshot is not known here.
///
/// `told` gets the bytes received so far and those of the whole snapshot.
///
/// # Errors
/// [`SnapshotError`] but for damage.
pub(crate) fn fetch(
    (folder, partition): (&Bucket, u32),
    directory: &Path,
    refused: &mut Refused,
    told: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Announced>, SnapshotError> {
    let manifests = folder.folder("manifests");
    while refused.len() < TRIED_MAX {
        let names = manifests.list()?.into_iter().map(|found| found.name);
        let is_open = |name: &String| sequence_of(name).is_some() && !refused.contains_key(name);
        let Some(name) = names.filter(is_open).max() else { break };
        let fetched = manifests
            .read(&name, MANIFEST_BYTES_MAX)
            .and_then(|bytes| Manifest::read(&name, partition, &bytes))
            .and_then(|manifest| download(folder, &manifest, directory, told).map(|()| manifest));
        match fetched {
            Ok(manifest) => {
                return Ok(manifest.position().map(|position| Announced { name, position }));
            }
            Err(SnapshotError::Damaged(reason)) => {
                tracing::error!(partition, "snapshot {name} is not used: {reason}");
                refused.insert(name, reason);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Downloads beside the directory, and moves it there whole.
fn download(
    folder: &Bucket,
    manifest: &Manifest,
    directory: &Path,
    told: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<(), SnapshotError> {
    let unfinished = super::beside(directory, ".fetching");
    super::remove(&unfinished)?;
    std::fs::create_dir_all(&unfinished)
        .map_err(|error| SnapshotError::disk("make", &unfinished, &error))?;
    let (objects, of) = (folder.folder("objects"), manifest.bytes());
    let mut received = 0u64;
    for file in &manifest.files {
        let path = unfinished.join(&file.name);
        let told: &mut Told<'_> = &mut |bytes| {
            received += bytes;
            told(received, of)
        };
        objects.download(&file.object, &path, (file.bytes, &file.sha256), told)?;
    }
    std::fs::rename(&unfinished, directory)
        .map_err(|error| SnapshotError::disk("make", directory, &error))
}
