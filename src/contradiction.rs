//! What a catalog may not change: whatever usage has already been rated by.
//!
//! It is looked for before a catalog is taken, because later it would stop the partition.

use aggregator::{Error, MovedScope, Partition, PeriodTotal};
use rating::{Catalog, Subject, Subscription};

/// Why the catalog of a partition does not fit the totals that its state holds.
pub(crate) fn find(partition: &Partition) -> Result<Option<String>, Error> {
    let catalog = partition.catalog();
    let mut found = None;
    let read = partition.query().totals_as_kept(|total| {
        if found.is_none() && !fits(total, catalog) {
            found = Some(recut(total));
        } else if found.is_none() && !total.has_its_terms {
            found = Some(repriced(total));
        }
        Ok::<(), Error>(())
    });
    match read {
        Ok(()) if found.is_none() => Ok(partition.moved_scope()?.as_ref().map(moved)),
        Ok(()) => Ok(found),
        Err(error @ (Error::Orphaned { .. } | Error::Overflow { .. })) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Whether the period of a total is one of the periods that the catalog makes.
fn fits(total: &PeriodTotal<'_>, catalog: &Catalog) -> bool {
    let Some(Subject::Subscription(first)) = catalog.subject(total.subscription) else {
        return false;
    };
    let mut stretches =
        catalog.stretches_of(&first).iter().filter_map(|id| catalog.subscription_at(*id));
    stretches.any(|stretch| holds(stretch, total, catalog))
}

fn holds(stretch: &Subscription, total: &PeriodTotal<'_>, catalog: &Catalog) -> bool {
    let period = catalog
        .calendar_of(stretch)
        .and_then(|calendar| calendar.period_holding(total.period.start))
        .and_then(|whole| whole.clipped_to(&stretch.active));
    // A subscription may end within a period that has begun, but not within a closed one.
    period.is_some_and(|period| {
        let may_move = !total.total.closed && total.may_end_otherwise;
        let ends_early = may_move && period.end == stretch.active.end;
        let grows = may_move && period.end > total.period.end;
        period.start == total.period.start
            && (period.end == total.period.end || ends_early || grows)
    })
}

fn repriced(total: &PeriodTotal<'_>) -> String {
    format!(
        "the state has usage of charge \"{}\" of subscription \"{}\" from {} on, but by this \
         catalog its plan version, an override or its end takes effect before what was rated \
         last; let it begin later: what was rated stays as it was",
        total.charge, total.subscription, total.period.start
    )
}

fn moved(scope: &MovedScope) -> String {
    format!(
        "the state has usage of charge \"{}\" of subscription \"{}\" in the day, month, year or \
         term from {}, but by this catalog's start or end of the subscription that is another; \
         what was rated in it cannot be moved: keep the days, or add another subscription",
        scope.charge, scope.subscription, scope.start
    )
}

fn recut(total: &PeriodTotal<'_>) -> String {
    format!(
        "the state has charge \"{}\" of subscription \"{}\" from {} to {}, but by this catalog its \
         billing periods are others; what was rated cannot be cut anew",
        total.charge, total.subscription, total.period.start, total.period.end
    )
}
