//! Reads: what is answered from the committed state of a partition.

use crate::command::explain;
use crate::failure::Failure;
use crate::service::wanted::WantedPeriod;
use aggregator::{Partition, PeriodTotal};
use rating::Subject;
use tokio::sync::oneshot;

/// What can be asked of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// For its totals.
    Totals { subscription: String, wanted: WantedPeriod },
    /// For the records of the totals of a charge.
    Explain { subscription: String, charge: String, period: String },
}

/// A question that waits for its answer: JSON, or `None` if there is no such thing.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) question: Question,
    pub(crate) reply: oneshot::Sender<Result<Option<String>, Unread>>,
}

/// Why a question was not answered.
#[derive(Debug)]
pub(crate) enum Unread {
    /// Another instance holds the partition of the subscription.
    Elsewhere(u32),
    /// It may be answered in a moment.
    NotNow(String),
    /// The state could not be read.
    Failed(Failure),
}

impl Read {
    /// The subscription that is asked about.
    pub(crate) fn subscription(&self) -> &str {
        match &self.question {
            Question::Totals { subscription, .. } | Question::Explain { subscription, .. } => {
                subscription
            }
        }
    }

    /// Answers from what a partition has committed.
    pub(crate) fn answer(self, partition: &Partition) {
        let answer = match &self.question {
            Question::Totals { subscription, wanted } => totals(partition, subscription, *wanted),
            Question::Explain { subscription, charge, period } => {
                explain(partition, subscription, charge, period)
            }
        };
        // Whoever asked may have gone away since.
        _ = self.reply.send(answer.map_err(Unread::Failed));
    }

    /// Says why there is no answer.
    pub(crate) fn refuse(self, reason: Unread) {
        _ = self.reply.send(Err(reason));
    }

    /// Says that there is no such subscription.
    pub(crate) fn know_nothing(self) {
        _ = self.reply.send(Ok(None));
    }
}

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
    let calendar = found.and_then(|found| catalog.calendar_of(found));
    let (Some(found), Some(calendar)) = (found, calendar) else { return Ok(None) };
    let mut rows = String::new();
    partition.query().totals_of(&found.id, |total: &PeriodTotal<'_>| {
        if wanted.takes(total.period.start, calendar) {
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
