//! The database's own clock, for times that several control planes compare: the clocks of
//! their machines may differ by hours.

use super::{Db, Either, fetch_optional};
use crate::{Result, Store};
use domain::Timestamp;

/// The milliseconds since 1970 when the expression is evaluated, not when the transaction
/// began (postgresql.org/docs/current/functions-datetime.html).
const POSTGRES: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
/// The same; SQLite's clock is its process's (sqlite.org/lang_datefunc.html).
const SQLITE: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

impl Db {
    /// Returns the SQL expression for the time.
    pub(crate) fn now(&self) -> &'static str {
        match self.reader() {
            Either::Sqlite(_) => SQLITE,
            Either::Postgres(_) => POSTGRES,
        }
    }
}

impl Store {
    /// Returns the time of the database's clock; `None` for SQLite, whose only control plane
    /// has a clock of its own.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn database_time(&self) -> Result<Option<Timestamp>> {
        if self.is_sqlite() {
            return Ok(None);
        }
        let sql = sqlx::AssertSqlSafe(format!("SELECT {POSTGRES}"));
        let row = fetch_optional!(self.db.reader(), (i64,), sql)?;
        Ok(row.map(|(now,)| Timestamp(now)))
    }
}
