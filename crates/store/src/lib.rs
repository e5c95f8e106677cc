//! The database: SQLite embedded, or PostgreSQL; the only crate that names sqlx.
//!
//! One query text serves both: `$1` placeholders, plain types (`BIGINT`, text,
//! bytes; 0 and 1 for truth), `ON CONFLICT`, `RETURNING`, `UPDATE … FROM`. The
//! macros in [`db`] run one text on whichever is open.
//!
//! What holds everywhere here:
//! - A change is one transaction: rows, an audit entry, the node's generation.
//!   The caller nudges the node afterwards; a lost nudge loses nothing.
//! - The database's constraints decide who gets a slot, a name, an address.
//!   Changes of one node take its row in `nodes` first, so they queue instead
//!   of colliding, on several control planes as on one.
//! - Every query for a tenant's rows filters by `scope.tenant()`. Another
//!   tenant's object is [`StoreError::NotFound`].
//! - Private keys, preshared keys and DNS passwords are sealed on the way in
//!   and unsealed on the way out ([`seal`]).
//! - Time is an argument.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod audit;
mod batch;
mod db;
mod device_changes;
mod devices;
mod error;
mod events;
mod migrate;
mod operators;
mod overview;
mod packed;
mod plans;
mod rollup;
#[cfg(test)]
mod scans;
pub mod seal;
mod series;
pub mod session;
mod spec;
mod statistics;
mod tenant_changes;
mod tenants;
mod tickets;
mod url;

pub use audit::AuditEntry;
pub use devices::{DeviceChange, DeviceRecord, DeviceSecret, NewDevice};
pub use error::{Result, StoreError};
pub use events::{Event, NewEvent};
pub use operators::{OperatorId, OperatorRecord};
pub use overview::Overview;
pub use seal::{Purpose, SealError, Sealer};
pub use series::UsageDay;
pub use session::{SessionKey, Sessions};
pub use spec::{SpecChanges, SpecDevice, SpecSnapshot, SpecTenant};
pub use statistics::StatSample;
pub use tenants::{NewTenant, Places, TenantListing, TenantRecord, TenantState};
pub use tickets::{NewTicket, TakenTicket, TicketHolder, TokenHash};
pub use url::DatabaseUrl;

use db::{Db, Either, fetch_optional};
use domain::NodeId;
use std::{sync::Arc, time::Duration};

/// The node every installation has: this machine.
pub const LOCAL_NODE: NodeId = NodeId(1);

/// How long [`Store::health`] waits for an answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// An open database with the key to its sealed columns. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    sealer: Sealer,
    recorder: Arc<tokio::sync::Mutex<statistics::Known>>,
}

/// What [`Store::hold`] gives.
pub struct Held {
    _tx: db::Tx,
}

/// How many rows there are, by table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Tenants.
    pub tenants: i64,
    /// Devices of all tenants.
    pub devices: i64,
    /// Sessions, expired ones too until they are pruned.
    pub sessions: i64,
    /// Tickets, the same.
    pub tickets: i64,
    /// Entries of the audit log.
    pub audit: i64,
}

impl Store {
    /// Opens the database, makes it where it is not there (SQLite: with rights
    /// 0600), brings an older schema up to date, and checks that the sealer's
    /// key is the one its columns were sealed with.
    ///
    /// # Errors
    /// [`StoreError::SchemaNewer`], [`StoreError::WrongKey`],
    /// [`StoreError::Unopenable`] where a file or server cannot be reached.
    pub async fn open(url: &DatabaseUrl, sealer: Sealer) -> Result<Self> {
        let db = Db::open(url).await?;
        Self::prepare(db, sealer).await
    }

    /// A database in memory with a random key, for tests.
    ///
    /// # Errors
    /// Where the operating system gives neither memory nor random bytes.
    pub async fn memory() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(SealError::Random)?;
        Self::prepare(Db::memory().await?, Sealer::from_key(key)).await
    }

    /// Keeps everybody from changing anything until it is dropped: a database
    /// that has stopped, for tests.
    ///
    /// # Errors
    /// What the database said.
    pub async fn hold(&self) -> Result<Held> {
        let mut tx = self.db.begin().await?;
        if let Either::Postgres(c) = tx.on() {
            let sql = "LOCK TABLE nodes, users IN EXCLUSIVE MODE";
            sqlx::query(sql).execute(c).await?;
        }
        Ok(Held { _tx: tx })
    }

    async fn prepare(db: Db, sealer: Sealer) -> Result<Self> {
        migrate::run(&db).await?;
        let store = Self {
            db,
            sealer,
            recorder: Arc::default(),
        };
        store.check_key().await?;
        Ok(store)
    }

    /// Compares the key with the one the database was begun with. A lost key
    /// file would otherwise be replaced silently, and every tunnel would fail
    /// later, one by one.
    async fn check_key(&self) -> Result<()> {
        const NAME: &str = "seal_check";
        const WORD: &[u8] = b"maliknode";
        let fresh = self.sealer.seal(Purpose::Check, NAME, WORD)?;
        let sql =
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        db::execute!(self.db.writer(), sql, NAME, fresh.as_str())?;
        let sql = "SELECT value FROM settings WHERE name = $1";
        let (kept,): (String,) = fetch_optional!(self.db.reader(), _, sql, NAME)?
            .ok_or(StoreError::Corrupt("settings.seal_check".to_owned()))?;
        match self.sealer.open(Purpose::Check, NAME, &kept) {
            Ok(word) if word.as_slice() == WORD => Ok(()),
            _ => Err(StoreError::WrongKey),
        }
    }

    /// Whether the database answers, within 2 s.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`], or what the database said.
    pub async fn health(&self) -> Result<()> {
        let ask = async { fetch_optional!(self.db.reader(), (i32,), "SELECT 1") };
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, ask).await;
        answer.map_err(|_| StoreError::TimedOut)?.map(drop)
    }

    /// How many rows there are of what grows.
    ///
    /// # Errors
    /// What the database said.
    pub async fn counts(&self) -> Result<Counts> {
        let sql = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM peers), \
                   (SELECT COUNT(*) FROM sessions), (SELECT COUNT(*) FROM tickets), \
                   (SELECT COUNT(*) FROM audit_log)";
        let row = fetch_optional!(self.db.reader(), (i64, i64, i64, i64, i64), sql)?;
        let (tenants, devices, sessions, tickets, audit) = row.unwrap_or_default();
        Ok(Counts {
            tenants,
            devices,
            sessions,
            tickets,
            audit,
        })
    }

    /// Closes the connections; waits for what is under way. SQLite folds its
    /// write-ahead log into the file.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// "SQLite" or "PostgreSQL".
    pub fn kind(&self) -> &'static str {
        match self.db.reader() {
            Either::Sqlite(_) => "SQLite",
            Either::Postgres(_) => "PostgreSQL",
        }
    }
}
