//! Tenants of which no device has connected yet. After a while they are put to sleep: their
//! container is removed from their node, and the tunnel stays, so that a configuration that
//! was handed out works whenever it is first used. They wake when they are used.
//!
//! `users.unused_since` is NULL once a device has connected: such a tenant is never asked
//! for again.

use crate::{
    Committed, Result, Store,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_all, fetch_optional},
    events,
    nodes::{PendingChange, begin_change_of},
    statistics::{COUNTERS, TenantCounters, decode_counters},
};
use domain::{TenantId, TenantName, Timestamp};
use protocol::{EventKind, EventTenant};

/// Reads the tenants of which no device had connected and that have readings.
pub(crate) const WITH_READINGS: &str = "SELECT users.id, tenant_traffic.counters FROM users \
     JOIN tenant_traffic ON tenant_traffic.user_id = users.id WHERE users.unused_since > 0";
pub(crate) const DUE: &str = "SELECT id FROM users WHERE unused_since <= $1 \
     AND asleep_since IS NULL AND state = 'active' ORDER BY unused_since LIMIT $2";
pub(crate) const ASLEEP: &str =
    "SELECT id FROM users WHERE unused_since > 0 AND asleep_since IS NOT NULL LIMIT $1";

impl Store {
    /// Returns the tenants of which a device has connected since they were last looked at.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn newly_used_tenants(&self) -> Result<Vec<TenantId>> {
        let rows = fetch_all!(self.db.reader(), (i64, Vec<u8>), WITH_READINGS)?;
        // One whose counters cannot be read is left as it is.
        let is_used = |id: i64, bytes: &[u8]| {
            let counters = decode_counters(id, Some(bytes));
            counters.is_ok_and(|c| has_connected(&c))
        };
        let used = rows.into_iter().filter(|(id, bytes)| is_used(*id, bytes));
        Ok(used.map(|(id, _)| TenantId(id)).collect())
    }

    /// Returns tenants that have been awake without a device since `until`, those first that
    /// have been so for longest.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenants_due_to_sleep(
        &self,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<TenantId>> {
        let rows = fetch_all!(self.db.reader(), (i64,), DUE, until.0, i64::from(limit))?;
        Ok(rows.into_iter().map(|(id,)| TenantId(id)).collect())
    }

    /// Returns tenants that sleep.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn sleeping_tenants(&self, limit: u32) -> Result<Vec<TenantId>> {
        let rows = fetch_all!(self.db.reader(), (i64,), ASLEEP, i64::from(limit))?;
        Ok(rows.into_iter().map(|(id,)| TenantId(id)).collect())
    }

    /// Puts a tenant to sleep that has been awake without a device since `until`. Returns
    /// `None` if it has been used meanwhile, sleeps already or is suspended.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`](crate::StoreError::NotFound) if it was deleted.
    pub async fn put_to_sleep(
        &self,
        tenant: TenantId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Committed<()>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change_of(&mut tx, tenant).await?;
        let sql = "UPDATE users SET asleep_since = $2 WHERE id = $1 AND unused_since <= $3 \
                   AND asleep_since IS NULL AND state = 'active' RETURNING username";
        let slept = fetch_optional!(tx.connection(), (String,), sql, tenant.0, now.0, until.0)?;
        let Some((name,)) = slept else {
            return Ok(None);
        };
        let sql = COUNTERS;
        let counters = fetch_optional!(tx.connection(), (Vec<u8>,), sql, tenant.0)?;
        let counters = decode_counters(tenant.0, counters.as_ref().map(|(b,)| b.as_slice()))?;
        if has_connected(&counters) {
            return Ok(None);
        }
        let change = (tenant, name.as_str(), "system");
        record(&mut tx, pending, change, "tenant.sleep", now).await?;
        tx.commit().await?;
        Ok(Some(pending.committed(())))
    }

    /// Wakes a tenant for `actor`. Returns `None` if it did not sleep.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`](crate::StoreError::NotFound) if it was deleted.
    pub async fn wake(
        &self,
        tenant: TenantId,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<Committed<()>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change_of(&mut tx, tenant).await?;
        if !wake_in(&mut tx, pending, tenant, actor, now).await? {
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(pending.committed(())))
    }

    /// Notes that a device of a tenant has connected: it is never put to sleep any more.
    /// Returns the change if it slept.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`](crate::StoreError::NotFound) if it was deleted.
    pub async fn note_first_use(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Option<Committed<()>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change_of(&mut tx, tenant).await?;
        let woken = wake_in(&mut tx, pending, tenant, "system", now).await?;
        if !woken {
            // No node learns of it, so the generation stays.
            drop(tx);
            let sql = "UPDATE users SET unused_since = NULL WHERE id = $1 \
                       AND asleep_since IS NULL";
            execute!(self.db.writer(), sql, tenant.0)?;
            return Ok(None);
        }
        let sql = "UPDATE users SET unused_since = NULL WHERE id = $1";
        execute!(tx.connection(), sql, tenant.0)?;
        tx.commit().await?;
        Ok(Some(pending.committed(())))
    }
}

/// Returns whether any device has ever connected. A deleted device counts until the next
/// reading of its tenant.
fn has_connected(counters: &TenantCounters) -> bool {
    counters.devices.iter().any(|d| d.handshake.is_some())
}

/// Wakes a tenant within a change of it, and restarts the time after which it is put to sleep. Returns whether it slept.
pub(crate) async fn wake_in(
    tx: &mut Tx,
    pending: PendingChange,
    tenant: TenantId,
    actor: &str,
    now: Timestamp,
) -> Result<bool> {
    let sql = "SELECT username, unused_since, asleep_since FROM users WHERE id = $1";
    type Row = (String, Option<i64>, Option<i64>);
    let row = fetch_optional!(tx.connection(), Row, sql, tenant.0)?;
    let Some((name, unused_since, asleep_since)) = row else {
        return Ok(false);
    };
    if unused_since.is_none() && asleep_since.is_none() {
        return Ok(false);
    }
    let sql = "UPDATE users SET asleep_since = NULL, \
               unused_since = CASE WHEN unused_since IS NULL THEN NULL ELSE $2 END WHERE id = $1";
    execute!(tx.connection(), sql, tenant.0, now.0)?;
    if asleep_since.is_none() {
        return Ok(false);
    }
    let change = (tenant, name.as_str(), actor);
    record(tx, pending, change, "tenant.wake", now).await?;
    Ok(true)
}

/// Writes the audit entry and the event of a change.
async fn record(
    tx: &mut Tx,
    pending: PendingChange,
    (tenant, name, actor): (TenantId, &str, &str),
    action: &str,
    now: Timestamp,
) -> Result<()> {
    let entry = AuditEntry {
        at: now,
        actor: actor.to_owned(),
        action: action.to_owned(),
        object: name.to_owned(),
        tenant: Some(tenant),
        ..AuditEntry::default()
    };
    audit::write(tx, entry).await?;
    // A name that cannot be read has no event.
    let Ok(name) = TenantName::parse(name) else {
        return Ok(());
    };
    let of = EventTenant {
        slot: pending.slot(),
        name,
    };
    let event = match action {
        "tenant.sleep" => EventKind::TenantAsleep { tenant: of },
        _ => EventKind::TenantAwake { tenant: of },
    };
    let (node, _) = pending.generation();
    events::insert(tx, node, &[(tenant, event)], now).await
}
