//! Bounds of a catalog's numbers that are narrower than their domain.

use crate::fault::{Faults, read_price};
use crate::json::Value;
use crate::money::Price;

/// Reads with `read` and refuses what is below zero.
pub(super) fn not_negative<'a, T: Default + PartialOrd>(
    read: impl Fn(Value<'a>, &mut Faults<'_>) -> Option<T>,
) -> impl Fn(Value<'a>, &mut Faults<'_>) -> Option<T> {
    move |value, faults| {
        let number = read(value, faults)?;
        if number < T::default() {
            faults.add(value, "must not be below 0");
            return None;
        }
        Some(number)
    }
}

/// Reads with `read` and refuses zero and what is below.
pub(super) fn above_zero<'a, T: Default + PartialOrd>(
    read: impl Fn(Value<'a>, &mut Faults<'_>) -> Option<T>,
) -> impl Fn(Value<'a>, &mut Faults<'_>) -> Option<T> {
    move |value, faults| {
        let number = read(value, faults)?;
        if number <= T::default() {
            faults.add(value, "must be above 0");
            return None;
        }
        Some(number)
    }
}

/// Reads a percentage from 0 to 100.
pub(super) fn read_percent(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Price> {
    const HUNDRED: Price = Price::from_scaled(100_000_000_000_000);
    let percent = read_price(value, faults)?;
    if percent.is_negative() || HUNDRED < percent {
        faults.add(value, "must lie between 0 and 100");
        return None;
    }
    Some(percent)
}
