//! The SQLite database that is copied. While it is open, no other process writes to it.

use super::{
    error::CopyError,
    rows::{Cell, RowsDigest},
    schema::{Table, Types, quoted, sqlite_tables, sqlite_types},
    sealed::{SealedPlaces, SealedValues},
};
use crate::{
    DatabaseUrl, Store, StoreError,
    db::{error::is_busy, migrate},
};
use futures_util::{TryStreamExt as _, stream::BoxStream};
use seal::Sealer;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Source {
    pub connection: SqliteConnection,
    pub types: Types,
    path: PathBuf,
}

impl Source {
    /// Opens a database, brings its schema up to date, checks the key and locks it
    /// against writers.
    ///
    /// # Errors
    /// [`CopyError::SourceMissing`], [`CopyError::SourceBusy`], [`CopyError::Source`].
    pub async fn lock(path: &Path, sealer: &Sealer) -> Result<Self, CopyError> {
        refuse_missing(path)?;
        let url = DatabaseUrl::Sqlite(path.to_owned());
        let store = Store::open(&url, sealer.clone()).await;
        store.map_err(|e| failed(path, e))?.close().await;
        Self::open(path, false, "BEGIN IMMEDIATE").await
    }

    /// Opens a database that is not changed. Returns `None` where its schema is older
    /// than this program's.
    ///
    /// # Errors
    /// [`CopyError::SourceMissing`], [`CopyError::Source`].
    pub async fn read(path: &Path) -> Result<Option<Self>, CopyError> {
        refuse_missing(path)?;
        let mut source = Self::open(path, true, "BEGIN").await?;
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
        let found: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut source.connection)
            .await
            .map_err(|e| failed(path, e.into()))?;
        match found.cmp(&migrate::newest()) {
            std::cmp::Ordering::Less => Ok(None),
            std::cmp::Ordering::Equal => Ok(Some(source)),
            std::cmp::Ordering::Greater => Err(CopyError::Source(StoreError::SchemaNewer {
                found,
                known: migrate::newest(),
            })),
        }
    }

    async fn open(path: &Path, read_only: bool, begin: &'static str) -> Result<Self, CopyError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", if read_only { "1" } else { "0" })
            .disable_statement_logging();
        let open = async {
            let mut connection = options.connect().await?;
            sqlx::query(begin).execute(&mut connection).await?;
            let types = sqlite_types(&mut connection).await?;
            Ok(Self {
                connection,
                types,
                path: path.to_owned(),
            })
        };
        open.await.map_err(|e: sqlx::Error| failed(path, e.into()))
    }

    /// Opens a database in memory that has nothing but what the migrations insert.
    pub async fn as_migrated() -> Result<Self, CopyError> {
        let path = Path::new(":memory:");
        let open = async {
            let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
            migrate::run_on_sqlite(&mut connection).await?;
            let types = sqlite_types(&mut connection).await?;
            Ok(Self {
                connection,
                types,
                path: path.to_owned(),
            })
        };
        open.await.map_err(CopyError::Source)
    }

    /// Returns the tables to copy, as the source alone has them.
    ///
    /// # Errors
    /// [`CopyError::SchemaDiffers`]
    pub fn tables(&self) -> Result<Vec<Table>, CopyError> {
        sqlite_tables(&self.types)
    }

    /// Returns the number of rows of a table.
    pub async fn count(&mut self, table: &Table) -> Result<u64, CopyError> {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {}", quoted(&table.name)));
        let count: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| self.failed(e))?;
        Ok(count.unsigned_abs())
    }

    /// Returns all rows of a table, one after another, in the order in which they are
    /// stored. [`cells`] reads each.
    pub fn rows(&mut self, table: &Table) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
        let (columns, table) = (table.column_list(), quoted(&table.name));
        let sql = AssertSqlSafe(format!("SELECT {columns} FROM {table}"));
        sqlx::query(sql).fetch(&mut self.connection)
    }

    /// Reads all rows of a table and returns their digest, and adds what is sealed in it.
    ///
    /// # Errors
    /// Those of [`cells`], [`CopyError::Source`].
    pub async fn digest(
        &mut self,
        table: &Table,
        sealer: &Sealer,
        sealed: &mut SealedValues,
    ) -> Result<RowsDigest, CopyError> {
        let source_failed = self.failure();
        let places = SealedPlaces::of(table);
        let mut digest = RowsDigest::default();
        let mut rows = self.rows(table);
        while let Some(row) = rows.try_next().await.map_err(&source_failed)? {
            let row = cells(&row, table)?;
            digest.add(&row);
            places.open(&row, sealer, sealed);
        }
        Ok(digest)
    }

    pub fn failed(&self, e: sqlx::Error) -> CopyError {
        failed(&self.path, e.into())
    }

    /// Returns [`failed`](Self::failed) for a loop in which the source is in use.
    pub fn failure(&self) -> impl Fn(sqlx::Error) -> CopyError + use<> {
        let path = self.path.clone();
        move |e| failed(&path, e.into())
    }

    /// Ends the lock and closes the file.
    pub async fn close(self) {
        // The write-ahead log is merged into the file by the last connection that closes.
        if let Err(e) = self.connection.close().await {
            tracing::warn!(error = ?e, "the SQLite database could not be closed");
        }
    }
}

/// Reads the values of a row of the source.
///
/// # Errors
/// [`CopyError::Unreadable`], [`CopyError::NulCharacter`].
pub(super) fn cells<'r>(row: &'r SqliteRow, table: &Table) -> Result<Vec<Cell<'r>>, CopyError> {
    let mut cells: Vec<Cell<'r>> = Vec::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        let place = || {
            let key = cells.first().map_or_else(String::new, |key| key.short());
            format!("{}.{} ({key})", table.name, column.name)
        };
        let cell = Cell::read(row, index, column.kind);
        let cell = cell.map_err(|source| CopyError::Unreadable {
            place: place(),
            source,
        })?;
        if matches!(cell, Cell::Text(text) if text.contains('\0')) {
            return Err(CopyError::NulCharacter { place: place() });
        }
        cells.push(cell);
    }
    Ok(cells)
}

fn refuse_missing(path: &Path) -> Result<(), CopyError> {
    match path.is_file() {
        true => Ok(()),
        false => Err(CopyError::SourceMissing {
            path: path.to_owned(),
        }),
    }
}

fn failed(path: &Path, e: StoreError) -> CopyError {
    match e {
        StoreError::Database(source) | StoreError::Unopenable { source, .. }
            if is_busy(&source) =>
        {
            CopyError::SourceBusy {
                path: path.to_owned(),
                source,
            }
        }
        e => CopyError::Source(e),
    }
}
