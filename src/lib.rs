//! usage-rater rates usage records exactly once, in exact decimals, and bills them.
//!
//! This package sees all of `rating`, `ingest`, `aggregator` and `billing-bridge` and plugs them
//! together; none of them sees another but `rating`. `ARCHITECTURE.md` shows the way of a record.

mod catalog_port;
mod changed_calendars;
mod cli;
mod clock;
mod command;
mod contradiction;
mod demo;
mod failure;
mod input;
mod progress;
mod rating_run;
mod service;
mod snapshots;
mod staging;
pub mod stream;
mod verify;

pub use cli::run;
pub use failure::Failure;
pub use rating_run::{RatingRun, Summary};
