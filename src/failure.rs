//! Failures of a command: what is said on stderr, and the exit code.

use aggregator::ErrorKind;
use rating::Fault;
use std::fmt;
use std::io;
use std::path::Path;

/// Why a command failed. The exit codes are part of the contract.
#[derive(Debug)]
pub enum Failure {
    /// The input is wrong; exit code 1. Already one line for each fault.
    Input(Vec<String>),
    /// The arguments are wrong; exit code 2.
    Usage(String),
    /// A disk, a store or another dependency failed; exit code 3.
    Dependency(String),
}

impl Failure {
    /// The faults of one file.
    #[must_use]
    pub fn faults(file: &Path, faults: &[Fault]) -> Self {
        let line = |fault: &Fault| format!("{}:{fault}", file.display());
        Self::Input(faults.iter().map(line).collect())
    }

    /// A file that could not be read or written.
    #[must_use]
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::Dependency(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 1,
            Self::Usage(_) => 2,
            Self::Dependency(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(lines) => f.write_str(&lines.join("\n")),
            Self::Usage(message) | Self::Dependency(message) => write!(f, "error: {message}"),
        }
    }
}

impl From<aggregator::Error> for Failure {
    fn from(error: aggregator::Error) -> Self {
        match error.kind() {
            ErrorKind::Dependency => Self::Dependency(error.to_string()),
            ErrorKind::State => Self::Input(vec![format!("error: {error}")]),
        }
    }
}

impl From<ingest::SourceError> for Failure {
    fn from(error: ingest::SourceError) -> Self {
        Self::Dependency(error.to_string())
    }
}
