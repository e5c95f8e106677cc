//! The database: embedded SQLite or PostgreSQL. No other crate uses sqlx.
//!
//! One query text serves both databases: `$1` placeholders, plain types
//! (`BIGINT`, text, bytes; 0 and 1 as booleans), `ON CONFLICT`, `RETURNING`,
//! `UPDATE … FROM`. The macros in [`db`] run it on the open database.
//!
//! Rules for every module:
//! - A change is one transaction: its rows, an audit entry and the node's new
//!   generation, which it returns ([`Committed`]). The caller notifies the node
//!   afterwards; nothing depends on that notification.
//! - The constraints of the database decide who gets a slot, a name or an
//!   address. A change locks its node's row in `nodes` first, so that changes of
//!   one node queue instead of colliding, even from several control planes.
//! - Every query for the rows of a tenant filters by `scope.tenant()`. Another
//!   tenant's object is [`StoreError::NotFound`].
//! - Private keys, preshared keys and DNS passwords are sealed before they are
//!   written and opened after they are read ([`seal`]).
//! - The current time is an argument, except of what several control planes compare
//!   (leases, attempts): that is by the database's clock.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod account;
mod api;
mod attempts;
mod audit;
mod committed;
mod control_planes;
mod copy;
mod counts;
mod db;
mod devices;
mod events;
mod holder;
mod ipv6;
mod leases;
mod looks;
mod mail;
mod moves;
mod nodes;
mod operators;
mod overview;
mod plans;
#[cfg(test)]
mod query_plan_tests;
mod quota;
mod reseal;
mod sealed_columns;
mod sessions;
mod sign_up;
mod spec;
mod statistics;
mod tenants;
mod tickets;

pub use account::{
    AccountRecord, ChallengePurpose, ChallengeRecord, ClientKind, FactorKind, FactorRecord,
    KnownClients, NewChallenge, NewFactor, NewPasskey, NewPendingSignIn, NewResetLink,
    PasswordChange, PasswordProof, PendingSignInRecord, ResetLinkRecord, SessionListing,
    SessionRef,
};
pub use api::{
    AnswerKey, Claim, CredentialKind, CredentialRecord, DatabaseState, NewCredential, Revision,
    Rotation, SigningKeyRecord,
};
pub use attempts::{AttemptDelay, AttemptLimit, Attempted, CountedAttempt};
pub use audit::{Actor, AuditEntry, AuditFilter};
pub use committed::Committed;
pub use control_planes::ControlPlaneRecord;
pub use copy::{
    CopyCheck, CopyError, CopyProgress, CopyReport, CopyStage, SealedValues, TargetPlace,
    check_copy, copy_database,
};
pub use counts::InstallationCounts;
pub use db::{
    error::{Result, StoreError},
    meter::{DatabaseFigures, database_figures},
    url::DatabaseUrl,
};
pub use devices::{
    DeviceChange, DeviceRecord, DeviceSecret, DeviceSettings, NewDevice, NewDeviceKeys,
};
pub use events::{Event, NewEvent};
pub use holder::{OperatorId, TicketHolder};
pub use leases::LeaseEpoch;
pub use looks::{LookRecord, NewLook};
pub use mail::{
    ClaimedMail, MailCounts, MailSettings, MailTry, NewMail, NewMailAddress, PendingMailAddress,
};
pub use moves::{Evacuation, MoveRecord, NewMove, Switch};
pub use nodes::{
    AuthorityPem, CertificateRecord, EndpointHost, JoiningNode, LOCAL_NODE, NameCounts,
    NamedTenant, NamingNode, NamingPlace, NewJoinToken, NodeChange, NodeRecord, NodeTerms,
    PendingName,
};
pub use operators::{
    ChangedBy, InvitationRecord, NewOperatorLink, OperatorLinkRecord, OperatorRecord,
};
pub use overview::Overview;
pub use plans::ChangedPlan;
pub use protocol::SpecChanges;
pub use quota::{PeriodUse, QuotaChange, QuotaUse};
pub use reseal::Resealed;
pub use sessions::{ClientDescription, SessionDetails, SessionKey, Sessions};
pub use sign_up::MAX_RESERVED_NAMES;
pub use statistics::{FirstHandshakes, Recorded, StatSample, WaitingDevice};
pub use tenants::{
    FirstMailAddress, NewTenant, Placement, TenantChange, TenantListing, TenantRecord, TenantState,
    TenantTerms,
};
pub use tickets::{NewTicket, RedeemedTicket, TokenHash};

use db::{Db, Either, Tx, execute, fetch_optional, migrate};
use seal::{Purpose, SealError, Sealer};
use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

/// How long [`Store::health`] waits for an answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// An open database and the key of its sealed columns. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    sealer: Sealer,
    peer_index: Arc<Mutex<statistics::PeerIndex>>,
    /// How many attempts were counted, which decides when old ones are removed.
    attempts_counted: Arc<AtomicU64>,
    /// The prefix of IPv6 inside tunnels, once it was read.
    ipv6_prefix: Arc<Mutex<Option<domain::Ipv6Prefix>>>,
}

/// Blocks writers until it is dropped; see [`Store::lock_writes_for_test`].
pub struct WriteLock {
    _tx: Tx,
}

/// The number of rows in each table that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCounts {
    pub tenants: i64,
    pub devices: i64,
    /// Sessions, including expired ones that are not pruned yet.
    pub sessions: i64,
    /// Tickets, including expired ones that are not pruned yet.
    pub tickets: i64,
    /// Entries of the audit log.
    pub audit: i64,
}

impl Store {
    /// Opens the database. Creates it if it does not exist (SQLite: with mode
    /// 0600), applies missing migrations, and checks that the sealer has the key
    /// with which the columns were sealed.
    ///
    /// # Errors
    /// Returns [`StoreError::SchemaNewer`], [`StoreError::WrongKey`], or
    /// [`StoreError::Unopenable`] if the file or server cannot be reached.
    pub async fn open(url: &DatabaseUrl, sealer: Sealer) -> Result<Self> {
        let db = Db::open(url).await?;
        Self::prepare(db, sealer).await
    }

    /// Opens a database in memory with a random key, for tests.
    ///
    /// # Errors
    /// Fails if the operating system provides no memory or no random bytes.
    pub async fn memory() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(SealError::Random)?;
        Self::prepare(Db::memory().await?, Sealer::from_key(key)).await
    }

    /// Blocks every change until the lock is dropped. Tests simulate a stalled
    /// database with it.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn lock_writes_for_test(&self) -> Result<WriteLock> {
        let mut tx = self.db.begin().await?;
        if let Either::Postgres(c) = tx.connection() {
            let sql = "LOCK TABLE nodes, users IN EXCLUSIVE MODE";
            sqlx::query(sql).execute(c).await?;
        }
        Ok(WriteLock { _tx: tx })
    }

    async fn prepare(db: Db, sealer: Sealer) -> Result<Self> {
        migrate::run(&db).await?;
        let store = Self {
            db,
            sealer,
            peer_index: Arc::default(),
            attempts_counted: Arc::default(),
            ipv6_prefix: Arc::default(),
        };
        store.check_key().await?;
        Ok(store)
    }

    /// Compares the key with the key the database was created with. Without
    /// this check a lost key file would be replaced silently, and every tunnel
    /// would fail later, one by one.
    async fn check_key(&self) -> Result<()> {
        const NAME: &str = "seal_check";
        const WORD: &[u8] = b"maliknode";
        let sealed = self.sealer.seal(Purpose::Check, NAME, WORD)?;
        let sql =
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        execute!(self.db.writer(), sql, NAME, sealed.as_str())?;
        let sql = "SELECT value FROM settings WHERE name = $1";
        let (stored,): (String,) = fetch_optional!(self.db.reader(), _, sql, NAME)?
            .ok_or(StoreError::Corrupt("settings.seal_check".to_owned()))?;
        match self.sealer.open(Purpose::Check, NAME, &stored) {
            Ok(word) if word.as_slice() == WORD => Ok(()),
            _ => Err(StoreError::WrongKey),
        }
    }

    /// Checks that the database answers within 2 s.
    ///
    /// # Errors
    /// Returns [`StoreError::TimedOut`] or the database's error.
    pub async fn health(&self) -> Result<()> {
        let query = async { fetch_optional!(self.db.reader(), (i32,), "SELECT 1") };
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, query).await;
        answer.map_err(|_| StoreError::TimedOut)?.map(drop)
    }

    /// Counts the rows of the tables that grow.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn row_counts(&self) -> Result<RowCounts> {
        let sql = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM peers), \
                   (SELECT COUNT(*) FROM sessions), (SELECT COUNT(*) FROM tickets), \
                   (SELECT COUNT(*) FROM audit_log)";
        let row = fetch_optional!(self.db.reader(), (i64, i64, i64, i64, i64), sql)?;
        let (tenants, devices, sessions, tickets, audit) = row.unwrap_or_default();
        Ok(RowCounts {
            tenants,
            devices,
            sessions,
            tickets,
            audit,
        })
    }

    /// Closes the connections after running statements have finished. SQLite
    /// merges its write-ahead log into the file.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Returns whether the database is SQLite, which processes on one machine alone can
    /// use.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.db.reader(), Either::Sqlite(_))
    }

    /// Returns "SQLite" or "PostgreSQL".
    pub fn kind(&self) -> &'static str {
        match self.db.reader() {
            Either::Sqlite(_) => "SQLite",
            Either::Postgres(_) => "PostgreSQL",
        }
    }
}
