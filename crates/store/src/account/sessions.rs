//! The sessions of an account: browsers' and the API's.

use crate::{
    Result, SessionKey, Store, StoreError, TicketHolder,
    audit::{self, AuditEntry},
    db::{execute, fetch_all, fetch_optional},
};
use domain::{Timestamp, view::SessionKind};

/// Which session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRef {
    /// A browser's.
    Browser(SessionKey),
    /// A credential of the API: a session or an API token.
    Api(String),
}

impl SessionRef {
    /// Returns the id in `sessions` and the one in `api_credentials`; one of them is empty.
    pub(super) fn ids(&self) -> (&str, &str) {
        match self {
            Self::Browser(key) => (key.as_str(), ""),
            Self::Api(id) => ("", id.as_str()),
        }
    }
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionListing {
    pub session: SessionRef,
    pub kind: SessionKind,
    pub browser: String,
    pub system: String,
    pub address: String,
    pub begun: Timestamp,
    pub used: Timestamp,
    pub expires: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    audience: String,
    browser: String,
    system: String,
    address: String,
    begun: i64,
    used_at: i64,
    expires: i64,
}

macro_rules! of_holder {
    ($column:literal) => {
        concat!(
            "SELECT id, audience, browser, system, address, begun, used_at, expires \
             FROM sessions WHERE ",
            $column,
            " = $1 AND expires > $2"
        )
    };
}

macro_rules! of_api {
    ($column:literal) => {
        concat!(
            "SELECT id, 'api' AS audience, browser, system, address, created_at AS begun, \
             COALESCE(used_at, created_at) AS used_at, expires_at AS expires \
             FROM api_credentials WHERE ",
            $column,
            " = $1 AND kind = 'session' AND expires_at > $2"
        )
    };
}

pub(crate) const OF_TENANT: &str = of_holder!("user_id");

impl Store {
    /// Lists an account's sessions, those used last first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn sessions_of(
        &self,
        holder: TicketHolder,
        now: Timestamp,
    ) -> Result<Vec<SessionListing>> {
        let (browsers, api, id) = match holder {
            TicketHolder::Tenant(id) => (OF_TENANT, of_api!("user_id"), id.0),
            TicketHolder::Operator(id) => (of_holder!("operator_id"), of_api!("operator_id"), id.0),
        };
        let mut rows = fetch_all!(self.db.reader(), Row, browsers, id, now.0)?;
        rows.extend(fetch_all!(self.db.reader(), Row, api, id, now.0)?);
        rows.sort_by(|a, b| (b.used_at, &b.id).cmp(&(a.used_at, &a.id)));
        let listing = |r: Row| SessionListing {
            kind: match r.audience.as_str() {
                "api" => SessionKind::Api,
                "operator" => SessionKind::Operator,
                "dns" => SessionKind::Dns,
                _ => SessionKind::Dashboard,
            },
            session: match r.audience.as_str() {
                "api" => SessionRef::Api(r.id),
                _ => SessionRef::Browser(SessionKey::from_row(r.id)),
            },
            browser: r.browser,
            system: r.system,
            address: r.address,
            begun: Timestamp(r.begun),
            used: Timestamp(r.used_at),
            expires: Timestamp(r.expires),
        };
        Ok(rows.into_iter().map(listing).collect())
    }

    /// Ends one of an account's sessions, with those that end with it.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], also for another account's.
    pub async fn end_session(
        &self,
        holder: TicketHolder,
        session: &SessionRef,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = match session {
            SessionRef::Browser(_) => {
                "DELETE FROM sessions WHERE (id = $1 OR parent = $1) \
                 AND (user_id = $2 OR operator_id = $3)"
            }
            SessionRef::Api(_) => {
                "DELETE FROM api_credentials WHERE id = $1 AND kind = 'session' \
                 AND (user_id = $2 OR operator_id = $3)"
            }
        };
        let (browser, api) = session.ids();
        let id = if api.is_empty() { browser } else { api };
        if execute!(tx.connection(), sql, id, user, operator)? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Ends an account's sessions but for one and those that end with it. Returns how many
    /// there were. Tickets and sign-ins that wait end too; API tokens stay.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn end_other_sessions(
        &self,
        holder: TicketHolder,
        but: &SessionRef,
        entry: AuditEntry,
    ) -> Result<u64> {
        let (user, operator) = holder.columns();
        let (session, credential) = but.ids();
        let mut tx = self.db.begin().await?;
        for sql in [
            "DELETE FROM tickets WHERE user_id = $1 OR operator_id = $2",
            "DELETE FROM pending_sign_ins WHERE user_id = $1 OR operator_id = $2",
        ] {
            execute!(tx.connection(), sql, user, operator)?;
        }
        let sql = "DELETE FROM sessions WHERE (user_id = $1 OR operator_id = $2) \
                   AND id <> $3 AND (parent IS NULL OR parent <> $3)";
        let mut ended = execute!(tx.connection(), sql, user, operator, session)?;
        let sql = "DELETE FROM api_credentials WHERE (user_id = $1 OR operator_id = $2) \
                   AND kind = 'session' AND id <> $3";
        ended += execute!(tx.connection(), sql, user, operator, credential)?;
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Returns when the holder of a session was last proved to be present; `None` without such
    /// a session of the holder.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn present_at(
        &self,
        holder: TicketHolder,
        session: &SessionRef,
    ) -> Result<Option<Timestamp>> {
        let (user, operator) = holder.columns();
        let (sql, id) = match session {
            SessionRef::Browser(key) => (
                "SELECT present_at FROM sessions WHERE id = $1 \
                 AND (user_id = $2 OR operator_id = $3)",
                key.as_str(),
            ),
            SessionRef::Api(id) => (
                "SELECT present_at FROM api_credentials WHERE id = $1 \
                 AND (user_id = $2 OR operator_id = $3)",
                id.as_str(),
            ),
        };
        let row = fetch_optional!(self.db.reader(), (i64,), sql, id, user, operator)?;
        Ok(row.map(|(at,)| Timestamp(at)))
    }

    /// Notes that the holder of a session is present.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] without such a session of the holder.
    pub async fn note_presence(
        &self,
        holder: TicketHolder,
        session: &SessionRef,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let (sql, id) = match session {
            SessionRef::Browser(key) => (
                "UPDATE sessions SET present_at = $4 WHERE id = $1 \
                 AND (user_id = $2 OR operator_id = $3)",
                key.as_str(),
            ),
            SessionRef::Api(id) => (
                "UPDATE api_credentials SET present_at = $4 WHERE id = $1 \
                 AND (user_id = $2 OR operator_id = $3)",
                id.as_str(),
            ),
        };
        let mut tx = self.db.begin().await?;
        let at = entry.at.0;
        if execute!(tx.connection(), sql, id, user, operator, at)? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }
}
