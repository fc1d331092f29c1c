//! The watch over calls of librdkafka: some take longer than they were given, and the thread that
//! waits in one cannot tell.
//!
//! Time is counted in rounds of the watch, not by a clock: while the whole process is stopped, or
//! its machine asleep, no call gets older.

use crate::failure::Failure;
use crate::service::Metrics;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// A call that lasts so much longer than it was given is told of.
const SLACK: Duration = Duration::from_secs(5);
/// A call that lasts so much longer ends the process: nothing else ends its thread, and the
/// partitions that it holds are better off with another instance.
const END: Duration = Duration::from_secs(60);

const _: () = assert!(SLACK.as_secs() < END.as_secs(), "it is told before it ends");

/// A call that has not come back.
#[derive(Debug)]
struct Call {
    name: &'static str,
    thread: String,
    given: Duration,
    lasted: Duration,
    is_told: bool,
}

/// All calls that have not come back.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<(u64, BTreeMap<u64, Call>)>);

/// Ends the entry of a call, also where that panics.
struct Open<'a>(&'a Calls, u64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.1);
    }
}

/// What a round has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Calls that last too long.
    stuck: usize,
    /// What to tell, for the first time.
    news: Vec<String>,
    /// Why the process must end.
    end: Option<String>,
}

impl Calls {
    /// Makes a call that is given so much time, under watch.
    pub(crate) fn during<T>(
        &self,
        name: &'static str,
        given: Duration,
        call: impl FnOnce() -> T,
    ) -> T {
        let thread = std::thread::current().name().unwrap_or("a thread").to_owned();
        let open = {
            let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            calls.0 += 1;
            let number = calls.0;
            let entry = Call { name, thread, given, lasted: Duration::ZERO, is_told: false };
            calls.1.insert(number, entry);
            Open(self, number)
        };
        let done = call();
        drop(open);
        done
    }

    fn round(&self) -> Found {
        let mut found = Found::default();
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for call in calls.1.values_mut() {
            call.lasted += ROUND;
            let Call { name, thread, given, lasted, .. } = &*call;
            if *lasted <= *given + SLACK {
                continue;
            }
            found.stuck += 1;
            let line = format!(
                "{thread} has waited {lasted:?} for {name} of librdkafka, which was given {given:?}"
            );
            if *lasted > *given + END {
                found.end.get_or_insert_with(|| line.clone());
            }
            if !std::mem::replace(&mut call.is_told, true) {
                found.news.push(line);
            }
        }
        found
    }
}

/// Looks at all calls for as long as the process lives. A call that does not come back ends it.
pub(crate) fn watch(calls: &Calls, metrics: &Metrics) -> Result<(), Failure> {
    loop {
        std::thread::sleep(ROUND);
        let Found { stuck, news, end } = calls.round();
        metrics.stuck_calls(stuck);
        for line in news {
            tracing::error!("{line}");
        }
        if let Some(line) = end {
            tracing::error!("{line}; the process ends, so that another may take over");
            std::process::exit(i32::from(Failure::Dependency(line).exit_code()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_lasts_too_long_is_told_once_and_ends_the_process_at_last() {
        let calls = Calls::default();
        calls.during("flush", Duration::from_secs(2), || {
            for _ in 0..7 {
                assert_eq!(calls.round(), Found::default());
            }
            let found = calls.round();
            assert_eq!((found.stuck, found.news.len(), found.end), (1, 1, None));
            assert!(found.news[0].contains("flush"), "{found:?}", found = found.news);
            for _ in 8..62 {
                let found = calls.round();
                assert_eq!((found.stuck, found.news.len(), found.end), (1, 0, None));
            }
            assert!(calls.round().end.is_some_and(|line| line.contains("flush")));
        });
        assert_eq!(calls.round(), Found::default(), "it came back");
    }

    #[test]
    fn a_call_that_panics_is_over() {
        let calls = Calls::default();
        let call = || calls.during("flush", Duration::ZERO, || std::panic::panic_any("x"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
        assert!(calls.0.lock().unwrap().1.is_empty());
    }
}
