//! Waiting: records go into the waiting room and come out of it again.

use super::refuse::gave_up;
use super::{Origin, Partition, Received, Verdict};
use crate::admitted::Seen;
use crate::identity::owner_hash;
use crate::waiting::{Cause, Waiting};
use rating::{Catalog, Code, Instant, Rejection, UsageRecord};

impl Partition {
    /// Takes out the oldest record whose subject or target has come, to be applied or rejected
    /// before the next commit. To be called until there is none, whenever a record was applied or
    /// the catalog changed.
    pub fn take_released(&mut self) -> Option<Waiting> {
        let released = self.waiting.take_released();
        let by_target = |one: &Waiting| matches!(one.cause, Cause::Target(_));
        self.is_released = released.as_ref().is_some_and(by_target);
        self.count_taken_out(released)
    }

    /// Takes out the oldest record that was received before an instant and still waits, to be
    /// rejected.
    pub fn take_expired(&mut self, before: Instant) -> Option<(Waiting, Rejection)> {
        let expired = self.waiting.take_if(|one| one.received_at.is_some_and(|at| at < before));
        self.count_taken_out(expired).map(gave_up)
    }

    /// Takes out the oldest correction whose target has not come, to be rejected: no more records
    /// will.
    pub fn take_unresolved(&mut self) -> Option<(Waiting, Rejection)> {
        let unresolved = self.waiting.take_if(|one| matches!(one.cause, Cause::Target(_)));
        self.count_taken_out(unresolved).map(gave_up)
    }

    /// How many records wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A record that is taken out is as good as not read: it is counted again when it is applied.
    fn count_taken_out(&mut self, waiting: Option<Waiting>) -> Option<Waiting> {
        if waiting.is_some() {
            self.taken += 1;
            self.counters.waiting -= 1;
            self.counters.read -= 1;
        }
        waiting
    }

    /// Where and with which content a record waits.
    pub(super) fn waits(&self, identity: u128) -> Option<Seen> {
        if self.waiting.len() == 0 {
            return None;
        }
        let (content_digest, Origin { source, position }) = self.waiting.find(identity)?;
        Some(Seen { content_digest, source, position })
    }

    /// Keeps a record until the catalog has its subject, if it may.
    pub(super) fn wait_for_subject(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        received: &Received<'_>,
        rejection: Rejection,
    ) -> Result<Verdict, Rejection> {
        let Some(bytes_max) = self.subjects_wait_bytes else { return Err(rejection) };
        let missing = match &record.subscription {
            Some(named) if catalog.subject(&record.subject).is_some() => named,
            _ => &record.subject,
        };
        if catalog.subject(missing).is_some() {
            // It is there and is not what the record takes it for: time does not mend that.
            return Err(rejection);
        }
        // Its owner is not known yet, so among those that wait its subject stands for it.
        let identity = self.seeds.identity(owner_hash(&record.subject), &record.source, &record.id);
        let identity = identity ^ 1;
        if let Some(seen) = self.waits(identity) {
            if seen.content_digest == record.content_digest {
                return Ok(Verdict::Duplicate);
            }
            return Err(self.conflict(seen));
        }
        if self.waiting.bytes() + received.bytes.len() + received.key.len() > bytes_max {
            let message = format!("{rejection}, and no more records can wait for theirs");
            return Err(Rejection::new(Code::UnknownSubject, message));
        }
        let cause = Cause::Subject(missing.clone().into_owned());
        self.keep_waiting(received, cause, (identity, record.content_digest));
        Ok(Verdict::Waiting)
    }

    pub(super) fn keep_waiting(&mut self, received: &Received<'_>, cause: Cause, of: (u128, u64)) {
        self.waiting.add(Waiting::new(received, cause, of));
    }
}
