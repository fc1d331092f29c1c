//! Opening an SQLite store: whose file it is, which schema it has, and what its errors mean.

use super::SqliteStore;
use crate::store::StoreError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _, SqliteConnection};
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

/// How long a store waits for another program that writes to it.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// The schemas this program knows. Frozen: their text is part of every store.
const SCHEMAS: [(i64, &str, &str); 2] = [
    (1, "documents", include_str!("../../../migrations/0001_documents.sql")),
    (2, "order products", include_str!("../../../migrations/0002_order_products.sql")),
];

impl SqliteStore {
    /// A store that is gone when it is dropped.
    ///
    /// # Errors
    /// [`StoreError`] if SQLite cannot be started.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let place = "sqlite::memory:";
        let options = SqliteConnectOptions::from_str(place);
        Self::connect(options.map_err(|error| explained(place, error))?, place).await
    }

    /// The store in the file at `path`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be used, is no store, or has a schema this program does
    /// not know.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        // What is billed must outlive a power cut: every commit is flushed.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_WAIT);
        Self::connect(options, &path.display().to_string()).await
    }

    pub(super) async fn connect(
        options: SqliteConnectOptions,
        place: &str,
    ) -> Result<Self, StoreError> {
        let connection = options.connect().await;
        let mut connection = connection.map_err(|error| explained(place, error))?;
        refuse_foreign(&mut connection, place).await?;
        let schemas = SCHEMAS.map(|(version, name, text)| {
            let text = text.into_sql_str();
            Migration::new(version, name.into(), MigrationType::Simple, text, false)
        });
        let migrated = Migrator::with_migrations(schemas.to_vec()).run(&mut connection).await;
        migrated.map_err(|error| migration_refused(place, error))?;
        Ok(Self { connection, place: place.to_owned() })
    }
}

/// A database that has tables, but none of ours, belongs to somebody else.
async fn refuse_foreign(connection: &mut SqliteConnection, place: &str) -> Result<(), StoreError> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let tables: Result<Vec<String>, _> =
        sqlx::query_scalar(tables).fetch_all(&mut *connection).await;
    let tables = tables.map_err(|error| explained(place, error))?;
    let is_ours = tables.is_empty() || tables.iter().any(|name| name == "_sqlx_migrations");
    if is_ours { Ok(()) } else { Err(StoreError::NotAStore(place.to_owned())) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an enum of sqlx that may grow")]
fn migration_refused(place: &str, error: MigrateError) -> StoreError {
    let known = SCHEMAS.map(|(version, _, _)| version).into_iter().max().unwrap_or_default();
    let place = place.to_owned();
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            StoreError::Newer { place, found, known }
        }
        MigrateError::VersionMissing(version)
        | MigrateError::VersionMismatch(version)
        | MigrateError::Dirty(version) => StoreError::OtherSchema { place, version },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            explained(&place, error)
        }
        other => StoreError::Database { place, error: sqlx::Error::Migrate(Box::new(other)) },
    }
}

/// What an error of SQLite means for the operator. The codes are those of its result code page;
/// the low byte is the kind, the rest says more.
pub(super) fn explained(place: &str, error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xFF);
    let place = place.to_owned();
    match code {
        Some(5 | 6) => StoreError::Busy(place),
        Some(8 | 14) => StoreError::ReadOnly(place),
        Some(13) => StoreError::Full(place),
        Some(26) => StoreError::NotAStore(place),
        Some(_) | None => StoreError::Database { place, error },
    }
}
