//! The audience of a catalog: all partitions, which must have nothing against one before it is in
//! force, and those of this instance, which must then have it.

use super::catalog_topic::{CatalogBoard, InForce};
use super::command::{Asker, Command};
use super::directory::{Directory, Unsent};
use super::elsewhere::Elsewhere;
use super::limits::{ASKED_AGAIN_SECONDS_MAX, COMMAND_SECONDS_MAX};
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
/// How long ago they may have said that they still fit, when it counts.
const STALE: Duration = Duration::from_secs(ASKED_AGAIN_SECONDS_MAX);

/// Whoever must know of a catalog.
#[derive(Debug, Clone)]
pub(super) struct Audience {
    pub(super) here: Here,
    pub(super) desk: Arc<Desk>,
    /// Where the others are.
    pub(super) elsewhere: Elsewhere,
}

/// The partitions of this instance.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub(super) board: Arc<CatalogBoard>,
    pub(super) directory: Arc<Directory>,
    /// How many partitions there are in all, here and elsewhere.
    pub(super) partitions: u32,
}

impl Audience {
    /// Asks all partitions whether a catalog fits what they have rated: those of others, by whoever
    /// holds them, and then those of this instance, which can be asked in less time.
    ///
    /// A contradiction goes before a partition that cannot answer.
    pub(super) fn check(&self, new: &CatalogText) -> Result<(), Refusal> {
        let own = self.here.own();
        let others: Vec<u32> = (0..self.here.partitions).filter(|one| !own.contains(one)).collect();
        let elsewhere = if others.is_empty() {
            Ok(())
        } else {
            verdict(self.elsewhere.try_catalog(&new.text, &others))
        };
        if matches!(elsewhere, Err(Refusal::Contradicts(_))) {
            return elsewhere;
        }
        verdict(self.here.trials(&new.catalog, own.into_iter(), Asker::Keeper)).and(elsewhere)
    }

    /// As [`Audience::check`], just before it counts. States that take longer than a moment to say
    /// it must be believed all the same, but not for ever: they go on rating meanwhile.
    pub(super) fn check_again(&self, new: &CatalogText) -> Result<(), Refusal> {
        self.check_within(new, STALE)
    }

    fn check_within(&self, new: &CatalogText, most: Duration) -> Result<(), Refusal> {
        let asked = Stopwatch::start();
        self.check(new)?;
        if asked.elapsed() > most {
            return Err(Refusal::NotNow(format!(
                "partitions took longer than {most:?} to say whether it fits; try again"
            )));
        }
        Ok(())
    }

    /// As [`Audience::check`], of the partitions of this instance only.
    pub(super) fn check_here(&self, catalog: &Arc<Catalog>) -> Result<(), Refusal> {
        verdict(self.here.trials(catalog, self.here.own().into_iter(), Asker::Keeper))
    }

    /// Puts a catalog in force here, and waits until all partitions that are held have it; says
    /// which of them do not take it.
    pub(super) fn put(&self, newer: &InForce, text: Bytes) -> Result<(), Refusal> {
        // Whoever starts from now on finds it there.
        self.here.board.set(newer.clone());
        let told = self.here.tell(newer, self.here.directory.held());
        // Not before: usage that is sent because it is shown must not be rated by the one before.
        // Partitions that are late, or do not take it, are told of by whoever gets the answer.
        self.desk.show_catalog(Some(CatalogText { catalog: Arc::clone(&newer.catalog), text }));
        told
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
        by: Asker,
    ) -> Vec<(u32, Trial)> {
        let (clock, mut asked, mut trials) = (Stopwatch::start(), Vec::new(), Vec::new());
        for partition in partitions {
            let (reply, answer) = channel();
            let command = Command::TryCatalog { catalog: Arc::clone(catalog), by, reply };
            let patience = PATIENCE.saturating_sub(clock.elapsed());
            match self.directory.insist(partition, command, patience) {
                Ok(()) => asked.push((partition, answer)),
                // It does not go on by what is in force: it has nothing against any other.
                Err(Unsent::Elsewhere(_)) if self.board.unfit().contains_key(&partition) => {
                    trials.push((partition, Trial::Fits));
                }
                Err(Unsent::Elsewhere(_)) => trials.push((partition, Trial::Elsewhere)),
                Err(Unsent::Full(_)) => trials.push((partition, unanswered(partition))),
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
                Err(_) => unanswered(partition),
            };
            trials.push((partition, trial));
        }
        trials
    }

    /// Tells partitions what is in force, each of which notes whether it takes it.
    fn tell(&self, newer: &InForce, partitions: Vec<u32>) -> Result<(), Refusal> {
        let (clock, mut told) = (Stopwatch::start(), Vec::new());
        let (mut refused, mut late) = (Vec::new(), Vec::new());
        for partition in partitions {
            let (done, answer) = channel();
            let command = Command::Catalog { newer: newer.clone(), done };
            let patience = PATIENCE.saturating_sub(clock.elapsed());
            match self.directory.insist(partition, command, patience) {
                Ok(()) => told.push((partition, answer)),
                // A worker that is not there any more needs none.
                Err(Unsent::Elsewhere(_)) => {}
                Err(Unsent::Full(_)) => late.push(partition),
            }
        }
        for (partition, answer) in told {
            match answer.recv_timeout(PATIENCE.saturating_sub(clock.elapsed())) {
                // One that has stopped, or is restored, takes up what is in force when it starts.
                Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => {}
                Ok(Err(reason)) => refused.push(format!("partition {partition}: {reason}")),
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
        self.trials(catalog, partitions.iter().copied(), Asker::Peer)
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }
}

fn unanswered(partition: u32) -> Trial {
    Trial::NotNow(format!(
        "partition {partition} has not answered whether it fits its state; try again"
    ))
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
        let (directory, board) = (Directory::default(), Arc::new(CatalogBoard::new(first)));
        for (partition, answer) in (0..).zip(answers.iter().cloned()) {
            let (worker, commands) = sync_channel(8);
            directory.set(partition, Some(worker));
            let board = Arc::clone(&board);
            std::thread::spawn(move || {
                for command in commands {
                    match command {
                        Command::TryCatalog { reply, .. } => reply.send(answer.clone()).unwrap(),
                        Command::Catalog { done, .. } => {
                            let taken = answer.clone().map_err(reason_of);
                            board.note(partition, &taken);
                            done.send(taken).unwrap();
                        }
                        Command::Stop | Command::Read(_) | Command::Close { .. } => return,
                    }
                }
            });
        }
        let directory = Arc::new(directory);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        // It serves calls for as long as the test runs.
        std::mem::forget(runtime);
        let elsewhere =
            Elsewhere { owners: Arc::new(Away), own: "here:1".to_owned(), runtime: handle };
        let partitions = u32::try_from(answers.len()).unwrap() + others;
        let here = Here { board, directory, partitions };
        Audience { here, desk: Desk::new(1, 1).0, elsewhere }
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

    /// A partition goes on rating after it was asked.
    #[test]
    fn what_was_said_before_or_long_ago_does_not_count() {
        let audience = audience(&[Ok(())], 0);
        assert_eq!(audience.check(&new()), Ok(()));
        assert_eq!(audience.check_again(&new()), Ok(()));
        // Whatever it takes to answer is longer than this.
        let refused = audience.check_within(&new(), Duration::ZERO);
        let Err(Refusal::NotNow(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("took longer"), "{reason}");
        // The same partition, of which something has been rated since.
        let contradicts = || Err(Refusal::Contradicts("cut anew".to_owned()));
        let (worker, commands) = sync_channel(8);
        audience.here.directory.set(0, Some(worker));
        std::thread::spawn(move || {
            for command in commands {
                let Command::TryCatalog { reply, .. } = command else { return };
                reply.send(contradicts()).unwrap();
            }
        });
        assert_eq!(audience.check_again(&new()), contradicts());
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

    /// It was shown before partitions had it. Usage that was sent then could be rated by the one
    /// before, and kept its partition from ever taking the new one.
    #[test]
    fn what_is_shown_is_what_partitions_rate_by() {
        let audience = audience(&[], 0);
        let (worker, commands) = sync_channel(8);
        audience.here.directory.set(0, Some(worker));
        let desk = Arc::clone(&audience.desk);
        let rating = std::thread::spawn(move || {
            let Ok(Command::Catalog { done, .. }) = commands.recv() else { return true };
            let is_shown = desk.catalog().is_some();
            done.send(Ok(())).unwrap();
            is_shown
        });
        let newer = InForce { catalog: Arc::default(), position: Some(7), is_known: true };
        assert_eq!(audience.put(&newer, Bytes::new()), Ok(()));
        assert!(audience.desk.catalog().is_some());
        assert!(!rating.join().unwrap(), "shown while the partition had the one before");
    }

    /// It could never start again otherwise: nothing else could come into force.
    #[test]
    fn a_partition_that_has_stopped_for_the_catalog_in_force_does_not_keep_another_away() {
        let audience = audience(&[Ok(())], 1);
        audience.here.board.note_unfit(1, "cut anew".to_owned());
        assert_eq!(audience.check(&new()), Ok(()));
    }
}
