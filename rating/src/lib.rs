#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod aggregation;
mod at_zero;
mod calendar;
mod catalog;
mod charge;
mod content;
mod correction;
mod decimal;
mod dimension;
pub mod fault;
mod instant;
pub mod json;
mod meter;
mod money;
mod owed;
mod period;
mod plan;
mod position;
mod price;
#[cfg(test)]
mod properties;
mod quantity;
mod rate;
mod record;
mod rejection;
pub mod resolve;
mod rounding;
mod rows;
pub mod schema;
mod scope;
mod settings;
mod share;
mod times;
mod total;
mod unit;

pub use aggregation::{Aggregation, Percentile};
pub use calendar::{Calendar, CycleChange};
pub use catalog::{
    Catalog, Customer, CustomerId, CycleRule, MeterId, Subject, Subscription, SubscriptionEntry,
    SubscriptionId,
};
pub use charge::{Cells, Charge, Filter, Prorated, Terms, Timeline};

pub use content::ContentDigest;
pub use correction::{Correction, CorrectionKind, Replacement};
pub use decimal::{DecimalError, Domain, parse_scaled, write_scaled};
pub use dimension::{DimensionHash, Dimensions};
pub use fault::{Fault, Faults, Fields};
pub use instant::{Instant, InstantError};
pub use jiff::civil::Date;
pub use jiff::tz::TimeZone;
pub use meter::{Measured, Meter, Path, QuantityFault};
pub use money::{AMOUNT_SCALE, Amount, Currency, Money, PRICE_SCALE, Price};
pub use owed::{OWED_SCALE, Owed};
pub use period::{
    Cycle, Period, PeriodDates, PeriodLength, start_of_day, time_zone_database_version,
};
pub use plan::{Changes, Override, Plan, PlanVersion};
pub use position::{
    Change, Contribution, Direction, FreedBlocks, Kept, Place, Position, PositionPart,
    PositionUndo, Pricing, RecordKey, Shift, Tally, Usage,
};
pub use price::{
    CellMatch, Freed, Matrix, Percentage, PriceModel, Tier, TierRate, Tiers, TiersError, cell_label,
};
pub use quantity::{QUANTITY_SCALE, Quantity};
pub use rate::{Rated, rate, take_back};
pub use record::UsageRecord;
pub use rejection::{Code, Rejection};
pub use rounding::Rounding;
pub use rows::{Block, Growth, RowUndo, Rows, Weight};
pub use scope::{Scope, Span, term_holding};
pub use settings::{CycleDay, ProrationBasis, Settings};
pub use share::Share;
pub use times::{TIMES_FOUND, TIMES_KEPT, Times, TimesEnd};
pub use total::{Frame, Part, Settled, Sums, Total};
pub use unit::{Unit, UnitRounding};
