//! Recovery codes.

use crate::{
    Result, Store, StoreError, TicketHolder, TokenHash,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_optional},
};
use domain::Timestamp;

impl Store {
    /// Replaces the holder's recovery codes.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted.
    pub async fn replace_recovery_codes(
        &self,
        holder: TicketHolder,
        codes: &[TokenHash],
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM recovery_codes WHERE user_id = $1 OR operator_id = $2";
        execute!(tx.connection(), sql, user, operator)?;
        let sql = "INSERT INTO recovery_codes (code_hash, user_id, operator_id, created_at) \
                   VALUES ($1, $2, $3, $4)";
        for code in codes {
            let at = entry.at.0;
            let inserted = execute!(tx.connection(), sql, code.as_str(), user, operator, at);
            match inserted {
                Ok(_) => {}
                Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
                Err(e) => return Err(e),
            }
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Uses up one of the holder's recovery codes. Returns whether it was one.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn use_recovery_code(
        &self,
        holder: TicketHolder,
        code: &TokenHash,
        entry: AuditEntry,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        if !use_in(&mut tx, holder, code).await? {
            return Ok(false);
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Returns whether this is one of the holder's recovery codes. It is not used up.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn is_recovery_code(&self, holder: TicketHolder, code: &TokenHash) -> Result<bool> {
        let (user, operator) = holder.columns();
        let sql = "SELECT created_at FROM recovery_codes \
                   WHERE code_hash = $1 AND (user_id = $2 OR operator_id = $3)";
        let code = code.as_str();
        let row = fetch_optional!(self.db.reader(), (i64,), sql, code, user, operator)?;
        Ok(row.is_some())
    }

    /// Returns how many recovery codes the holder has left, and when they were made.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn recovery_codes(&self, holder: TicketHolder) -> Result<(u32, Option<Timestamp>)> {
        let (user, operator) = holder.columns();
        let sql = "SELECT COUNT(*), MAX(created_at) FROM recovery_codes \
                   WHERE user_id = $1 OR operator_id = $2";
        let row = fetch_optional!(self.db.reader(), (i64, Option<i64>), sql, user, operator)?;
        let (count, made_at) = row.unwrap_or_default();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok((count, made_at.map(Timestamp)))
    }
}

/// Uses up a code within a transaction. Returns whether it was one of the holder's.
pub(super) async fn use_in(tx: &mut Tx, holder: TicketHolder, code: &TokenHash) -> Result<bool> {
    let (user, operator) = holder.columns();
    let sql = "DELETE FROM recovery_codes \
               WHERE code_hash = $1 AND (user_id = $2 OR operator_id = $3)";
    let removed = execute!(tx.connection(), sql, code.as_str(), user, operator)?;
    Ok(removed > 0)
}
