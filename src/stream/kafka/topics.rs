//! Topics: made on start where they are missing, and looked at before anything is written.

use super::client::{CALL, Clients, SEND_BYTES_MAX};
use super::topic_watch::Watched;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigEntry, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use std::collections::BTreeMap;
use std::time::Duration;

/// Names of all topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicNames {
    pub(crate) raw: String,
    pub(crate) rated: String,
    pub(crate) rejected: String,
    pub(crate) forward: String,
    pub(crate) state: String,
    pub(crate) totals: String,
    pub(crate) catalog: String,
    pub(crate) orders: String,
}

impl Default for TopicNames {
    fn default() -> Self {
        Self {
            raw: "usage.raw".to_owned(),
            rated: "usage.rated".to_owned(),
            rejected: "usage.rejected".to_owned(),
            forward: "usage.forward".to_owned(),
            state: "usage.state".to_owned(),
            totals: "usage.totals".to_owned(),
            catalog: "billing.catalog".to_owned(),
            orders: "billing.orders".to_owned(),
        }
    }
}

/// The topics that a partition reads and writes, as they were found.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    pub(crate) raw: String,
    pub(crate) rated: String,
    pub(crate) rejected: String,
    pub(crate) forward: String,
    pub(crate) state: String,
    pub(crate) totals: String,
    /// Partitions of raw, rated, forward and state alike.
    pub(crate) partitions: u32,
    /// Largest dead letter that its topic takes, in bytes.
    pub(crate) rejected_bytes_max: usize,
}

/// Why the topics cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopicsError {
    /// The broker does not answer, or may be back soon.
    #[error("{0}")]
    Unavailable(String),
    /// The topics are not what they must be, or may not be made: a person must act.
    #[error("{0}")]
    Unusable(String),
}

/// What a topic must be like.
struct Wanted<'a> {
    /// The setting that names it.
    setting: &'a str,
    name: &'a str,
    partitions: Option<u32>,
    config: &'a [(&'a str, &'a str)],
    is_compacted: bool,
}

/// What a topic is like.
struct Found {
    partitions: u32,
    config: Config,
}

/// The settings of a topic; none where they may not be read.
struct Config(BTreeMap<String, Setting>);

struct Setting {
    value: String,
    /// Whether it was set for this topic, and is not the brokers' default.
    is_own: bool,
}

impl Config {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|setting| setting.value.as_str())
    }

    fn is_own(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|setting| setting.is_own)
    }
}

/// Room for what a record may grow by: its reason, its place, base64.
const DEAD_LETTER_BYTES: &str = "4194304";
const RAW_BYTES: &str = "1200000";
/// The least that a topic of state must take: a part of a group with what its batch adds.
const STATE_BYTES: u64 = aggregator::state_log::PART_BYTES_MAX as u64 + 16_384;
/// Room for a record's id and source within a rated line, and for a key beside a record.
const OUT_BYTES: &str = "2400000";

impl Topics {
    /// Makes the topics that are missing, with so many partitions where there is no raw topic yet,
    /// and checks those that are there. Says what is odd but can be lived with, too. No broker is
    /// waited for once it is to end.
    pub(crate) async fn ensure(
        clients: &Clients,
        names: &TopicNames,
        (partitions_new, dedupe_window): (u32, Duration),
        is_ending: &dyn Fn() -> bool,
    ) -> Result<(Self, Vec<String>), TopicsError> {
        let admin: AdminClient<DefaultClientContext> = clients
            .admin()
            .create()
            .map_err(|error| TopicsError::Unusable(format!("kafka.properties: {error}")))?;
        let metadata = super::probe::reach(clients, is_ending)?;
        let partitions = partitions_in(&metadata, &names.raw).unwrap_or(partitions_new);
        let all = wanted(names, partitions);
        let (mut odd, mut found) = (made_anew(&metadata, names, &all), Vec::new());
        for wanted in &all {
            found.push(find_or_make(&admin, wanted).await?);
        }
        for (wanted, found) in all.iter().zip(&found) {
            check(wanted, found)?;
            odd.extend(check_kept(wanted, found));
        }
        if let Some(raw) = found.first() {
            odd.extend(check_retention(names, raw, dedupe_window)?);
            odd.extend(check_bytes(names, raw));
            if raw.config.get("message.timestamp.type").is_some_and(|kind| kind == "CreateTime") {
                odd.push(format!(
                    "kafka.topics.raw: topic {} keeps the producers' own time of records \
                     (message.timestamp.type=CreateTime), so what is late or in the future is \
                     theirs to say; set LogAppendTime",
                    names.raw
                ));
            }
        }
        let rejected = found.get(2).and_then(|rejected| rejected.config.get("max.message.bytes"));
        let rejected_bytes_max = rejected.and_then(|bytes| bytes.parse().ok());
        let TopicNames { raw, rated, rejected, forward, state, totals, .. } = names.clone();
        // A batch of one record is a little larger than the record.
        let rejected_bytes_max: usize = rejected_bytes_max.unwrap_or(1_000_000);
        let rejected_bytes_max = rejected_bytes_max.min(SEND_BYTES_MAX).saturating_sub(2_048);
        let topics =
            Self { raw, rated, rejected, forward, state, totals, partitions, rejected_bytes_max };
        Ok((topics, odd))
    }

    /// All of them as they are to stay, and the catalog's if it is read from one.
    pub(crate) fn watched(&self, catalog: Option<&str>) -> Vec<Watched> {
        let partitions = Some(self.partitions);
        let own = [
            ("kafka.topics.raw", &self.raw, partitions),
            ("kafka.topics.rated", &self.rated, partitions),
            ("kafka.topics.rejected", &self.rejected, None),
            ("kafka.topics.forward", &self.forward, partitions),
            ("kafka.topics.state", &self.state, partitions),
            ("kafka.topics.totals", &self.totals, None),
        ];
        let own = own.into_iter().map(|(setting, name, count)| (setting, name.as_str(), count));
        let catalog = catalog.map(|name| ("kafka.topics.catalog", name, Some(1)));
        let watched = |(setting, name, partitions): (_, &str, _)| Watched {
            setting,
            name: name.to_owned(),
            partitions,
        };
        own.chain(catalog).map(watched).collect()
    }
}

fn wanted(names: &TopicNames, partitions: u32) -> Vec<Wanted<'_>> {
    const RAW: &[(&str, &str)] = &[
        ("retention.ms", "-1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", RAW_BYTES),
    ];
    const RATED: &[(&str, &str)] = &[("retention.ms", "-1"), ("max.message.bytes", OUT_BYTES)];
    const REJECTED: &[(&str, &str)] =
        &[("retention.ms", "-1"), ("max.message.bytes", DEAD_LETTER_BYTES)];
    const FORWARD: &[(&str, &str)] = &[
        ("retention.ms", "-1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", OUT_BYTES),
    ];
    const STATE: &[(&str, &str)] = &[
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("segment.bytes", "134217728"),
        ("max.message.bytes", RAW_BYTES),
    ];
    const COMPACTED: &[(&str, &str)] = &[("cleanup.policy", "compact")];
    let own = |setting, name, config| Wanted {
        setting,
        name,
        partitions: Some(partitions),
        config,
        is_compacted: false,
    };
    vec![
        own("kafka.topics.raw", &names.raw, RAW),
        own("kafka.topics.rated", &names.rated, RATED),
        Wanted { partitions: None, ..own("kafka.topics.rejected", &names.rejected, REJECTED) },
        own("kafka.topics.forward", &names.forward, FORWARD),
        own("kafka.topics.state", &names.state, STATE),
        Wanted {
            partitions: None,
            is_compacted: true,
            ..own("kafka.topics.totals", &names.totals, COMPACTED)
        },
        // Its offsets are what states note of it, so there is one order of them.
        Wanted {
            partitions: Some(1),
            is_compacted: true,
            ..own("kafka.topics.catalog", &names.catalog, COMPACTED)
        },
    ]
}

async fn find_or_make(
    admin: &AdminClient<DefaultClientContext>,
    wanted: &Wanted<'_>,
) -> Result<Found, TopicsError> {
    let Wanted { setting, name, .. } = wanted;
    let partitions = i32::try_from(wanted.partitions.unwrap_or(1)).unwrap_or(1);
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
    for (key, value) in wanted.config {
        topic = topic.set(key, value);
    }
    if find(admin, name)?.is_none() {
        let options = AdminOptions::new().operation_timeout(Some(CALL));
        let made = admin.create_topics(&[topic], &options).await.map_err(|error| {
            TopicsError::Unavailable(format!("{setting}: cannot make topic {name}: {error}"))
        })?;
        for result in made {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    let text = format!(
                        "{setting}: topic {name} is missing and cannot be made: {code}; make it \
                         by hand, or allow this user to create topics"
                    );
                    let is_final = matches!(
                        code,
                        RDKafkaErrorCode::TopicAuthorizationFailed
                            | RDKafkaErrorCode::ClusterAuthorizationFailed
                            | RDKafkaErrorCode::PolicyViolation
                            | RDKafkaErrorCode::InvalidTopic
                    );
                    return Err(if is_final {
                        TopicsError::Unusable(text)
                    } else {
                        TopicsError::Unavailable(text)
                    });
                }
            }
        }
    }
    let mut partitions = None;
    for _ in 0..50 {
        partitions = find(admin, name)?;
        if partitions.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let partitions = partitions.ok_or_else(|| {
        TopicsError::Unavailable(format!("{setting}: topic {name} was made but is not there yet"))
    })?;
    Ok(Found { partitions, config: config_of(admin, name).await })
}

/// How many partitions a topic has, if it is there.
fn find(admin: &AdminClient<DefaultClientContext>, name: &str) -> Result<Option<u32>, TopicsError> {
    // Asked for all topics, because asking for one may make it.
    let metadata = admin
        .inner()
        .fetch_metadata(None, CALL)
        .map_err(|error| TopicsError::Unavailable(format!("no broker answers: {error}")))?;
    Ok(partitions_in(&metadata, name))
}

/// How many partitions a topic has by what a broker says, if it is there.
fn partitions_in(metadata: &Metadata, name: &str) -> Option<u32> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name)?;
    u32::try_from(topic.partitions().len()).ok().filter(|count| *count > 0)
}

/// Topics that are missing where there is a state already: what they held is gone.
fn made_anew(metadata: &Metadata, names: &TopicNames, all: &[Wanted<'_>]) -> Vec<String> {
    if partitions_in(metadata, &names.state).is_none() {
        return Vec::new();
    }
    let missing = all.iter().filter(|wanted| partitions_in(metadata, wanted.name).is_none());
    let told = |Wanted { setting, name, .. }: &Wanted<'_>| {
        format!(
            "{setting}: topic {name} was missing though topic {} is there, and is made anew: what \
             it held, if there was one before, is gone",
            names.state
        )
    };
    missing.map(told).collect()
}

/// What a topic is set to; nothing where that may not be read.
async fn config_of(admin: &AdminClient<DefaultClientContext>, name: &str) -> Config {
    let options = AdminOptions::new().operation_timeout(Some(CALL));
    let resource = ResourceSpecifier::Topic(name);
    let described = admin.describe_configs([&resource], &options).await.unwrap_or_default();
    let entries = described.into_iter().flatten().flat_map(|resource| resource.entries);
    let told = |entry: ConfigEntry| {
        let is_own = entry.source == ConfigSource::DynamicTopic;
        Some((entry.name, Setting { value: entry.value?, is_own }))
    };
    Config(entries.filter_map(told).collect())
}

fn check(wanted: &Wanted<'_>, found: &Found) -> Result<(), TopicsError> {
    let Wanted { setting, name, .. } = wanted;
    if let Some(partitions) = wanted.partitions
        && partitions != found.partitions
    {
        return Err(TopicsError::Unusable(format!(
            "{setting}: topic {name} has {} partitions, but must have {partitions}: raw, rated, \
             forward and state must have as many as each other, the catalog's topic one; they \
             cannot be changed yet",
            found.partitions
        )));
    }
    let policy = found.config.get("cleanup.policy").unwrap_or_default();
    if !wanted.is_compacted && policy.contains("compact") {
        return Err(TopicsError::Unusable(format!(
            "{setting}: topic {name} is compacted (cleanup.policy={policy}), which would delete \
             records that count; set cleanup.policy=delete"
        )));
    }
    let kept = found.config.get("retention.ms").unwrap_or("-1");
    if *setting == "kafka.topics.catalog" && policy.contains("delete") && kept != "-1" {
        return Err(TopicsError::Unusable(format!(
            "{setting}: topic {name} forgets entries after {kept} ms (cleanup.policy={policy}), \
             and with them what is in force; set cleanup.policy=compact"
        )));
    }
    let largest = found.config.get("max.message.bytes").and_then(|bytes| bytes.parse().ok());
    if *setting == "kafka.topics.state" && largest.is_some_and(|bytes: u64| bytes < STATE_BYTES) {
        return Err(TopicsError::Unusable(format!(
            "{setting}: topic {name} takes records of at most {} bytes (max.message.bytes), but \
             state records are larger; set max.message.bytes={RAW_BYTES}",
            largest.unwrap_or_default()
        )));
    }
    if *setting == "kafka.topics.state" {
        for key in ["retention.ms", "retention.bytes"] {
            if found.config.get(key).is_some_and(|value| value != "-1") {
                return Err(TopicsError::Unusable(format!(
                    "{setting}: topic {name} must keep everything until it is trimmed, but \
                     {key}={}; set {key}=-1",
                    found.config.get(key).unwrap_or_default()
                )));
            }
        }
    }
    Ok(())
}

/// What is written to other topics should be there until it is read.
fn check_kept(wanted: &Wanted<'_>, found: &Found) -> Option<String> {
    let Wanted { setting, name, .. } = wanted;
    let kept = found.config.get("retention.ms").filter(|kept| *kept != "-1")?;
    let policy = found.config.get("cleanup.policy").unwrap_or_default();
    match *setting {
        "kafka.topics.forward" => Some(format!(
            "{setting}: topic {name} keeps records for {kept} ms: what has not been rated by then \
             is lost; set retention.ms=-1"
        )),
        "kafka.topics.totals" if policy.contains("delete") => Some(format!(
            "{setting}: topic {name} forgets totals after {kept} ms (cleanup.policy={policy}); set \
             cleanup.policy=compact"
        )),
        _ => None,
    }
}

/// Usage beyond so many bytes is deleted whether it has been rated or not.
fn check_bytes(names: &TopicNames, raw: &Found) -> Option<String> {
    let bytes = raw.config.get("retention.bytes").filter(|bytes| *bytes != "-1")?;
    Some(format!(
        "kafka.topics.raw: topic {} keeps {bytes} bytes of each partition (retention.bytes): what \
         has not been rated by then is lost; set retention.bytes=-1",
        names.raw
    ))
}

/// Raw usage is to be there for as long as it may be asked about. Where somebody has decided
/// otherwise for this topic that is refused, where the brokers have their default it is told.
fn check_retention(
    names: &TopicNames,
    raw: &Found,
    dedupe_window: Duration,
) -> Result<Option<String>, TopicsError> {
    let kept = raw.config.get("retention.ms").and_then(|kept| kept.parse::<i64>().ok());
    let window = i64::try_from(dedupe_window.as_millis()).unwrap_or(i64::MAX);
    let Some(kept) = kept.filter(|kept| (0..window).contains(kept)) else { return Ok(None) };
    let reason = format!(
        "kafka.topics.raw: topic {} keeps records for {kept} ms (retention.ms), less than \
         dedupe.window, which is {window} ms: what has not been rated by then is lost, and older \
         records cannot be shown or verified; set retention.ms={window} or -1, or a shorter \
         dedupe.window",
        names.raw
    );
    if raw.config.is_own("retention.ms") {
        return Err(TopicsError::Unusable(reason));
    }
    Ok(Some(reason))
}
