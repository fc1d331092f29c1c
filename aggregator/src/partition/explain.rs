//! Explaining: which records made a total, and whether they still make it.
//!
//! The rated lines say which records were added to a total and taken from it; the table of
//! identities says what each of them was. From the two everything in the total is worked out anew,
//! as if there were no total.

use super::load::{any_charge, frame_of, new_position, place_at_start, place_of, span_of};
use super::said::{ChargeNames, damaged_line};
use super::{Names, Partition};
use crate::admitted::{AdmittedLine, Content};
use crate::error::Error;
use crate::keys::{NO_CELL, TotalKey, shard};
use crate::lineage::record_hash;
use crate::query::PeriodTotal;
use crate::slots::SlotKey;
use crate::tables::Table;
use ethnum::U256;
use rating::resolve::Owner;
use rating::{
    Aggregation, Amount, Dimensions, Direction, Instant, Measured, Period, Position, Pricing,
    Quantity, Subject, Subscription, SubscriptionId, Timeline, Total, Usage, rate,
};
use std::collections::{BTreeMap, BTreeSet};

/// One record of a total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRecord {
    /// Who measured.
    pub source: String,
    /// Its id within the source.
    pub id: String,
    /// When it was used.
    pub used_at: Instant,
    /// What of it counts.
    pub quantity: Quantity,
    /// What it has added to the total, corrections included.
    pub amount: Amount,
    /// Whether it was corrected since.
    pub is_corrected: bool,
}

/// A total and what its records come to.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// The total as it is kept.
    pub total: PeriodTotal<'a>,
    /// The records that stand, by (time, source, id).
    pub records: Vec<ExplainedRecord>,
    /// How many were taken back.
    pub taken_back: u64,
    /// Σ of what records of other periods have shifted here.
    pub shifted: Amount,
    /// Σ of all rated lines.
    pub rated: Amount,
    /// The lineage of the records that stand.
    pub lineage: U256,
    /// Quantity and Σ rated, worked out from the records alone, those of earlier periods included
    /// that share a scope with them; `None` where that leaves the domain of amounts.
    pub rerated: Option<(Quantity, Amount)>,
    /// How many records of the period are no longer kept, because nothing can change it any more.
    /// Where there are some, its lineage cannot be worked out anew.
    pub forgotten: u64,
    /// Whether all records are kept that it takes to rate the period anew, those of earlier periods
    /// included that share a scope with it.
    pub is_complete: bool,
    /// What does not agree; empty if all does.
    pub disagreements: Vec<String>,
}

/// What the rated lines say of one record.
#[derive(Debug, Default)]
struct Lines {
    standing: i64,
    amount: Amount,
    quantity: Quantity,
    is_corrected: bool,
}

/// What the rated lines of a charge say about one of its totals.
#[derive(Debug, Default)]
struct Said {
    /// The records that they add to it or take from it, by source and id.
    records: BTreeMap<(String, String), Lines>,
    /// Sources and ids of all others.
    elsewhere: BTreeSet<(String, String)>,
    /// Σ of what records of other periods have shifted.
    shifted: Amount,
    /// Σ of all.
    rated: Amount,
}

/// A record that stands, and what it measured for the charge.
struct Standing {
    at: Instant,
    source: String,
    id: String,
    measured: Measured,
    dimensions: Dimensions,
}

impl Partition {
    /// Explains the totals of a charge whose period's first day begins with `period`, such as
    /// `2026-01` or `2026-01-15`.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Damaged`] if the state cannot be read.
    pub fn explain(
        &self,
        subscription: &str,
        charge: &str,
        period: &str,
    ) -> Result<Vec<Explanation<'_>>, Error> {
        let Some(Subject::Subscription(first)) = self.catalog.subject(subscription) else {
            return Ok(Vec::new());
        };
        let mut explained = Vec::new();
        for id in self.catalog.stretches_of(&first) {
            let Some(found) = self.catalog.subscription_at(*id) else { continue };
            for total in self.totals_of(found, charge, period)? {
                explained.push(self.explain_total((*id, found), total)?);
            }
        }
        Ok(explained)
    }

    fn totals_of(
        &self,
        subscription: &Subscription,
        charge: &str,
        period: &str,
    ) -> Result<Vec<PeriodTotal<'_>>, Error> {
        let customer = self.catalog.customer_at(subscription.customer);
        let plan = self.catalog.plan_of(subscription);
        let calendar = self.catalog.calendar_of(subscription);
        let (Some(customer), Some(plan), Some(calendar)) = (customer, plan, calendar) else {
            return Ok(Vec::new());
        };
        let mut prefix = Vec::new();
        let (shard, plan) = (shard(&customer.id), plan.key.as_str());
        let start = Instant::MIN;
        let key = TotalKey {
            shard,
            subscription: &subscription.id,
            charge,
            plan,
            cell: NO_CELL,
            period_start: start,
        };
        key.write(&mut prefix);
        prefix.truncate(prefix.len() - 8);
        let mut totals = Vec::new();
        let mut found = self.found_times(|key| key.starts_with(&prefix))?;
        self.store.scan_prefix(Table::Totals, &prefix, |key, value| {
            let total = self.query().total(key, value)?.timed(found.remove(key))?;
            let day = calendar.day_of(total.period.start);
            let start = total.period.start.to_string();
            if day.to_string().starts_with(period) || start.starts_with(period) {
                totals.push(total);
            }
            Ok(())
        })?;
        Ok(totals)
    }

    fn explain_total<'a>(
        &'a self,
        (id, subscription): (SubscriptionId, &Subscription),
        total: PeriodTotal<'a>,
    ) -> Result<Explanation<'a>, Error> {
        let missing = || Error::Damaged { what: "list of charges" };
        let timelines = self.catalog.timelines_of(subscription);
        let index = timelines.iter().position(|timeline| timeline.key == total.charge);
        let index = index.ok_or_else(missing)?;
        let timeline = timelines.get(index).ok_or_else(missing)?;
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let key = SlotKey { subscription: id, timeline: number, period_start: total.period.start };
        let names = Names::of(&self.catalog, &key).ok_or_else(missing)?;
        let said = self.said_of(&total)?;
        let mut explanation = Explanation {
            records: Vec::new(),
            taken_back: 0,
            shifted: said.shifted,
            rated: said.rated,
            lineage: U256::ZERO,
            rerated: None,
            forgotten: 0,
            is_complete: true,
            disagreements: Vec::new(),
            total,
        };
        let charge = (subscription, timeline, names);
        let scope_start = self.scope_start(charge, explanation.total.period);
        explanation.is_complete =
            scope_start == explanation.total.period.start || !self.is_forgotten(scope_start);
        let mut standing =
            self.earlier(charge, (scope_start, explanation.total.period.start), said.elsewhere)?;
        for ((source, id), lines) in said.records {
            if lines.standing == 0 {
                explanation.taken_back += 1;
                continue;
            }
            match self.standing_line(charge, (&source, &id))? {
                None if self.is_forgotten(explanation.total.period.end) => {
                    explanation.forgotten += 1;
                }
                None => {
                    explanation.disagreements.push(format!("{source} {id} is not admitted"));
                }
                Some(found) => {
                    explanation.add(&found, &lines, &timeline.key);
                    standing.push(found);
                }
            }
        }
        standing.sort_by(|a, b| (a.at, &a.source, &a.id).cmp(&(b.at, &b.source, &b.id)));
        let period = explanation.total.period;
        explanation.is_complete &= explanation.forgotten == 0;
        if explanation.is_complete {
            explanation.rerated = self.rerate((subscription, timeline), period, &standing);
        }
        explanation
            .records
            .sort_by(|a, b| (a.used_at, &a.source, &a.id).cmp(&(b.used_at, &b.source, &b.id)));
        explanation.compare();
        Ok(explanation)
    }

    /// Whether records of a time may be forgotten.
    pub(super) fn is_forgotten(&self, time: Instant) -> bool {
        self.dedupe.forgotten().is_some_and(|until| time <= until)
    }

    /// When the scope begins that holds the beginning of a period.
    fn scope_start(
        &self,
        (subscription, timeline, _): (&Subscription, &Timeline, Names<'_>),
        period: Period,
    ) -> Instant {
        let at = (&*self.catalog, period.start);
        let scope = frame_of(&self.catalog, subscription, period.start)
            .and_then(|framed| span_of(any_charge(timeline)?, subscription, at, framed));
        scope.map_or(period.start, |scope| scope.time.start)
    }

    /// The records of a stretch of time before a period that share a scope with it.
    fn earlier(
        &self,
        charge: (&Subscription, &Timeline, Names<'_>),
        (from, to): (Instant, Instant),
        elsewhere: BTreeSet<(String, String)>,
    ) -> Result<Vec<Standing>, Error> {
        let mut earlier = Vec::new();
        if from == to {
            return Ok(earlier);
        }
        for (source, id) in elsewhere {
            let found = self.standing_line(charge, (&source, &id))?;
            earlier.extend(found.filter(|found| from <= found.at && found.at < to));
        }
        Ok(earlier)
    }

    /// What stands at the place of a record, if it is of a charge.
    fn standing_line(
        &self,
        (subscription, _, names): (&Subscription, &Timeline, Names<'_>),
        (source, id): (&str, &str),
    ) -> Result<Option<Standing>, Error> {
        let owner = Owner { customer: subscription.customer, subscription: None };
        let identity = self.seeds.identity(self.owner_hash(owner)?, source, id);
        if self.dedupe.admitted(&self.store, identity)?.is_none() {
            return Ok(None);
        }
        let content = self.standing_content(identity)?;
        let found = content.as_ref().and_then(|content| find_line(content, &names));
        Ok(found.map(|(at, line)| {
            let (source, id) = (source.to_owned(), id.to_owned());
            let AdmittedLine { measured, dimensions, .. } = line.clone();
            Standing { at, source, id, measured, dimensions }
        }))
    }

    fn said_of(&self, total: &PeriodTotal<'_>) -> Result<Said, Error> {
        let mut all = Said::default();
        let start = total.period.start.to_string();
        let PeriodTotal { subscription, charge, plan, .. } = *total;
        let names = ChargeNames { subscription, charge, plan };
        self.for_each_said(|said| {
            if !said.is_of(&names) {
                return Ok(());
            }
            let place = said.place().ok_or_else(damaged_line)?;
            if !said.is_of_period(&start) {
                all.elsewhere.insert(place);
                return Ok(());
            }
            let amount = said.amount().ok_or_else(damaged_line)?;
            all.rated = all.rated.checked_add(amount).ok_or_else(damaged_line)?;
            if said.is_shift() {
                all.shifted = all.shifted.checked_add(amount).ok_or_else(damaged_line)?;
                return Ok(());
            }
            let record = all.records.entry(place).or_default();
            record.amount = record.amount.checked_add(amount).ok_or_else(damaged_line)?;
            record.is_corrected |= said.is_corrected();
            if said.is_taken_back() {
                record.standing -= 1;
            } else {
                record.standing += 1;
                record.quantity = said.quantity().ok_or_else(damaged_line)?;
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Rates records anew, those of earlier periods first, and gives what they come to in a period.
    fn rerate(
        &self,
        (subscription, timeline): (&Subscription, &Timeline),
        period: Period,
        records: &[Standing],
    ) -> Option<(Quantity, Amount)> {
        let framed = frame_of(&self.catalog, subscription, period.start)?;
        if timeline.is_simple_in(period) {
            let mut total = Total::default();
            for record in records {
                let terms = timeline.at(record.at)?;
                let by = (timeline, terms, framed.share);
                rate(&mut total, by, record.measured.quantity, record.at)?;
            }
            return Some((total.quantity()?, total.rated));
        }
        let aggregation = any_charge(timeline)?.aggregation;
        let mut positions: BTreeMap<(&str, Instant), Position> = BTreeMap::new();
        for Standing { at, source, id, measured, dimensions } in records {
            let own = frame_of(&self.catalog, subscription, *at)?;
            let (span, place) = place_of(&self.catalog, (subscription, timeline), own, *at)?;
            let Measured { quantity: value, distinct } = *measured;
            let usage = Usage { value, distinct, at: *at, source, id };
            for cell in timeline.cells_of(*at, span.time, dimensions) {
                let place_of_cell = (timeline, span.time, cell);
                let new = || new_position(place_of_cell, aggregation);
                let position = positions.entry((cell, span.time.start)).or_insert_with(new);
                let pricing = Pricing { timeline, cell, aggregation };
                position.change(&pricing, place, &usage, Direction::Add)?;
            }
        }
        let mut carried = Quantity::ZERO;
        if aggregation == Aggregation::TimeWeightedSum {
            // A level lasts, also through periods in which it does not change.
            let place = place_at_start(timeline, framed);
            for position in positions.values_mut() {
                carried = carried.checked_add(position.ensure(aggregation, place)?.0)?;
            }
        }
        let parts = positions.values().flat_map(|position| &position.parts);
        let own = parts.filter(|part| part.period.start == period.start);
        own.map(|part| part.adds).try_fold((carried, Amount::ZERO), |sum, adds| {
            Some((sum.0.checked_add(adds.quantity)?, sum.1.checked_add(adds.amount)?))
        })
    }
}

impl Explanation<'_> {
    /// Whether the records make the total.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.disagreements.is_empty()
    }

    /// Adds a record, as it was admitted and as its lines say.
    fn add(&mut self, found: &Standing, lines: &Lines, charge: &str) {
        let Standing { at, source, id, measured, .. } = found;
        if lines.standing != 1 || measured.quantity != lines.quantity {
            let admitted = format!("{source} {id} was admitted with {}", measured.quantity);
            self.disagreements.push(admitted);
        }
        let hash = record_hash(source, id, charge, &measured.quantity.to_string());
        self.lineage = self.lineage.wrapping_add(hash);
        self.records.push(ExplainedRecord {
            source: source.clone(),
            id: id.clone(),
            used_at: *at,
            quantity: measured.quantity,
            amount: lines.amount,
            is_corrected: lines.is_corrected,
        });
    }

    fn compare(&mut self) {
        let kept = &self.total.total;
        let records = self.records.len() as u64 + self.forgotten;
        let mut compared = vec![
            ("records", kept.records.to_string(), records.to_string()),
            ("sum of rated amounts", kept.rated.to_string(), self.rated.to_string()),
        ];
        if self.forgotten == 0 {
            compared.extend(self.compared_records());
        }
        if self.is_complete {
            compared.extend(self.compared_amounts());
        }
        let differ = compared.into_iter().filter(|(_, kept, found)| kept != found);
        self.disagreements.extend(differ.map(|(what, kept, found)| {
            format!("{what}: the total says {kept}, its records {found}")
        }));
    }

    /// What a total says of its records, and what they come to.
    fn compared_records(&self) -> [Compared; 3] {
        let kept = &self.total.total;
        let times = self.records.iter().map(|record| record.used_at);
        let text = |at: Option<Instant>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
        [
            ("lineage", format!("{:064x}", kept.lineage), format!("{:064x}", self.lineage)),
            ("first use", text(kept.times.first()), text(times.clone().min())),
            ("last use", text(kept.times.last()), text(times.max())),
        ]
    }

    fn compared_amounts(&self) -> [Compared; 2] {
        let unrated = || ("too large".to_owned(), "too large".to_owned());
        let text =
            |(quantity, rated): (Quantity, Amount)| (quantity.to_string(), rated.to_string());
        let (quantity, rated) = self.rerated.map_or_else(unrated, text);
        [
            ("quantity", self.total.settled.quantity.to_string(), quantity),
            ("amount rated anew", self.total.total.rated.to_string(), rated),
        ]
    }
}

/// What is compared, what the total says, and what its records come to.
type Compared = (&'static str, String, String);

/// The line of a content that goes to a charge, and its time.
fn find_line<'c>(content: &'c Content, names: &Names<'_>) -> Option<(Instant, &'c AdmittedLine)> {
    let hash = names.charge_hash();
    let line = content.lines.iter().find(|line| line.charge == hash)?;
    Some((content.used_at, line))
}
