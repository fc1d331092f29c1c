//! Explaining: which records made a total, and whether they still make it.
//!
//! The rated lines say which records were added to a total and taken from it; the table of
//! identities says what each of them was. From the two everything in the total is worked out anew,
//! as if there were no total.

use super::load::{Framed, by_record, place_of};
use super::said::{ChargeNames, damaged_line};
use super::{Names, Partition};
use crate::dedupe::Content;
use crate::error::Error;
use crate::keys::{NO_CELL, TotalKey, shard};
use crate::lineage::record_hash;
use crate::query::PeriodTotal;
use crate::slots::SlotKey;
use crate::store::Table;
use ethnum::U256;
use rating::resolve::Owner;
use rating::{
    Aggregation, Amount, Direction, Instant, Position, Pricing, Quantity, Scope, Subject,
    Subscription, SubscriptionId, Timeline, Total, Usage, rate,
};
use std::collections::BTreeMap;

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
    /// Quantity and Σ rated, worked out from the records alone; `None` where earlier periods share
    /// the position.
    pub rerated: Option<(Quantity, Amount)>,
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

/// The records of a total, by source and id.
type ByRecord = BTreeMap<(String, String), Lines>;

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
        let (Some(customer), Some(plan)) = (customer, plan) else { return Ok(Vec::new()) };
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
        self.store.scan_prefix(Table::Totals, &prefix, |key, value| {
            let total = self.query().total(key, value)?;
            let day = customer.zone.to_datetime(total.period.start.to_timestamp()).date();
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
        let (by_record, shifted, rated) = self.lines_of(&total)?;
        let mut explanation = Explanation {
            records: Vec::new(),
            taken_back: 0,
            shifted,
            rated,
            lineage: U256::ZERO,
            rerated: None,
            disagreements: Vec::new(),
            total,
        };
        let owner = Owner { customer: subscription.customer, subscription: None };
        let mut usages = Vec::new();
        for ((source, id), lines) in by_record {
            if lines.standing == 0 {
                explanation.taken_back += 1;
                continue;
            }
            let identity = self.seeds.identity(self.owner_hash(owner)?, &source, &id);
            let content = self.standing_content(identity).ok().flatten();
            let found = content.as_ref().and_then(|content| find_line(content, timeline, &names));
            let Some((used_at, cell, measured)) = found else {
                explanation.disagreements.push(format!("{source} {id} is not admitted"));
                continue;
            };
            if lines.standing != 1 || measured.quantity != lines.quantity {
                explanation
                    .disagreements
                    .push(format!("{source} {id} was admitted with {}", measured.quantity));
            }
            let text = measured.quantity.to_string();
            let hash = record_hash(&source, &id, &timeline.key, &text);
            explanation.lineage = explanation.lineage.wrapping_add(hash);
            usages.push((used_at, cell, measured.distinct, explanation.records.len()));
            explanation.records.push(ExplainedRecord {
                source,
                id,
                used_at,
                quantity: measured.quantity,
                amount: lines.amount,
                is_corrected: lines.is_corrected,
            });
        }
        let again = usages.iter().filter_map(|(at, cell, distinct, index)| {
            let record = explanation.records.get(*index)?;
            let (source, id) = (record.source.as_str(), record.id.as_str());
            let value = record.quantity;
            Some((cell.as_str(), Usage { value, distinct: *distinct, at: *at, source, id }))
        });
        let mut again: Vec<(&str, Usage<'_>)> = again.collect();
        again.sort_by(|(_, a), (_, b)| (a.at, a.source, a.id).cmp(&(b.at, b.source, b.id)));
        let period = explanation.total.period;
        explanation.rerated = self.rerate((subscription, timeline), period, &again);
        explanation
            .records
            .sort_by(|a, b| (a.used_at, &a.source, &a.id).cmp(&(b.used_at, &b.source, &b.id)));
        explanation.compare();
        Ok(explanation)
    }

    /// What the rated lines of a total say: of each record, Σ shifted, Σ of all.
    fn lines_of(&self, total: &PeriodTotal<'_>) -> Result<(ByRecord, Amount, Amount), Error> {
        let mut records = ByRecord::new();
        let (mut shifted, mut sum) = (Amount::ZERO, Amount::ZERO);
        let start = total.period.start.to_string();
        let PeriodTotal { subscription, charge, plan, .. } = *total;
        let names = ChargeNames { subscription, charge, plan };
        self.for_each_said(|said| {
            if !said.is_of(&names) || !said.is_of_period(&start) {
                return Ok(());
            }
            let amount = said.amount().ok_or_else(damaged_line)?;
            sum = sum.checked_add(amount).ok_or_else(damaged_line)?;
            if said.is_shift() {
                shifted = shifted.checked_add(amount).ok_or_else(damaged_line)?;
                return Ok(());
            }
            let record = records.entry(said.place().ok_or_else(damaged_line)?).or_default();
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
        Ok((records, shifted, sum))
    }

    /// Rates records anew, as if there were nothing before them; `None` where there was.
    fn rerate(
        &self,
        (subscription, timeline): (&Subscription, &Timeline),
        period: rating::Period,
        records: &[(&str, Usage<'_>)],
    ) -> Option<(Quantity, Amount)> {
        let share = self.catalog.share_of(subscription, period)?;
        if timeline.is_simple_in(period) {
            let mut total = Total::default();
            for (_, usage) in records {
                let terms = timeline.at(usage.at)?;
                rate(&mut total, (timeline, terms, share), usage.value, usage.at)?;
            }
            return Some((total.quantity()?, total.rated));
        }
        let (_, charge) = timeline.within(period).next()?;
        if charge.aggregation == Aggregation::TimeWeightedSum
            || matches!(charge.scope, Scope::Year | Scope::Term | Scope::CalendarMonth)
        {
            return None;
        }
        let mut positions: BTreeMap<(&str, Instant), Position> = BTreeMap::new();
        let aggregation = charge.aggregation;
        for (cell, usage) in records {
            let framed = Framed { period, share };
            let placed = place_of(&self.catalog, (subscription, timeline), framed, usage.at);
            let (span, place) = placed?;
            let position = positions.entry((*cell, span.time.start)).or_insert_with(|| {
                Position::new(aggregation, by_record(timeline, span.time, cell))
            });
            let pricing = Pricing { timeline, cell, aggregation };
            position.change(&pricing, place, usage, Direction::Add)?;
        }
        let parts = positions.values().flat_map(|position| &position.parts);
        parts.map(|part| part.adds).try_fold((Quantity::ZERO, Amount::ZERO), |sum, adds| {
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

    fn compare(&mut self) {
        let kept = &self.total.total;
        let mut differ = |what: &str, kept: String, found: String| {
            if kept != found {
                self.disagreements
                    .push(format!("{what}: the total says {kept}, its records {found}"));
            }
        };
        differ("records", kept.records.to_string(), self.records.len().to_string());
        differ("lineage", format!("{:064x}", kept.lineage), format!("{:064x}", self.lineage));
        differ("sum of rated amounts", kept.rated.to_string(), self.rated.to_string());
        let times = self.records.iter().map(|record| record.used_at);
        let text = |at: Option<Instant>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
        differ("first use", text(kept.first_used_at), text(times.clone().min()));
        differ("last use", text(kept.last_used_at), text(times.max()));
        if let Some((quantity, rated)) = self.rerated {
            differ("quantity", self.total.settled.quantity.to_string(), quantity.to_string());
            differ("amount rated anew", kept.rated.to_string(), rated.to_string());
        }
    }
}

/// The time, cell and measure of the line of a content that goes to a charge.
fn find_line(
    content: &Content,
    timeline: &Timeline,
    names: &Names<'_>,
) -> Option<(Instant, String, rating::Measured)> {
    let model = &timeline.at(content.used_at)?.charge.as_deref()?.model;
    model.cells().into_iter().find_map(|cell| {
        let hash = names.charge_hash(cell);
        let line = content.lines.iter().find(|line| line.charge == hash)?;
        Some((content.used_at, cell.to_owned(), line.measured))
    })
}
