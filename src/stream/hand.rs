//! The hand: puts a record into the partition, and what comes of it onto the logs.

use super::broker::{Broker, Outgoing, Output};
use super::outbox::Outbox;
use super::rater::Setup;
use super::stop::Stop;
use super::{earlier, later};
use aggregator::{Clock, Origin, Partition, Received, Verdict};
use ingest::{DeadLetter, Decoder, Place};
use rating::{Code, Instant, Rejection};

/// Bytes of a reason that a dead letter keeps that is too large as it is.
const REASON_BYTES_KEPT: usize = 1_024;
/// How often a record may be sent on before something is wrong.
const HOPS_MAX: u8 = 16;

/// A record on its way into the partition.
pub(super) struct Arrival<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) origin: Origin,
    pub(super) received_at: Instant,
    pub(super) hops: u8,
}

/// What it takes to put a record into the partition and its outputs onto their logs.
pub(super) struct Hand<'a, B> {
    pub(super) broker: &'a B,
    pub(super) partition: &'a mut Partition,
    pub(super) decoder: &'a mut Decoder,
    pub(super) setup: &'a Setup,
    pub(super) outbox: &'a mut Outbox,
    pub(super) dead_letter: &'a mut String,
    pub(super) sources: [u32; 2],
}

impl<B: Broker> Hand<'_, B> {
    pub(super) fn take(&mut self, arrival: &Arrival<'_>) -> Result<(), Stop> {
        match self.judge(arrival)? {
            Ok(Verdict::Rated(_)) => {
                let line = self.partition.outputs().rated.len();
                let are_many = self.outbox.note(self.partition.owner(), line);
                if are_many { self.send_rated() } else { Ok(()) }
            }
            Ok(Verdict::Duplicate | Verdict::Waiting) => Ok(()),
            Ok(Verdict::Forwarded(partition)) => self.forward(arrival, partition),
            Ok(Verdict::Rejected(rejection)) | Err(rejection) => {
                self.reject((arrival.bytes, arrival.key), &rejection, arrival.origin)
            }
        }
    }

    /// Sends the rated lines that were gathered.
    pub(super) fn send_rated(&mut self) -> Result<(), Stop> {
        let rated = &mut self.partition.outputs().rated;
        self.outbox.send((self.setup.partition, rated), |record| self.broker.send(record))
    }

    fn judge(&mut self, arrival: &Arrival<'_>) -> Result<Result<Verdict, Rejection>, Stop> {
        let rules = &self.setup.rules;
        let received_at = arrival.received_at;
        let clock = Clock {
            received_at: Some(received_at),
            horizon: Some(later(received_at, rules.future_tolerance)),
            oldest: Some(earlier(received_at, rules.dedupe_window)),
        };
        if arrival.hops >= HOPS_MAX {
            let reason = format!("it was sent on {HOPS_MAX} times and belongs nowhere");
            return Ok(Err(Rejection::new(Code::UnknownSubject, reason)));
        }
        let record = match self.decoder.decode(arrival.bytes) {
            Ok(record) => record,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let received =
            Received { bytes: arrival.bytes, key: arrival.key, origin: arrival.origin, clock };
        Ok(Ok(self.partition.apply(&record, &received)?))
    }

    fn forward(&self, arrival: &Arrival<'_>, partition: u32) -> Result<(), Stop> {
        self.broker.send(&Outgoing {
            output: Output::Forward,
            partition: Some(partition),
            key: self.partition.owner().as_bytes(),
            payload: arrival.bytes,
            hops: arrival.hops + 1,
        })?;
        Ok(())
    }

    pub(super) fn reject(
        &mut self,
        (bytes, key): (&[u8], &[u8]),
        rejection: &Rejection,
        origin: Origin,
    ) -> Result<(), Stop> {
        let [raw, _] = self.sources;
        let topic =
            if origin.source == raw { &self.setup.raw_topic } else { &self.setup.forward_topic };
        let partition = self.setup.partition;
        let place = Place::Log { topic, partition, offset: origin.position };
        let record_bytes = bytes.len() as u64;
        let mut short = rejection.clone();
        let shortest = short.reason.floor_char_boundary(REASON_BYTES_KEPT);
        short.reason.truncate(shortest);
        let room = self.setup.rejected_bytes_max.saturating_sub(key.len());
        for (rejection, is_cut) in [(rejection, false), (&short, true)] {
            self.dead_letter.clear();
            DeadLetter { rejection, place, record: bytes, record_bytes, is_cut }
                .write_line(self.dead_letter);
            if self.dead_letter.len() <= room {
                break;
            }
        }
        // A key that leaves no room for its letter is not one that anybody looks for.
        let key = if self.dead_letter.len() <= room { key } else { b"" };
        self.partition.reject(rejection.code, "");
        self.broker.send(&Outgoing {
            output: Output::Rejected,
            partition: None,
            key,
            payload: self.dead_letter.trim_end().as_bytes(),
            hops: 0,
        })?;
        Ok(())
    }
}
