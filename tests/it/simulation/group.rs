//! The model group: members, generations, who owns which partition, and sessions that run out.
//!
//! It assigns as the cooperative sticky protocol does: what has an owner stays where it is as long
//! as nobody has too many; what is taken away is first let go, and then given to another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After so long without a heartbeat a member is none any more.
const SESSION: Duration = Duration::from_secs(9);

pub(super) type MemberId = u64;

/// What the group says of partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Assigned(Vec<u32>),
    Revoked(Vec<u32>),
    /// All of them are somebody else's already.
    Lost,
}

/// What vouches for a member when offsets are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Vouch {
    member: MemberId,
    generation: u64,
}

#[derive(Debug)]
struct Member {
    instance: usize,
    heard: Duration,
    told: Vec<Change>,
}

/// A group for so many partitions.
#[derive(Debug)]
pub(super) struct Group {
    generation: u64,
    members: BTreeMap<MemberId, Member>,
    joined: MemberId,
    owners: Vec<Option<MemberId>>,
    /// Those that their owners have been told to let go.
    revoked: BTreeSet<u32>,
    /// Which instance a partition was assigned to last.
    last: Vec<Option<usize>>,
    /// How often each kind of event was met.
    pub(super) hits: BTreeMap<&'static str, u64>,
}

impl Group {
    pub(super) fn new(partitions: u32) -> Self {
        Self {
            generation: 0,
            members: BTreeMap::new(),
            joined: 0,
            owners: vec![None; partitions as usize],
            revoked: BTreeSet::new(),
            last: vec![None; partitions as usize],
            hits: BTreeMap::new(),
        }
    }

    fn hit(&mut self, what: &'static str) {
        *self.hits.entry(what).or_default() += 1;
    }

    /// Who owns which partition.
    fn owned(&self) -> Vec<(u32, Option<MemberId>)> {
        (0u32..).zip(self.owners.iter().copied()).collect()
    }

    fn of(&self, id: MemberId) -> Vec<u32> {
        let own = self.owned().into_iter().filter(|(_, owner)| *owner == Some(id));
        own.map(|(partition, _)| partition).collect()
    }

    fn own(&mut self, partition: u32) -> &mut Option<MemberId> {
        &mut self.owners[partition as usize]
    }

    /// Takes in a process of an instance; one with a name of its own takes the place of the last.
    pub(super) fn join(&mut self, instance: usize, is_static: bool, now: Duration) -> MemberId {
        self.joined += 1;
        let id = self.joined;
        let same = |(_, member): &(&MemberId, &Member)| is_static && member.instance == instance;
        let before = self.members.iter().find(same).map(|(id, _)| *id);
        let mut member = Member { instance, heard: now, told: Vec::new() };
        if let Some(before) = before {
            self.members.remove(&before);
            let mut kept = Vec::new();
            for partition in self.of(before) {
                // What it was to let go, nobody works on any more.
                let is_kept = !self.revoked.remove(&partition);
                *self.own(partition) = is_kept.then_some(id);
                kept.extend(is_kept.then_some(partition));
            }
            member.told.push(Change::Assigned(kept));
            self.hit("static member came back");
        }
        self.members.insert(id, member);
        if before.is_none() || self.owners.contains(&None) {
            self.rebalance();
        }
        id
    }

    /// Gives partitions without an owner to those who have least, and tells those who have too
    /// many to let some go.
    fn rebalance(&mut self) {
        self.generation += 1;
        if self.members.is_empty() {
            return;
        }
        let fair = self.owners.len().div_ceil(self.members.len());
        let mut kept: BTreeMap<MemberId, usize> = self.members.keys().map(|id| (*id, 0)).collect();
        let mut revoked: BTreeMap<MemberId, Vec<u32>> = BTreeMap::new();
        for (partition, owner) in self.owned() {
            let Some(owner) = owner.filter(|_| !self.revoked.contains(&partition)) else {
                continue;
            };
            let count = kept.entry(owner).or_default();
            if *count < fair {
                *count += 1;
            } else {
                revoked.entry(owner).or_default().push(partition);
            }
        }
        for (owner, partitions) in revoked {
            self.hit("partition taken away");
            self.revoked.extend(&partitions);
            self.tell(owner, Change::Revoked(partitions));
        }
        let mut assigned: BTreeMap<MemberId, Vec<u32>> = BTreeMap::new();
        for (partition, owner) in self.owned() {
            let least = kept.iter().min_by_key(|(_, count)| **count).map(|(id, _)| *id);
            if let (None, Some(new)) = (owner, least) {
                *kept.entry(new).or_default() += 1;
                *self.own(partition) = Some(new);
                assigned.entry(new).or_default().push(partition);
                let instance = self.members[&new].instance;
                let before = self.last[partition as usize].replace(instance);
                if before.is_some_and(|before| before != instance) {
                    self.hit("partition moved");
                }
            }
        }
        for (owner, partitions) in assigned {
            self.tell(owner, Change::Assigned(partitions));
        }
    }

    fn tell(&mut self, id: MemberId, change: Change) {
        if let Some(member) = self.members.get_mut(&id) {
            member.told.push(change);
        }
    }

    /// A heartbeat of a member; gives what vouches for it, unless it is none any more.
    pub(super) fn hear(&mut self, id: MemberId, now: Duration) -> Option<Vouch> {
        self.members.get_mut(&id)?.heard = now;
        Some(Vouch { member: id, generation: self.generation })
    }

    /// What a member has not been told yet.
    pub(super) fn changes(&mut self, id: MemberId) -> Vec<Change> {
        self.members.get_mut(&id).map(|member| std::mem::take(&mut member.told)).unwrap_or_default()
    }

    /// A member has let go of what was taken away from it.
    pub(super) fn release(&mut self, id: MemberId, partitions: &[u32]) {
        let mut is_any = false;
        for partition in partitions {
            if *self.own(*partition) == Some(id) && self.revoked.remove(partition) {
                *self.own(*partition) = None;
                is_any = true;
            }
        }
        if is_any {
            self.rebalance();
        }
    }

    /// A member leaves, or its time is over.
    pub(super) fn leave(&mut self, id: MemberId) {
        if self.members.remove(&id).is_none() {
            return;
        }
        for partition in self.of(id) {
            *self.own(partition) = None;
            self.revoked.remove(&partition);
        }
        self.rebalance();
    }

    /// Drops members that were not heard of for too long.
    pub(super) fn drop_silent(&mut self, now: Duration) {
        let silent = |member: &Member| now.saturating_sub(member.heard) > SESSION;
        while let Some(id) = self.members.iter().find(|(_, it)| silent(it)).map(|(id, _)| *id) {
            self.hit("session ran out");
            self.leave(id);
        }
    }

    /// Whether a member may commit offsets.
    pub(super) fn takes(&self, vouch: Vouch) -> bool {
        vouch.generation == self.generation && self.members.contains_key(&vouch.member)
    }

    /// The instance that owns a partition.
    pub(super) fn owner(&self, partition: u32) -> Option<usize> {
        let owner = self.owners[partition as usize]?;
        self.members.get(&owner).map(|member| member.instance)
    }

    pub(super) fn has(&self, id: MemberId) -> bool {
        self.members.contains_key(&id)
    }
}
