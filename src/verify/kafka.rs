//! The proof over Kafka: raw usage, and what the service wrote of it, read committed.
//!
//! First it is asked how far the group has read, then how far outputs go, then how far raw usage
//! does: so whatever the group has read by then has its outputs within what is read here, and a
//! line that is read has its record. What comes meanwhile is left for another time. Every topic is
//! read once, from its beginning.

use super::finding::Kind;
use super::records::Input;
use super::{Audit, Facts, LogId, Place, Question, Report, Written};
use crate::failure::Failure;
use crate::progress::Progress;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a service reads and writes.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) bootstrap_servers: String,
    /// The group of the service, which says how far it has read.
    pub(crate) group: String,
    /// Further properties of librdkafka.
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) raw: String,
    pub(crate) forward: String,
    pub(crate) rated: String,
    pub(crate) rejected: String,
    pub(crate) totals: String,
}

/// How long a question to the broker may take.
const CALL: Duration = Duration::from_secs(15);
/// How long a topic may send nothing before that is a failure.
const SILENCE_MAX: u32 = 120;
const POLL: Duration = Duration::from_millis(500);
/// The header that says how often a record was sent on.
const HOPS: &str = "hops";

/// The offsets that are read of a partition.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    log: LogId,
    partition: i32,
    low: i64,
    high: i64,
}

/// Proves that what a service wrote is what became of raw usage.
pub(crate) fn verify_kafka(facts: Facts, cluster: &Cluster) -> Result<Report, Failure> {
    let reader = Reader::new(cluster)?;
    let question = Question {
        written: Written::Closed,
        has_input: true,
        begins_late: false,
        outputs_begin_late: false,
        subjects_may_wait: true,
    };
    let mut audit = Audit::new(facts, question);
    let read = reader.committed(&[&cluster.raw, &cluster.forward])?;
    let rejected = reader.stretches(&mut audit, &cluster.rejected)?;
    let totals = reader.stretches(&mut audit, &cluster.totals)?;
    let rated = reader.stretches(&mut audit, &cluster.rated)?;
    let forward = reader.stretches(&mut audit, &cluster.forward)?;
    let raw = reader.stretches(&mut audit, &cluster.raw)?;
    if raw.is_empty() {
        return Err(Failure::Input(vec![format!("{}: there is no such topic", cluster.raw)]));
    }
    note_what_is_gone(&mut audit, [&raw, &forward], [&rated, &rejected, &forward]);
    find_unread_gaps(&mut audit, &raw, |partition| read.get(&(cluster.raw.clone(), partition)));
    reader.each(&cluster.rejected, &rejected, |place, message| {
        audit.letter(place, message.payload().unwrap_or_default());
    })?;
    reader.each(&cluster.forward, &forward, |place, message| {
        audit.forward(place, message.payload().unwrap_or_default(), hops_of(message).max(1));
    })?;
    for (topic, stretches, sent_on) in
        [(&cluster.raw, &raw, false), (&cluster.forward, &forward, true)]
    {
        reader.each(topic, stretches, |place, message| {
            let bytes = message.payload().unwrap_or_default();
            let next = read.get(&(topic.clone(), message.partition()));
            let is_read = next.is_none_or(|next| message.offset() < *next);
            let hops = Some(if sent_on { hops_of(message).max(1) } else { 0 });
            audit.record(&Input { place, bytes, length: bytes.len() as u64, hops, is_read });
        })?;
    }
    reader.each(&cluster.rated, &rated, |place, message| {
        audit.rated(place, message.payload().unwrap_or_default());
    })?;
    reader.each(&cluster.totals, &totals, |place, message| {
        // What was deleted has no bytes.
        if let Some(bytes) = message.payload() {
            audit.total(place, bytes);
        }
    })?;
    Ok(audit.finish())
}

/// Retention may have taken the beginning of a topic: then less can be proved.
fn note_what_is_gone(audit: &mut Audit, inputs: [&Vec<Stretch>; 2], outputs: [&Vec<Stretch>; 3]) {
    let late = |stretch: &&Stretch| stretch.low > 0;
    let late_inputs: Vec<Stretch> = inputs.into_iter().flatten().filter(late).copied().collect();
    let late_outputs: Vec<Stretch> = outputs.into_iter().flatten().filter(late).copied().collect();
    audit.cx.asked.begins_late = !late_inputs.is_empty();
    audit.cx.asked.outputs_begin_late = !late_outputs.is_empty();
    let mut late: Vec<Stretch> = late_inputs.into_iter().chain(late_outputs).collect();
    late.sort_by_key(|stretch| stretch.log);
    late.dedup_by_key(|stretch| stretch.log);
    for Stretch { log, low, .. } in late {
        let log = audit.cx.logs.name(log);
        audit.notes.push(format!("{log} begins at {low}: what was before is gone"));
    }
}

/// What was deleted before the group had read it is lost.
fn find_unread_gaps<'a>(
    audit: &mut Audit,
    raw: &[Stretch],
    next_of: impl Fn(i32) -> Option<&'a i64>,
) {
    for Stretch { log, partition, low, .. } in raw {
        let Some(next) = next_of(*partition).filter(|next| *next < low) else { continue };
        let (name, last) = (audit.cx.logs.name(*log).to_owned(), low.saturating_sub(1));
        audit.cx.findings.add(Kind::Lost, || {
            format!("{name}: {next} to {last} were deleted before they were read")
        });
    }
}

fn hops_of(message: &BorrowedMessage<'_>) -> u8 {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let mut found = headers.filter(|header| header.key == HOPS);
    found.find_map(|header| header.value?.first().copied()).unwrap_or(0)
}

/// A consumer that is no member of the group and commits nothing.
struct Reader(BaseConsumer);

impl Reader {
    fn new(cluster: &Cluster) -> Result<Self, Failure> {
        let mut config = ClientConfig::new();
        for (key, value) in &cluster.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &cluster.bootstrap_servers);
        config.set("client.id", "usage-rater-verify");
        // Asking for the group's offsets needs its name; assigning by hand joins nothing.
        config.set("group.id", &cluster.group);
        for key in ["group.instance.id", "group.protocol", "transactional.id"] {
            config.remove(key);
        }
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("enable.partition.eof", "true");
        config.set("isolation.level", "read_committed");
        config.set("auto.offset.reset", "error");
        config.set("queued.max.messages.kbytes", "32768");
        let consumer =
            config.create().map_err(|error: KafkaError| failed("kafka.properties", &error))?;
        Ok(Self(consumer))
    }

    /// How many partitions a topic has; none if it is not there.
    fn partitions(&self, topic: &str) -> Result<i32, Failure> {
        // Asked for all topics, because asking for one may make it.
        let metadata = self
            .0
            .fetch_metadata(None, CALL)
            .map_err(|error| failed("no broker answers", &error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)))
    }

    /// What every partition of a topic holds now.
    fn stretches(&self, audit: &mut Audit, topic: &str) -> Result<Vec<Stretch>, Failure> {
        let mut stretches = Vec::new();
        for partition in 0..self.partitions(topic)? {
            let (low, high) = self
                .0
                .fetch_watermarks(topic, partition, CALL)
                .map_err(|error| failed(topic, &error))?;
            let Some(log) = audit.cx.logs.topic(topic, partition) else {
                return Err(Failure::Usage("so many partitions cannot be told apart".to_owned()));
            };
            stretches.push(Stretch { log, partition, low, high });
        }
        Ok(stretches)
    }

    /// The offset that the group reads next, by topic and partition, where it has read anything.
    fn committed(&self, topics: &[&String]) -> Result<BTreeMap<(String, i32), i64>, Failure> {
        let mut asked = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..self.partitions(topic)? {
                asked.add_partition(topic, partition);
            }
        }
        let told = self
            .0
            .committed_offsets(asked, CALL)
            .map_err(|error| failed("the group's offsets", &error))?;
        let told = told.elements().into_iter().filter_map(|element| {
            let Offset::Offset(next) = element.offset() else { return None };
            Some(((element.topic().to_owned(), element.partition()), next))
        });
        Ok(told.collect())
    }

    /// Calls `take` with every committed message of these stretches, in order within each.
    fn each(
        &self,
        topic: &str,
        stretches: &[Stretch],
        mut take: impl FnMut(Place, &BorrowedMessage<'_>),
    ) -> Result<(), Failure> {
        let mut open: BTreeMap<i32, Stretch> = BTreeMap::new();
        let mut assigned = TopicPartitionList::new();
        for stretch in stretches.iter().filter(|stretch| stretch.low < stretch.high) {
            open.insert(stretch.partition, *stretch);
            let from = Offset::Offset(stretch.low);
            assigned
                .add_partition_offset(topic, stretch.partition, from)
                .map_err(|error| failed(topic, &error))?;
        }
        self.0.assign(&assigned).map_err(|error| failed(topic, &error))?;
        let progress = Progress::of_bytes(None);
        let (mut records, mut bytes, mut silence) = (0u64, 0u64, 0u32);
        while !open.is_empty() {
            match self.0.poll(POLL) {
                None => silence += 1,
                Some(Ok(message)) => {
                    silence = 0;
                    let Some(stretch) = open.get(&message.partition()).copied() else { continue };
                    if message.offset() < stretch.high {
                        let offset = u64::try_from(message.offset()).unwrap_or_default();
                        take(Place::new(stretch.log, offset), &message);
                    }
                    if message.offset() + 1 >= stretch.high {
                        open.remove(&message.partition());
                    }
                    records += 1;
                    bytes += message.payload_len() as u64;
                    if records.is_multiple_of(1 << 14) {
                        progress.set(bytes, records, None);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition),
                Some(Err(error)) if is_final(&error) => return Err(failed(topic, &error)),
                // A broker that is away may come back.
                Some(Err(_)) => silence += 1,
            }
            if silence > SILENCE_MAX {
                return Err(Failure::Dependency(format!("{topic}: the broker sends nothing")));
            }
        }
        progress.finish();
        self.0.unassign().map_err(|error| failed(topic, &error))
    }
}

/// Whether waiting does not mend an error of reading.
fn is_final(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_none_or(|code| {
        matches!(
            code,
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::Fatal
        )
    })
}

fn failed(what: &str, error: &KafkaError) -> Failure {
    Failure::Dependency(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic that lost its beginning was only noted, whatever had been read of it.
    #[test]
    fn what_was_deleted_before_it_was_read_is_lost() {
        let question = Question {
            written: Written::Closed,
            has_input: true,
            begins_late: true,
            outputs_begin_late: false,
            subjects_may_wait: true,
        };
        let catalog = br#"{"meters":[],"plans":[],"customers":[],"subscriptions":[]}"#;
        let mut audit = Audit::new(Facts::read(catalog).unwrap(), question);
        let log = |audit: &mut Audit, partition| audit.cx.logs.topic("raw", partition).unwrap();
        let raw: Vec<Stretch> = [(0, 5), (1, 109), (2, 7)]
            .map(|(partition, low)| {
                let log = log(&mut audit, partition);
                Stretch { log, partition, low, high: 168 }
            })
            .into();
        let read = BTreeMap::from([(0, 5), (1, 89)]);
        find_unread_gaps(&mut audit, &raw, |partition| read.get(&partition));
        let report = audit.finish();
        let told = format!("{:?}", report.findings);
        assert!(told.contains("raw[1]: 89 to 108 were deleted before they were read"), "{told}");
        assert!(!told.contains("raw[0]") && !told.contains("raw[2]"), "{told}");
    }
}
