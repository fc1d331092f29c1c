//! Correcting: taking a record back, or putting another in its place.
//!
//! What stands at a place is a function of the set of its corrections. A new one changes the set;
//! where that changes what stands, the old content is taken back and the new one added, line by
//! line, as records are.

use super::lines::{Entry, Voice, dimensions_of};
use super::names::{Names, named_by, subscription_hash};
use super::{Partition, Received, Verdict, too_old};
use crate::admitted::{Admitted, AdmittedLine, Content, Named, Seen};
use crate::corrections::{Correction, Standing};
use crate::error::Error;
use crate::limits::WAITING_BYTES_MAX;
use crate::slots::SlotKey;
use crate::waiting::Cause;
use rating::resolve::{self, Line, Owner};
use rating::{
    Catalog, Code, CorrectionKind, Direction, Instant, Rejection, Replacement, SubscriptionId,
    UsageRecord,
};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The record that a correction corrects.
struct Target {
    identity: u128,
    root: u128,
    root_source: String,
    root_id: String,
    depth: usize,
    /// Its own content; `None` of a cancellation.
    content: Option<Content>,
}

/// What stands at the place of a record.
enum Stands {
    Content(Content),
    /// It is cancelled.
    Nothing,
    /// What it was is no longer kept: its time is over.
    Forgotten,
}

impl Stands {
    fn content(self) -> Option<Content> {
        match self {
            Self::Content(content) => Some(content),
            Self::Nothing | Self::Forgotten => None,
        }
    }
}

/// A correction as it came.
#[derive(Clone, Copy)]
struct Asked<'a> {
    record: &'a UsageRecord<'a>,
    received: &'a Received<'a>,
    owner: Owner,
    identity: u128,
}

/// Where the charge of an admitted line is.
#[derive(Debug, Clone)]
struct Spot {
    subscription: SubscriptionId,
    timeline: usize,
}

impl Partition {
    /// Carries out a correction, or lets it wait for its target.
    pub(super) fn correct(
        &mut self,
        catalog: &Catalog,
        (record, received): (&UsageRecord<'_>, &Received<'_>),
        (owner, identity): (Owner, u128),
        stated: &rating::Correction<'_>,
    ) -> Result<Result<Verdict, Rejection>, Error> {
        let asked = Asked { record, received, owner, identity };
        let hash = self.owner_hash(owner)?;
        let target = self.seeds.identity(hash, &stated.source, &stated.id);
        if target == identity {
            return Ok(Err(unknown("a record cannot correct itself")));
        }
        let Some(target) = self.target(target, stated)? else {
            let bytes_max = self.subjects_wait_bytes.unwrap_or(WAITING_BYTES_MAX);
            if self.waiting.bytes() + received.bytes.len() > bytes_max {
                return Ok(Err(unknown(
                    "the record to correct has not come, and no more may wait",
                )));
            }
            let cause = Cause::Target(target);
            self.keep_waiting(received, cause, (identity, record.content_digest));
            return Ok(Ok(Verdict::Waiting));
        };
        if let Err(rejection) = self.check_target(&target, stated.kind, received)? {
            return Ok(Err(rejection));
        }
        let replacement = match &stated.replacement {
            None => None,
            Some(replacement) => match self.resolve(catalog, &asked, &target, replacement)? {
                Ok(content) => Some(content),
                Err(rejection) => return Ok(Err(rejection)),
            },
        };
        let correction = Correction {
            at: record.used_at,
            source: record.source.clone().into_owned(),
            id: record.id.clone().into_owned(),
            root: target.root,
            root_source: target.root_source.clone(),
            root_id: target.root_id.clone(),
            depth: target.depth + 1,
            replacement,
        };
        let lines = match self.put_in_force(catalog, &asked, &target, correction)? {
            Ok(lines) => lines,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let seen = Seen {
            content_digest: record.content_digest,
            source: received.origin.source,
            position: received.origin.position,
        };
        let what = (record.used_at, 0, Named::Customer);
        // What stands is a function of all corrections of a record, so none of them may go before
        // the others: they all came after it, and go only after it.
        self.dedupe.keep(target.root, self.changed_until.max(record.used_at));
        let lines_until = (&[][..], self.changed_until);
        self.dedupe.admit((identity, seen), what, lines_until, Some(target.identity))?;
        self.waiting.release(&Cause::Target(identity));
        Ok(Ok(Verdict::Rated(lines)))
    }

    /// What is known of the record to correct; `None` while it has not come.
    fn target(
        &self,
        identity: u128,
        stated: &rating::Correction<'_>,
    ) -> Result<Option<Target>, Error> {
        Ok(match self.dedupe.admitted(&self.store, identity)? {
            None => None,
            Some(Admitted::Usage(content)) => Some(Target {
                identity,
                root: identity,
                root_source: stated.source.clone().into_owned(),
                root_id: stated.id.clone().into_owned(),
                depth: 0,
                content: Some(content),
            }),
            Some(Admitted::Correction { target }) => {
                let found = self.corrections.get(&self.store, (target, identity))?;
                let found = found.ok_or(Error::Damaged { what: "correction" })?;
                let Correction { root, root_source, root_id, depth, replacement, .. } = found;
                let content = replacement;
                Some(Target { identity, root, root_source, root_id, depth, content })
            }
        })
    }

    fn check_target(
        &self,
        target: &Target,
        kind: CorrectionKind,
        received: &Received<'_>,
    ) -> Result<Result<(), Rejection>, Error> {
        if kind == CorrectionKind::Amended && target.content.is_none() {
            return Ok(Err(unknown("a cancellation can be cancelled, not amended")));
        }
        let cancels = kind == CorrectionKind::Cancelled;
        let place = (target.identity, target.depth + 1);
        if self.corrections.is_full(&self.store, place, cancels)? {
            return Ok(Err(unknown("the record has too many corrections, or they nest too deep")));
        }
        let used_at = self.corrected_at(target.identity)?;
        Ok(used_at.ok_or_else(forgotten).and_then(|used_at| check_window(used_at, received)))
    }

    /// When that was used which a correction of a record takes away or brings back: what a
    /// cancellation cancels, through all that cancel each other. `None` if that is forgotten.
    fn corrected_at(&self, record: u128) -> Result<Option<Instant>, Error> {
        let missing = || Error::Damaged { what: "correction" };
        let mut record = record;
        loop {
            match self.dedupe.admitted(&self.store, record)? {
                Some(Admitted::Usage(content)) => return Ok(Some(content.used_at)),
                Some(Admitted::Correction { target }) => {
                    let found = self.corrections.get(&self.store, (target, record))?;
                    if let Some(content) = found.ok_or_else(missing)?.replacement {
                        return Ok(Some(content.used_at));
                    }
                    record = target;
                }
                None if self.dedupe.forgotten().is_some() => return Ok(None),
                None => return Err(missing()),
            }
        }
    }

    /// What a replacement comes to: the lines of the record that it describes. What it leaves out
    /// is as the target has it.
    fn resolve(
        &mut self,
        catalog: &Catalog,
        asked: &Asked<'_>,
        target: &Target,
        replacement: &Replacement<'_>,
    ) -> Result<Result<Content, Rejection>, Error> {
        let Asked { record, received, owner, .. } = *asked;
        let Some(content) = &target.content else { return Ok(Err(unknown("no content"))) };
        let own_type = self.types.get(content.event_type as usize).cloned().unwrap_or_default();
        let event_type = replacement.event_type.clone().unwrap_or(Cow::Owned(own_type));
        // What it does not say is as the target said it: only the customer, or the subscription.
        let customer = catalog.customer_at(owner.customer);
        let customer = customer.map_or_else(String::new, |customer| customer.id.clone());
        let subscription = match &replacement.subscription {
            None if replacement.subject.is_none() => match named_in(catalog, owner, content) {
                Ok(named) => named.map(|named| Cow::Owned(named.to_owned())),
                Err(rejection) => return Ok(Err(rejection)),
            },
            stated => stated.clone(),
        };
        let replaced = UsageRecord {
            id: record.id.clone(),
            source: record.source.clone(),
            event_type,
            subject: replacement.subject.clone().unwrap_or(Cow::Owned(customer)),
            subscription,
            used_at: replacement.used_at.unwrap_or(content.used_at),
            time_fault: None,
            data: replacement.data,
            content_digest: 0,
        };
        if rating::Correction::kind_of(&replaced).is_some() {
            let message = "a replacement is usage, not another correction";
            return Ok(Err(Rejection::new(Code::UnknownType, message)));
        }
        let mut lines = Vec::new();
        let mut named = Named::Customer;
        let checked = (|| {
            let horizon = received.clock.horizon;
            resolve::check_measure(catalog, &replaced, horizon, &mut self.measures)?;
            let found = resolve::owner(catalog, &replaced, &self.measures)?;
            if found.customer != owner.customer {
                let message = format!("\"{}\" is another customer's", replaced.subject);
                return Err(Rejection::new(Code::UnknownSubject, message));
            }
            resolve::lines(catalog, &replaced, (found, &mut self.measures), &mut lines)?;
            named = named_by(catalog, found, &lines);
            check_window(replaced.used_at, received)
        })();
        if let Err(rejection) = checked {
            return Ok(Err(rejection));
        }
        let used_at = replaced.used_at;
        let lines = lines.iter().map(|line| {
            let charge = charge_hash_of(catalog, line, used_at)?;
            let dimensions = dimensions_of(catalog, line, &replaced)?;
            Ok(AdmittedLine { charge, measured: line.measured, dimensions })
        });
        let lines = lines.collect::<Result<Vec<_>, Error>>()?;
        Ok(Ok(Content { used_at, event_type: self.measured_type(), named, lines }))
    }

    /// Adds a correction to the set, and changes the totals where that changes what stands at its
    /// place. Gives how many lines that took.
    fn put_in_force(
        &mut self,
        catalog: &Catalog,
        asked: &Asked<'_>,
        target: &Target,
        correction: Correction,
    ) -> Result<Result<usize, Rejection>, Error> {
        let root = target.root;
        let before = self.standing(root)?;
        self.corrections.insert(&self.store, (target.identity, asked.identity), correction)?;
        let after = self.standing(root)?;
        let (before, after) = match (before, after) {
            (Stands::Forgotten, _) | (_, Stands::Forgotten) => {
                self.corrections.remove_pending(target.identity, asked.identity);
                return Ok(Err(forgotten()));
            }
            (before, after) => (before.content(), after.content()),
        };
        if before == after {
            return Ok(Ok(0));
        }
        let done = self.whole_or_not(|partition| {
            let steps = [(&before, Direction::TakeBack), (&after, Direction::Add)];
            for (content, direction) in steps {
                let Some(content) = content else { continue };
                let applied = match check_window(content.used_at, asked.received) {
                    Ok(()) => {
                        partition.apply_content(catalog, asked, target, (content, direction))?
                    }
                    Err(rejection) => Err(rejection),
                };
                if let Err(rejection) = applied {
                    return Ok(Err(rejection));
                }
            }
            Ok(Ok(()))
        })?;
        if done.is_err() {
            self.corrections.remove_pending(target.identity, asked.identity);
        }
        let lines = [&before, &after].into_iter().flatten().map(|content| content.lines.len());
        Ok(done.map(|()| lines.sum()))
    }

    /// The content that stands at the place of a record; `None` where it is cancelled or
    /// forgotten.
    pub(super) fn standing_content(&self, root: u128) -> Result<Option<Content>, Error> {
        self.standing(root).map(Stands::content)
    }

    fn standing(&self, root: u128) -> Result<Stands, Error> {
        let missing = || Error::Damaged { what: "correction" };
        let own = match self.dedupe.admitted(&self.store, root)? {
            Some(Admitted::Usage(content)) => content,
            // Some of its corrections may be gone as well.
            None if self.dedupe.forgotten().is_some() => return Ok(Stands::Forgotten),
            Some(Admitted::Correction { .. }) | None => return Err(missing()),
        };
        match self.corrections.standing(&self.store, root)? {
            Standing::Cancelled => Ok(Stands::Nothing),
            Standing::Own => Ok(Stands::Content(own)),
            Standing::Amended(own, target) => {
                let found = self.corrections.get(&self.store, (target, own))?;
                let content = found.ok_or_else(missing)?.replacement;
                Ok(content.map_or(Stands::Nothing, Stands::Content))
            }
        }
    }

    /// Calls `each` with what stands at the place of every record, and the identity of that place;
    /// of records in periods that end before `end`, and of those that `wants` does not take, with
    /// some of them.
    pub(super) fn for_each_standing(
        &self,
        (end, wants): (Instant, &dyn Fn(u128) -> bool),
        mut each: impl FnMut(u128, &Content) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let roots = self.corrections.roots(&self.store)?;
        for root in roots.iter().filter(|root| wants(**root)) {
            if let Some(content) = self.standing_content(*root)? {
                each(*root, &content)?;
            }
        }
        let corrected: BTreeSet<u128> = roots.into_iter().collect();
        self.dedupe.scan(&self.store, end, |identity, content| {
            if corrected.contains(&identity) {
                return Ok(());
            }
            each(identity, content)
        })
    }

    /// Adds all lines of a content or takes them back.
    fn apply_content(
        &mut self,
        catalog: &Catalog,
        asked: &Asked<'_>,
        target: &Target,
        (content, direction): (&Content, Direction),
    ) -> Result<Result<(), Rejection>, Error> {
        let at = content.used_at;
        let Asked { record, owner, .. } = *asked;
        let (source, id) = (&*record.source, &*record.id);
        let voice = Voice { source, id, at: record.used_at, corrects: true };
        let (source, id) = (&*target.root_source, &*target.root_id);
        for AdmittedLine { charge, measured, dimensions } in &content.lines {
            let Some(spot) = spot_of(catalog, owner, (*charge, at)) else {
                let message = "the catalog no longer has a charge that the record was rated by";
                return Ok(Err(unknown(message)));
            };
            let Spot { subscription, timeline } = spot;
            let line = Line { subscription, timeline, measured: *measured };
            let entry = Entry { line, dimensions, at, source, id, direction, voice };
            if let Err(rejection) = self.change(catalog, &entry)? {
                return Ok(Err(rejection));
            }
        }
        Ok(Ok(()))
    }
}

/// Refuses what was used before everything that may still change.
fn check_window(used_at: Instant, received: &Received<'_>) -> Result<(), Rejection> {
    match received.clock.oldest {
        Some(oldest) if used_at < oldest => Err(too_old(used_at, Some(oldest))),
        _ => Ok(()),
    }
}

fn forgotten() -> Rejection {
    let reason = "what it corrects is so old that it is no longer kept: its period is closed for \
                  good";
    Rejection::new(Code::LateClosed, reason)
}

fn unknown(message: &str) -> Rejection {
    Rejection::new(Code::UnknownReference, message)
}

/// The id of the subscription that a record named; `None` if it named the customer only.
fn named_in<'c>(
    catalog: &'c Catalog,
    owner: Owner,
    content: &Content,
) -> Result<Option<&'c str>, Rejection> {
    let found = match content.named {
        Named::Customer => return Ok(None),
        Named::SubscriptionOfLines => content.lines.first().and_then(|line| {
            let spot = spot_of(catalog, owner, (line.charge, content.used_at))?;
            catalog.subscription_at(spot.subscription)
        }),
        Named::Subscription(hash) => catalog.customer_at(owner.customer).and_then(|customer| {
            let mut own =
                customer.subscriptions.iter().filter_map(|id| catalog.subscription_at(*id));
            own.find(|subscription| subscription_hash(&subscription.id) == hash)
        }),
    };
    let missing = || {
        let message = "the catalog no longer has the subscription that the record named";
        Rejection::new(Code::UnknownSubject, message)
    };
    found.map(|subscription| Some(subscription.id.as_str())).ok_or_else(missing)
}

/// The hash of the charge of a line.
fn charge_hash_of(catalog: &Catalog, line: &Line, at: Instant) -> Result<u64, Error> {
    let timeline = u32::try_from(line.timeline).unwrap_or(u32::MAX);
    let key = SlotKey { subscription: line.subscription, timeline, period_start: at };
    let names = Names::of(catalog, &key).ok_or(Error::Damaged { what: "charge" })?;
    Ok(names.charge_hash())
}

/// Finds the charge of an admitted line among those of its owner that were in force.
fn spot_of(catalog: &Catalog, owner: Owner, (hash, at): (u64, Instant)) -> Option<Spot> {
    let customer = catalog.customer_at(owner.customer)?;
    let stretches = customer.subscriptions.iter().flat_map(|id| catalog.stretches_of(id));
    for id in stretches {
        let Some(subscription) = catalog.subscription_at(*id) else { continue };
        if !subscription.active.contains(at) {
            continue;
        }
        for (index, timeline) in catalog.timelines_of(subscription).iter().enumerate() {
            let number = u32::try_from(index).ok()?;
            let key = SlotKey { subscription: *id, timeline: number, period_start: at };
            let Some(names) = Names::of(catalog, &key) else { continue };
            let is_in_force = timeline.at(at).is_some_and(|terms| terms.charge.is_some());
            if is_in_force && names.charge_hash() == hash {
                return Some(Spot { subscription: *id, timeline: index });
            }
        }
    }
    None
}
