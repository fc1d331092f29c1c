//! Properties: what holds of prices, totals and positions, whatever is drawn.
//!
//! The oracles are written from the documented formats alone, in whole numbers, and know nothing of
//! sums that are kept, shares of work or short ways. What is chosen by hand stands beside what is
//! drawn: breaking the code on purpose (`make mutants`) asks for both.

mod edges;
mod oracle;
mod positions;
mod prices;
mod totals;

use proptest::prelude::ProptestConfig;

/// Failing cases are printed, which is enough to keep them: as a scenario. So many cases are tried
/// unless `PROPTEST_CASES` says otherwise.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 1_000, ..default },
    }
}
