//! The event log: what the node met with and did about it, in sentences for
//! people. What somebody *did* is in the audit log.
//!
//! It is bounded: the newest 20,000 events stay, so a fault that repeats fills
//! no disk, and a year at most.

use crate::{
    Result, Store,
    batch::{self, Value},
    db::{execute, fetch_all},
};
use domain::{NodeId, TenantId, TenantScope, Timestamp};

/// Events kept.
const KEPT: i64 = 20_000;
/// Bytes of a sentence kept.
const DETAIL: usize = 500;
/// Events removed in one statement, so that nobody waits long behind it.
const PRUNE: i64 = 5_000;

/// Something the node met with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The tenant concerned, if one is.
    pub tenant: Option<TenantId>,
    /// What for a program, e.g. `drift.healed`.
    pub kind: String,
    /// What for a person: a sentence, no secrets. Cut after 500 bytes.
    pub detail: String,
}

pub(crate) const OF_TENANT: &str = "SELECT at, user_id, kind, detail FROM events \
     WHERE user_id = $1 ORDER BY id DESC LIMIT $2";
pub(crate) const OF_ALL: &str =
    "SELECT at, user_id, kind, detail FROM events ORDER BY id DESC LIMIT $1";
pub(crate) const PRUNE_OLD: &str = "DELETE FROM events WHERE id IN \
     (SELECT id FROM events WHERE at < $1 LIMIT $2)";
pub(crate) const PRUNE_MANY: &str =
    "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - $1";

type Row = (i64, Option<i64>, String, String);

fn event((at, tenant, kind, detail): Row) -> Event {
    Event {
        at: Timestamp(at),
        tenant: tenant.map(TenantId),
        kind,
        detail,
    }
}

impl Store {
    /// Writes events of a node, all or none, and drops those that are too many.
    ///
    /// # Errors
    /// What the database said, e.g. of a node that is not known.
    pub async fn record_events(&self, node: NodeId, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let rows: Vec<[Value; 5]> = events
            .iter()
            .map(|e| {
                let detail = &e.detail[..e.detail.floor_char_boundary(DETAIL)];
                [
                    node.0.into(),
                    e.at.0.into(),
                    e.tenant.map(|t| t.0).into(),
                    e.kind.clone().into(),
                    detail.to_owned().into(),
                ]
            })
            .collect();
        let mut tx = self.db.begin().await?;
        let sql = "INSERT INTO events (node_id, at, user_id, kind, detail) VALUES";
        batch::write(&mut tx, sql, &rows, "").await?;
        execute!(tx.on(), PRUNE_MANY, KEPT)?;
        tx.commit().await
    }

    /// The newest events of all nodes, newest first: for the operator.
    ///
    /// # Errors
    /// What the database said.
    pub async fn events_recent(&self, limit: u32) -> Result<Vec<Event>> {
        let rows = fetch_all!(self.db.reader(), Row, OF_ALL, i64::from(limit))?;
        Ok(rows.into_iter().map(event).collect())
    }

    /// The newest events that concern the tenant, newest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn tenant_events(&self, scope: &TenantScope, limit: u32) -> Result<Vec<Event>> {
        let tenant = scope.tenant().0;
        let rows = fetch_all!(self.db.reader(), Row, OF_TENANT, tenant, i64::from(limit))?;
        Ok(rows.into_iter().map(event).collect())
    }

    /// Removes events from before `until`. Returns how many went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune_events(&self, until: Timestamp) -> Result<u64> {
        let mut gone = 0;
        loop {
            let n = execute!(self.db.writer(), PRUNE_OLD, until.0, PRUNE)?;
            gone += n;
            if n < PRUNE.unsigned_abs() {
                return Ok(gone);
            }
        }
    }
}
