//! What the demo rates and how it shows it.

pub(crate) mod show;
pub(crate) mod world;
