#![doc = include_str!("../README.md")]

mod contract;
mod customers;
mod document;
mod error;
#[cfg(test)]
mod examples;
pub mod export;
mod line;
mod merge;
mod months;
mod order;
mod order_book;
mod product;
#[cfg(test)]
mod properties;
mod residual;
mod schedule;
mod store;
mod subscription;
mod terms;
#[cfg(test)]
mod test_support;
mod usage;

pub use customers::{CustomerFacts, Customers};
pub use document::{
    Active, Canceled, Content, Detail, Document, Draft, Filed, Item, Number, Numbers, Series,
    State, UsageLine,
};
pub use error::BillingError;
pub use merge::{Billing, Documents, documents};
pub use order::{Kind, Order, OrderProduct, PricePeriod};
pub use order_book::{OrderBook, Ordered};
pub use product::{Product, Provision, RevenueModel};
pub use store::{DocumentStore, SqliteStore, StoreError};
pub use subscription::OrderedSubscription;
pub use terms::{BillingTiming, OnDocuments, Terms};
pub use usage::UsageTotal;
