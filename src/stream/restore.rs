//! Restoring: from an assignment to a rater, the same way after a clean stop, a crash or a move.
//!
//! First earlier writers are fenced, then a barrier is committed: whatever stands before it in the
//! state log is decided. Then the log is read from where the store stops up to the barrier.

use super::broker::{Broker, Outgoing, Output};
use super::catalog_topic::InForce;
use super::rater::{Rater, Setup, Tick};
use super::stop::Stop;
use aggregator::Store;
use aggregator::state_log::{BrokenLog, Follower, barrier};
use std::time::Duration;

/// Records of the state log that one step reads.
const STEP_RECORDS: usize = 256;

/// A partition whose store is being brought up to the end of its log.
#[derive(Debug)]
pub struct Restore<B> {
    broker: B,
    store: Store,
    follower: Follower,
    /// Where the barrier stands.
    barrier: u64,
    /// The offset to be read next, as far as it is known.
    next: u64,
    first: u64,
    /// The snapshot that the store was made of, until the log has announced it.
    unproven: Option<String>,
}

/// How a step of restoring ended.
#[derive(Debug)]
pub enum Restored<B> {
    /// There is more to be read.
    NotYet(Restore<B>),
    /// The store is what the log says.
    Done(Restore<B>),
}

impl<B: Broker> Restore<B> {
    /// Fences earlier writers and commits a barrier.
    ///
    /// # Errors
    /// [`Stop`]. With [`Stop::Store`] the store must be removed, and all begun again without it.
    /// [`Stop::Lost`] if the store ends beyond the log: then it must stay, for it is the proof that
    /// what it holds was rated.
    pub fn begin(broker: B, store: Store) -> Result<Self, Stop> {
        broker.fence()?;
        let position = store.log_position()?;
        // Before the barrier, since each makes the log longer, until it would reach the store.
        if let Some(position) = position {
            refuse_beyond_end(position.offset, broker.state_range()?.end)?;
        }
        broker.begin()?;
        broker.send(&Outgoing {
            output: Output::State,
            partition: None,
            key: b"",
            payload: &barrier(),
            hops: 0,
        })?;
        let Some(barrier) = broker.commit(&[])? else {
            return Err(Stop::Broker("the place of the barrier did not come".to_owned()));
        };
        let range = broker.state_range()?;
        let first = position.map_or(0, |position| position.offset);
        if position.is_some() && first < range.start {
            return Err(Stop::Store(format!(
                "the store ends at offset {first} of the state log, which holds {} to {barrier}",
                range.start
            )));
        }
        if position.is_none() && range.start > 0 {
            return Err(Stop::Lost(format!(
                "the state log begins at offset {}: what stood before is gone, and there is no \
                 store or snapshot that holds it",
                range.start
            )));
        }
        broker.follow_state(first)?;
        let follower = Follower::new(position);
        Ok(Self { broker, store, follower, barrier, next: first, first, unproven: None })
    }

    /// Says of which snapshot the store was made: the log must announce it.
    #[must_use]
    pub fn made_of(self, snapshot: String) -> Self {
        Self { unproven: Some(snapshot), ..self }
    }

    /// The epoch of this owner: greater than those of all earlier ones.
    pub const fn epoch(&self) -> u64 {
        self.barrier
    }

    /// Reads some more of the log.
    ///
    /// # Errors
    /// As [`Restore::begin`].
    pub fn step(mut self, wait: Duration) -> Result<Restored<B>, Stop> {
        for _ in 0..STEP_RECORDS {
            if self.next > self.barrier {
                self.follower.finish().map_err(|error| broken(&error))?;
                if let Some(snapshot) = self.unproven {
                    let reason = format!("the state log does not announce snapshot {snapshot}");
                    return Err(Stop::Store(reason));
                }
                return Ok(Restored::Done(self));
            }
            let Some(record) = self.broker.next_state(wait)? else { break };
            self.next = record.offset + 1;
            let read = self.follower.read(record.offset, &record.payload);
            let read = read.map_err(|error| broken(&error))?;
            if let Some(group) = read {
                self.store.write_group(&group.delta, group.position)?;
                self.look_for_announcement()?;
            }
        }
        Ok(Restored::NotYet(self))
    }

    /// Whether it may go live by a catalog: a record is never rated by an older one than one that
    /// has rated its owner.
    ///
    /// # Errors
    /// [`Stop`] if the store does not say.
    pub fn may_go_on_with(&self, catalog: &InForce) -> Result<bool, Stop> {
        let rated_by = self.store.catalog_position()?;
        Ok(catalog.is_known && catalog.position.is_none_or(|position| rated_by <= position))
    }

    fn look_for_announcement(&mut self) -> Result<(), Stop> {
        if let Some(snapshot) = &self.unproven {
            let announced = self.store.announced()?;
            if announced.iter().any(|announced| announced.name == *snapshot) {
                self.unproven = None;
            }
        }
        Ok(())
    }

    /// The store, as far as it is restored.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// How much of the log has been read, of how much, in offsets.
    pub const fn progress(&self) -> (u64, u64) {
        (self.next.saturating_sub(self.first), self.barrier + 1 - self.first)
    }

    /// The rater of the restored partition.
    ///
    /// # Errors
    /// [`Stop`] if it cannot start.
    pub fn finish(self, catalog: InForce, setup: Setup, tick: Tick) -> Result<Rater<B>, Stop> {
        let Self { broker, store, follower, .. } = self;
        Rater::new(broker, (store, follower.position()), catalog, setup, tick)
    }
}

/// Whatever a store holds was committed to its log: one that ends before that is not what it was.
fn refuse_beyond_end(offset: u64, end: u64) -> Result<(), Stop> {
    if offset < end {
        return Ok(());
    }
    Err(Stop::Lost(format!(
        "the store ends at offset {offset} of the state log, which ends at {end}: the log has been \
         deleted, cut short or made anew, and what was rated would be rated again. Give the log \
         back, or, to begin anew on purpose, remove the partition's directory in state.dir and its \
         snapshots"
    )))
}

fn broken(error: &BrokenLog) -> Stop {
    match error {
        BrokenLog::StrangeStore => Stop::Store(error.to_string()),
        BrokenLog::Gap { .. } | BrokenLog::Damaged { .. } => Stop::Lost(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_beyond_the_end_of_the_log_is_lost_and_not_made_anew() {
        assert_eq!(refuse_beyond_end(4, 5), Ok(()));
        for (offset, end) in [(0, 0), (5, 5), (812, 0), (812, 400)] {
            let stop = refuse_beyond_end(offset, end);
            let Err(Stop::Lost(reason)) = stop else { panic!("{offset} of {end}: {stop:?}") };
            assert!(reason.contains(&format!("which ends at {end}:")), "{reason}");
        }
    }
}
