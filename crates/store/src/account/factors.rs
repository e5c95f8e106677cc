//! Second factors.

use super::owners_factor;
use crate::{
    Result, Store, StoreError, TicketHolder,
    audit::{self, AuditEntry},
    db::{execute, fetch_all},
};
use domain::Timestamp;
use seal::Purpose;
use zeroize::Zeroizing;

/// What a second factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorKind {
    /// An authenticator app (RFC 6238).
    Totp,
    /// A key of a browser or a device (WebAuthn).
    Passkey,
}

impl FactorKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
        }
    }
}

/// A factor to add. It holds once it is confirmed.
#[derive(Clone, Copy, Debug)]
pub struct NewFactor<'a> {
    pub id: &'a str,
    pub kind: FactorKind,
    pub holder: TicketHolder,
    /// What its holder calls it.
    pub name: &'a str,
    pub now: Timestamp,
}

/// A stored factor.
#[derive(Clone)]
pub struct FactorRecord {
    pub id: String,
    pub kind: FactorKind,
    pub name: String,
    pub secret: Zeroizing<Vec<u8>>,
    /// The time step of the last code that was accepted.
    pub last_step: i64,
    pub created_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
}

impl std::fmt::Debug for FactorRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FactorRecord({})", self.id)
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    kind: String,
    name: String,
    secret: String,
    last_step: i64,
    created_at: i64,
    confirmed_at: Option<i64>,
    used_at: Option<i64>,
}

impl Store {
    /// Stores a factor that is not confirmed, in place of others of its kind that are not.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted.
    pub async fn begin_factor(&self, new: NewFactor<'_>, secret: &[u8]) -> Result<()> {
        let (user, operator) = new.holder.columns();
        let sealed = self.sealer.seal(Purpose::FactorSecret, new.id, secret)?;
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM factors WHERE (user_id = $1 OR operator_id = $2) AND kind = $3 \
                   AND confirmed_at IS NULL";
        let kind = new.kind.as_str();
        execute!(tx.connection(), sql, user, operator, kind)?;
        let sql = "INSERT INTO factors (id, kind, user_id, operator_id, name, secret, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.id,
            kind,
            user,
            operator,
            new.name,
            sealed.as_str(),
            new.now.0
        );
        match inserted {
            Ok(_) => tx.commit().await,
            Err(e) if e.is_foreign_key_violation() => Err(StoreError::NotFound),
            Err(e) => Err(e),
        }
    }

    /// Lists the holder's factors, oldest first, also those that are not confirmed.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn factors(&self, holder: TicketHolder) -> Result<Vec<FactorRecord>> {
        let (user, operator) = holder.columns();
        let sql = "SELECT id, kind, name, secret, last_step, created_at, confirmed_at, used_at \
                   FROM factors WHERE user_id = $1 OR operator_id = $2 ORDER BY created_at, id";
        let rows = fetch_all!(self.db.reader(), Row, sql, user, operator)?;
        rows.into_iter().map(|r| self.factor(r)).collect()
    }

    pub(super) fn factor(&self, r: Row) -> Result<FactorRecord> {
        let kinds = [FactorKind::Totp, FactorKind::Passkey];
        let kind = kinds.into_iter().find(|k| k.as_str() == r.kind);
        let corrupt = || StoreError::Corrupt(format!("factors.kind of {}", r.id));
        Ok(FactorRecord {
            kind: kind.ok_or_else(corrupt)?,
            secret: self.sealer.open(Purpose::FactorSecret, &r.id, &r.secret)?,
            id: r.id,
            name: r.name,
            last_step: r.last_step,
            created_at: Timestamp(r.created_at),
            confirmed_at: r.confirmed_at.map(Timestamp),
            used_at: r.used_at.map(Timestamp),
        })
    }

    /// Confirms a factor with the step of its first code. Returns whether it was not confirmed
    /// before.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn confirm_factor(
        &self,
        holder: TicketHolder,
        id: &str,
        step: i64,
        entry: AuditEntry,
    ) -> Result<bool> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE factors SET confirmed_at = $4, used_at = $4, last_step = $5 \
                   WHERE id = $1 AND (user_id = $2 OR operator_id = $3) AND confirmed_at IS NULL";
        let at = entry.at.0;
        let changed = execute!(tx.connection(), sql, id, user, operator, at, step)?;
        if changed == 0 {
            return Ok(false);
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes the step of a code that is accepted. Returns whether it is later than the last
    /// one: an earlier one was used already.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn accept_step(&self, id: &str, step: i64, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE factors SET last_step = $2, used_at = $3 \
                   WHERE id = $1 AND last_step < $2 AND confirmed_at IS NOT NULL";
        let changed = execute!(self.db.writer(), sql, id, step, now.0)?;
        Ok(changed > 0)
    }

    /// Removes the holder's factors of a kind.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if there is none, and [`StoreError::LastFactor`] if an owner
    /// would be left without a second factor.
    pub async fn remove_factors(
        &self,
        holder: TicketHolder,
        kind: FactorKind,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let is_owner = owners_factor::is_owner(&mut tx, holder).await?;
        let sql = "DELETE FROM factors WHERE (user_id = $1 OR operator_id = $2) AND kind = $3";
        let removed = execute!(tx.connection(), sql, user, operator, kind.as_str())?;
        if removed == 0 {
            return Err(StoreError::NotFound);
        }
        owners_factor::keep_a_factor(&mut tx, holder, is_owner).await?;
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }
}
