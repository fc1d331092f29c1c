//! The watch over calls of librdkafka: some take longer than they were given, and the thread that
//! waits in one cannot tell. What may do so without end is called on a thread of its own, so that
//! it can be given up.
//!
//! In librdkafka 2.12 `rd_kafka_send_offsets_to_transaction` waits without a limit
//! (`rd_kafka_txn_op_req1`, `RD_POLL_INFINITE`) for its main thread, which asks the coordinator of
//! the transaction, then looks for the one of the group, then asks that. Each question ends after
//! `socket.timeout.ms`, for us the transaction's timeout less 100 ms; but nothing ends the search:
//! `rd_kafka_coord_req` notes a timeout (`creq_ts_timeout`) that is read nowhere, and tries again
//! only when the state of a broker changes. It waits for ever once a search has failed three times
//! (`RD_KAFKA_REQUEST_DEFAULT_RETRIES`), or where no broker is known any more (`listener.rs`).
//! `init_transactions`, `commit_transaction` and `abort_transaction` wait no longer than they are
//! told, but for a last step that needs no broker, nor does `query_watermark_offsets`;
//! `rd_kafka_destroy` waits for all threads of its client.
//!
//! Time is counted in rounds of the watch, not by a clock: while the whole process is stopped, or
//! its machine asleep, no call gets older.

use super::super::limits::GIVEN_UP_MAX;
use crate::failure::Failure;
use crate::service::Metrics;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// A call on a thread of its own that lasts so much longer than it was given is given up.
const PATIENCE: Duration = Duration::from_secs(3);
/// Any other that lasts so much longer than it was given is told of.
const SLACK: Duration = Duration::from_secs(5);
/// Any other that lasts so much longer ends the process: nothing else ends its thread, and the
/// partitions that it holds are better off with another instance.
const END: Duration = Duration::from_secs(60);

const _: () = assert!(PATIENCE.as_secs() < SLACK.as_secs(), "what is given up is told of then");
const _: () = assert!(SLACK.as_secs() < END.as_secs(), "it is told before it ends");

/// What is done every round for the client of a call that was given up: nobody else hears it, and
/// what it has to tell would pile up.
type Tend = Box<dyn Fn() + Send>;

/// A call that has not come back.
struct Call {
    name: &'static str,
    thread: String,
    given: Duration,
    lasted: Duration,
    is_told: bool,
    is_given_up: bool,
    tend: Option<Tend>,
}

/// All calls that have not come back, by the order in which they were made.
#[derive(Default)]
struct Made {
    count: u64,
    calls: BTreeMap<u64, Call>,
}

/// All calls that have not come back.
#[derive(Default)]
pub(crate) struct Calls(Mutex<Made>);

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calls({})", self.made().calls.len())
    }
}

/// Ends the entry of a call, also where that panics.
struct Open<C: AsRef<Calls>>(C, u64);

impl<C: AsRef<Calls>> Drop for Open<C> {
    fn drop(&mut self) {
        let calls = self.0.as_ref();
        // It may be the last that holds the client, whose end takes its time.
        let tend = calls.made().calls.get_mut(&self.1).and_then(|call| call.tend.take());
        drop(tend);
        let Some(call) = calls.made().calls.remove(&self.1) else { return };
        if call.is_given_up {
            let Call { name, thread, lasted, .. } = call;
            tracing::info!("{name} of librdkafka for {thread} has come back, after {lasted:?}");
        }
    }
}

impl AsRef<Self> for Calls {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What a round has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Calls that last too long.
    stuck: usize,
    /// Those of them that were given up.
    given_up: usize,
    /// What to tell, for the first time.
    news: Vec<String>,
    /// Why the process must end.
    end: Option<String>,
}

impl Calls {
    fn made(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, name: &'static str, given: Duration) -> u64 {
        let thread = std::thread::current().name().unwrap_or("a thread").to_owned();
        let (lasted, is_told) = (Duration::ZERO, false);
        let call = Call { name, thread, given, lasted, is_told, is_given_up: false, tend: None };
        let mut made = self.made();
        made.count += 1;
        let number = made.count;
        made.calls.insert(number, call);
        number
    }

    /// Makes a call that is given so much time, under watch.
    pub(crate) fn during<T>(
        &self,
        name: &'static str,
        given: Duration,
        call: impl FnOnce() -> T,
    ) -> T {
        let open = Open(self, self.open(name, given));
        let done = call();
        drop(open);
        done
    }

    /// Makes a call that is given so much time on a thread of its own, and gives it up if it has
    /// not come back [`PATIENCE`] later. That thread stays with it then, and so does all that
    /// `call` holds; from then on `tend` is done every round until it comes back.
    ///
    /// # Errors
    /// Why there is no answer; what has become of the call is not known then.
    pub(crate) fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        (name, given): (&'static str, Duration),
        call: impl FnOnce() -> T + Send + 'static,
        tend: impl Fn() + Send + 'static,
    ) -> Result<T, String> {
        let number = self.open(name, given);
        let open = Open(Arc::clone(self), number);
        let (answer, answered) = sync_channel(1);
        let run = move || {
            // Whoever has given it up does not wait for it.
            _ = answer.send(call());
            drop(open);
        };
        let thread = std::thread::current().name().unwrap_or("a thread").to_owned();
        let started = std::thread::Builder::new().name(thread).spawn(run);
        started.map_err(|error| format!("cannot start a thread for {name}: {error}"))?;
        match wait(&answered, given + PATIENCE, ROUND) {
            Ok(done) => Ok(done),
            Err(RecvTimeoutError::Disconnected) => Err(format!("{name} of librdkafka panicked")),
            Err(RecvTimeoutError::Timeout) => self.give_up(number, Box::new(tend), &answered),
        }
    }

    fn give_up<T>(&self, number: u64, tend: Tend, answered: &Receiver<T>) -> Result<T, String> {
        let mut made = self.made();
        // It may have come back just now.
        if let Ok(done) = answered.try_recv() {
            return Ok(done);
        }
        let before = made.calls.values().filter(|call| call.is_given_up).count();
        let Some(call) = made.calls.get_mut(&number) else {
            return Err("a call of librdkafka panicked".to_owned());
        };
        (call.is_given_up, call.is_told, call.tend) = (true, true, Some(tend));
        let Call { name, thread, given, .. } = &*call;
        let line = format!(
            "{name} of librdkafka, which was given {given:?}, has not come back, so its client is \
             given up"
        );
        tracing::error!("{thread}: {line}: {} of {GIVEN_UP_MAX} that may be", before + 1);
        Err(line)
    }

    fn round(&self) -> Found {
        let found = self.count_round();
        self.tend();
        found
    }

    /// Hears the clients of calls that were given up. No other call waits for that.
    fn tend(&self) {
        let tends: Vec<(u64, Tend)> = {
            let mut made = self.made();
            let calls = made.calls.iter_mut();
            calls.filter_map(|(number, call)| Some((*number, call.tend.take()?))).collect()
        };
        let mut ended = Vec::new();
        for (number, tend) in tends {
            tend();
            match self.made().calls.get_mut(&number) {
                Some(call) => call.tend = Some(tend),
                None => ended.push(tend),
            }
        }
        if !ended.is_empty() {
            // They may be the last that hold their clients, whose end takes its time. Without a
            // thread it is waited for after all.
            _ = std::thread::Builder::new().name("closing".to_owned()).spawn(|| drop(ended));
        }
    }

    fn count_round(&self) -> Found {
        let mut found = Found::default();
        for call in self.made().calls.values_mut() {
            call.lasted += ROUND;
            if call.is_given_up {
                found.given_up += 1;
                found.stuck += 1;
                continue;
            }
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
        if found.given_up > GIVEN_UP_MAX {
            let given_up = found.given_up;
            found.end = Some(format!("{given_up} calls of librdkafka were given up"));
        }
        found
    }
}

/// Waits for an answer, in steps, of which one that the whole process is stopped in counts once.
fn wait<T>(answered: &Receiver<T>, most: Duration, step: Duration) -> Result<T, RecvTimeoutError> {
    let mut waited = Duration::ZERO;
    loop {
        match answered.recv_timeout(step) {
            Err(RecvTimeoutError::Timeout) if waited + step < most => waited += step,
            answer => return answer,
        }
    }
}

/// Looks at all calls for as long as the process lives. One that does not come back ends it, or
/// too many that were given up.
pub(crate) fn watch(calls: &Calls, metrics: &Metrics) -> Result<(), Failure> {
    loop {
        std::thread::sleep(ROUND);
        let Found { stuck, given_up, news, end } = calls.round();
        metrics.stuck_calls(stuck, given_up);
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
    use crate::clock::Stopwatch;
    use std::sync::atomic::{AtomicU32, Ordering};

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
        assert!(calls.made().calls.is_empty());
        let calls = Arc::new(calls);
        let made = calls.apart(("flush", ROUND), || std::panic::panic_any("x"), || {});
        made.unwrap_err();
        assert!(calls.made().calls.is_empty());
    }

    /// A call that hung held its partition until the process ended after more than a minute.
    #[test]
    fn a_call_apart_that_does_not_come_back_is_given_up_and_holds_its_client_until_it_does() {
        let calls = Arc::new(Calls::default());
        let (client, tended) = (Arc::new(()), Arc::new(AtomicU32::new(0)));
        let (held, seen) = (Arc::clone(&client), Arc::clone(&tended));
        let (wake, hung) = sync_channel::<()>(0);
        let hangs = move || {
            _ = hung.recv();
            drop(held);
        };
        let tend = move || {
            seen.fetch_add(1, Ordering::SeqCst);
        };
        let clock = Stopwatch::start();
        let reason = calls.apart(("commit", Duration::ZERO), hangs, tend).unwrap_err();
        assert!(clock.elapsed() >= PATIENCE && clock.elapsed() < PATIENCE * 3);
        assert!(reason.contains("commit"), "{reason}");
        // However long it lasts, it neither is told again nor ends the process.
        for _ in 0..200 {
            let found = calls.round();
            assert_eq!(found, Found { stuck: 1, given_up: 1, ..Found::default() });
        }
        assert_eq!((tended.load(Ordering::SeqCst), Arc::strong_count(&client)), (200, 2));
        drop(wake);
        let clock = Stopwatch::start();
        while !calls.made().calls.is_empty() {
            assert!(clock.elapsed() < ROUND * 30, "it comes back");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((Arc::strong_count(&client), Arc::strong_count(&tended)), (1, 1));
        assert_eq!(calls.round(), Found::default());
    }

    #[test]
    fn too_many_calls_that_were_given_up_end_the_process() {
        let calls = Calls::default();
        for given_up in 1..=GIVEN_UP_MAX + 1 {
            let number = calls.open("commit", Duration::ZERO);
            let (_answer, answered) = sync_channel::<()>(1);
            calls.give_up(number, Box::new(|| {}), &answered).unwrap_err();
            let found = calls.round();
            assert_eq!(found.given_up, given_up);
            assert_eq!(found.end.is_some(), given_up > GIVEN_UP_MAX);
        }
    }

    #[test]
    fn an_answer_that_comes_in_time_counts() {
        let calls = Arc::new(Calls::default());
        assert_eq!(calls.apart(("commit", ROUND), || 7, || {}), Ok(7));
        // Also one that comes at the moment when it is given up.
        let number = calls.open("commit", ROUND);
        let (answer, answered) = sync_channel(1);
        answer.send(8).unwrap();
        assert_eq!(calls.give_up(number, Box::new(|| {}), &answered), Ok(8));
    }
}
