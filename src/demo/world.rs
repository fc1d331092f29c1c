//! The demo's world: a small software company's customers, their plans, orders and usage.
//!
//! Everything is drawn from a fixed sequence, so the demo shows the same numbers everywhere.

use std::fmt::Write as _;
use std::io::{self, Write};

/// The customer whose usage and invoice the demo shows.
pub(crate) const SHOWN: &str = "ACME";
/// The day the demo bills.
pub(crate) const AS_OF: &str = "2026-02-01";
/// Customers beside the one that is shown.
const CUSTOMERS: u64 = 999;
/// Seconds of January 2026, over which the records are spread.
const JANUARY_SECONDS: u64 = 31 * 86_400;
const ZONES: [&str; 5] = ["Europe/Berlin", "Asia/Tokyo", "UTC", "Asia/Kolkata", "Australia/Sydney"];

/// The catalog: three meters, one plan, a thousand customers.
pub(crate) fn catalog() -> String {
    let mut text = String::from(
        r#"{
  "meters": [
    {"key": "calls", "event_type": "api.request", "aggregation": "sum", "value": "$.calls"},
    {"key": "storage", "event_type": "storage.day", "aggregation": "sum", "value": "$.gib"},
    {"key": "builds", "event_type": "build.done", "aggregation": "count"}
  ],
  "plans": [
    {"key": "growth", "version": 1, "effective_from": "2025-01-01T00:00:00Z", "currency": "USD",
     "charges": [
      {"key": "calls", "meter": "calls", "included": "1000", "price": {
        "model": "graduated", "tiers": [
        {"up_to": "500", "unit_price": "0.02"}, {"up_to": null, "unit_price": "0.01"}]}},
      {"key": "storage", "meter": "storage", "price": {"model": "volume", "tiers": [
        {"up_to": "100", "unit_price": "0.125"}, {"up_to": null, "unit_price": "0.0925"}]}},
      {"key": "builds", "meter": "builds", "price": {
        "model": "package", "package_size": "10", "package_price": "1.50"}},
      {"key": "support", "price": {"model": "flat", "amount": "25"}}
    ]}
  ],
  "customers": [
"#,
    );
    for index in 0..=CUSTOMERS {
        let zone = ZONES.get(zone_of(index)).copied().unwrap_or("UTC");
        let comma = if index == CUSTOMERS { "" } else { "," };
        let id = customer(index);
        // Writing to a string cannot fail.
        _ = writeln!(text, "    {{\"id\": \"{id}\", \"time_zone\": \"{zone}\"}}{comma}");
    }
    text.push_str("  ]\n}\n");
    text
}

/// The orders: a platform fee in advance and a usage plan in arrears for every customer.
pub(crate) fn orders() -> String {
    let mut text = String::from(
        r#"{
  "settings": {"billing_period": "month", "bill_cycle_day": 1, "payment_term_days": 30,
    "currency": "USD"},
  "products": [
    {"sku": "PLATFORM", "name": "Platform", "provisions": "subscription",
     "revenue_model": "recurring"},
    {"sku": "USAGE", "name": "Usage", "provisions": "subscription",
     "revenue_model": "overage_usage"}
  ],
  "orders": [
"#,
    );
    for index in 0..=CUSTOMERS {
        let id = customer(index);
        let comma = if index == CUSTOMERS { "" } else { "," };
        _ = writeln!(
            text,
            "    {{\"id\": \"O-{id}\", \"customer\": \"{id}\", \"kind\": \"new\", \
             \"activated_on\": \"2026-01-01\", \"order_products\": [\n      \
             {{\"id\": \"OP-{id}-1\", \"sku\": \"PLATFORM\", \"reference\": \"SUB-{id}\", \
             \"quantity\": \"1\", \"unit_price\": \"99\", \"price_period\": \"month\", \
             \"start\": \"2026-01-01\", \"end\": \"2026-12-31\"}},\n      \
             {{\"id\": \"OP-{id}-2\", \"sku\": \"USAGE\", \"reference\": \"SUB-{id}\", \
             \"quantity\": \"1\", \"start\": \"2026-01-01\", \"end\": \"2026-12-31\", \
             \"plan\": \"growth\"}}]}}{comma}"
        );
    }
    text.push_str("  ]\n}\n");
    text
}

/// Writes usage records: one in a hundred is sent twice, one in a thousand is broken.
pub(crate) fn write_usage(out: &mut impl Write, records: u64) -> io::Result<()> {
    let mut line = String::new();
    for index in 0..records {
        let draw = draw(index);
        line.clear();
        write_record(&mut line, index, records, draw);
        if draw % 1_000 == 7 {
            // Cut off in transit.
            line.truncate(line.len() / 2);
            line.push('\n');
        }
        out.write_all(line.as_bytes())?;
        if draw % 100 == 3 {
            // The producer did not hear the answer and tries again.
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

fn write_record(line: &mut String, index: u64, records: u64, draw: u64) {
    // The shown customer uses enough to leave its included calls behind.
    let customer = customer(if draw.is_multiple_of(211) { 0 } else { draw % CUSTOMERS + 1 });
    let second = index.saturating_mul(JANUARY_SECONDS) / records.max(1);
    let (event_type, data) = match draw >> 12 & 7 {
        0 => ("storage.day", format!("{{\"gib\":\"{}.{:03}\"}}", draw >> 20 & 1, draw >> 24 & 511)),
        1 => ("build.done", format!("{{\"status\":{}}}", draw >> 20 & 1)),
        _ => ("api.request", format!("{{\"calls\":\"{}.{}\"}}", draw >> 20 & 3, draw >> 24 & 7)),
    };
    _ = writeln!(
        line,
        "{{\"specversion\":\"1.0\",\"id\":\"{index:08x}\",\"source\":\"gateway/{}\",\
         \"type\":\"{event_type}\",\"subject\":\"{customer}\",\
         \"time\":\"2026-01-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"data\":{data}}}",
        draw >> 32 & 3,
        second / 86_400 + 1,
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60,
        draw >> 40 & 511,
    );
}

fn customer(index: u64) -> String {
    if index == 0 { SHOWN.to_owned() } else { format!("CUS-{index:04}") }
}

fn zone_of(index: u64) -> usize {
    usize::try_from(index).unwrap_or_default() % ZONES.len()
}

/// SplitMix64 of a number: a fixed sequence that looks drawn.
const fn draw(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
