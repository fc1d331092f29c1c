//! Corrections: what must stand at the place of a record that others cancel or amend.
//!
//! What stands follows from the set of corrections alone. Here it is only asked whether something
//! does; which line is worth what is a matter of prices.

use super::event::Corrects;
use super::finding::Kind;
use super::fingerprint::Fingerprint;
use super::limits::CORRECTION_DEPTH_MAX;
use super::place::Place;
use super::{Context, Map};
use std::collections::BTreeMap;

/// An identity: the number of its owner, and source and id.
pub(super) type Identity = (u32, Fingerprint);

/// All corrections that were admitted.
#[derive(Debug, Default)]
pub(super) struct Corrections {
    known: Map<Identity, Correction>,
    /// By what they correct.
    of: Map<Identity, Vec<Fingerprint>>,
    /// The lines of every record that has corrections.
    roots: BTreeMap<Identity, Root>,
}

#[derive(Debug)]
struct Correction {
    corrects: Corrects,
    /// Whether the service has come to it.
    is_read: bool,
}

#[derive(Debug)]
struct Root {
    place: Place,
    /// Whether a correction has not been read yet, so that nothing can be said.
    is_moving: bool,
    lines: BTreeMap<Fingerprint, Standing>,
}

/// How often a line was added, less how often it was taken back.
#[derive(Debug, Default)]
struct Standing {
    net: i64,
    is_own: bool,
}

impl Corrections {
    pub(super) fn add(&mut self, (owner, own): Identity, corrects: Corrects, is_read: bool) {
        self.of.entry((owner, corrects.target)).or_default().push(own);
        self.known.insert((owner, own), Correction { corrects, is_read });
    }

    /// The usage record at whose place a correction works; `None` of a circle.
    pub(super) fn root(&self, (owner, own): Identity) -> Option<Fingerprint> {
        let mut at = own;
        for _ in 0..CORRECTION_DEPTH_MAX {
            match self.known.get(&(owner, at)) {
                Some(correction) => at = correction.corrects.target,
                None => return Some(at),
            }
        }
        None
    }

    /// Learns which records have corrections; `place_of` says where one that was admitted stands.
    pub(super) fn prepare(&mut self, place_of: impl Fn(Identity) -> Option<Place>) {
        for ((owner, own), correction) in &self.known {
            let Some(root) = self.root((*owner, *own)) else { continue };
            let Some(place) = place_of((*owner, root)) else { continue };
            let new = || Root { place, is_moving: false, lines: BTreeMap::new() };
            let root = self.roots.entry((*owner, root)).or_insert_with(new);
            root.is_moving |= !correction.is_read;
        }
    }

    /// Counts a line of a record or of one of its corrections.
    pub(super) fn count(
        &mut self,
        record: Identity,
        line: Fingerprint,
        (taken_back, is_own): (bool, bool),
    ) {
        let Some(root) = self.roots.get_mut(&record) else { return };
        let standing = root.lines.entry(line).or_default();
        standing.net += if taken_back { -1 } else { 1 };
        standing.is_own |= is_own;
    }

    /// Notes the records of which something else stands than their corrections say.
    pub(super) fn finish(&self, cx: &mut Context) {
        for ((owner, name), root) in self.roots.iter().filter(|(_, root)| !root.is_moving) {
            let Some(stands) = self.is_in_force((*owner, *name), 0) else { continue };
            let amended = stands && self.is_amended((*owner, *name));
            let right = |line: &Standing| match (stands, amended) {
                (false, _) => line.net == 0,
                (true, true) => (0..=1).contains(&line.net),
                (true, false) => line.net == i64::from(line.is_own),
            };
            let wrong = root.lines.values().filter(|line| !right(line)).count();
            if wrong == 0 {
                continue;
            }
            cx.findings.add(Kind::Standing, || {
                let what = match (stands, amended) {
                    (false, _) => "is cancelled, yet lines of it stand",
                    (true, true) => "is amended, yet lines of it stand or fail more than once",
                    (true, false) => "is not cancelled, yet not just its own lines stand",
                };
                format!("{}: {what}: {wrong}", cx.logs.show(root.place))
            });
        }
    }

    /// Whether no cancellation in force takes a record away; `None` if that cannot be told.
    fn is_in_force(&self, (owner, name): Identity, depth: usize) -> Option<bool> {
        if depth > CORRECTION_DEPTH_MAX {
            return None;
        }
        for own in self.of.get(&(owner, name)).into_iter().flatten() {
            let cancels =
                self.known.get(&(owner, *own)).is_some_and(|known| known.corrects.cancels);
            if cancels && self.is_in_force((owner, *own), depth + 1)? {
                return Some(false);
            }
        }
        Some(true)
    }

    fn is_amended(&self, (owner, name): Identity) -> bool {
        self.of.get(&(owner, name)).into_iter().flatten().any(|own| {
            let amends =
                self.known.get(&(owner, *own)).is_some_and(|known| !known.corrects.cancels);
            amends && self.is_in_force((owner, *own), 1) == Some(true)
        })
    }
}
