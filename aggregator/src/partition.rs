//! The partition: admit, rate, add, and commit it all at once.
//!
//! It is the same state machine in every mode. It takes decoded records and their positions, keeps
//! what they change in memory, and hands a [`Transaction`] to its commit port. It has no clock and
//! does no IO of its own but reading its store.

mod close;

use crate::codec::{decode_total, encode_total};
use crate::commit::{CommitPort, Transaction};
use crate::counters::Counters;
use crate::dedupe::{AdmittedLine, Dedupe, Seen};
use crate::error::Error;
use crate::identity::{Seeds, owner_hash};
use crate::keys::{NO_CELL, TotalKey, shard};
use crate::limits::{COMMIT_OUTPUT_BYTES_MAX, COMMIT_RECORDS_MAX, PERIODS_MAX, SLOTS_MAX};
use crate::lineage::record_hash;
use crate::query::Query;
use crate::rated;
use crate::slots::{Slot, SlotIndex, SlotKey, Slots};
use crate::store::{SavedSource, Store, Table};
use rating::resolve::{self, Line, Measure};
use rating::{
    Catalog, Code, Instant, Period, Rejection, Subscription, Timeline, Total, UsageRecord, rate,
};
use siphasher::sip::SipHasher13;
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
    /// Whether a commit failed: what is in memory may then not be what is in the store.
    failed: bool,
    seeds: Seeds,
    /// A hash of every customer's id, by its position in the catalog.
    owners: Vec<u128>,
    // Reused from record to record.
    lines: Vec<Line>,
    measures: Vec<Measure>,
    admitted: Vec<AdmittedLine>,
    targets: Vec<SlotIndex>,
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
            failed: false,
            seeds: store.seeds(),
            owners: catalog.customers().iter().map(|customer| owner_hash(&customer.id)).collect(),
            lines: Vec::new(),
            measures: Vec::new(),
            admitted: Vec::new(),
            targets: Vec::new(),
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

    /// Gives the store back, to open it with another catalog. What was not committed is gone.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
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
        self.check_usable()?;
        let catalog = Arc::clone(&self.catalog);
        let mut lines = std::mem::take(&mut self.lines);
        let verdict = self.judge(&catalog, record, (origin, horizon), &mut lines);
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
        self.check_usable()?;
        if !self.counters.balanced() {
            return Err(Error::Unbalanced { counters: self.counters });
        }
        // Until it is known to have succeeded, it has failed: a second try would write this delta
        // twice over, in no certain order.
        self.failed = true;
        let delta = &mut self.transaction.delta;
        self.dedupe.stage(delta)?;
        for slot in self.slots.dirty() {
            delta.put_with(Table::Totals, |out| {
                out.extend_from_slice(&slot.stored_key);
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
        self.failed = false;
        Ok(())
    }

    const fn check_usable(&self) -> Result<(), Error> {
        if self.failed { Err(Error::Failed) } else { Ok(()) }
    }

    /// Decides about a record in the frozen order of codes.
    fn judge(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        (origin, horizon): (Origin, Option<Instant>),
        lines: &mut Vec<Line>,
    ) -> Result<Result<Verdict, Rejection>, Error> {
        let measures = &mut self.measures;
        if let Err(rejection) = resolve::check_measure(catalog, record, horizon, measures) {
            return Ok(Err(rejection));
        }
        let owner = match resolve::owner(catalog, record, &self.measures) {
            Ok(owner) => owner,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let hash = self.owners.get(owner.customer.0 as usize).copied();
        let hash = hash.ok_or(Error::Damaged { what: "list of customers" })?;
        let identity = self.seeds.identity(hash, &record.source, &record.id);
        let seen = self.dedupe.find(&self.store, identity)?;
        if seen.is_some_and(|seen| seen.content_digest == record.content_digest) {
            return Ok(Ok(Verdict::Duplicate));
        }
        if let Err(rejection) = resolve::lines(catalog, record, (owner, &mut self.measures), lines)
        {
            return Ok(Err(rejection));
        }
        if let Some(seen) = seen {
            return Ok(Err(self.conflict(seen)));
        }
        self.admitted.clear();
        if let Err(rejection) = self.add(catalog, record, lines)? {
            return Ok(Err(rejection));
        }
        let seen = Seen {
            content_digest: record.content_digest,
            source: origin.source,
            position: origin.position,
        };
        self.dedupe.admit(identity, seen, record.used_at, &self.admitted)?;
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
        self.targets.clear();
        // All slots first: after this, only an overflow can stop the record.
        for line in lines {
            let Some(target) = self.load(catalog, line, record.used_at)? else {
                let reason = "the record's time lies beyond the calendar";
                return Ok(Err(Rejection::new(Code::NoActivePlan, reason)));
            };
            self.targets.push(target);
        }
        let mut before: Vec<(SlotIndex, Total)> = Vec::new();
        for (line, index) in lines.iter().zip(&self.targets) {
            let index = *index;
            let timeline = timeline_of(catalog, line)?;
            let terms = timeline.at(record.used_at).ok_or(Error::Damaged { what: "timeline" })?;
            let slot = self.slots.change(index).ok_or(Error::Damaged { what: "slot" })?;
            // Only a record with several lines can fail after it has changed something.
            if lines.len() > 1 {
                before.push((index, slot.total.clone()));
            }
            let rated = rate(&mut slot.total, (timeline, terms), line.quantity, record.used_at);
            let Some(rated) = rated else {
                self.transaction.outputs.rated.truncate(output);
                for (index, total) in before.into_iter().rev() {
                    if let Some(slot) = self.slots.change(index) {
                        slot.total = total;
                    }
                }
                let reason = format!("the total of charge \"{}\" overflows", timeline.key);
                return Ok(Err(Rejection::new(Code::Overflow, reason)));
            };
            slot.total.revision += u32::from(slot.total.closed);
            self.quantity_text.clear();
            // Writing to a string cannot fail.
            _ = line.quantity.write_to(&mut self.quantity_text);
            let quantity = &self.quantity_text;
            let hash = record_hash(&record.source, &record.id, &timeline.key, quantity);
            slot.total.lineage = slot.total.lineage.wrapping_add(hash);
            if slot.rated_head.is_empty() || slot.rated_from != terms.from {
                slot.rated_head = rated::head(catalog, line, slot.period.start, terms);
                slot.rated_from = terms.from;
            }
            let out = &mut self.transaction.outputs.rated;
            rated::write_line(out, record, slot, quantity, &rated);
            self.admitted.push(AdmittedLine { charge: slot.charge, quantity: line.quantity });
        }
        Ok(Ok(()))
    }

    /// Brings the slot of a line into memory; `None` beyond the calendar.
    fn load(
        &mut self,
        catalog: &Catalog,
        line: &Line,
        at: Instant,
    ) -> Result<Option<SlotIndex>, Error> {
        let subscription = catalog
            .subscription_at(line.subscription)
            .ok_or(Error::Damaged { what: "list of subscriptions" })?;
        let Some(period) = self.period(catalog, subscription, at) else { return Ok(None) };
        let timeline = u32::try_from(line.timeline).unwrap_or(u32::MAX);
        let period_start = period.start;
        let key = SlotKey { subscription: line.subscription, timeline, period_start };
        self.load_slot(catalog, key, period).map(Some)
    }

    fn load_slot(
        &mut self,
        catalog: &Catalog,
        key: SlotKey,
        period: Period,
    ) -> Result<SlotIndex, Error> {
        if let Some(index) = self.slots.find(&key) {
            return Ok(index);
        }
        let Some(names) = Names::of(catalog, &key) else {
            return Err(Error::Damaged { what: "slot" });
        };
        let mut stored_key = Vec::new();
        names.key(key.period_start).write(&mut stored_key);
        let total = match self.store.get(Table::Totals, &stored_key)? {
            None => {
                self.refuse_overlap(&names, period)?;
                Total::default()
            }
            Some(value) => decode_total(&value).ok_or(Error::Damaged { what: "total" })?.total,
        };
        Ok(self.slots.insert(key, Slot::new(total, period, stored_key, names.charge_hash())))
    }

    /// Refuses a total whose period overlaps one that the state has: the subscription's billing
    /// periods, time zone or days were changed after usage had been rated, and both totals would
    /// be billed.
    fn refuse_overlap(&self, names: &Names<'_>, period: Period) -> Result<(), Error> {
        let mut bound = Vec::new();
        names.key(period.end).write(&mut bound);
        let Some((key, value)) = self.store.last_below(Table::Totals, &bound)? else {
            return Ok(());
        };
        let Some(found) = TotalKey::read(&key) else { return Ok(()) };
        let same = names.key(found.period_start) == found;
        let end = decode_total(&value).ok_or(Error::Damaged { what: "total" })?.period_end;
        if same && end > period.start {
            return Err(Error::Recut {
                subscription: names.subscription.to_owned(),
                charge: names.charge.to_owned(),
                start: found.period_start,
                end,
            });
        }
        Ok(())
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

fn timeline_of<'c>(catalog: &'c Catalog, line: &Line) -> Result<&'c Timeline, Error> {
    let subscription = catalog.subscription_at(line.subscription);
    subscription
        .and_then(|subscription| catalog.timelines_of(subscription).get(line.timeline))
        .ok_or(Error::Damaged { what: "list of charges" })
}

/// The names that tell a total from others.
struct Names<'a> {
    customer: &'a str,
    subscription: &'a str,
    charge: &'a str,
    plan: &'a str,
}

impl<'a> Names<'a> {
    fn of(catalog: &'a Catalog, key: &SlotKey) -> Option<Self> {
        let subscription = catalog.subscription_at(key.subscription)?;
        let timelines = catalog.timelines_of(subscription);
        Some(Self {
            customer: &catalog.customer_at(subscription.customer)?.id,
            subscription: &subscription.id,
            charge: &timelines.get(key.timeline as usize)?.key,
            plan: &catalog.plan_of(subscription)?.key,
        })
    }

    fn key(&self, period_start: Instant) -> TotalKey<'a> {
        let Self { customer, subscription, charge, plan } = *self;
        TotalKey { shard: shard(customer), subscription, charge, plan, cell: NO_CELL, period_start }
    }

    /// A hash by which the charge of an admitted record is found again among those of its owner.
    // Frozen.
    fn charge_hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        for name in [self.subscription, self.charge, self.plan, NO_CELL] {
            hasher.write(name.as_bytes());
            hasher.write_u8(0);
        }
        hasher.finish()
    }
}
