//! Totals: what their lines add up to, against what they say of themselves.

use super::exact::{Exact, Lineage};
use super::finding::Kind;
use super::fingerprint::Fingerprint;
use super::line::{Numbers, RatedLine, Said, WrittenTotal};
use super::place::Place;
use super::{Context, Map};
use rating::Instant;

/// Which totals are written where they are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Every one that has records or is closed, once.
    All,
    /// The closed ones, each anew when it is revised: the last one counts.
    Closed,
}

/// All totals that have lines or were read.
#[derive(Debug, Default)]
pub(super) struct Totals(Map<Fingerprint, Total>);

#[derive(Debug)]
struct Total {
    /// Whose, of what and when, for a person.
    name: Box<str>,
    lines: Sums,
    /// Where and what it says of itself.
    said: Option<(Place, Box<Said>)>,
}

/// What lines add up to.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// The last of them.
    line: Option<Place>,
    amount: Exact,
    quantity: Exact,
    records: i64,
    lineage: Lineage,
    /// The first and the last time of a record that was not corrected.
    times: Option<(Instant, Instant)>,
    is_corrected: bool,
    /// Whether quantities add up; `None` if the catalog does not know.
    adds_up: Option<bool>,
    /// Whether a line says that the total was closed before.
    was_closed: bool,
    /// Whether a sum left 256 bits, so that nothing can be said.
    is_beyond: bool,
}

impl Totals {
    /// Adds a line to its total.
    pub(super) fn add(
        &mut self,
        cx: &mut Context,
        place: Place,
        (line, numbers): (&RatedLine<'_>, Numbers),
    ) {
        let data = &line.data;
        let key = key_of(&data.customer, &line.subject, &data.charge, &data.period_start);
        let names = (&*data.customer, &*line.subject, &*data.charge, &*data.period_start);
        let total = self.0.entry(key).or_insert_with(|| Total::new(names));
        let sums = &mut total.lines;
        sums.adds_up = cx.facts.adds_up(&data.plan, &data.charge);
        let may_be_cut = cx.asked.outputs_begin_late && sums.line.is_none();
        if may_be_cut {
            sums.quantity = numbers.total_before;
        }
        if sums.adds_up == Some(true) && sums.quantity != numbers.total_before {
            let before = sums.line;
            let expected = sums.quantity;
            cx.findings.add(Kind::Chain, || {
                let found = numbers.total_before;
                let after = match before {
                    Some(before) => format!("after {}", cx.logs.show_beside(before, place)),
                    None => "at the beginning".to_owned(),
                };
                let place = cx.logs.show(place);
                format!(
                    "{place}: total_before of {} is {found}, not {expected} as {after}",
                    total.name
                )
            });
            // One break is one finding: what follows is held against what is there.
            sums.quantity = numbers.total_before;
        }
        sums.add(place, (line, numbers));
    }

    /// Takes a total as it was written.
    pub(super) fn read(&mut self, cx: &mut Context, place: Place, bytes: &[u8]) {
        let Some((written, said)) = WrittenTotal::read(bytes) else {
            return cx.findings.add(Kind::Damaged, || {
                format!("{}: is no total that can be read", cx.logs.show(place))
            });
        };
        let WrittenTotal { customer, subscription, charge, period_start, .. } = &written;
        let names = (&**customer, &**subscription, &**charge, &**period_start);
        let key = key_of(customer, subscription, charge, period_start);
        let total = self.0.entry(key).or_insert_with(|| Total::new(names));
        let before = total.said.replace((place, Box::new(said)));
        if let Some((first, _)) = before
            && cx.asked.written == Written::All
        {
            cx.findings.add(Kind::TotalTwice, || {
                let first = cx.logs.show_beside(first, place);
                format!("{}: {} is written twice, also {first}", cx.logs.show(place), total.name)
            });
        }
    }

    /// How many there are, how many were written, and how many of those are closed.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let said = || self.0.values().filter_map(|total| total.said.as_ref());
        (self.0.len(), said().count(), said().filter(|(_, said)| said.is_closed).count())
    }

    /// Holds every total against its lines.
    pub(super) fn finish(&self, cx: &mut Context) {
        let place_of = |total: &Total| total.said.as_ref().map(|(at, _)| *at).or(total.lines.line);
        let mut totals: Vec<(Option<Place>, &Total)> =
            self.0.values().map(|total| (place_of(total), total)).collect();
        totals.sort_unstable_by_key(|(place, _)| *place);
        for (_, total) in totals {
            match &total.said {
                Some((place, said)) => total.check(cx, *place, said),
                None => total.check_missing(cx),
            }
        }
    }
}

impl Sums {
    fn add(&mut self, place: Place, (line, numbers): (&RatedLine<'_>, Numbers)) {
        let data = &line.data;
        self.line = Some(place);
        self.was_closed |= data.adjustment;
        self.is_corrected |= data.corrects.is_some();
        match (self.amount.plus(numbers.amount), self.quantity.plus(numbers.quantity)) {
            (Some(amount), Some(quantity)) => (self.amount, self.quantity) = (amount, quantity),
            _ => self.is_beyond = true,
        }
        // A shift moves an amount between periods; its record is in another total.
        if data.shift {
            return;
        }
        let at = numbers.used_at;
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
        if data.taken_back {
            self.records -= 1;
            self.lineage.take_back(line.lineage());
        } else {
            self.records += 1;
            self.lineage.add(line.lineage());
        }
    }
}

impl Total {
    fn new((customer, subscription, charge, period_start): (&str, &str, &str, &str)) -> Self {
        let name = format!("{charge} of {subscription} ({customer}) from {period_start}");
        Self { name: name.into(), lines: Sums::default(), said: None }
    }

    fn check(&self, cx: &mut Context, place: Place, said: &Said) {
        let Sums { amount, quantity, records, lineage, .. } = &self.lines;
        let mut wrong = |kind, what: &str, said: String, lines: String| {
            cx.findings.add(kind, || {
                let place = cx.logs.show(place);
                format!(
                    "{place}: {what} of {} is {said}; its rated lines make it {lines}",
                    self.name
                )
            });
        };
        let usage_amount = said.at_zero.plus(*amount).filter(|_| !self.lines.is_beyond);
        match usage_amount {
            Some(sum) if sum == said.usage_amount => {}
            Some(sum) => {
                let lines = format!("{sum}, {} at zero + {amount}", said.at_zero);
                wrong(Kind::Amount, "usage_amount", said.usage_amount.to_string(), lines);
            }
            None => {
                let said = said.usage_amount.to_string();
                wrong(Kind::Amount, "usage_amount", said, "too large to be added".to_owned());
            }
        }
        if self.lines.adds_up == Some(true) && *quantity != said.quantity {
            wrong(Kind::Quantity, "quantity", said.quantity.to_string(), quantity.to_string());
        }
        let counted = u64::try_from(*records).ok();
        for (what, said) in [("records", said.records), ("lineage.records", said.lineage_records)] {
            if counted != Some(said) {
                wrong(Kind::Records, what, said.to_string(), records.to_string());
            }
        }
        if *lineage != said.lineage {
            wrong(Kind::Lineage, "lineage", said.lineage.to_string(), lineage.to_string());
        }
        // The line of a correction has the correction's time, not that of what it puts there.
        if !self.lines.is_corrected {
            let times = self.lines.times;
            let shown =
                |at: Option<Instant>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
            let rows = [
                ("first_used_at", said.first, times.map(|(first, _)| first)),
                ("last_used_at", said.last, times.map(|(_, last)| last)),
            ];
            for (what, said, lines) in rows.into_iter().filter(|(_, said, lines)| said != lines) {
                wrong(Kind::Times, what, shown(said), shown(lines));
            }
        }
    }

    fn check_missing(&self, cx: &mut Context) {
        let is_due = match cx.asked.written {
            Written::All => self.lines.records != 0,
            Written::Closed => self.lines.was_closed,
        };
        let Some(line) = self.lines.line.filter(|_| is_due) else { return };
        cx.findings.add(Kind::TotalMissing, || {
            format!("{}: its total is missing: {}", cx.logs.show(line), self.name)
        });
    }
}

fn key_of(customer: &str, subscription: &str, charge: &str, period_start: &str) -> Fingerprint {
    let texts = [customer, subscription, charge, period_start].map(str::as_bytes);
    Fingerprint::of(&texts)
}
