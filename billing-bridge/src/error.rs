//! Why billing cannot go on: amounts or dates that leave their domain, customers nobody knows.

/// What keeps a billing run from producing its documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// An amount leaves its domain.
    #[error("overflow: the amount of {0} does not fit")]
    Overflow(String),
    /// A date leaves the calendar.
    #[error("{0} lasts beyond the years of the calendar")]
    Calendar(String),
    /// A total is of a customer that is not in the catalog.
    #[error("usage of the customer \"{0}\", who is not in the catalog")]
    UnknownCustomer(String),
    /// A series has no more numbers.
    #[error("no document numbers are left")]
    NumbersExhausted,
}

impl BillingError {
    pub(crate) fn overflow(of: &str) -> Self {
        Self::Overflow(format!("\"{of}\""))
    }

    pub(crate) fn calendar(of: &str) -> Self {
        Self::Calendar(format!("\"{of}\""))
    }
}
