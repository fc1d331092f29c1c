//! Where documents are kept: the port, and why a store may refuse.

#[cfg(test)]
mod journeys;
mod sqlite;

pub use sqlite::SqliteStore;

use crate::document::{Active, Canceled, Document, Filed, State};
use crate::error::BillingError;
use crate::merge::Documents;
use std::future::Future;

/// Keeps documents from run to run. Every call happens as a whole or not at all.
pub trait DocumentStore {
    /// Files the documents of a run and gives them back as they are now filed, numbers included:
    /// those dated by the day of the run, with the active and canceled ones among them.
    ///
    /// The same run twice makes the same documents. Its customers have no drafts but those of their
    /// last run, whatever its day; active documents stay as they are, and what they bill is not
    /// billed again. Order products are remembered, and a run that changes one is refused.
    fn save(
        &mut self,
        run: Documents,
    ) -> impl Future<Output = Result<Documents, StoreError>> + Send;

    /// Makes a draft final and gives it the next number of its series.
    fn activate(
        &mut self,
        id: &str,
    ) -> impl Future<Output = Result<Document<Active>, StoreError>> + Send;

    /// Takes an active document back; the next run bills anew what stood on it.
    fn cancel(
        &mut self,
        id: &str,
    ) -> impl Future<Output = Result<Document<Canceled>, StoreError>> + Send;

    /// The documents of one customer, or of all, in date order.
    fn documents(
        &mut self,
        customer: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Filed>, StoreError>> + Send;
}

/// Why a store did not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Free some space and run again.
    #[error("no space is left for the store of documents {0}; nothing was saved")]
    Full(String),
    /// Let the program write there, or name another place.
    #[error("the store of documents {0} cannot be written; nothing was saved")]
    ReadOnly(String),
    /// Try again once the other program is done.
    #[error("the store of documents {0} is in use by another program")]
    Busy(String),
    /// Name another file.
    #[error("{0} is not a store of documents")]
    NotAStore(String),
    /// Use the newer program.
    #[error(
        "the store of documents {place} has schema {found}, this program knows {known}: \
         use the newer program"
    )]
    Newer {
        /// The file.
        place: String,
        /// The schema it has.
        found: i64,
        /// The newest schema of this program.
        known: i64,
    },
    /// The file was made by a program whose schema of that version was another one.
    #[error("schema {version} of the store of documents {place} is not the one of this program")]
    OtherSchema {
        /// The file.
        place: String,
        /// The version that differs.
        version: i64,
    },
    /// There is no such document.
    #[error("there is no document \"{0}\"")]
    Unknown(String),
    /// The document is in a state that does not allow it.
    #[error("the document \"{id}\" is {}, not {}", .is.name(), .wanted.name())]
    WrongState {
        /// The document.
        id: String,
        /// The state it is in.
        is: State,
        /// The state it would have to be in.
        wanted: State,
    },
    /// Order one more order product that makes up the difference.
    #[error(
        "{} with other content by an earlier run: an activated order product never changes, a \
         further one changes what it ordered; nothing was saved", were(.0)
    )]
    OrderProductsChanged(Vec<String>),
    /// A row that this program cannot have written.
    #[error("the document \"{0}\" in the store cannot be read")]
    Unreadable(String),
    /// The run's amounts do not fit, or numbers have run out.
    #[error(transparent)]
    Billing(#[from] BillingError),
    /// Anything else that the database says.
    #[error("the store of documents {place}: {error}")]
    Database {
        /// The file.
        place: String,
        /// What the database says.
        error: sqlx::Error,
    },
}

/// `the order product "A" was saved`, `the order products "A", "B" were saved`.
fn were(ids: &[String]) -> String {
    let list: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    let (noun, verb) =
        if ids.len() == 1 { ("product", "was saved") } else { ("products", "were saved") };
    format!("the order {noun} {} {verb}", list.join(", "))
}
