//! Who did what. Entries are written in the transaction of what they tell of.

use crate::{
    Result, Store,
    db::{Tx, execute, fetch_all},
};
use domain::{TenantId, TenantScope, Timestamp, view::AuditRow};

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a tenant's name, or `operator:<name>`.
    pub actor: String,
    /// What, e.g. `session.refused`.
    pub action: String,
    /// To what, e.g. `abcd/My phone`.
    pub object: String,
    /// More, in words; no secrets.
    pub detail: String,
    /// The tenant concerned, if one is.
    pub tenant: Option<TenantId>,
}

const INSERT: &str = "INSERT INTO audit_log (at, actor, action, object, detail, user_id) \
     VALUES ($1, $2, $3, $4, $5, $6)";

impl Store {
    /// Writes an entry about something that is no change of the store's own
    /// (those write theirs themselves).
    ///
    /// # Errors
    /// What the database said.
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

    /// Removes entries from before `until`. Returns how many went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune_audit(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM audit_log WHERE at < $1";
        execute!(self.db.writer(), sql, until.0)
    }

    /// The newest entries, newest first.
    ///
    /// # Errors
    /// What the database said.
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

/// Writes an entry within a transaction.
pub(crate) async fn write(tx: &mut Tx, e: AuditEntry) -> Result<()> {
    let tenant = e.tenant.map(|t| t.0);
    execute!(
        tx.on(),
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

/// Writes an entry of a tenant's own change within its transaction.
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
