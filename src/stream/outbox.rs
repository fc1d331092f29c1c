//! The outbox: rated lines of the open transaction that are still to be sent.
//!
//! They are sent many at a time. One by one, a producer would make a request of the few that came
//! within its linger, and every request costs the broker and both ends of the connection as much
//! as a hundred records do.

use super::broker::{Broker, BrokerError, Outgoing, Output};
use super::limits::OUTBOX_BYTES_MAX;
use aggregator::Partition;

/// Where the lines of one record end.
#[derive(Debug, Clone, Copy)]
struct End {
    line: usize,
    key: usize,
}

/// Whose the lines are that a partition has written and nobody has sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ends: Vec<End>,
    keys: String,
}

impl Outbox {
    /// Notes that the record last applied wrote what the partition's outputs end with, and sends
    /// them if they are many.
    pub(super) fn take<B: Broker>(
        &mut self,
        (broker, number): (&B, u32),
        partition: &mut Partition,
    ) -> Result<(), BrokerError> {
        let line = partition.outputs().rated.len();
        if line == self.ends.last().map_or(0, |end| end.line) {
            return Ok(());
        }
        self.keys.push_str(partition.owner());
        self.ends.push(End { line, key: self.keys.len() });
        if line < OUTBOX_BYTES_MAX { Ok(()) } else { self.send((broker, number), partition) }
    }

    /// Sends all lines, each with its owner as the key.
    pub(super) fn send<B: Broker>(
        &mut self,
        (broker, number): (&B, u32),
        partition: &mut Partition,
    ) -> Result<(), BrokerError> {
        let rated = &mut partition.outputs().rated;
        let mut from = End { line: 0, key: 0 };
        for end in self.ends.drain(..) {
            let key = self.keys.get(from.key..end.key).unwrap_or_default().as_bytes();
            for line in rated.get(from.line..end.line).unwrap_or_default().lines() {
                broker.send(&Outgoing {
                    output: Output::Rated,
                    partition: Some(number),
                    key,
                    payload: line.as_bytes(),
                    hops: 0,
                })?;
            }
            from = end;
        }
        rated.clear();
        self.keys.clear();
        Ok(())
    }
}
