//! Plans: dated, immutable versions of a list of charges.

use crate::charge::{Charge, Filter, Terms, Timeline};
use crate::content::ContentDigest;
use crate::instant::Instant;
use crate::money::{Currency, Price};
use crate::price::PriceModel;
use crate::quantity::Quantity;
use crate::unit::Unit;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// One version of a plan, as a catalog states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanVersion {
    /// Its number.
    pub version: u32,
    /// When it comes into force.
    pub effective_from: Instant,
    /// Its charges, each with another key.
    pub charges: Vec<Arc<Charge>>,
    /// A digest of its text's meaning, by which a change of a version is noticed.
    pub digest: u64,
}

/// A plan with all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub key: String,
    /// The currency of all its versions.
    pub currency: Currency,
    /// In order of `effective_from`, no two at the same instant; never empty.
    pub versions: Vec<PlanVersion>,
    /// One for every charge key of any version.
    pub timelines: Vec<Timeline>,
    /// Whether a version is missing that could not be read; never in a catalog without faults.
    pub misses_versions: bool,
}

/// Where every day ends last.
const WESTERNMOST: TimeZone = TimeZone::fixed(jiff::tz::offset(-12));

impl PlanVersion {
    /// The first day on which it is in force.
    ///
    /// Subscriptions begin on days of their customer's calendar, and `effective_from` may have been
    /// meant as the begin of a day of another: what takes effect on that day anywhere on Earth is
    /// early enough.
    #[must_use]
    pub fn first_day(&self) -> Date {
        WESTERNMOST.to_datetime(self.effective_from.to_timestamp()).date()
    }
}

/// Fields of a charge that a subscription replaces from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// When the replacement comes into force.
    pub effective_from: Instant,
    /// What it replaces.
    pub changes: Changes,
    /// A digest of its text's meaning, by which a change of it is noticed.
    pub digest: u64,
}

/// Fields of a charge, as far as they are stated: `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Dimensions and the values of them that it takes.
    pub filter: Option<Filter>,
    /// The unit that is priced; `Some(None)` is the one that is metered.
    pub unit: Option<Option<Unit>>,
    /// Units free of charge.
    pub included: Option<Quantity>,
    /// The price as a whole.
    pub model: Option<PriceModel>,
    /// Percent of the usage amount that are not owed.
    pub discount_percent: Option<Price>,
    /// What a period costs at least; `Some(None)` takes the bound away.
    pub minimum: Option<Option<Price>>,
    /// What a period costs at most; `Some(None)` takes the bound away.
    pub maximum: Option<Option<Price>>,
    /// Whether included units shrink with a period that is not whole.
    pub prorate_included: Option<bool>,
    /// Whether the minimum does.
    pub prorate_minimum: Option<bool>,
    /// Whether the amount of a flat price does.
    pub prorate_flat: Option<bool>,
}

impl Changes {
    /// Replaces what is stated.
    pub(crate) fn apply(self, charge: &mut Charge) {
        fn replace<T>(field: &mut T, change: Option<T>) {
            if let Some(value) = change {
                *field = value;
            }
        }
        replace(&mut charge.filter, self.filter);
        replace(&mut charge.unit, self.unit);
        replace(&mut charge.included, self.included);
        replace(&mut charge.model, self.model);
        replace(&mut charge.discount_percent, self.discount_percent);
        replace(&mut charge.minimum, self.minimum);
        replace(&mut charge.maximum, self.maximum);
        replace(&mut charge.prorated.included, self.prorate_included);
        replace(&mut charge.prorated.minimum, self.prorate_minimum);
        replace(&mut charge.prorated.flat, self.prorate_flat);
    }
}

impl Plan {
    /// Puts versions in order and lays out the timeline of every charge.
    #[must_use]
    pub fn new(key: String, currency: Currency, mut versions: Vec<PlanVersion>) -> Self {
        versions.sort_by_key(|version| version.effective_from);
        let timelines = timelines(&versions);
        Self { key, currency, versions, timelines, misses_versions: false }
    }

    /// The version that takes effect first; `None` where it may be one that is missing.
    #[must_use]
    pub fn first_version(&self) -> Option<&PlanVersion> {
        self.versions.first().filter(|_| !self.misses_versions)
    }

    /// The version in force at an instant.
    #[must_use]
    pub fn version_at(&self, instant: Instant) -> Option<&PlanVersion> {
        self.versions.iter().rev().find(|version| version.effective_from <= instant)
    }

    /// The timelines of a subscription that overrides some charges of this plan.
    #[must_use]
    pub fn overridden(&self, overrides: &[(String, Vec<Override>)]) -> Vec<Timeline> {
        let of = |key: &str| overrides.iter().find(|(charge, _)| charge == key);
        self.timelines
            .iter()
            .map(|plain| {
                of(&plain.key)
                    .map_or_else(|| plain.clone(), |(key, list)| self.timeline_with(key, list))
            })
            .collect()
    }
}

impl Plan {
    /// The timeline of one charge as a subscription overrides it.
    #[must_use]
    pub(crate) fn timeline_with(&self, charge: &str, overrides: &[Override]) -> Timeline {
        let charges = self.versions.iter().map(|version| {
            let charge = version.charges.iter().find(|own| own.key == charge);
            (version, charge)
        });
        timeline(charge, charges, overrides)
    }
}

/// The timelines of all charges that any version has. There may be many thousand in a version, so
/// that none is looked for one by one.
fn timelines(versions: &[PlanVersion]) -> Vec<Timeline> {
    let mut by_key: Vec<Index<'_, &Arc<Charge>>> = vec![Index::default(); versions.len()];
    let (mut seen, mut keys) = (Index::default(), Vec::new());
    for (version, by_key) in versions.iter().zip(&mut by_key) {
        for charge in &version.charges {
            by_key.entry(&charge.key).or_insert(charge);
            if seen.insert(&charge.key, ()).is_none() {
                keys.push(charge.key.as_str());
            }
        }
    }
    let timelines = keys.iter().map(|key| {
        let charges = by_key.iter().map(|charges| charges.get(key).copied());
        timeline(key, versions.iter().zip(charges), &[])
    });
    timelines.collect()
}

/// Something by the key of a charge.
type Index<'v, T> = hashbrown::HashMap<&'v str, T, foldhash::fast::FixedState>;

/// Cuts time at every version and override and states the charge in force from each cut on, given
/// that of each version.
fn timeline<'v>(
    key: &str,
    versions: impl Iterator<Item = (&'v PlanVersion, Option<&'v Arc<Charge>>)>,
    overrides: &[Override],
) -> Timeline {
    let versions: Vec<(&PlanVersion, Option<&Arc<Charge>>)> = versions.collect();
    let first = versions.first().map_or(Instant::MIN, |(version, _)| version.effective_from);
    let mut cuts: Vec<Instant> =
        versions.iter().map(|(version, _)| version.effective_from).collect();
    cuts.extend(overrides.iter().map(|change| change.effective_from).filter(|from| *from > first));
    cuts.sort_unstable();
    cuts.dedup();
    let terms = cuts.into_iter().filter_map(|from| {
        let begun = versions.partition_point(|(version, _)| version.effective_from <= from);
        let (version, charge) = versions.get(begun.checked_sub(1)?)?;
        let in_force: Vec<&Override> =
            overrides.iter().filter(|change| change.effective_from <= from).collect();
        let charge = charge.map(|charge| {
            if in_force.is_empty() {
                return Arc::clone(charge);
            }
            let mut charge = Charge::clone(charge);
            in_force.iter().for_each(|change| change.changes.clone().apply(&mut charge));
            Arc::new(charge)
        });
        let override_from = in_force.last().map(|change| change.effective_from);
        // What the meter makes of records is not in the text of the version.
        let aggregation = charge.as_ref().map_or(0, |charge| charge.aggregation.digest());
        let digests = in_force.iter().map(|change| change.digest);
        let digests = [version.digest, aggregation].into_iter().chain(digests);
        let digest = ContentDigest::of_digests(digests);
        Some(Terms { from, plan_version: version.version, override_from, digest, charge })
    });
    Timeline::new(key.to_owned(), terms.collect())
}
