//! All integration tests in one binary, so that RocksDB is linked once; one module per question.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what stands between the tests and the program fails a test by panicking too"
)]

mod billing;
mod catalog_text;
mod cli;
mod histories;
mod kafka;
mod moto;
mod program;
mod rating_properties;
mod recompute;
mod scenarios;
mod service;
mod simulation;
mod table;
mod tidy;
