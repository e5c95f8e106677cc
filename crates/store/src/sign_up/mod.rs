//! Who may sign up: the mode that an operator has set, and the names that no tenant may
//! have beside those of the program. Invitations and tenants that sleep are in files of
//! their own.

pub(crate) mod invitations;
pub(crate) mod sleep;

use crate::{
    Result, Store, StoreError,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_all, fetch_optional},
};
use domain::{OwnerScope, SignUpMode, TenantName, Timestamp, view::ReservedName};

/// The row of the mode in `settings`.
const MODE: &str = "sign_up";
/// The most names that can be reserved.
pub const MAX_RESERVED_NAMES: u32 = 10_000;

impl Store {
    /// Returns who may sign up; `None` where no operator has set it.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn sign_up_mode(&self) -> Result<Option<SignUpMode>> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        let row = fetch_optional!(self.db.reader(), (String,), sql, MODE)?;
        row.map(|(value,)| parse_mode(&value)).transpose()
    }

    /// Sets who may sign up; `None` leaves it to the configuration again.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn set_sign_up_mode(
        &self,
        by: &OwnerScope,
        mode: Option<SignUpMode>,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "SELECT value FROM settings WHERE name = $1";
        let before = fetch_optional!(tx.connection(), (String,), sql, MODE)?;
        let before = before.map(|(value,)| value);
        let after = mode.map(SignUpMode::as_str);
        if before.as_deref() == after {
            return Ok(());
        }
        match after {
            Some(value) => {
                let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) \
                           ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                execute!(tx.connection(), sql, MODE, value)?;
            }
            None => {
                execute!(
                    tx.connection(),
                    "DELETE FROM settings WHERE name = $1",
                    MODE
                )?;
            }
        }
        const CONFIGURED: &str = "as configured";
        let entry = AuditEntry {
            at: now,
            actor: by.actor(),
            action: "sign_up.mode".to_owned(),
            object: "sign-up".to_owned(),
            before: before.unwrap_or_else(|| CONFIGURED.to_owned()),
            after: after.unwrap_or(CONFIGURED).to_owned(),
            origin: by.origin().to_owned(),
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Lists the names that operators have reserved, in alphabetical order.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn reserved_names(&self) -> Result<Vec<ReservedName>> {
        let sql = "SELECT name, added_by, added_at FROM reserved_names ORDER BY name";
        let rows = fetch_all!(self.db.reader(), (String, String, i64), sql)?;
        let reserved = |(name, added_by, at)| ReservedName {
            name,
            added_by,
            added_at: Timestamp(at),
        };
        Ok(rows.into_iter().map(reserved).collect())
    }

    /// Returns whether no new tenant may have a name: an operator has reserved it, or it is
    /// that of an endpoint.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn is_reserved(&self, name: &str) -> Result<bool> {
        if name.ends_with(TenantName::ENDPOINT_SUFFIX) {
            return Ok(true);
        }
        let found = fetch_optional!(self.db.reader(), (i64,), RESERVED, name)?;
        Ok(found.is_some())
    }

    /// Reserves names, all or none. A tenant that has one keeps it. Returns how many were
    /// not reserved before.
    ///
    /// # Errors
    /// Returns [`StoreError::TooManyReserved`].
    pub async fn reserve_names(
        &self,
        by: &OwnerScope,
        names: &[String],
        now: Timestamp,
    ) -> Result<u32> {
        let mut tx = self.db.begin().await?;
        let mut added = 0;
        for name in names {
            let sql = "INSERT INTO reserved_names (name, added_by, added_at) \
                       VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            let actor = by.actor();
            if execute!(tx.connection(), sql, name.as_str(), actor, now.0)? > 0 {
                added += 1;
                audit::write(&mut tx, entry(by, "name.reserve", name, now)).await?;
            }
        }
        let sql = "SELECT COUNT(*) FROM reserved_names";
        let count = fetch_optional!(tx.connection(), (i64,), sql)?;
        if count.is_some_and(|(n,)| n > i64::from(MAX_RESERVED_NAMES)) {
            let allowed = MAX_RESERVED_NAMES;
            return Err(StoreError::TooManyReserved { allowed });
        }
        tx.commit().await?;
        Ok(added)
    }

    /// Releases a name that an operator has reserved.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`].
    pub async fn release_name(&self, by: &OwnerScope, name: &str, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM reserved_names WHERE name = $1";
        if execute!(tx.connection(), sql, name)? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry(by, "name.release", name, now)).await?;
        tx.commit().await
    }
}

/// Returns a number, which PostgreSQL would give 32 bits otherwise.
const RESERVED: &str = "SELECT CAST(1 AS BIGINT) FROM reserved_names WHERE name = $1";

/// Refuses a name that an operator has reserved or that is an endpoint's, within the
/// transaction of a sign-up.
pub(crate) async fn check_reserved(tx: &mut Tx, name: &str) -> Result<()> {
    if name.ends_with(TenantName::ENDPOINT_SUFFIX) {
        let name = name.to_owned();
        return Err(StoreError::NameReserved { name });
    }
    match fetch_optional!(tx.connection(), (i64,), RESERVED, name)? {
        Some(_) => Err(StoreError::NameReserved {
            name: name.to_owned(),
        }),
        None => Ok(()),
    }
}

fn parse_mode(value: &str) -> Result<SignUpMode> {
    let mode = SignUpMode::parse(value);
    mode.ok_or_else(|| StoreError::Corrupt(format!("settings.{MODE}")))
}

fn entry(by: &OwnerScope, action: &str, name: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: by.actor(),
        action: action.to_owned(),
        object: format!("name {name}"),
        origin: by.origin().to_owned(),
        ..AuditEntry::default()
    }
}
