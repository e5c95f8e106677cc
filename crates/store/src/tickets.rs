//! One-time tickets: they carry a sign-in from one host to another. The token
//! itself is in the redirect only; the database knows its hash.

use crate::{
    OperatorId, Result, Store,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Secret, TenantId, Timestamp};
use sha2::{Digest, Sha256};

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

impl Store {
    /// Issues a ticket for one host (`audience`), until `expires`.
    ///
    /// # Errors
    /// What the database said.
    pub async fn create_ticket(
        &self,
        token: &TokenHash,
        holder: TicketHolder,
        audience: &str,
        expires: Timestamp,
    ) -> Result<()> {
        let (user, operator) = match holder {
            TicketHolder::Tenant(id) => (Some(id.0), None),
            TicketHolder::Operator(id) => (None, Some(id.0)),
        };
        let sql = "INSERT INTO tickets (token_hash, user_id, operator_id, audience, expires) \
                   VALUES ($1, $2, $3, $4, $5)";
        execute!(
            self.db.writer(),
            sql,
            token.0.as_str(),
            user,
            operator,
            audience,
            expires.0
        )
        .map(drop)
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
    ) -> Result<Option<TicketHolder>> {
        let sql = "DELETE FROM tickets WHERE token_hash = $1 AND audience = $2 AND expires > $3 \
                   RETURNING user_id, operator_id";
        let row = fetch_optional!(
            self.db.writer(),
            (Option<i64>, Option<i64>),
            sql,
            token.0.as_str(),
            audience,
            now.0
        )?;
        Ok(row.and_then(|(user, operator)| match (user, operator) {
            (Some(id), None) => Some(TicketHolder::Tenant(TenantId(id))),
            (None, Some(id)) => Some(TicketHolder::Operator(OperatorId(id))),
            _ => None, // a CHECK of the table
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
