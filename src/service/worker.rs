//! The worker: one thread that owns the ledger and serves the desk.
//!
//! Requests are gathered until none waits, or the commit interval is over, or the ledger wants to
//! commit; then all of them become durable at once, and only then is any of them answered. While a
//! commit is being written, the next requests gather.

use crate::clock::{self, Stopwatch};
use crate::failure::Failure;
use crate::service::answer::Answer;
use crate::service::desk::{DeadLetters, Desk, Request, Submission};
use crate::service::earlier;
use crate::service::ledger::Ledger;
use crate::service::limits::COMMIT_REQUESTS_MAX;
use crate::service::metrics::PartitionMetrics;
use crate::service::reads::{Question, Read, Unread};
use crate::service::settings::Periods;
use rating::Instant;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often an idle worker looks at the clock.
const TICK: Duration = Duration::from_millis(200);
/// The least time between two looks for periods to close.
const CLOSING_PAUSE: Duration = Duration::from_secs(1);

/// A ledger and what is asked of it.
#[derive(Debug)]
pub(crate) struct Worker<L> {
    pub(crate) ledger: L,
    pub(crate) desk: Arc<Desk>,
    pub(crate) requests: Receiver<Request>,
    pub(crate) metrics: PartitionMetrics,
    pub(crate) commit_interval: Duration,
    pub(crate) periods: Periods,
}

/// What is answered once a commit has made it true.
enum Owed {
    Usage(Submission, Answer),
    Read(Request),
}

impl<L: Ledger> Worker<L> {
    /// Serves until the desk is closed and empty.
    ///
    /// # Errors
    /// The first failure of the ledger. Whatever was not answered by then was not promised.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        self.commit()?;
        let (mut looked, mut quiet) = (Stopwatch::start(), Stopwatch::start());
        loop {
            match self.requests.recv_timeout(TICK) {
                Ok(request) => {
                    if matches!(request, Request::Usage(_)) {
                        quiet = Stopwatch::start();
                    }
                    self.serve(request)?;
                }
                Err(RecvTimeoutError::Timeout) if !self.desk.is_closed() => {}
                Err(_) => return Ok(()),
            }
            if looked.elapsed() >= CLOSING_PAUSE {
                if quiet.elapsed() >= self.periods.idle {
                    self.ledger.advance_watermark(clock::now());
                }
                self.ledger.give_up_waiting(clock::now())?;
                self.commit()?;
                self.close_what_ended()?;
                self.metrics.store(&self.ledger.store_usage()?);
                looked = Stopwatch::start();
            }
        }
    }

    /// Serves a request and those behind it by one commit.
    fn serve(&mut self, first: Request) -> Result<(), Failure> {
        let gathering = Stopwatch::start();
        let mut owed = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            self.take(request, &mut owed)?;
            let full = self.ledger.commit_due() || owed.len() >= COMMIT_REQUESTS_MAX;
            if full || gathering.elapsed() >= self.commit_interval {
                break;
            }
            next = self.requests.try_recv().ok();
        }
        self.commit()?;
        for owed in owed {
            self.answer(owed);
        }
        Ok(())
    }

    fn take(&mut self, request: Request, owed: &mut Vec<Owed>) -> Result<(), Failure> {
        match request {
            Request::Usage(submission) => {
                let mut answer = Answer::default();
                for record in &submission.records {
                    let record = record.start as usize..record.end as usize;
                    let record = submission.body.get(record).unwrap_or_default();
                    self.ledger.take(record, submission.received, &mut answer)?;
                    if self.ledger.commit_due() {
                        self.commit()?;
                    }
                }
                owed.push(Owed::Usage(submission, answer));
            }
            read @ (Request::Read(_) | Request::Rejected { .. }) => owed.push(Owed::Read(read)),
            Request::Catalog { new, reply } => {
                self.commit()?;
                let replaced = self.ledger.replace_catalog(new)?;
                self.desk.show_catalog(self.ledger.catalog().cloned());
                _ = reply.send(replaced);
            }
            Request::Close { until, reply } => {
                self.commit()?;
                self.ledger.close(until)?;
                _ = reply.send(());
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let clock = Stopwatch::start();
        if self.ledger.commit()? {
            self.metrics.commit_seconds(clock.elapsed());
        }
        self.metrics.committed(&self.ledger.counters(), self.ledger.watermark());
        self.metrics.rejected(&self.ledger.rejected_by_code());
        Ok(())
    }

    /// Whoever asked may have gone away since; what was promised holds all the same.
    fn answer(&self, owed: Owed) {
        match owed {
            Owed::Usage(submission, answer) => {
                let Submission { age, reply, body, room, .. } = submission;
                self.metrics.answered(answer.records, age.elapsed());
                drop((body, room));
                _ = reply.send(answer);
            }
            Owed::Read(Request::Read(Read { question, reply })) => {
                let answer = match &question {
                    Question::Totals { subscription, wanted } => {
                        self.ledger.totals(subscription, *wanted)
                    }
                    Question::Explain { subscription, charge, period } => {
                        self.ledger.explain(subscription, charge, period)
                    }
                };
                _ = reply.send(answer.map_err(Unread::Failed));
            }
            Owed::Read(Request::Rejected { limit, reply }) => {
                _ = reply.send(self.ledger.rejected(limit).map(DeadLetters::Here));
            }
            Owed::Read(Request::Usage(_) | Request::Catalog { .. } | Request::Close { .. }) => {}
        }
    }

    fn close_what_ended(&mut self) -> Result<(), Failure> {
        let watermark = self.ledger.watermark();
        let until = earlier(watermark, self.periods.grace);
        if watermark > Instant::MIN && until >= self.ledger.next_period_end() {
            self.ledger.close(until)?;
            tracing::info!("closed the periods that ended by {until}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::answer::Told;
    use crate::service::ledger::{CatalogText, Refusal};
    use crate::service::metrics::Metrics;
    use crate::service::split::{self, Form};
    use crate::service::wanted::WantedPeriod;
    use aggregator::{Counters, RejectedByCode, StoreUsage};
    use axum::body::Bytes;
    use tokio::sync::oneshot;

    /// A ledger that accepts everything and remembers what was done to it.
    #[derive(Debug, Default)]
    struct Notebook {
        log: String,
        commits_until_failure: usize,
        panics: bool,
    }

    impl Ledger for Notebook {
        fn take(&mut self, record: &[u8], _: Instant, answer: &mut Answer) -> Result<(), Failure> {
            assert!(!self.panics, "a defect");
            self.log += &format!("take {} ", String::from_utf8_lossy(record));
            answer.add(Some("id"), None, Told::Accepted);
            Ok(())
        }

        fn commit_due(&self) -> bool {
            self.log.ends_with("large ")
        }

        fn commit(&mut self) -> Result<bool, Failure> {
            if self.commits_until_failure == 0 {
                return Err(Failure::Dependency("the disk is full".to_owned()));
            }
            self.commits_until_failure -= 1;
            self.log += "commit ";
            Ok(true)
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }

        fn rejected_by_code(&self) -> RejectedByCode {
            RejectedByCode::default()
        }

        fn store_usage(&self) -> Result<StoreUsage, Failure> {
            Ok(StoreUsage::default())
        }

        fn watermark(&self) -> Instant {
            Instant::MIN
        }

        fn advance_watermark(&mut self, _: Instant) {}

        fn next_period_end(&self) -> Instant {
            Instant::MIN
        }

        fn close(&mut self, until: Instant) -> Result<(), Failure> {
            self.log += &format!("close {until} ");
            Ok(())
        }

        fn totals(&self, _: &str, _: WantedPeriod) -> Result<Option<String>, Failure> {
            Ok(Some(self.log.clone()))
        }

        fn rejected(&self, _: usize) -> Result<String, Failure> {
            Ok(String::new())
        }

        fn explain(&self, _: &str, _: &str, _: &str) -> Result<Option<String>, Failure> {
            Ok(None)
        }

        fn give_up_waiting(&mut self, _: Instant) -> Result<(), Failure> {
            Ok(())
        }

        fn replace_catalog(&mut self, _: CatalogText) -> Result<Result<(), Refusal>, Failure> {
            Ok(Ok(()))
        }

        fn catalog(&self) -> Option<&CatalogText> {
            None
        }
    }

    type Asked<T> = oneshot::Receiver<T>;

    fn usage(desk: &Desk, body: &'static str) -> Asked<Answer> {
        let (reply, answer) = oneshot::channel();
        let records = split::records(Form::Single, body.as_bytes()).unwrap();
        let submission = Submission {
            body: Bytes::from_static(body.as_bytes()),
            records,
            received: Instant::MIN,
            age: Stopwatch::start(),
            room: desk.room(),
            reply,
        };
        desk.submit(Request::Usage(submission)).unwrap();
        answer
    }

    fn totals(desk: &Desk) -> Asked<Result<Option<String>, Unread>> {
        let (reply, answer) = oneshot::channel();
        let (subscription, wanted) = ("s".to_owned(), WantedPeriod::Any);
        let question = Question::Totals { subscription, wanted };
        desk.submit(Request::Read(Read { question, reply })).unwrap();
        answer
    }

    /// A worker that has a while to gather, and its desk, which is closed when all is handed in.
    fn worker(ledger: Notebook) -> (Arc<Desk>, Worker<Notebook>) {
        let (desk, requests) = Desk::new(8, 100);
        let metrics = Metrics::new().unwrap().partition(0).unwrap();
        let commit_interval = Duration::from_secs(3_600);
        let periods = Periods { grace: Duration::ZERO, idle: Duration::ZERO };
        let worker =
            Worker { ledger, desk: Arc::clone(&desk), requests, metrics, commit_interval, periods };
        (desk, worker)
    }

    #[test]
    fn requests_that_wait_share_a_commit_and_reads_see_it() {
        let ledger = Notebook { commits_until_failure: 9, ..Notebook::default() };
        let (desk, worker) = worker(ledger);
        let (a, read, b) = (usage(&desk, "a"), totals(&desk), usage(&desk, "b"));
        desk.close();
        worker.run().unwrap();
        for mut answer in [a, b] {
            assert_eq!(answer.try_recv().unwrap().records, 1);
        }
        let mut read = read;
        let seen = read.try_recv().unwrap().unwrap().unwrap();
        assert_eq!(
            seen, "commit take a take b commit ",
            "the first commit is the one at the start"
        );
    }

    #[test]
    fn a_ledger_that_is_full_is_committed_before_more_is_taken() {
        let ledger = Notebook { commits_until_failure: 9, ..Notebook::default() };
        let (desk, worker) = worker(ledger);
        let (_large, _b, mut read) = (usage(&desk, "large"), usage(&desk, "b"), totals(&desk));
        desk.close();
        worker.run().unwrap();
        let seen = read.try_recv().unwrap().unwrap().unwrap();
        assert_eq!(seen, "commit take large commit take b commit ");
    }

    #[test]
    fn what_could_not_be_committed_is_not_answered() {
        let (desk, worker) = worker(Notebook { commits_until_failure: 1, ..Notebook::default() });
        let (mut a, mut read) = (usage(&desk, "a"), totals(&desk));
        desk.close();
        let failure = worker.run().unwrap_err();
        assert!(failure.to_string().contains("the disk is full"), "{failure}");
        assert!(a.try_recv().is_err() && read.try_recv().is_err(), "nothing was promised");
    }

    #[test]
    fn a_defect_answers_nobody() {
        let ledger = Notebook { commits_until_failure: 9, panics: true, ..Notebook::default() };
        let (desk, worker) = worker(ledger);
        let mut a = usage(&desk, "a");
        desk.close();
        let run = std::panic::AssertUnwindSafe(|| worker.run());
        assert!(std::panic::catch_unwind(run).is_err());
        assert!(a.try_recv().is_err(), "nothing was promised");
    }
}
