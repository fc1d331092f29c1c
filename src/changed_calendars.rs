//! What is told when a catalog changes when customers' billing periods begin.

use aggregator::{ChangedCalendar, Partition};

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

fn line(ChangedCalendar { customer, from }: &ChangedCalendar) -> String {
    format!(
        "customer \"{customer}\": another time zone, cycle day or billing period holds from {from} \
         on, with the next period"
    )
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
