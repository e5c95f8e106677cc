//! The PostgreSQL database that is copied to: what must hold before anything is written,
//! and the statements of the one transaction that fills it.

use super::{
    error::{CopyError, TargetPlace},
    rows::{Cell, RowsDigest},
    schema::{Column, MIGRATIONS, TRANSIENT, Table, is_copied, postgres_tables, quoted},
    sealed::{SealedPlaces, SealedValues},
};
use crate::{StoreError, db::migrate};
use domain::Secret;
use futures_util::TryStreamExt as _;
use seal::Sealer;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use std::{collections::BTreeSet, time::Duration};

/// How long the server may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The key of the advisory lock: "maliknode" on a telephone's keys.
const COPY_LOCK: i64 = 625_456_633;

/// Returns what messages call the database.
fn place(options: &PgConnectOptions) -> TargetPlace {
    let user = options.get_username().to_owned();
    // Without a name, PostgreSQL opens the database with the user's.
    let database = options.get_database().unwrap_or(&user).to_owned();
    let server = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    TargetPlace {
        target: format!("{server}/{database}"),
        database,
        user,
    }
}

/// Returns what an error of the database means. (The codes are those of PostgreSQL's
/// appendix A.)
pub(super) fn failed(place: &TargetPlace, source: sqlx::Error) -> CopyError {
    let (place, target) = (place.clone(), place.target.clone());
    let code = source.as_database_error().and_then(|e| e.code());
    match code.as_deref() {
        Some("28P01" | "28000") => CopyError::Refused { place, source },
        Some("3D000") => CopyError::DatabaseUnknown { place, source },
        Some("42501") => CopyError::NotPermitted { place },
        Some("25006") => CopyError::ReadOnly { target },
        Some("53100") => CopyError::DiskFull { target, source },
        Some("55P03") => CopyError::TargetBusy { target },
        _ => CopyError::Failed { target, source },
    }
}

/// What the target has before the copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing but what migrations insert.
    Nothing,
    /// A table has rows. The schema is this program's.
    Rows { table: String },
}

pub(super) struct Target {
    pub connection: PgConnection,
    pub place: TargetPlace,
}

impl Target {
    /// # Errors
    /// [`CopyError::TargetAddress`], [`CopyError::Unreachable`], [`CopyError::Refused`],
    /// [`CopyError::DatabaseUnknown`].
    pub async fn connect(url: &Secret) -> Result<Self, CopyError> {
        let options: PgConnectOptions = url.expose().parse().map_err(CopyError::TargetAddress)?;
        let options = options
            .application_name("maliknode database move")
            .disable_statement_logging();
        let place = place(&options);
        let target = || place.target.clone();
        match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
            Err(_) => Err(CopyError::TimedOut { target: target() }),
            Ok(Ok(connection)) => Ok(Self { connection, place }),
            Ok(Err(e)) => Err(match failed(&place, e) {
                CopyError::Failed { source, .. } => CopyError::Unreachable {
                    target: target(),
                    source,
                },
                refused => refused,
            }),
        }
    }

    pub fn not_empty(&self, table: &str) -> CopyError {
        CopyError::NotEmpty {
            target: self.place.target.clone(),
            table: table.to_owned(),
        }
    }

    /// Checks whether the target can be copied to, and returns what it has. `ours` are all
    /// tables of this program's schema, and `seeded` those into which migrations insert.
    ///
    /// # Errors
    /// [`CopyError::NotPermitted`], [`CopyError::ReadOnly`], [`CopyError::Encoding`],
    /// [`CopyError::TargetSchema`]; [`CopyError::NotEmpty`] where a table is not ours, or
    /// an older schema has rows.
    pub async fn inspect(
        &mut self,
        ours: &BTreeSet<String>,
        seeded: &BTreeSet<String>,
    ) -> Result<Content, CopyError> {
        self.check_server().await?;
        let found = postgres_tables(&mut self.connection).await;
        let found = found.map_err(|e| failed(&self.place, e))?;
        if let Some(other) = found.difference(ours).next() {
            return Err(self.not_empty(other));
        }
        if !found.contains(MIGRATIONS) {
            return match found.first() {
                Some(table) => Err(self.not_empty(table)),
                None => Ok(Content::Nothing),
            };
        }
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
        let found_version: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| failed(&self.place, e))?;
        let known = migrate::newest();
        if found_version > known {
            return Err(CopyError::TargetSchema(StoreError::SchemaNewer {
                found: found_version,
                known,
            }));
        }
        let rows = found
            .iter()
            .filter(|t| is_copied(t) && !seeded.contains(*t));
        for table in rows {
            if self.has_rows(table).await? {
                return match found_version == known {
                    true => Ok(Content::Rows {
                        table: table.clone(),
                    }),
                    false => Err(self.not_empty(table)),
                };
            }
        }
        Ok(Content::Nothing)
    }

    /// Returns whether a table has a row, other than the one by which every start checks
    /// the key.
    pub async fn has_rows(&mut self, table: &str) -> Result<bool, CopyError> {
        let filter = match table {
            "settings" => " WHERE name <> 'seal_check'",
            _ => "",
        };
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {}{filter})", quoted(table));
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| failed(&self.place, e))
    }

    async fn check_server(&mut self) -> Result<(), CopyError> {
        let sql = "SELECT COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false), \
                   pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', \
                   current_setting('server_encoding')";
        let (may_create, is_read_only, encoding): (bool, bool, String) = sqlx::query_as(sql)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| failed(&self.place, e))?;
        let place = self.place.clone();
        if encoding != "UTF8" {
            return Err(CopyError::Encoding { place, encoding });
        }
        if is_read_only {
            let target = place.target;
            return Err(CopyError::ReadOnly { target });
        }
        if !may_create {
            return Err(CopyError::NotPermitted { place });
        }
        Ok(())
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`CopyError::TargetSchema`]
    pub async fn migrate(&mut self) -> Result<(), CopyError> {
        let migrated = migrate::run_on_postgres(&mut self.connection).await;
        migrated.map_err(|e| match e {
            StoreError::Database(e) => failed(&self.place, e),
            e => CopyError::TargetSchema(e),
        })
    }

    /// Begins the transaction of the copy: no other process reads or writes the tables
    /// until it ends.
    ///
    /// # Errors
    /// [`CopyError::TargetBusy`]
    pub async fn begin(&mut self, tables: &[Table]) -> Result<(), CopyError> {
        const BEGIN: [&str; 5] = [
            "BEGIN",
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
            "SET LOCAL lock_timeout = '10s'",
            // What is confirmed survives a power failure, whatever the server's default.
            "SET LOCAL synchronous_commit = on",
        ];
        for sql in BEGIN {
            self.execute(sql.to_owned()).await?;
        }
        let is_first: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(COPY_LOCK)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| failed(&self.place, e))?;
        if !is_first {
            return Err(CopyError::TargetBusy {
                target: self.place.target.clone(),
            });
        }
        let all = self.all_tables(tables).await?;
        self.execute(format!("LOCK TABLE {all} IN ACCESS EXCLUSIVE MODE"))
            .await
    }

    /// Returns the tables and those whose rows are not copied, for a statement.
    async fn all_tables(&mut self, tables: &[Table]) -> Result<String, CopyError> {
        let found = postgres_tables(&mut self.connection).await;
        let found = found.map_err(|e| failed(&self.place, e))?;
        let transient = TRANSIENT.iter().map(|(name, _)| *name);
        let transient = transient.filter(|name| *name != MIGRATIONS && found.contains(*name));
        let all = tables.iter().map(|t| t.name.as_str()).chain(transient);
        Ok(all.map(quoted).collect::<Vec<_>>().join(", "))
    }

    /// Removes all rows: those that migrations insert.
    pub async fn clear(&mut self, tables: &[Table]) -> Result<(), CopyError> {
        let all = self.all_tables(tables).await?;
        self.execute(format!("TRUNCATE {all}")).await
    }

    /// Returns the digest of a table's rows, and adds what is sealed in it.
    ///
    /// # Errors
    /// [`CopyError::Failed`]
    pub async fn digest(
        &mut self,
        table: &Table,
        sealer: &Sealer,
        sealed: &mut SealedValues,
    ) -> Result<RowsDigest, CopyError> {
        let (columns, name) = (table.postgres_columns(), quoted(&table.name));
        let sql = AssertSqlSafe(format!("SELECT {columns} FROM {name}"));
        let places = SealedPlaces::of(table);
        let mut digest = RowsDigest::default();
        let place = self.place.clone();
        let failed = |e| failed(&place, e);
        let mut rows = sqlx::query(sql).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let cells = table.columns.iter().enumerate();
            let cells = cells.map(|(index, c)| Cell::read(&row, index, c.kind));
            let cells = cells.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            digest.add(&cells);
            places.open(&cells, sealer, sealed);
        }
        Ok(digest)
    }

    /// Lets a column's numbers continue after this one.
    pub async fn continue_after(
        &mut self,
        table: &Table,
        column: &Column,
        last: i64,
    ) -> Result<(), CopyError> {
        let (table, column) = (quoted(&table.name), quoted(&column.name));
        let next = last.saturating_add(1);
        self.execute(format!(
            "ALTER TABLE {table} ALTER COLUMN {column} RESTART WITH {next}"
        ))
        .await
    }

    /// Returns the number that the column's next row gets.
    pub async fn next_number(&mut self, table: &Table, column: &Column) -> Result<i64, CopyError> {
        let sql = "SELECT pg_get_serial_sequence(quote_ident($1), $2)";
        let sequence: String = sqlx::query_scalar(sql)
            .bind(&table.name)
            .bind(&column.name)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| failed(&self.place, e))?;
        // The function has quoted the name.
        let sql = format!("SELECT last_value + is_called::int FROM {sequence}");
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.connection)
            .await
            .map_err(|e| failed(&self.place, e))
    }

    /// Runs a statement that has no arguments.
    pub async fn execute(&mut self, sql: String) -> Result<(), CopyError> {
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(|e| failed(&self.place, e))
    }
}
