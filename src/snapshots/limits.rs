//! Every bound of snapshots.

/// Bytes that are read, sent or received at once.
pub(super) const PART_BYTES: usize = 8 << 20;
/// Parts of one object that are on their way at once.
pub(super) const PARTS_MAX: usize = 4;
/// Partitions whose snapshots are uploaded at once; the others wait for their turn.
pub(super) const UPLOADS_MAX: usize = 2;
/// Files of one store.
pub(super) const FILES_MAX: usize = 1 << 17;
/// Largest manifest: some 200 bytes for each file.
pub(super) const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// Objects of one partition that are looked at.
pub(super) const LISTED_MAX: usize = 1 << 20;
/// Snapshots that are tried before restoring gives up.
pub(super) const TRIED_MAX: usize = 8;

const _: () = assert!(FILES_MAX * 300 <= MANIFEST_BYTES_MAX, "what is written can be read");
