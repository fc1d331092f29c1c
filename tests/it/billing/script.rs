//! A billing example: what goes in, and what each run must write.

use crate::catalog_text::CatalogText;
use crate::program::Workplace;
use crate::scenarios::record;
use crate::table::{Block, Row, Table, blocks};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One `.billing` file.
pub(super) struct Script {
    pub(super) name: String,
    catalog: String,
    orders: Value,
    /// Records, one a line; empty for none.
    pub(super) usage: String,
    pub(super) runs: Vec<Expected>,
}

/// What a run of a day must write.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) as_of: String,
    pub(super) documents: Vec<Row>,
    pub(super) order_products: Vec<Row>,
}

/// Orders that an example spells out.
#[derive(Default)]
struct OrdersText {
    products: Vec<Row>,
    orders: Vec<Row>,
    lines: Vec<Row>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/billing")
}

impl Script {
    /// Every `.billing` file.
    pub(super) fn all() -> Vec<Self> {
        let entries = directory().read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "billing")).collect();
        paths.sort();
        let read = |path: &PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Self::parse(name, &std::fs::read_to_string(path).unwrap())
        };
        paths.iter().map(read).collect()
    }

    fn parse(name: String, text: &str) -> Self {
        let (mut tables, mut orders_text) = (CatalogText::default(), OrdersText::default());
        let (mut catalog, mut orders) = (None, None);
        let (mut settings, mut usage) = (Vec::new(), String::new());
        let mut runs: Vec<Expected> = Vec::new();
        for block in blocks(text, &["catalog", "orders", "with", "as_of"]) {
            let table = match block {
                Block::Table(table) => tables.take(table),
                Block::Statement { name: statement, argument } => {
                    let read = || std::fs::read_to_string(directory().join(&argument)).unwrap();
                    match statement.as_str() {
                        "catalog" => catalog = Some(read()),
                        "orders" => orders = Some(serde_json::from_str(&read()).unwrap()),
                        "with" => settings.push(argument),
                        _ => runs.push(Expected { as_of: argument, ..Expected::default() }),
                    }
                    continue;
                }
            };
            let Some(Table { name: table, rows }) = table else { continue };
            match (table.as_str(), runs.last_mut()) {
                ("usage", None) => {
                    for row in &rows {
                        usage.push_str(&record(row, tables.event_type()));
                        usage.push('\n');
                    }
                }
                ("product", None) => orders_text.products = rows,
                ("order", None) => orders_text.orders = rows,
                ("order_product", None) => orders_text.lines = rows,
                ("document", Some(run)) => run.documents = rows,
                ("order_product", Some(run)) => run.order_products = rows,
                _ => panic!("{name}: what is a table {table} here?"),
            }
        }
        assert!(!runs.is_empty(), "{name}: no run");
        let mut orders: Value =
            orders.unwrap_or_else(|| serde_json::from_str(&orders_text.json()).unwrap());
        for setting in settings {
            let (field, value) = setting.split_once(' ').unwrap();
            let value = serde_json::from_str(value.trim());
            orders["settings"][field] = value.unwrap_or_else(|error| panic!("{setting}: {error}"));
        }
        Self { name, catalog: catalog.unwrap_or_else(|| tables.json()), orders, usage, runs }
    }

    pub(super) fn write_inputs(&self, place: &Workplace) {
        place.write("catalog.json", &self.catalog);
        place.write("orders.json", serde_json::to_string_pretty(&self.orders).unwrap());
        place.write("usage.ndjson", &self.usage);
    }
}

impl OrdersText {
    fn json(&self) -> String {
        let all = |rows: &[Row], write: &dyn Fn(&Row) -> String| {
            rows.iter().map(|row| format!("{{{}}}", write(row))).collect::<Vec<_>>().join(",")
        };
        let orders = all(&self.orders, &|order| {
            let own = |line: &&Row| line.need("order") == order.need("order");
            let lines: Vec<Row> = self.lines.iter().filter(own).cloned().collect();
            let lines = all(&lines, &|line| {
                line.object(|column| match column {
                    "order" => None,
                    "order_product" => Some("id"),
                    field => Some(field),
                })
            });
            let fields = order.object(|column| Some(if column == "order" { "id" } else { column }));
            format!("{fields},\"order_products\":[{lines}]")
        });
        let products = all(&self.products, &|product| {
            product.object(|column| Some(if column == "product" { "sku" } else { column }))
        });
        format!("{{\"settings\":{{}},\"products\":[{products}],\"orders\":[{orders}]}}")
    }
}
