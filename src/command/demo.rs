//! `usage-rater demo`: the whole way, with no file, server or argument.

use crate::catalog_port::take_orders;
use crate::cli::print;
use crate::command::bill::{bill, orders, write_documents};
use crate::command::rate::write_outputs;
use crate::demo::{show, world};
use crate::failure::Failure;
use crate::input;
use crate::rating_run::RatingRun;
use crate::staging::Staging;
use clap::Args;
use rating::Date;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many usage records to make
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Where the files go, so that you can look at them and go on with them
    #[arg(long, value_name = "DIR", default_value = "usage-rater-demo")]
    dir: PathBuf,
}

/// Rated lines that are shown.
const LINES_SHOWN: usize = 6;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let dir = arguments.dir.as_path();
    std::fs::create_dir_all(dir).map_err(|error| Failure::io("make the directory", dir, &error))?;
    let file = |name: &str| dir.join(name);
    write(&file("catalog.json"), |out| out.write_all(world::catalog().as_bytes()))?;
    write(&file("orders.json"), |out| out.write_all(world::orders().as_bytes()))?;
    write(&file("usage.ndjson"), |out| world::write_usage(out, arguments.records))?;
    print(&format!(
        "1. Made a catalog, orders and usage of 1,000 customers in {}/\n   \
         (one record in a hundred is sent twice, one in a thousand is broken).\n\n",
        dir.display()
    ))?;

    let mut catalog = input::catalog(&file("catalog.json"))?;
    let book = orders(&file("orders.json"), &catalog)?;
    take_orders(&mut catalog, &book)?;
    let catalog = Arc::new(catalog);
    let mut staging = Staging::new(&file("out"))?;
    let mut run = RatingRun::open(Arc::clone(&catalog), &staging.scratch())?;
    run.rate(&file("usage.ndjson").to_string_lossy())?;
    let summary = run.summary();
    let rate = summary
        .records_per_second
        .map_or_else(String::new, |rate| format!(" at {rate} records a second"));
    print(&format!(
        "2. Rated it{rate}: every record once, its price exact,\n   \
         its state committed in RocksDB.\n   {summary}\n\n"
    ))?;
    let shown = first_rated(&run)?;
    print(&format!("   The first records of {}:\n{shown}\n", world::SHOWN))?;

    let as_of: Date = world::AS_OF
        .parse()
        .map_err(|error| Failure::Dependency(format!("the demo's date is wrong: {error}")))?;
    let documents = bill(&mut run, &catalog, &book, as_of)?;
    write_documents(&documents, &mut staging)?;
    write_outputs(&run, &mut staging)?;
    staging.publish()?;
    let invoices = documents.invoices().count();
    print(&format!(
        "3. Billed as of {as_of}: {invoices} invoices. January's usage in arrears stands\n   \
         beside the platform fee in advance; each line is rounded once:\n"
    ))?;
    let wanted = documents.invoices().filter(|filed| filed.content().customer == world::SHOWN);
    if let Some(invoice) = wanted.last() {
        print(&show::invoice(invoice))?;
    }
    print(&next_steps(dir))
}

fn write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<std::fs::File>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let fail = |error| Failure::io("write", path, &error);
    let mut out = BufWriter::new(std::fs::File::create(path).map_err(fail)?);
    write(&mut out).and_then(|()| out.flush()).map_err(fail)
}

/// The first rated lines of the shown customer, as a table.
fn first_rated(run: &RatingRun) -> Result<String, Failure> {
    let mut table = None;
    run.partition().query().rated(|lines| {
        table.get_or_insert_with(|| show::rated(lines, world::SHOWN, LINES_SHOWN));
        Ok::<(), Failure>(())
    })?;
    Ok(table.unwrap_or_default())
}

fn next_steps(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "\nEverything is in {dir}/out: rated usage, totals, dead letters and documents.\n\
         Try next:\n  \
         usage-rater check {dir}/catalog.json {dir}/orders.json\n  \
         usage-rater bill --catalog {dir}/catalog.json --orders {dir}/orders.json \\\n    \
         --usage {dir}/usage.ndjson --as-of 2026-03-01 --out {dir}/march\n  \
         head -3 {dir}/out/rejected.ndjson\n"
    )
}
