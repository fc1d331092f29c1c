//! The connection of one partition to Kafka.

use super::super::broker::{Broker, BrokerError, Incoming, Input, Outgoing, Output, StateRecord};
use super::client::{CALL, Clients, failed, mends_itself};
use super::closing::Closing;
use super::group::Group;
use super::listener::Listener;
use super::owners::{OWNER, PARTITIONER};
use super::topics::Topics;
use crate::clock::Stopwatch;
use crate::service::PartitionMetrics;
use rating::Instant;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::{ClientContext, Message as _, Offset, Statistics, Timestamp, TopicPartitionList};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The time between two looks for deliveries while a transaction waits for them. A producer that is
/// given a millisecond or less to wait spins, which takes the core that its broker may need.
const DELIVERY_PAUSE: Duration = Duration::from_micros(200);
/// Records between two looks for deliveries.
const DELIVERY_READS: u32 = 256;
/// How long earlier writers may take to be fenced.
const FENCE: Duration = Duration::from_secs(30);
/// How long a transaction that is given up may take to be aborted.
const ABORT: Duration = Duration::from_secs(2);
/// Events that are taken of a producer that was given up, between two rounds of the watch.
const EVENTS: usize = 64;
/// The header that counts how often a record was sent on.
const HOPS: &str = "hops";

/// What comes back of records that were sent. State records are marked.
#[derive(Debug)]
struct Deliveries {
    listener: Listener,
    /// The least offset of a state record since the last look, plus 1; 0 is none.
    state: AtomicU64,
    /// The first failure, and the topic of the record.
    failed: Mutex<Option<(KafkaError, String)>>,
}

const PLAIN: usize = 0;
const STATE: usize = 1;

impl Deliveries {
    fn fail(&self, error: &KafkaError, topic: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| (error.clone(), topic.to_owned()));
    }
}

impl ClientContext for Deliveries {
    fn stats(&self, told: Statistics) {
        self.listener.show(&told);
    }

    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.listener.log(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.listener.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: usize) {
        match result {
            Ok(message) if mark == STATE => {
                // A retry that the broker knew already is delivered without an offset.
                let Ok(offset) = u64::try_from(message.offset()).map(|offset| offset + 1) else {
                    let error = KafkaError::MessageProduction(RDKafkaErrorCode::InvalidMessage);
                    return self.fail(&error, message.topic());
                };
                let first = self.state.load(Ordering::Relaxed);
                if first == 0 || offset < first {
                    self.state.store(offset, Ordering::Relaxed);
                }
            }
            Ok(_) => {}
            Err((error, message)) => self.fail(error, message.topic()),
        }
    }
}

/// One partition's producer and readers.
pub(crate) struct Connection {
    topics: Arc<Topics>,
    partition: i32,
    group: Arc<Group>,
    clients: Clients,
    producer: Arc<BaseProducer<Deliveries>>,
    inputs: Arc<BaseConsumer<Listener>>,
    /// Reads the state log, while that is followed.
    state: RefCell<Option<BaseConsumer<Listener>>>,
    is_open: Cell<bool>,
    /// Whether a call of the producer was given up: it is of no more use then.
    is_given_up: Cell<bool>,
    /// The ends of the inputs when they were last asked for.
    ends: Cell<[i64; 2]>,
    /// How often a record was asked for.
    reads: Cell<u32>,
    metrics: Arc<PartitionMetrics>,
    /// Behind all else that holds the clients.
    _closing: Closing,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes the clients of a partition; nothing is asked of the broker yet.
    pub(crate) fn new(
        clients: &Clients,
        topics: Arc<Topics>,
        group: Arc<Group>,
        (partition, metrics): (u32, Arc<PartitionMetrics>),
    ) -> Result<Self, BrokerError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let deliveries = Deliveries {
            listener: Listener::new("producer", Some(number), clients),
            state: AtomicU64::new(0),
            failed: Mutex::new(None),
        };
        let transactional_id = format!("{}/{}/{partition}", clients.group, topics.raw);
        let producer: BaseProducer<Deliveries> = clients
            .producer(&transactional_id)
            .create_with_context(deliveries)
            .map_err(|error| failed(&error))?;
        let producer = Arc::new(producer);
        let listener = Listener::new("reader", Some(number), clients);
        let inputs: BaseConsumer<Listener> = clients
            .reader()
            .create_with_context(listener.with_lag(&topics.forward))
            .map_err(|error| failed(&error))?;
        let inputs = Arc::new(inputs);
        let closing = Closing::of((Arc::clone(&producer), Arc::clone(&inputs)), &clients.calls);
        Ok(Self {
            topics,
            partition: number,
            group,
            clients: clients.clone(),
            producer,
            inputs,
            state: RefCell::new(None),
            is_open: Cell::new(false),
            is_given_up: Cell::new(false),
            ends: Cell::new([-1; 2]),
            reads: Cell::new(0),
            metrics,
            _closing: closing,
        })
    }

    fn topic_of(&self, output: Output) -> &str {
        match output {
            Output::Rated => &self.topics.rated,
            Output::Rejected => &self.topics.rejected,
            Output::Totals => &self.topics.totals,
            Output::State => &self.topics.state,
            Output::Forward => &self.topics.forward,
        }
    }

    fn input_topic(&self, input: Input) -> &str {
        match input {
            Input::Raw => &self.topics.raw,
            Input::Forward => &self.topics.forward,
        }
    }

    /// What an error means: a producer that was fenced says so of everything it is asked for.
    fn failed(&self, error: &KafkaError) -> BrokerError {
        match self.producer.client().fatal_error() {
            Some((_, reason)) => BrokerError::Fenced(format!("{error}: {reason}")),
            None => failed(error),
        }
    }

    /// What it means that a record was not delivered.
    fn undelivered(&self, error: &KafkaError, topic: &str) -> BrokerError {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return BrokerError::Failed(format!(
                "topic {topic} does not take a record of this size; raise its max.message.bytes, \
                 and the brokers' message.max.bytes where that is less"
            ));
        }
        match self.failed(error) {
            BrokerError::Failed(text) => BrokerError::Failed(format!("topic {topic}: {text}")),
            other @ (BrokerError::Fenced(_) | BrokerError::Lost(_)) => other,
        }
    }

    /// Makes a call of the producer that is given so much time, where it can be given up. The
    /// producer is, too, then: whoever is next to make one fences it, so that nothing counts that
    /// the call may still do, and learns from the log what it has done.
    fn transact(
        &self,
        name: &'static str,
        given: Duration,
        call: impl FnOnce(&BaseProducer<Deliveries>) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), BrokerError> {
        let (called, tended) = (Arc::clone(&self.producer), Arc::clone(&self.producer));
        let tend = move || (0..EVENTS).for_each(|_| tended.poll(Duration::ZERO));
        match self.clients.calls.apart((name, given), move || call(&called), tend) {
            Ok(done) => done.map_err(|error| self.failed(&error)),
            Err(reason) => {
                self.is_given_up.set(true);
                self.producer.context().listener.mute();
                Err(BrokerError::Failed(reason))
            }
        }
    }

    /// Whether librdkafka will never find a broker again.
    fn refuse_cut_off(&self) -> Result<(), BrokerError> {
        let (producer, inputs) = (&self.producer.context().listener, self.inputs.context());
        let cut_off = producer.cut_off().or_else(|| inputs.cut_off());
        cut_off.map_or(Ok(()), |reason| Err(BrokerError::Failed(reason)))
    }

    /// Waits until everything sent is delivered. A flush of the producer itself would take steps
    /// of 100 ms.
    fn deliver(&self) -> Result<(), BrokerError> {
        let clock = Stopwatch::start();
        let mut left = self.producer.in_flight_count();
        while left > 0 {
            self.producer.poll(Duration::ZERO);
            let before = std::mem::replace(&mut left, self.producer.in_flight_count());
            if clock.elapsed() > CALL {
                return Err(BrokerError::Failed("records were not delivered in time".to_owned()));
            }
            if left == before {
                std::thread::sleep(DELIVERY_PAUSE);
            }
        }
        self.producer.poll(Duration::ZERO);
        let failures = &self.producer.context().failed;
        match failures.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some((error, topic)) => Err(self.undelivered(&error, &topic)),
            None => Ok(()),
        }
    }

    /// Ends the reader of the state log, if there is one.
    fn leave_state(&self) {
        if let Some(reader) = self.state.take() {
            Closing::of(reader, &self.clients.calls).begin();
        }
    }

    fn send_offsets(&self, read: &[(Input, u64)]) -> Result<(), BrokerError> {
        let Some(metadata) = self.group.metadata() else { return Ok(()) };
        let mut offsets = TopicPartitionList::new();
        for (input, next) in read {
            let topic = self.input_topic(*input);
            let next = i64::try_from(*next).unwrap_or(i64::MAX);
            offsets
                .add_partition_offset(topic, self.partition, Offset::Offset(next))
                .map_err(|error| failed(&error))?;
        }
        self.transact("send_offsets_to_transaction", CALL, move |producer| {
            producer.send_offsets_to_transaction(&offsets, &metadata, CALL)
        })
    }

    fn range(&self, topic: &str) -> Result<Range<u64>, BrokerError> {
        let asked = || self.inputs.fetch_watermarks(topic, self.partition, CALL);
        let calls = &self.clients.calls;
        let (low, high) = calls
            .during("query_watermark_offsets", CALL, asked)
            .map_err(|error| BrokerError::Failed(format!("{topic}: {error}")))?;
        Ok(u64::try_from(low).unwrap_or_default()..u64::try_from(high).unwrap_or_default())
    }
}

/// A record that was read.
pub(crate) struct Message<'a> {
    inner: BorrowedMessage<'a>,
    input: Input,
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.input, self.inner.offset())
    }
}

impl Incoming for Message<'_> {
    fn input(&self) -> Input {
        self.input
    }

    fn offset(&self) -> u64 {
        u64::try_from(self.inner.offset()).unwrap_or_default()
    }

    fn appended_at(&self) -> Instant {
        let millis = match self.inner.timestamp() {
            Timestamp::LogAppendTime(millis) | Timestamp::CreateTime(millis) => millis,
            Timestamp::NotAvailable => return crate::clock::now(),
        };
        Instant::from_nanos(i128::from(millis) * 1_000_000)
    }

    fn key(&self) -> &[u8] {
        self.inner.key().unwrap_or_default()
    }

    fn payload(&self) -> &[u8] {
        self.inner.payload().unwrap_or_default()
    }

    fn hops(&self) -> u8 {
        if self.input == Input::Raw {
            return 0;
        }
        let headers = self.inner.headers();
        let mut found = headers.into_iter().flat_map(|headers| headers.iter());
        let hops = found.find(|header| header.key == HOPS).and_then(|header| header.value);
        hops.and_then(|value| value.first().copied()).unwrap_or(1)
    }
}

impl Broker for Connection {
    type Message<'a> = Message<'a>;

    fn fence(&self) -> Result<(), BrokerError> {
        self.transact("init_transactions", FENCE, |producer| producer.init_transactions(FENCE))
    }

    fn begin(&self) -> Result<(), BrokerError> {
        self.producer.context().state.store(0, Ordering::Relaxed);
        self.producer.begin_transaction().map_err(|error| self.failed(&error))?;
        self.is_open.set(true);
        Ok(())
    }

    fn send(&self, record: &Outgoing<'_>) -> Result<(), BrokerError> {
        let own = matches!(record.output, Output::State | Output::Rated);
        let partition = record.partition.and_then(|partition| i32::try_from(partition).ok());
        let partition = if own { Some(self.partition) } else { partition };
        let mark = if record.output == Output::State { STATE } else { PLAIN };
        let mut message =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(self.topic_of(record.output), mark)
                .payload(record.payload);
        if !record.key.is_empty() {
            message = message.key(record.key);
        }
        if let Some(partition) = partition {
            message = message.partition(partition);
        }
        if record.output == Output::State {
            let owner = self.clients.advertise.as_bytes();
            let owner = Header { key: OWNER, value: Some(owner) };
            let name = self.clients.partitioner.name().as_bytes();
            let partitioner = Header { key: PARTITIONER, value: Some(name) };
            message = message.headers(OwnedHeaders::new().insert(owner).insert(partitioner));
        }
        if record.hops > 0 {
            let hops = [record.hops];
            let header = Header { key: HOPS, value: Some(&hops) };
            message = message.headers(OwnedHeaders::new().insert(header));
        }
        let mut clock = None;
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((error, back)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    let waited = clock.get_or_insert_with(Stopwatch::start).elapsed();
                    if !is_full || waited > CALL {
                        return Err(self.failed(&error));
                    }
                    self.producer.poll(Duration::ZERO);
                    std::thread::sleep(DELIVERY_PAUSE);
                    message = back;
                }
            }
        }
    }

    fn commit(&self, read: &[(Input, u64)]) -> Result<Option<u64>, BrokerError> {
        let clock = Stopwatch::start();
        if !read.is_empty() {
            self.send_offsets(read)?;
        }
        self.deliver()?;
        self.transact("commit_transaction", CALL, |producer| producer.commit_transaction(CALL))?;
        self.is_open.set(false);
        self.metrics.commit_seconds(clock.elapsed());
        Ok(self.producer.context().state.swap(0, Ordering::Relaxed).checked_sub(1))
    }

    fn state_range(&self) -> Result<Range<u64>, BrokerError> {
        self.range(&self.topics.state)
    }

    fn follow_state(&self, from: u64) -> Result<(), BrokerError> {
        let listener = Listener::unseen("state reader", Some(self.partition), &self.clients);
        let reader = self.clients.reader().create_with_context(listener);
        let reader: BaseConsumer<Listener> = reader.map_err(|error| failed(&error))?;
        let mut list = TopicPartitionList::new();
        let from = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topics.state, self.partition, from)
            .and_then(|()| reader.assign(&list))
            .map_err(|error| failed(&error))?;
        *self.state.borrow_mut() = Some(reader);
        Ok(())
    }

    fn next_state(&self, wait: Duration) -> Result<Option<StateRecord>, BrokerError> {
        let reader = self.state.borrow();
        let Some(reader) = reader.as_ref() else { return Ok(None) };
        match reader.poll(wait) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {
                let cut_off = reader.context().cut_off();
                cut_off.map_or(Ok(None), |reason| Err(BrokerError::Failed(reason)))
            }
            Some(Err(error)) if mends_itself(&error) => Ok(None),
            Some(Err(error)) => Err(read_failed(&self.topics.state, &error)),
            Some(Ok(message)) => Ok(Some(StateRecord {
                offset: u64::try_from(message.offset()).unwrap_or_default(),
                payload: message.payload().unwrap_or_default().to_vec(),
            })),
        }
    }

    fn group_offset(&self, input: Input) -> Result<Option<u64>, BrokerError> {
        let topic = self.input_topic(input);
        self.group.committed(topic, self.partition)
    }

    fn input_range(&self, input: Input) -> Result<Range<u64>, BrokerError> {
        self.range(self.input_topic(input))
    }

    fn follow_inputs(&self, from: &[(Input, u64)]) -> Result<(), BrokerError> {
        self.leave_state();
        let mut list = TopicPartitionList::new();
        for (input, next) in from {
            let next = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            list.add_partition_offset(self.input_topic(*input), self.partition, next)
                .map_err(|error| failed(&error))?;
        }
        self.inputs.assign(&list).map_err(|error| failed(&error))
    }

    fn next(&self, wait: Duration) -> Result<Option<Message<'_>>, BrokerError> {
        // Deliveries come while records are read, or they would pile up until the commit.
        let reads = self.reads.get().wrapping_add(1);
        self.reads.set(reads);
        if self.is_open.get() && reads.is_multiple_of(DELIVERY_READS) {
            self.producer.poll(Duration::ZERO);
        }
        match self.inputs.poll(whole_millis(wait)) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {
                // What the producer has to tell would pile up while there is nothing to send.
                self.producer.poll(Duration::ZERO);
                self.refuse_cut_off()?;
                Ok(None)
            }
            Some(Err(error)) if mends_itself(&error) => Ok(None),
            Some(Err(error)) => Err(read_failed(&self.topics.raw, &error)),
            Some(Ok(inner)) => {
                let is_raw = inner.topic() == self.topics.raw;
                let input = if is_raw { Input::Raw } else { Input::Forward };
                Ok(Some(Message { inner, input }))
            }
        }
    }

    fn is_at_end(&self) -> Result<bool, BrokerError> {
        let mut ends = [0; 2];
        for (end, input) in ends.iter_mut().zip(Input::ALL) {
            let asked = self.range(self.input_topic(input));
            *end = asked.map_or(-1, |range| i64::try_from(range.end).unwrap_or(i64::MAX));
        }
        // An end cannot be compared with the last record read: marks of transactions lie between.
        // But what has not come since the last time it was asked for is not there.
        let before = self.ends.replace(ends);
        Ok(before == ends && !ends.contains(&-1))
    }
}

/// So many milliseconds at least: with less than one left, a reader would spin.
fn whole_millis(wait: Duration) -> Duration {
    if wait.subsec_nanos().is_multiple_of(1_000_000) {
        return wait;
    }
    let millis = wait.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// What a reader's error means; some of them mend themselves.
fn read_failed(topic: &str, error: &KafkaError) -> BrokerError {
    let code = error.rdkafka_error_code();
    if matches!(code, Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset))
    {
        return BrokerError::Lost(format!("{topic}: what was to be read next is gone: {error}"));
    }
    BrokerError::Failed(format!("{topic}: {error}"))
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Readers of the outputs would wait for the open transaction until it times out.
        let is_open = self.is_open.get() && !self.is_given_up.get();
        if is_open && self.producer.client().fatal_error().is_none() {
            // What is still on its way would be waited for.
            self.producer.purge(PurgeConfig::default().queue().inflight());
            self.producer.poll(Duration::ZERO);
            let abort = |producer: &BaseProducer<_>| producer.abort_transaction(ABORT);
            // If it is not aborted here, it is by whoever fences this producer.
            _ = self.transact("abort_transaction", ABORT, abort);
        }
        self.leave_state();
    }
}
