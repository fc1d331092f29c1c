//! Reading orders: any bytes are an order book or a list of faults, each with a place in the text.
#![no_main]

use billing_bridge::{CustomerFacts, Customers, OrderBook};
use libfuzzer_sys::fuzz_target;
use rating::{Currency, Settings, TimeZone};

/// Knows every customer and plan.
struct Everybody;

impl Customers for Everybody {
    fn customer(&self, _: &str) -> Option<CustomerFacts> {
        let settings = Settings::default();
        Some(CustomerFacts { zone: TimeZone::UTC, settings, first_subscription_start: None })
    }

    fn plan_currency(&self, _: &str) -> Option<Currency> {
        Currency::parse("USD")
    }

    fn subscription_customer(&self, _: &str) -> Option<String> {
        None
    }

    fn customer_ids(&self) -> Vec<&str> {
        vec!["CUS-1"]
    }

    fn plan_keys(&self) -> Vec<&str> {
        vec!["pro"]
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Err(faults) = OrderBook::parse(bytes, &Everybody) {
        assert!(!faults.is_empty());
    }
});
