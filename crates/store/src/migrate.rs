//! The schema, embedded. An older one is brought up to date, each migration in
//! a transaction of its own; a newer one is refused before anything is read.
//!
//! A migration that was published is never changed: a column goes in two
//! releases (stop using it, then drop it), so that the version before still
//! runs on the database of the one after.

use crate::{
    Result, StoreError,
    db::{Db, Either, fetch_optional},
};
use sqlx::migrate::{MigrateError, Migrator};
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// How often SQLite's migrations are tried, and how long apart.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// Brings the schema up to date. Of two processes at once one waits for the
/// other on PostgreSQL (an advisory lock). For SQLite sqlx has no such lock:
/// who comes second finds a table made already, fails, and looks again.
pub(crate) async fn run(db: &Db) -> Result<()> {
    let (migrator, done) = match db.writer() {
        Either::Sqlite(pool) => {
            let mut tries = 1;
            let done = loop {
                match SQLITE.run(pool).await {
                    Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                        if tries < TRIES =>
                    {
                        tries += 1;
                        tokio::time::sleep(PAUSE).await;
                    }
                    done => break done,
                }
            };
            (&SQLITE, done)
        }
        Either::Postgres(pool) => (&POSTGRES, POSTGRES.run(pool).await),
    };
    match done {
        Ok(()) => Ok(()),
        // Applied there, unknown here: a newer version has been at work.
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
