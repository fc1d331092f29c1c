//! The watch over topics: finds out that one has changed under the service.
//!
//! Partitions that are added are read by nobody, for their owners' records are where the old count
//! had them; and a topic that is deleted fails in many ways, none of which says so.

use super::client::{CALL, Clients};
use super::complaints::Complainant;
use super::topics::{Topics, partitions_in};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(10);
/// How soon it ends when it is to.
const PAUSE: Duration = Duration::from_millis(200);

/// What is wrong with the topics by now.
#[derive(Debug, Default)]
pub(crate) struct TopicFaults(Mutex<Vec<String>>);

impl TopicFaults {
    /// All of it, each with its setting.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, faults: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}

/// Looks at the topics from time to time until the service ends, and tells what is new.
pub(crate) fn watch_topics(
    clients: &Clients,
    topics: &Topics,
    faults: &TopicFaults,
    is_ending: &AtomicBool,
) {
    let (mut looker, mut told) = (None, BTreeSet::new());
    while !is_ending.load(Ordering::SeqCst) {
        if let Some(found) = look(&mut looker, clients, topics) {
            for fault in found.iter().filter(|fault| !told.contains(*fault)) {
                tracing::error!("{fault}");
            }
            for gone in told.iter().filter(|fault| !found.contains(*fault)) {
                tracing::info!("no longer so: {gone}");
            }
            told = found.iter().cloned().collect();
            faults.set(found);
        }
        for _ in 0..INTERVAL.as_millis() / PAUSE.as_millis() {
            if !is_ending.load(Ordering::SeqCst) {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// What is wrong with the topics; `None` if no broker says.
fn look(
    looker: &mut Option<BaseConsumer<Complainant>>,
    clients: &Clients,
    topics: &Topics,
) -> Option<Vec<String>> {
    if looker.is_none() {
        let context = clients.complainant("watch over topics");
        // It is made again at the next look.
        *looker = clients.looker().create_with_context(context).ok();
    }
    let looker = looker.as_ref()?;
    // Events would pile up.
    while looker.poll(Duration::ZERO).is_some() {}
    let mut faults = Vec::new();
    for (setting, name, wanted) in topics.counted() {
        let asked = || looker.fetch_metadata(Some(name), CALL);
        let metadata = clients.calls().during("metadata", CALL, asked).ok()?;
        let found = partitions_in(&metadata, name);
        faults.extend(fault((setting, name, wanted), found));
    }
    Some(faults)
}

fn fault((setting, name, wanted): (&str, &str, Option<u32>), found: Option<u32>) -> Option<String> {
    let Some(found) = found else {
        return Some(format!("{setting}: topic {name} is not there any more"));
    };
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    let told = if found < wanted {
        "it has been made anew: stop all instances and give the old one back"
    } else {
        "what is in the others is not rated, and counts cannot be changed yet: send nothing to them"
    };
    Some(format!("{setting}: topic {name} has {found} partitions now, but had {wanted}; {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_told_with_its_setting() {
        let raw = ("kafka.topics.raw", "usage.raw", Some(4));
        assert_eq!(fault(raw, Some(4)), None);
        assert_eq!(fault(("kafka.topics.totals", "usage.totals", None), Some(7)), None);
        for (found, words) in [
            (None, "is not there any more"),
            (Some(6), "has 6 partitions now, but had 4; what is in the others is not rated"),
            (Some(1), "has been made anew"),
        ] {
            let told = fault(raw, found).unwrap_or_default();
            assert!(told.starts_with("kafka.topics.raw: topic usage.raw ") && told.contains(words));
        }
    }
}
