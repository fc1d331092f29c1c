//! The watch over topics: finds out that one has changed under the service.
//!
//! Partitions that are added are rated by nobody, for owners' records are where the old count had
//! them; and a topic that is deleted fails in many ways, none of which says so. One that is made
//! anew as it was, between two looks, is not seen here.

use super::client::Clients;
use super::closing::Closing;
use super::complaints::Complainant;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a broker may take to tell of one topic.
const LOOK: Duration = Duration::from_secs(2);
/// How soon it ends when it is to.
const PAUSE: Duration = Duration::from_millis(200);

/// A topic that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// The setting that names it.
    pub(crate) setting: &'static str,
    pub(crate) name: String,
    /// How many partitions it must have; any, where none is given.
    pub(crate) partitions: Option<u32>,
}

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

/// Looks at topics from time to time until the service ends, and tells what is new.
pub(crate) fn watch_topics(
    clients: &Clients,
    topics: &[Watched],
    faults: &TopicFaults,
    is_ending: &AtomicBool,
) {
    let (mut looker, mut before) = (None, BTreeSet::new());
    let ends = || is_ending.load(Ordering::SeqCst);
    while !ends() {
        if let Some(found) = look(&mut looker, clients, topics, &ends) {
            // A broker that has just come back may not know yet of what there is.
            let sure: Vec<String> = found.intersection(&before).cloned().collect();
            tell(&sure, &faults.all());
            faults.set(sure);
            before = found;
        }
        for _ in 0..INTERVAL.as_millis() / PAUSE.as_millis() {
            if !ends() {
                std::thread::sleep(PAUSE);
            }
        }
    }
    if let Some(looker) = looker {
        Closing::of(looker, clients.calls()).begin();
    }
}

fn tell(faults: &[String], told: &[String]) {
    for fault in faults.iter().filter(|fault| !told.contains(fault)) {
        tracing::error!("{fault}");
    }
    for fault in told.iter().filter(|fault| !faults.contains(fault)) {
        tracing::info!("no longer so: {fault}");
    }
}

/// What is wrong with the topics; `None` if no broker says, or it is to end.
fn look(
    looker: &mut Option<BaseConsumer<Complainant>>,
    clients: &Clients,
    topics: &[Watched],
    ends: &dyn Fn() -> bool,
) -> Option<BTreeSet<String>> {
    if looker.is_none() {
        match clients.looker().create_with_context(clients.complainant("watch over topics")) {
            Ok(made) => *looker = Some(made),
            // It is made at the next look.
            Err(error) => tracing::warn!("the watch over topics cannot look: {error}"),
        }
    }
    let looker = looker.as_ref()?;
    // Events would pile up.
    while looker.poll(Duration::ZERO).is_some() {}
    let mut faults = BTreeSet::new();
    for topic in topics {
        if ends() {
            return None;
        }
        let asked = || looker.fetch_metadata(Some(&topic.name), LOOK);
        let metadata = clients.calls().during("metadata", LOOK, asked).ok()?;
        faults.extend(fault(topic, seen(&metadata, &topic.name)));
    }
    Some(faults)
}

/// What a broker says of a topic: how many partitions it has, or what keeps it from saying so.
fn seen(metadata: &Metadata, name: &str) -> Result<u32, RDKafkaErrorCode> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name);
    let topic = topic.ok_or(RDKafkaErrorCode::UnknownTopicOrPartition)?;
    if let Some(error) = topic.error() {
        return Err(error.into());
    }
    Ok(u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX))
}

fn fault(topic: &Watched, seen: Result<u32, RDKafkaErrorCode>) -> Option<String> {
    let Watched { setting, name, partitions } = topic;
    let found = match seen {
        Ok(found) => found,
        Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            return Some(format!("{setting}: topic {name} is not there any more"));
        }
        Err(code) => return Some(format!("{setting}: topic {name} cannot be seen: {code}")),
    };
    let wanted = partitions.filter(|wanted| *wanted != found)?;
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
        let watched = |partitions| {
            let (setting, name) = ("kafka.topics.raw", "usage.raw".to_owned());
            Watched { setting, name, partitions }
        };
        assert_eq!(fault(&watched(Some(4)), Ok(4)), None);
        assert_eq!(fault(&watched(None), Ok(7)), None);
        for (seen, words) in [
            (Err(RDKafkaErrorCode::UnknownTopicOrPartition), "is not there any more"),
            (Err(RDKafkaErrorCode::TopicAuthorizationFailed), "cannot be seen"),
            (Ok(6), "has 6 partitions now, but had 4; what is in the others is not rated"),
            (Ok(1), "has been made anew"),
        ] {
            let told = fault(&watched(Some(4)), seen).unwrap_or_default();
            assert!(told.starts_with("kafka.topics.raw: topic usage.raw ") && told.contains(words));
        }
    }
}
