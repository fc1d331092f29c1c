//! Every bound of the stream that no setting moves.

use crate::service::{TRIAL_SECONDS_MAX, TRIAL_TURN_SECONDS_MAX};

/// Bytes of rated lines that are gathered before they are sent: what a request of the producer
/// takes well, and little beside what it holds anyway.
pub(super) const OUTBOX_BYTES_MAX: usize = 256 << 10;
/// Commands that wait for the worker of a partition.
pub(super) const COMMANDS_MAX: usize = 1_024;
/// Submissions by HTTP whose records are on their way to the broker.
pub(super) const OWED_MAX: usize = 4_096;
/// Seconds that a partition is given to take another catalog, or to say whether it may.
pub(super) const COMMAND_SECONDS_MAX: u64 = 60;
/// How often entries of the catalog that do not fit are tried on those that do, before what does
/// comes into force.
pub(super) const JUDGE_PASSES_MAX: usize = 8;
/// How often one decision about entries of the catalog asks all partitions; what is left is put
/// off.
pub(super) const CATALOG_TRIALS_MAX: usize = 64;
/// Reasons why partitions could not be asked that are not told again.
pub(super) const REASONS_TOLD_MAX: usize = 64;
/// Seconds that the keeper of the catalog is given to end once the partitions have been let go.
pub(super) const KEEPER_SECONDS_MAX: u64 = 10;
/// Seconds that partitions may take to say that they still fit a catalog, before it counts.
pub(super) const ASKED_AGAIN_SECONDS_MAX: u64 = 30;
/// Calls of librdkafka that were given up and have not come back, each with a client and its
/// threads: with more of them, the process ends.
pub(super) const GIVEN_UP_MAX: usize = 64;

const _: () = assert!(
    2 * TRIAL_TURN_SECONDS_MAX + COMMAND_SECONDS_MAX < TRIAL_SECONDS_MAX,
    "then partitions of another instance may still answer"
);
