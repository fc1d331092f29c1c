//! Billing, written as text: orders and usage go in, and on a day these documents come out.
//!
//! A `.billing` file names or spells out a catalog and orders. `with` changes a setting of the
//! organisation. Each `as_of` is a run of the program, and the tables after it say what it must
//! have written: every document with its items, details and usage, amounts at the right edge.

mod script;

use crate::program::Workplace;
use crate::table::{Row, aligned};
use script::{Expected, Script};
use serde_json::Value;

const OUTPUTS: [&str; 3] = ["invoices.json", "credit_memos.json", "order_products.json"];

#[test]
fn documents_are_what_finance_expects() {
    for_each(|script, place| {
        for (index, expected) in script.runs.iter().enumerate() {
            bill(script, place, expected, &format!("run-{index}"), "")?;
        }
        Ok(())
    });
}

/// The same run twice writes the same bytes, and with a store it files nothing twice: neither
/// again on the same day nor on a later one.
#[test]
fn a_run_repeated_changes_nothing() {
    for_each(|script, place| {
        for (index, expected) in script.runs.iter().enumerate() {
            let (plain, again) = (format!("plain-{index}"), format!("again-{index}"));
            bill(script, place, expected, &plain, "")?;
            bill(script, place, expected, &again, "")?;
            same(place, &plain, &again)?;
            let (stored, again) = (format!("stored-{index}"), format!("stored-again-{index}"));
            bill(script, place, expected, &stored, "--store store.db")?;
            bill(script, place, expected, &again, "--store store.db")?;
            same(place, &stored, &again)?;
            same(place, &plain, &stored)?;
        }
        Ok(())
    });
}

/// With `--state` the usage is rated once; a later run adds nothing to it.
#[test]
fn a_run_on_kept_state_bills_the_same() {
    for_each(|script, place| {
        for (index, expected) in script.runs.iter().enumerate() {
            let (plain, kept) = (format!("plain-{index}"), format!("kept-{index}"));
            bill(script, place, expected, &plain, "")?;
            bill(script, place, expected, &kept, "--state state")?;
            bill(script, place, expected, &kept, "--state state")?;
            same(place, &plain, &kept)?;
        }
        Ok(())
    });
}

fn for_each(check: impl Fn(&Script, &Workplace) -> Result<(), String>) {
    let scripts = Script::all();
    assert!(scripts.len() >= 5, "billing examples found: {}", scripts.len());
    let mut failures = Vec::new();
    for script in &scripts {
        let place = Workplace::new();
        script.write_inputs(&place);
        failures.extend(check(script, &place).err().map(|told| format!("{}: {told}", script.name)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn same(place: &Workplace, left: &str, right: &str) -> Result<(), String> {
    for name in OUTPUTS {
        let [left, right] = [left, right].map(|run| place.text(&format!("{run}/{name}")));
        if left != right {
            return Err(format!("{name} differs:\n{left}--\n{right}"));
        }
    }
    Ok(())
}

/// One run, and everything that it must have written.
fn bill(
    script: &Script,
    place: &Workplace,
    expected: &Expected,
    out: &str,
    more: &str,
) -> Result<(), String> {
    let usage = if script.usage.is_empty() { "" } else { "--usage usage.ndjson" };
    let given = format!("--catalog catalog.json --orders orders.json {usage} {more}");
    let ran = place.run(&format!("bill {given} --as-of {} --out {out}", expected.as_of));
    if ran.code != Some(0) {
        return Err(format!("as of {}: exit code {:?}: {}", expected.as_of, ran.code, ran.stderr));
    }
    let mut documents = Vec::new();
    for name in ["invoices.json", "credit_memos.json"] {
        let list = place.json(&format!("{out}/{name}"));
        documents.extend(list.as_array().unwrap().iter().flat_map(outline));
    }
    let wanted: Vec<Vec<String>> = expected.documents.iter().map(cells).collect();
    if documents != wanted {
        let (found, wanted) = (aligned(&documents), aligned(&wanted));
        return Err(format!("as of {}, found:\n{found}expected:\n{wanted}", expected.as_of));
    }
    check_sums(&place.json(&format!("{out}/invoices.json")))?;
    let billed = place.json(&format!("{out}/order_products.json"));
    for row in &expected.order_products {
        let id = row.need("order_product");
        let found = billed.as_array().unwrap().iter().find(|billed| billed["id"] == id);
        let found = found.ok_or_else(|| format!("no order product {id}"))?;
        for (column, cell) in row.all_cells().skip(1) {
            let shown = shown(&found[column]);
            if shown != cell {
                return Err(format!("line {}: {column} of {id} is {shown}, not {cell}", row.line));
            }
        }
    }
    Ok(())
}

fn cells(row: &Row) -> Vec<String> {
    ["document", "days", "quantity", "amount"]
        .map(|column| row.get(column).unwrap_or("-").to_owned())
        .to_vec()
}

/// A document as the rows that an example would have for it.
fn outline(document: &Value) -> Vec<Vec<String>> {
    let text = |value: &Value| shown(value);
    let row = |title: String, days: String, quantity: &Value, amount: &Value| {
        vec![title, days, text(quantity), text(amount)]
    };
    let title = format!(
        "{} {} {} {} due {}",
        text(&document["kind"]),
        text(&document["customer"]),
        text(&document["invoice_date"]),
        text(&document["currency"]),
        text(&document["due_date"])
    );
    let mut rows = vec![row(title, "-".to_owned(), &Value::Null, &document["total"])];
    let days = |from: &Value, to: &Value| format!("{}..{}", text(from), text(to));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for item in list(&document["items"]) {
        let title = format!(
            "{} {} {}",
            text(&item["provisions"]),
            text(&item["reference"]),
            text(&item["product"])
        );
        rows.push(row(title, days(&item["start"], &item["end"]), &Value::Null, &item["amount"]));
        for detail in list(&item["details"]) {
            let title = format!("- {}", text(&detail["order_product"]));
            let days = days(&detail["start"], &detail["end"]);
            rows.push(row(title, days, &detail["quantity"], &detail["amount"]));
        }
        for usage in list(&item["usage"]) {
            let title = format!("- {} {}", text(&usage["order_product"]), text(&usage["charge"]));
            let days = days(&usage["period_start"], &usage["period_end"]);
            let quantity =
                format!("{} of {}", text(&usage["billable_quantity"]), text(&usage["quantity"]));
            rows.push(row(title, days, &Value::String(quantity), &usage["amount"]));
        }
    }
    rows
}

/// An item is the sum of its details and usage, a document the sum of its items.
fn check_sums(documents: &Value) -> Result<(), String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let sum = |values: Vec<Value>| values.iter().map(|value| minor(&value["amount"])).sum::<i64>();
    for document in list(documents) {
        for item in list(&document["items"]) {
            let parts = [list(&item["details"]), list(&item["usage"])].concat();
            if sum(parts) != minor(&item["amount"]) {
                return Err(format!("an item that is not the sum of its parts: {item}"));
            }
        }
        if sum(list(&document["items"])) != minor(&document["total"]) {
            return Err(format!("a document that is not the sum of its items: {document}"));
        }
    }
    Ok(())
}

fn minor(amount: &Value) -> i64 {
    let digits = amount.as_str().unwrap().replace('.', "");
    digits.parse().unwrap()
}

fn shown(value: &Value) -> String {
    if value.is_null() {
        return "-".to_owned();
    }
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
