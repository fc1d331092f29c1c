//! The commit port of a stream: one transaction of the broker, and after it the store.

use super::broker::{Broker, BrokerError, Input, Outgoing, Output};
use super::phase;
use super::stop::Stop;
use aggregator::state_log::{Group, LogPosition};
use aggregator::{CommitPort, Error, Store, Transaction};

/// Commits transactions of a partition to its logs.
pub(super) struct LogPort<'a, B> {
    broker: &'a B,
    log: LogPosition,
    read: [(Input, u64); 2],
    is_begun: bool,
    partition: u32,
    failed: Option<BrokerError>,
    /// Bytes that were written to the store.
    bytes: usize,
}

impl<'a, B: Broker> LogPort<'a, B> {
    pub(super) const fn new(broker: &'a B, log: LogPosition, read: [(Input, u64); 2]) -> Self {
        Self { broker, log, read, is_begun: false, partition: 0, failed: None, bytes: 0 }
    }

    /// Says whether a transaction is open already, and of which partition.
    pub(super) const fn begun(&mut self, is_begun: bool, partition: u32) {
        self.is_begun = is_begun;
        self.partition = partition;
    }

    /// Where the log is now and how much was written, or why the rater must stop.
    pub(super) fn finish(self, done: Result<(), Error>) -> Result<(LogPosition, usize), Stop> {
        match (self.failed, done) {
            (Some(error), _) => Err(error.into()),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Ok((self.log, self.bytes)),
        }
    }

    fn send(&mut self, transaction: &Transaction, group: &Group) -> Result<u64, BrokerError> {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.broker.begin()?;
        }
        for (key, line) in &transaction.outputs.totals {
            self.broker.send(&Outgoing {
                output: Output::Totals,
                partition: None,
                key: key.as_bytes(),
                payload: line.trim_end().as_bytes(),
                hops: 0,
            })?;
        }
        for part in &group.parts {
            self.broker.send(&Outgoing {
                output: Output::State,
                partition: None,
                key: b"",
                payload: part,
                hops: 0,
            })?;
        }
        phase(self.partition, "committing");
        let offset = self.broker.commit(&self.read)?;
        phase(self.partition, "writing");
        self.is_begun = false;
        let unknown =
            || BrokerError::Failed("the place of the state delta did not come".to_owned());
        offset.ok_or_else(unknown)
    }
}

impl<B: Broker> CommitPort for LogPort<'_, B> {
    fn commit(&mut self, store: &Store, transaction: &Transaction) -> Result<(), Error> {
        let group = Group::of(&transaction.delta, self.log);
        match self.send(transaction, &group) {
            Err(error) => {
                self.failed = Some(error);
                Err(Error::Failed)
            }
            Ok(offset) => {
                let Group { sequence, digest, parts } = group;
                let position = LogPosition { sequence, digest, offset };
                // Only now: the store may lag behind the log, never lead.
                store.write_group(&transaction.delta, position)?;
                self.log = position;
                self.bytes += parts.iter().map(Vec::len).sum::<usize>();
                Ok(())
            }
        }
    }
}
