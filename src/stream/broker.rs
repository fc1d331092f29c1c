//! The broker port: all that a partition needs of Kafka.
//!
//! One value is the connection of one raw partition: one transactional producer, and readers of its
//! inputs and its state log. Behind it is Kafka, or the model of it that the simulation drives.

use rating::Instant;
use std::ops::Range;
use std::time::Duration;

/// A log of usage records that a partition reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// What producers sent.
    Raw,
    /// What other partitions sent on, because it belongs here.
    Forward,
}

impl Input {
    /// Both, in the order in which a state numbers them.
    pub const ALL: [Self; 2] = [Self::Raw, Self::Forward];
}

/// A log that a partition writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Rated usage.
    Rated,
    /// Dead letters.
    Rejected,
    /// Closed totals.
    Totals,
    /// State deltas.
    State,
    /// Records that belong to another partition.
    Forward,
}

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// To which log.
    pub output: Output,
    /// To which partition of it; `None` leaves it to the key.
    pub partition: Option<u32>,
    /// Its key.
    pub key: &'a [u8],
    /// Its bytes.
    pub payload: &'a [u8],
    /// How often it was sent on, this time included; 0 for all but forwards.
    pub hops: u8,
}

/// A record that was read.
pub trait Incoming {
    /// From which log.
    fn input(&self) -> Input;
    /// Where in it.
    fn offset(&self) -> u64;
    /// When it was appended.
    fn appended_at(&self) -> Instant;
    /// Its key.
    fn key(&self) -> &[u8];
    /// Its bytes.
    fn payload(&self) -> &[u8];
    /// How often it was sent on.
    fn hops(&self) -> u8;
}

/// A record of the state log that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// Where it stood.
    pub offset: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Why a broker did not do what it was asked for.
#[expect(clippy::module_name_repetitions, reason = "an error of librdkafka is one, too")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Another writer has taken over.
    #[error("another writer has taken over the partition: {0}")]
    Fenced(String),
    /// It failed, or its answer did not come; whether a commit counts is not known.
    #[error("the broker failed: {0}")]
    Failed(String),
    /// Records that were to be read are gone.
    #[error("{0}")]
    Lost(String),
}

/// The connection of one partition.
pub trait Broker {
    /// A record that was read, as long as it is looked at.
    type Message<'a>: Incoming
    where
        Self: 'a;

    /// Ends what earlier writers of this partition began, and keeps them from writing again.
    ///
    /// # Errors
    /// [`BrokerError`]; so with all other functions.
    fn fence(&self) -> Result<(), BrokerError>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn begin(&self) -> Result<(), BrokerError>;

    /// Writes a record within the open transaction.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn send(&self, record: &Outgoing<'_>) -> Result<(), BrokerError>;

    /// Commits all that was sent, and up to where the inputs have been read. Gives the offset of
    /// the first record that was sent to the state log.
    ///
    /// # Errors
    /// As [`Broker::fence`]. Whether the transaction counts is not known then: the connection must
    /// be made anew.
    fn commit(&self, read: &[(Input, u64)]) -> Result<Option<u64>, BrokerError>;

    /// The offsets that the state log holds: its first, and the one behind its last.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn state_range(&self) -> Result<Range<u64>, BrokerError>;

    /// Begins to read the state log at an offset.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn follow_state(&self, from: u64) -> Result<(), BrokerError>;

    /// The next committed record of the state log; `None` if none came within `wait`.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn next_state(&self, wait: Duration) -> Result<Option<StateRecord>, BrokerError>;

    /// The offsets that an input holds.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn input_range(&self, input: Input) -> Result<Range<u64>, BrokerError>;

    /// Up to where the group has committed an input, if it has.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn group_offset(&self, input: Input) -> Result<Option<u64>, BrokerError>;

    /// Begins to read the inputs at these offsets.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn follow_inputs(&self, from: &[(Input, u64)]) -> Result<(), BrokerError>;

    /// The next committed record of any input; `None` if none came within `wait`.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn next(&self, wait: Duration) -> Result<Option<Self::Message<'_>>, BrokerError>;

    /// Whether the inputs have been read to their ends, asked of a broker that answers.
    ///
    /// # Errors
    /// As [`Broker::fence`].
    fn is_at_end(&self) -> Result<bool, BrokerError>;
}
