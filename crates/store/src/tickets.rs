//! One-time tickets: they carry a sign-in from one host to another. The token
//! itself is in the redirect only; the database knows its hash.

use crate::{
    AuditEntry, OperatorId, Result, SessionKey, Store, StoreError, audit,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Secret, TenantId, Timestamp};
use sha2::{Digest, Sha256};

/// Tickets of one holder that are good at the same time: a person's open tabs.
/// Older ones go when a new one is issued, so that asking for tickets over and
/// over fills no disk.
const KEPT: i64 = 10;

/// The SHA-256 of a ticket's token. A plain hash is enough: tokens are random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash(String);

impl TokenHash {
    /// Hashes a token.
    pub fn of(token: &Secret) -> Self {
        Self(STANDARD.encode(Sha256::digest(token.expose())))
    }
}

/// Whom a ticket signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketHolder {
    /// A tenant.
    Tenant(TenantId),
    /// An operator.
    Operator(OperatorId),
}

/// A ticket to be issued.
#[derive(Clone, Debug)]
pub struct NewTicket<'a> {
    /// Its token's hash.
    pub token: &'a TokenHash,
    /// Whom it signs in.
    pub holder: TicketHolder,
    /// For which kind of host.
    pub audience: &'a str,
    /// The session it came from, where what it makes ends with that one.
    pub parent: Option<&'a SessionKey>,
    /// Now.
    pub now: Timestamp,
    /// Good until then.
    pub expires: Timestamp,
    /// What is written down with it: in the same transaction, so that nobody
    /// is said to have come in who was given nothing.
    pub entry: Option<AuditEntry>,
}

/// A ticket that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenTicket {
    /// Whom it signs in.
    pub holder: TicketHolder,
    /// The session it came from.
    pub parent: Option<SessionKey>,
}

impl Store {
    /// Issues a ticket. The holder's expired tickets go, and all but the
    /// newest of the others.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the holder is gone, with nothing written.
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
        execute!(tx.on(), sql, user, operator, new.now.0, KEPT - 1)?;
        let sql = "INSERT INTO tickets (token_hash, user_id, operator_id, audience, parent, \
                   expires) VALUES ($1, $2, $3, $4, $5, $6)";
        let made = execute!(
            tx.on(),
            sql,
            new.token.0.as_str(),
            user,
            operator,
            new.audience,
            new.parent.map(SessionKey::as_str),
            new.expires.0
        );
        match made {
            Ok(_) => {}
            // Somebody deleted them since they were found.
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
        if let Some(entry) = new.entry {
            audit::write(&mut tx, entry).await?;
        }
        tx.commit().await
    }

    /// Takes a ticket: whoever comes second, late or to another host gets `None`.
    ///
    /// # Errors
    /// What the database said.
    pub async fn redeem_ticket(
        &self,
        token: &TokenHash,
        audience: &str,
        now: Timestamp,
    ) -> Result<Option<TakenTicket>> {
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
                _ => return None, // a CHECK of the table
            };
            let parent = parent.map(SessionKey::from_row);
            Some(TakenTicket { holder, parent })
        }))
    }

    /// Removes expired tickets. Returns how many went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune_tickets(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM tickets WHERE expires <= $1";
        execute!(self.db.writer(), sql, now.0)
    }
}
