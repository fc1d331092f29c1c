//! Rated usage: one short CloudEvent for every record and charge.

use rating::resolve::Line;
use rating::{Catalog, Instant, Rated, Terms, json};
use std::fmt::Write as _;

/// What one record did to one total.
#[derive(Debug)]
pub(crate) struct RatedLine<'a> {
    /// The record that did it.
    pub(crate) source: &'a str,
    pub(crate) id: &'a str,
    pub(crate) at: Instant,
    /// What all lines of the total have in common, from [`head`].
    pub(crate) head: &'a str,
    /// What of it counts, as it is written.
    pub(crate) quantity: &'a str,
    /// Whether the quantity was taken back.
    pub(crate) taken_back: bool,
    pub(crate) rated: &'a Rated,
    /// The cell of its matrix; empty without one.
    pub(crate) cell: &'a str,
    /// Source and id of the record that it corrects.
    pub(crate) corrects: Option<(&'a str, &'a str)>,
    /// Whether it moves the position of this total only, because it is of an earlier period.
    pub(crate) is_shift: bool,
    /// Whether the period was closed before.
    pub(crate) is_adjustment: bool,
}

impl RatedLine<'_> {
    /// Appends the line, with its end.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("{\"specversion\":\"1.0\",\"id\":");
        json::write_string(out, self.id);
        out.push_str(",\"source\":");
        json::write_string(out, self.source);
        // The charge goes inside the quotes of the source.
        out.pop();
        out.push_str(self.head);
        out.push_str("\"quantity\":\"");
        match self.quantity.strip_prefix('-') {
            Some(positive) if self.taken_back => out.push_str(positive),
            None if self.taken_back && self.quantity != "0" => {
                out.push('-');
                out.push_str(self.quantity);
            }
            _ => out.push_str(self.quantity),
        }
        // Writing to a string cannot fail.
        out.push_str("\",\"total_before\":\"");
        _ = self.rated.total_before.write_to(out);
        out.push_str("\",\"amount\":\"");
        _ = self.rated.amount.write_to(out);
        out.push('"');
        if !self.cell.is_empty() {
            out.push_str(",\"cell\":");
            json::write_string(out, self.cell);
        }
        if let Some((source, id)) = self.corrects {
            out.push_str(",\"corrects\":{\"source\":");
            json::write_string(out, source);
            out.push_str(",\"id\":");
            json::write_string(out, id);
            out.push('}');
        }
        if self.taken_back {
            out.push_str(",\"taken_back\":true");
        }
        if self.is_shift {
            out.push_str(",\"shift\":true");
        }
        if self.is_adjustment {
            out.push_str(",\"adjustment\":true");
        }
        out.push_str("},\"time\":\"");
        _ = self.at.write_to(out);
        out.push_str("\"}\n");
    }
}

/// The part of a rated line that its slot and terms decide.
pub(crate) fn head(catalog: &Catalog, line: &Line, period_start: Instant, terms: &Terms) -> String {
    let found = catalog.subscription_at(line.subscription);
    let timeline = found.and_then(|found| catalog.timelines_of(found).get(line.timeline));
    let charge = timeline.map_or("", |timeline| &timeline.key);
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
