//! The directory: how to reach the workers of the partitions that are held here.

use super::command::Command;
use crate::clock::Stopwatch;
use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a worker that has too much to do is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// Workers by partition.
#[derive(Debug, Default)]
pub(crate) struct Directory(Mutex<BTreeMap<u32, SyncSender<Command>>>);

/// Why a command was not handed over; it is given back.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The partition has no worker here.
    Elsewhere(Box<Command>),
    /// As many commands as may wait for it do.
    Full(Box<Command>),
}

impl Directory {
    /// Hands a command to the worker of a partition.
    pub(crate) fn send(&self, partition: u32, command: Command) -> Result<(), Unsent> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(worker) = workers.get(&partition) else {
            return Err(Unsent::Elsewhere(Box::new(command)));
        };
        worker.try_send(command).map_err(|unsent| match unsent {
            TrySendError::Full(command) => Unsent::Full(Box::new(command)),
            TrySendError::Disconnected(command) => Unsent::Elsewhere(Box::new(command)),
        })
    }

    /// As [`Directory::send`], but waits while the worker has too much to do, no longer than
    /// `patience`.
    pub(crate) fn insist(
        &self,
        partition: u32,
        command: Command,
        patience: Duration,
    ) -> Result<(), Unsent> {
        let (clock, mut command) = (Stopwatch::start(), command);
        loop {
            match self.send(partition, command) {
                Err(Unsent::Full(back)) if clock.elapsed() < patience => command = *back,
                sent_or_not => return sent_or_not,
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The partitions that are held here.
    pub(crate) fn held(&self) -> Vec<u32> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.keys().copied().collect()
    }

    /// Notes the worker of a partition, or that there is none.
    pub(super) fn set(&self, partition: u32, worker: Option<SyncSender<Command>>) {
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match worker {
            Some(worker) => workers.insert(partition, worker),
            None => workers.remove(&partition),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn what_cannot_be_handed_over_comes_back() {
        let directory = Directory::default();
        let sent = || directory.send(3, Command::Stop);
        assert!(matches!(sent(), Err(Unsent::Elsewhere(_))));
        let (worker, commands) = sync_channel(1);
        directory.set(3, Some(worker));
        assert!(sent().is_ok());
        assert!(matches!(sent(), Err(Unsent::Full(_))));
        let insisted = directory.insist(3, Command::Stop, PAUSE * 2);
        assert!(matches!(insisted, Err(Unsent::Full(_))), "nobody is waited for without an end");
        assert!(matches!(commands.try_recv(), Ok(Command::Stop)));
        assert!(sent().is_ok(), "there is room again");
        drop(commands);
        assert!(matches!(sent(), Err(Unsent::Elsewhere(_))), "its worker has ended");
        assert_eq!(directory.held(), [3]);
        directory.set(3, None);
        assert!(directory.held().is_empty());
    }
}
