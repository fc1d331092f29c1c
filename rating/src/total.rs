//! Totals: what one subscription used of one charge in one billing period, and owes for it.

use crate::at_zero::at_zero;
use crate::calendar::Calendar;
use crate::charge::{Charge, Terms, Timeline};
use crate::instant::Instant;
use crate::money::{Amount, Currency, Money};
use crate::owed::Owed;
use crate::period::Period;
use crate::quantity::Quantity;
use crate::rounding::Rounding;
use crate::share::Share;
use crate::times::Times;
use ethnum::U256;
use smallvec::SmallVec;

/// The quantity used while one stretch of terms was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// When those terms came into force.
    pub from: Instant,
    /// What was used under them in this period.
    pub quantity: Quantity,
}

/// What the positions of a total add up to, where it does not hold them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Units used.
    pub quantity: Quantity,
    /// Units priced.
    pub billable: Quantity,
    /// The level that the period began with, for a time-weighted sum.
    pub carried: Quantity,
}

/// A billing period of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When.
    pub period: Period,
    /// How much of it the subscription is active in.
    pub share: Share,
    /// When the subscription is active at all.
    pub active: Period,
    /// When its terms behind the first begin, in order.
    pub renewals: &'a [Instant],
    /// The calendar of its days.
    pub calendar: &'a Calendar,
}

/// The running sum of one charge in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// In order of `from`; one, unless terms changed within the period. Empty where `sums` stand.
    pub parts: SmallVec<[Part; 1]>,
    /// What its positions add up to, where the charge is not [`Charge::is_simple`].
    pub sums: Option<Sums>,
    /// Σ of the rated amounts of its records, exactly.
    pub rated: Amount,
    /// How many records it holds.
    pub records: u64,
    /// When the first and the last of its records were used.
    pub times: Times,
    /// Σ modulo 2^256 of a hash of each record, so that anyone can prove which they were.
    pub lineage: U256,
    /// How often it changed after it was first closed; 0 until then.
    pub revision: u32,
    /// Whether its period is closed.
    pub closed: bool,
    /// A digest of the terms that its records were rated by, as of when it was last stored.
    pub terms_digest: u64,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            parts: SmallVec::new(),
            sums: None,
            rated: Amount::ZERO,
            records: 0,
            times: Times::default(),
            lineage: U256::ZERO,
            revision: 0,
            closed: false,
            terms_digest: 0,
        }
    }
}

/// What a total comes to by the terms of its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Units used.
    pub quantity: Quantity,
    /// Units priced.
    pub billable_quantity: Quantity,
    /// `P(0)`: what the period costs without its records.
    pub amount_at_zero: Amount,
    /// `P(0)` + Σ rated.
    pub usage_amount: Amount,
    /// The usage amount after discount, maximum and minimum.
    pub amount: Owed,
    /// The amount as money.
    pub rounded: Money,
}

impl Total {
    /// Units used in all; `None` where the sum leaves its domain.
    #[must_use]
    pub fn quantity(&self) -> Option<Quantity> {
        if let Some(sums) = &self.sums {
            return sums.quantity.checked_add(sums.carried);
        }
        self.parts.iter().try_fold(Quantity::ZERO, |sum, part| sum.checked_add(part.quantity))
    }

    /// Notes that a record was added which was used at `at`.
    pub fn note_added(&mut self, at: Instant) {
        self.records = self.records.saturating_add(1);
        self.times.add(at);
    }

    /// Notes that a record was taken back which was used at `at`.
    pub fn note_taken_back(&mut self, at: Instant) {
        self.records = self.records.saturating_sub(1);
        self.times.take_back(at, self.records);
    }

    /// A digest of the terms that this total has been rated by: those from the start of its period
    /// to its last record, or to its end where it is closed. Where the last record is not known, to
    /// an instant that none is after.
    #[must_use]
    pub fn digest_of_terms(&self, timeline: &Timeline, period: Period) -> u64 {
        let last = self.times.until().unwrap_or(period.start);
        let end = Instant::from_nanos(period.end.nanos().saturating_sub(1));
        timeline.digest(period.start, if self.closed { end } else { last })
    }

    /// Whether the terms of a timeline are those that this total has been rated by.
    #[must_use]
    pub fn was_rated_by(&self, timeline: &Timeline, period: Period) -> bool {
        self.terms_digest == self.digest_of_terms(timeline, period)
    }

    /// What the total comes to; `None` where an amount leaves its domain, or where the timeline
    /// has no terms in this period.
    #[must_use]
    pub fn settle(
        &self,
        timeline: &Timeline,
        frame: &Frame<'_>,
        (currency, rounding): (Currency, Rounding),
    ) -> Option<Settled> {
        let last = timeline.at_end(frame.period.start, frame.period.end)?.charge.as_deref()?;
        let carried = self.sums.map_or(Quantity::ZERO, |sums| sums.carried);
        let at_zero = at_zero(timeline, frame, carried)?;
        let usage_amount = at_zero.amount.checked_add(self.rated)?;
        let amount = owed(last, usage_amount, frame.share)?;
        let billable = match &self.sums {
            Some(sums) => sums.billable.checked_add(at_zero.billable)?,
            None => self.billable(timeline, frame.share)?.max(Quantity::ZERO),
        };
        Some(Settled {
            quantity: self.quantity()?,
            billable_quantity: billable,
            amount_at_zero: at_zero.amount,
            usage_amount,
            amount,
            rounded: amount.to_money(currency, rounding)?,
        })
    }

    /// Σ over the parts of what each one's terms make billable of it.
    fn billable(&self, timeline: &Timeline, share: Share) -> Option<Quantity> {
        let (mut position, mut billable) = (Quantity::ZERO, Quantity::ZERO);
        for part in &self.parts {
            let charge = charge_from(timeline, part.from)?;
            let after = position.checked_add(part.quantity)?;
            let added = charge.billable(after, share)?;
            let added = added.checked_sub(charge.billable(position, share)?)?;
            (position, billable) = (after, billable.checked_add(added)?);
        }
        Some(billable)
    }

    /// Σ over the parts of `P(total at its end) − P(total at its start)`, by each one's terms.
    pub(crate) fn amount_of_parts(&self, timeline: &Timeline, share: Share) -> Option<Amount> {
        let (mut position, mut amount) = (Quantity::ZERO, Amount::ZERO);
        for part in &self.parts {
            let charge = charge_from(timeline, part.from)?;
            let after = position.checked_add(part.quantity)?;
            let added = charge.amount_at(after, share)?;
            let added = added.checked_sub(charge.amount_at(position, share)?)?;
            (position, amount) = (after, amount.checked_add(added)?);
        }
        Some(amount)
    }

    /// Adds to the part of `terms`, which is made in its place if it is new.
    pub(crate) fn add(&mut self, terms: &Terms, quantity: Quantity) -> Option<()> {
        match self.parts.binary_search_by_key(&terms.from, |part| part.from) {
            Ok(index) => {
                let part = self.parts.get_mut(index)?;
                part.quantity = part.quantity.checked_add(quantity)?;
            }
            Err(index) => self.parts.insert(index, Part { from: terms.from, quantity }),
        }
        Some(())
    }
}

/// The charge whose terms came into force at `from`, or that were in force then.
fn charge_from(timeline: &Timeline, from: Instant) -> Option<&Charge> {
    timeline.at(from)?.charge.as_deref()
}

/// Discount, then maximum, then minimum: a minimum is owed even where it exceeds the maximum.
fn owed(charge: &Charge, usage_amount: Amount, share: Share) -> Option<Owed> {
    let discounted = Owed::after_discount(usage_amount, charge.discount_percent)?;
    let capped = match charge.maximum {
        Some(maximum) => discounted.min(Owed::of(maximum.once())?),
        None => discounted,
    };
    let Some(minimum) = charge.minimum else { return Some(capped) };
    let minimum = if charge.prorated.minimum { share.of_price(minimum)? } else { minimum };
    Some(capped.max(Owed::of(minimum.once())?))
}
