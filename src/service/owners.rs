//! Owners: which instance holds a partition, asked by an instance that does not.

use std::fmt::Debug;

/// Whoever can find that out. It may wait for a broker, so it is not asked on an HTTP thread.
pub(crate) trait Owners: Debug + Send + Sync {
    /// Where the instance that holds a partition answers HTTP, as a host and a port; `None` if
    /// nobody has held it yet. `wrong` is the answer of before, if that did not hold it.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn owner_of(&self, partition: u32, wrong: Option<&str>) -> Result<Option<String>, String>;
}
