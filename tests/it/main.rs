//! All integration tests in one binary, so that RocksDB is linked once; one module per question.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what stands between the tests and the program fails a test by panicking too"
)]

mod catalog_text;
mod scenarios;
mod table;
mod tidy;
