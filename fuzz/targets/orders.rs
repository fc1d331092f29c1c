//! Reading orders: any bytes are an order book or a list of faults, each with a place in the text.
#![no_main]

use billing_bridge::{CustomerFacts, Customers, OrderBook};
use libfuzzer_sys::fuzz_target;
use rating::{Currency, Date, Instant, Settings, TimeZone};

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

    fn plan_start(&self, _: &str) -> Option<(Date, Instant)> {
        Some((Date::constant(2000, 1, 1), Instant::from_nanos(946_684_800_000_000_000)))
    }

    fn subscription_customer(&self, _: &str) -> Option<String> {
        None
    }

    fn subscription_plan(&self, _: &str) -> Option<String> {
        None
    }

    fn is_taken(&self, name: &str) -> bool {
        name == "taken"
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
        let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
        for fault in faults {
            assert!((1..=lines).contains(&fault.line) && fault.column > 0, "{fault}");
        }
    }
});
