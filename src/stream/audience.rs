//! The audience of a catalog: all partitions, which must have nothing against one before it is in
//! force, and those of this instance, which must then have it.

use super::catalog_topic::{CatalogBoard, InForce};
use super::command::Command;
use super::directory::Directory;
use super::elsewhere::Elsewhere;
use super::limits::COMMAND_SECONDS_MAX;
use crate::clock::Stopwatch;
use crate::service::{CatalogText, Desk, Refusal, Trial, Trials};
use axum::body::Bytes;
use rating::Catalog;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long partitions are waited for.
const PATIENCE: Duration = Duration::from_secs(COMMAND_SECONDS_MAX);

/// Whoever must know of a catalog.
#[derive(Debug, Clone)]
pub(super) struct Audience {
    pub(super) here: Here,
    pub(super) desk: Arc<Desk>,
    /// How many partitions there are in all.
    pub(super) partitions: u32,
    /// Where the others are.
    pub(super) elsewhere: Elsewhere,
}

/// The partitions of this instance.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub(super) board: Arc<CatalogBoard>,
    pub(super) directory: Arc<Directory>,
}

impl Audience {
    /// Asks all partitions whether a catalog fits what they have rated: those of this instance,
    /// and those of others by whoever holds them.
    ///
    /// A contradiction goes before a partition that cannot answer.
    pub(super) fn check(&self, new: &CatalogText) -> Result<(), Refusal> {
        let own = self.here.own();
        let here = verdict(self.here.trials(&new.catalog, own.iter().copied()));
        if matches!(here, Err(Refusal::Contradicts(_))) {
            return here;
        }
        let others: Vec<u32> = (0..self.partitions).filter(|one| !own.contains(one)).collect();
        if others.is_empty() {
            return here;
        }
        match verdict(self.elsewhere.try_catalog(&new.text, &others)) {
            Ok(()) => here,
            Err(refusal @ Refusal::Contradicts(_)) => Err(refusal),
            Err(not_now) => here.and(Err(not_now)),
        }
    }

    /// As [`Audience::check`], of the partitions of this instance only.
    pub(super) fn check_here(&self, catalog: &Arc<Catalog>) -> Result<(), Refusal> {
        verdict(self.here.trials(catalog, self.here.own().into_iter()))
    }

    /// Puts a catalog in force here, and waits until all partitions that are held have it; says
    /// which of them do not take it.
    pub(super) fn put(&self, newer: &InForce, text: Bytes) -> Result<(), Refusal> {
        self.desk.show_catalog(Some(CatalogText { catalog: Arc::clone(&newer.catalog), text }));
        // Whoever starts from now on finds it there.
        self.here.board.set(newer.clone());
        self.here.tell(newer, self.here.directory.held())
    }

    /// Tells those partitions of the catalog in force again that did not take it: what spoke
    /// against it may have been taken back.
    pub(super) fn tell_again(&self) {
        let unfit = self.here.board.unfit().into_keys().collect();
        // Those that still do not are noted already, and say so themselves.
        _ = self.here.tell(&self.here.board.in_force(), unfit);
    }
}

impl Here {
    /// The partitions that this instance answers for: those it holds, and those that have stopped
    /// here because they do not fit what is in force.
    fn own(&self) -> BTreeSet<u32> {
        let held = self.directory.held().into_iter();
        held.chain(self.board.unfit().into_keys()).collect()
    }

    fn trials(
        &self,
        catalog: &Arc<Catalog>,
        partitions: impl Iterator<Item = u32>,
    ) -> Vec<(u32, Trial)> {
        let (clock, mut asked, mut trials) = (Stopwatch::start(), Vec::new(), Vec::new());
        for partition in partitions {
            let (reply, answer) = channel();
            let command = Command::TryCatalog { catalog: Arc::clone(catalog), reply };
            match self.directory.insist(partition, command) {
                Ok(()) => asked.push((partition, answer)),
                // It does not go on by what is in force: it has nothing against any other.
                Err(_) if self.board.unfit().contains_key(&partition) => {
                    trials.push((partition, Trial::Fits));
                }
                Err(_) => trials.push((partition, Trial::Elsewhere)),
            }
        }
        for (partition, answer) in asked {
            let trial = match answer.recv_timeout(PATIENCE.saturating_sub(clock.elapsed())) {
                Ok(Ok(())) => Trial::Fits,
                Ok(Err(Refusal::Contradicts(reason))) => Trial::Contradicts(reason),
                Ok(Err(Refusal::NotNow(reason) | Refusal::NotKept(reason))) => {
                    Trial::NotNow(reason)
                }
                // It has stopped, or takes too long.
                Err(_) => Trial::NotNow(format!(
                    "partition {partition} has not answered whether it fits its state; try again"
                )),
            };
            trials.push((partition, trial));
        }
        trials
    }

    fn tell(&self, newer: &InForce, partitions: Vec<u32>) -> Result<(), Refusal> {
        let (clock, mut told) = (Stopwatch::start(), Vec::new());
        for partition in partitions {
            let (done, answer) = channel();
            let command = Command::Catalog { newer: newer.clone(), done };
            // A worker that is not there any more needs none.
            if self.directory.insist(partition, command).is_ok() {
                told.push((partition, answer));
            }
        }
        let (mut refused, mut late) = (Vec::new(), Vec::new());
        for (partition, answer) in told {
            match answer.recv_timeout(PATIENCE.saturating_sub(clock.elapsed())) {
                Ok(Ok(())) => self.board.note_fit(partition),
                // One that has stopped, or is restored, takes up what is in force when it starts.
                Err(RecvTimeoutError::Disconnected) => {}
                Ok(Err(reason)) => {
                    refused.push(format!("partition {partition}: {reason}"));
                    self.board.note_unfit(partition, reason);
                }
                Err(RecvTimeoutError::Timeout) => late.push(partition),
            }
        }
        if !refused.is_empty() {
            return Err(Refusal::Contradicts(refused.join("; ")));
        }
        if !late.is_empty() {
            return Err(Refusal::NotNow(format!(
                "it is in force, but partitions {late:?} have not taken it up yet"
            )));
        }
        Ok(())
    }
}

impl Trials for Here {
    fn try_catalog(&self, catalog: &Arc<Catalog>, partitions: &[u32]) -> Vec<(u32, Trial)> {
        self.trials(catalog, partitions.iter().copied())
    }
}

/// What partitions say all together.
fn verdict(trials: Vec<(u32, Trial)>) -> Result<(), Refusal> {
    let mut unasked = Ok(());
    for (partition, trial) in trials {
        match trial {
            Trial::Fits => {}
            Trial::Contradicts(reason) => return Err(Refusal::Contradicts(reason)),
            Trial::NotNow(reason) => unasked = Err(Refusal::NotNow(reason)),
            Trial::Elsewhere => {
                let reason = "is being moved or restored; try again";
                unasked = Err(Refusal::NotNow(format!("partition {partition} {reason}")));
            }
        }
    }
    unasked
}

pub(super) fn reason_of(refusal: Refusal) -> String {
    match refusal {
        Refusal::Contradicts(reason) | Refusal::NotKept(reason) | Refusal::NotNow(reason) => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Owners;
    use std::sync::mpsc::sync_channel;

    /// Partitions are of an instance that nobody listens at.
    #[derive(Debug)]
    struct Away;

    impl Owners for Away {
        fn owner_of(&self, _: u32, _: Option<&str>) -> Result<Option<String>, String> {
            Ok(Some("127.0.0.1:1".to_owned()))
        }
    }

    /// An audience with workers that answer so, one for each partition from 0 on, and so many
    /// further partitions of another instance.
    fn audience(answers: &[Result<(), Refusal>], others: u32) -> Audience {
        let first = InForce { catalog: Arc::default(), position: None, is_known: true };
        let directory = Directory::default();
        for (partition, answer) in (0..).zip(answers.iter().cloned()) {
            let (worker, commands) = sync_channel(8);
            directory.set(partition, Some(worker));
            std::thread::spawn(move || {
                for command in commands {
                    match command {
                        Command::TryCatalog { reply, .. } => reply.send(answer.clone()).unwrap(),
                        Command::Catalog { done, .. } => {
                            done.send(answer.clone().map_err(reason_of)).unwrap();
                        }
                        Command::Stop | Command::Read(_) | Command::Close { .. } => return,
                    }
                }
            });
        }
        let (board, directory) = (Arc::new(CatalogBoard::new(first)), Arc::new(directory));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        // It serves calls for as long as the test runs.
        std::mem::forget(runtime);
        let elsewhere =
            Elsewhere { owners: Arc::new(Away), own: "here:1".to_owned(), runtime: handle };
        let partitions = u32::try_from(answers.len()).unwrap() + others;
        Audience { here: Here { board, directory }, desk: Desk::new(1, 1).0, partitions, elsewhere }
    }

    fn new() -> CatalogText {
        CatalogText { catalog: Arc::default(), text: Bytes::from_static(b"{}") }
    }

    #[test]
    fn a_contradiction_goes_before_a_partition_that_cannot_answer() {
        let not_now = || Err(Refusal::NotNow("moving".to_owned()));
        let contradicts = || Err(Refusal::Contradicts("cut anew".to_owned()));
        let check = |answers: &[Result<(), Refusal>]| audience(answers, 0).check(&new());
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[Ok(()), Ok(())]), Ok(()));
        assert_eq!(check(&[not_now(), Ok(())]), not_now());
        assert_eq!(check(&[not_now(), contradicts(), Ok(())]), contradicts());
    }

    /// Partitions of other instances were not asked: what contradicted them came into force.
    #[test]
    fn what_another_instance_holds_is_asked_too() {
        let refused = audience(&[Ok(())], 1).check(&new());
        let Err(Refusal::NotNow(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("partition 1 has not been asked"), "{reason}");
        assert_eq!(audience(&[Ok(())], 1).check_here(&Arc::default()), Ok(()), "but here it is");
    }

    #[test]
    fn who_refuses_a_catalog_in_force_is_named_and_noted() {
        let newer = InForce { catalog: Arc::default(), position: Some(7), is_known: true };
        let contradicts = || Err(Refusal::Contradicts("cut anew".to_owned()));
        let audience = audience(&[Ok(()), contradicts(), contradicts()], 0);
        let refused = audience.put(&newer, Bytes::new()).map_err(reason_of);
        assert_eq!(refused, Err("partition 1: cut anew; partition 2: cut anew".to_owned()));
        let board = &audience.here.board;
        assert_eq!(board.in_force().position, Some(7));
        assert_eq!(board.unfit().into_keys().collect::<Vec<_>>(), [1, 2]);
    }

    /// It could never start again otherwise: nothing else could come into force.
    #[test]
    fn a_partition_that_has_stopped_for_the_catalog_in_force_does_not_keep_another_away() {
        let audience = audience(&[Ok(())], 1);
        audience.here.board.note_unfit(1, "cut anew".to_owned());
        assert_eq!(audience.check(&new()), Ok(()));
    }
}
