//! The model broker: logs with offsets, transactions, epochs, a group, and answers that are late or
//! lost.

use super::dice::Dice;
use super::group::{Group, Vouch};
use std::collections::BTreeMap;
use std::time::Duration;
use usage_rater::stream::broker::Output;

/// A partition of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Log {
    Raw(u32),
    Forward(u32),
    Rated(u32),
    State(u32),
    Rejected,
    Totals,
}

impl Log {
    /// Where a record for an output goes.
    pub(super) const fn of(output: Output, own: u32, partition: Option<u32>) -> Self {
        match output {
            Output::Rated => Self::Rated(own),
            Output::State => Self::State(own),
            Output::Rejected => Self::Rejected,
            Output::Totals => Self::Totals,
            Output::Forward => Self::Forward(match partition {
                Some(partition) => partition,
                None => own,
            }),
        }
    }
}

/// A number of a transaction.
type TransactionId = usize;

/// After so long an open transaction is ended by the broker, and its writer with it.
const TRANSACTION: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Open,
    Committed,
    Aborted,
}

/// A record of a log. The marks that end transactions take offsets, too.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) payload: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) appended_at: i128,
    pub(super) hops: u8,
    transaction: Option<TransactionId>,
    is_mark: bool,
}

#[derive(Debug)]
struct Transaction {
    outcome: Outcome,
    /// Where it has written.
    logs: Vec<Log>,
    /// Up to where it has read.
    offsets: Vec<(Log, u64)>,
    begun: Duration,
}

/// A writer: its partition, its epoch, and what vouches for its member of the group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    pub(super) partition: u32,
    pub(super) epoch: u64,
    pub(super) vouch: Vouch,
}

/// What is not checked, which is a defect that is put in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unchecked {
    Nothing,
    /// Each connection has a transactional id of its own, so that a later one does not fence it
    /// nor end what it has open; members must still be of the group's generation.
    Epochs,
    /// Neither.
    All,
}

/// A transactional id: of a partition, and of a connection where each has its own.
type ProducerId = (u32, u64);

/// What the broker knows of a transactional id.
#[derive(Debug, Default, Clone)]
struct Producer {
    epoch: u64,
    open: Option<TransactionId>,
    /// An end of a transaction that has not been carried out yet, and of which epoch it is.
    delayed: Option<(TransactionId, u64)>,
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Fenced,
    Failed,
}

/// How often things go wrong, in one of so many; 0 is never.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    pub(super) lost_answer: u32,
    pub(super) delayed: u32,
    pub(super) refused: u32,
}

impl Faults {
    pub(super) const NONE: Self = Self { lost_answer: 0, delayed: 0, refused: 0 };
}

/// A cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    logs: BTreeMap<Log, Vec<Entry>>,
    /// Before these offsets, records are deleted.
    starts: BTreeMap<Log, u64>,
    /// Up to where the group has read.
    offsets: BTreeMap<Log, u64>,
    transactions: Vec<Transaction>,
    producers: BTreeMap<ProducerId, Producer>,
    pub(super) group: Group,
    /// By the calendar.
    pub(super) now: i128,
    /// Since the beginning.
    pub(super) elapsed: Duration,
    pub(super) faults: Faults,
    pub(super) dice: Dice,
    /// How often each kind of fault was met.
    pub(super) hits: BTreeMap<&'static str, u64>,
    pub(super) unchecked: Unchecked,
}

impl Cluster {
    pub(super) fn new(dice: Dice, faults: Faults, (now, group): (i128, Group)) -> Self {
        Self {
            logs: BTreeMap::new(),
            starts: BTreeMap::new(),
            offsets: BTreeMap::new(),
            transactions: Vec::new(),
            producers: BTreeMap::new(),
            group,
            now,
            elapsed: Duration::ZERO,
            faults,
            dice,
            hits: BTreeMap::new(),
            unchecked: Unchecked::Nothing,
        }
    }

    pub(super) fn hit(&mut self, what: &'static str) {
        *self.hits.entry(what).or_default() += 1;
    }

    fn append(&mut self, log: Log, entry: Entry) -> u64 {
        let entries = self.logs.entry(log).or_default();
        entries.push(entry);
        entries.len() as u64 - 1
    }

    /// Appends what is sent outside of all transactions, as producers of usage do.
    pub(super) fn send_loose(&mut self, log: Log, key: &[u8], payload: &[u8]) {
        let appended_at = self.now;
        let (key, payload) = (key.to_vec(), payload.to_vec());
        let (transaction, is_mark, hops) = (None, false, 0);
        self.append(log, Entry { payload, key, appended_at, hops, transaction, is_mark });
    }

    /// Takes over the transactional id of a partition: ends what is open, and raises the epoch.
    /// Where each connection has its own id, nothing is taken over: there is an id more.
    pub(super) fn fence(&mut self, partition: u32) -> Result<u64, Refused> {
        if self.is_refused() {
            return Err(Refused::Failed);
        }
        if self.unchecked != Unchecked::Nothing {
            let epoch = self.producers.len() as u64 + 1;
            let (open, delayed) = (None, None);
            self.producers.insert((partition, epoch), Producer { epoch, open, delayed });
            return Ok(epoch);
        }
        let id = (partition, 0);
        let producer = self.producers.entry(id).or_default().clone();
        if let Some((transaction, _)) = producer.delayed {
            // The coordinator finishes what it had promised before anybody may go on.
            self.end(transaction, Outcome::Committed);
        } else if let Some(transaction) = producer.open {
            self.end(transaction, Outcome::Aborted);
            self.hit("open transaction ended by fencing");
        }
        let producer = self.producers.entry(id).or_default();
        *producer = Producer { epoch: producer.epoch + 1, open: None, delayed: None };
        Ok(producer.epoch)
    }

    /// What the broker knows of a writer's transactional id.
    fn producer(&mut self, writer: Writer) -> &mut Producer {
        let is_shared = self.unchecked == Unchecked::Nothing;
        let id = (writer.partition, if is_shared { 0 } else { writer.epoch });
        self.producers.entry(id).or_default()
    }

    fn is_refused(&mut self) -> bool {
        let refused = self.faults.refused;
        let is_refused = self.dice.one_in(refused);
        if is_refused {
            self.hit("call refused");
        }
        is_refused
    }

    fn check(&mut self, writer: Writer) -> Result<(), Refused> {
        if self.producer(writer).epoch == writer.epoch {
            return Ok(());
        }
        self.hit("zombie fenced");
        if self.group.takes(writer.vouch) {
            self.hit("zombie fenced that its group would vouch for");
        }
        Err(Refused::Fenced)
    }

    pub(super) fn send(
        &mut self,
        writer: Writer,
        log: Log,
        (key, payload, hops): (&[u8], &[u8], u8),
    ) -> Result<u64, Refused> {
        self.check(writer)?;
        if self.is_refused() {
            return Err(Refused::Failed);
        }
        let (transaction, begun) = (self.transactions.len(), self.elapsed);
        let transaction = *self.producer(writer).open.get_or_insert(transaction);
        if transaction == self.transactions.len() {
            let (logs, offsets) = (Vec::new(), Vec::new());
            self.transactions.push(Transaction { outcome: Outcome::Open, logs, offsets, begun });
        }
        let logs = &mut self.transactions[transaction].logs;
        if !logs.contains(&log) {
            logs.push(log);
        }
        let appended_at = self.now;
        let (key, payload) = (key.to_vec(), payload.to_vec());
        let transaction = Some(transaction);
        let entry = Entry { payload, key, appended_at, hops, transaction, is_mark: false };
        Ok(self.append(log, entry))
    }

    /// Commits what a writer has sent, and up to where it has read.
    pub(super) fn commit(&mut self, writer: Writer, read: &[(Log, u64)]) -> Result<(), Refused> {
        self.check(writer)?;
        let is_vouched = self.unchecked == Unchecked::All || self.group.takes(writer.vouch);
        if !read.is_empty() && !is_vouched {
            self.hit("stale generation refused");
            return Err(Refused::Failed);
        }
        let Some(transaction) = self.producer(writer).open else { return Ok(()) };
        self.transactions[transaction].offsets = read.to_vec();
        let Faults { lost_answer, delayed, .. } = self.faults;
        if self.dice.one_in(delayed) {
            self.hit("commit carried out later");
            self.producer(writer).delayed = Some((transaction, writer.epoch));
            return Err(Refused::Failed);
        }
        if self.dice.one_in(lost_answer) {
            if self.dice.one_in(2) {
                self.hit("commit done, answer lost");
                self.end(transaction, Outcome::Committed);
                self.producer(writer).open = None;
            } else {
                self.hit("commit lost");
            }
            return Err(Refused::Failed);
        }
        self.end(transaction, Outcome::Committed);
        self.producer(writer).open = None;
        Ok(())
    }

    /// Carries out what was delayed, and ends what has been open for too long.
    pub(super) fn catch_up(&mut self) {
        let ids: Vec<ProducerId> = self.producers.keys().copied().collect();
        for id in ids {
            self.time_out(id);
            let producer = self.producers.entry(id).or_default().clone();
            if let Some((transaction, epoch)) = producer.delayed
                && epoch == producer.epoch
            {
                self.hit("late commit came through");
                self.end(transaction, Outcome::Committed);
                let producer = self.producers.entry(id).or_default();
                (producer.open, producer.delayed) = (None, None);
            }
        }
    }

    /// Aborts a transaction that has been open for too long, and fences its writer.
    fn time_out(&mut self, id: ProducerId) {
        let producer = self.producers.entry(id).or_default();
        let Some(open) = producer.open.filter(|_| producer.delayed.is_none()) else { return };
        let begun = self.transactions[open].begun;
        if self.elapsed.saturating_sub(begun) > TRANSACTION {
            (producer.open, producer.epoch) = (None, producer.epoch + 1);
            self.end(open, Outcome::Aborted);
            self.hit("open transaction timed out");
        }
    }

    fn end(&mut self, transaction: TransactionId, outcome: Outcome) {
        let ended = &mut self.transactions[transaction];
        if ended.outcome != Outcome::Open {
            return;
        }
        ended.outcome = outcome;
        if outcome == Outcome::Committed {
            self.offsets.extend(ended.offsets.iter().copied());
        }
        let logs = ended.logs.clone();
        let appended_at = self.now;
        for log in logs {
            let (payload, key) = (Vec::new(), Vec::new());
            let (hops, transaction, is_mark) = (0, None, true);
            self.append(log, Entry { payload, key, appended_at, hops, transaction, is_mark });
        }
    }

    /// Whether nobody has taken over since this epoch, nor has a later connection come.
    pub(super) fn is_current(&self, partition: u32, epoch: u64) -> bool {
        let of_partition = (partition, 0)..=(partition, u64::MAX);
        let latest = self.producers.range(of_partition).next_back();
        latest.is_none_or(|(_, producer)| producer.epoch == epoch)
    }

    /// Deletes the records of a log before an offset.
    pub(super) fn trim(&mut self, log: Log, before: u64) {
        if before > self.start_of(log) {
            self.starts.insert(log, before);
            self.hit(if matches!(log, Log::State(_)) { "log trimmed" } else { "usage trimmed" });
        }
    }

    /// The first offset that a log holds.
    pub(super) fn start_of(&self, log: Log) -> u64 {
        self.starts.get(&log).copied().unwrap_or_default()
    }

    /// Up to where the group has read a log.
    pub(super) fn offset_of(&self, log: Log) -> Option<u64> {
        self.offsets.get(&log).copied()
    }

    /// When the first record was appended that the group has not read.
    pub(super) fn unread_since(&self, log: Log) -> Option<i128> {
        let (_, entry) = self.read(log, self.offset_of(log).unwrap_or_default())?;
        Some(entry.appended_at)
    }

    /// The end of a log, open transactions included.
    pub(super) fn end_of(&self, log: Log) -> u64 {
        self.logs.get(&log).map_or(0, |entries| entries.len() as u64)
    }

    /// The first committed record of a log from an offset on, and where it is.
    pub(super) fn read(&self, log: Log, from: u64) -> Option<(u64, &Entry)> {
        let entries = self.logs.get(&log)?;
        let rest = entries.iter().skip(usize::try_from(from).unwrap());
        for (offset, entry) in (from..).zip(rest) {
            if entry.is_mark {
                continue;
            }
            match entry.transaction.map(|transaction| self.transactions[transaction].outcome) {
                // Nothing behind an open transaction is seen.
                Some(Outcome::Open) => return None,
                Some(Outcome::Aborted) => {}
                Some(Outcome::Committed) | None => return Some((offset, entry)),
            }
        }
        None
    }

    /// All committed records of a log.
    pub(super) fn all(&self, log: Log) -> Vec<(u64, &Entry)> {
        let mut found = Vec::new();
        let mut next = 0;
        while let Some((offset, entry)) = self.read(log, next) {
            found.push((offset, entry));
            next = offset + 1;
        }
        found
    }
}
