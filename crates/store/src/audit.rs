//! The audit log: who did what. The entry of a change is written in the same
//! transaction as the change.

use crate::{
    Result, Store,
    db::{Tx, execute, fetch_all},
};
use domain::{TenantId, TenantScope, Timestamp, view::AuditRow};

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// Who acted: a tenant's name or `operator:<name>`.
    pub actor: String,
    /// What was done, e.g. `session.refused`.
    pub action: String,
    /// The object of the action, e.g. `abcd/My phone`.
    pub object: String,
    /// Further details as text, without secrets.
    pub detail: String,
    /// The tenant concerned, if any.
    pub tenant: Option<TenantId>,
}

const INSERT: &str = "INSERT INTO audit_log (at, actor, action, object, detail, user_id) \
     VALUES ($1, $2, $3, $4, $5, $6)";

pub(crate) const BEFORE: &str = "SELECT id, at, actor, action, object FROM audit_log \
     WHERE id < $1 ORDER BY id DESC LIMIT $2";

impl Store {
    /// Writes an entry about an action that changes nothing in the store. Changes
    /// write their own entries.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit(&self, e: AuditEntry) -> Result<()> {
        let tenant = e.tenant.map(|t| t.0);
        execute!(
            self.db.writer(),
            INSERT,
            e.at.0,
            e.actor,
            e.action,
            e.object,
            e.detail,
            tenant
        )
        .map(drop)
    }

    /// Removes the entries before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_audit(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM audit_log WHERE at < $1";
        execute!(self.db.writer(), sql, until.0)
    }

    /// Lists the latest entries, newest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit_recent(&self, limit: u32) -> Result<Vec<AuditRow>> {
        let sql = "SELECT at, actor, action, object FROM audit_log ORDER BY id DESC LIMIT $1";
        let rows = fetch_all!(
            self.db.reader(),
            (i64, String, String, String),
            sql,
            i64::from(limit)
        )?;
        let row = |(at, actor, action, object)| AuditRow {
            at: Timestamp(at),
            actor,
            action,
            object,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

impl Store {
    /// Lists entries with their ids, newest first, from before the one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit_before(&self, before: i64, limit: u32) -> Result<Vec<(i64, AuditRow)>> {
        let limit = i64::from(limit);
        let rows = fetch_all!(
            self.db.reader(),
            (i64, i64, String, String, String),
            BEFORE,
            before,
            limit
        )?;
        let row = |(id, at, actor, action, object)| {
            let row = AuditRow {
                at: Timestamp(at),
                actor,
                action,
                object,
            };
            (id, row)
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

/// Writes an entry within a transaction.
pub(crate) async fn write(tx: &mut Tx, e: AuditEntry) -> Result<()> {
    let tenant = e.tenant.map(|t| t.0);
    execute!(
        tx.connection(),
        INSERT,
        e.at.0,
        e.actor,
        e.action,
        e.object,
        e.detail,
        tenant
    )
    .map(drop)
}

/// Writes an entry about the scope's tenant within a transaction.
pub(crate) async fn write_scoped(
    tx: &mut Tx,
    scope: &TenantScope,
    at: Timestamp,
    action: &str,
    object: String,
    detail: String,
) -> Result<()> {
    let entry = AuditEntry {
        at,
        actor: scope.actor().to_owned(),
        action: action.to_owned(),
        object,
        detail,
        tenant: Some(scope.tenant()),
    };
    write(tx, entry).await
}
