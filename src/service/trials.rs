//! Trials: whether a catalog that is to be in force fits what partitions have rated.
//!
//! Only a partition itself knows what it has rated, and only one instance holds it. So whoever
//! decides about a catalog has it tried by all of them, wherever they are.

use rating::Catalog;
use std::fmt::Debug;
use std::sync::Arc;

/// What a partition says of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It has nothing against it.
    Fits,
    /// It contradicts what was rated.
    Contradicts(String),
    /// It cannot say now.
    NotNow(String),
    /// The partition is not held there.
    Elsewhere,
}

/// Whoever can have catalogs tried by the partitions of this instance. It waits for them, so it is
/// not asked on an HTTP thread.
pub(crate) trait Trials: Debug + Send + Sync {
    /// What these partitions say of a catalog; [`Trial::Elsewhere`] for those not held here.
    fn try_catalog(&self, catalog: &Arc<Catalog>, partitions: &[u32]) -> Vec<(u32, Trial)>;

    /// How many partitions there are, here and elsewhere.
    fn partitions(&self) -> u32;
}
