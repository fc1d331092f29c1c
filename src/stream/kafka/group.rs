//! The group: which raw partitions are assigned to this instance.
//!
//! The member of the group reads nothing; it only learns what it owns, and vouches for it when
//! offsets are committed. Records are read by the connections of the partitions. What the broker
//! assigns or takes away is noted here; the supervisor acts on it and answers when it has let go.
//!
//! A member that is cut off (`listener.rs`) is made anew once it has lost what it had: it could not
//! come back to the group. So is one whose name was taken, a few times (`claims.rs`).

use super::claims::{Claims, Verdict};
use super::client::{CALL, Clients, failed};
use super::closing::Closing;
use super::listener::Listener;
use crate::clock::Stopwatch;
use crate::stream::broker::BrokerError;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata, RebalanceProtocol,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How librdkafka calls a member that has been told what is its own.
const AT_REST: &str = "steady";
/// A member that is cut off has lost what it had after so long, whatever it says itself: nobody has
/// heard it.
const UNHEARD: Duration = Duration::from_secs(60);

/// What the group says of partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// They are ours from now on.
    Assigned(Vec<u32>),
    /// They are to be let go, and then [`Group::release`]d.
    Revoked(Vec<u32>),
    /// They are somebody else's already.
    Lost(Vec<u32>),
}

#[derive(Debug)]
struct Changes {
    listener: Listener,
    /// Whether the group has said what is ours, be it nothing.
    has_joined: AtomicBool,
    noted: Mutex<Vec<Change>>,
    /// Whether everything has been let go, and what is assigned may be given back at once.
    is_leaving: AtomicBool,
    failures: Mutex<Vec<String>>,
}

impl Changes {
    fn note(&self, change: Change) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn fail(&self, what: &str, error: &KafkaError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push(format!("{what}: {error}"));
    }
}

impl ClientContext for Changes {
    fn stats(&self, told: Statistics) {
        if told.cgrp.as_ref().is_some_and(|group| group.join_state == AT_REST) {
            self.has_joined.store(true, Ordering::SeqCst);
        }
        self.listener.show(&told);
    }

    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        self.listener.log(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.listener.error(error, reason);
    }
}

impl ConsumerContext for Changes {
    // The default one discards the errors of assigning.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let is_cooperative =
            matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let partitions = partitions_of(list);
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = if is_cooperative {
                consumer.incremental_assign(list)
            } else {
                consumer.assign(list)
            };
            match assigned.and_then(|()| consumer.pause(list)) {
                Ok(()) => {
                    self.has_joined.store(true, Ordering::SeqCst);
                    self.note(Change::Assigned(partitions));
                }
                Err(error) => self.fail("assigning partitions", &error),
            }
            return;
        }
        let is_leaving = self.is_leaving.load(Ordering::SeqCst);
        if consumer.assignment_lost() || !is_cooperative || is_leaving {
            let released = if is_cooperative {
                consumer.incremental_unassign(list)
            } else {
                consumer.unassign()
            };
            if let Err(error) = released {
                self.fail("giving up partitions", &error);
            }
            self.has_joined.store(false, Ordering::SeqCst);
            self.note(Change::Lost(partitions));
            return;
        }
        self.note(Change::Revoked(partitions));
    }
}

fn join(clients: &Clients, topic: &str) -> Result<Member, BrokerError> {
    let changes = Changes {
        listener: Listener::new("member", None, clients),
        has_joined: AtomicBool::new(false),
        noted: Mutex::default(),
        is_leaving: AtomicBool::new(false),
        failures: Mutex::default(),
    };
    let member: Member =
        clients.member().create_with_context(changes).map_err(|error| failed(&error))?;
    member.subscribe(&[topic]).map_err(|error| failed(&error))?;
    Ok(member)
}

fn partitions_of(list: &TopicPartitionList) -> Vec<u32> {
    let elements = list.elements();
    elements.iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
}

/// Whether an error is the fault of a setting, which stays as it is while this instance runs.
fn is_setting(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidSessionTimeout)
}

/// A client that is a member of the group.
type Member = BaseConsumer<Changes>;

/// This instance's membership.
pub(crate) struct Group {
    /// The present one.
    member: RwLock<Arc<Member>>,
    clients: Clients,
    topic: String,
    /// Since when it has been cut off.
    cut_off: Mutex<Option<Stopwatch>>,
    clock: Stopwatch,
    claims: Mutex<Claims>,
    /// Why this instance can never be a member again.
    shut_out: Mutex<Option<String>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({})", self.topic)
    }
}

impl Group {
    /// Joins the group for the partitions of a topic.
    pub(crate) fn join(clients: &Clients, topic: &str) -> Result<Self, BrokerError> {
        let member = RwLock::new(Arc::new(join(clients, topic)?));
        let (clients, topic) = (clients.clone(), topic.to_owned());
        let (cut_off, claims, shut_out) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self { member, clients, topic, cut_off, clock: Stopwatch::start(), claims, shut_out })
    }

    fn member(&self) -> Arc<Member> {
        Arc::clone(&self.member.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the present member. Another may take its place meanwhile, and whoever holds the old one
    /// last ends it.
    fn ask<T>(&self, question: impl FnOnce(&Member) -> T) -> T {
        let member = self.member();
        let answer = question(&member);
        self.let_go(member);
        answer
    }

    fn let_go(&self, member: Arc<Member>) {
        if let Some(last) = Arc::into_inner(member) {
            Closing::of(last, &self.clients.calls).begin();
        }
    }

    /// Speaks with the group for a while, and says what changed. Once this instance is ending, it
    /// does not join again: its name may be of its successor by then.
    pub(crate) fn poll(&self, wait: Duration, is_ending: bool) -> (Vec<Change>, Vec<String>) {
        let (mut failures, member) = (Vec::new(), self.member());
        let changes = member.context();
        // Everything is paused; what was fetched before that is read by the connections.
        match member.poll(wait) {
            Some(Err(error)) if is_setting(&error) => {
                let advice = "the brokers do not take it: see session.timeout.ms in \
                              kafka.properties, and group.min.session.timeout.ms and \
                              group.max.session.timeout.ms of the brokers";
                self.shut_out(format!("{error}; {advice}"));
            }
            Some(Err(error)) => changes.listener.error(error, "as it reads"),
            Some(Ok(_)) | None => {}
        }
        let mut noted = {
            failures.append(&mut changes.failures.lock().unwrap_or_else(PoisonError::into_inner));
            std::mem::take(&mut *changes.noted.lock().unwrap_or_else(PoisonError::into_inner))
        };
        if !is_ending && self.fatal_error().is_none() {
            match self.mend(&member, &mut noted) {
                Ok(None) => {}
                Ok(Some(reason)) => failures.push(format!("{reason}, so it is joined anew")),
                Err(error) => failures.push(error.to_string()),
            }
        }
        self.let_go(member);
        (noted, failures)
    }

    /// Joins the group anew if the member is of no more use; why, if it was.
    fn mend(
        &self,
        member: &Member,
        noted: &mut Vec<Change>,
    ) -> Result<Option<String>, BrokerError> {
        if let Some((code, reason)) = member.client().fatal_error() {
            let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
            return match claims.judge(code, self.clock.elapsed()) {
                Verdict::Claim => {
                    self.renew(member, noted)?;
                    Ok(Some(self.told(code, &reason)))
                }
                Verdict::Wait => Ok(None),
                Verdict::GiveUp => {
                    self.shut_out(self.told(code, &reason));
                    Ok(None)
                }
            };
        }
        let Some(reason) = member.context().listener.cut_off() else { return Ok(None) };
        let cut_off = {
            let mut since = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
            since.get_or_insert_with(Stopwatch::start).elapsed()
        };
        let held = member.assignment().map_err(|error| failed(&error))?;
        if held.count() > 0 && cut_off < UNHEARD {
            return Ok(None);
        }
        self.renew(member, noted)?;
        Ok(Some(reason))
    }

    /// Puts another member in the place of this one, whose partitions are lost.
    fn renew(&self, member: &Member, noted: &mut Vec<Change>) -> Result<(), BrokerError> {
        let held = member.assignment().map_err(|error| failed(&error))?;
        let new = Arc::new(join(&self.clients, &self.topic)?);
        if held.count() > 0 {
            noted.push(Change::Lost(partitions_of(&held)));
        }
        member.context().listener.mute();
        // It gives back what it holds when it ends: librdkafka waits for that without end.
        member.context().is_leaving.store(true, Ordering::SeqCst);
        let old = {
            let mut present = self.member.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *present, new)
        };
        self.let_go(old);
        *self.cut_off.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn shut_out(&self, reason: String) {
        let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        shut_out.get_or_insert(reason);
    }

    /// Says what has ended a member for good.
    fn told(&self, code: RDKafkaErrorCode, reason: &str) -> String {
        let name = self.clients.instance_id.as_deref().unwrap_or_default();
        let whose = if code == RDKafkaErrorCode::FencedInstanceId {
            "a broker that did not answer for long takes this one for another"
        } else if code == RDKafkaErrorCode::UnreleasedInstanceId {
            "one that died had it and its session has not ended yet"
        } else {
            return format!("{reason} ({code})");
        };
        format!(
            "another instance has the name \"{name}\", or {whose} ({reason}); each needs a \
             kafka.instance_id of its own, or none"
        )
    }

    /// Whether the group has said which partitions are ours, be it none.
    pub(crate) fn has_joined(&self) -> bool {
        self.ask(|member| member.context().has_joined.load(Ordering::SeqCst))
    }

    /// Why this instance can never be a member again, if it cannot.
    pub(crate) fn fatal_error(&self) -> Option<String> {
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Up to where the group has committed a partition of a topic, if it has.
    pub(crate) fn committed(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Option<u64>, BrokerError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let asked = |member: &Member| {
            let calls = &self.clients.calls;
            calls.during("committed_offsets", CALL, || member.committed_offsets(list, CALL))
        };
        let committed = self.ask(asked).map_err(|error| failed(&error))?;
        let offset = committed.find_partition(topic, partition).map(|found| found.offset());
        Ok(match offset {
            Some(Offset::Offset(offset)) => u64::try_from(offset).ok(),
            _ => None,
        })
    }

    /// Gives back partitions that were revoked and have been let go.
    pub(crate) fn release(&self, partitions: &[u32]) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, i32::try_from(*partition).unwrap_or(i32::MAX));
        }
        self.ask(|member| member.incremental_unassign(&list)).map_err(|error| failed(&error))
    }

    /// What vouches for this member when offsets are committed.
    pub(crate) fn metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.ask(BaseConsumer::group_metadata)
    }

    /// Leaves the group; what was assigned has been let go.
    pub(crate) fn leave(&self) {
        self.ask(|member| {
            member.context().is_leaving.store(true, Ordering::SeqCst);
            // A member with a name of its own keeps its partitions until it is back.
            if self.clients.instance_id.is_none() {
                member.unsubscribe();
            }
        });
    }
}
