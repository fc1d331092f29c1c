//! `usage-rater check`: everything that is wrong with catalogs and orders, at once.

use crate::catalog_port::{CatalogPort, take_orders};
use crate::cli::{print, say};
use crate::failure::Failure;
use crate::input;
use billing_bridge::OrderBook;
use clap::Args;
use rating::fault::{FAULTS_MAX, without_mark};
use rating::json::Tape;
use rating::{Catalog, Fault, time_zone_database_version};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Catalogs and orders, in any order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What a file is taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Document {
    Catalog,
    Orders,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for path in &arguments.files {
        let text = input::read(path)?;
        texts.push((kind_of(&text), path, text));
    }
    // Catalogs first, in whatever order the files were named.
    texts.sort_by_key(|(kind, ..)| *kind);
    let mut check = Check::default();
    for (kind, path, text) in texts {
        match kind {
            Document::Catalog => check.catalog(path, &text)?,
            Document::Orders => check.orders(path, &text)?,
        }
    }
    check.end()
}

/// What was found so far.
#[derive(Debug, Default)]
struct Check {
    /// The last catalog, or what could be read of it.
    catalog: Option<Catalog>,
    catalog_is_good: bool,
    /// One line for each fault.
    faults: Vec<String>,
    /// Whether a file has so many faults that not all of them were noted.
    is_cut: bool,
}

impl Check {
    fn catalog(&mut self, path: &Path, text: &[u8]) -> Result<(), Failure> {
        let (catalog, faults) = Catalog::read(text);
        self.catalog_is_good = faults.is_empty();
        self.catalog = catalog;
        self.note(path, &faults);
        match &self.catalog {
            Some(catalog) if self.catalog_is_good => print(&describe(path, catalog)),
            _ => Ok(()),
        }
    }

    /// Holds orders against the catalog. One with faults will do, for it still has its names.
    fn orders(&mut self, path: &Path, text: &[u8]) -> Result<(), Failure> {
        let Some(catalog) = &mut self.catalog else {
            let reason = "orders are checked against a catalog; name one beside them";
            self.faults.push(format!("{}: {reason}", path.display()));
            return Ok(());
        };
        match OrderBook::parse(text, &CatalogPort(catalog)) {
            Ok(_) if !self.catalog_is_good => Ok(()),
            Ok(book) => match take_orders(catalog, &book) {
                Ok(()) => {
                    let count = book.ordered().len();
                    print(&format!("{}: good: {count} order products\n", path.display()))
                }
                Err(failure) => {
                    let lines = failure.to_string();
                    let lines = lines.lines().map(|line| format!("{}: {line}", path.display()));
                    self.faults.extend(lines);
                    Ok(())
                }
            },
            Err(faults) => {
                self.note(path, &faults);
                Ok(())
            }
        }
    }

    fn note(&mut self, path: &Path, faults: &[Fault]) {
        self.is_cut |= faults.len() >= FAULTS_MAX;
        self.faults.extend(faults.iter().map(|fault| format!("{}:{fault}", path.display())));
    }

    fn end(self) -> Result<(), Failure> {
        let count = self.faults.len();
        if count == 0 {
            return Ok(());
        }
        say(&Failure::Input(self.faults).to_string());
        let least = if self.is_cut { "at least " } else { "" };
        Err(Failure::Input(vec![format!("{least}{}", counted(count, "fault"))]))
    }
}

/// Orders are told by their fields; everything else is read as a catalog.
fn kind_of(text: &[u8]) -> Document {
    let mut tape = Tape::default();
    let Ok(value) = tape.parse(without_mark(text)) else { return Document::Catalog };
    let count = |names: &[&str]| names.iter().filter(|name| value.get(name).is_some()).count();
    // One field of the other kind is a fault of this one.
    let of_orders = count(&["orders", "products", "settings"]);
    let of_catalog = count(&["meters", "plans", "customers", "subscriptions"]);
    if of_orders > of_catalog { Document::Orders } else { Document::Catalog }
}

fn describe(path: &Path, catalog: &Catalog) -> String {
    format!(
        "{}: good: {}, {}, {} (time zones {})\n",
        path.display(),
        counted(catalog.plans().len(), "plan"),
        counted(catalog.customers().len(), "customer"),
        counted(catalog.subscriptions().len(), "subscription"),
        time_zone_database_version()
    )
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
