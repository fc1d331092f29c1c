//! The catalog that the API brought, kept beside the state: whole, or the one before.

use crate::failure::Failure;
use crate::input;
use crate::service::ledger::CatalogText;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "catalog.json";
const UNFINISHED: &str = "catalog.json.unfinished";

/// Where the catalog of a state is kept.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// The catalog that was kept last, if one was.
pub(crate) fn read(directory: &Path) -> Result<Option<CatalogText>, Failure> {
    let path = path(directory);
    if path.exists() { load(&path).map(Some) } else { Ok(None) }
}

/// A catalog from any file.
pub(crate) fn load(path: &Path) -> Result<CatalogText, Failure> {
    let text = input::read(path)?;
    let catalog = rating::Catalog::parse(&text).map_err(|faults| Failure::faults(path, &faults))?;
    Ok(CatalogText { catalog: Arc::new(catalog), text: text.into() })
}

/// Keeps a catalog in place of the one before, so that it survives the loss of power.
pub(crate) fn write(directory: &Path, text: &[u8]) -> Result<(), Failure> {
    let path = directory.join(NAME);
    let kept = (|| -> io::Result<()> {
        let unfinished = directory.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(directory)?.sync_all()
    })();
    kept.map_err(|error| Failure::io("keep the catalog in", &path, &error))
}
