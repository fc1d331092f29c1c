//! Rated usage and invoices as text that a person reads.

use billing_bridge::{Filed, Item};
use rating::json::Tape;
use std::fmt::Write as _;

/// Width of an invoice, in characters.
const WIDTH: usize = 84;

/// The first `count` rated lines of a customer among lines of JSON, as a table.
pub(crate) fn rated(lines: &[u8], customer: &str, count: usize) -> String {
    let mut out = format!(
        "  {:<24} {:<8} {:>10} {:>12} {:>12}  currency\n",
        "used at", "charge", "quantity", "total before", "amount"
    );
    let mut tape = Tape::default();
    let mut shown = 0;
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(record) = tape.parse(line) else { continue };
        let Some(data) = record.get("data") else { continue };
        if !data.get("customer").is_some_and(|value| value.is(customer)) {
            continue;
        }
        let of = |name: &str| data.get(name).map_or("", |value| value.raw());
        let time = record.get("time").map_or("", |value| value.raw());
        // Writing to a string cannot fail.
        _ = writeln!(
            out,
            "  {time:<24} {:<8} {:>10} {:>12} {:>12}  {}",
            of("charge"),
            of("quantity"),
            of("total_before"),
            of("amount"),
            of("currency")
        );
        shown += 1;
        if shown == count {
            break;
        }
    }
    out
}

/// An invoice.
pub(crate) fn invoice(filed: &Filed) -> String {
    let content = filed.content();
    let rule = "─".repeat(WIDTH);
    let mut out = format!("  {rule}\n");
    let title = format!("Invoice for {} ({})", content.customer, filed.state().name());
    pair(&mut out, &title, content.currency.code());
    _ = writeln!(out, "  dated {}, due {}", content.invoice_date, content.due_date);
    _ = writeln!(out, "  {rule}");
    for item in &content.items {
        write_item(&mut out, item);
    }
    _ = writeln!(out, "  {rule}");
    pair(&mut out, "Total", &content.total.to_string());
    out
}

fn write_item(out: &mut String, item: &Item) {
    let product = item.product.as_deref().unwrap_or("usage");
    let title = format!("{} · {product} · {} to {}", item.reference, item.start, item.end);
    pair(out, &title, &item.amount.to_string());
    for detail in &item.details {
        let text = format!(
            "    {} × {}, {} to {}",
            detail.quantity, detail.order_product, detail.start, detail.end
        );
        pair(out, &text, &format!("{}      ", detail.amount));
    }
    for usage in &item.usage {
        let text = format!(
            "    {}: {} used, {} priced, {} to {}",
            usage.charge,
            usage.quantity,
            usage.billable_quantity,
            usage.period_start,
            usage.period_end
        );
        pair(out, &text, &format!("{}      ", usage.amount));
    }
}

/// A text at the left edge and one at the right.
fn pair(out: &mut String, left: &str, right: &str) {
    let gap = WIDTH.saturating_sub(left.chars().count() + right.chars().count()).max(1);
    _ = writeln!(out, "  {left}{}{right}", " ".repeat(gap));
}
