//! Records: every one that was read, and the one way that each has gone.

use super::corrections::{Corrections, Identity};
use super::event::Event;
use super::facts::Expectation;
use super::finding::Kind;
use super::fingerprint::Fingerprint;
use super::letters::Letters;
use super::limits::NOTICES_MAX;
use super::place::{LogId, Place};
use super::{Context, Map};
use std::collections::BTreeMap;

/// The records that were admitted, and what became of all others.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// By source and id. Nearly always one owner has both; others are in `of_others`.
    admitted: Map<Fingerprint, Admitted>,
    of_others: Map<Identity, Admitted>,
    owners: Owners,
    pub(super) letters: Letters,
    /// Messages that were sent on, by source, id, content and how often; those met are taken out.
    forwards: Map<(Fingerprint, u64, u8), Vec<Place>>,
    /// What was refused after it may have waited, by source, id and content.
    waited: Map<(Fingerprint, u64), Place>,
    pub(super) corrections: Corrections,
    pub(super) outcomes: BTreeMap<LogId, Outcomes>,
    /// Identities that two owners have, and how many there are.
    pub(super) shared: Vec<(Place, Place)>,
    pub(super) shared_count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Admitted {
    content: u64,
    place: Place,
    owner: u32,
    becomes: Becomes,
    has_lines: bool,
}

/// What must have become of an admitted record that has no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Expected(Expectation),
    /// It corrects another.
    Correction,
    /// The service has not come to it.
    Unread,
}

/// How many records of a log have gone which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outcomes {
    pub(crate) read: u64,
    pub(crate) rated: u64,
    pub(crate) unpriced: u64,
    pub(crate) duplicate: u64,
    pub(crate) rejected: u64,
    pub(crate) forwarded: u64,
    pub(crate) waiting: u64,
    pub(crate) unread: u64,
    /// Of which nothing can be told, because outputs are gone.
    pub(crate) untold: u64,
}

/// A record as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) place: Place,
    pub(crate) bytes: &'a [u8],
    /// More than `bytes` where only the beginning was kept.
    pub(crate) length: u64,
    /// How often it was sent on before; `None` where nothing is ever sent on.
    pub(crate) hops: Option<u8>,
    /// Whether the service has come to it.
    pub(crate) is_read: bool,
}

/// Numbers of customers: those of the catalog, and behind them names that it does not know.
#[derive(Debug, Default)]
struct Owners(Map<String, u32>);

impl Owners {
    fn number(&mut self, cx: &Context, name: &str) -> u32 {
        if let Some(number) = cx.facts.customer(name) {
            return number;
        }
        let next = cx.facts.customers() + self.0.len();
        let next = u32::try_from(next).unwrap_or(u32::MAX);
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

impl Records {
    /// Takes a message that was sent on; to be called before the records are read.
    pub(super) fn forward(&mut self, place: Place, bytes: &[u8], hops: u8) {
        if let Some(event) = Event::read(bytes) {
            self.forwards.entry((event.name(), event.content, hops)).or_default().push(place);
        }
    }

    /// Takes a record, and finds which way it has gone unless only its lines can tell.
    pub(super) fn add(&mut self, cx: &mut Context, input: &Input<'_>) {
        let place = input.place;
        self.count(place).read += 1;
        let refused = self.letters.meet(cx, place, (input.bytes, input.length));
        let event = Event::read(input.bytes).filter(|_| input.length == input.bytes.len() as u64);
        if let Some(refused) = refused {
            self.count(place).rejected += 1;
            if let Some(event) = event.filter(|_| refused.may_have_waited) {
                self.waited.entry((event.name(), event.content)).or_insert(place);
            }
            return;
        }
        let Some(event) = event else {
            if !input.is_read {
                self.count(place).unread += 1;
                return;
            }
            if cx.asked.outputs_begin_late {
                self.count(place).untold += 1;
                return;
            }
            return cx.findings.add(Kind::Unreadable, || {
                format!("{}: is no usage record, yet has no dead letter", cx.logs.show(place))
            });
        };
        if input.hops.is_some_and(|hops| self.take_forward(cx, (place, hops), &event)) {
            self.count(place).forwarded += 1;
            return;
        }
        self.admit(cx, input, &event);
    }

    /// Whether a record was sent on to its owner's partition.
    fn take_forward(
        &mut self,
        cx: &Context,
        (place, hops): (Place, u8),
        event: &Event<'_>,
    ) -> bool {
        let sent = (event.name(), event.content, hops.saturating_add(1));
        let Some(sent) = self.forwards.get_mut(&sent) else { return false };
        let elsewhere = |to: &Place| cx.logs.partition(*to) != cx.logs.partition(place);
        let found = sent.iter().position(elsewhere);
        found.is_some_and(|at| {
            sent.swap_remove(at);
            true
        })
    }

    fn admit(&mut self, cx: &mut Context, input: &Input<'_>, event: &Event<'_>) {
        let (name, place) = (event.name(), input.place);
        let owner = self.owners.number(cx, &event.subject);
        let becomes = if !input.is_read {
            Becomes::Unread
        } else if event.is_correction() {
            Becomes::Correction
        } else {
            Becomes::Expected(cx.facts.expects(event))
        };
        let new = Admitted { content: event.content, place, owner, becomes, has_lines: false };
        let Some(known) = self.find(name, owner).copied() else {
            if let Some(first) = self.admitted.get(&name).map(|first| first.place) {
                self.shared_count += 1;
                if self.shared.len() < NOTICES_MAX {
                    self.shared.push((first, place));
                }
                self.of_others.insert((owner, name), new);
            } else {
                self.admitted.insert(name, new);
            }
            if let Some(corrects) = event.corrects() {
                self.corrections.add((owner, name), corrects, input.is_read);
            }
            return;
        };
        if known.content == event.content {
            self.count(place).duplicate += 1;
        } else if !input.is_read {
            self.count(place).unread += 1;
        } else if cx.asked.outputs_begin_late {
            self.count(place).untold += 1;
        } else {
            cx.findings.add(Kind::Conflict, || {
                let first = cx.logs.show_beside(known.place, place);
                let place = cx.logs.show(place);
                format!(
                    "{place}: has the id and source of {first}, other content, and no dead letter"
                )
            });
        }
    }

    /// The record that a line names. What is missing is made where there is no input to have it.
    pub(super) fn rated(
        &mut self,
        cx: &Context,
        (name, customer): (Fingerprint, &str),
        line: Place,
    ) -> Option<(Identity, Place)> {
        let owner = self.owners.number(cx, customer);
        if !cx.asked.has_input && self.find(name, owner).is_none() {
            let becomes = Becomes::Expected(Expectation::Lines);
            let new = Admitted { content: 0, place: line, owner, becomes, has_lines: true };
            self.of_others.insert((owner, name), new);
        }
        let found = self.find_mut(cx, name, owner)?;
        found.has_lines = true;
        Some(((found.owner, name), found.place))
    }

    /// The number of an owner, for a line whose record is not there.
    pub(super) fn owner(&mut self, cx: &Context, customer: &str) -> u32 {
        self.owners.number(cx, customer)
    }

    fn find(&self, name: Fingerprint, owner: u32) -> Option<&Admitted> {
        let first = self.admitted.get(&name).filter(|admitted| admitted.owner == owner);
        first.or_else(|| self.of_others.get(&(owner, name)))
    }

    /// The same; a record whose subject the catalog does not know is whoever's line names it.
    fn find_mut(&mut self, cx: &Context, name: Fingerprint, owner: u32) -> Option<&mut Admitted> {
        let unknown =
            |owner: u32| usize::try_from(owner).is_ok_and(|at| at >= cx.facts.customers());
        let first = self.admitted.get_mut(&name);
        match first.filter(|admitted| admitted.owner == owner || unknown(admitted.owner)) {
            Some(admitted) => Some(admitted),
            None => self.of_others.get_mut(&(owner, name)),
        }
    }

    /// Where an admitted record stands that is no correction.
    fn usage_at(&self, (owner, name): Identity) -> Option<Place> {
        let found = self.find(name, owner)?;
        (found.becomes != Becomes::Correction).then_some(found.place)
    }

    /// Learns which records have corrections: to be called between the records and the lines.
    pub(super) fn prepare(&mut self) {
        let mut corrections = std::mem::take(&mut self.corrections);
        corrections.prepare(|identity| self.usage_at(identity));
        self.corrections = corrections;
    }

    fn count(&mut self, place: Place) -> &mut Outcomes {
        self.outcomes.entry(place.log()).or_default()
    }

    /// Records that have lines.
    pub(super) fn with_lines(&self) -> u64 {
        let all = self.admitted.values().chain(self.of_others.values());
        all.filter(|admitted| admitted.has_lines).count() as u64
    }

    /// Decides what only the lines could tell, and notes what left nothing behind.
    pub(super) fn finish(&mut self, cx: &mut Context) {
        if !cx.asked.has_input {
            return;
        }
        let first = self.admitted.iter().map(|(name, admitted)| (*name, *admitted));
        let others = self.of_others.iter().map(|((_, name), admitted)| (*name, *admitted));
        let mut lost = Vec::new();
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for (name, admitted) in first.chain(others) {
            let way = self.way_of(cx, name, &admitted);
            let is_untold = cx.asked.outputs_begin_late && matches!(way, Way::Lost(_));
            let way = if is_untold { Way::Untold } else { way };
            outcomes.entry(admitted.place.log()).or_default().add(way);
            if let Way::Lost(why) = way {
                lost.push((admitted.place, why));
            }
        }
        self.outcomes = outcomes;
        lost.sort_unstable();
        for (place, why) in lost {
            cx.findings.add(Kind::Lost, || format!("{}: {why}", cx.logs.show(place)));
        }
        let mut unmet: Vec<Place> = self.forwards.values().flatten().copied().collect();
        unmet.sort_unstable();
        // What they were sent on from may be gone.
        let are_told = !cx.asked.begins_late;
        for place in unmet.into_iter().filter(|_| are_told) {
            cx.findings.add(Kind::ForwardOfNothing, || {
                format!("{}: was not sent on from any record", cx.logs.show(place))
            });
        }
        if !cx.asked.begins_late {
            self.letters.finish(cx);
        }
        if !cx.asked.outputs_begin_late {
            self.corrections.finish(cx);
        }
    }

    fn way_of(&self, cx: &Context, name: Fingerprint, admitted: &Admitted) -> Way {
        if admitted.has_lines {
            return Way::Rated;
        }
        if self.waited.get(&(name, admitted.content)).is_some_and(|first| *first < admitted.place) {
            return Way::Duplicate;
        }
        match admitted.becomes {
            Becomes::Unread => Way::Unread,
            Becomes::Expected(Expectation::Nothing) => Way::Unpriced,
            Becomes::Expected(Expectation::Subject) if cx.asked.subjects_may_wait => Way::Waiting,
            Becomes::Expected(Expectation::Subject) => {
                Way::Lost("no rated line and no dead letter, though the catalog lacks its subject")
            }
            Becomes::Expected(Expectation::Lines) => {
                Way::Lost("no rated line and no dead letter, though a charge takes it")
            }
            Becomes::Correction => {
                let root = self.corrections.root((admitted.owner, name));
                match root.and_then(|root| self.usage_at((admitted.owner, root))) {
                    // Whether it had to change something is seen from the lines of its target.
                    Some(_) => Way::Unpriced,
                    None => Way::Waiting,
                }
            }
        }
    }
}

/// Which way a record has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rated,
    Unpriced,
    Duplicate,
    Waiting,
    Unread,
    Untold,
    Lost(&'static str),
}

impl Outcomes {
    fn add(&mut self, way: Way) {
        match way {
            Way::Rated => self.rated += 1,
            Way::Unpriced => (self.rated, self.unpriced) = (self.rated + 1, self.unpriced + 1),
            Way::Duplicate => self.duplicate += 1,
            Way::Waiting => self.waiting += 1,
            Way::Unread => self.unread += 1,
            Way::Untold => self.untold += 1,
            Way::Lost(_) => {}
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            rated: self.rated + other.rated,
            unpriced: self.unpriced + other.unpriced,
            duplicate: self.duplicate + other.duplicate,
            rejected: self.rejected + other.rejected,
            forwarded: self.forwarded + other.forwarded,
            waiting: self.waiting + other.waiting,
            unread: self.unread + other.unread,
            untold: self.untold + other.untold,
        }
    }
}
