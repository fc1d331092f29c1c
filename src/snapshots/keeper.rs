//! Keeping: what may go once two snapshots are announced, and what must stay.
//!
//! What goes are manifests older than the older of the two, and objects that no manifest names. A
//! later owner uses only what announced snapshots name, or what it uploaded itself: neither does an
//! earlier one ever take away, however late it wakes up. Of snapshots and objects of later owners
//! it takes none, and the two that it knows as announced it keeps, with all they name.

use super::error::SnapshotError;
use super::manifest::sequence_of;
use super::taker::Taker;
use aggregator::Announced;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What was collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) manifests: usize,
    pub(crate) objects: usize,
    /// Objects that were never whole, because who uploaded them was killed.
    pub(crate) unfinished: usize,
}

impl Taker {
    /// Checks that announced snapshots are still there, with every object that they name.
    ///
    /// # Errors
    /// [`SnapshotError`] if one is not.
    pub(crate) fn check(&self, announced: &[Announced]) -> Result<(), SnapshotError> {
        let there: BTreeMap<String, u64> =
            self.objects.list()?.into_iter().map(|found| (found.name, found.bytes)).collect();
        for snapshot in announced {
            let manifest = self.manifest(&snapshot.name)?;
            if manifest.position() != Some(snapshot.position) {
                let reason = format!("manifest {} is of another position", snapshot.name);
                return Err(SnapshotError::Damaged(reason));
            }
            let lost =
                manifest.files.iter().find(|file| there.get(&file.object) != Some(&file.bytes));
            if let Some(lost) = lost {
                let reason = format!("snapshot {} lacks object {}", snapshot.name, lost.object);
                return Err(SnapshotError::Damaged(reason));
            }
        }
        Ok(())
    }

    /// Removes what no snapshot needs that is announced or may yet be, and that was written longer
    /// than `grace` before `now`, which is in seconds since 1970.
    ///
    /// # Errors
    /// [`SnapshotError`]; then more is left for another time.
    pub(crate) fn collect(
        &self,
        announced: &[Announced],
        (now, grace): (i64, Duration),
    ) -> Result<Collected, SnapshotError> {
        let mut collected = Collected::default();
        let Some(oldest) = announced.iter().map(|snapshot| snapshot.position.sequence).min() else {
            return Ok(collected);
        };
        let grace = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let is_old = |written_at: i64| now.saturating_sub(written_at) > grace;
        let mut named = BTreeSet::new();
        // Objects are listed first: what a later owner adds meanwhile is not among them.
        let objects = self.objects.list()?;
        for found in self.manifests.list()? {
            let Some(sequence) = sequence_of(&found.name) else { continue };
            let is_announced = announced.iter().any(|snapshot| snapshot.name == found.name);
            if !is_announced && sequence < oldest && is_old(found.written_at) {
                self.manifests.delete(&found.name)?;
                collected.manifests += 1;
                continue;
            }
            match self.manifest(&found.name) {
                Ok(manifest) => named.extend(manifest.files.into_iter().map(|file| file.object)),
                // It cannot be used, so it keeps nothing; but while it cannot be read, all stays.
                Err(SnapshotError::Damaged(_)) if !is_announced => {}
                Err(error) => return Err(error),
            }
        }
        let is_ours = |object: &str| {
            let epoch = object.get(..20).and_then(|epoch| epoch.parse::<u64>().ok());
            epoch.is_some_and(|epoch| epoch <= self.epoch)
        };
        for found in objects {
            if is_ours(&found.name) && is_old(found.written_at) && !named.contains(&found.name) {
                self.objects.delete(&found.name)?;
                collected.objects += 1;
            }
        }
        let is_over = |object: &str, written_at: i64| is_ours(object) && is_old(written_at);
        collected.unfinished = self.objects.remove_unfinished(is_over)?;
        // A manifest is written at once, and begins with the number of its group.
        let is_over = |manifest: &str, written_at: i64| {
            sequence_of(manifest).is_some_and(|sequence| sequence < oldest) && is_old(written_at)
        };
        collected.unfinished += self.manifests.remove_unfinished(is_over)?;
        Ok(collected)
    }
}
