//! What access to the API is granted by: sessions with their refresh tokens, and API tokens.

use crate::{
    ClientDescription, OperatorId, Result, Store, StoreError, TenantState, TicketHolder, TokenHash,
    audit::{self, AuditEntry},
    db::{Either, execute, fetch_all, fetch_optional, unsigned},
    operators::role_of,
};
use domain::{Access, NodeId, OperatorRole, Secret, TenantId, Timestamp};

/// The most sessions of a holder: a script that signs in each minute and never signs out
/// does not fill the disk. The newest stay.
const MAX_SESSIONS: i64 = 50;
/// The most API tokens of a holder.
const MAX_TOKENS: u32 = 50;

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A session: it began with a password and goes on with refresh tokens.
    Session,
    /// An API token.
    Token,
}

impl CredentialKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
        }
    }
}

/// A credential to create.
#[derive(Clone, Debug)]
pub struct NewCredential<'a> {
    pub id: &'a str,
    pub kind: CredentialKind,
    pub holder: TicketHolder,
    /// What its holder calls it.
    pub name: &'a str,
    pub secret: &'a TokenHash,
    pub access: Access,
    /// A value that changes with the holder's password.
    pub proof: &'a str,
    /// The client that it is created by.
    pub client: &'a ClientDescription,
    /// Whether the holder was proved to be present just now.
    pub is_present: bool,
    pub now: Timestamp,
    pub expires: Timestamp,
    pub entry: AuditEntry,
}

/// A stored credential with what its holder is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    pub id: String,
    pub kind: CredentialKind,
    pub holder: TicketHolder,
    pub holder_name: String,
    pub holder_password_hash: Secret,
    /// An operator's role.
    pub holder_role: Option<OperatorRole>,
    /// Whether a second factor of an operator holds.
    pub holder_has_factor: bool,
    /// Whether the operator suspended the tenant.
    pub is_suspended: bool,
    /// Whether the tenant sleeps, because no device of it has connected.
    pub is_asleep: bool,
    /// What of the tenant was changed last; an operator has none.
    pub revision: Option<Revision>,
    pub name: String,
    pub secret: TokenHash,
    pub access: Access,
    /// The value of the holder's password when it was created.
    pub proof: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// What of a tenant was changed last: each change of what its node should run has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    pub node: NodeId,
    /// The generation of that node which contains the change.
    pub generation: u64,
}

/// Which transactions had been committed when something was read: where two reads had the same
/// state, nothing that is stored differed. PostgreSQL tells it
/// (postgresql.org/docs/current/functions-info.html, `pg_current_snapshot`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseState(String);

impl DatabaseState {
    /// Returns the state that the database calls so.
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    Rotated,
    /// It was used before, and its session is over.
    Replayed,
    /// There is no such session.
    Unknown,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    user_id: Option<i64>,
    operator_id: Option<i64>,
    holder_name: String,
    holder_password_hash: String,
    role: Option<String>,
    factors: i64,
    state: Option<String>,
    asleep_since: Option<i64>,
    node_id: Option<i64>,
    generation: Option<i64>,
    name: String,
    secret_hash: String,
    access: String,
    proof: String,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct RowWithState {
    #[sqlx(flatten)]
    row: Row,
    snapshot: Option<String>,
}

macro_rules! select {
    ($condition:literal) => {
        select!("NULL", $condition)
    };
    ($snapshot:literal, $condition:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.user_id, c.operator_id, \
             COALESCE(u.username, o.username) AS holder_name, \
             COALESCE(u.password_hash, o.password_hash) AS holder_password_hash, o.role, \
             (SELECT COUNT(*) FROM factors f WHERE f.operator_id = c.operator_id \
              AND f.confirmed_at IS NOT NULL) AS factors, u.state, \
             u.asleep_since, u.node_id, u.generation, \
             c.name, c.secret_hash, c.access, c.proof, c.created_at, c.expires_at, c.used_at, \
             CAST(",
            $snapshot,
            " AS TEXT) AS snapshot FROM api_credentials c LEFT JOIN users u ON u.id = c.user_id \
             LEFT JOIN operators o ON o.id = c.operator_id WHERE ",
            $condition
        )
    };
}

pub(crate) const ONE: &str = select!("c.id = $1 AND c.expires_at > $2");
/// The same of PostgreSQL, with the snapshot that it is read in.
const ONE_OF_POSTGRES: &str = select!("pg_current_snapshot()", "c.id = $1 AND c.expires_at > $2");
pub(crate) const TOKENS_OF_TENANT: &str =
    select!("c.user_id = $1 AND c.kind = 'token' ORDER BY c.created_at, c.id");
const TOKENS_OF_OPERATOR: &str =
    select!("c.operator_id = $1 AND c.kind = 'token' ORDER BY c.created_at, c.id");

impl TryFrom<Row> for CredentialRecord {
    type Error = StoreError;
    fn try_from(r: Row) -> Result<Self> {
        let corrupt = || StoreError::Corrupt(format!("api_credentials of {}", r.id));
        Ok(Self {
            kind: match r.kind.as_str() {
                "session" => CredentialKind::Session,
                "token" => CredentialKind::Token,
                _ => return Err(corrupt()),
            },
            holder: match (r.user_id, r.operator_id) {
                (Some(id), None) => TicketHolder::Tenant(TenantId(id)),
                (None, Some(id)) => TicketHolder::Operator(OperatorId(id)),
                _ => return Err(corrupt()),
            },
            access: Access::parse(&r.access).ok_or_else(corrupt)?,
            holder_role: match &r.role {
                Some(role) => Some(role_of(role, &r.holder_name)?),
                None => None,
            },
            holder_has_factor: r.factors > 0,
            is_asleep: r.asleep_since.is_some(),
            revision: r
                .node_id
                .zip(r.generation)
                .map(|(node, generation)| Revision {
                    node: NodeId(node),
                    generation: unsigned(generation),
                }),
            is_suspended: r.state.as_deref() == Some(TenantState::Suspended.as_str()),
            id: r.id,
            holder_name: r.holder_name,
            holder_password_hash: Secret::new(r.holder_password_hash),
            name: r.name,
            secret: TokenHash::from_row(r.secret_hash),
            proof: r.proof,
            created_at: Timestamp(r.created_at),
            expires_at: Timestamp(r.expires_at),
            used_at: r.used_at.map(Timestamp),
        })
    }
}

impl Store {
    /// Creates a credential. Of a holder's sessions the newest stay.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted, and
    /// [`StoreError::TokenLimit`] if it has too many API tokens.
    pub async fn create_credential(&self, new: NewCredential<'_>) -> Result<()> {
        let (user, operator) = new.holder.columns();
        let kind = new.kind.as_str();
        let mut tx = self.db.begin().await?;
        let (limit, excess) = match new.kind {
            CredentialKind::Session => (None, MAX_SESSIONS - 1),
            CredentialKind::Token => (Some(MAX_TOKENS), i64::from(MAX_TOKENS)),
        };
        let sql = "DELETE FROM api_credentials WHERE kind = $3 \
                   AND (user_id = $1 OR operator_id = $2) \
                   AND (expires_at <= $4 OR id NOT IN (SELECT id FROM api_credentials \
                     WHERE kind = $3 AND (user_id = $1 OR operator_id = $2) \
                     ORDER BY created_at DESC, id LIMIT $5))";
        execute!(
            tx.connection(),
            sql,
            user,
            operator,
            kind,
            new.now.0,
            excess
        )?;
        if let Some(limit) = limit {
            let sql = "SELECT COUNT(*) FROM api_credentials WHERE kind = $3 \
                       AND (user_id = $1 OR operator_id = $2)";
            let count = fetch_optional!(tx.connection(), (i64,), sql, user, operator, kind)?;
            if count.is_some_and(|(n,)| n >= i64::from(limit)) {
                return Err(StoreError::TokenLimit { allowed: limit });
            }
        }
        let sql = "INSERT INTO api_credentials (id, kind, user_id, operator_id, name, \
                   secret_hash, access, proof, created_at, expires_at, browser, system, address, \
                   present_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.id,
            kind,
            user,
            operator,
            new.name,
            new.secret.as_str(),
            new.access.as_str(),
            new.proof,
            new.now.0,
            new.expires.0,
            new.client.browser.as_str(),
            new.client.system.as_str(),
            new.client.address.as_str(),
            if new.is_present { new.now.0 } else { 0 },
        );
        match inserted {
            Ok(_) => {}
            // The holder was deleted meanwhile.
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
        audit::write(&mut tx, new.entry).await?;
        tx.commit().await
    }

    /// Finds a credential that has not expired, with its holder, and the state of the database;
    /// SQLite tells none.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn credential(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<(CredentialRecord, Option<DatabaseState>)>> {
        let sql = match self.db.reader() {
            Either::Sqlite(_) => ONE,
            Either::Postgres(_) => ONE_OF_POSTGRES,
        };
        let found = fetch_optional!(self.db.reader(), RowWithState, sql, id, now.0)?;
        let Some(RowWithState { row, snapshot }) = found else {
            return Ok(None);
        };
        Ok(Some((row.try_into()?, snapshot.map(DatabaseState::new))))
    }

    /// Returns a number that is another one after each write of this process. A write of
    /// another process does not change it.
    pub fn writes(&self) -> u64 {
        self.db.writes().get()
    }

    /// Waits until this process has written since [`writes`](Self::writes) returned `known`.
    pub async fn written_since(&self, known: u64) {
        self.db.writes().other_than(known).await;
    }

    /// Lists a holder's API tokens, oldest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn api_tokens(&self, holder: TicketHolder) -> Result<Vec<CredentialRecord>> {
        let (sql, id) = match holder {
            TicketHolder::Tenant(id) => (TOKENS_OF_TENANT, id.0),
            TicketHolder::Operator(id) => (TOKENS_OF_OPERATOR, id.0),
        };
        let rows = fetch_all!(self.db.reader(), Row, sql, id)?;
        rows.into_iter().map(CredentialRecord::try_from).collect()
    }

    /// Replaces a session's refresh token. One that was replaced before ends the session:
    /// two clients have it.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn rotate_refresh_token(
        &self,
        id: &str,
        old: &TokenHash,
        new: &TokenHash,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Rotation> {
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE api_credentials SET secret_hash = $3, used_at = $4, expires_at = $5 \
                   WHERE id = $1 AND kind = 'session' AND secret_hash = $2 AND expires_at > $4";
        let (old, new) = (old.as_str(), new.as_str());
        let rotated = execute!(tx.connection(), sql, id, old, new, now.0, expires.0)?;
        let rotation = if rotated > 0 {
            Rotation::Rotated
        } else {
            let sql = "DELETE FROM api_credentials WHERE id = $1 AND kind = 'session'";
            match execute!(tx.connection(), sql, id)? {
                0 => Rotation::Unknown,
                _ => Rotation::Replayed,
            }
        };
        tx.commit().await?;
        Ok(rotation)
    }

    /// Notes that an API token was used, unless it was noted after `noted_before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_token_use(
        &self,
        id: &str,
        now: Timestamp,
        noted_before: Timestamp,
    ) -> Result<()> {
        let sql = "UPDATE api_credentials SET used_at = $2 WHERE id = $1 AND kind = 'token' \
                   AND (used_at IS NULL OR used_at <= $3)";
        execute!(self.db.writer(), sql, id, now.0, noted_before.0).map(drop)
    }

    /// Deletes one of a holder's credentials.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], also for another holder's.
    pub async fn delete_credential(
        &self,
        holder: TicketHolder,
        kind: CredentialKind,
        id: &str,
        entry: impl FnOnce(&str) -> AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM api_credentials WHERE id = $1 AND kind = $4 \
                   AND (user_id = $2 OR operator_id = $3) RETURNING name";
        let kind = kind.as_str();
        let row = fetch_optional!(tx.connection(), (String,), sql, id, user, operator, kind)?;
        let (name,) = row.ok_or(StoreError::NotFound)?;
        audit::write(&mut tx, entry(&name)).await?;
        tx.commit().await
    }

    /// Removes the credentials that expired before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_credentials(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM api_credentials WHERE expires_at <= $1";
        execute!(self.db.writer(), sql, until.0)
    }
}
