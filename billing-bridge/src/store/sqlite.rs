//! Documents in SQLite: one file, or memory alone.
//!
//! Statements keep to what PostgreSQL takes too; only opening and the meaning of error codes are
//! SQLite's own. Amounts never become SQL numbers: they are text inside the JSON of a document.

mod contents;
mod open;

use super::{DocumentStore, StoreError};
use crate::document::{Active, Canceled, Document, Draft, Filed, Gathered, Numbers, Series, State};
use crate::error::BillingError;
use crate::export::Exported;
use crate::merge::Documents;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, QueryBuilder, Row as _, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one INSERT, customers or documents of one list: well below SQLite's 32,766 parameters.
const ROWS_MAX: usize = 500;

/// A store of documents in an SQLite file or in memory.
#[derive(Debug)]
pub struct SqliteStore {
    connection: SqliteConnection,
    place: String,
}

#[cfg(test)]
impl SqliteStore {
    /// The connection, for tests that take its room or its rights away.
    pub(super) const fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// What is known of one document before a run.
struct Row {
    id: String,
    status: State,
    body: String,
}

impl DocumentStore for SqliteStore {
    async fn save(&mut self, mut run: Documents) -> Result<Documents, StoreError> {
        let mut transaction = Transaction::begin(self).await?;
        transaction.keep_contents(&run.contents).await?;
        let rows = transaction.rows_of(&run.customers).await?;
        let mut kept = Vec::new();
        let mut drafts = BTreeMap::new();
        for row in rows {
            // Also drafts of later days: what they were drafted from may have changed since.
            if row.status == State::Draft {
                drafts.insert(row.id, row.body);
            } else {
                kept.push(row.restore()?);
            }
        }
        let mut numbers = transaction.numbers().await?;
        let before = numbers;
        let mut filed = Vec::new();
        let mut written = Vec::new();
        for gathered in run.beside(&kept)? {
            let document = Gathered::file(gathered, &mut numbers)?;
            let row = Written::of(&document)?;
            // What lies there to the letter is left alone.
            if drafts.remove(&row.id).as_ref() != Some(&row.body) {
                written.push(row);
            }
            filed.push(document);
        }
        transaction.delete(drafts.keys()).await?;
        transaction.write(&written).await?;
        if numbers != before {
            transaction.set_numbers(numbers).await?;
        }
        transaction.commit().await?;
        kept.retain(|filed| filed.content().invoice_date <= run.as_of);
        filed.append(&mut kept);
        sort(&mut filed);
        run.filed = filed;
        Ok(run)
    }

    async fn activate(&mut self, id: &str) -> Result<Document<Active>, StoreError> {
        let mut transaction = Transaction::begin(self).await?;
        let draft: Document<Draft> = match transaction.one(id).await? {
            Filed::Draft(draft) => draft,
            other @ (Filed::Active(_) | Filed::Canceled(_)) => {
                return Err(wrong_state(id, &other, State::Draft));
            }
        };
        let mut numbers = transaction.numbers().await?;
        let active = draft.activate(&mut numbers).ok_or(BillingError::NumbersExhausted)?;
        transaction.write(&[Written::of(&Filed::Active(active.clone()))?]).await?;
        transaction.set_numbers(numbers).await?;
        transaction.commit().await?;
        Ok(active)
    }

    async fn cancel(&mut self, id: &str) -> Result<Document<Canceled>, StoreError> {
        let mut transaction = Transaction::begin(self).await?;
        let canceled = match transaction.one(id).await? {
            Filed::Active(active) => active.cancel(),
            other @ (Filed::Draft(_) | Filed::Canceled(_)) => {
                return Err(wrong_state(id, &other, State::Active));
            }
        };
        transaction.write(&[Written::of(&Filed::Canceled(canceled.clone()))?]).await?;
        transaction.commit().await?;
        Ok(canceled)
    }

    async fn documents(&mut self, customer: Option<&str>) -> Result<Vec<Filed>, StoreError> {
        let mut query = QueryBuilder::new("SELECT id, status, body FROM documents");
        if let Some(customer) = customer {
            query.push(" WHERE customer = ").push_bind(customer.to_owned());
        }
        let rows = query.build().fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| open::explained(&self.place, error))?;
        let mut filed = Vec::with_capacity(rows.len());
        for row in &rows {
            filed.push(Row::read(row, &self.place)?.restore()?);
        }
        sort(&mut filed);
        Ok(filed)
    }
}

fn wrong_state(id: &str, filed: &Filed, wanted: State) -> StoreError {
    StoreError::WrongState { id: id.to_owned(), is: filed.state(), wanted }
}

fn sort(filed: &mut [Filed]) {
    filed.sort_by(|a, b| {
        let key = |filed: &Filed| {
            let content = filed.content();
            (content.invoice_date, content.currency, content.series, content.sequence)
        };
        let customers = a.content().customer.cmp(&b.content().customer);
        let dates = a.content().invoice_date.cmp(&b.content().invoice_date);
        dates.then(customers).then_with(|| key(a).cmp(&key(b)))
    });
}

impl Row {
    fn read(row: &SqliteRow, place: &str) -> Result<Self, StoreError> {
        let text = |column| {
            row.try_get::<String, _>(column).map_err(|error| open::explained(place, error))
        };
        let (id, status) = (text("id")?, text("status")?);
        let status = State::parse(&status).ok_or_else(|| StoreError::Unreadable(id.clone()))?;
        Ok(Self { id, status, body: text("body")? })
    }

    fn restore(self) -> Result<Filed, StoreError> {
        let exported = serde_json::from_str::<Exported>(&self.body).ok();
        let filed = exported.and_then(Exported::into_filed);
        filed.ok_or(StoreError::Unreadable(self.id))
    }
}

/// A document on its way into the store.
struct Written {
    id: String,
    series: Series,
    customer: String,
    invoice_date: String,
    status: State,
    number: Option<i64>,
    body: String,
}

impl Written {
    fn of(filed: &Filed) -> Result<Self, StoreError> {
        let exported = Exported::from(filed);
        let body = serde_json::to_string(&exported);
        let number = filed.number().map(|number| i64::try_from(number.value())).transpose();
        Ok(Self {
            body: body.map_err(|_| StoreError::Unreadable(exported.id.clone()))?,
            number: number.map_err(|_| BillingError::NumbersExhausted)?,
            id: exported.id,
            series: filed.content().series,
            customer: exported.customer,
            invoice_date: filed.content().invoice_date.to_string(),
            status: filed.state(),
        })
    }
}

/// One change of the store; dropped without a commit, it never was.
struct Transaction<'s> {
    inner: sqlx::Transaction<'s, Sqlite>,
    place: &'s str,
}

impl<'s> Transaction<'s> {
    async fn begin(store: &'s mut SqliteStore) -> Result<Self, StoreError> {
        let place = store.place.as_str();
        // Writing from the start: two programs that both read first could neither write.
        let inner = store.connection.begin_with("BEGIN IMMEDIATE").await;
        Ok(Self { inner: inner.map_err(|error| open::explained(place, error))?, place })
    }

    async fn commit(self) -> Result<(), StoreError> {
        let place = self.place;
        self.inner.commit().await.map_err(|error| open::explained(place, error))
    }

    async fn rows_of(&mut self, customers: &BTreeSet<String>) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        let customers: Vec<&String> = customers.iter().collect();
        for chunk in customers.chunks(ROWS_MAX) {
            let mut query =
                QueryBuilder::new("SELECT id, status, body FROM documents WHERE customer IN (");
            let mut list = query.separated(", ");
            for customer in chunk {
                list.push_bind((*customer).clone());
            }
            list.push_unseparated(")");
            let rows = query.build().fetch_all(&mut *self.inner).await;
            for row in &rows.map_err(|error| open::explained(self.place, error))? {
                found.push(Row::read(row, self.place)?);
            }
        }
        Ok(found)
    }

    async fn one(&mut self, id: &str) -> Result<Filed, StoreError> {
        let query = "SELECT id, status, body FROM documents WHERE id = $1";
        let row = sqlx::query(query).bind(id.to_owned()).fetch_optional(&mut *self.inner).await;
        let row = row.map_err(|error| open::explained(self.place, error))?;
        let row = row.ok_or_else(|| StoreError::Unknown(id.to_owned()))?;
        Row::read(&row, self.place)?.restore()
    }

    async fn numbers(&mut self) -> Result<Numbers, StoreError> {
        let rows = sqlx::query("SELECT series, last FROM number_series");
        let rows = rows.fetch_all(&mut *self.inner).await;
        let place = self.place;
        let (mut invoices, mut credit_memos) = (0, 0);
        for row in rows.map_err(|error| open::explained(place, error))? {
            let series: Result<String, _> = row.try_get("series");
            let series = series.map_err(|error| open::explained(place, error))?;
            let last: Result<i64, _> = row.try_get("last");
            let last = last.map_err(|error| open::explained(place, error))?;
            let last = u64::try_from(last).map_err(|_| StoreError::Unreadable(series.clone()))?;
            match Series::parse(&series) {
                Some(Series::Invoice) => invoices = last,
                Some(Series::CreditMemo) => credit_memos = last,
                None => return Err(StoreError::Unreadable(series)),
            }
        }
        Ok(Numbers::after(invoices, credit_memos))
    }

    async fn set_numbers(&mut self, numbers: Numbers) -> Result<(), StoreError> {
        for series in [Series::Invoice, Series::CreditMemo] {
            let last = i64::try_from(numbers.last(series));
            let done = sqlx::query(
                "INSERT INTO number_series (series, last) VALUES ($1, $2) \
                 ON CONFLICT (series) DO UPDATE SET last = excluded.last",
            )
            .bind(series.name())
            .bind(last.map_err(|_| BillingError::NumbersExhausted)?)
            .execute(&mut *self.inner)
            .await;
            done.map_err(|error| open::explained(self.place, error))?;
        }
        Ok(())
    }

    async fn write(&mut self, rows: &[Written]) -> Result<(), StoreError> {
        for chunk in rows.chunks(ROWS_MAX) {
            let mut query = QueryBuilder::new(
                "INSERT INTO documents (id, series, customer, invoice_date, status, number, body) ",
            );
            query.push_values(chunk, |mut values, row| {
                values
                    .push_bind(row.id.clone())
                    .push_bind(row.series.name())
                    .push_bind(row.customer.clone())
                    .push_bind(row.invoice_date.clone())
                    .push_bind(row.status.name())
                    .push_bind(row.number)
                    .push_bind(row.body.clone());
            });
            // A draft may become anything, an active document only canceled; the rest is final.
            query.push(
                " ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
                 number = excluded.number, body = excluded.body WHERE \
                 documents.status = 'draft' OR (documents.status = 'active' AND \
                 excluded.status = 'canceled' AND excluded.number = documents.number)",
            );
            let done = query.build().execute(&mut *self.inner).await;
            done.map_err(|error| open::explained(self.place, error))?;
        }
        Ok(())
    }

    async fn delete(&mut self, ids: impl Iterator<Item = &String>) -> Result<(), StoreError> {
        let ids: Vec<&String> = ids.collect();
        for chunk in ids.chunks(ROWS_MAX) {
            let mut query =
                QueryBuilder::new("DELETE FROM documents WHERE status = 'draft' AND id IN (");
            let mut list = query.separated(", ");
            for id in chunk {
                list.push_bind((*id).clone());
            }
            list.push_unseparated(")");
            let done = query.build().execute(&mut *self.inner).await;
            done.map_err(|error| open::explained(self.place, error))?;
        }
        Ok(())
    }
}
