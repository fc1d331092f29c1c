//! `usage-rater bill`: orders, and usage if there is any, become invoices and credit memos.

use crate::catalog_port::{CatalogPort, take_orders};
use crate::changed_calendars;
use crate::cli::{Rating, say};
use crate::command::rate::write_totals;
use crate::failure::Failure;
use crate::input;
use crate::rating_run::RatingRun;
use crate::staging::Staging;
use aggregator::PeriodTotal;
use billing_bridge::{
    DocumentStore as _, Documents, OrderBook, SqliteStore, StoreError, UsageTotal, documents,
    export,
};
use clap::Args;
use rating::{Catalog, Date, PeriodDates};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    rating: Rating,
    /// The orders: settings, products, order products
    #[arg(long, value_name = "FILE")]
    orders: PathBuf,
    /// The usage records, one CloudEvent in JSON a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    usage: Option<String>,
    /// Bills what is due by this day
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    as_of: Date,
    /// Where the documents are written
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Keeps the documents in this SQLite file: what was activated is never billed again
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

fn parse_date(text: &str) -> Result<Date, String> {
    let date = text.parse::<Date>().ok().filter(|_| text.len() == "2026-01-31".len());
    date.ok_or_else(|| "it is not a date such as 2026-01-31".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut catalog = input::catalog(&arguments.rating.catalog)?;
    let book = orders(&arguments.orders, &catalog)?;
    if let Some(usage) = &arguments.usage {
        input::require(usage)?;
    }
    let due = book.activated_by(arguments.as_of);
    take_orders(&mut catalog, &due)?;
    let mut staging = Staging::new(&arguments.out)?;
    let state = arguments.rating.state.clone().unwrap_or_else(|| staging.scratch());
    let catalog = Arc::new(catalog);
    let mut run = RatingRun::open(Arc::clone(&catalog), &state)?;
    changed_calendars::say(run.partition());
    if let Some(usage) = &arguments.usage {
        run.rate(usage)?;
        if arguments.rating.state.is_none() {
            run.refuse_unresolved()?;
        }
    }
    let mut documents = bill(&mut run, &catalog, &due, arguments.as_of)?;
    // What a document is made from is durable before the document is.
    if arguments.rating.state.is_some() {
        run.partition().store().sync()?;
    }
    if let Some(store) = &arguments.store {
        documents = file(store, documents)?;
    }
    write_documents(&documents, &mut staging)?;
    // What the documents are made from, and what could not be: finance asks for both.
    write_totals(&run, &mut staging)?;
    staging.publish()?;
    if arguments.usage.is_some() {
        say(&run.summary().to_string());
    }
    let (invoices, memos) = (documents.invoices().count(), documents.credit_memos().count());
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    say(&format!(
        "{invoices} invoice{}, {memos} credit memo{} as of {}",
        plural(invoices),
        plural(memos),
        arguments.as_of
    ));
    Ok(())
}

/// Reads orders, or says everything that is wrong with them.
pub(crate) fn orders(path: &Path, catalog: &Catalog) -> Result<OrderBook, Failure> {
    let text = input::read(path)?;
    OrderBook::parse(&text, &CatalogPort(catalog)).map_err(|faults| Failure::faults(path, &faults))
}

/// Closes the periods that ended by the start of `as_of` and merges them with what was ordered.
pub(crate) fn bill(
    run: &mut RatingRun,
    catalog: &Catalog,
    book: &OrderBook,
    as_of: Date,
) -> Result<Documents, Failure> {
    run.close(|calendar| calendar.start_of(as_of))?;
    run.find_times()?;
    let mut totals = Vec::new();
    let calendars = run.partition().catalog();
    run.partition().query().totals_as_kept(|total: &PeriodTotal<'_>| {
        if total.total.closed {
            totals.push(usage_total(calendars, total)?);
        }
        Ok::<(), Failure>(())
    })?;
    documents(book, &CatalogPort(catalog), &totals, as_of)
        .map_err(|error| Failure::Input(vec![format!("error: {error}")]))
}

/// Files the documents in a store and gives them back as they are filed there.
fn file(path: &Path, documents: Documents) -> Result<Documents, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Dependency(format!("cannot start a runtime: {error}")))?;
    let filed = runtime.block_on(async {
        let mut store = SqliteStore::open(path).await?;
        store.save(documents).await
    });
    filed.map_err(|error: StoreError| {
        if matches!(error, StoreError::OrderProductsChanged { .. }) {
            Failure::Input(vec![format!("error: {error}")])
        } else {
            Failure::Dependency(error.to_string())
        }
    })
}

/// A closed total in the words of billing: its period as days.
fn usage_total(catalog: &Catalog, total: &PeriodTotal<'_>) -> Result<UsageTotal, Failure> {
    let subscription = catalog.subscription(total.subscription);
    let calendar = subscription.and_then(|found| catalog.calendar_of(found)).ok_or_else(|| {
        Failure::Input(vec![format!("error: \"{}\" is not in the catalog", total.subscription)])
    })?;
    let day = |instant: rating::Instant| calendar.day_of(instant);
    Ok(UsageTotal {
        customer: total.customer.to_owned(),
        subscription: total.subscription.to_owned(),
        charge: total.charge.to_owned(),
        period: PeriodDates { start: day(total.period.start), end: day(total.period.end) },
        quantity: total.settled.quantity,
        billable_quantity: total.settled.billable_quantity,
        amount: total.settled.amount,
        currency: total.currency,
    })
}

/// Writes the documents of a run.
pub(crate) fn write_documents(documents: &Documents, staging: &mut Staging) -> Result<(), Failure> {
    let files = export::files(documents)
        .map_err(|error| Failure::Dependency(format!("cannot write the documents: {error}")))?;
    for (name, bytes) in files {
        staging.file(name, |file| file.write(&bytes))?;
    }
    Ok(())
}
