//! Disasters: what befalls instances, their stores and the logs.

use super::{INSTANCES, PARTITIONS, World};
use crate::simulation::cluster::Log;
use crate::simulation::instance::Life;
use crate::simulation::model_broker::Defect;
use std::time::Duration;

impl World {
    /// Kill -9 of an instance: nothing is flushed, nothing is told.
    pub(super) fn kill(&mut self) {
        let instance = self.any_instance();
        self.kill_one(instance);
    }

    fn kill_one(&mut self, instance: usize) {
        let Some(process) = self.instances[instance].process.take() else { return };
        for worker in process.workers.values() {
            self.hit(match worker.life {
                Life::Restoring(_) => "killed while restoring",
                Life::Live(_) => "killed while live",
            });
        }
        for partition in 0..PARTITIONS {
            let key = (instance, partition);
            self.stores.disk(key).lock().unwrap().crash();
            self.stores.forget(key);
        }
    }

    /// A process is stopped, and goes on later, perhaps long after its session.
    pub(super) fn hang(&mut self) {
        let instance = self.any_instance();
        let until = self.elapsed() + Duration::from_millis(self.dice.below(20_000));
        self.instances[instance].hangs_until = until;
        self.instances[instance].is_dazed = true;
    }

    /// An instance is told to end: it lets go of everything and leaves the group.
    pub(super) fn leave(&mut self) {
        let instance = self.any_instance();
        if let Some(process) = &mut self.instances[instance].process {
            process.is_ending = true;
        }
    }

    /// A process dies, and one of its stores with it.
    pub(super) fn lose_store(&mut self) {
        let key = (self.any_instance(), self.any_partition());
        self.kill_one(key.0);
        self.stores.lose(key);
        self.hit("store lost");
    }

    /// While two are down, the store of one is put in the place of the other's: older or newer.
    pub(super) fn swap_stores(&mut self) {
        let (one, partition) = (self.any_instance(), self.any_partition());
        let other = (one + 1) % INSTANCES;
        self.kill_one(one);
        self.kill_one(other);
        self.stores.swap((one, partition), (other, partition));
        self.hit("store of another time");
    }

    /// The broker deletes usage that has been read; some of it, as segments have it.
    pub(super) fn trim(&mut self) {
        let partition = self.any_partition();
        let kept = self.dice.below(20);
        let mut cluster = self.cluster.borrow_mut();
        for log in [Log::Raw(partition), Log::Forward(partition)] {
            let read = cluster.offset_of(log).unwrap_or_default();
            let is_too_early = self.defect == Defect::RawTrimmedTooEarly;
            let before = if is_too_early { cluster.end_of(log) } else { read.saturating_sub(kept) };
            cluster.trim(log, before);
        }
    }
}
