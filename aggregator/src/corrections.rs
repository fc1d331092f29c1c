//! Corrections: what stands at the place of a record that others cancel or amend.
//!
//! A correction is kept under its target, so that what stands at a place follows from the set of
//! its corrections, whatever their order of arrival. Targets are always there before: a correction
//! that comes too early waits. So corrections form trees whose roots are usage records, and a
//! circle of corrections waits for ever.

use crate::admitted::{Content, read_content, write_content};
use crate::codec::{Reader, put_signed, put_text};
use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{correction_ids, correction_key};
use crate::limits::{AMENDMENTS_MAX, CANCELLATIONS_MAX, CORRECTION_DEPTH_MAX};
use crate::store::Store;
use crate::tables::Table;
use rating::Instant;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// What the amendment of that identity puts there, and what it amends.
    Amended(u128, u128),
    /// Nothing.
    Cancelled,
}

/// The corrections of one record, by their identities.
type Siblings = Arc<Vec<(u128, Arc<Correction>)>>;

/// All corrections: those of the store, and in front of them those since the last commit.
#[derive(Debug, Default)]
pub(crate) struct Corrections {
    pending: BTreeMap<(u128, u128), Arc<Correction>>,
    /// Those of records that were looked at since the last commit.
    known: RefCell<BTreeMap<u128, Siblings>>,
}

impl Corrections {
    pub(crate) fn get(
        &self,
        store: &Store,
        (target, own): (u128, u128),
    ) -> Result<Option<Correction>, Error> {
        if let Some(correction) = self.pending.get(&(target, own)) {
            return Ok(Some(Correction::clone(correction)));
        }
        let bytes = store.get(Table::Corrections, &correction_key(target, own))?;
        bytes.map(|bytes| decode(&bytes).ok_or(DAMAGED)).transpose()
    }

    pub(crate) fn insert(
        &mut self,
        store: &Store,
        (target, own): (u128, u128),
        correction: Correction,
    ) -> Result<(), Error> {
        let correction = Arc::new(correction);
        self.of(store, target)?;
        if let Some(siblings) = self.known.get_mut().get_mut(&target) {
            Arc::make_mut(siblings).push((own, Arc::clone(&correction)));
        }
        self.pending.insert((target, own), correction);
        Ok(())
    }

    pub(crate) fn remove_pending(&mut self, target: u128, own: u128) {
        self.pending.remove(&(target, own));
        self.known.get_mut().remove(&target);
    }

    /// The corrections of a record.
    fn of(&self, store: &Store, target: u128) -> Result<Siblings, Error> {
        if let Some(known) = self.known.borrow().get(&target) {
            return Ok(Arc::clone(known));
        }
        let mut found = Vec::new();
        store.scan_prefix(Table::Corrections, &target.to_be_bytes(), |key, bytes| {
            let (_, own) = correction_ids(key).ok_or(DAMAGED)?;
            found.push((own, Arc::new(decode(bytes).ok_or(DAMAGED)?)));
            Ok(())
        })?;
        let pending = self.pending.range((target, 0)..=(target, u128::MAX));
        found.extend(pending.map(|((_, own), correction)| (*own, Arc::clone(correction))));
        let found = Arc::new(found);
        self.known.borrow_mut().insert(target, Arc::clone(&found));
        Ok(found)
    }

    /// Whether a record has as many corrections as are told apart. What is cancelled already may
    /// be cancelled again much more often: retries are common.
    pub(crate) fn is_full(
        &self,
        store: &Store,
        (target, depth): (u128, usize),
        cancels: bool,
    ) -> Result<bool, Error> {
        let bound = if cancels { CANCELLATIONS_MAX } else { AMENDMENTS_MAX };
        let siblings = self.of(store, target)?;
        let same = |(_, found): &&(u128, Arc<Correction>)| found.replacement.is_none() == cancels;
        let count = siblings.iter().filter(same).count();
        Ok(depth > CORRECTION_DEPTH_MAX || count >= bound)
    }

    /// What stands at the place of a record.
    ///
    /// A cancellation in force wins over amendments; of amendments in force the greatest wins, and
    /// what stands at its own place stands here.
    pub(crate) fn standing(&self, store: &Store, target: u128) -> Result<Standing, Error> {
        if !self.is_in_force(store, target)? {
            return Ok(Standing::Cancelled);
        }
        let siblings = self.of(store, target)?;
        let mut amendments: Vec<&(u128, Arc<Correction>)> =
            siblings.iter().filter(|(_, found)| found.replacement.is_some()).collect();
        amendments
            .sort_by(|(_, a), (_, b)| (b.at, &b.source, &b.id).cmp(&(a.at, &a.source, &a.id)));
        for (own, _) in amendments {
            if self.is_in_force(store, *own)? {
                return Ok(match self.standing(store, *own)? {
                    Standing::Own | Standing::Cancelled => Standing::Amended(*own, target),
                    amended @ Standing::Amended(..) => amended,
                });
            }
        }
        Ok(Standing::Own)
    }

    /// Whether no cancellation in force takes a record away.
    fn is_in_force(&self, store: &Store, record: u128) -> Result<bool, Error> {
        let siblings = self.of(store, record)?;
        for (own, found) in siblings.iter() {
            if found.replacement.is_none() && self.is_in_force(store, *own)? {
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
        self.known.get_mut().clear();
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
        let Content { used_at, event_type, named, lines } = content;
        write_content(out, (*used_at, *event_type, *named), lines);
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
