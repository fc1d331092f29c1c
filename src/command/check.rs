//! `usage-rater check`: everything that is wrong with catalogs and orders, at once.

use crate::catalog_port::{CatalogPort, take_orders};
use crate::cli::{print, say};
use crate::failure::Failure;
use crate::input;
use billing_bridge::OrderBook;
use clap::Args;
use rating::json::Tape;
use rating::{Catalog, time_zone_database_version};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Catalogs and orders, in any order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What a file is taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    Catalog,
    Orders,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let mut catalog = Catalog::default();
    let mut catalog_is_known = false;
    let mut texts = Vec::new();
    for path in &arguments.files {
        let text = input::read(path)?;
        texts.push((kind_of(&text), path, text));
    }
    // Catalogs first, in whatever order the files were named.
    texts.sort_by_key(|(kind, ..)| *kind == Document::Orders);
    for (kind, path, text) in texts {
        match kind {
            Document::Catalog => match Catalog::parse(&text) {
                Ok(parsed) => {
                    print(&describe(path, &parsed))?;
                    (catalog, catalog_is_known) = (parsed, true);
                }
                Err(found) => faults.push(Failure::faults(path, &found).to_string()),
            },
            Document::Orders if !catalog_is_known => {
                let reason = "orders are checked against a good catalog; name one beside them";
                faults.push(format!("{}: {reason}", path.display()));
            }
            Document::Orders => match OrderBook::parse(&text, &CatalogPort(&catalog)) {
                Ok(book) => match take_orders(&mut catalog, &book) {
                    Ok(()) => {
                        let count = book.ordered().len();
                        print(&format!("{}: good: {count} order products\n", path.display()))?;
                    }
                    Err(failure) => faults.push(format!("{}: {failure}", path.display())),
                },
                Err(found) => faults.push(Failure::faults(path, &found).to_string()),
            },
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let count = faults.iter().flat_map(|text| text.lines()).count();
    let failure = Failure::Input(faults);
    say(&failure.to_string());
    Err(Failure::Input(vec![format!("{count} fault{}", if count == 1 { "" } else { "s" })]))
}

/// Orders are told by their fields; everything else is read as a catalog.
fn kind_of(text: &[u8]) -> Document {
    let mut tape = Tape::default();
    let body = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    match tape.parse(body) {
        Ok(value) if ["orders", "products", "settings"].iter().any(|n| value.get(n).is_some()) => {
            Document::Orders
        }
        _ => Document::Catalog,
    }
}

fn describe(path: &Path, catalog: &Catalog) -> String {
    format!(
        "{}: good: {} plans, {} customers, {} subscriptions (time zones {})\n",
        path.display(),
        catalog.plans().len(),
        catalog.customers().len(),
        catalog.subscriptions().len(),
        time_zone_database_version()
    )
}
