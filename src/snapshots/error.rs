//! Why a snapshot was not taken or cannot be used.

use object_store::Error as StoreError;

/// Why a snapshot was not taken or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The object store does not answer or refuses. It may work later.
    #[error("the object store fails: {0}")]
    Unavailable(String),
    /// What is there is not what was put there.
    #[error("{0}")]
    Damaged(String),
    /// The store that was copied is damaged, and must not be worked with.
    #[error("the store is damaged: {0}")]
    Store(String),
    /// The disk of this machine refuses.
    #[error("{0}")]
    Disk(String),
    /// It was asked to end.
    #[error("it was given up")]
    GivenUp,
}

impl SnapshotError {
    pub(super) fn disk(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Disk(format!("cannot {doing} {}: {error}", path.display()))
    }
}

impl From<StoreError> for SnapshotError {
    fn from(error: StoreError) -> Self {
        if let StoreError::NotFound { path, .. } = error {
            return Self::Damaged(format!("{path} is missing"));
        }
        // What is behind an error of HTTP tells more than its head.
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            let more = inner.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = inner.source();
        }
        Self::Unavailable(text)
    }
}
