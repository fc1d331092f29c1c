#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod decimal;
pub mod fault;
mod instant;
pub mod json;
mod money;
mod period;
mod quantity;
mod rounding;
mod settings;

pub use decimal::DecimalError;
pub use fault::{Fault, Faults, Fields};
pub use instant::{Instant, InstantError};
pub use jiff::civil::Date;
pub use jiff::tz::TimeZone;
pub use money::{AMOUNT_SCALE, Amount, Currency, Money, PRICE_SCALE, Price};
pub use period::{
    Cycle, Period, PeriodDates, PeriodLength, start_of_day, time_zone_database_version,
};
pub use quantity::{QUANTITY_SCALE, Quantity};
pub use rounding::Rounding;
pub use settings::{CycleDay, ProrationBasis, Settings};
