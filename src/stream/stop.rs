//! Why a rater stops, and what is to be done about it.

use aggregator::{Error, ErrorKind};

/// Why a rater stopped. Whatever was not committed never happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Another writer has taken over: the partition is lost until it is assigned anew.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The broker failed: to be tried again with another connection.
    #[error("{0}")]
    Broker(String),
    /// The store is not what the log says, or cannot be read: to be made anew from the log.
    #[error("{0}")]
    Store(String),
    /// Records were deleted before they were rated, or the log has a gap: a person must look.
    #[error("{0}")]
    Lost(String),
    /// The machine failed, or this program has a defect.
    #[error("{0}")]
    Failed(String),
}

impl Stop {
    /// What should never be.
    pub(super) fn defect() -> Self {
        Self::Failed("a defect of this program".to_owned())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match (&error, error.kind()) {
            // A full disk is no damage; all else that RocksDB says is better made anew.
            (Error::Store { error: inner, .. }, _) if is_damage(inner.as_ref()) => {
                Self::Store(error.to_string())
            }
            (Error::Damaged { .. }, _) => Self::Store(error.to_string()),
            (_, ErrorKind::Dependency | ErrorKind::State) => Self::Failed(error.to_string()),
        }
    }
}

/// Whether RocksDB found bytes that it did not write, or not those that it did.
fn is_damage(text: &str) -> bool {
    ["Corruption", "checksum", "No such file", "truncated"].iter().any(|word| text.contains(word))
}
