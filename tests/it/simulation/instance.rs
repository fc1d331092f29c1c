//! An instance: a process with its membership of the group, its workers and its view of the
//! catalog. It dies, hangs and wakes, and leaves in order.

use super::catalogs::Catalogs;
use super::group::{Change, Group, MemberId, Vouch};
use super::model_broker::ModelBroker;
use super::slots::Slots;
use super::usage::WINDOW;
use super::world::PARTITIONS;
use aggregator::Routing;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use usage_rater::stream::InForce;
use usage_rater::stream::Partitioner;
use usage_rater::stream::rater::{Rater, Rules, Setup};
use usage_rater::stream::restore::Restore;
use usage_rater::stream::stop::Stop;

/// How long records wait for what they need, in days.
pub(super) const WAITING_DAYS: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);
/// So few bytes of rated lines are gathered that a transaction sends them several times.
const OUTBOX_BYTES: usize = 1_024;

/// A partition at an instance.
#[derive(Debug)]
pub(super) enum Life {
    Restoring(Box<Restore<ModelBroker>>),
    Live(Box<Rater<ModelBroker>>),
}

/// What stands for the thread of a partition, and what it has been told and not read yet.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) life: Life,
    /// Of which writer its connection is.
    pub(super) epoch: Rc<Cell<u64>>,
    pub(super) newer: Option<InForce>,
    pub(super) is_to_stop: bool,
}

/// A place where processes run, one after the other.
#[derive(Debug, Default)]
pub(super) struct Instance {
    pub(super) process: Option<Process>,
    /// Until when it hangs, with all that it does.
    pub(super) hangs_until: Duration,
    /// Whether it has just been woken: its client does not know yet what it missed.
    pub(super) is_dazed: bool,
}

impl Instance {
    /// What works on a partition here.
    pub(super) fn life(&self, partition: u32) -> Option<&Life> {
        Some(&self.process.as_ref()?.workers.get(&partition)?.life)
    }
}

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    number: usize,
    is_static: bool,
    member: Option<MemberId>,
    /// Whether it has lost its partitions and has not been told.
    is_lost: bool,
    /// What its client says when it is asked for its membership.
    pub(super) vouch: Rc<Cell<Vouch>>,
    slots: Slots,
    pub(super) workers: BTreeMap<u32, Worker>,
    ended: Vec<(u32, Result<(), Stop>)>,
    /// The catalog on its board, and how many of the topic's it has read.
    pub(super) board: InForce,
    read: usize,
    pub(super) is_ending: bool,
}

/// What a supervisor wants done.
#[derive(Debug)]
pub(super) enum Wanted {
    Start(Vec<u32>),
    /// The process has left the group and ends.
    End,
}

impl Process {
    pub(super) fn new((number, is_static): (usize, bool), catalogs: &Catalogs) -> Self {
        Self {
            number,
            is_static,
            member: None,
            is_lost: false,
            vouch: Rc::default(),
            slots: Slots::default(),
            workers: BTreeMap::new(),
            ended: Vec::new(),
            board: catalogs.of(0),
            read: 0,
            is_ending: false,
        }
    }

    /// What the client does by itself: heartbeats, and joining the group where it is in none.
    pub(super) fn hear(&mut self, group: &mut Group, now: Duration) {
        if self.member.is_none() && !self.is_lost {
            self.member = Some(group.join(self.number, self.is_static, now));
        }
        let Some(member) = self.member else { return };
        let vouch = group.hear(member, now);
        self.vouch.set(vouch.unwrap_or_default());
        if vouch.is_none() {
            (self.member, self.is_lost) = (None, true);
        }
    }

    /// Whether the group has dropped it, which it may not know.
    pub(super) fn is_dropped(&self, group: &Group) -> bool {
        self.member.is_some_and(|member| !group.has(member))
    }

    /// One round of the supervisor.
    pub(super) fn supervise(&mut self, group: &mut Group, now: Duration) -> Wanted {
        if std::mem::take(&mut self.is_lost) {
            self.slots.note(&Change::Lost);
        }
        for change in self.member.map(|member| group.changes(member)).unwrap_or_default() {
            self.slots.note(&change);
        }
        for (partition, ended) in std::mem::take(&mut self.ended) {
            self.slots.note_end(partition, &ended, now);
        }
        let (start, stop) = self.slots.decide(self.is_ending, now);
        for partition in stop {
            if let Some(worker) = self.workers.get_mut(&partition) {
                worker.is_to_stop = true;
            }
        }
        let released = self.slots.release(now);
        if let Some(member) = self.member
            && !released.is_empty()
        {
            group.release(member, &released);
        }
        if !(self.is_ending && self.slots.are_idle()) {
            return Wanted::Start(start);
        }
        if let Some(member) = self.member.filter(|_| !self.is_static) {
            group.leave(member);
        }
        Wanted::End
    }

    /// A worker has ended; the supervisor learns of it with its next round.
    pub(super) fn ended(&mut self, partition: u32, ended: Result<(), Stop>) {
        self.ended.push((partition, ended));
    }

    /// Reads on in the catalog's topic, which holds so many: to its end at first, then one by one.
    pub(super) fn read_catalog(&mut self, catalogs: &Catalogs, published: usize) {
        let next = if self.read == 0 { published } else { published.min(self.read + 1) };
        if next == self.read {
            return;
        }
        self.read = next;
        self.board = catalogs.of(next);
        for worker in self.workers.values_mut() {
            worker.newer = Some(self.board.clone());
        }
    }
}

/// The settings of a rater.
pub(super) fn setup(partition: u32) -> Setup {
    Setup {
        partition,
        routing: Routing {
            own: partition,
            partitioner: "murmur2",
            home: Arc::new(|owner| Partitioner::Murmur2.partition_of(owner.as_bytes(), PARTITIONS)),
        },
        raw_topic: "raw".to_owned(),
        forward_topic: "forward".to_owned(),
        rejected_bytes_max: 1_000_000,
        rules: Rules {
            commit_interval: Duration::from_millis(100),
            future_tolerance: SECOND * 3_600,
            dedupe_window: Duration::from_nanos(u64::try_from(WINDOW).unwrap()),
            grace: SECOND * 3_600,
            idle: SECOND * 5,
            waiting_bytes: 1 << 20,
            waiting_age: SECOND * 86_400 * WAITING_DAYS,
            outbox_bytes: OUTBOX_BYTES,
        },
    }
}
