//! Clients: what every connection to Kafka is set to.

use super::super::broker::BrokerError;
use super::super::partitioner::Partitioner;
use super::complaints::{Complainant, Complaints};
use super::listener::INTERVAL_MS;
use super::watch::Calls;
use crate::failure::Failure;
use crate::service::{Kafka, Metrics, Settings};
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseProducer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a call to the broker may take.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// After so long beyond the commit interval an open transaction is aborted by the broker; it
/// blocks readers until then.
const TRANSACTION: Duration = Duration::from_secs(10);
/// Largest record that is sent: a dead letter can be larger than its record.
pub(super) const SEND_BYTES_MAX: usize = 8 << 20;

/// What all clients have in common: the settings' own properties win over these.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(super) bootstrap_servers: String,
    pub(super) group: String,
    pub(super) instance_id: Option<String>,
    pub(crate) partitioner: Partitioner,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) commit_interval: Duration,
    /// Where this instance answers HTTP, as a host and a port.
    pub(super) advertise: String,
    pub(super) metrics: Arc<Metrics>,
    pub(super) calls: Arc<Calls>,
    complaints: Arc<Complaints>,
}

impl Clients {
    /// Clients of an instance that answers HTTP at `advertise`.
    pub(crate) fn new(settings: &Settings, advertise: String, metrics: Arc<Metrics>) -> Self {
        let Kafka { bootstrap_servers, group, instance_id, partitioner, properties, .. } =
            settings.kafka.clone();
        Self {
            bootstrap_servers,
            group,
            instance_id,
            partitioner,
            properties,
            commit_interval: settings.commit_interval,
            advertise,
            metrics,
            calls: Arc::default(),
            complaints: Arc::default(),
        }
    }

    /// Whoever tells the complaints of a client that plays this part.
    pub(super) fn complainant(&self, client: &'static str) -> Complainant {
        Complainant { client, complaints: Arc::clone(&self.complaints) }
    }

    /// The calls of all clients that have not come back.
    pub(crate) const fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    fn config(&self, own: &[(&str, &str)], foreign: fn(&str) -> bool) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("client.id", "usage-rater");
        // A broker that comes back is found at once, not after seconds.
        config.set("reconnect.backoff.max.ms", "1000");
        config.set("statistics.interval.ms", INTERVAL_MS);
        for (key, value) in own {
            config.set(*key, *value);
        }
        for (key, value) in self.properties.iter().filter(|(key, _)| !foreign(key)) {
            config.set(key, value);
        }
        // A topic that was deleted would come back, with as many partitions as brokers like.
        config.set("allow.auto.create.topics", "false");
        config
    }

    /// Whether librdkafka knows all properties, and takes their values and what goes together.
    ///
    /// # Errors
    /// [`Failure`] that says what it does not take.
    pub(crate) fn check_properties(&self) -> Result<(), Failure> {
        let fault = |what: String| Failure::Input(vec![format!("error: kafka.properties: {what}")]);
        let judge = |made: Result<(), KafkaError>| match made {
            Ok(()) => Ok(()),
            Err(KafkaError::ClientConfig(_, reason, key, value)) => {
                Err(fault(format!("{key} = \"{value}\": {reason}")))
            }
            Err(KafkaError::ClientCreation(reason)) => Err(fault(reason)),
            Err(error) => Err(Failure::Dependency(error.to_string())),
        };
        let context = || self.complainant("check of the properties");
        for mut config in [self.reader(), self.member()] {
            // It is to talk to nobody.
            config.remove("bootstrap.servers");
            let made = config.create_with_context(context());
            judge(made.map(|_: BaseConsumer<Complainant>| ()))?;
        }
        for mut config in [self.producer("check"), self.deliverer(), self.admin()] {
            config.remove("bootstrap.servers");
            let made = config.create_with_context(context());
            judge(made.map(|_: BaseProducer<Complainant>| ()))?;
        }
        Ok(())
    }

    /// The producer of one partition; whoever makes the next one with this id fences it.
    pub(super) fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.config(
            &[
                ("compression.type", "lz4"),
                ("linger.ms", "5"),
                ("batch.size", "1000000"),
                ("batch.num.messages", "100000"),
                ("queue.buffering.max.messages", "500000"),
                ("queue.buffering.max.kbytes", "262144"),
                ("message.max.bytes", &SEND_BYTES_MAX.to_string()),
                ("retry.backoff.ms", "10"),
            ],
            is_consumer_property,
        );
        // These are what exactly once rests on.
        let timeout = TRANSACTION + self.commit_interval;
        config.set("transaction.timeout.ms", timeout.as_millis().to_string());
        config.set("transactional.id", transactional_id);
        config.set("acks", "all");
        config
    }

    /// A producer that only has to deliver: records that came by HTTP.
    pub(super) fn deliverer(&self) -> ClientConfig {
        let mut config = self.config(
            &[
                ("compression.type", "lz4"),
                ("linger.ms", "2"),
                ("message.max.bytes", "1200000"),
                ("message.timeout.ms", "20000"),
            ],
            is_consumer_property,
        );
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config
    }

    /// A reader of given partitions; it is no member of the group.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.config(
            &[
                ("fetch.wait.max.ms", "100"),
                ("fetch.queue.backoff.ms", "10"),
                ("queued.max.messages.kbytes", "16384"),
                ("fetch.message.max.bytes", "4194304"),
            ],
            is_producer_property,
        );
        // librdkafka wants a group to assign by hand; nothing is ever committed to this one.
        config.set("group.id", format!("{}.reader", self.group));
        config.remove("group.instance.id");
        config.remove("group.protocol");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("isolation.level", "read_committed");
        config.set("auto.offset.reset", "error");
        config
    }

    /// The member of the group, which only learns what is assigned to it.
    pub(super) fn member(&self) -> ClientConfig {
        let mut config = self.config(&[], is_producer_property);
        config.set("group.id", &self.group);
        if let Some(id) = &self.instance_id {
            config.set("group.instance.id", id);
        }
        if config.get("group.protocol") != Some("consumer") {
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        // Whether the group is at rest is known by nothing else.
        config.set("statistics.interval.ms", "1000");
        // It fetches nothing; what little it might is dropped.
        config.set("queued.max.messages.kbytes", "64");
        config
    }

    /// The client that looks at topics while the service runs.
    pub(super) fn looker(&self) -> ClientConfig {
        let mut config = self.reader();
        // Nobody would hear them.
        config.set("statistics.interval.ms", "0");
        config
    }

    /// The client that makes topics and looks at them.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut config =
            self.config(&[], |key| is_consumer_property(key) || is_producer_property(key));
        // Nobody would hear them.
        config.set("statistics.interval.ms", "0");
        config
    }
}

fn is_consumer_property(key: &str) -> bool {
    let prefixes = ["group.", "session.", "heartbeat.", "fetch.", "queued.", "max.poll."];
    let names = ["isolation.level", "partition.assignment.strategy", "check.crcs"];
    prefixes.iter().any(|prefix| key.starts_with(prefix)) || names.contains(&key)
}

fn is_producer_property(key: &str) -> bool {
    let prefixes = ["queue.buffering.", "batch.", "transaction", "linger", "compression."];
    let names = ["acks", "enable.idempotence", "partitioner", "delivery.timeout.ms", "retries"];
    prefixes.iter().any(|prefix| key.starts_with(prefix)) || names.contains(&key)
}

/// Whether librdkafka only tells of what it mends by itself: a reader goes on when its broker is
/// back.
pub(super) fn mends_itself(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
        )
    )
}

/// What an error of librdkafka means to a partition.
pub(super) fn failed(error: &KafkaError) -> BrokerError {
    let code = error.rdkafka_error_code();
    let text = if let KafkaError::Transaction(error) = error {
        format!("{} ({})", error.string(), error.name())
    } else {
        error.to_string()
    };
    match code {
        Some(
            RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::FencedInstanceId,
        ) => BrokerError::Fenced(text),
        _ => BrokerError::Failed(text),
    }
}
