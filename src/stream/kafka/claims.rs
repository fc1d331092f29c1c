//! Claims: when an instance takes its name in the group again that the group says is another's.
//!
//! An instance with a name (`kafka.instance_id`) can be told so by mistake: a broker that did not
//! answer for long takes its earlier request to join for another instance's, and one that died
//! keeps the name until its session ends. But where two really have one name, one must end.

use rdkafka::error::RDKafkaErrorCode;
use std::time::Duration;

/// A name that was taken is claimed so often again within [`TAKEN_WITHIN`].
const TAKEN_MAX: usize = 2;
const TAKEN_WITHIN: Duration = Duration::from_secs(600);
/// A name that is not free is waited for so long: longer than brokers let a session last.
const NOT_FREE_MAX: Duration = Duration::from_secs(120);
/// The time between two tries to have one that is not free.
const NOT_FREE_PAUSE: Duration = Duration::from_secs(3);

/// What to do about a member that can be one no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To join again at once.
    Claim,
    /// To join again, but not yet.
    Wait,
    /// To end.
    GiveUp,
}

/// The claims that were made.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// When the name was claimed because somebody had taken it.
    taken: Vec<Duration>,
    /// When it was first found not to be free, in a row of tries, and when it was last tried.
    not_free: Option<(Duration, Duration)>,
}

impl Claims {
    /// Judges about a member that has failed for good. Time counts from any beginning.
    pub(super) fn judge(&mut self, code: RDKafkaErrorCode, now: Duration) -> Verdict {
        if code == RDKafkaErrorCode::FencedInstanceId {
            return self.judge_taken(now);
        }
        if code == RDKafkaErrorCode::UnreleasedInstanceId {
            return self.judge_not_free(now);
        }
        Verdict::GiveUp
    }

    fn judge_taken(&mut self, now: Duration) -> Verdict {
        self.taken.retain(|at| now.saturating_sub(*at) < TAKEN_WITHIN);
        if self.taken.len() >= TAKEN_MAX {
            return Verdict::GiveUp;
        }
        self.taken.push(now);
        Verdict::Claim
    }

    fn judge_not_free(&mut self, now: Duration) -> Verdict {
        // After a longer pause than between tries, the last one has succeeded.
        let in_row = |at: &Duration| now.saturating_sub(*at) < 10 * NOT_FREE_PAUSE;
        let (since, last) = self.not_free.filter(|(_, last)| in_row(last)).unzip();
        let since = since.unwrap_or(now);
        if now.saturating_sub(since) > NOT_FREE_MAX {
            return Verdict::GiveUp;
        }
        if last.is_some_and(|last| now.saturating_sub(last) < NOT_FREE_PAUSE) {
            return Verdict::Wait;
        }
        self.not_free = Some((since, now));
        Verdict::Claim
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode::{FencedInstanceId, UnreleasedInstanceId};

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_name_that_was_taken_is_claimed_twice_and_then_left() {
        let mut claims = Claims::default();
        let mut judge = |seconds| claims.judge(FencedInstanceId, after(seconds));
        assert_eq!(
            [judge(5), judge(40), judge(70)],
            [Verdict::Claim, Verdict::Claim, Verdict::GiveUp]
        );
        assert_eq!(judge(606), Verdict::Claim, "the first was long ago");
    }

    #[test]
    fn a_name_that_is_not_free_is_waited_for() {
        let mut claims = Claims::default();
        let mut ends = Vec::new();
        for round in [0, 1_000] {
            let mut claimed = 0;
            let end = (round..).find(|second| {
                let verdict = claims.judge(UnreleasedInstanceId, after(*second));
                claimed += u32::from(verdict == Verdict::Claim);
                verdict == Verdict::GiveUp
            });
            assert_eq!(claimed, 41);
            ends.push(end.map(|end| end - round));
        }
        assert_eq!(ends, [Some(121), Some(121)]);
    }

    #[test]
    fn what_is_no_matter_of_names_ends_it() {
        for code in [RDKafkaErrorCode::Fatal, RDKafkaErrorCode::GroupAuthorizationFailed] {
            assert_eq!(Claims::default().judge(code, after(0)), Verdict::GiveUp);
        }
    }
}
