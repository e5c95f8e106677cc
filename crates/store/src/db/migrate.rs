//! The embedded migrations. An older schema is upgraded, each migration in its
//! own transaction; a newer schema is refused before any row is read.
//!
//! A published migration is never changed. A column is removed in two releases
//! (the first stops using it, the second drops it), so that a release still runs
//! on the database of the next release.
//!
//! Six columns of `peers` are no longer written but still read, so they are not dropped:
//! `rx_total`, `tx_total`, `last_rx`, `last_tx`, `last_handshake` and `endpoint` have the
//! traffic of a database from before the third migration until a device's first reading.

use super::{Db, Either, fetch_optional};
use crate::{Result, StoreError};
use sqlx::{
    PgConnection, SqliteConnection,
    migrate::{MigrateError, Migrator},
};
use std::time::Duration;
use tokio::time::Instant;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// How long SQLite's migrations are attempted, and how long apart: another process
/// applies them meanwhile, on a disk that may be slow.
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Returns the number of the newest migration.
pub(crate) fn newest() -> i64 {
    POSTGRES.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Applies missing migrations on one connection.
///
/// # Errors
/// Those of [`run`], except that a newer schema is [`StoreError::Migrate`].
pub(crate) async fn run_on_postgres(connection: &mut PgConnection) -> Result<()> {
    let migrated = POSTGRES.run_direct(None, connection, false).await;
    migrated.map_err(unmigrated)
}

/// Applies missing migrations on one connection to a file that no other process uses.
///
/// # Errors
/// As [`run_on_postgres`].
pub(crate) async fn run_on_sqlite(connection: &mut SqliteConnection) -> Result<()> {
    let migrated = SQLITE.run_direct(None, connection, false).await;
    migrated.map_err(unmigrated)
}

/// Returns a statement's own error, if a statement failed.
fn unmigrated(e: MigrateError) -> StoreError {
    match e {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => e.into(),
        e => StoreError::Migrate(e),
    }
}

/// Applies missing migrations. On PostgreSQL a second process waits for an
/// advisory lock. sqlx has no such lock for SQLite: a second process finds a
/// table that already exists, fails, and tries again.
pub(crate) async fn run(db: &Db) -> Result<()> {
    let (migrator, result) = match db.writer().uncounted() {
        Either::Sqlite(pool) => {
            let deadline = Instant::now() + TIMEOUT;
            let result = loop {
                match SQLITE.run(pool).await {
                    Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                        if Instant::now() < deadline =>
                    {
                        tokio::time::sleep(RETRY_DELAY).await;
                    }
                    result => break result,
                }
            };
            (&SQLITE, result)
        }
        Either::Postgres(pool) => (&POSTGRES, POSTGRES.run(pool).await),
    };
    match result {
        Ok(()) => Ok(()),
        // The database has a migration that this version does not know.
        Err(MigrateError::VersionMissing(missing)) => {
            let sql = "SELECT MAX(version) FROM _sqlx_migrations";
            let newest = fetch_optional!(db.reader(), (Option<i64>,), sql)?;
            Err(StoreError::SchemaNewer {
                found: newest.and_then(|(v,)| v).unwrap_or(missing),
                known: migrator.iter().map(|m| m.version).max().unwrap_or(0),
            })
        }
        Err(e) => Err(StoreError::Migrate(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_have_the_same_migrations() {
        let names = |m: &Migrator| -> Vec<_> {
            m.iter()
                .map(|m| (m.version, m.description.clone()))
                .collect()
        };
        assert_eq!(names(&SQLITE), names(&POSTGRES));
    }
}
