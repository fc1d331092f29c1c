//! Catalogs in files: the one of the settings, and the one that the API brought, which is kept
//! beside the state: whole, or the one before.

use crate::failure::Failure;
use crate::input;
use crate::service::desk::{Desk, Request};
use crate::service::ledger::{CatalogText, Refusal};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

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

/// Reads the catalog's file again whenever a signal asks for that, one time after the other.
pub(crate) async fn follow(file: Option<PathBuf>, desk: Arc<Desk>, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        match &file {
            Some(file) => read_again(file.clone(), &desk).await,
            None => tracing::warn!("SIGHUP: the settings name no catalog file to be read again"),
        }
    }
}

/// Reads the catalog's file and hands it in. What keeps it from being taken is told, and the
/// catalog before stays in force.
async fn read_again(file: PathBuf, desk: &Desk) {
    let name = file.display().to_string();
    let loading = tokio::task::spawn_blocking(move || load(&file));
    let new = match loading.await {
        Ok(Ok(new)) => new,
        Ok(Err(failure)) => {
            tracing::error!("SIGHUP: {name} is not taken, the catalog before stays: {failure}");
            return;
        }
        Err(_) => {
            tracing::error!("SIGHUP: reading {name} met a defect; the catalog before stays");
            return;
        }
    };
    let (reply, answer) = oneshot::channel();
    let refused = match desk.submit(Request::Catalog { new, reply }) {
        Err(_) => Some(Refusal::NotNow("too much is waiting, or the service stops".to_owned())),
        Ok(()) => match answer.await {
            Ok(Ok(())) => None,
            Ok(Err(refusal)) => Some(refusal),
            Err(_) => Some(Refusal::NotNow("the service stops".to_owned())),
        },
    };
    match refused {
        None => tracing::info!("SIGHUP: the catalog in {name} is in force"),
        Some(Refusal::Contradicts(reason) | Refusal::NotKept(reason) | Refusal::NotNow(reason)) => {
            tracing::error!("SIGHUP: the catalog in {name} is not taken: {reason}")
        }
    }
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
