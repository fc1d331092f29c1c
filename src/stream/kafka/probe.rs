//! The probe: whether a broker is there, and whether it takes us.
//!
//! A broker that refuses credentials looks like one that is not there to all calls; only the error
//! events of a client tell them apart.

use super::client::{CALL, Clients};
use super::complaints::Complainant;
use super::listener::refused_credentials;
use super::topics::TopicsError;
use crate::clock::Stopwatch;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, NoCustomPartitioner, Producer as _, ProducerContext};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time between two looks for error events.
const LOOK: Duration = Duration::from_millis(500);

/// How long events are taken: what the client logs comes with them.
const HEAR: Duration = Duration::from_millis(50);

/// The first refusal of our credentials.
#[derive(Debug)]
struct Refused {
    reason: Mutex<Option<String>>,
    complainant: Complainant,
}

impl ClientContext for Refused {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.complainant.log(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(advice) = refused_credentials(&error) {
            let mut refused = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert_with(|| format!("{reason}; {advice}"));
        }
    }
}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}

/// The topics that a broker knows of.
///
/// # Errors
/// Which setting is wrong. No broker is waited for once it is to end.
pub(super) fn reach(
    clients: &Clients,
    is_ending: &dyn Fn() -> bool,
) -> Result<Metadata, TopicsError> {
    let bootstrap = &clients.bootstrap_servers;
    let refused = Refused { reason: Mutex::default(), complainant: clients.complainant("probe") };
    let probe: BaseProducer<Refused, NoCustomPartitioner> = clients
        .admin()
        .create_with_context(refused)
        .map_err(|error| TopicsError::Unusable(format!("kafka.properties: {error}")))?;
    let clock = Stopwatch::start();
    loop {
        let asked = probe.client().fetch_metadata(None, LOOK);
        probe.poll(HEAR);
        let refused = probe.context().reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (asked, refused) {
            (Ok(metadata), _) => return Ok(metadata),
            (Err(_), Some(reason)) => {
                return Err(TopicsError::Unusable(format!(
                    "kafka.properties: {bootstrap} does not take the credentials: {reason}"
                )));
            }
            (Err(error), None) if clock.elapsed() > CALL || is_ending() => {
                return Err(TopicsError::Unavailable(format!(
                    "kafka.bootstrap_servers: no broker answers at {bootstrap}: {error}"
                )));
            }
            (Err(_), None) => {}
        }
    }
}
