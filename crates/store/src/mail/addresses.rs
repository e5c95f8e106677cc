//! The mail addresses of accounts: one verified, and one that waits for its link to be opened.

use super::outbox::{NewMail, queue};
use crate::{
    AuditEntry, Result, Store, StoreError, TicketHolder, TokenHash, audit,
    db::{Tx, execute, fetch_optional},
};
use domain::{MailAddress, MailContent, Secret, Timestamp};

/// How long a notice that an address is no longer the account's may wait: a day.
const NOTICE_MILLIS: i64 = 86_400_000;

/// What an account has of mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailSettings {
    /// Where its mail is sent.
    pub address: Option<String>,
    pub verified_at: Option<Timestamp>,
    /// The address whose link was not opened yet.
    pub pending: Option<String>,
    /// Whether warnings of the month's data are sent.
    pub quota_warnings: bool,
}

/// An address to verify.
#[derive(Clone, Debug)]
pub struct NewMailAddress<'a> {
    pub holder: TicketHolder,
    pub address: &'a MailAddress,
    /// The token of its link.
    pub token: &'a Secret,
    pub expires: Timestamp,
    pub now: Timestamp,
}

/// An address whose link is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMailAddress {
    pub holder: TicketHolder,
    pub address: String,
}

const VERIFIED: &str = "SELECT address FROM mail_addresses \
                        WHERE (user_id = $1 OR operator_id = $2) AND address IS NOT NULL";

/// Returns where an account's mail is sent, within a transaction.
pub(crate) async fn verified(tx: &mut Tx, holder: TicketHolder) -> Result<Option<MailAddress>> {
    let (user, operator) = holder.columns();
    let row: Option<(String,)> = fetch_optional!(tx.connection(), _, VERIFIED, user, operator)?;
    Ok(row.and_then(|(address,)| MailAddress::parse(&address).ok()))
}

/// Stores an address that waits, and queues its link, within a transaction. Returns `false`
/// where no mail could be queued.
pub(crate) async fn ask_in(store: &Store, tx: &mut Tx, new: &NewMailAddress<'_>) -> Result<bool> {
    let (user, operator) = new.holder.columns();
    let token = TokenHash::of(new.token);
    let sql = "UPDATE mail_addresses SET pending = $3, token_hash = $4, token_expires = $5 \
               WHERE user_id = $1 OR operator_id = $2";
    let (address, hash) = (new.address.as_str(), token.as_str());
    let expires = new.expires.0;
    if execute!(tx.connection(), sql, user, operator, address, hash, expires)? == 0 {
        let sql = "INSERT INTO mail_addresses \
                   (user_id, operator_id, pending, token_hash, token_expires) \
                   VALUES ($1, $2, $3, $4, $5)";
        let inserted = execute!(tx.connection(), sql, user, operator, address, hash, expires);
        match inserted {
            Ok(_) => {}
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
    }
    let mail = NewMail {
        holder: Some(new.holder),
        recipient: new.address,
        content: &MailContent::Verify,
        token: Some(new.token),
        now: new.now,
        expires: new.expires,
    };
    queue(tx, &store.sealer, &mail).await
}

impl Store {
    /// Returns what an account has of mail.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn mail_settings(&self, holder: TicketHolder) -> Result<MailSettings> {
        type Row = (Option<String>, Option<i64>, Option<String>, i64);
        let (user, operator) = holder.columns();
        let sql = "SELECT address, verified_at, pending, quota_warnings FROM mail_addresses \
                   WHERE user_id = $1 OR operator_id = $2";
        let row: Option<Row> = fetch_optional!(self.db.reader(), _, sql, user, operator)?;
        let Some((address, verified_at, pending, warnings)) = row else {
            return Ok(MailSettings {
                quota_warnings: true,
                ..MailSettings::default()
            });
        };
        Ok(MailSettings {
            address,
            verified_at: verified_at.map(Timestamp),
            pending,
            quota_warnings: warnings != 0,
        })
    }

    /// Stores an address that is to be the account's once its link was opened, and queues the
    /// link; the present address is told. Returns `false`, with nothing changed, where the link
    /// could not be queued.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the account was deleted.
    pub async fn ask_mail_address(
        &self,
        new: NewMailAddress<'_>,
        entry: AuditEntry,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        if !ask_in(self, &mut tx, &new).await? {
            return Ok(false);
        }
        let present = verified(&mut tx, new.holder).await?;
        if let Some(present) = present.filter(|present| present != new.address) {
            let to = Some(new.address.to_string());
            self.tell_former(&mut tx, new.holder, &present, to, new.now)
                .await?;
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn tell_former(
        &self,
        tx: &mut Tx,
        holder: TicketHolder,
        former: &MailAddress,
        to: Option<String>,
        now: Timestamp,
    ) -> Result<()> {
        let mail = NewMail {
            holder: Some(holder),
            recipient: former,
            content: &MailContent::AddressChange { to },
            token: None,
            now,
            expires: now.plus_millis(NOTICE_MILLIS),
        };
        queue(tx, &self.sealer, &mail).await.map(drop)
    }

    /// Finds the address that a link verifies. It is not used up.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn pending_mail_address(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<PendingMailAddress>> {
        type Row = (Option<i64>, Option<i64>, String);
        let sql = "SELECT user_id, operator_id, pending FROM mail_addresses \
                   WHERE token_hash = $1 AND token_expires > $2 AND pending IS NOT NULL";
        let row = fetch_optional!(self.db.reader(), Row, sql, token.as_str(), now.0)?;
        Ok(row.and_then(|(user, operator, address)| {
            Some(PendingMailAddress {
                holder: TicketHolder::of_columns(user, operator)?,
                address,
            })
        }))
    }

    /// Makes the address of a link the account's. Returns `false` if the link is not valid any
    /// more.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn verify_mail_address(
        &self,
        token: &TokenHash,
        now: Timestamp,
        entry: AuditEntry,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE mail_addresses SET address = pending, verified_at = $2, pending = NULL, \
                   token_hash = NULL, token_expires = NULL \
                   WHERE token_hash = $1 AND token_expires > $2 AND pending IS NOT NULL \
                   RETURNING user_id, operator_id";
        type Row = (Option<i64>, Option<i64>);
        let row = fetch_optional!(tx.connection(), Row, sql, token.as_str(), now.0)?;
        let Some((user, operator)) = row else {
            return Ok(false);
        };
        end_links(&mut tx, user, operator).await?;
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes the account's addresses; the verified one is told.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn remove_mail_address(
        &self,
        holder: TicketHolder,
        now: Timestamp,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let present = verified(&mut tx, holder).await?;
        let sql = "DELETE FROM mail_addresses WHERE user_id = $1 OR operator_id = $2";
        if execute!(tx.connection(), sql, user, operator)? == 0 {
            return Ok(());
        }
        end_links(&mut tx, user, operator).await?;
        // What was not sent is for an address that is not the account's any more.
        let sql = "DELETE FROM mail_outbox WHERE state <> 'sent' \
                   AND (user_id = $1 OR operator_id = $2)";
        execute!(tx.connection(), sql, user, operator)?;
        if let Some(present) = present {
            self.tell_former(&mut tx, holder, &present, None, now)
                .await?;
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Switches the warnings of the month's data on or off.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] where the account has no address.
    pub async fn set_quota_warnings(
        &self,
        holder: TicketHolder,
        is_on: bool,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE mail_addresses SET quota_warnings = $3 \
                   WHERE user_id = $1 OR operator_id = $2";
        if execute!(tx.connection(), sql, user, operator, i64::from(is_on))? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }
}

/// Ends the account's links to a new password, also those that were not sent yet: who reads the
/// former address must not have one.
async fn end_links(tx: &mut Tx, user: Option<i64>, operator: Option<i64>) -> Result<()> {
    let sql = "DELETE FROM reset_links WHERE user_id = $1 OR operator_id = $2";
    execute!(tx.connection(), sql, user, operator)?;
    let sql = "DELETE FROM mail_outbox WHERE state <> 'sent' AND kind = 'reset' \
               AND (user_id = $1 OR operator_id = $2)";
    execute!(tx.connection(), sql, user, operator)?;
    Ok(())
}
