//! The order book: every activated order, checked as a whole and with its terms settled.
//!
//! Terms are settled once, when an order enters the book, so that whoever bills from it never asks
//! which of five levels said what.

mod fact;
mod history;
mod price;
mod read;
mod reference;
#[cfg(test)]
mod refusals;
mod schema;

use crate::customers::{CustomerFacts, Customers};
use crate::order::{Kind, Order, OrderProduct};
use crate::product::{Product, Provision, RevenueModel};
use crate::terms::{BillingTiming, Terms, cycle};
pub(crate) use price::bills_over_time;
use rating::{Cycle, Date, Fault, Settings};
use std::collections::BTreeMap;

/// All activated orders with the products they name.
#[derive(Debug, Clone, Default)]
pub struct OrderBook {
    organisation: Settings,
    products: BTreeMap<String, Product>,
    orders: BTreeMap<String, Order>,
    customers: BTreeMap<String, CustomerFacts>,
    /// The start of each customer's first subscription, fixed at the first activation.
    anchors: BTreeMap<String, Date>,
    ordered: Vec<Ordered>,
}

/// One activated order product with everything that decides how it is billed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered {
    /// The order it stands in.
    pub order: String,
    /// Whom it bills.
    pub customer: String,
    /// What the order does.
    pub kind: Kind,
    /// The day before which nothing of it is billed.
    pub activated_on: Date,
    /// The order product; where it names no plan, the one that its product has on the reference.
    pub product: OrderProduct,
    /// What it provisions.
    pub provision: Provision,
    /// What its price buys.
    pub revenue_model: RevenueModel,
    /// When it is billed.
    pub timing: BillingTiming,
    /// Everything else about how it is billed.
    pub terms: Terms,
}

/// The content of an order product, as stores keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) id: String,
    /// Its canonical text.
    pub(crate) text: String,
    /// Whether its order is activated; before that it may still change.
    pub(crate) is_activated: bool,
}

impl OrderBook {
    /// Reads `orders.json`.
    ///
    /// # Errors
    /// Every fault of the document, each with its place; a document with any is refused whole.
    pub fn parse(bytes: &[u8], customers: &dyn Customers) -> Result<Self, Vec<Fault>> {
        Self::default().extended_by(bytes, customers)
    }

    /// This book and the orders of another document of the same form, such as one new order.
    ///
    /// What is in the book already may be repeated, but not changed.
    ///
    /// # Errors
    /// Every fault of the document; the book itself stays as it is.
    pub fn extended_by(&self, bytes: &[u8], customers: &dyn Customers) -> Result<Self, Vec<Fault>> {
        read::extend(self, bytes, customers)
    }

    /// The book as it was at the end of `date`: without orders that are activated later.
    #[must_use]
    pub fn activated_by(&self, date: Date) -> Self {
        let mut book = self.clone();
        book.ordered.retain(|ordered| ordered.activated_on <= date);
        book
    }

    /// All order products in the order of their activation.
    #[must_use]
    pub fn ordered(&self) -> &[Ordered] {
        &self.ordered
    }

    /// The billing periods of a customer, by the customer's settings, then the organisation's.
    ///
    /// Where the first subscription fixes the cycle day, that is the first one ordered; for a
    /// customer who never ordered, the first one of the catalog.
    #[must_use]
    pub fn cycle_of(&self, customer: &str, facts: &CustomerFacts) -> Cycle {
        let settings = facts.settings.or(&self.organisation);
        cycle(&settings, &facts.zone, self.anchor_of(customer, facts))
    }

    /// Whether the service drafts the first invoice of an order as soon as it is activated.
    #[must_use]
    pub fn is_invoiced_on_activation(&self, order: &str) -> bool {
        let mut products = self.ordered.iter().filter(|ordered| ordered.order == order);
        products.any(|ordered| ordered.terms.first_invoice_on_activation)
    }

    /// The content of every order product, by id; what is activated by `as_of` is final.
    pub(crate) fn contents(&self, as_of: Date) -> Vec<Saved> {
        let mut contents: BTreeMap<&str, Saved> = BTreeMap::new();
        for order in self.orders.values() {
            for product in &order.order_products {
                contents.entry(&product.id).or_insert_with(|| Saved {
                    id: product.id.clone(),
                    text: product.canonical(order),
                    is_activated: order.activated_on <= as_of,
                });
            }
        }
        contents.into_values().collect()
    }

    /// The terms of a customer's usage that no order product stands for.
    pub(crate) fn terms_of(&self, customer: &str, customers: &dyn Customers) -> Option<Terms> {
        let asked = customers.customer(customer);
        let facts = asked.as_ref().or_else(|| self.customers.get(customer))?;
        let settings = facts.settings.or(&self.organisation);
        Terms::settle(&settings, &facts.zone, self.anchor_of(customer, facts))
    }

    fn anchor_of(&self, customer: &str, facts: &CustomerFacts) -> Option<Date> {
        self.anchors.get(customer).copied().or(facts.first_subscription_start)
    }
}
