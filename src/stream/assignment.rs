//! Assignment: what to do about one partition, decided from what is known of it and nothing else.

use std::time::Duration;

/// What is known of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether the group says that it is ours.
    pub is_assigned: bool,
    /// Whether the group waits for us to let it go.
    pub is_revoked: bool,
    /// Whether a rater works on it, restores it, or is still ending.
    pub is_working: bool,
    /// Whether that rater has been told to stop.
    pub is_told_to_stop: bool,
    /// Whether this instance is ending.
    pub is_ending: bool,
    /// How often its rater has failed in a row, and how long ago the last one did.
    pub failed: Option<(u32, Duration)>,
    /// Whether its last rater was fenced, and the group has not been heard of since.
    pub is_fenced: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, until something changes.
    Wait,
    /// To begin restoring it.
    Start,
    /// To tell its rater to commit and let go.
    Stop,
    /// To tell the group that it has been let go.
    Release,
}

/// The longest time between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The time after a first failure.
const BACKOFF: Duration = Duration::from_millis(500);

/// How long to wait after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    BACKOFF.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX)
}

/// Decides about one partition.
#[must_use]
pub fn decide(facts: Facts) -> Decision {
    let wanted = facts.is_assigned && !facts.is_revoked && !facts.is_ending;
    match (facts.is_working, wanted) {
        (true, true) => Decision::Wait,
        (true, false) if facts.is_told_to_stop => Decision::Wait,
        (true, false) => Decision::Stop,
        // The old owner has let go before the new one is told.
        (false, false) if facts.is_revoked => Decision::Release,
        (false, false) => Decision::Wait,
        // Two that both think they own it would fence each other in turn.
        (false, true) if facts.is_fenced => Decision::Wait,
        (false, true) => match facts.failed {
            Some((failures, ago)) if ago < backoff(failures) => Decision::Wait,
            _ => Decision::Start,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Facts = Facts {
        is_assigned: true,
        is_revoked: false,
        is_working: false,
        is_told_to_stop: false,
        is_ending: false,
        failed: None,
        is_fenced: false,
    };

    #[test]
    fn a_partition_is_started_once_and_stopped_once() {
        assert_eq!(decide(OURS), Decision::Start);
        let working = Facts { is_working: true, ..OURS };
        assert_eq!(decide(working), Decision::Wait);
        let revoked = Facts { is_revoked: true, ..working };
        assert_eq!(decide(revoked), Decision::Stop);
        let told = Facts { is_told_to_stop: true, ..revoked };
        assert_eq!(decide(told), Decision::Wait);
        assert_eq!(decide(Facts { is_working: false, ..told }), Decision::Release);
    }

    #[test]
    fn what_is_not_ours_is_never_started() {
        for is_working in [true, false] {
            for (is_assigned, is_revoked, is_ending) in
                [(false, false, false), (true, true, false), (true, false, true)]
            {
                let facts = Facts { is_assigned, is_revoked, is_ending, is_working, ..OURS };
                assert_ne!(decide(facts), Decision::Start, "{facts:?}");
            }
        }
        assert_eq!(decide(Facts { is_fenced: true, ..OURS }), Decision::Wait);
    }

    #[test]
    fn failures_are_tried_again_ever_more_slowly() {
        let after = |failures, millis| {
            decide(Facts { failed: Some((failures, Duration::from_millis(millis))), ..OURS })
        };
        assert_eq!(after(1, 499), Decision::Wait);
        assert_eq!(after(1, 500), Decision::Start);
        assert_eq!(after(3, 1_999), Decision::Wait);
        assert_eq!(after(3, 2_000), Decision::Start);
        assert_eq!(after(u32::MAX, 30_000), Decision::Start);
    }
}
