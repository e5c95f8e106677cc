//! Another password. What was begun with the former one ends in the same transaction.

use super::{recovery, sessions::SessionRef};
use crate::{
    Result, Store, TicketHolder, TokenHash,
    audit::{self, AuditEntry},
    db::{Tx, execute},
};
use domain::Secret;

/// By what a password is replaced; it is used up.
#[derive(Clone, Copy, Debug)]
pub enum PasswordProof<'a> {
    /// The former password.
    Password,
    ResetLink(&'a TokenHash),
    RecoveryCode(&'a TokenHash),
}

/// A password that replaces another one.
#[derive(Clone, Debug)]
pub struct PasswordChange<'a> {
    pub holder: TicketHolder,
    pub old_hash: &'a Secret,
    pub new_hash: &'a Secret,
    /// The value of the new password, which what goes on is given.
    pub new_proof: &'a str,
    /// The session that goes on, with those that end with it.
    pub going_on: Option<&'a SessionRef>,
    pub by: PasswordProof<'a>,
    /// Whether the second factors are taken away as well.
    pub without_factors: bool,
    pub entry: AuditEntry,
}

impl Store {
    /// Replaces a password, and ends what was begun with the former one: sessions, credentials
    /// of the API, tickets, links, sign-ins that wait. Returns `false`, with nothing changed,
    /// if the former password is another one by now, or what it is replaced by was used.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn change_password(&self, change: PasswordChange<'_>) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let (sql, id) = match change.holder {
            TicketHolder::Tenant(id) => (
                "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3",
                id.0,
            ),
            TicketHolder::Operator(id) => (
                "UPDATE operators SET password_hash = $2 WHERE id = $1 AND password_hash = $3",
                id.0,
            ),
        };
        let (new, old) = (change.new_hash.expose(), change.old_hash.expose());
        if execute!(tx.connection(), sql, id, new, old)? == 0 {
            return Ok(false);
        }
        let (user, operator) = change.holder.columns();
        let is_valid = match change.by {
            PasswordProof::Password => true,
            PasswordProof::RecoveryCode(code) => {
                recovery::use_in(&mut tx, change.holder, code).await?
            }
            PasswordProof::ResetLink(token) => {
                let sql = "DELETE FROM reset_links WHERE token_hash = $1 \
                           AND (user_id = $2 OR operator_id = $3)";
                execute!(tx.connection(), sql, token.as_str(), user, operator)? > 0
            }
        };
        if !is_valid {
            return Ok(false);
        }
        end_everything(&mut tx, &change).await?;
        audit::write(&mut tx, change.entry).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn end_everything(tx: &mut Tx, change: &PasswordChange<'_>) -> Result<()> {
    let (user, operator) = change.holder.columns();
    let (session, credential) = change.going_on.map(SessionRef::ids).unwrap_or_default();
    for sql in [
        "DELETE FROM tickets WHERE user_id = $1 OR operator_id = $2",
        "DELETE FROM reset_links WHERE user_id = $1 OR operator_id = $2",
        "DELETE FROM pending_sign_ins WHERE user_id = $1 OR operator_id = $2",
    ] {
        execute!(tx.connection(), sql, user, operator)?;
    }
    let sql = "DELETE FROM sessions WHERE (user_id = $1 OR operator_id = $2) \
               AND id <> $3 AND (parent IS NULL OR parent <> $3)";
    execute!(tx.connection(), sql, user, operator, session)?;
    let sql = "DELETE FROM api_credentials WHERE (user_id = $1 OR operator_id = $2) AND id <> $3";
    execute!(tx.connection(), sql, user, operator, credential)?;
    let sql = "UPDATE sessions SET proof = $3 WHERE user_id = $1 OR operator_id = $2";
    execute!(tx.connection(), sql, user, operator, change.new_proof)?;
    let sql = "UPDATE api_credentials SET proof = $3 WHERE user_id = $1 OR operator_id = $2";
    execute!(tx.connection(), sql, user, operator, change.new_proof)?;
    if !matches!(change.by, PasswordProof::Password) {
        let sql = "DELETE FROM known_clients WHERE user_id = $1 OR operator_id = $2";
        execute!(tx.connection(), sql, user, operator)?;
    }
    if change.without_factors {
        let sql = "DELETE FROM factors WHERE user_id = $1 OR operator_id = $2";
        execute!(tx.connection(), sql, user, operator)?;
    }
    Ok(())
}
