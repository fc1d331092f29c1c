//! Rated usage: one short CloudEvent for every record and charge.

use crate::slots::Slot;
use rating::resolve::Line;
use rating::{Catalog, Instant, Rated, Terms, UsageRecord, json};
use std::fmt::Write as _;

/// Appends a rated record as one line of JSON.
///
/// The part that all records of a slot share is written once and copied from then on.
pub(crate) fn write_line(
    out: &mut String,
    record: &UsageRecord<'_>,
    slot: &Slot,
    quantity: &str,
    rated: &Rated,
) {
    out.push_str("{\"specversion\":\"1.0\",\"id\":");
    json::write_string(out, &record.id);
    out.push_str(",\"source\":");
    json::write_string(out, &record.source);
    // The charge goes inside the quotes of the source.
    out.pop();
    out.push_str(&slot.rated_head);
    out.push_str("\"quantity\":\"");
    out.push_str(quantity);
    // Writing to a string cannot fail.
    out.push_str("\",\"total_before\":\"");
    _ = rated.total_before.write_to(out);
    out.push_str("\",\"amount\":\"");
    _ = rated.amount.write_to(out);
    out.push_str("\"},\"time\":\"");
    _ = record.used_at.write_to(out);
    out.push_str("\"}\n");
}

/// The part of a rated line that its slot and terms decide.
pub(crate) fn head(catalog: &Catalog, line: &Line, period_start: Instant, terms: &Terms) -> String {
    let charge = terms.charge.as_deref().map_or("", |charge| &charge.key);
    let mut out = String::from("#");
    json::write_string(&mut out, charge);
    out.remove(1);
    out.push_str(",\"type\":\"usage.rated\",\"subject\":");
    let Some(subscription) = catalog.subscription_at(line.subscription) else { return out };
    let customer = catalog.customer_at(subscription.customer);
    let plan = catalog.plan_of(subscription);
    json::write_string(&mut out, &subscription.id);
    out.push_str(",\"data\":{\"customer\":");
    json::write_string(&mut out, customer.map_or("", |customer| &customer.id));
    out.push_str(",\"charge\":");
    json::write_string(&mut out, charge);
    out.push_str(",\"plan\":");
    json::write_string(&mut out, plan.map_or("", |plan| &plan.key));
    _ = write!(out, ",\"plan_version\":{}", terms.plan_version);
    if let Some(from) = terms.override_from {
        _ = write!(out, ",\"override\":\"{from}\"");
    }
    let currency = plan.map(|plan| plan.currency.to_string()).unwrap_or_default();
    _ = write!(out, ",\"period_start\":\"{period_start}\",\"currency\":\"{currency}\",");
    out
}
