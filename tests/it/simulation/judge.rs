//! The judge: holds what came out against what the oracle says must have.

use super::cluster::Log;
use super::oracle::{self, Owed, Whose, counting, counts, month_of};
use super::usage::{HOUR, Kind, MONTHS, Sent};
use super::world::{PARTITIONS, World};
use rating::Instant;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Says what is wrong; else how often totals were closed and revised, and records refused.
pub(super) fn judge(world: &World) -> Result<BTreeMap<&'static str, u64>, String> {
    let owed = oracle::owed(&world.usage);
    judge_lines(world, &owed)?;
    let mut hits = BTreeMap::new();
    let closed = judge_closed(world, &owed, &mut hits)?;
    judge_state(world, &owed, &closed)?;
    judge_letters(world, &mut hits)?;
    judge_counters(world)?;
    Ok(hits)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// The record of an id such as `r7`.
fn record<'a>(world: &'a World, id: &str) -> &'a Sent {
    &world.usage.sent[id[1..].parse::<usize>().unwrap()]
}

fn whose(value: &Value) -> Whose {
    let month = &text(value, "period_start")[..7];
    (text(value, "customer")[1..].parse().unwrap(), month.to_owned())
}

/// The lines add up to what is owed.
fn judge_lines(world: &World, owed: &BTreeMap<Whose, Owed>) -> Result<(), String> {
    let sums = sums_of_lines(world)?;
    let everyone: BTreeSet<&Whose> = owed.keys().chain(sums.keys()).collect();
    for one in everyone {
        let owed = owed.get(one).copied().unwrap_or_default();
        let found = sums.get(one).copied().unwrap_or_default();
        let due = (signed(owed.quantity), signed(oracle::price(&one.1, owed.quantity)));
        if found != due {
            return Err(format!("C{} in {}: {found:?} was rated, not {due:?}", one.0, one.1));
        }
    }
    Ok(())
}

/// What is wrong with the lines already, whatever may still come.
pub(super) fn judge_so_far(world: &World) -> Result<(), String> {
    sums_of_lines(world).map(|_| ())
}

/// Quantities and thousandths of what was rated. Nothing is rated twice, nothing that does not
/// count, and each line stands under the key of its customer.
fn sums_of_lines(world: &World) -> Result<BTreeMap<Whose, (i64, i64)>, String> {
    let mut seen = BTreeSet::new();
    let mut sums: BTreeMap<Whose, (i64, i64)> = BTreeMap::new();
    let logs = (0..PARTITIONS).map(Log::Rated);
    for (key, line) in logs.flat_map(|log| world.committed_with_keys(log)) {
        let line = parse(&line);
        let (id, data) = (text(&line, "id"), &line["data"]);
        if key != text(data, "customer") {
            return Err(format!("the line of {id} stands under the key of {key}: {line}"));
        }
        if !seen.insert(id.to_owned()) {
            return Err(format!("{id} was rated twice"));
        }
        if !counts(record(world, id)) {
            return Err(format!("{id} was rated, but it does not count: {line}"));
        }
        let sum = sums.entry(whose(data)).or_default();
        sum.0 += text(data, "quantity").parse::<i64>().unwrap();
        sum.1 += thousandths(text(data, "amount"));
    }
    Ok(sums)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

/// Every period that ended has a closed total for everybody, used or not, whose last revision is
/// what is owed. Gives these by their keys.
fn judge_closed(
    world: &World,
    owed: &BTreeMap<Whose, Owed>,
    hits: &mut BTreeMap<&'static str, u64>,
) -> Result<BTreeMap<String, String>, String> {
    let mut last: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for (key, line) in world.committed_with_keys(Log::Totals) {
        let revision = parse(&line)["revision"].as_u64().unwrap();
        let what = if revision == 0 { "period closed" } else { "closed total revised" };
        *hits.entry(what).or_default() += 1;
        if let Some((before, _)) = last.get(&key)
            && revision <= *before
        {
            return Err(format!("{key}: revision {revision} came after {before}"));
        }
        last.insert(key, (revision, line));
    }
    let ended: Vec<i128> = MONTHS
        .windows(2)
        .filter(|month| month[1] + 2 * HOUR <= world.now())
        .map(|month| month[0])
        .collect();
    let mut missing: BTreeSet<Whose> = BTreeSet::new();
    for month in &ended {
        missing.extend((0..world.customers()).map(|customer| (customer, month_of(*month))));
    }
    for (key, (_, line)) in &last {
        let total = parse(line);
        let whose = whose(&total);
        let due = owed.get(&whose).copied().unwrap_or_default();
        judge_total(&total, &whose, due, "closed")?;
        if !missing.remove(&whose) {
            return Err(format!("{key} has not ended, or is there twice"));
        }
    }
    match missing.first() {
        Some(one) => Err(format!("{one:?} was not closed")),
        None => Ok(last.into_iter().map(|(key, (_, line))| (key, line)).collect()),
    }
}

/// A total, to the last digit.
fn judge_total(total: &Value, whose: &Whose, due: Owed, status: &str) -> Result<(), String> {
    let price = signed(oracle::price(&whose.1, due.quantity));
    let time = |name: &str| total[name].as_str().map(str::to_owned);
    let due_time = |at: Option<i128>| at.map(|at| Instant::from_nanos(at).to_string());
    let cents = (price + 5) / 10;
    let is_right = text(total, "subscription") == format!("S{}", whose.0)
        && text(total, "quantity") == due.quantity.to_string()
        && text(total, "billable_quantity") == due.quantity.to_string()
        && thousandths(text(total, "usage_amount")) == price
        && thousandths(text(total, "amount")) == price
        && thousandths(text(total, "rounded_amount")) == cents * 10
        && total["records"].as_u64() == Some(due.records)
        && total["lineage"]["records"].as_u64() == Some(due.records)
        && time("first_used_at") == due_time(due.first_used_at)
        && time("last_used_at") == due_time(due.last_used_at)
        && text(total, "status") == status;
    if is_right { Ok(()) } else { Err(format!("{whose:?} owes {due:?}, {price}, not {total}")) }
}

/// The state holds what was published of closed periods, and what is owed of open ones.
fn judge_state(
    world: &World,
    owed: &BTreeMap<Whose, Owed>,
    closed: &BTreeMap<String, String>,
) -> Result<(), String> {
    let mut found = BTreeSet::new();
    for (_, rater) in world.raters() {
        rater.partition().query().totals(|total| {
            let mut line = String::new();
            total.write_line(&mut line);
            let (key, line) = (total.key(), line.trim_end());
            let value = parse(line);
            let whose = whose(&value);
            if let Some(published) = closed.get(&key) {
                if published != line {
                    return Err(Wrong(format!("{published} was published, but it is {line}")));
                }
            } else {
                let due = owed.get(&whose).copied().unwrap_or_default();
                judge_total(&value, &whose, due, "open").map_err(Wrong)?;
            }
            let is_new = found.insert(whose);
            if is_new { Ok(()) } else { Err(Wrong(format!("{key} is there twice"))) }
        })?;
    }
    match owed.keys().find(|one| !found.contains(*one)) {
        Some(one) => Err(format!("{one:?} has no total")),
        None => Ok(()),
    }
}

/// What is wrong with a total.
struct Wrong(String);

impl From<aggregator::Error> for Wrong {
    fn from(error: aggregator::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> Self {
        wrong.0
    }
}

/// Whatever was refused was refused for its reason, and as often as it had to be.
fn judge_letters(world: &World, hits: &mut BTreeMap<&'static str, u64>) -> Result<(), String> {
    let mut letters: BTreeMap<usize, u64> = BTreeMap::new();
    let mut garbage = 0;
    for letter in world.committed(Log::Rejected) {
        let letter = parse(&letter);
        let code = text(&letter, "code");
        if code == "malformed_json" {
            garbage += 1;
            continue;
        }
        let id = text(&parse(text(&letter, "record")), "id").to_owned();
        let sent = record(world, &id);
        let may_be_late = match sent.kind {
            // Sent again after its time, and forgotten by then.
            Kind::Usage { .. } | Kind::Cancels { is_in_time: true, .. } => sent.times > 1,
            Kind::Old | Kind::Cancels { is_in_time: false, .. } => true,
            Kind::Nobody | Kind::Orphan => false,
        };
        let what = match (code, sent.kind) {
            ("late_closed", _) if may_be_late => "refused as too late",
            ("unknown_subject", Kind::Nobody) => "subject awaited in vain",
            // What they correct may have been forgotten, so that it is as if it had not come.
            ("unknown_reference", Kind::Orphan) => "target awaited in vain",
            ("unknown_reference", Kind::Cancels { .. }) if may_be_late => "target forgotten",
            _ => return Err(format!("{id} should not have been refused: {letter}")),
        };
        *hits.entry(what).or_default() += 1;
        *letters.entry(id[1..].parse().unwrap()).or_default() += 1;
    }
    if garbage != world.usage.garbage {
        return Err(format!("{garbage} of {} records of garbage refused", world.usage.garbage));
    }
    for (number, sent) in world.usage.sent.iter().enumerate() {
        let found = letters.get(&number).copied().unwrap_or_default();
        let is_right = match sent.kind {
            // While it waits, for its subject perhaps, its retries are duplicates.
            Kind::Old | Kind::Nobody | Kind::Orphan | Kind::Cancels { is_in_time: false, .. } => {
                (1..=sent.times).contains(&found)
            }
            Kind::Usage { .. } | Kind::Cancels { is_in_time: true, .. } => found < sent.times,
        };
        if !is_right {
            return Err(format!("r{number}, {sent:?}, was refused {found} times"));
        }
    }
    Ok(())
}

/// Every record read went exactly one way, and what is in the state is what left it.
fn judge_counters(world: &World) -> Result<(), String> {
    let (mut rated, mut rejected, mut forwarded, mut waiting) = (0, 0, 0, 0);
    for (partition, rater) in world.raters() {
        let counters = rater.counters();
        if !counters.balanced() {
            return Err(format!("partition {partition}: {counters:?} do not add up"));
        }
        let came = world.committed(Log::Raw(partition)).len()
            + world.committed(Log::Forward(partition)).len();
        if counters.read != came as u64 {
            return Err(format!("partition {partition} read {} of {came}", counters.read));
        }
        rated += counters.rated;
        rejected += counters.rejected;
        forwarded += counters.forwarded;
        waiting += counters.waiting;
    }
    let letters = world.committed(Log::Rejected).len() as u64;
    let due = (counting(&world.usage), letters);
    if (rated, rejected) != due {
        return Err(format!("{rated} admitted and {rejected} refused, not {due:?}"));
    }
    let sent_on = |partition| world.committed(Log::Forward(partition)).len() as u64;
    let due = (0..PARTITIONS).map(sent_on).sum::<u64>();
    if (forwarded, waiting) != (due, 0) {
        return Err(format!("{forwarded} of {due} sent on, {waiting} still wait"));
    }
    Ok(())
}

fn thousandths(amount: &str) -> i64 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = format!("{fraction:0<3}");
    assert_eq!(digits.len(), 3, "{amount} has more than three decimals");
    let whole_part: i64 = whole.trim_start_matches('-').parse().unwrap();
    let size = whole_part * 1_000 + digits.parse::<i64>().unwrap();
    if amount.starts_with('-') { -size } else { size }
}
