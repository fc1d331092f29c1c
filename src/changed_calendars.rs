//! What is told when a catalog changes when customers' billing periods begin.

use aggregator::{ChangedCalendar, Partition};
use rating::Cycle;

/// Customers that are told of one by one.
const TOLD_MAX: usize = 20;

/// A line for each customer whose billing periods the catalog in force has changed, and one for
/// those beyond the first few.
fn lines(partition: &Partition) -> Vec<String> {
    let changed = partition.changed_calendars();
    let told = changed.iter().take(TOLD_MAX);
    let mut lines: Vec<String> = told.map(line).collect();
    let untold = changed.len().saturating_sub(TOLD_MAX);
    if untold > 0 {
        lines.push(format!("billing periods of {untold} further customers change, too"));
    }
    lines
}

fn line(changed: &ChangedCalendar) -> String {
    let ChangedCalendar { customer, from, cycle, is_taken_back } = changed;
    let Cycle { length, day, month, zone } = cycle;
    let months = match length.months() {
        1 => "a month".to_owned(),
        months => format!("{months} months, one of which begins in month {month}"),
    };
    let zone = zone.iana_name().unwrap_or("UTC");
    let periods = format!("{months}, begin on day {day} and have the time zone {zone}");
    if *is_taken_back {
        return format!(
            "customer \"{customer}\": billing periods stay what they are, also from {from} on: \
             they are of {periods}"
        );
    }
    format!("customer \"{customer}\": from {from} on, billing periods are of {periods}")
}

/// Says it to whoever has started a run.
pub(crate) fn say(partition: &Partition) {
    lines(partition).iter().for_each(|line| crate::cli::say(line));
}

/// Writes it to the log of a service.
pub(crate) fn log(partition: &Partition) {
    for line in lines(partition) {
        tracing::info!("{line}");
    }
}
