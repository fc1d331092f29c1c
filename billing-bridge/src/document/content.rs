//! What stands on a document, in whichever state it is.

use crate::product::Provision;
use rating::{Currency, Date, Money, Quantity};
use std::fmt::Write as _;

/// The two kinds of document; each is numbered in a series of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// Money the customer owes.
    Invoice,
    /// Money the customer gets back.
    CreditMemo,
}

impl Series {
    /// Its name on documents and in stores. Frozen: it is part of every identity.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditMemo => "credit_memo",
        }
    }

    /// The series of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Invoice, Self::CreditMemo].into_iter().find(|series| series.name() == name)
    }
}

/// Everything on a document but its number and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Invoice or credit memo.
    pub series: Series,
    /// Whom it bills.
    pub customer: String,
    /// What all its amounts are in.
    pub currency: Currency,
    /// The billing date of everything on it.
    pub invoice_date: Date,
    /// When it is to be paid.
    pub due_date: Date,
    /// 1, or more where documents of this identity are active already.
    pub sequence: u32,
    /// One for each subscription, asset or entitlement.
    pub items: Vec<Item>,
    /// The sum of the items; on a credit memo what is given back.
    pub total: Money,
}

impl Content {
    /// The document's identity. Frozen: stores keep it.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = format!("{}/", self.series.name());
        for character in self.customer.chars() {
            match character {
                // A customer's id may hold anything; the parts of an identity must not mix.
                '%' => id.push_str("%25"),
                '/' => id.push_str("%2F"),
                other => id.push(other),
            }
        }
        // Writing to a string cannot fail.
        let _ok = write!(id, "/{}/{}", self.currency, self.invoice_date).is_ok();
        if self.sequence > 1 {
            let _ok = write!(id, "/{}", self.sequence).is_ok();
        }
        id
    }
}

/// All that is billed for one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The subscription, asset or entitlement.
    pub reference: String,
    /// Which of the three it is.
    pub provision: Provision,
    /// The product it was first ordered as; `None` where no order names it.
    pub product: Option<String>,
    /// First day of its details, or of its usage where it has no details.
    pub start: Date,
    /// Last day of its details, or of its usage where it has no details.
    pub end: Date,
    /// The sum of details and usage.
    pub amount: Money,
    /// What its order products cost.
    pub details: Vec<Detail>,
    /// What its usage costs.
    pub usage: Vec<UsageLine>,
}

/// A portion of an order product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The order product.
    pub order_product: String,
    /// First day it pays for.
    pub start: Date,
    /// Last day it pays for.
    pub end: Date,
    /// How many were ordered; below zero where they are taken away.
    pub quantity: Quantity,
    /// What the portion costs.
    pub amount: Money,
}

/// A charge's total of one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLine {
    /// The order product whose plan has the charge; `None` where no order names the subscription.
    pub order_product: Option<String>,
    /// The charge.
    pub charge: String,
    /// First day of the period.
    pub period_start: Date,
    /// Last day of the period.
    pub period_end: Date,
    /// What was used.
    pub quantity: Quantity,
    /// What of it is priced.
    pub billable_quantity: Quantity,
    /// What it costs.
    pub amount: Money,
}
