//! The one real clock. It measures how long things take, and tells the service when a record was
//! received; no amount depends on it.

use std::time::{Duration, Instant, SystemTime};

/// What time it is.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one real clock")]
pub(crate) fn now() -> rating::Instant {
    rating::Instant::from_nanos(match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    })
}

/// An instant so much later.
pub(crate) fn later(instant: rating::Instant, by: Duration) -> rating::Instant {
    rating::Instant::from_nanos(instant.nanos().saturating_add(nanos(by)))
}

/// An instant so much earlier.
pub(crate) fn earlier(instant: rating::Instant, by: Duration) -> rating::Instant {
    rating::Instant::from_nanos(instant.nanos().saturating_sub(nanos(by)))
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// Time since it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago it was started.
    #[must_use]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// How many of `count` there were per second, rounded down; `None` if no time has passed.
    #[must_use]
    pub(crate) fn per_second(&self, count: u64) -> Option<u64> {
        let micros = self.elapsed().as_micros();
        let rate = (u128::from(count) * 1_000_000).checked_div(micros)?;
        u64::try_from(rate).ok()
    }
}
