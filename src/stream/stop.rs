//! Why a rater stops, and what is to be done about it.

use aggregator::Error;

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
    /// The catalog in force contradicts what was rated: to be tried again with another.
    #[error(
        "the catalog in force does not fit what was rated: {0}; put one in force that does, such \
         as the one before"
    )]
    Unfit(String),
    /// Records were deleted before they were rated, or the log has a gap or ends before the store
    /// does: a person must look.
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
        // What is damaged is made anew; of anything else, a person must be told.
        if error.is_damage() {
            return Self::Store(error.to_string());
        }
        Self::Failed(error.to_string())
    }
}
