//! The front: serves what HTTP hands in at the desk.
//!
//! Usage goes to the raw topic and is answered when the broker has it. Totals are asked of the
//! worker that holds their partition.

use super::audience::Here;
use super::catalog_keeper::Replacement;
use super::catalog_topic::CatalogBoard;
use super::command::Command;
use super::directory::{Directory, Unsent};
use super::kafka::{Clients, Deliverer, Delivery, Topics};
use super::limits::OWED_MAX;
use super::partitioner::Partitioner;
use crate::failure::Failure;
use crate::service::{
    Answer, DeadLetters, Desk, Metrics, Read, Refusal, Request, Submission, Told, Unread,
};
use ingest::Decoder;
use rating::json::Tape;
use rating::{Catalog, Code, Rejection, Subject};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel};
use std::time::Duration;

/// How long the front waits for a request before it looks at deliveries.
const IDLE: Duration = Duration::from_millis(50);
/// As [`IDLE`], while deliveries are owed.
const BUSY: Duration = Duration::from_millis(1);
/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(60);

/// A submission that is on its way to the broker.
struct Owed {
    submission: Submission,
    answer: Answer,
    delivery: Arc<Delivery>,
}

/// Whoever serves the desk.
pub(super) struct Front {
    deliverer: Deliverer,
    decoder: Decoder,
    tape: Tape,
    partitions: u32,
    partitioner: Partitioner,
    /// The topic of dead letters.
    rejected: String,
    catalog: Arc<CatalogBoard>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    replacements: SyncSender<Replacement>,
    owed: VecDeque<Owed>,
}

impl Front {
    pub(super) fn new(
        clients: &Clients,
        topics: &Topics,
        here: &Here,
        (replacements, metrics): (SyncSender<Replacement>, Arc<Metrics>),
    ) -> Result<Self, Failure> {
        let deliverer = Deliverer::new(clients, (&topics.raw, topics.partitions))
            .map_err(|error| Failure::Dependency(error.to_string()))?;
        Ok(Self {
            deliverer,
            // Digests are not looked at here.
            decoder: Decoder::new(0),
            tape: Tape::default(),
            partitions: topics.partitions,
            partitioner: clients.partitioner,
            rejected: topics.rejected.clone(),
            catalog: Arc::clone(&here.board),
            directory: Arc::clone(&here.directory),
            metrics,
            replacements,
            owed: VecDeque::new(),
        })
    }

    /// Serves until the desk is closed and empty, and everything is answered.
    pub(super) fn serve(
        mut self,
        desk: &Desk,
        requests: &Receiver<Request>,
        mut is_over: impl FnMut() -> bool,
    ) -> Result<(), Failure> {
        loop {
            let wait = if self.owed.is_empty() { IDLE } else { BUSY };
            match requests.recv_timeout(wait) {
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Timeout) if !desk.is_closed() => {}
                Err(_) if self.owed.is_empty() => return Ok(()),
                Err(_) => {}
            }
            self.answer();
            while self.owed.len() >= OWED_MAX {
                std::thread::sleep(BUSY);
                self.answer();
            }
            if is_over() {
                return Err(Failure::Dependency(
                    "the supervisor or the reader of the catalog has ended".to_owned(),
                ));
            }
        }
    }

    fn answer(&mut self) {
        self.deliverer.poll();
        // Whoever is served first need not wait for whoever came first.
        let (over, open): (VecDeque<Owed>, VecDeque<Owed>) =
            std::mem::take(&mut self.owed).into_iter().partition(|owed| owed.delivery.is_over());
        self.owed = open;
        for Owed { submission, answer, delivery } in over {
            let Submission { reply, body, room, .. } = submission;
            drop((body, room));
            self.metrics.turned_away(answer.records);
            // What was not delivered was not promised: its sender gets no verdicts.
            if !delivery.has_failed() {
                _ = reply.send(answer);
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Usage(submission) => self.take_usage(submission),
            Request::Read(read) => self.pass_on(read),
            Request::Rejected { reply, .. } => {
                _ = reply.send(Ok(DeadLetters::InTopic(self.rejected.clone())));
            }
            Request::Catalog { new, reply } => {
                if let Err(unsent) = self.replacements.try_send(Replacement { new, reply }) {
                    let (TrySendError::Full(back) | TrySendError::Disconnected(back)) = unsent;
                    let reason = "another catalog is being taken; try again".to_owned();
                    _ = back.reply.send(Err(Refusal::NotNow(reason)));
                }
            }
            Request::Close { until, reply } => {
                let (done, closed) = channel();
                let held = self.directory.held();
                let told = held.into_iter().filter(|partition| {
                    let done = done.clone();
                    self.directory.send(*partition, Command::Close { until, done }).is_ok()
                });
                let told = told.count();
                drop(done);
                let closed = (0..told).filter(|_| closed.recv_timeout(CLOSE).is_ok()).count();
                // Without an answer, nothing was promised.
                if closed == told {
                    _ = reply.send(());
                }
            }
        }
    }

    /// Hands a read to the worker of its partition.
    fn pass_on(&self, read: Read) {
        let Some(partition) = self.partition_of(read.subscription()) else {
            return read.know_nothing();
        };
        match self.directory.send(partition, Command::Read(read)) {
            Err(Unsent::Elsewhere(back)) => {
                if let Command::Read(read) = *back {
                    read.refuse(Unread::Elsewhere(partition));
                }
            }
            Err(Unsent::Full(back)) => {
                if let Command::Read(read) = *back {
                    let reason = format!("too much is asked of partition {partition} at once");
                    read.refuse(Unread::NotNow(reason));
                }
            }
            Ok(()) => {}
        }
    }

    fn take_usage(&mut self, submission: Submission) {
        let mut answer = Answer::default();
        let delivery = Arc::new(Delivery::default());
        let catalog = self.catalog();
        for record in &submission.records {
            let record = record.start as usize..record.end as usize;
            let record = submission.body.get(record).unwrap_or_default();
            match self.decoder.decode(record) {
                Ok(decoded) => {
                    let key = owner_of(&catalog, &decoded.subject);
                    self.deliverer.send(Some(key.as_bytes()), record, &delivery);
                    answer.add(Some(&decoded.id), Some(&decoded.source), Told::Accepted);
                }
                Err(rejection) => {
                    refuse(&mut self.tape, record, &rejection, &mut answer);
                    // Its partition refuses it as well, counts it, and writes its dead letter. What
                    // the topic need not take would keep the others from being answered.
                    if rejection.code != Code::TooLarge {
                        self.deliverer.send(None, record, &delivery);
                    }
                }
            }
        }
        delivery.sent_all();
        self.owed.push_back(Owed { submission, answer, delivery });
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.in_force().catalog
    }

    /// The partition of a subscription; `None` if the catalog does not have it.
    fn partition_of(&self, subscription: &str) -> Option<u32> {
        let catalog = self.catalog();
        let found = catalog.subscription(subscription)?;
        let owner = &catalog.customer_at(found.customer)?.id;
        Some(self.partitioner.partition_of(owner.as_bytes(), self.partitions))
    }
}

/// The customer that a subject belongs to; the subject itself where the catalog does not say.
fn owner_of<'a>(catalog: &'a Catalog, subject: &'a str) -> &'a str {
    let customer = match catalog.subject(subject) {
        Some(Subject::Customer(customer)) => Some(customer),
        Some(Subject::Subscription(id)) => {
            catalog.subscription_at(id).map(|subscription| subscription.customer)
        }
        None => None,
    };
    let customer = customer.and_then(|customer| catalog.customer_at(customer));
    customer.map_or(subject, |customer| &customer.id)
}

fn refuse(tape: &mut Tape, record: &[u8], rejection: &Rejection, answer: &mut Answer) {
    let named = tape.parse(record).ok();
    let name = |key| named.and_then(|event| event.get(key)).and_then(|value| value.as_text());
    let (id, source) = (name("id"), name("source"));
    answer.add(id.as_deref(), source.as_deref(), Told::Rejected(rejection));
}
