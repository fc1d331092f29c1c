//! The partition: admit, rate, add, and commit it all at once.
//!
//! It is the same state machine in every mode. It takes decoded records and their positions, keeps
//! what they change in memory, and hands a [`Transaction`] to its commit port. It has no clock and
//! does no IO of its own but reading its store.

mod anchors;
mod before;
mod calendars;
mod close;
mod commit;
mod correct;
mod event_types;
mod explain;
mod groups;
mod lines;
mod load;
mod names;
mod rebuild;
mod refuse;
mod routing;
mod said;
mod times;
#[cfg(test)]
mod trial;
mod waits;

use crate::admitted::{AdmittedLine, Seen};
use crate::announced::Announced;
use crate::commit::{Delta, Outputs, Transaction};
use crate::corrections::Corrections;
use crate::counters::{Counters, RejectedByCode};
use crate::dedupe::Dedupe;
use crate::error::Error;
use crate::identity::{Seeds, owner_hash};
use crate::limits::{COMMIT_OUTPUT_BYTES_MAX, COMMIT_RECORDS_MAX};
use crate::positions::Positions;
use crate::query::Query;
use crate::slots::{SlotKey, Slots};
use crate::store::{SavedSource, Store};
use crate::tables::Table;
use crate::untimed::Untimed;
use crate::waiting::{Cause, WaitingRoom};
pub use anchors::MovedScope;
pub use before::Before;
use calendars::Calendars;
pub use calendars::ChangedCalendar;
pub use explain::{ExplainedRecord, Explanation};
use names::{Names, named_by};
use rating::resolve::{self, Line, Measure, Owner};
use rating::{Catalog, Code, Correction, CustomerId, Instant, Period, Rejection, UsageRecord};
use refuse::too_old;
pub use routing::Routing;
use std::sync::Arc;
pub(crate) use times::{FoundByKey, FoundTimes};

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Admitted and rated to so many lines; 0 is unpriced.
    Rated(usize),
    /// Seen before with the same content.
    Duplicate,
    /// Kept until its subject or its target is there.
    Waiting,
    /// Another partition's: the caller sends it there with the same commit.
    Forwarded(u32),
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

/// What time it is for a record. Where there is no clock, as in a file, nothing is too old or in
/// the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// When the record was received.
    pub received_at: Option<Instant>,
    /// The latest time that it may state.
    pub horizon: Option<Instant>,
    /// The earliest time that it may state: what is older is `late_closed`.
    pub oldest: Option<Instant>,
}

/// A record with what it came as.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The key that it had in its log; empty without one.
    pub key: &'a [u8],
    /// Where it stood.
    pub origin: Origin,
    /// What time it is for it.
    pub clock: Clock,
}

/// One partition of usage.
pub struct Partition {
    /// The catalog in force, with calendars that have changed.
    catalog: Arc<Catalog>,
    /// The same as it was given.
    given: Arc<Catalog>,
    /// Whether a customer's calendar is in the state, by its position in the catalog.
    kept_calendars: Vec<bool>,
    /// What the catalog in force has changed of them.
    changed_calendars: Vec<ChangedCalendar>,
    store: Store,
    dedupe: Dedupe,
    slots: Slots,
    untimed: Untimed,
    positions: Positions,
    corrections: Corrections,
    waiting: WaitingRoom,
    /// Memory that records waiting for their subjects may take, in bytes; without it, an unknown
    /// subject is refused.
    subjects_wait_bytes: Option<usize>,
    /// Types of records that some meter took, by the number that admitted records keep. The first
    /// stands for all that none took.
    types: Vec<String>,
    types_changed: bool,
    /// The number of each meter's type, by the meter's position in the catalog.
    meter_types: Vec<u32>,
    counters: Counters,
    rejected: RejectedByCode,
    sources: Vec<SavedSource>,
    /// Recently used periods of each calendar.
    periods: Vec<Vec<Period>>,
    transaction: Transaction,
    /// Records taken since the last commit.
    taken: usize,
    /// Counts records, but for those that another released: together they revise a total once.
    causes: u64,
    /// Whether the next record was released by the one before it.
    is_released: bool,
    /// Whether a commit failed: what is in memory may then not be what is in the store.
    failed: bool,
    seeds: Seeds,
    /// Whether every total has been found to have a period that the catalog makes.
    cuts_agree: bool,
    /// A hash of every customer's id, by its position in the catalog.
    owners: Vec<u128>,
    /// Where customers belong; without it, all of them here.
    routing: Option<Routing>,
    /// The partition of every customer, by its position in the catalog.
    homes: Vec<u32>,
    /// Whose the record last applied was.
    owner: Option<CustomerId>,
    /// Up to when usage is thought to be complete.
    watermark: Instant,
    /// The latest time of usage that was rated.
    used_until: Instant,
    /// The latest of the times before which nothing was taken any more.
    oldest: Option<Instant>,
    /// The end of the last period that the record being applied has changed.
    changed_until: Instant,
    /// Whether closed totals leave with the commit that changes them.
    publishes_totals: bool,
    /// How much of the catalog's topic the catalog in force was made of.
    catalog_position: u64,
    /// Plan versions, dimensions and calendars that this state has not seen before.
    new_plans: Delta,
    /// The list of snapshots that the next commit announces.
    announcing: Option<Vec<Announced>>,
    // Reused from record to record.
    lines: Vec<Line>,
    measures: Vec<Measure>,
    admitted: Vec<AdmittedLine>,
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
    pub fn open(catalog: Arc<Catalog>, mut store: Store) -> Result<Self, Error> {
        // They may have come by the state log since the store was opened.
        store.take_seeds()?;
        let mut partition = Self {
            dedupe: Dedupe::load(&store)?,
            slots: Slots::default(),
            untimed: Untimed::load(&store)?,
            positions: Positions::default(),
            corrections: Corrections::default(),
            waiting: WaitingRoom::load(&store)?,
            subjects_wait_bytes: None,
            types: event_types::read(&store)?,
            types_changed: false,
            meter_types: Vec::new(),
            counters: store.counters()?,
            rejected: store.rejected_by_code()?,
            sources: store.sources()?,
            periods: Vec::new(),
            transaction: Transaction::default(),
            taken: 0,
            causes: 0,
            is_released: false,
            failed: false,
            seeds: store.seeds(),
            owners: Vec::new(),
            routing: None,
            homes: Vec::new(),
            owner: None,
            watermark: store.watermark()?,
            used_until: store.used_until()?,
            oldest: None,
            changed_until: Instant::MIN,
            publishes_totals: false,
            catalog_position: store.catalog_position()?,
            new_plans: Delta::default(),
            announcing: None,
            lines: Vec::new(),
            measures: Vec::new(),
            admitted: Vec::new(),
            quantity_text: String::new(),
            catalog: Arc::clone(&catalog),
            given: Arc::clone(&catalog),
            cuts_agree: false,
            kept_calendars: Vec::new(),
            changed_calendars: Vec::new(),
            store,
        };
        partition.note_seeds()?;
        partition.take_up(catalog)?;
        Ok(partition)
    }

    /// Lets records whose subject the catalog does not have wait, up to so many bytes of memory.
    pub const fn let_subjects_wait(&mut self, bytes_max: usize) {
        self.subjects_wait_bytes = Some(bytes_max);
    }

    /// Goes on with another catalog; everything taken must have been committed. Records that
    /// waited for it are released.
    ///
    /// # Errors
    /// [`Error::Refused`] if the catalog contradicts the state, which then goes on with the one
    /// that it has; [`Error::Failed`] if something was not committed.
    pub fn set_catalog(&mut self, catalog: Arc<Catalog>) -> Result<(), Error> {
        self.check_usable()?;
        if self.taken > 0 {
            return Err(Error::Failed);
        }
        self.take_up(catalog)
    }

    /// Notes that every total was found to have a period that the catalog makes: whatever begins
    /// elsewhere then is another period, and need not be compared with what is stored. Only an open
    /// total of a subscription that has ended since may still be stored with its end of before.
    pub const fn note_cuts_agree(&mut self) {
        self.cuts_agree = true;
    }

    /// Notes how much of its topic the catalog in force was made of; durable with what is rated
    /// by it.
    pub fn at_catalog(&mut self, position: u64) {
        self.catalog_position = self.catalog_position.max(position);
    }

    /// A state that has no seeds yet gets its own with the first commit.
    fn note_seeds(&mut self) -> Result<(), Error> {
        if self.store.meta("seeds")?.is_none() {
            self.transaction.delta.put(Table::Meta, b"seeds", &self.seeds.encode());
        }
        Ok(())
    }

    fn take_up(&mut self, given: Arc<Catalog>) -> Result<(), Error> {
        let Calendars { catalog, delta, kept, changed } = self.calendars_under(&given)?;
        let mut new_plans = self.store.check_plans(&catalog)?;
        new_plans.append(&delta);
        new_plans.append(&self.new_groups(&catalog)?);
        let rebuilt = self.rebuilt(&catalog)?;
        self.new_plans = new_plans;
        // What is in memory is found by its place in the catalog.
        self.slots = Slots::default();
        self.positions = Positions::default();
        self.periods = vec![Vec::new(); catalog.calendars().len()];
        self.owners = catalog.customers().iter().map(|one| owner_hash(&one.id)).collect();
        self.owner = None;
        self.homes = self.homes_of(&catalog);
        self.meter_types =
            catalog.meters().iter().map(|one| self.type_of(&one.event_type)).collect();
        self.waiting.release_if(|cause| match cause {
            Cause::Subject(name) => catalog.subject(name).is_some(),
            Cause::Target(_) => false,
        });
        (self.catalog, self.given) = (catalog, given);
        (self.kept_calendars, self.changed_calendars) = (kept, changed);
        self.cuts_agree = false;
        // Half of it would be another state.
        self.failed = true;
        self.install(rebuilt)?;
        self.failed = false;
        Ok(())
    }

    /// Lets closed totals leave with every commit that changes them.
    pub const fn publish_totals(&mut self) {
        self.publishes_totals = true;
    }

    /// The id of the customer whose record was applied last; empty where none was found.
    #[must_use]
    pub fn owner(&self) -> &str {
        let owner = self.owner.and_then(|owner| self.catalog.customer_at(owner));
        owner.map_or("", |customer| &customer.id)
    }

    /// Up to when usage is thought to be complete: the greatest time that a record stated, but not
    /// beyond its receipt.
    #[must_use]
    pub const fn watermark(&self) -> Instant {
        self.watermark
    }

    /// Moves the watermark forward without a record; durable with the next commit.
    pub fn advance_watermark(&mut self, to: Instant) {
        self.watermark = self.watermark.max(to);
    }

    /// The lines that are to leave with the next commit. Where they leave early, to be seen only
    /// after it, they are taken out here.
    pub const fn outputs(&mut self) -> &mut Outputs {
        &mut self.transaction.outputs
    }

    /// Gives the store back. What was not committed is forgotten.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
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

    /// The name of a source by its position.
    #[must_use]
    pub fn source_name(&self, index: u32) -> &str {
        self.sources.get(index as usize).map_or("?", |source| &source.name)
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
        Query::of(self, &self.catalog, &self.store)
    }

    /// The catalog in force.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
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
    /// # Errors
    /// Only where the partition cannot go on; a bad record is a [`Verdict`].
    pub fn apply(
        &mut self,
        record: &UsageRecord<'_>,
        received: &Received<'_>,
    ) -> Result<Verdict, Error> {
        self.check_usable()?;
        if !std::mem::take(&mut self.is_released) {
            self.causes += 1;
        }
        self.owner = None;
        self.changed_until = Instant::MIN;
        let clock = self.clock_now(received.clock);
        let received = &Received { clock, ..*received };
        let catalog = Arc::clone(&self.catalog);
        let mut lines = std::mem::take(&mut self.lines);
        let verdict = self.judge(&catalog, record, received, &mut lines);
        self.lines = lines;
        // What is half done must never be committed.
        self.failed = verdict.is_err();
        let verdict = verdict?.unwrap_or_else(Verdict::Rejected);
        match &verdict {
            Verdict::Rated(lines) => {
                self.counters.rated += 1;
                self.counters.unpriced += u64::from(*lines == 0);
            }
            Verdict::Duplicate => self.counters.duplicate += 1,
            Verdict::Waiting => self.counters.waiting += 1,
            Verdict::Forwarded(_) => self.counters.forwarded += 1,
            Verdict::Rejected(_) => return Ok(verdict),
        }
        if let Some(received_at) = received.clock.received_at
            && record.time_fault.is_none()
        {
            self.watermark = self.watermark.max(record.used_at.min(received_at));
        }
        self.taken += 1;
        self.counters.read += 1;
        Ok(verdict)
    }

    /// Nothing that was used before this instant will be taken any more, as far as the caller
    /// knows; identities that nothing after it needs are forgotten, a few with every commit.
    pub fn forget_before(&mut self, oldest: Instant) {
        self.oldest = self.oldest.max(Some(oldest));
    }

    /// Whether a commit would forget something, though nothing was taken.
    #[must_use]
    pub fn is_forgetting_due(&self) -> bool {
        self.oldest.is_some_and(|oldest| self.dedupe.is_forgetting_due(oldest))
    }

    /// What time it is for a record: the time of identities that were forgotten is over for good.
    fn clock_now(&mut self, clock: Clock) -> Clock {
        self.oldest = self.oldest.max(clock.oldest);
        let after = |time: Instant| Instant::from_nanos(time.nanos().saturating_add(1));
        let forgotten = self.dedupe.forgotten().map(after);
        Clock { oldest: clock.oldest.max(forgotten), ..clock }
    }

    const fn check_usable(&self) -> Result<(), Error> {
        if self.failed { Err(Error::Failed) } else { Ok(()) }
    }

    /// Decides about a record in the frozen order of codes.
    fn judge(
        &mut self,
        catalog: &Catalog,
        record: &UsageRecord<'_>,
        received: &Received<'_>,
        lines: &mut Vec<Line>,
    ) -> Result<Result<Verdict, Rejection>, Error> {
        let Received { origin, clock, .. } = received;
        let correction = match Correction::of(record) {
            Ok(correction) => correction,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let measures = &mut self.measures;
        if let Err(rejection) = resolve::check_measure(catalog, record, clock.horizon, measures) {
            return Ok(Err(rejection));
        }
        let owner = match resolve::owner(catalog, record, &self.measures) {
            Ok(owner) => owner,
            Err(rejection) if rejection.code == Code::UnknownSubject => {
                return Ok(self.wait_for_subject(catalog, record, received, rejection));
            }
            Err(rejection) => return Ok(Err(rejection)),
        };
        self.owner = Some(owner.customer);
        if let Some(home) = self.elsewhere(owner.customer) {
            return Ok(Ok(Verdict::Forwarded(home)));
        }
        let hash = self.owner_hash(owner)?;
        let identity = self.seeds.identity(hash, &record.source, &record.id);
        let seen = self.dedupe.find(&self.store, identity)?.or_else(|| self.waits(identity));
        if seen.is_some_and(|seen| seen.content_digest == record.content_digest) {
            return Ok(Ok(Verdict::Duplicate));
        }
        if let Some(correction) = correction {
            if let Some(seen) = seen {
                return Ok(Err(self.conflict(seen)));
            }
            return self.correct(catalog, (record, received), (owner, identity), &correction);
        }
        if let Err(rejection) = resolve::lines(catalog, record, (owner, &mut self.measures), lines)
        {
            return Ok(Err(rejection));
        }
        if let Some(seen) = seen {
            return Ok(Err(self.conflict(seen)));
        }
        if clock.oldest.is_some_and(|oldest| record.used_at < oldest) {
            return Ok(Err(too_old(record.used_at, clock.oldest)));
        }
        self.admitted.clear();
        if let Err(rejection) = self.add_record(catalog, record, lines)? {
            return Ok(Err(rejection));
        }
        let seen = Seen {
            content_digest: record.content_digest,
            source: origin.source,
            position: origin.position,
        };
        let event_type = self.measured_type();
        let what = (record.used_at, event_type, named_by(catalog, owner, lines));
        let lines_until = (&*self.admitted, self.changed_until);
        self.dedupe.admit((identity, seen), what, lines_until, None)?;
        self.waiting.release(&Cause::Target(identity));
        Ok(Ok(Verdict::Rated(lines.len())))
    }

    fn owner_hash(&self, owner: Owner) -> Result<u128, Error> {
        let hash = self.owners.get(owner.customer.0 as usize).copied();
        hash.ok_or(Error::Damaged { what: "list of customers" })
    }

    fn conflict(&self, seen: Seen) -> Rejection {
        let source = self.sources.get(seen.source as usize).map_or("?", |source| &source.name);
        let reason = format!(
            "this id of this source was admitted with other content: {source} line {}",
            seen.position
        );
        Rejection::new(Code::Conflict, reason)
    }
}
