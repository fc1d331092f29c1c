//! Snapshots: copies of a partition's store in an object store, so that its log need not be kept.
//!
//! ```text
//! GROUP/TOPIC/partition-N/objects/EPOCH-SHA256          the bytes of one file
//! GROUP/TOPIC/partition-N/manifests/SEQUENCE-EPOCH.json which files make the store at a group
//! ```
//!
//! A snapshot is a checkpoint of RocksDB at a group of the state log. Objects are named by their
//! content, since two owners make different files of the same name, and by the epoch of the owner
//! that wrote them: the offset of the barrier it began with. Only files that no announced snapshot
//! has are uploaded. The manifest comes last and is never changed. Then the snapshot is announced:
//! its name is put into the state by a committed transaction. Once two are announced, are still
//! there, and lie where every instance reaches them, the log is trimmed behind the older one, and
//! what no snapshot names is collected.
//!
//! Whatever stops this in between leaves something sound:
//!
//! - before the manifest: objects that nothing names. They are used by the same owner's next try,
//!   or collected, as is half an object in a directory; in an object store, its own rules for
//!   uploads of parts that were never completed remove that.
//! - before the announcement: a manifest that the log does not know. Restoring does not use it,
//!   because the log from its position on does not announce it; it is collected.
//! - before the trim: a log that is longer than it must be. Whoever owns the partition next trims.
//! - within collecting: a manifest goes before the objects that it alone names.
//!
//! A store made of a snapshot is judged as every store is: its last group must be found in the log
//! with the same digest, and all groups from there on must follow. So a snapshot of another log or
//! of a position that was trimmed is refused, and the next older one is tried; one that ends beyond
//! the log shows that the log was cut short or made anew, and stops the partition. Bytes that are
//! not those that were written are found by their digests. An owner that was
//! fenced may still upload: what it wrote is the state at a group that it had committed, and to
//! announce it, it would have to commit.

mod bucket;
mod error;
mod fetch;
mod keeper;
mod limits;
mod manifest;
mod taker;
#[cfg(test)]
mod tests;

pub(crate) use bucket::Bucket;
pub(crate) use error::SnapshotError;
pub(crate) use fetch::{Refused, fetch};
pub(crate) use taker::{Taken, Taker};

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A path that differs from another by its end.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Removes a directory and all that is in it, if it is there.
///
/// # Errors
/// [`SnapshotError::Disk`] if the system refuses.
pub(crate) fn remove(directory: &Path) -> Result<(), SnapshotError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(SnapshotError::disk("remove", directory, &error))
        }
        _ => Ok(()),
    }
}
