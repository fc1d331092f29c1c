//! Documents: invoices and credit memos, their items, and the state they are in.
//!
//! A document's identity comes from what it bills: kind, customer, currency and billing date. The
//! same run twice makes the same document. Only where one of that identity is active already, and
//! something new came up for its date, does another follow it.

mod content;
mod gather;
mod number;
mod state;

pub use content::{Content, Detail, Item, Series, UsageLine};
pub(crate) use gather::{Gathered, gather};
pub use number::{Number, Numbers};
pub use state::{Active, Canceled, Document, Draft, Filed, State};
