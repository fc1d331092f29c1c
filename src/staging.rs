//! Output directories: every file a command writes appears whole, or not at all.
//!
//! Files are written into a hidden directory inside the output directory and moved to their names
//! only when all of them are complete and on disk. What a killed run left behind is removed by the
//! next one.

use crate::failure::Failure;
use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

const HIDDEN: &str = ".usage-rater.partial";

/// Files on their way into an output directory.
#[derive(Debug)]
pub(crate) struct Staging {
    out: PathBuf,
    partial: PathBuf,
    /// Held for as long as the files are being written; ends with the process.
    _lock: File,
    created_out: bool,
    names: Vec<String>,
}

impl Staging {
    /// Prepares to write into `out`, which is made if it is not there.
    pub(crate) fn new(out: &Path) -> Result<Self, Failure> {
        let created_out = !out.exists();
        fs::create_dir_all(out).map_err(|error| Failure::io("make the directory", out, &error))?;
        let partial = out.join(HIDDEN);
        let fail = |error| {
            let failure = Failure::io("write into", out, &error);
            if created_out {
                // Only if it is empty: somebody else may have begun to use it.
                _ = fs::remove_dir(out);
            }
            failure
        };
        fs::create_dir_all(&partial).map_err(fail)?;
        let lock = File::create(partial.join("lock")).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("another run is writing into {}", out.display());
                return Err(Failure::Dependency(message));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        clear_when_stopped(partial.clone(), created_out.then(|| out.to_owned()));
        let staging =
            Self { out: out.to_owned(), partial, _lock: lock, created_out, names: Vec::new() };
        staging.clear_leftovers()?;
        Ok(staging)
    }

    fn clear_leftovers(&self) -> Result<(), Failure> {
        let fail = |error: &std::io::Error| Failure::io("clear", &self.partial, error);
        for entry in fs::read_dir(&self.partial).map_err(|error| fail(&error))? {
            let path = entry.map_err(|error| fail(&error))?.path();
            let removed = match path.file_name().and_then(|name| name.to_str()) {
                Some("lock") => Ok(()),
                _ if path.is_dir() => fs::remove_dir_all(&path),
                _ => fs::remove_file(&path),
            };
            removed.map_err(|error| fail(&error))?;
        }
        Ok(())
    }

    /// A directory for state that ends with this run.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.partial.join("state")
    }

    /// Writes one file by `write`.
    pub(crate) fn file(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut StagedFile) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = self.partial.join(name);
        let fail = |error| Failure::io("write", &path, &error);
        let file = File::create(&path).map_err(fail)?;
        let mut staged =
            StagedFile { writer: BufWriter::with_capacity(1 << 20, file), path: path.clone() };
        write(&mut staged)?;
        let file = staged.writer.into_inner().map_err(|error| fail(error.into_error()))?;
        file.sync_all().map_err(fail)?;
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Moves all files to their names.
    pub(crate) fn publish(mut self) -> Result<(), Failure> {
        for name in std::mem::take(&mut self.names) {
            let to = self.out.join(&name);
            fs::rename(self.partial.join(&name), &to)
                .map_err(|error| Failure::io("write", &to, &error))?;
        }
        self.created_out = false;
        // The names themselves must survive a power failure too.
        let synced = File::open(&self.out).and_then(|directory| directory.sync_all());
        synced.map_err(|error| Failure::io("write", &self.out, &error))
    }
}

/// Leaves nothing half-done when the user or the system stops the program. Only the first output
/// directory of a process is watched; a program that cannot watch signals works all the same.
fn clear_when_stopped(partial: PathBuf, created_out: Option<PathBuf>) {
    const STOPPED: i32 = 130;
    _ = ctrlc::set_handler(move || {
        _ = fs::remove_dir_all(&partial);
        if let Some(out) = &created_out {
            _ = fs::remove_dir(out);
        }
        std::process::exit(STOPPED);
    });
}

/// Whatever was not published goes away.
impl Drop for Staging {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.partial);
        if self.created_out {
            _ = fs::remove_dir(&self.out);
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct StagedFile {
    writer: BufWriter<File>,
    path: PathBuf,
}

impl StagedFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes).map_err(|error| Failure::io("write", &self.path, &error))
    }
}
