//! Every bound of the proof. What grows with the input, about 100 bytes for each record and 500 for
//! each total, is told by the README.

/// Findings that are told in words; beyond them they are counted.
pub(super) const FINDINGS_MAX: usize = 1_000;
/// Places of one kind that are told below the summary.
pub(super) const NOTICES_MAX: usize = 20;
/// Corrections of each other that are followed.
pub(super) const CORRECTION_DEPTH_MAX: usize = 256;
/// The most of a line that is kept; a longer one was refused for its length.
pub(super) const LINE_BYTES_MAX: usize = (1 << 20) + 1;
