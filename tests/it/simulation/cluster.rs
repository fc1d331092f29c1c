//! The model broker: logs with offsets, transactions, epochs, and answers that are late or lost.

use super::dice::Dice;
use std::collections::BTreeMap;
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

/// A cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    logs: BTreeMap<Log, Vec<Entry>>,
    /// Before these offsets, records are deleted.
    starts: BTreeMap<Log, u64>,
    transactions: Vec<(Outcome, Vec<Log>)>,
    producers: BTreeMap<u32, Producer>,
    pub(super) now: i128,
    pub(super) faults: Faults,
    pub(super) dice: Dice,
    /// How often each kind of fault was met.
    pub(super) hits: BTreeMap<&'static str, u64>,
    /// A defect that is put in on purpose: writers are not fenced.
    pub(super) does_not_fence: bool,
}

impl Cluster {
    pub(super) fn new(dice: Dice, faults: Faults, now: i128) -> Self {
        Self {
            logs: BTreeMap::new(),
            starts: BTreeMap::new(),
            transactions: Vec::new(),
            producers: BTreeMap::new(),
            now,
            faults,
            dice,
            hits: BTreeMap::new(),
            does_not_fence: false,
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

    /// Appends what a producer of usage sends.
    pub(super) fn produce(&mut self, partition: u32, key: &[u8], payload: &[u8]) {
        let appended_at = self.now;
        let (key, payload) = (key.to_vec(), payload.to_vec());
        let (transaction, is_mark, hops) = (None, false, 0);
        let entry = Entry { payload, key, appended_at, hops, transaction, is_mark };
        self.append(Log::Raw(partition), entry);
    }

    /// Takes over a transactional id: ends what is open, and raises the epoch.
    pub(super) fn fence(&mut self, id: u32) -> Result<u64, Refused> {
        if self.does_not_fence {
            return Ok(self.producers.entry(id).or_default().epoch);
        }
        if self.is_refused() {
            return Err(Refused::Failed);
        }
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

    fn is_refused(&mut self) -> bool {
        let refused = self.faults.refused;
        let is_refused = self.dice.one_in(refused);
        if is_refused {
            self.hit("call refused");
        }
        is_refused
    }

    fn check(&mut self, id: u32, epoch: u64) -> Result<(), Refused> {
        let current = self.producers.entry(id).or_default().epoch;
        if current != epoch {
            self.hit("zombie fenced");
            return Err(Refused::Fenced);
        }
        Ok(())
    }

    pub(super) fn send(
        &mut self,
        (id, epoch): (u32, u64),
        log: Log,
        (key, payload, hops): (&[u8], &[u8], u8),
    ) -> Result<u64, Refused> {
        self.check(id, epoch)?;
        if self.is_refused() {
            return Err(Refused::Failed);
        }
        let open = self.producers.entry(id).or_default().open;
        let transaction = open.unwrap_or_else(|| {
            self.transactions.push((Outcome::Open, Vec::new()));
            self.transactions.len() - 1
        });
        self.producers.entry(id).or_default().open = Some(transaction);
        let logs = &mut self.transactions[transaction].1;
        if !logs.contains(&log) {
            logs.push(log);
        }
        let appended_at = self.now;
        let (key, payload) = (key.to_vec(), payload.to_vec());
        let transaction = Some(transaction);
        let entry = Entry { payload, key, appended_at, hops, transaction, is_mark: false };
        Ok(self.append(log, entry))
    }

    pub(super) fn commit(&mut self, id: u32, epoch: u64) -> Result<(), Refused> {
        self.check(id, epoch)?;
        let Some(transaction) = self.producers.entry(id).or_default().open else { return Ok(()) };
        let Faults { lost_answer, delayed, .. } = self.faults;
        if self.dice.one_in(delayed) {
            self.hit("commit carried out later");
            self.producers.entry(id).or_default().delayed = Some((transaction, epoch));
            return Err(Refused::Failed);
        }
        if self.dice.one_in(lost_answer) {
            if self.dice.one_in(2) {
                self.hit("commit done, answer lost");
                self.end(transaction, Outcome::Committed);
                self.producers.entry(id).or_default().open = None;
            } else {
                self.hit("commit lost");
            }
            return Err(Refused::Failed);
        }
        self.end(transaction, Outcome::Committed);
        self.producers.entry(id).or_default().open = None;
        Ok(())
    }

    /// Carries out what was delayed, and ends what has been open for too long.
    pub(super) fn catch_up(&mut self) {
        let ids: Vec<u32> = self.producers.keys().copied().collect();
        for id in ids {
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

    fn end(&mut self, transaction: TransactionId, outcome: Outcome) {
        let (found, logs) = &mut self.transactions[transaction];
        if *found != Outcome::Open {
            return;
        }
        *found = outcome;
        let logs = logs.clone();
        let appended_at = self.now;
        for log in logs {
            let (payload, key) = (Vec::new(), Vec::new());
            let (hops, transaction, is_mark) = (0, None, true);
            self.append(log, Entry { payload, key, appended_at, hops, transaction, is_mark });
        }
    }

    /// Deletes the records of a log before an offset.
    pub(super) fn trim(&mut self, log: Log, before: u64) {
        if before > self.start_of(log) {
            self.starts.insert(log, before);
            self.hit("log trimmed");
        }
    }

    /// The first offset that a log holds.
    pub(super) fn start_of(&self, log: Log) -> u64 {
        self.starts.get(&log).copied().unwrap_or_default()
    }

    /// The end of a log, open transactions included.
    pub(super) fn end_of(&self, log: Log) -> u64 {
        self.logs.get(&log).map_or(0, |entries| entries.len() as u64)
    }

    /// The first committed record of a log from an offset on, and where it is.
    pub(super) fn read(&self, log: Log, from: u64) -> Option<(u64, &Entry)> {
        let entries = self.logs.get(&log)?;
        let from = from.max(self.start_of(log));
        for (offset, entry) in (0u64..).zip(entries).skip(usize::try_from(from).unwrap()) {
            if entry.is_mark {
                continue;
            }
            match entry.transaction.map(|transaction| self.transactions[transaction].0) {
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
