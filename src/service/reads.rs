//! Reads: what is answered from the committed state of a partition.

use crate::command::explain;
use crate::failure::Failure;
use crate::service::wanted::WantedPeriod;
use aggregator::{Partition, PeriodTotal};
use rating::Subject;

/// The committed totals of a subscription as JSON, or `None` if the catalog does not have it.
pub(crate) fn totals(
    partition: &Partition,
    subscription: &str,
    wanted: WantedPeriod,
) -> Result<Option<String>, Failure> {
    let catalog = partition.catalog();
    let Some(Subject::Subscription(id)) = catalog.subject(subscription) else {
        return Ok(None);
    };
    let found = catalog.subscription_at(id);
    let zone = found.and_then(|found| Some(&catalog.customer_at(found.customer)?.zone));
    let (Some(found), Some(zone)) = (found, zone) else { return Ok(None) };
    let mut rows = String::new();
    partition.query().totals_of(&found.id, |total: &PeriodTotal<'_>| {
        if wanted.takes(total.period.start, zone) {
            rows.push_str(if rows.is_empty() { "" } else { "," });
            total.write_line(&mut rows);
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Some(format!("{{\"totals\":[{rows}]}}\n")))
}

/// Which records made the totals of a charge, as JSON, or `None` if there are no such totals.
pub(crate) fn explain(
    partition: &Partition,
    subscription: &str,
    charge: &str,
    period: &str,
) -> Result<Option<String>, Failure> {
    let explanations = partition.explain(subscription, charge, period)?;
    if explanations.is_empty() {
        return Ok(None);
    }
    let rows: Vec<String> = explanations.iter().map(explain::json).collect();
    Ok(Some(format!("{{\"explanations\":[{}]}}\n", rows.join(","))))
}
