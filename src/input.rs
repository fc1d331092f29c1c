//! Reads the files that must be right as a whole: catalogs and orders.

use crate::failure::Failure;
use rating::Catalog;
use std::io::ErrorKind;
use std::path::Path;

/// Reads a file; one that is not there is the user's mistake, one that cannot be read is not.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Failure::Input(vec![format!("{}: there is no such file", path.display())])
        } else if error.kind() == ErrorKind::IsADirectory {
            Failure::Input(vec![format!("{}: is a directory, not a file", path.display())])
        } else {
            Failure::io("read", path, &error)
        }
    })
}

/// Reads a catalog, or says everything that is wrong with it.
pub(crate) fn catalog(path: &Path) -> Result<Catalog, Failure> {
    let text = read(path)?;
    Catalog::parse(&text).map_err(|faults| Failure::faults(path, &faults))
}

/// Fails early, before anything is made, if a source is not there.
pub(crate) fn require(source: &str) -> Result<(), Failure> {
    let path = Path::new(source);
    if source == "-" || path.exists() {
        return Ok(());
    }
    Err(Failure::Input(vec![format!("{source}: there is no such file")]))
}
