//! One-time tickets, which transfer a sign-in from one host to another. Only the
//! redirect contains the token; the database stores its hash.

use crate::{
    AuditEntry, Result, SessionKey, Store, StoreError, TicketHolder, audit,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Secret, Timestamp};
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
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    /// The value of the holder's password.
    pub proof: &'a str,
    /// Whether the session lasts.
    pub stays: bool,
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
    /// The value that the holder's password had.
    pub proof: String,
    /// Whether the session lasts.
    pub stays: bool,
}

impl Store {
    /// Issues a ticket. Removes the holder's expired tickets and all but the
    /// newest of the others.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted; nothing is
    /// written then.
    pub async fn create_ticket(&self, new: NewTicket<'_>) -> Result<()> {
        let (user, operator) = new.holder.columns();
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
                   expires, proof, stays) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.token.0.as_str(),
            user,
            operator,
            new.audience,
            new.parent.map(SessionKey::as_str),
            new.expires.0,
            new.proof,
            i64::from(new.stays)
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

    /// Replaces the token of a ticket that is valid, so that it is redeemed with the other
    /// one only. Returns whether there was such a ticket.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn replace_ticket_token(
        &self,
        token: &TokenHash,
        other: &TokenHash,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = "UPDATE tickets SET token_hash = $2 WHERE token_hash = $1 AND expires > $3";
        let (token, other) = (token.0.as_str(), other.0.as_str());
        let replaced = execute!(self.db.writer(), sql, token, other, now.0)?;
        Ok(replaced == 1)
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
                   RETURNING user_id, operator_id, parent, proof, stays";
        type Row = (Option<i64>, Option<i64>, Option<String>, String, i64);
        let row = fetch_optional!(
            self.db.writer(),
            Row,
            sql,
            token.0.as_str(),
            audience,
            now.0
        )?;
        Ok(row.and_then(|(user, operator, parent, proof, stays)| {
            Some(RedeemedTicket {
                holder: TicketHolder::of_columns(user, operator)?,
                parent: parent.map(SessionKey::from_row),
                proof,
                stays: stays != 0,
            })
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
