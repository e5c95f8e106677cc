//! Links to a new password. An account has one at most.

use crate::{
    NewMail, Result, Store, StoreError, TicketHolder, TokenHash,
    audit::{self, AuditEntry},
    db::{execute, fetch_optional},
    mail,
};
use domain::{MailContent, Secret, Timestamp};

/// A link to make.
#[derive(Clone, Debug)]
pub struct NewResetLink<'a> {
    pub holder: TicketHolder,
    pub token: &'a TokenHash,
    /// The value of the password that it replaces.
    pub proof: &'a str,
    /// Whether it takes the second factors away as well.
    pub without_factors: bool,
    pub expires: Timestamp,
    /// The token, where the link is sent to the account's mail address.
    pub mailed: Option<&'a Secret>,
    pub entry: AuditEntry,
}

/// A link that has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetLinkRecord {
    pub holder: TicketHolder,
    pub proof: String,
    pub without_factors: bool,
}

impl Store {
    /// Stores a link in place of the holder's former one. Where it is to be sent by mail, it
    /// returns `false`, with nothing changed, if there is no address or no mail could be queued.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted.
    pub async fn create_reset_link(&self, new: NewResetLink<'_>) -> Result<bool> {
        let (user, operator) = new.holder.columns();
        let mut tx = self.db.begin().await?;
        if let Some(token) = new.mailed {
            let Some(address) = mail::verified(&mut tx, new.holder).await? else {
                return Ok(false);
            };
            let mail = NewMail {
                holder: Some(new.holder),
                recipient: &address,
                content: &MailContent::Reset,
                token: Some(token),
                now: new.entry.at,
                expires: new.expires,
            };
            if !mail::queue(&mut tx, &self.sealer, &mail).await? {
                return Ok(false);
            }
        }
        let sql = "DELETE FROM reset_links WHERE user_id = $1 OR operator_id = $2";
        execute!(tx.connection(), sql, user, operator)?;
        let sql = "INSERT INTO reset_links \
                   (token_hash, user_id, operator_id, proof, without_factors, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.token.as_str(),
            user,
            operator,
            new.proof,
            i64::from(new.without_factors),
            new.expires.0
        );
        match inserted {
            Ok(_) => {}
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
        audit::write(&mut tx, new.entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Finds a link. It is not used up.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn reset_link(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ResetLinkRecord>> {
        type Row = (Option<i64>, Option<i64>, String, i64);
        let sql = "SELECT user_id, operator_id, proof, without_factors FROM reset_links \
                   WHERE token_hash = $1 AND expires > $2";
        let row = fetch_optional!(self.db.reader(), Row, sql, token.as_str(), now.0)?;
        Ok(row.and_then(|(user, operator, proof, without_factors)| {
            Some(ResetLinkRecord {
                holder: TicketHolder::of_columns(user, operator)?,
                proof,
                without_factors: without_factors != 0,
            })
        }))
    }

    /// Removes expired links. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_reset_links(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM reset_links WHERE expires <= $1";
        execute!(self.db.writer(), sql, now.0)
    }
}
