//! The two databases behind one face, and the macros that run one query text
//! on either.
//!
//! SQLite takes one writer at a time. Writers therefore queue for the only
//! connection of a pool of their own, in order and without `SQLITE_BUSY`, and
//! begin with `BEGIN IMMEDIATE`, so that a second process (the command line)
//! is waited for at the start and never in the middle. Readers have
//! connections that cannot write; in WAL mode nobody waits for them.

use crate::{DatabaseUrl, Result, StoreError};
use sqlx::{
    ConnectOptions, Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection,
    SqlitePool, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::OpenOptions, io::ErrorKind, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One thing for each database.
pub(crate) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// Runs a statement; `Result<u64>`, the rows it changed.
macro_rules! execute {
    ($on:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $on {
            $crate::db::Either::Sqlite(c) => {
                sqlx::query($sql)$(.bind($arg))*.execute(c).await.map(|r| r.rows_affected())
            }
            $crate::db::Either::Postgres(c) => {
                sqlx::query($sql)$(.bind($arg))*.execute(c).await.map(|r| r.rows_affected())
            }
        }
        .map_err($crate::StoreError::from)
    };
}

/// `Result<Option<Row>>`.
macro_rules! fetch_optional {
    ($on:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $on {
            $crate::db::Either::Sqlite(c) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_optional(c).await
            }
            $crate::db::Either::Postgres(c) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_optional(c).await
            }
        }
        .map_err($crate::StoreError::from)
    };
}

/// `Result<Vec<Row>>`.
macro_rules! fetch_all {
    ($on:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $on {
            $crate::db::Either::Sqlite(c) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_all(c).await
            }
            $crate::db::Either::Postgres(c) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_all(c).await
            }
        }
        .map_err($crate::StoreError::from)
    };
}

pub(crate) use {execute, fetch_all, fetch_optional};

/// Connections that read at the same time. Each SQLite one is a thread.
const SQLITE_READERS: u32 = 4;
/// PostgreSQL allows 100 by default; several control planes share them.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Transactions that write to PostgreSQL at the same time. Those of one node
/// queue for its row anyway; here the rest wait without holding a connection,
/// so that a burst of sign-ups leaves connections to everybody else.
const POSTGRES_WRITERS: usize = 4;
/// How long a transaction that writes waits for its turn: a burst of 1,000
/// sign-ups takes a while on a busy machine.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long anything else waits for a connection; also how long it takes to
/// say that the server is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The open pools.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
    },
    Postgres {
        pool: PgPool,
        writers: Arc<Semaphore>,
    },
}

impl Db {
    pub(crate) async fn open(url: &DatabaseUrl) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(path) => Self::sqlite(path).await,
            DatabaseUrl::Postgres(url) => Self::postgres(url.expose()).await,
        }
    }

    /// The one connection that writes is replaced where it still believes in
    /// a transaction: SQLite ends one by itself when the disk is full
    /// (sqlite.org/lang_transaction.html), the rollback then fails, and sqlx
    /// would refuse every further transaction for ever.
    async fn sqlite(path: &Path) -> Result<Self> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // WAL with NORMAL may lose the last commits when the power fails
            // (sqlite.org/pragma.html): a device whose deletion was confirmed
            // would be back. FULL costs an fsync a commit, about a millisecond.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let write = pool(1)
            .before_acquire(|c, _| Box::pin(async { Ok(!c.is_in_transaction()) }))
            .connect_with(options.clone())
            .await;
        let write = write.map_err(|e| unopenable(format!("the database {}", path.display()), e))?;
        let read = pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "1"));
        Ok(Self::Sqlite { read, write })
    }

    /// One connection, which is the database: it must never be closed.
    pub(crate) async fn memory() -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .foreign_keys(true)
            .disable_statement_logging();
        let only = pool(1).min_connections(1).connect_with(options).await?;
        Ok(Self::Sqlite {
            read: only.clone(),
            write: only,
        })
    }

    async fn postgres(url: &str) -> Result<Self> {
        let what = || "the PostgreSQL server of database_url".to_owned();
        let options: PgConnectOptions = url.parse().map_err(|e| unopenable(what(), e))?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(
                options
                    .application_name("maliknode")
                    .disable_statement_logging(),
            )
            .await
            .map_err(|e| unopenable(what(), e))?;
        Ok(Self::Postgres {
            pool,
            writers: Arc::new(Semaphore::new(POSTGRES_WRITERS)),
        })
    }

    /// For single queries that only read.
    pub(crate) fn reader(&self) -> Either<&SqlitePool, &PgPool> {
        match self {
            Self::Sqlite { read, .. } => Either::Sqlite(read),
            Self::Postgres { pool, .. } => Either::Postgres(pool),
        }
    }

    /// For single statements that write.
    pub(crate) fn writer(&self) -> Either<&SqlitePool, &PgPool> {
        match self {
            Self::Sqlite { write, .. } => Either::Sqlite(write),
            Self::Postgres { pool, .. } => Either::Postgres(pool),
        }
    }

    /// A transaction that writes. Dropped without [`Tx::commit`], it never was.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        match self {
            Self::Sqlite { write, .. } => {
                let tx = write.begin_with("BEGIN IMMEDIATE").await?;
                Ok(Tx::new(Either::Sqlite(tx), None))
            }
            Self::Postgres { pool, writers } => {
                let turn = writers.clone().acquire_owned();
                let turn = tokio::time::timeout(QUEUE_TIMEOUT, turn).await;
                let turn = turn.map_err(|_| StoreError::TimedOut)?;
                // The semaphore is never closed.
                let turn = turn.map_err(|_| StoreError::TimedOut)?;
                let tx = pool.begin().await?;
                Ok(Tx::new(Either::Postgres(tx), Some(turn)))
            }
        }
    }

    /// A transaction that reads: all its queries see one moment.
    pub(crate) async fn snapshot(&self) -> Result<Tx> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let on = match self {
            Self::Sqlite { read, .. } => Either::Sqlite(read.begin().await?),
            Self::Postgres { pool, .. } => Either::Postgres(pool.begin_with(SNAPSHOT).await?),
        };
        Ok(Tx::new(on, None))
    }

    pub(crate) async fn close(&self) {
        match self {
            // Readers first: the last one out folds the write-ahead log in.
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

type AnyTransaction = Either<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;

/// A transaction on either database.
pub(crate) struct Tx {
    on: AnyTransaction,
    /// Held for its `Drop`, after the transaction's: the next one's turn.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Tx {
    fn new(on: AnyTransaction, turn: Option<OwnedSemaphorePermit>) -> Self {
        Self { on, _turn: turn }
    }

    /// What the macros run on.
    pub(crate) fn on(&mut self) -> Either<&mut SqliteConnection, &mut PgConnection> {
        match &mut self.on {
            Either::Sqlite(tx) => Either::Sqlite(tx),
            Either::Postgres(tx) => Either::Postgres(tx),
        }
    }

    pub(crate) async fn commit(self) -> Result<()> {
        match self.on {
            Either::Sqlite(tx) => tx.commit().await?,
            Either::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(QUEUE_TIMEOUT)
        // A file does not hang up: no need to ask before, no need to renew.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Makes an empty file with rights 0600 where there is none: SQLite would make
/// it with the umask's, and gives its `-wal` and `-shm` the file's own.
fn create_private(path: &Path) -> Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(unopenable(
            format!("the database {}", path.display()),
            sqlx::Error::Io(e),
        )),
    }
}

fn unopenable(what: String, source: sqlx::Error) -> StoreError {
    StoreError::Unopenable { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_transaction_that_sqlite_ended_by_itself_there_are_others() {
        let root = tempfile::tempdir().unwrap();
        let db = Db::sqlite(&root.path().join("d.sqlite")).await.unwrap();
        let Db::Sqlite { write, .. } = db else {
            unreachable!()
        };
        sqlx::query("CREATE TABLE t (a)")
            .execute(&write)
            .await
            .unwrap();
        let mut tx = write.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        let mut tx = write.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}
