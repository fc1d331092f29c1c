//! Corrections: what stands at the place of a record that others cancel or amend.
//!
//! A correction is kept under its target, so that what stands at a place follows from the set of
//! its corrections, whatever their order of arrival. Targets are always there before: a correction
//! that comes too early waits. So corrections form trees whose roots are usage records, and a
//! circle of corrections waits for ever.

use crate::codec::{Reader, put_signed, put_text};
use crate::commit::Delta;
use crate::dedupe::{Content, read_content, write_content};
use crate::error::Error;
use crate::keys::{correction_ids, correction_key};
use crate::limits::{CORRECTION_DEPTH_MAX, CORRECTIONS_MAX};
use crate::store::{Store, Table};
use rating::Instant;
use std::collections::BTreeMap;

const CORRECTION_VERSION: u8 = 1;

/// One correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Correction {
    /// Its own time, source and id: the greatest amendment wins.
    pub(crate) at: Instant,
    pub(crate) source: String,
    pub(crate) id: String,
    /// The usage record at whose place it works, through whatever it corrects itself.
    pub(crate) root: u128,
    pub(crate) root_source: String,
    pub(crate) root_id: String,
    /// How many corrections it is away from the root, from 1 on.
    pub(crate) depth: usize,
    /// What an amendment puts there; `None` for a cancellation.
    pub(crate) replacement: Option<Content>,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The record itself.
    Own,
    /// What the amendment of that identity puts there.
    Amended(u128),
    /// Nothing.
    Cancelled,
}

/// All corrections: those of the store, and in front of them those since the last commit.
#[derive(Debug, Default)]
pub(crate) struct Corrections {
    pending: BTreeMap<(u128, u128), Correction>,
}

impl Corrections {
    pub(crate) fn get(
        &self,
        store: &Store,
        (target, own): (u128, u128),
    ) -> Result<Option<Correction>, Error> {
        if let Some(correction) = self.pending.get(&(target, own)) {
            return Ok(Some(correction.clone()));
        }
        let bytes = store.get(Table::Corrections, &correction_key(target, own))?;
        bytes.map(|bytes| decode(&bytes).ok_or(DAMAGED)).transpose()
    }

    /// The target of a correction that was put in since the last commit.
    pub(crate) fn target_of(&self, own: u128) -> Option<u128> {
        self.pending.keys().find(|(_, found)| *found == own).map(|(target, _)| *target)
    }

    pub(crate) fn insert(&mut self, target: u128, own: u128, correction: Correction) {
        self.pending.insert((target, own), correction);
    }

    pub(crate) fn remove_pending(&mut self, target: u128, own: u128) {
        self.pending.remove(&(target, own));
    }

    /// The corrections of a record, by their identities.
    pub(crate) fn of(&self, store: &Store, target: u128) -> Result<Vec<(u128, Correction)>, Error> {
        let mut found = Vec::new();
        store.scan_prefix(Table::Corrections, &target.to_be_bytes(), |key, bytes| {
            let (_, own) = correction_ids(key).ok_or(DAMAGED)?;
            found.push((own, decode(bytes).ok_or(DAMAGED)?));
            Ok(())
        })?;
        let pending = self.pending.range((target, 0)..=(target, u128::MAX));
        found.extend(pending.map(|((_, own), correction)| (*own, correction.clone())));
        Ok(found)
    }

    /// Whether a record has as many corrections as are told apart.
    pub(crate) fn is_full(&self, store: &Store, target: u128, depth: usize) -> Result<bool, Error> {
        Ok(depth > CORRECTION_DEPTH_MAX || self.of(store, target)?.len() >= CORRECTIONS_MAX)
    }

    /// What stands at the place of a record.
    ///
    /// A cancellation in force wins over amendments; of amendments in force the greatest wins, and
    /// what stands at its own place stands here.
    pub(crate) fn standing(&self, store: &Store, target: u128) -> Result<Standing, Error> {
        let mut standing = Standing::Own;
        let mut greatest: Option<(Instant, String, String)> = None;
        for (own, correction) in self.of(store, target)? {
            if !self.is_in_force(store, own)? {
                continue;
            }
            if correction.replacement.is_none() {
                return Ok(Standing::Cancelled);
            }
            let order = Some((correction.at, correction.source, correction.id));
            if order > greatest {
                (standing, greatest) = (Standing::Amended(own), order);
            }
        }
        let Standing::Amended(own) = standing else { return Ok(standing) };
        // It is in force, so what stands at its place is itself or an amendment of it.
        Ok(match self.standing(store, own)? {
            Standing::Own | Standing::Cancelled => standing,
            Standing::Amended(of_it) => Standing::Amended(of_it),
        })
    }

    fn is_in_force(&self, store: &Store, correction: u128) -> Result<bool, Error> {
        for (own, cancelling) in self.of(store, correction)? {
            if cancelling.replacement.is_none() && self.is_in_force(store, own)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The identities of all records that have corrections at their places.
    pub(crate) fn roots(&self, store: &Store) -> Result<Vec<u128>, Error> {
        let mut roots: Vec<u128> = self.pending.values().map(|found| found.root).collect();
        store.scan(Table::Corrections, |_, bytes| {
            roots.push(decode(bytes).ok_or(DAMAGED)?.root);
            Ok(())
        })?;
        roots.sort_unstable();
        roots.dedup();
        Ok(roots)
    }

    pub(crate) fn stage(&self, delta: &mut Delta) {
        for ((target, own), correction) in &self.pending {
            delta.put_with(Table::Corrections, |out| {
                out.extend_from_slice(&correction_key(*target, *own));
                let middle = out.len();
                encode(out, correction);
                middle
            });
        }
    }

    pub(crate) fn committed(&mut self) {
        self.pending.clear();
    }
}

const DAMAGED: Error = Error::Damaged { what: "correction" };

// Frozen: the bytes of a correction.
fn encode(out: &mut Vec<u8>, correction: &Correction) {
    out.push(CORRECTION_VERSION);
    put_signed(out, correction.at.nanos());
    put_text(out, &correction.source);
    put_text(out, &correction.id);
    out.extend_from_slice(&correction.root.to_be_bytes());
    put_text(out, &correction.root_source);
    put_text(out, &correction.root_id);
    out.push(u8::try_from(correction.depth).unwrap_or(u8::MAX));
    if let Some(content) = &correction.replacement {
        let Content { used_at, event_type, is_named, lines } = content;
        write_content(out, (*used_at, *event_type, *is_named), lines);
    }
}

fn decode(bytes: &[u8]) -> Option<Correction> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != CORRECTION_VERSION {
        return None;
    }
    let at = reader.instant()?;
    let (source, id) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let root = u128::from_be_bytes(reader.take(16)?.try_into().ok()?);
    let (root_source, root_id) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let depth = usize::from(reader.byte()?);
    let replacement = if reader.is_empty() { None } else { Some(read_content(&mut reader)?) };
    reader.is_empty().then_some(Correction {
        at,
        source,
        id,
        root,
        root_source,
        root_id,
        depth,
        replacement,
    })
}
