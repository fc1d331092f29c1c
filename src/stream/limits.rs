//! Every bound of the stream that no setting moves.

/// Commands that wait for the worker of a partition.
pub(super) const COMMANDS_MAX: usize = 1_024;
/// Submissions by HTTP whose records are on their way to the broker.
pub(super) const OWED_MAX: usize = 4_096;
/// Seconds that a partition is given to take another catalog, or to say whether it may.
pub(super) const COMMAND_SECONDS_MAX: u64 = 60;
/// How often entries of the catalog that do not fit are tried on those that do, before what does
/// comes into force.
pub(super) const JUDGE_PASSES_MAX: usize = 8;
