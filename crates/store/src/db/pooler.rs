//! A pooler between this program and PostgreSQL, such as pgbouncer. One that gives each
//! connection a session is invisible. One that gives each *transaction* a session
//! (`pool_mode = transaction`) is refused at the start: a statement that is prepared in one
//! session is unknown in the next, and the advisory lock of the migrations would be taken in
//! one and released in another, so that it stays locked.

use super::Result;
use crate::StoreError;
use sqlx::{Executor, PgPool, Postgres, Row, pool::PoolConnection};

/// How often the sessions are compared. A busy pooler may have another session free.
const ATTEMPTS: u32 = 3;

/// Checks that two connections have sessions of their own, and keep them.
///
/// # Errors
/// [`StoreError::PoolerOfTransactions`].
pub(super) async fn check_sessions(pool: &PgPool) -> Result<()> {
    let mut first = pool.acquire().await?;
    // Where there is no second connection, later queries say so.
    let Ok(mut second) = pool.acquire().await else {
        return Ok(());
    };
    let (one, two) = (session(&mut first).await?, session(&mut second).await?);
    for _ in 0..ATTEMPTS {
        let (again, other) = (session(&mut first).await?, session(&mut second).await?);
        if one == two || (again, other) != (one, two) {
            return Err(StoreError::PoolerOfTransactions);
        }
    }
    Ok(())
}

/// Returns the process that serves a connection. It is asked without a prepared statement.
async fn session(connection: &mut PoolConnection<Postgres>) -> Result<i32> {
    let sql = sqlx::raw_sql("SELECT pg_backend_pid()");
    let row = (&mut **connection).fetch_one(sql).await?;
    Ok(row.try_get(0)?)
}
