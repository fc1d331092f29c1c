//! Tests of snapshots on a directory.
