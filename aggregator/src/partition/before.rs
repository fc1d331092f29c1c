//! The catalog before: what a partition goes back to that does not go on with another one.

use super::Partition;
use crate::error::Error;
use rating::Catalog;
use std::sync::Arc;

/// A catalog that a partition can go back to, and what it knew under it.
#[derive(Debug)]
pub struct Before {
    given: Arc<Catalog>,
    types: usize,
    types_changed: bool,
    cuts_agree: bool,
}

impl Partition {
    /// What [`Partition::go_back`] needs, asked before another catalog is gone on with.
    #[must_use]
    pub fn before(&self) -> Before {
        let (given, types) = (Arc::clone(&self.given), self.types.len());
        let Self { types_changed, cuts_agree, .. } = *self;
        Before { given, types, types_changed, cuts_agree }
    }

    /// Goes back to a catalog. Types of records that only the other one has are forgotten: of a
    /// catalog that never came into force nothing may stay in the state.
    ///
    /// # Errors
    /// As [`Partition::set_catalog`].
    pub fn go_back(&mut self, before: Before) -> Result<(), Error> {
        self.check_usable()?;
        if self.taken > 0 {
            return Err(Error::Failed);
        }
        // What a commit has made durable stays: records may have their numbers.
        if self.types_changed {
            self.types.truncate(before.types);
            self.types_changed = before.types_changed;
        }
        self.take_up(before.given)?;
        self.cuts_agree = before.cuts_agree;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::partition::event_types;
    use crate::partition::trial::{Trial, catalog};
    use rating::Catalog;
    use std::sync::Arc;

    /// Each catalog that was tried, and refused, left its types in the state of every partition.
    #[test]
    fn a_catalog_that_was_tried_only_leaves_no_types() {
        let charges = r#"{"key":"c","meter":"sum","price":{"model":"per_unit","unit_price":"1"}}"#;
        let text = catalog(&[("2026-01-01", charges)], "");
        let mut trial = Trial::new(&text);
        trial.commit();
        let types = |trial: &mut Trial| event_types::read(trial.partition().store()).unwrap();
        let known = types(&mut trial);
        assert!(known.len() > 1, "{known:?}");
        let tried = |number: u32| {
            let event_type = format!("\"event_type\":\"tried{number}\"");
            Arc::new(
                Catalog::parse(text.replace("\"event_type\":\"e\"", &event_type).as_bytes())
                    .unwrap(),
            )
        };
        for number in 0..3 {
            let before = trial.partition().before();
            trial.partition().set_catalog(tried(number)).unwrap();
            trial.partition().go_back(before).unwrap();
            trial.commit();
            assert_eq!(types(&mut trial), known);
        }
        trial.partition().set_catalog(tried(7)).unwrap();
        trial.commit();
        assert!(types(&mut trial).contains(&"tried7".to_owned()), "one in force stays");
    }
}
