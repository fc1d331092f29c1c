//! Every bound of this crate, and how they relate.

/// Largest record, in bytes: a line without its end, a message, an element of a batch.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes that a source reads ahead.
pub const READ_AHEAD_BYTES: usize = 2 << 20;
/// Bytes of a record that is too large which its dead letter keeps.
pub const TOO_LARGE_BYTES_KEPT: usize = 4 << 10;

const _: () = assert!(RECORD_BYTES_MAX < READ_AHEAD_BYTES, "a record fits the read-ahead");
const _: () = assert!(TOO_LARGE_BYTES_KEPT < RECORD_BYTES_MAX, "a cut record is smaller");
