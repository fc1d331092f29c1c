//! Lines: what is billed on one date for one order product or one charge, before it is gathered
//! into documents. What a line stands for is its key; by it a later run finds it again.

use crate::product::Provision;
use crate::terms::OnDocuments;
use rating::{Date, Money, PeriodDates, Quantity};
use std::sync::Arc;

/// A subscription, asset or entitlement that items are gathered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Its reference.
    pub(crate) reference: String,
    /// What it is.
    pub(crate) provision: Provision,
    /// The product it was first ordered as; `None` where it comes from the catalog alone.
    pub(crate) product: Option<String>,
    /// Its place among all, by activation; items stand in this order.
    pub(crate) rank: usize,
}

impl Subject {
    /// A subscription that no order names.
    pub(crate) fn unordered(reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            provision: Provision::Subscription,
            product: None,
            rank: usize::MAX,
        }
    }
}

/// What is billed on one date for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) customer: String,
    pub(crate) bills_on: Date,
    pub(crate) subject: Arc<Subject>,
    pub(crate) on_documents: OnDocuments,
    /// What days it pays for, the end exclusive.
    pub(crate) days: PeriodDates,
    pub(crate) quantity: Quantity,
    pub(crate) amount: Money,
    pub(crate) what: What,
}

/// What a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A portion of an order product.
    Portion { order_product: String },
    /// A charge of a subscription's plan.
    Usage { order_product: Option<String>, charge: String, billable_quantity: Quantity },
}

/// What a line stands for, whatever its amount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// An order product's days.
    Portion { order_product: String, days: PeriodDates },
    /// A subscription's charge and its period.
    Usage { subscription: String, charge: String, days: PeriodDates },
}

impl Line {
    /// What it stands for.
    pub(crate) fn key(&self) -> Key {
        let days = self.days;
        match &self.what {
            What::Portion { order_product } => {
                Key::Portion { order_product: order_product.clone(), days }
            }
            What::Usage { charge, .. } => Key::Usage {
                subscription: self.subject.reference.clone(),
                charge: charge.clone(),
                days,
            },
        }
    }
}
