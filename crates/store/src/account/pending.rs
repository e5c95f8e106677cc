//! Sign-ins whose password was right and whose second factor is still asked for.

use crate::{
    Result, Store, StoreError, TicketHolder, TokenHash,
    audit::{self, AuditEntry},
    db::{execute, fetch_optional},
};
use domain::{Access, Timestamp};

/// The most pending sign-ins of a holder; the newest stay.
const MAX_PER_HOLDER: i64 = 10;

/// A sign-in that waits.
#[derive(Clone, Debug)]
pub struct NewPendingSignIn<'a> {
    pub token: &'a TokenHash,
    pub holder: TicketHolder,
    /// The value of the password.
    pub proof: &'a str,
    /// The hash of the browser's cookie; empty without a browser.
    pub browser: &'a str,
    pub stays: bool,
    /// What a session of the API may do; `None` for pages.
    pub access: Option<Access>,
    pub now: Timestamp,
    pub expires: Timestamp,
    pub entry: AuditEntry,
}

/// A sign-in that waits, and has had one more try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSignInRecord {
    pub holder: TicketHolder,
    pub proof: String,
    pub browser: String,
    pub stays: bool,
    pub access: Option<Access>,
}

impl Store {
    /// Stores a sign-in that waits. Removes the holder's expired ones and all but the newest of
    /// the others.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted.
    pub async fn create_pending_sign_in(&self, new: NewPendingSignIn<'_>) -> Result<()> {
        let (user, operator) = new.holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM pending_sign_ins WHERE (user_id = $1 OR operator_id = $2) \
                   AND (expires <= $3 OR token_hash NOT IN \
                   (SELECT token_hash FROM pending_sign_ins \
                    WHERE user_id = $1 OR operator_id = $2 \
                    ORDER BY expires DESC, token_hash LIMIT $4))";
        let most = MAX_PER_HOLDER - 1;
        execute!(tx.connection(), sql, user, operator, new.now.0, most)?;
        let sql = "INSERT INTO pending_sign_ins \
                   (token_hash, user_id, operator_id, proof, browser, stays, access, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.token.as_str(),
            user,
            operator,
            new.proof,
            new.browser,
            i64::from(new.stays),
            new.access.map_or("", Access::as_str),
            new.expires.0
        );
        match inserted {
            Ok(_) => {}
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
        audit::write(&mut tx, new.entry).await?;
        tx.commit().await
    }

    /// Finds a sign-in that waits. It is not used up.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn pending_sign_in(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PendingSignInRecord>> {
        let sql = "SELECT user_id, operator_id, proof, browser, stays, access \
                   FROM pending_sign_ins WHERE token_hash = $1 AND expires > $2";
        let row = fetch_optional!(self.db.reader(), Row, sql, token.as_str(), now.0)?;
        Ok(row.and_then(record))
    }

    /// Counts a try at a sign-in that waits. Returns `None` after `max` tries, and if there is
    /// no such sign-in, or none any more.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn try_pending_sign_in(
        &self,
        token: &TokenHash,
        max: u32,
        now: Timestamp,
    ) -> Result<Option<PendingSignInRecord>> {
        let sql = "UPDATE pending_sign_ins SET tries = tries + 1 \
                   WHERE token_hash = $1 AND expires > $2 AND tries < $3 \
                   RETURNING user_id, operator_id, proof, browser, stays, access";
        let (token, max) = (token.as_str(), i64::from(max));
        let row = fetch_optional!(self.db.writer(), Row, sql, token, now.0, max)?;
        Ok(row.and_then(record))
    }

    /// Uses up a sign-in that waits. Returns whether it still did.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn end_pending_sign_in(&self, token: &TokenHash) -> Result<bool> {
        let sql = "DELETE FROM pending_sign_ins WHERE token_hash = $1";
        let removed = execute!(self.db.writer(), sql, token.as_str())?;
        Ok(removed > 0)
    }

    /// Removes expired sign-ins that waited. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_pending_sign_ins(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM pending_sign_ins WHERE expires <= $1";
        execute!(self.db.writer(), sql, now.0)
    }
}

type Row = (Option<i64>, Option<i64>, String, String, i64, String);

fn record((user, operator, proof, browser, stays, access): Row) -> Option<PendingSignInRecord> {
    Some(PendingSignInRecord {
        holder: TicketHolder::of_columns(user, operator)?,
        proof,
        browser,
        stays: stays != 0,
        access: Access::parse(&access),
    })
}
