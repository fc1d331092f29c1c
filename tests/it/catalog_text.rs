//! Catalogs written as tables: meters, plans, charges, customers, subscriptions, overrides.
//!
//! A column is a field of the catalog under its own name, so that a new field needs no code here.

use crate::table::{Row, Table};
use std::collections::BTreeMap;

/// The tables of a catalog.
#[derive(Debug, Default)]
pub(crate) struct CatalogText {
    tables: BTreeMap<String, Vec<Row>>,
}

impl CatalogText {
    /// Takes a table if it is part of a catalog, and gives it back if not.
    pub(crate) fn take(&mut self, table: Table) -> Option<Table> {
        const TABLES: [&str; 6] =
            ["meter", "plan", "charge", "customer", "subscription", "override"];
        if !TABLES.contains(&table.name.as_str()) {
            return Some(table);
        }
        self.tables.entry(table.name).or_default().extend(table.rows);
        None
    }

    fn rows(&self, table: &str) -> &[Row] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// The type that the first meter takes: that of records which state none.
    pub(crate) fn event_type(&self) -> &str {
        self.rows("meter").first().map_or("", |row| row.need("event_type"))
    }

    /// The catalog as JSON.
    pub(crate) fn json(&self) -> String {
        let list = |table: &str, write: &dyn Fn(&Row) -> String| {
            let objects = self.rows(table).iter().map(|row| format!("{{{}}}", write(row)));
            objects.collect::<Vec<_>>().join(",\n")
        };
        format!(
            "{{\"meters\":[{}],\n\"plans\":[{}],\n\"customers\":[{}],\n\"subscriptions\":[{}]}}\n",
            list("meter", &|row| row.object(|column| named(column, "meter", "key"))),
            list("plan", &|row| self.plan(row)),
            list("customer", &|row| row.object(|column| named(column, "customer", "id"))),
            list("subscription", &|row| self.subscription(row)),
        )
    }

    fn plan(&self, plan: &Row) -> String {
        let (key, version) = (plan.need("plan"), plan.need("version"));
        let exact = format!("{key}/{version}");
        let charges = self.rows("charge").iter().filter(|row| {
            let of = row.need("plan");
            of == key || of == exact
        });
        let charges = charges.map(|row| {
            let fields = row.object(|column| match column {
                "plan" => None,
                _ => named(column, "charge", "key"),
            });
            format!("\n  {{{fields}}}")
        });
        let charges: Vec<String> = charges.collect();
        let fields = plan.object(|column| named(column, "plan", "key"));
        format!("{fields},\"charges\":[{}]", charges.join(","))
    }

    fn subscription(&self, subscription: &Row) -> String {
        let id = subscription.need("subscription");
        let own = self.rows("override").iter().filter(|row| row.need("subscription") == id);
        let mut overrides: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for row in own {
            let fields = row.object(|column| {
                (!["override", "subscription"].contains(&column)).then_some(column)
            });
            overrides.entry(row.need("override")).or_default().push(format!("{{{fields}}}"));
        }
        let overrides: Vec<String> = overrides
            .iter()
            .map(|(charge, changes)| format!("\"{charge}\":[{}]", changes.join(",")))
            .collect();
        let fields = subscription.object(|column| named(column, "subscription", "id"));
        format!("{fields},\"overrides\":{{{}}}", overrides.join(","))
    }
}

/// The name of a field: that of its column, but for the column that names the table.
fn named<'a>(column: &'a str, table: &str, id: &'a str) -> Option<&'a str> {
    Some(if column == table { id } else { column })
}
