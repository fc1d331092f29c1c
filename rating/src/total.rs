//! Totals: what one subscription used of one charge in one billing period, and owes for it.

use crate::charge::{Charge, Terms, Timeline};
use crate::instant::Instant;
use crate::money::{Amount, Currency, Money};
use crate::period::Period;
use crate::quantity::Quantity;
use crate::rounding::Rounding;
use ethnum::U256;

/// The quantity used while one stretch of terms was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// When those terms came into force.
    pub from: Instant,
    /// What was used under them in this period.
    pub quantity: Quantity,
}

/// The running sum of one charge in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// In order of `from`; one, unless terms changed within the period.
    pub parts: Vec<Part>,
    /// Σ of the rated amounts of its records, exactly.
    pub rated: Amount,
    /// How many records it holds.
    pub records: u64,
    /// When the first of its records was used.
    pub first_used_at: Option<Instant>,
    /// When the last of its records was used.
    pub last_used_at: Option<Instant>,
    /// Σ modulo 2^256 of a hash of each record, so that anyone can prove which they were.
    pub lineage: U256,
    /// How often it changed after it was first closed; 0 until then.
    pub revision: u32,
    /// Whether its period is closed.
    pub closed: bool,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            rated: Amount::ZERO,
            records: 0,
            first_used_at: None,
            last_used_at: None,
            lineage: U256::ZERO,
            revision: 0,
            closed: false,
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
    /// `P(0)` + Σ rated.
    pub usage_amount: Amount,
    /// The usage amount within its bounds.
    pub amount: Amount,
    /// The amount as money.
    pub rounded: Money,
}

impl Total {
    /// Units used in all; `None` where the sum leaves its domain.
    #[must_use]
    pub fn quantity(&self) -> Option<Quantity> {
        self.parts.iter().try_fold(Quantity::ZERO, |sum, part| sum.checked_add(part.quantity))
    }

    /// What the total comes to; `None` where an amount leaves its domain, or where the timeline
    /// has no terms in this period.
    #[must_use]
    pub fn settle(
        &self,
        timeline: &Timeline,
        period: Period,
        (currency, rounding): (Currency, Rounding),
    ) -> Option<Settled> {
        let last = timeline.at_end(period.start, period.end)?.charge.as_deref()?;
        let usage_amount = amount_at_zero(timeline, period)?.checked_add(self.rated)?;
        let amount = bounded(last, usage_amount);
        Some(Settled {
            quantity: self.quantity()?,
            billable_quantity: self.billable(timeline)?.max(Quantity::ZERO),
            usage_amount,
            amount,
            rounded: amount.to_money(currency, rounding)?,
        })
    }

    /// Σ over the parts of what each one's terms make billable of it.
    fn billable(&self, timeline: &Timeline) -> Option<Quantity> {
        let (mut position, mut billable) = (Quantity::ZERO, Quantity::ZERO);
        for part in &self.parts {
            let charge = charge_from(timeline, part.from)?;
            let after = position.checked_add(part.quantity)?;
            let added = charge.billable(after)?.checked_sub(charge.billable(position)?)?;
            (position, billable) = (after, billable.checked_add(added)?);
        }
        Some(billable)
    }

    /// Σ over the parts of `P(total at its end) − P(total at its start)`, by each one's terms.
    pub(crate) fn amount_of_parts(&self, timeline: &Timeline) -> Option<Amount> {
        let (mut position, mut amount) = (Quantity::ZERO, Amount::ZERO);
        for part in &self.parts {
            let charge = charge_from(timeline, part.from)?;
            let after = position.checked_add(part.quantity)?;
            let added = charge.amount_at(after)?.checked_sub(charge.amount_at(position)?)?;
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

/// `P(0)`: what a period costs unused.
///
/// A flat price comes from the terms in force at the end. Everything else does from those at the
/// start, so that the sum over the parts goes on from it: a tier that is due at quantity 0 is
/// entered once, by whichever version is in force then.
fn amount_at_zero(timeline: &Timeline, period: Period) -> Option<Amount> {
    let last = timeline.at_end(period.start, period.end)?.charge.as_deref()?;
    if !last.model.needs_meter() {
        return last.amount_at(Quantity::ZERO);
    }
    let within = |terms: &&Terms| {
        let metered = terms.charge.as_deref().is_some_and(|charge| charge.model.needs_meter());
        metered && terms.from < period.end
    };
    let at_start = timeline.at(period.start).filter(within);
    let mut later = timeline.terms.iter().filter(|terms| terms.from >= period.start);
    let first = at_start.or_else(|| later.find(within))?;
    first.charge.as_deref()?.amount_at(Quantity::ZERO)
}

/// The charge whose terms came into force at `from`, or that were in force then.
fn charge_from(timeline: &Timeline, from: Instant) -> Option<&Charge> {
    timeline.at(from)?.charge.as_deref()
}

/// Maximum first, then minimum: a minimum is owed even where it exceeds the maximum.
fn bounded(charge: &Charge, usage_amount: Amount) -> Amount {
    let capped = charge.maximum.map_or(usage_amount, |maximum| usage_amount.min(maximum.once()));
    charge.minimum.map_or(capped, |minimum| capped.max(minimum.once()))
}
