//! Provenance: what the store of a partition is made of, when its own is gone or no good.
//!
//! A store that is there is tried first. Then snapshots are, the newest first, and in the end
//! nothing, which the log can fill only if it still begins at its beginning. A store or snapshot
//! that ends beyond the log is no reason to go on: it shows that the log is not what it was.

use super::stop::Stop;
use super::worker::{Heed, Job};
use super::{phase, store_directory};
use crate::clock::Stopwatch;
use crate::snapshots::{Refused, SnapshotError, beside, fetch, remove};
use aggregator::{Announced, Layout, Store};
use std::time::Duration;

/// How often fetching says how far it is.
const TOLD: Duration = Duration::from_secs(5);

/// What a store was made of.
#[derive(Debug, PartialEq, Eq)]
enum MadeOf {
    /// It was there.
    Itself,
    Snapshot(Announced),
    Nothing,
}

/// What was tried so far to get a store.
#[derive(Debug)]
pub(super) struct Provenance {
    made_of: MadeOf,
    refused: Refused,
    /// Why it is not known which snapshots there are.
    unavailable: Option<String>,
}

impl Provenance {
    pub(super) const fn new() -> Self {
        Self { made_of: MadeOf::Itself, refused: Refused::new(), unavailable: None }
    }

    /// Opens the store, having made it of a snapshot if it is not there; `None` if the worker was
    /// told to stop meanwhile.
    pub(super) fn open(&mut self, job: &Job, heed: &mut Heed<'_>) -> Result<Option<Store>, Stop> {
        std::fs::create_dir_all(&job.state_dir).map_err(|error| {
            Stop::Failed(format!("cannot make {}: {error}", job.state_dir.display()))
        })?;
        let directory = store_directory(&job.state_dir, job.partition);
        self.made_of = MadeOf::Itself;
        if directory.join("CURRENT").exists() {
            let store = open_store(job)?;
            if store.log_position()?.is_some() {
                return Ok(Some(store));
            }
            // It holds nothing, and the log may no longer begin where it would have to.
            drop(store);
            remove(&directory).map_err(|error| Stop::Failed(error.to_string()))?;
        }
        self.made_of = match self.fetch(job, heed) {
            Ok(Some(snapshot)) => MadeOf::Snapshot(snapshot),
            Ok(None) => MadeOf::Nothing,
            Err(SnapshotError::GivenUp) => return Ok(None),
            Err(error) => {
                tracing::warn!(
                    partition = job.partition,
                    "no snapshot can be fetched, so the state log must do: {error}"
                );
                self.unavailable = Some(error.to_string());
                MadeOf::Nothing
            }
        };
        let store = open_store(job)?;
        if let MadeOf::Snapshot(snapshot) = &self.made_of
            && store.log_position()? != Some(snapshot.position)
        {
            return Err(Stop::Store(format!("snapshot {} is not what it says", snapshot.name)));
        }
        Ok(Some(store))
    }

    /// Says that the store is restored: it is the partition's own from now on, whatever it was made
    /// of. Damage that is found later is not that of a snapshot.
    pub(super) fn is_restored(&mut self) {
        *self = Self::new();
    }

    fn fetch(
        &mut self,
        job: &Job,
        heed: &mut Heed<'_>,
    ) -> Result<Option<Announced>, SnapshotError> {
        let folder = job.snapshots.folder(job.partition);
        let directory = store_directory(&job.state_dir, job.partition);
        let (clock, mut told) = (Stopwatch::start(), Duration::ZERO);
        phase(job.partition, "fetching");
        let mut tell = |received, of| {
            job.metrics.fetching(received, of);
            if clock.elapsed().saturating_sub(told) >= TOLD {
                told = clock.elapsed();
                tracing::info!(
                    partition = job.partition,
                    "restoring: {received} of {of} bytes of a snapshot"
                );
            }
            !heed.is_told_to_stop()
        };
        let fetched = fetch((&folder, job.partition), &directory, &mut self.refused, &mut tell)?;
        if let Some(Announced { name, position }) = &fetched {
            tracing::info!(
                partition = job.partition,
                "restoring: snapshot {name} is fetched; it holds the state log up to offset {}",
                position.offset
            );
        }
        Ok(fetched)
    }

    /// The snapshot that the store was made of, if it was.
    pub(super) fn snapshot(&self) -> Option<String> {
        match &self.made_of {
            MadeOf::Snapshot(snapshot) => Some(snapshot.name.clone()),
            MadeOf::Itself | MadeOf::Nothing => None,
        }
    }

    /// Puts a store out of the way that is no good; whether there may be another.
    pub(super) fn refuse(&mut self, job: &Job, reason: &str) -> Result<bool, Stop> {
        let directory = store_directory(&job.state_dir, job.partition);
        let failed = |error: SnapshotError| Stop::Failed(error.to_string());
        match std::mem::replace(&mut self.made_of, MadeOf::Itself) {
            MadeOf::Itself => {
                tracing::warn!(
                    partition = job.partition,
                    "the store is put aside and made anew: {reason}"
                );
                let aside = beside(&directory, ".aside");
                remove(&aside).map_err(failed)?;
                match std::fs::rename(&directory, &aside) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        let name = directory.display();
                        Err(Stop::Failed(format!("cannot move {name} away: {error}")))
                    }
                    _ => Ok(true),
                }
            }
            MadeOf::Snapshot(Announced { name, .. }) => {
                tracing::error!(
                    partition = job.partition,
                    "snapshot {name} is not used, and the one before it is tried: {reason}"
                );
                self.refused.insert(name, reason.to_owned());
                remove(&directory).map_err(failed)?;
                Ok(true)
            }
            MadeOf::Nothing => {
                // Left there, it would be taken for the partition's own next time.
                remove(&directory).map_err(failed)?;
                Ok(false)
            }
        }
    }

    /// Says of which snapshot a lost partition was made, or why nothing could be made of the log
    /// alone; asks to try again where that may help.
    pub(super) fn explain(&self, job: &Job, stop: Stop) -> Stop {
        let Stop::Lost(reason) = stop else { return stop };
        let folder = job.snapshots.folder(job.partition);
        match &self.made_of {
            MadeOf::Itself => return Stop::Lost(reason),
            MadeOf::Snapshot(Announced { name, .. }) => {
                let made_of = format!("the store was made of snapshot {name} in {folder}");
                return Stop::Lost(format!("{reason}; {made_of}"));
            }
            MadeOf::Nothing => {}
        }
        if let Some(unavailable) = &self.unavailable {
            return Stop::Failed(format!("{reason}; {unavailable}"));
        }
        let refused: Vec<String> =
            self.refused.iter().map(|(name, why)| format!("; {name}: {why}")).collect();
        Stop::Lost(format!("{reason}; snapshots were looked for in {folder}{}", refused.concat()))
    }
}

fn open_store(job: &Job) -> Result<Store, Stop> {
    let directory = store_directory(&job.state_dir, job.partition);
    let layout = Layout { partitions: job.topics.partitions, is_replica: true };
    Ok(Store::open(&directory, super::worker::draw_seeds()?, layout, &job.memory)?)
}
