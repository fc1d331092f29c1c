//! The manifest: what a snapshot is made of.
//!
//! It is one JSON object, written once and never changed, after everything that it names. Its name
//! begins with the number of the last group that the snapshot holds, so names are in order of age,
//! and goes on with the epoch of the owner that took it, so that two owners never write the same.

use super::error::SnapshotError;
use super::limits::FILES_MAX;
use aggregator::state_log::LogPosition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Layout of manifests and objects. Frozen per release that changes it.
const FORMAT: &str = "usage-rater snapshot 1";

/// What a snapshot is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: String,
    partition: u32,
    sequence: u64,
    /// 32 hexadecimal digits.
    digest: String,
    offset: u64,
    epoch: u64,
    pub(super) files: Vec<FileEntry>,
}

/// A file of the store, and the object that holds its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub(super) name: String,
    pub(super) object: String,
    pub(super) bytes: u64,
    /// 64 hexadecimal digits.
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(
        partition: u32,
        position: LogPosition,
        epoch: u64,
        files: Vec<FileEntry>,
    ) -> Self {
        let LogPosition { sequence, digest, offset } = position;
        let (format, digest) = (FORMAT.to_owned(), format!("{digest:032x}"));
        Self { format, partition, sequence, digest, offset, epoch, files }
    }

    /// Reads a manifest, and checks that it is the one of this name and partition.
    pub(super) fn read(name: &str, partition: u32, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = |what: &str| SnapshotError::Damaged(format!("manifest {name} {what}"));
        let read: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(&format!("is none: {error}")))?;
        if read.format != FORMAT {
            return Err(damaged(&format!("is of another format, \"{}\"", read.format)));
        }
        if read.partition != partition || read.name() != name || read.position().is_none() {
            return Err(damaged("does not say what its name says"));
        }
        let names: BTreeSet<&str> = read.files.iter().map(|file| file.name.as_str()).collect();
        let plain = read.files.iter().all(|file| is_plain(&file.name) && is_plain(&file.object));
        if !plain || names.len() != read.files.len() || read.files.len() > FILES_MAX {
            return Err(damaged("names files that no store has"));
        }
        Ok(read)
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, SnapshotError> {
        let failed = |error: serde_json::Error| SnapshotError::Disk(error.to_string());
        serde_json::to_vec_pretty(self).map_err(failed)
    }

    /// Its name among the manifests of its partition.
    pub(crate) fn name(&self) -> String {
        format!("{:020}-{:020}.json", self.sequence, self.epoch)
    }

    /// The last group of the log that the snapshot holds.
    pub(crate) fn position(&self) -> Option<LogPosition> {
        let is_digest = self.digest.len() == 32;
        let digest = u128::from_str_radix(&self.digest, 16).ok().filter(|_| is_digest)?;
        Some(LogPosition { sequence: self.sequence, digest, offset: self.offset })
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }
}

/// The number of the last group that a snapshot of this name holds.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    let (sequence, epoch) = name.strip_suffix(".json")?.split_once('-')?;
    let is_number = |text: &str| text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(sequence) && is_number(epoch)).then(|| sequence.parse().ok())?
}

/// Whether a name leads nowhere but to a file of its own directory.
fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = |name: &str| FileEntry {
            name: name.to_owned(),
            object: format!("7-{name}"),
            bytes: 3,
            sha256: "0".repeat(64),
        };
        let position = LogPosition { sequence: 12, digest: 0xAB, offset: 99 };
        Manifest::new(3, position, 7, vec![file("000012.sst"), file("CURRENT")])
    }

    #[test]
    fn what_was_written_is_read_back() {
        let manifest = manifest();
        let name = manifest.name();
        assert_eq!(name, "00000000000000000012-00000000000000000007.json");
        assert_eq!(sequence_of(&name), Some(12));
        let bytes = manifest.write().unwrap();
        assert_eq!(Manifest::read(&name, 3, &bytes), Ok(manifest));
    }

    #[test]
    fn what_is_not_this_manifest_is_refused() {
        let (name, bytes) = (manifest().name(), manifest().write().unwrap());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(Manifest::read(&name, 4, &bytes).is_err(), "another partition");
        assert!(Manifest::read("x.json", 3, &bytes).is_err(), "another name");
        assert!(Manifest::read(&name, 3, &bytes[..bytes.len() - 2]).is_err(), "cut off");
        for (from, to) in [
            ("snapshot 1", "snapshot 2"),
            ("\"CURRENT\"", "\"../CURRENT\""),
            ("\"CURRENT\"", "\"000012.sst\""),
            ("00ab", "00a"),
            ("\"sequence\": 12", "\"sequence\": 13"),
            ("\"epoch\"", "\"further\""),
        ] {
            assert!(text.contains(from), "{from}");
            let other = text.replace(from, to);
            assert!(Manifest::read(&name, 3, other.as_bytes()).is_err(), "{from} to {to}");
        }
    }

    #[test]
    fn foreign_names_are_no_manifests() {
        for name in ["x", "12-7.json", "00000000000000000012.json", ""] {
            assert_eq!(sequence_of(name), None, "{name}");
        }
    }
}
