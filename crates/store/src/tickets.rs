//! One-time tickets, which transfer a sign-in from one host to another. Only the
//! redirect contains the token; the database stores its hash.

use crate::{
    AuditEntry, OperatorId, Result, SessionKey, Store, StoreError, audit,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Secret, TenantId, Timestamp};
use sha2::{Digest, Sha256};

/// The number of valid tickets per holder, e.g. for several open tabs. A new
/// ticket removes older ones, so that repeated requests do not fill the disk.
const MAX_PER_HOLDER: i64 = 10;

/// The SHA-256 hash of a random token. It needs no salt, because tokens are
/// random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash(String);

impl TokenHash {
    /// Hashes a token.
    pub fn of(token: &Secret) -> Self {
        Self(STANDARD.encode(Sha256::digest(token.expose())))
    }

    pub(crate) fn from_row(text: String) -> Self {
        Self(text)
    }

    /// Returns the hash as it is stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The account that a ticket signs in, or that a credential of the API acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketHolder {
    Tenant(TenantId),
    Operator(OperatorId),
}

/// A ticket to issue.
#[derive(Clone, Debug)]
pub struct NewTicket<'a> {
    pub token: &'a TokenHash,
    pub holder: TicketHolder,
    /// The kind of host that accepts the ticket.
    pub audience: &'a str,
    /// The session it was issued from, if the new session ends with that one.
    pub parent: Option<&'a SessionKey>,
    pub now: Timestamp,
    pub expires: Timestamp,
    /// An audit entry for the same transaction, so that the log records no sign-in
    /// without a ticket.
    pub entry: Option<AuditEntry>,
}

/// A ticket that was redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeemedTicket {
    pub holder: TicketHolder,
    /// The session it was issued from.
    pub parent: Option<SessionKey>,
}

impl Store {
    /// Issues a ticket. Removes the holder's expired tickets and all but the
    /// newest of the others.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted; nothing is
    /// written then.
    pub async fn create_ticket(&self, new: NewTicket<'_>) -> Result<()> {
        let (user, operator) = match new.holder {
            TicketHolder::Tenant(id) => (Some(id.0), None),
            TicketHolder::Operator(id) => (None, Some(id.0)),
        };
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM tickets WHERE (user_id = $1 OR operator_id = $2) \
                   AND (expires <= $3 OR token_hash NOT IN \
                   (SELECT token_hash FROM tickets WHERE user_id = $1 OR operator_id = $2 \
                    ORDER BY expires DESC, token_hash LIMIT $4))";
        execute!(
            tx.connection(),
            sql,
            user,
            operator,
            new.now.0,
            MAX_PER_HOLDER - 1
        )?;
        let sql = "INSERT INTO tickets (token_hash, user_id, operator_id, audience, parent, \
                   expires) VALUES ($1, $2, $3, $4, $5, $6)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.token.0.as_str(),
            user,
            operator,
            new.audience,
            new.parent.map(SessionKey::as_str),
            new.expires.0
        );
        match inserted {
            Ok(_) => {}
            // The holder was deleted meanwhile.
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
        if let Some(entry) = new.entry {
            audit::write(&mut tx, entry).await?;
        }
        tx.commit().await
    }

    /// Redeems a ticket. Returns `None` if it was redeemed before, has expired or
    /// is for another audience.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn redeem_ticket(
        &self,
        token: &TokenHash,
        audience: &str,
        now: Timestamp,
    ) -> Result<Option<RedeemedTicket>> {
        let sql = "DELETE FROM tickets WHERE token_hash = $1 AND audience = $2 AND expires > $3 \
                   RETURNING user_id, operator_id, parent";
        let row = fetch_optional!(
            self.db.writer(),
            (Option<i64>, Option<i64>, Option<String>),
            sql,
            token.0.as_str(),
            audience,
            now.0
        )?;
        Ok(row.and_then(|(user, operator, parent)| {
            let holder = match (user, operator) {
                (Some(id), None) => TicketHolder::Tenant(TenantId(id)),
                (None, Some(id)) => TicketHolder::Operator(OperatorId(id)),
                _ => return None, // excluded by a CHECK of the table
            };
            let parent = parent.map(SessionKey::from_row);
            Some(RedeemedTicket { holder, parent })
        }))
    }

    /// Removes expired tickets. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_tickets(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM tickets WHERE expires <= $1";
        execute!(self.db.writer(), sql, now.0)
    }
}
