//! What order products were when they were saved first: activated ones never change.

use super::{ROWS_MAX, Transaction, open};
use crate::order_book::Saved;
use crate::store::StoreError;
use sqlx::{QueryBuilder, Row as _};
use std::collections::BTreeMap;

impl Transaction<'_> {
    /// Refuses a run in which an order product is not what it was, and keeps those that are new.
    pub(super) async fn keep_contents(&mut self, contents: &[Saved]) -> Result<(), StoreError> {
        let known = self.known_contents(contents).await?;
        let mut changed = Vec::new();
        let mut new = Vec::new();
        for one in contents {
            match known.get(&one.id) {
                Some(text) if *text != one.text => changed.push(one.id.clone()),
                None if one.is_activated => new.push(one),
                Some(_) | None => {}
            }
        }
        if !changed.is_empty() {
            return Err(StoreError::OrderProductsChanged(changed));
        }
        for chunk in new.chunks(ROWS_MAX) {
            let mut query = QueryBuilder::new("INSERT INTO order_products (id, content) ");
            query.push_values(chunk, |mut values, one| {
                values.push_bind(one.id.clone()).push_bind(one.text.clone());
            });
            let done = query.build().execute(&mut *self.inner).await;
            done.map_err(|error| open::explained(self.place, error))?;
        }
        Ok(())
    }

    async fn known_contents(
        &mut self,
        contents: &[Saved],
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let mut known = BTreeMap::new();
        for chunk in contents.chunks(ROWS_MAX) {
            let mut query =
                QueryBuilder::new("SELECT id, content FROM order_products WHERE id IN (");
            let mut list = query.separated(", ");
            for one in chunk {
                list.push_bind(one.id.clone());
            }
            list.push_unseparated(")");
            let rows = query.build().fetch_all(&mut *self.inner).await;
            let place = self.place;
            for row in &rows.map_err(|error| open::explained(place, error))? {
                let text = |column| {
                    row.try_get::<String, _>(column).map_err(|error| open::explained(place, error))
                };
                known.insert(text("id")?, text("content")?);
            }
        }
        Ok(known)
    }
}
