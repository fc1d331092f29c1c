//! The rater: one raw partition, from the moment it is fenced until it is let go.
//!
//! It reads records, rates them, and commits what they change with the position up to which they
//! were read in one transaction. It is the same in production and in the simulation: time comes
//! with every step, the broker and the tables of the store are behind ports.

mod catalog;
mod times;

use super::broker::{Broker, BrokerError, Incoming, Input};
use super::catalog_topic::InForce;
use super::hand::{Arrival, Hand};
use super::log_port::LogPort;
use super::outbox::Outbox;
use super::snapshot_port::Snapshots;
use super::stop::Stop;
use super::{earlier, phase};
use aggregator::state_log::LogPosition;
use aggregator::{
    Counters, Error, ErrorKind, Origin, Partition, Routing, SavedSource, Store, limits,
};
use ingest::Decoder;
use rating::{Calendar, Catalog, Instant};
use std::time::Duration;

/// What a rater is told when it starts.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The raw partition.
    pub partition: u32,
    /// What sends customers to their partitions.
    pub routing: Routing,
    /// The topics of the inputs, for dead letters.
    pub raw_topic: String,
    /// As `raw_topic`.
    pub forward_topic: String,
    /// Largest dead letter that its topic takes, in bytes.
    pub rejected_bytes_max: usize,
    /// When to commit, and what may wait.
    pub rules: Rules,
}

/// When to commit, what a record's time may be, and what may wait.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The longest time for which a transaction stays open.
    pub commit_interval: Duration,
    /// How far ahead of its receipt a record's time may lie.
    pub future_tolerance: Duration,
    /// How far behind.
    pub dedupe_window: Duration,
    /// How far the watermark must be past a period's end to close it.
    pub grace: Duration,
    /// After so long without a record the watermark follows the clock.
    pub idle: Duration,
    /// Memory that records may take that wait for their subject, in bytes.
    pub waiting_bytes: usize,
    /// How long they may wait.
    pub waiting_age: Duration,
    /// Bytes of rated lines that are gathered before they are sent.
    pub outbox_bytes: usize,
}

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// By the calendar.
    pub now: Instant,
    /// Since some moment, never going back.
    pub elapsed: Duration,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records that were read.
    pub records: u64,
    /// When a sample of the records were appended that commits have made true; `None` without a
    /// commit.
    pub committed: Option<Vec<Instant>>,
}

/// Once nothing more is to be read, a transaction is committed after so long.
const QUIET_COMMIT: Duration = Duration::from_millis(10);
/// Records of one step, after which time is looked at again.
const STEP_RECORDS: u64 = 512;
/// Bytes of deltas after which the store writes them to its files, which bounds how much must be
/// replayed after a crash.
const FLUSH_BYTES: usize = 64 << 20;
/// As [`FLUSH_BYTES`], in time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(30);
/// Records of a transaction of which it is kept when they were appended.
const APPENDED_MAX: usize = 64;
/// How often records that have waited for too long are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the ends of quiet inputs are asked for.
const END_INTERVAL: Duration = Duration::from_secs(1);

/// One raw partition at work.
#[derive(Debug)]
pub struct Rater<B> {
    broker: B,
    partition: Partition,
    decoder: Decoder,
    setup: Setup,
    /// The offset to read next, by [`Input::ALL`].
    next: [u64; 2],
    /// Positions of the inputs among the state's sources.
    sources: [u32; 2],
    log: LogPosition,
    /// Since when a transaction is open.
    open_since: Option<Duration>,
    last_record: Duration,
    last_end: Duration,
    looked: Duration,
    /// When times were last looked for, and how long that took, once it is known.
    found: Duration,
    finding_took: Option<Duration>,
    next_period_end: Instant,
    flushed: Duration,
    unflushed: usize,
    /// When records of the open transaction were appended, a sample of them.
    appended: Vec<Instant>,
    /// Those of committed transactions that nobody was told of yet.
    committed: Option<Vec<Instant>>,
    outbox: Outbox,
    dead_letter: String,
    snapshots: Option<Box<dyn Snapshots>>,
}

impl<B: Broker> Rater<B> {
    /// Takes up a state that has been brought up to the end of its log.
    pub(super) fn new(
        broker: B,
        (store, log): (Store, LogPosition),
        catalog: InForce,
        setup: Setup,
        tick: Tick,
    ) -> Result<Self, Stop> {
        let mut partition = Partition::open(catalog.catalog, store).map_err(unfit)?;
        partition.at_catalog(catalog.position.unwrap_or(0));
        let decoder = Decoder::new(partition.store().seeds().content);
        partition.route(setup.routing.clone())?;
        partition.publish_totals();
        partition.let_subjects_wait(setup.rules.waiting_bytes);
        if let Some(reason) = crate::contradiction::find(&partition)? {
            return Err(Stop::Unfit(reason));
        }
        partition.note_cuts_agree();
        crate::changed_calendars::log(&partition);
        let mut rater = Self {
            broker,
            partition,
            decoder,
            next: [0; 2],
            sources: [0; 2],
            log,
            open_since: None,
            last_record: tick.elapsed,
            last_end: tick.elapsed,
            looked: tick.elapsed,
            found: tick.elapsed,
            finding_took: Some(Duration::ZERO),
            next_period_end: Instant::MIN,
            flushed: tick.elapsed,
            unflushed: 0,
            appended: Vec::new(),
            committed: None,
            outbox: Outbox::new(setup.rules.outbox_bytes),
            dead_letter: String::new(),
            snapshots: None,
            setup,
        };
        rater.find_positions()?;
        rater.take_released(tick)?;
        rater.forget(rater.partition.watermark(), limits::FORGET_COMMITS_MAX, tick)?;
        Ok(rater)
    }

    /// Forgets identities that nothing needs any more at an instant. A partition may be full of
    /// them, and could then take nothing that would make it forget.
    fn forget(&mut self, now: Instant, commits_max: usize, tick: Tick) -> Result<(), Stop> {
        self.partition.forget_before(earlier(now, self.setup.rules.dedupe_window));
        if self.partition.holds_forgetting() {
            self.find_times(tick)?;
        }
        for _ in 0..commits_max {
            if !self.partition.is_forgetting_due() {
                break;
            }
            self.begin(tick)?;
            self.commit(tick)?;
        }
        Ok(())
    }

    /// Has snapshots taken from now on.
    ///
    /// # Errors
    /// [`Stop`] if the store does not say which were taken before.
    pub fn take_snapshots(&mut self, mut snapshots: Box<dyn Snapshots>) -> Result<(), Stop> {
        snapshots.announced(self.partition.store().announced()?);
        self.snapshots = Some(snapshots);
        Ok(())
    }

    /// Announces a snapshot that is complete, or sees to it that one is taken.
    fn see_to_snapshots(&mut self, tick: Tick) -> Result<(), Stop> {
        let complete = self.snapshots.as_mut().and_then(|snapshots| snapshots.complete());
        if let Some(snapshot) = complete {
            self.partition.announce(snapshot)?;
            self.commit(tick)?;
            phase(self.setup.partition, "announced");
            let announced = self.partition.store().announced()?;
            if let Some(snapshots) = &mut self.snapshots {
                snapshots.announced(announced);
            }
        }
        // Between transactions the store is what the log says up to here.
        if let Some(snapshots) = self.snapshots.as_mut().filter(|_| self.open_since.is_none()) {
            snapshots.take(self.partition.store(), self.log, tick.elapsed)?;
        }
        Ok(())
    }

    /// Finds where the inputs are to be read on, and begins to.
    fn find_positions(&mut self) -> Result<(), Stop> {
        let mut from = Vec::new();
        for (slot, input) in Input::ALL.into_iter().enumerate() {
            let name = self.source_name(input);
            let range = self.broker.input_range(input)?;
            let (source, saved) = self.partition.source(&name);
            let next = saved.map_or(range.start, |saved| saved.line);
            // The group's offset is a copy, and a witness: it never runs ahead of the state.
            let witnessed = self.broker.group_offset(input)?;
            if witnessed.is_some_and(|witnessed| next < witnessed) {
                return Err(Stop::Lost(format!(
                    "{name} was read up to {} before, but the state log knows of {next} only: \
                     it has been deleted or made anew; what was rated would be rated again",
                    witnessed.unwrap_or_default()
                )));
            }
            if next < range.start || range.end < next {
                return Err(Stop::Lost(format!(
                    "{name} holds the offsets {} to {}, but {next} is to be read next: either \
                     records were deleted before they were rated, or the topic was made anew",
                    range.start, range.end
                )));
            }
            if let Some(place) = self.next.get_mut(slot) {
                *place = next;
            }
            if let Some(place) = self.sources.get_mut(slot) {
                *place = source;
            }
            from.push((input, next));
        }
        self.broker.follow_inputs(&from)?;
        Ok(())
    }

    fn source_name(&self, input: Input) -> String {
        let topic = match input {
            Input::Raw => &self.setup.raw_topic,
            Input::Forward => &self.setup.forward_topic,
        };
        format!("{topic}/{}", self.setup.partition)
    }

    /// The partition, to be asked for what is committed.
    pub const fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The number of the partition.
    pub(super) const fn number(&self) -> u32 {
        self.setup.partition
    }

    /// Records by outcome; right after a commit, the committed ones.
    pub const fn counters(&self) -> &Counters {
        self.partition.counters()
    }

    /// How many records of raw are still to be read.
    ///
    /// # Errors
    /// As [`Rater::step`].
    pub fn lag(&self) -> Result<u64, Stop> {
        let [next, _] = self.next;
        Ok(self.broker.input_range(Input::Raw)?.end.saturating_sub(next))
    }

    /// Reads some records, waiting for the first for as long as `wait`, and commits if that is
    /// due.
    ///
    /// # Errors
    /// [`Stop`]; the rater must be dropped then.
    pub fn step(&mut self, tick: Tick, wait: Duration) -> Result<Progress, Stop> {
        let mut progress = Progress::default();
        let mut wait = self.wait(tick, wait);
        while progress.records < STEP_RECORDS {
            if !self.take_next(tick, wait)? {
                break;
            }
            wait = Duration::ZERO;
            progress.records += 1;
        }
        let is_quiet = progress.records < STEP_RECORDS;
        if progress.records > 0 {
            self.last_record = tick.elapsed;
        } else {
            self.follow_clock(tick)?;
        }
        if tick.elapsed.saturating_sub(self.looked) >= LOOK_INTERVAL {
            self.looked = tick.elapsed;
            self.give_up_waiting(tick)?;
        }
        if self.is_due(tick, is_quiet) {
            self.commit(tick)?;
        }
        // Closing commits, too.
        self.close_what_ended(tick)?;
        self.find_times_if_due(tick)?;
        self.see_to_snapshots(tick)?;
        progress.committed = self.committed.take();
        Ok(progress)
    }

    /// How long to wait for a record, so that an open transaction is committed in time.
    fn wait(&self, tick: Tick, wait: Duration) -> Duration {
        let Some(since) = self.open_since else { return wait };
        let open = tick.elapsed.saturating_sub(since);
        wait.min(QUIET_COMMIT.saturating_sub(open))
    }

    fn is_due(&self, tick: Tick, is_quiet: bool) -> bool {
        let Some(since) = self.open_since else { return false };
        let open = tick.elapsed.saturating_sub(since);
        let longest = self.setup.rules.commit_interval;
        let interval = if is_quiet { QUIET_COMMIT.min(longest) } else { longest };
        open >= interval || self.partition.commit_due()
    }

    /// Takes the next record; whether there was one.
    fn take_next(&mut self, tick: Tick, wait: Duration) -> Result<bool, Stop> {
        let Some(message) = self.broker.next(wait)? else { return Ok(false) };
        let input = message.input();
        let slot = slot_of(input);
        let next = self.next.get_mut(slot).ok_or_else(Stop::defect)?;
        // After a connection was made anew, a reader may begin a little too early.
        if message.offset() < *next {
            return Ok(true);
        }
        *next = message.offset() + 1;
        if self.open_since.is_none() {
            self.broker.begin()?;
            self.open_since = Some(tick.elapsed);
            phase(self.setup.partition, "open");
        }
        if self.appended.len() < APPENDED_MAX {
            self.appended.push(message.appended_at());
        }
        let source = self.sources.get(slot).copied().unwrap_or_default();
        let mut hand = Hand {
            broker: &self.broker,
            partition: &mut self.partition,
            decoder: &mut self.decoder,
            setup: &self.setup,
            outbox: &mut self.outbox,
            dead_letter: &mut self.dead_letter,
            sources: self.sources,
        };
        hand.take(&Arrival {
            bytes: message.payload(),
            key: message.key(),
            origin: Origin { source, position: message.offset() },
            // A producer's clock that runs ahead must not make all others' records too late.
            received_at: message.appended_at().min(tick.now),
            hops: message.hops(),
        })?;
        drop(message);
        self.take_released(tick)?;
        Ok(true)
    }

    fn hand(&mut self) -> Hand<'_, B> {
        Hand {
            broker: &self.broker,
            partition: &mut self.partition,
            decoder: &mut self.decoder,
            setup: &self.setup,
            outbox: &mut self.outbox,
            dead_letter: &mut self.dead_letter,
            sources: self.sources,
        }
    }

    fn begin(&mut self, tick: Tick) -> Result<(), Stop> {
        if self.open_since.is_none() {
            self.broker.begin()?;
            self.open_since = Some(tick.elapsed);
            phase(self.setup.partition, "open");
        }
        Ok(())
    }

    /// Applies the records that waited for what has come.
    fn take_released(&mut self, tick: Tick) -> Result<(), Stop> {
        while let Some(waiting) = self.partition.take_released() {
            self.begin(tick)?;
            let received_at = waiting.received_at.unwrap_or(tick.now);
            let origin = waiting.origin;
            let (bytes, key) = (&*waiting.bytes, &*waiting.key);
            let arrival = Arrival { bytes, key, origin, received_at, hops: 0 };
            self.hand().take(&arrival)?;
        }
        Ok(())
    }

    /// Refuses what has waited for too long.
    fn give_up_waiting(&mut self, tick: Tick) -> Result<(), Stop> {
        let before = earlier(tick.now, self.setup.rules.waiting_age);
        while let Some((waiting, rejection)) = self.partition.take_expired(before) {
            self.begin(tick)?;
            self.hand().reject((&waiting.bytes, &waiting.key), &rejection, waiting.origin)?;
        }
        Ok(())
    }

    /// Without records, the watermark follows the clock, but only where the inputs are known to
    /// have ended: a broker that is away must not make a backlog late.
    fn follow_clock(&mut self, tick: Tick) -> Result<(), Stop> {
        let quiet = tick.elapsed.saturating_sub(self.last_record);
        let asked = tick.elapsed.saturating_sub(self.last_end);
        if quiet < self.setup.rules.idle || asked < END_INTERVAL {
            return Ok(());
        }
        self.last_end = tick.elapsed;
        if self.broker.is_at_end()? {
            let now = earlier(tick.now, self.setup.rules.idle);
            self.partition.advance_watermark(now);
            self.forget(now, 1, tick)?;
        }
        Ok(())
    }

    fn close_what_ended(&mut self, tick: Tick) -> Result<(), Stop> {
        let watermark = self.partition.watermark();
        let until = earlier(watermark, self.setup.rules.grace);
        if watermark > Instant::MIN && until >= self.next_period_end {
            // Closing may take its time, which no open transaction has.
            if self.open_since.is_some() {
                self.commit(tick)?;
            }
            self.close(until, tick)?;
            self.next_period_end =
                self.next_period_end.max(first_end_after(self.partition.catalog(), until));
        }
        Ok(())
    }

    /// Closes every period that ended by `until`, and commits.
    ///
    /// # Errors
    /// As [`Rater::step`].
    pub fn close(&mut self, until: Instant, tick: Tick) -> Result<(), Stop> {
        self.note_positions();
        self.hand().send_rated()?;
        let mut port = LogPort::new(&self.broker, self.log, self.reads());
        port.begun(self.open_since.is_some(), self.setup.partition);
        let closed = self.partition.close(|_| until, &mut port);
        let (log, bytes) = port.finish(closed)?;
        self.committed((log, bytes), tick)
    }

    /// Commits all that was taken. With nothing taken, it still proves that nobody else has taken
    /// over the partition.
    ///
    /// # Errors
    /// As [`Rater::step`].
    pub fn commit(&mut self, tick: Tick) -> Result<(), Stop> {
        self.note_positions();
        self.hand().send_rated()?;
        let mut port = LogPort::new(&self.broker, self.log, self.reads());
        port.begun(self.open_since.is_some(), self.setup.partition);
        let committed = self.partition.commit(&mut port);
        let (log, bytes) = port.finish(committed)?;
        self.committed((log, bytes), tick)
    }

    fn reads(&self) -> [(Input, u64); 2] {
        let [raw, forward] = self.next;
        [(Input::Raw, raw), (Input::Forward, forward)]
    }

    fn note_positions(&mut self) {
        for (input, line) in self.reads() {
            let name = self.source_name(input);
            self.partition.advance(SavedSource { name, line, bytes: 0, digest: 0 });
        }
    }

    fn committed(&mut self, (log, bytes): (LogPosition, usize), tick: Tick) -> Result<(), Stop> {
        phase(self.setup.partition, "committed");
        self.log = log;
        self.open_since = None;
        self.committed.get_or_insert_default().append(&mut self.appended);
        self.unflushed += bytes;
        let age = tick.elapsed.saturating_sub(self.flushed);
        if self.unflushed >= FLUSH_BYTES || (self.unflushed > 0 && age >= FLUSH_INTERVAL) {
            self.partition.store().begin_flush()?;
            self.unflushed = 0;
            self.flushed = tick.elapsed;
        }
        Ok(())
    }

    /// Commits what is open and leaves the store so that nothing must be replayed.
    ///
    /// # Errors
    /// As [`Rater::step`].
    pub fn stop(mut self, tick: Tick) -> Result<(), Stop> {
        if self.open_since.is_some() {
            self.commit(tick)?;
        }
        // Closed totals that wait for their times leave now: who goes on may be long in coming.
        if self.partition.is_finding_due() {
            self.find_times(tick)?;
        }
        self.partition.store().flush()?;
        Ok(())
    }
}

/// What keeps a sound state from being opened is its catalog.
fn unfit(error: Error) -> Stop {
    if error.kind() == ErrorKind::State && !error.is_damage() {
        return Stop::Unfit(error.to_string());
    }
    error.into()
}

const fn slot_of(input: Input) -> usize {
    match input {
        Input::Raw => 0,
        Input::Forward => 1,
    }
}

/// The first end of a billing period of anybody that lies after an instant; where that cannot be
/// told, the instant itself, so that it is asked again.
pub(crate) fn first_end_after(catalog: &Catalog, after: Instant) -> Instant {
    let holding = |calendar: &Calendar| calendar.period_holding(after);
    if catalog.calendars().iter().any(|calendar| holding(calendar).is_none()) {
        return after;
    }
    let ends = catalog.calendars().iter().filter_map(|calendar| Some(holding(calendar)?.end));
    let subscriptions = catalog.subscriptions().iter().map(|subscription| subscription.active.end);
    ends.chain(subscriptions).filter(|end| *end > after).min().unwrap_or(Instant::MAX)
}

impl From<BrokerError> for Stop {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Fenced(reason) => Self::Fenced(reason),
            BrokerError::Failed(reason) => Self::Broker(reason),
            BrokerError::Lost(reason) => Self::Lost(reason),
        }
    }
}
