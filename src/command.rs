//! The commands, one module each.

pub(crate) mod bill;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod rate;
pub(crate) mod run;
pub(crate) mod verify;
