//! Explaining: which records made a total, and whether they still make it.
//!
//! The rated lines say which records were added to a total and taken from it; the table of
//! identities says what each of them was. From the two everything in the total is worked out anew,
//! as if there were no total.

use super::load::{by_record, span_of};
use super::{Names, Partition};
use crate::dedupe::Content;
use crate::error::Error;
use crate::keys::{NO_CELL, TotalKey, shard};
use crate::lineage::record_hash;
use crate::query::PeriodTotal;
use crate::slots::SlotKey;
use crate::tables::Table;
use ethnum::{I256, U256};
use rating::json::{Tape, Value};
use rating::resolve::Owner;
use rating::{
    Aggregation, Amount, Direction, Instant, Place, Position, Pricing, Quantity, Scope, Share,
    Subject, Subscription, SubscriptionId, Timeline, Total, Usage, rate,
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
        let damaged = || Error::Damaged { what: "rated line" };
        let mut records = ByRecord::new();
        let (mut shifted, mut sum) = (Amount::ZERO, Amount::ZERO);
        let start = total.period.start.to_string();
        let mut tape = Tape::default();
        self.query().rated(|chunk: &[u8]| {
            for line in chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line = tape.parse(line).map_err(|_| damaged())?;
                let Some(data) = line.get("data") else { continue };
                let is = |value: Option<Value<'_>>, text: &str| value.is_some_and(|v| v.is(text));
                if !is(line.get("subject"), total.subscription)
                    || !is(data.get("charge"), total.charge)
                    || !is(data.get("plan"), total.plan)
                    || !is(data.get("period_start"), &start)
                {
                    continue;
                }
                let amount = amount_of(data).ok_or_else(damaged)?;
                sum = sum.checked_add(amount).ok_or_else(damaged)?;
                let quantity = quantity_of(data).ok_or_else(damaged)?;
                let (source, id) = place_of(line, total.charge).ok_or_else(damaged)?;
                let is_own = data.get("shift").is_none();
                if !is_own {
                    shifted = shifted.checked_add(amount).ok_or_else(damaged)?;
                    continue;
                }
                let record = records.entry((source, id)).or_default();
                record.amount = record.amount.checked_add(amount).ok_or_else(damaged)?;
                record.is_corrected |= data.get("corrects").is_some();
                if data.get("taken_back").is_some() {
                    record.standing -= 1;
                } else {
                    record.standing += 1;
                    record.quantity = quantity;
                }
            }
            Ok::<(), Error>(())
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
            let framed = (period, share);
            let span = span_of(charge, subscription, (&self.catalog, usage.at), framed)?;
            let position = positions.entry((*cell, span.time.start)).or_insert_with(|| {
                Position::new(aggregation, by_record(timeline, span.time, cell))
            });
            let terms = timeline.at(usage.at)?;
            let share = Share { active: span.active_days, whole: span.whole_days };
            let place = Place { start: terms.from.max(period.start), period, share };
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

fn amount_of(data: Value<'_>) -> Option<Amount> {
    let text = data.get("amount")?.as_text()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, &*text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let width = rating::AMOUNT_SCALE as usize;
    let scaled: I256 = format!("{whole}{fraction:0<width$}").parse().ok()?;
    Some(Amount::from_scaled(scaled.checked_mul(I256::new(sign))?))
}

fn quantity_of(data: Value<'_>) -> Option<Quantity> {
    Quantity::parse(&data.get("quantity")?.as_text()?).ok()
}

/// The record at whose place a line works.
fn place_of(line: Value<'_>, charge: &str) -> Option<(String, String)> {
    let (source, id) = match line.get("data")?.get("corrects") {
        Some(corrects) => (corrects.get("source")?.as_text()?, corrects.get("id")?.as_text()?),
        None => (line.get("source")?.as_text()?, line.get("id")?.as_text()?),
    };
    let source = match line.get("data")?.get("corrects") {
        Some(_) => &*source,
        None => source.strip_suffix(charge)?.strip_suffix('#')?,
    };
    Some((source.to_owned(), id.into_owned()))
}
