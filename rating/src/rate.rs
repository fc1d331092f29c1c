//! Rating: what one record adds to a total.

use crate::charge::{Charge, Terms, Timeline};
use crate::instant::Instant;
use crate::money::Amount;
use crate::quantity::Quantity;
use crate::share::Share;
use crate::total::Total;

/// What one record did to one total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rated {
    /// `P(total with it) − P(total without it)`, exact.
    pub amount: Amount,
    /// Units used before it.
    pub total_before: Quantity,
}

/// Adds a quantity used at `used_at`, under `terms` of `timeline`, to `total`.
///
/// Whatever the order of records, their amounts sum to the same: the total depends on their set.
///
/// `None`, with the total unchanged, where an amount or a sum leaves its domain.
#[must_use]
pub fn rate(
    total: &mut Total,
    (timeline, terms, share): (&Timeline, &Terms, Share),
    quantity: Quantity,
    used_at: Instant,
) -> Option<Rated> {
    let rated = shift(total, (timeline, terms, share), quantity)?;
    total.note_added(used_at);
    Some(rated)
}

/// Takes a quantity back that was used at `used_at` and added under `terms` of `timeline`.
///
/// `None`, with the total unchanged, where an amount or a sum leaves its domain.
#[must_use]
pub fn take_back(
    total: &mut Total,
    (timeline, terms, share): (&Timeline, &Terms, Share),
    quantity: Quantity,
    used_at: Instant,
) -> Option<Rated> {
    let rated = shift(total, (timeline, terms, share), quantity.checked_neg()?)?;
    total.note_taken_back(used_at);
    Some(rated)
}

/// Moves the quantity of the part of `terms`.
fn shift(
    total: &mut Total,
    (timeline, terms, share): (&Timeline, &Terms, Share),
    quantity: Quantity,
) -> Option<Rated> {
    let charge = terms.charge.as_deref()?;
    match total.parts.as_mut_slice() {
        [] => rate_first(total, (charge, terms, share), quantity),
        [part] if part.from == terms.from => {
            let total_before = part.quantity;
            let after = total_before.checked_add(quantity)?;
            // Σ rated is P(before) − P(0), so the position before need not be priced again.
            let at_zero = charge.amount_at_zero(share)?;
            let rated = charge.amount_at(after, share)?.checked_sub(at_zero)?;
            let amount = rated.checked_sub(total.rated)?;
            if !rated.fits_a_total() {
                return None;
            }
            part.quantity = after;
            total.rated = rated;
            Some(Rated { amount, total_before })
        }
        _ => rate_across_terms(total, (timeline, terms, share), quantity),
    }
}

fn rate_first(
    total: &mut Total,
    (charge, terms, share): (&Charge, &Terms, Share),
    quantity: Quantity,
) -> Option<Rated> {
    let amount = charge.amount_at(quantity, share)?;
    let amount = amount.checked_sub(charge.amount_at_zero(share)?)?;
    let rated = total.rated.checked_add(amount).filter(|rated| rated.fits_a_total())?;
    total.add(terms, quantity)?;
    total.rated = rated;
    Some(Rated { amount, total_before: Quantity::ZERO })
}

/// Where terms changed within the period, a record shifts the positions of all parts after its
/// own, so the whole period is priced again.
fn rate_across_terms(
    total: &mut Total,
    (timeline, terms, share): (&Timeline, &Terms, Share),
    quantity: Quantity,
) -> Option<Rated> {
    let total_before = total.quantity()?;
    let mut after = total.clone();
    after.add(terms, quantity)?;
    total_before.checked_add(quantity)?;
    let rated = after.amount_of_parts(timeline, share).filter(|rated| rated.fits_a_total())?;
    let amount = rated.checked_sub(total.rated)?;
    after.rated = rated;
    *total = after;
    Some(Rated { amount, total_before })
}
