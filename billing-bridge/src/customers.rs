//! What billing must know of the catalog, stated as a port: who the customers and the plans are.

use rating::{Currency, Date, Instant, Settings, TimeZone};

/// What the catalog says about one customer.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerFacts {
    /// The calendar in which the customer's days begin.
    pub zone: TimeZone,
    /// The settings that stand on the customer.
    pub settings: Settings,
    /// The earliest start of the customer's subscriptions in the catalog. It fixes the cycle day
    /// of `first_subscription_start` for a customer who has subscriptions but never ordered.
    pub first_subscription_start: Option<Date>,
}

/// Answers from the catalog. The root package plugs it; orders are checked against it.
pub trait Customers {
    /// The customer of this id; `None` if there is none.
    fn customer(&self, id: &str) -> Option<CustomerFacts>;

    /// The currency of the plan of this key; `None` if there is no such plan.
    fn plan_currency(&self, key: &str) -> Option<Currency>;

    /// The first day on which the plan of this key is in force, and the instant from which it is;
    /// `None` where that is not known.
    fn plan_start(&self, key: &str) -> Option<(Date, Instant)>;

    /// The customer of a subscription that the catalog itself has.
    fn subscription_customer(&self, id: &str) -> Option<String>;

    /// The plan of a subscription that the catalog itself has.
    fn subscription_plan(&self, id: &str) -> Option<String>;

    /// Whether records call somebody by this name already: a customer, or a subscription of
    /// another id.
    fn is_taken(&self, name: &str) -> bool;

    /// All customer ids, for suggestions. Asked only when one is unknown.
    fn customer_ids(&self) -> Vec<&str>;

    /// All plan keys, for suggestions. Asked only when one is unknown.
    fn plan_keys(&self) -> Vec<&str>;
}
