//! The partition: admit, rate, add, and commit it all at once.
//!
//! It is the same state machine in every mode. It takes decoded records and their positions, keeps
//! what they change in memory, and hands a [`Transaction`] to its commit port. It has no clock and
//! does no IO of its own but reading its store.

mod close;

use crate::codec::encode_total;
use crate::commit::{CommitPort, Transaction};
use crate::counters::Counters;
use crate::dedupe::{AdmittedLine, Dedupe, Seen};
use crate::error::Error;
use crate::keys::{TotalKey, shard};
use crate::limits::{COMMIT_OUTPUT_BYTES_MAX, COMMIT_RECORDS_MAX, PERIODS_MAX, SLOTS_MAX};
use crate::lineage::record_hash;
use crate::query::Query;
use crate::rated::{self, RatedLine};
use crate::slots::{Slot, SlotKey, Slots};
use crate::store::{SavedSource, Store, Table};
use rating::resolve::{self, Line};
use rating::{
    Catalog, Code, Instant, Period, Rejection, Subscription, SubscriptionId, Timeline, Total,
    UsageRecord, rate,
};
use siphasher::sip::SipHasher13;
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::sync::Arc;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Admitted and rated to so many lines; 0 is unpriced.
    Rated(usize),
    /// Seen before with the same content.
    Duplicate,
    /// Refused; the caller writes the dead letter and hands it to [`Partition::reject`].
    Rejected(Rejection),
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Position of its source, as [`Partition::source`] gave it.
    pub source: u32,
    /// Line or offset within the source.
    pub position: u64,
}

/// One partition of usage.
pub struct Partition {
    catalog: Arc<Catalog>,
    store: Store,
    port: Box<dyn CommitPort>,
    dedupe: Dedupe,
    slots: Slots,
    counters: Counters,
    sources: Vec<SavedSource>,
    /// Recently used periods of each cycle.
    periods: Vec<Vec<Period>>,
    transaction: Transaction,
    /// Records taken since the last commit.
    taken: usize,
    lines: Vec<Line>,
    quantity_text: String,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Partition {
    /// Takes up the state that `store` holds.
    ///
    /// # Errors
    /// [`Error::Refused`] if the catalog contradicts the state, [`Error::Damaged`] if the state
    /// makes no sense.
    pub fn open(
        catalog: Arc<Catalog>,
        store: Store,
        port: Box<dyn CommitPort>,
    ) -> Result<Self, Error> {
        let mut transaction = Transaction::default();
        store.check_plans(&catalog, &mut transaction.delta)?;
        Ok(Self {
            dedupe: Dedupe::load(&store)?,
            slots: Slots::default(),
            counters: store.counters()?,
            sources: store.sources()?,
            periods: vec![Vec::new(); catalog.cycles().len()],
            transaction,
            taken: 0,
            lines: Vec::new(),
            quantity_text: String::new(),
            catalog,
            store,
            port,
        })
    }

    /// The position of a source among those that this state knows, and how far it was read.
    pub fn source(&mut self, name: &str) -> (u32, Option<&SavedSource>) {
        let known = self.sources.iter().position(|source| source.name == name);
        let index = known.unwrap_or_else(|| {
            let name = name.to_owned();
            self.sources.push(SavedSource { name, line: 0, bytes: 0, digest: 0 });
            self.sources.len() - 1
        });
        let saved = self.sources.get(index).filter(|source| source.line > 0);
        (u32::try_from(index).unwrap_or(u32::MAX), saved)
    }

    /// Notes how far a source has been read; durable with the next commit.
    pub fn advance(&mut self, read: SavedSource) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.name == read.name) {
            *source = read;
        }
    }

    /// Records by outcome, those since the last commit included.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The committed state.
    #[must_use]
    pub fn query(&self) -> Query<'_> {
        Query::new(&self.catalog, &self.store)
    }

    /// The store, for what is not about records.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Whether so much has been taken that it should be committed.
    #[must_use]
    pub const fn commit_due(&self) -> bool {
        self.taken >= COMMIT_RECORDS_MAX
            || self.transaction.outputs.bytes() >= COMMIT_OUTPUT_BYTES_MAX
    }

    /// Admits and rates one record.
    ///
    /// `horizon` is the latest time that a record may state; `None` where there is no clock.
    ///
    /// # Errors
    /// Only where the partition cannot go on; a bad record is a [`Verdict`].
    pub fn apply(
        &mut self,
        record: &UsageRecord<'_>,
        origin: Origin,
        horizon: Option<Instant>,
    ) -> Result<Verdict, Error> {
        let catalog = Arc::clone(&self.catalog);
        let mut lines = std::mem::take(&mut self.lines);
        let verdict = self.judge(&catalog, record, origin, horizon, &mut lines);
        self.lines = lines;
        match verdict? {
            Ok(verdict) => {
                self.taken += 1;
                self.counters.read += 1;
                match &verdict {
                    Verdict::Rated(lines) => {
                        self.counters.rated += 1;
                        self.counters.unpriced += u64::from(*lines == 0);
                    }
                    Verdict::Duplicate => self.counters.duplicate += 1,
                    Verdict::Rejected(_) => {}
                }
                Ok(verdict)
            }
            Err(rejection) => Ok(Verdict::Rejected(rejection)),
        }
    }

    /// Counts a refused record and keeps its dead letter, one line of JSON.
    pub fn reject(&mut self, dead_letter: &str) {
        self.taken += 1;
        self.counters.read += 1;
        self.counters.rejected += 1;
        self.transaction.outputs.rejected.push_str(dead_letter);
    }

    /// Commits everything taken since the last commit.
    ///
    /// # Errors
    /// Whatever the commit port met. Nothing of it is durable then, and the partition must be
    /// opened anew.
    pub fn commit(&mut self) -> Result<(), Error> {
        debug_assert!(self.counters.balanced(), "every record goes one way: {:?}", self.counters);
        let delta = &mut self.transaction.delta;
        self.dedupe.stage(delta)?;
        for (key, slot) in self.slots.dirty() {
            delta.put_with(Table::Totals, |out| {
                write_total_key(&self.catalog, key, out);
                let middle = out.len();
                encode_total(out, &slot.total, slot.period.end);
                middle
            });
        }
        delta.put(Table::Meta, b"counters", &self.counters.encode());
        delta.put(Table::Meta, b"sources", &Store::encode_sources(&self.sources));
        delta.sort();
        self.port.commit(&self.store, &self.transaction)?;
        self.dedupe.committed();
        self.slots.committed(SLOTS_MAX);
        self.transaction.delta.clear();
        self.transaction.outputs.clear();
        self.taken = 0;
        Ok(())
    }

    /// Decides about a record in the frozen order of codes.
    fn judge(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        origin: Origin,
        horizon: Option<Instant>,
        lines: &mut Vec<Line>,
    ) -> Result<Result<Verdict, Rejection>, Error> {
        if let Err(rejection) = resolve::check_measure(catalog, record, horizon) {
            return Ok(Err(rejection));
        }
        let owner = match resolve::owner(catalog, record) {
            Ok(owner) => owner,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let customer = catalog.customer_at(owner.customer).map_or("", |customer| &customer.id);
        let identity = self.store.identity(customer, &record.source, &record.id);
        let seen = self.dedupe.find(&self.store, identity)?;
        if seen.is_some_and(|seen| seen.content_digest == record.content_digest) {
            return Ok(Ok(Verdict::Duplicate));
        }
        if let Err(rejection) = resolve::lines(catalog, record, owner, lines) {
            return Ok(Err(rejection));
        }
        if let Some(seen) = seen {
            return Ok(Err(self.conflict(seen)));
        }
        if let Err(rejection) = self.add(catalog, record, lines)? {
            return Ok(Err(rejection));
        }
        let seen = Seen {
            content_digest: record.content_digest,
            source: origin.source,
            position: origin.position,
        };
        let admitted = lines.iter().map(|line| AdmittedLine {
            charge: charge_hash(catalog, line),
            quantity: line.quantity,
        });
        self.dedupe.admit(identity, seen, record.used_at, admitted)?;
        Ok(Ok(Verdict::Rated(lines.len())))
    }

    fn conflict(&self, seen: Seen) -> Rejection {
        let source = self.sources.get(seen.source as usize).map_or("?", |source| &source.name);
        let reason = format!(
            "this id of this source was admitted with other content: {source} line {}",
            seen.position
        );
        Rejection::new(Code::Conflict, reason)
    }

    /// Adds a record to all its totals, or to none.
    fn add(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        lines: &[Line],
    ) -> Result<Result<(), Rejection>, Error> {
        let output = self.transaction.outputs.rated.len();
        let mut before: Vec<(SlotKey, Total)> = Vec::new();
        for line in lines {
            let Some((key, timeline)) = self.load(catalog, line, record.used_at)? else {
                let reason = "the record's time lies beyond the calendar";
                return Ok(Err(Rejection::new(Code::NoActivePlan, reason)));
            };
            let Some(terms) = timeline.at(record.used_at) else { continue };
            self.slots.touch(key);
            let Some(slot) = self.slots.get(&key) else { continue };
            // Only a record with several lines can fail after it has changed something.
            if lines.len() > 1 {
                before.push((key, slot.total.clone()));
            }
            let rated = rate(&mut slot.total, (timeline, terms), line.quantity, record.used_at);
            let Some(rated) = rated else {
                self.transaction.outputs.rated.truncate(output);
                for (key, total) in before.into_iter().rev() {
                    if let Some(slot) = self.slots.get(&key) {
                        slot.total = total;
                    }
                }
                let reason = format!("the total of charge \"{}\" overflows", timeline.key);
                return Ok(Err(Rejection::new(Code::Overflow, reason)));
            };
            let slot_total = &mut slot.total;
            slot_total.revision += u32::from(slot_total.closed);
            self.quantity_text.clear();
            _ = write!(self.quantity_text, "{}", line.quantity);
            let hash =
                record_hash(&record.source, &record.id, &timeline.key, &self.quantity_text);
            slot_total.lineage = slot_total.lineage.wrapping_add(hash);
            if slot.rated_head.is_empty() || slot.rated_from != terms.from {
                slot.rated_head = rated::head(catalog, &key, terms, &timeline.key);
                slot.rated_from = terms.from;
            }
            let line =
                RatedLine { charge: &timeline.key, quantity: line.quantity, rated };
            rated::write_line(&mut self.transaction.outputs.rated, record, slot, &line);
        }
        Ok(Ok(()))
    }

    /// Brings the slot of a line into memory.
    fn load<'c>(
        &mut self,
        catalog: &'c Catalog,
        line: &Line,
        at: Instant,
    ) -> Result<Option<(SlotKey, &'c Timeline)>, Error> {
        let found = catalog.subscription_at(line.subscription);
        let Some(subscription) = found else { return Ok(None) };
        let timeline = catalog.timelines_of(subscription).get(line.timeline);
        let (Some(period), Some(timeline)) = (self.period(catalog, subscription, at), timeline)
        else {
            return Ok(None);
        };
        let timeline_index = u32::try_from(line.timeline).unwrap_or(u32::MAX);
        let key = SlotKey {
            subscription: line.subscription,
            timeline: timeline_index,
            period_start: period.start,
        };
        self.load_slot(catalog, key, period)?;
        Ok(Some((key, timeline)))
    }

    fn load_slot(
        &mut self,
        catalog: &Catalog,
        key: SlotKey,
        period: Period,
    ) -> Result<&mut Slot, Error> {
        if self.slots.get(&key).is_none() {
            let mut bytes = Vec::new();
            write_total_key(catalog, &key, &mut bytes);
            let total = match self.store.get(Table::Totals, &bytes)? {
                None => Total::default(),
                Some(value) => {
                    let stored = crate::codec::decode_total(&value);
                    stored.ok_or(Error::Damaged { what: "total" })?.total
                }
            };
            let slot = Slot {
                total,
                period,
                dirty: false,
                rated_head: String::new(),
                rated_from: Instant::MIN,
            };
            self.slots.insert(key, slot);
        }
        self.slots.get(&key).ok_or(Error::Damaged { what: "slot" })
    }

    /// The billing period of a subscription that holds an instant, within its active time.
    fn period(
        &mut self,
        catalog: &Catalog,
        subscription: &Subscription,
        at: Instant,
    ) -> Option<Period> {
        let index = subscription.cycle_index() as usize;
        let recent = self.periods.get_mut(index)?;
        let known = recent.iter().rev().find(|period| period.contains(at)).copied();
        let whole = match known {
            Some(period) => period,
            None => {
                let period = catalog.cycles().get(index)?.period_holding(at)?;
                if recent.len() >= PERIODS_MAX {
                    recent.clear();
                }
                recent.push(period);
                period
            }
        };
        whole.clipped_to(&subscription.active)
    }
}

fn write_total_key(catalog: &Catalog, key: &SlotKey, out: &mut Vec<u8>) {
    let Some(names) = names_of(catalog, key.subscription, key.timeline as usize) else { return };
    let (customer, subscription, charge, plan) = names;
    let period_start = key.period_start;
    TotalKey { shard: shard(customer), subscription, charge, plan, period_start }.write(out);
}

fn names_of(
    catalog: &Catalog,
    subscription: SubscriptionId,
    timeline: usize,
) -> Option<(&str, &str, &str, &str)> {
    let subscription = catalog.subscription_at(subscription)?;
    let customer = catalog.customer_at(subscription.customer)?;
    let charge = &catalog.timelines_of(subscription).get(timeline)?.key;
    Some((&customer.id, &subscription.id, charge, &catalog.plan_of(subscription)?.key))
}

/// A hash by which the charge of an admitted record is found again among those of its owner.
// Frozen.
fn charge_hash(catalog: &Catalog, line: &Line) -> u64 {
    let mut hasher = SipHasher13::new();
    if let Some((_, subscription, charge, plan)) =
        names_of(catalog, line.subscription, line.timeline)
    {
        for name in [subscription, charge, plan] {
            hasher.write(name.as_bytes());
            hasher.write_u8(0);
        }
    }
    hasher.finish()
}
