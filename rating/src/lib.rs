#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod catalog;
mod charge;
mod content;
mod decimal;
pub mod fault;
mod instant;
pub mod json;
mod meter;
mod money;
mod period;
mod plan;
mod price;
mod quantity;
mod rate;
mod record;
mod rejection;
pub mod resolve;
mod rounding;
mod settings;
mod total;

pub use catalog::{
    Catalog, Customer, CustomerId, CycleRule, MeterId, Subject, Subscription, SubscriptionEntry,
    SubscriptionId,
};
pub use charge::{Charge, Filter, Terms, Timeline};

pub use content::ContentDigest;
pub use decimal::{DecimalError, Domain, parse_scaled, write_scaled};
pub use fault::{Fault, Faults, Fields};
pub use instant::{Instant, InstantError};
pub use jiff::civil::Date;
pub use jiff::tz::TimeZone;
pub use meter::{Aggregation, Meter, Path, QuantityFault};
pub use money::{AMOUNT_SCALE, Amount, Currency, Money, PRICE_SCALE, Price};
pub use period::{
    Cycle, Period, PeriodDates, PeriodLength, start_of_day, time_zone_database_version,
};
pub use plan::{Override, Plan, PlanVersion};
pub use price::{PriceModel, Tier, TierRate, Tiers, TiersError};
pub use quantity::{QUANTITY_SCALE, Quantity};
pub use rate::{Rated, rate};
pub use record::UsageRecord;
pub use rejection::{Code, Rejection};
pub use rounding::Rounding;
pub use settings::{CycleDay, ProrationBasis, Settings};
pub use total::{Part, Settled, Total};
