//! A partition's connection to the model broker, and the defects that can be put into it.

use super::cluster::{Cluster, Log, Refused, Unchecked, Writer};
use super::dice::Dice;
use super::group::Vouch;
use rating::Instant;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;
use usage_rater::stream::broker::{
    Broker, BrokerError, Incoming, Input, Outgoing, Output, StateRecord,
};

/// A defect that is put in on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// None.
    None,
    /// A commit that fails is taken for one that succeeded: the store is written first.
    StoreBeforeCommit,
    /// Earlier writers go on writing, and nobody ends what they have open.
    NoFencing,
    /// Where to read on is kept outside the transaction.
    PositionOutside,
    /// The state log is not read to its end.
    ShortRestore,
    /// Writers are fenced by the generation of their group alone.
    GenerationOnly,
    /// Closed totals leave outside the transaction.
    TotalsOutside,
    /// Identities are forgotten that are still needed.
    ForgetsTooEarly,
    /// A partition goes live by whatever catalog is at hand.
    StaleCatalog,
    /// Usage is deleted that has not been read.
    RawTrimmedTooEarly,
    /// The state log is trimmed before it announces the snapshot.
    EarlyTrim,
}

impl Defect {
    pub(super) fn unchecked(self) -> Unchecked {
        if self == Self::NoFencing {
            Unchecked::All
        } else if self == Self::GenerationOnly {
            Unchecked::Epochs
        } else {
            Unchecked::Nothing
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct ModelBroker {
    cluster: Rc<RefCell<Cluster>>,
    partition: u32,
    epoch: Rc<Cell<u64>>,
    /// What vouches for the instance at this moment.
    vouch: Rc<Cell<Vouch>>,
    /// Whether it knows up to where the group has read.
    has_witness: bool,
    /// Which input comes first.
    dice: RefCell<Dice>,
    first_state: Cell<Option<u64>>,
    next: Cell<[u64; 2]>,
    next_state: Cell<u64>,
    /// Whether the open transaction has rated lines.
    has_rated: Cell<bool>,
    defect: Defect,
    /// The position that [`Defect::PositionOutside`] keeps.
    outside: Rc<Cell<u64>>,
}

#[derive(Debug)]
pub(super) struct ModelMessage {
    input: Input,
    offset: u64,
    appended_at: i128,
    key: Vec<u8>,
    payload: Vec<u8>,
    hops: u8,
}

impl Incoming for ModelMessage {
    fn input(&self) -> Input {
        self.input
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn appended_at(&self) -> Instant {
        Instant::from_nanos(self.appended_at)
    }

    fn key(&self) -> &[u8] {
        &self.key
    }

    fn payload(&self) -> &[u8] {
        &self.payload
    }

    fn hops(&self) -> u8 {
        self.hops
    }
}

impl From<Refused> for BrokerError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Fenced => Self::Fenced("a later writer".to_owned()),
            Refused::Failed => Self::Failed("the model says so".to_owned()),
        }
    }
}

impl ModelBroker {
    pub(super) fn new(
        cluster: &Rc<RefCell<Cluster>>,
        partition: u32,
        (vouch, has_witness, dice): (Rc<Cell<Vouch>>, bool, Dice),
        (defect, outside): (Defect, Rc<Cell<u64>>),
    ) -> Self {
        Self {
            cluster: Rc::clone(cluster),
            partition,
            epoch: Rc::default(),
            vouch,
            has_witness,
            dice: RefCell::new(dice),
            first_state: Cell::new(None),
            next: Cell::new([0; 2]),
            next_state: Cell::new(0),
            has_rated: Cell::new(false),
            defect,
            outside,
        }
    }

    const fn log_of(&self, input: Input) -> Log {
        match input {
            Input::Raw => Log::Raw(self.partition),
            Input::Forward => Log::Forward(self.partition),
        }
    }

    /// Of which writer it is, once it has fenced the others.
    pub(super) fn epoch(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.epoch)
    }

    fn writer(&self) -> Writer {
        Writer { partition: self.partition, epoch: self.epoch.get(), vouch: self.vouch.get() }
    }
}

impl Broker for ModelBroker {
    type Message<'a> = ModelMessage;

    fn fence(&self) -> Result<(), BrokerError> {
        self.epoch.set(self.cluster.borrow_mut().fence(self.partition)?);
        Ok(())
    }

    fn begin(&self) -> Result<(), BrokerError> {
        self.first_state.set(None);
        self.has_rated.set(false);
        Ok(())
    }

    fn send(&self, record: &Outgoing<'_>) -> Result<(), BrokerError> {
        let log = Log::of(record.output, self.partition, record.partition);
        let sent = (record.key, record.payload, record.hops);
        if log == Log::Totals && self.defect == Defect::TotalsOutside {
            self.cluster.borrow_mut().send_loose(log, record.key, record.payload);
            return Ok(());
        }
        let offset = self.cluster.borrow_mut().send(self.writer(), log, sent)?;
        if record.output == Output::State && self.first_state.get().is_none() {
            self.first_state.set(Some(offset));
        }
        if record.output == Output::Rated {
            self.has_rated.set(true);
        }
        Ok(())
    }

    fn commit(&self, read: &[(Input, u64)]) -> Result<Option<u64>, BrokerError> {
        if let Some((_, raw)) = read.first() {
            self.outside.set(self.outside.get().max(*raw));
        }
        let logs: Vec<_> = read.iter().map(|(input, next)| (self.log_of(*input), *next)).collect();
        let committed = self.cluster.borrow_mut().commit(self.writer(), &logs);
        match committed {
            Err(Refused::Failed) if self.defect == Defect::StoreBeforeCommit => {}
            other => other?,
        }
        let first = self.first_state.take();
        self.has_rated.set(false);
        if read.is_empty() && self.defect == Defect::ShortRestore {
            // The barrier is thought to stand where it does not.
            return Ok(first.map(|offset| offset.saturating_sub(9)));
        }
        Ok(first)
    }

    fn state_range(&self) -> Result<Range<u64>, BrokerError> {
        let (cluster, log) = (self.cluster.borrow(), Log::State(self.partition));
        Ok(cluster.start_of(log)..cluster.end_of(log))
    }

    fn follow_state(&self, from: u64) -> Result<(), BrokerError> {
        self.next_state.set(from);
        Ok(())
    }

    fn next_state(&self, _: Duration) -> Result<Option<StateRecord>, BrokerError> {
        let (cluster, log) = (self.cluster.borrow(), Log::State(self.partition));
        // What is trimmed is skipped in silence: the chain of the log must show the gap.
        let found = cluster.read(log, self.next_state.get().max(cluster.start_of(log)));
        Ok(found.map(|(offset, entry)| {
            self.next_state.set(offset + 1);
            StateRecord { offset, payload: entry.payload.clone() }
        }))
    }

    fn input_range(&self, input: Input) -> Result<Range<u64>, BrokerError> {
        let (cluster, log) = (self.cluster.borrow(), self.log_of(input));
        Ok(cluster.start_of(log)..cluster.end_of(log))
    }

    fn group_offset(&self, input: Input) -> Result<Option<u64>, BrokerError> {
        // It is only a witness: all must go as well without.
        let offset = self.cluster.borrow().offset_of(self.log_of(input));
        Ok(offset.filter(|_| self.has_witness))
    }

    fn follow_inputs(&self, from: &[(Input, u64)]) -> Result<(), BrokerError> {
        let mut next = [0; 2];
        for (slot, (_, offset)) in next.iter_mut().zip(from) {
            *slot = *offset;
        }
        if self.defect == Defect::PositionOutside {
            next[0] = next[0].max(self.outside.get());
        }
        self.next.set(next);
        Ok(())
    }

    fn next(&self, _: Duration) -> Result<Option<ModelMessage>, BrokerError> {
        if self.has_rated.get() {
            self.cluster.borrow_mut().hit("read on after rated lines were sent");
        }
        let cluster = self.cluster.borrow();
        let mut next = self.next.get();
        let mut inputs: Vec<_> = Input::ALL.into_iter().enumerate().collect();
        if self.dice.borrow_mut().one_in(2) {
            inputs.reverse();
        }
        for (slot, input) in inputs {
            if next[slot] < cluster.start_of(self.log_of(input)) {
                return Err(BrokerError::Lost(format!("{input:?} was trimmed before it was read")));
            }
            if let Some((offset, entry)) = cluster.read(self.log_of(input), next[slot]) {
                next[slot] = offset + 1;
                self.next.set(next);
                let entry = entry.clone();
                return Ok(Some(ModelMessage {
                    input,
                    offset,
                    appended_at: entry.appended_at,
                    key: entry.key,
                    payload: entry.payload,
                    hops: entry.hops,
                }));
            }
        }
        Ok(None)
    }

    fn is_at_end(&self) -> Result<bool, BrokerError> {
        let cluster = self.cluster.borrow();
        let next = self.next.get();
        let at_end =
            |(slot, input): (usize, Input)| cluster.read(self.log_of(input), next[slot]).is_none();
        Ok(Input::ALL.into_iter().enumerate().all(at_end))
    }
}
