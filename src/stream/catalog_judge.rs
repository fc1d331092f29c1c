//! The judge: which entries of the catalog's topic may follow what is in force.
//!
//! Besides what makes a catalog faulty, a version of a plan stays what it is, and whoever is asked
//! may object. Asking has a price, so that it can be put off: then the judge tries nothing further.

use super::catalog_entries::{Change, Decision, Texts, document};
use crate::service::{CATALOG_BYTES_MAX, CatalogText};
use rating::Catalog;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What there is against a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Objection {
    /// It contradicts what was rated.
    Contradicts(String),
    /// That is not asked now.
    PutOff(String),
}

/// Why entries are not taken over.
enum Against {
    Faulty(String),
    Objected(Objection),
}

/// Tries entries on what is in force.
pub(super) struct Judge<'a> {
    texts: Texts,
    plans: Plans,
    objection: &'a mut dyn FnMut(&CatalogText) -> Option<Objection>,
    /// Entries that contradict what was rated, and why.
    refused: Texts,
    /// Why nothing further is tried.
    put_off: Option<String>,
}

impl<'a> Judge<'a> {
    /// Begins with the entries in force and the catalog that they make.
    pub(super) fn new(
        texts: Texts,
        catalog: &Catalog,
        objection: &'a mut dyn FnMut(&CatalogText) -> Option<Objection>,
    ) -> Self {
        let plans = plans_of(catalog);
        Self { texts, plans, objection, refused: Texts::new(), put_off: None }
    }

    /// Why nothing further is tried, if so.
    pub(super) fn put_off(&self) -> Option<&str> {
        self.put_off.as_deref()
    }

    /// Which entries contradict what was rated, with the reason of each; and why others were not
    /// tried.
    pub(super) fn done(self) -> (Texts, Option<String>) {
        (self.refused, self.put_off)
    }

    /// Takes over all entries that fit, by halves: a few that do not cost a few readings. Those
    /// that are left are told why, but for the refused.
    pub(super) fn add(
        &mut self,
        mut entries: Vec<Change>,
        (left, decision): (&mut Vec<Change>, &mut Decision),
    ) {
        if self.put_off.is_some() {
            left.append(&mut entries);
            return;
        }
        match self.try_with(&entries) {
            Ok(catalog) => {
                decision.catalog = Some(catalog);
                for (key, _) in &entries {
                    self.refused.remove(key);
                }
                decision.changes.append(&mut entries);
            }
            Err(Against::Objected(Objection::PutOff(reason))) => {
                self.put_off = Some(reason);
                left.append(&mut entries);
            }
            Err(_) if entries.len() > 1 => {
                let second = entries.split_off(entries.len() / 2);
                self.add(entries, (left, decision));
                self.add(second, (left, decision));
            }
            Err(Against::Faulty(reason)) => {
                for (key, _) in &entries {
                    self.refused.remove(key);
                    decision.reasons.push(format!("{key}: {reason}"));
                }
                left.append(&mut entries);
            }
            Err(Against::Objected(Objection::Contradicts(reason))) => {
                for (key, _) in &entries {
                    self.refused.insert(key.clone(), reason.clone());
                }
                left.append(&mut entries);
            }
        }
    }

    /// Takes over entries if they fit.
    fn try_with(&mut self, entries: &[Change]) -> Result<CatalogText, Against> {
        let mut candidate = self.texts.clone();
        for (key, text) in entries {
            match text {
                Some(text) => candidate.insert(key.clone(), text.clone()),
                None => candidate.remove(key),
            };
        }
        let text = document(&candidate);
        if text.len() > CATALOG_BYTES_MAX {
            let reason = format!("the catalog would be larger than {CATALOG_BYTES_MAX} bytes");
            return Err(Against::Faulty(reason));
        }
        let first = |faults: Vec<_>| faults.first().map(ToString::to_string).unwrap_or_default();
        let parsed = Catalog::parse(text.as_bytes());
        let catalog = Arc::new(parsed.map_err(|faults| Against::Faulty(first(faults)))?);
        let new = CatalogText { catalog: Arc::clone(&catalog), text: text.into() };
        let lost = || find_withdrawn_plan(&self.plans, &catalog);
        if let Some(reason) = find_changed_plan(&self.plans, &catalog).or_else(lost) {
            return Err(Against::Faulty(reason));
        }
        if let Some(objection) = (self.objection)(&new) {
            return Err(Against::Objected(objection));
        }
        self.texts = candidate;
        // What one pass lets in, the next one must not take away.
        self.plans = plans_of(&catalog);
        Ok(new)
    }
}

/// Versions of plans with the digests of their texts.
type Plans = BTreeMap<(String, u32), u64>;

fn plans_of(catalog: &Catalog) -> Plans {
    let versions = |plan: &rating::Plan| {
        let key = plan.key.clone();
        let versions = plan.versions.iter();
        versions.map(|one| ((key.clone(), one.version), one.digest)).collect::<Vec<_>>()
    };
    catalog.plans().iter().flat_map(versions).collect()
}

/// Why a catalog may not follow another, if a version of a plan is not what it was.
pub(super) fn changed_plan(before: &Catalog, after: &Catalog) -> Option<String> {
    find_changed_plan(&plans_of(before), after)
}

fn find_changed_plan(before: &Plans, after: &Catalog) -> Option<String> {
    let after = plans_of(after);
    let changed = |(name, digest): &(&(String, u32), &u64)| {
        before.get(*name).is_some_and(|known| known != *digest)
    };
    let ((key, version), _) = after.iter().find(changed)?;
    Some(format!(
        "version {version} of plan \"{key}\" is in force with other content; plan versions are \
         immutable: add a new version"
    ))
}

/// Why a catalog of the topic may not follow another, if a version of a plan is not in it any more.
///
/// A state keeps the versions that it has seen. With one gone from here, nothing would tell another
/// text under its name from a new version, and partitions that know the first one would refuse it.
pub(super) fn withdrawn_plan(before: &Catalog, after: &Catalog) -> Option<String> {
    find_withdrawn_plan(&plans_of(before), after)
}

fn find_withdrawn_plan(before: &Plans, after: &Catalog) -> Option<String> {
    let after = plans_of(after);
    let (key, version) = before.keys().find(|name| !after.contains_key(*name))?;
    Some(format!(
        "version {version} of plan \"{key}\" is in force; plan versions are immutable and cannot \
         be taken away, for usage may have been rated by them: leave it, and end its subscriptions"
    ))
}
