//! The connection pools of either database, and the macros that run one query
//! text on both.
//!
//! SQLite allows one writer at a time. Writers therefore queue for the single
//! connection of their own pool, in order and without `SQLITE_BUSY`. They begin
//! with `BEGIN IMMEDIATE`, so that a transaction waits for a second process (the
//! command line) at its start and never in the middle. Readers have read-only
//! connections; in WAL mode they block no writer and no writer blocks them.

pub(crate) mod batch;
mod clock;
pub(crate) mod error;
pub(crate) mod meter;
pub(crate) mod migrate;
mod pooler;
pub(crate) mod url;
pub(crate) mod writes;

use crate::{DatabaseUrl, Result, StoreError, mail::MailBell};
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
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use writes::{WriteCount, Written};

/// A value for each kind of database.
pub(crate) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// What a statement runs on.
pub(crate) trait Target {
    type Sqlite;
    type Postgres;
    type Written;

    /// Returns it, and what is dropped after the statement.
    fn target(self) -> (Either<Self::Sqlite, Self::Postgres>, Self::Written);
}

impl<S, P> Target for Either<S, P> {
    type Sqlite = S;
    type Postgres = P;
    type Written = ();

    fn target(self) -> (Self, ()) {
        (self, ())
    }
}

/// The pool for single statements that write.
pub(crate) struct Writer<'a> {
    pool: Either<&'a SqlitePool, &'a PgPool>,
    writes: &'a Arc<WriteCount>,
}

impl<'a> Writer<'a> {
    /// Returns the pool for what no request is answered from: the writes are not counted.
    pub(crate) fn uncounted(self) -> Either<&'a SqlitePool, &'a PgPool> {
        self.pool
    }
}

impl<'a> Target for Writer<'a> {
    type Sqlite = &'a SqlitePool;
    type Postgres = &'a PgPool;
    type Written = Written;

    fn target(self) -> (Either<&'a SqlitePool, &'a PgPool>, Written) {
        (self.pool, Written::new(self.writes))
    }
}

/// Runs a statement. Returns `Result<u64>`, the number of changed rows.
macro_rules! execute {
    ($on:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        {
            let begun = std::time::Instant::now();
            // Dropped at the end: by then the statement has written.
            let (on, _written) = $crate::db::Target::target($on);
            let result = match on {
                $crate::db::Either::Sqlite(c) => {
                    sqlx::query($sql)$(.bind($arg))*.execute(c).await.map(|r| r.rows_affected())
                }
                $crate::db::Either::Postgres(c) => {
                    sqlx::query($sql)$(.bind($arg))*.execute(c).await.map(|r| r.rows_affected())
                }
            }
            .map_err($crate::StoreError::from);
            $crate::db::meter::record($crate::db::meter::Operation::Execute, begun, &result);
            result
        }
    };
}

/// Runs a query. Returns `Result<Option<Row>>`.
macro_rules! fetch_optional {
    ($on:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        {
            let begun = std::time::Instant::now();
            // Dropped at the end: by then the statement has written.
            let (on, _written) = $crate::db::Target::target($on);
            let result = match on {
                $crate::db::Either::Sqlite(c) => {
                    sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_optional(c).await
                }
                $crate::db::Either::Postgres(c) => {
                    sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_optional(c).await
                }
            }
            .map_err($crate::StoreError::from);
            $crate::db::meter::record($crate::db::meter::Operation::Query, begun, &result);
            result
        }
    };
}

/// Runs a query. Returns `Result<Vec<Row>>`.
macro_rules! fetch_all {
    ($on:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        {
            let begun = std::time::Instant::now();
            // Dropped at the end: by then the statement has written.
            let (on, _written) = $crate::db::Target::target($on);
            let result = match on {
                $crate::db::Either::Sqlite(c) => {
                    sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_all(c).await
                }
                $crate::db::Either::Postgres(c) => {
                    sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_all(c).await
                }
            }
            .map_err($crate::StoreError::from);
            $crate::db::meter::record($crate::db::meter::Operation::Query, begun, &result);
            result
        }
    };
}

pub(crate) use {execute, fetch_all, fetch_optional};

/// The number of connections that read. Each SQLite connection is a thread.
const SQLITE_READERS: u32 = 4;
/// PostgreSQL allows 100 connections by default; several control planes share them.
const POSTGRES_CONNECTIONS: u32 = 16;
/// The number of concurrent write transactions on PostgreSQL. Transactions of
/// one node queue for its row anyway; the others wait here without holding a
/// connection, so that a burst of sign-ups leaves connections for readers.
const POSTGRES_WRITERS: usize = 4;
/// How long a write transaction waits for its permit or connection: a burst of
/// 1,000 sign-ups takes a while on a busy machine.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long any other query waits for a connection. An unreachable server is
/// reported after this time.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for the writer of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before a busy SQLite file is opened again.
const BUSY_RETRY_DELAY: Duration = Duration::from_millis(20);

/// The open pools.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
        mail: Arc<MailBell>,
        writes: Arc<WriteCount>,
    },
    Postgres {
        pool: PgPool,
        writers: Arc<Semaphore>,
        mail: Arc<MailBell>,
        writes: Arc<WriteCount>,
    },
}

impl Db {
    pub(crate) async fn open(url: &DatabaseUrl) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(path) => Self::sqlite(path).await,
            DatabaseUrl::Postgres(url) => Self::postgres(url.expose()).await,
        }
    }

    /// Opens a SQLite file. The writing connection is replaced if sqlx still
    /// counts an open transaction on it: SQLite ends a transaction by itself when
    /// the disk is full (sqlite.org/lang_transaction.html), the rollback then
    /// fails, and sqlx would refuse every further transaction.
    ///
    /// The first opening switches the file to WAL mode. SQLite's busy handler is
    /// not called while a connection that reads waits to write
    /// (sqlite.org/c3ref/busy_handler.html), and that switch is such a wait: two
    /// processes that open a new file at once would see `SQLITE_BUSY`. Opening is
    /// therefore attempted again for as long as a writer would wait.
    async fn sqlite(path: &Path) -> Result<Self> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // WAL with NORMAL may lose the last commits when the power fails
            // (sqlite.org/pragma.html): a device whose deletion was confirmed
            // would reappear. FULL costs one fsync per commit, about 1 ms.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let write = loop {
            let opened = pool(1)
                .before_acquire(|c, _| Box::pin(async { Ok(!c.is_in_transaction()) }))
                .connect_with(options.clone())
                .await;
            match opened {
                Ok(pool) => break pool,
                Err(e) if error::is_busy(&e) && Instant::now() < deadline => {
                    tokio::time::sleep(BUSY_RETRY_DELAY).await;
                }
                Err(e) => return Err(unopenable(format!("the database {}", path.display()), e)),
            }
        };
        let read = pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "1"));
        Ok(Self::Sqlite {
            read,
            write,
            mail: Arc::default(),
            writes: Arc::default(),
        })
    }

    /// Opens a database in memory. Its only connection is the database, so it
    /// must never be closed.
    pub(crate) async fn memory() -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .foreign_keys(true)
            .disable_statement_logging();
        let only = pool(1).min_connections(1).connect_with(options).await?;
        Ok(Self::Sqlite {
            read: only.clone(),
            write: only,
            mail: Arc::default(),
            writes: Arc::default(),
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
        pooler::check_sessions(&pool).await?;
        Ok(Self::Postgres {
            pool,
            writers: Arc::new(Semaphore::new(POSTGRES_WRITERS)),
            mail: Arc::default(),
            writes: Arc::default(),
        })
    }

    /// Returns the pool for single queries that only read.
    pub(crate) fn reader(&self) -> Either<&SqlitePool, &PgPool> {
        match self {
            Self::Sqlite { read, .. } => Either::Sqlite(read),
            Self::Postgres { pool, .. } => Either::Postgres(pool),
        }
    }

    /// Returns the pool for single statements that write.
    pub(crate) fn writer(&self) -> Writer<'_> {
        let pool = match self {
            Self::Sqlite { write, .. } => Either::Sqlite(write),
            Self::Postgres { pool, .. } => Either::Postgres(pool),
        };
        let writes = self.writes();
        Writer { pool, writes }
    }

    /// Begins a write transaction. It is rolled back if it is dropped without
    /// [`Tx::commit`].
    pub(crate) async fn begin(&self) -> Result<Tx> {
        let begun = std::time::Instant::now();
        let result = self.begin_write().await;
        meter::record(meter::Operation::Begin, begun, &result);
        result
    }

    async fn begin_write(&self) -> Result<Tx> {
        match self {
            Self::Sqlite { write, .. } => {
                let tx = write.begin_with("BEGIN IMMEDIATE").await?;
                Ok(self.written(Either::Sqlite(tx), None))
            }
            Self::Postgres { pool, writers, .. } => {
                let permit = writers.clone().acquire_owned();
                let permit = tokio::time::timeout(QUEUE_TIMEOUT, permit).await;
                let permit = permit.map_err(|_| StoreError::TimedOut)?;
                // The semaphore is never closed.
                let permit = permit.map_err(|_| StoreError::TimedOut)?;
                let tx = pool.begin().await?;
                Ok(self.written(Either::Postgres(tx), Some(permit)))
            }
        }
    }

    fn written(&self, inner: AnyTransaction, permit: Option<OwnedSemaphorePermit>) -> Tx {
        Tx {
            _written: Some(Written::new(self.writes())),
            _permit: permit,
            ..Tx::new(inner, self.mail())
        }
    }

    /// Begins a read transaction. All its queries see the same snapshot.
    pub(crate) async fn snapshot(&self) -> Result<Tx> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let inner = match self {
            Self::Sqlite { read, .. } => Either::Sqlite(read.begin().await?),
            Self::Postgres { pool, .. } => Either::Postgres(pool.begin_with(SNAPSHOT).await?),
        };
        Ok(Tx::new(inner, self.mail()))
    }

    /// Returns what this process knows of mail.
    pub(crate) fn mail(&self) -> &Arc<MailBell> {
        match self {
            Self::Sqlite { mail, .. } | Self::Postgres { mail, .. } => mail,
        }
    }

    /// Returns the count of this process's writes.
    pub(crate) fn writes(&self) -> &Arc<WriteCount> {
        match self {
            Self::Sqlite { writes, .. } | Self::Postgres { writes, .. } => writes,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            // Readers first: the last connection merges the write-ahead log.
            Self::Sqlite { read, write, .. } => {
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
    inner: AnyTransaction,
    /// Dropped after the transaction, because fields are dropped in order; `None` where it
    /// only reads.
    _written: Option<Written>,
    /// Released after the transaction, likewise.
    _permit: Option<OwnedSemaphorePermit>,
    mail: Arc<MailBell>,
    has_mail: bool,
}

impl Tx {
    fn new(inner: AnyTransaction, mail: &Arc<MailBell>) -> Self {
        Self {
            inner,
            _written: None,
            _permit: None,
            mail: mail.clone(),
            has_mail: false,
        }
    }

    /// Returns the connection on which the macros run a query.
    pub(crate) fn connection(&mut self) -> Either<&mut SqliteConnection, &mut PgConnection> {
        match &mut self.inner {
            Either::Sqlite(tx) => Either::Sqlite(tx),
            Either::Postgres(tx) => Either::Postgres(tx),
        }
    }

    /// Returns what this process knows of mail.
    pub(crate) fn mail(&self) -> &MailBell {
        &self.mail
    }

    /// Notes that the transaction has queued mail: its commit wakes the sender.
    pub(crate) fn mail_was_queued(&mut self) {
        self.has_mail = true;
    }

    pub(crate) async fn commit(self) -> Result<()> {
        let begun = std::time::Instant::now();
        let result = match self.inner {
            Either::Sqlite(tx) => tx.commit().await,
            Either::Postgres(tx) => tx.commit().await,
        };
        let result = result.map_err(StoreError::from);
        if self.has_mail && result.is_ok() {
            self.mail.ring();
        }
        meter::record(meter::Operation::Commit, begun, &result);
        result
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(QUEUE_TIMEOUT)
        // A file never disconnects: connections need neither tests nor renewal.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Creates an empty file with mode 0600 if it does not exist. SQLite would apply
/// the umask; it gives `-wal` and `-shm` the mode of this file.
fn create_private(path: &Path) -> Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
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

/// Converts a number that is never negative in the database.
pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writes_continue_after_sqlite_aborts_a_transaction() {
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
