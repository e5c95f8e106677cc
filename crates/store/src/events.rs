//! The event log: what the node met with and did about it, in sentences for
//! people. What somebody *did* is in the audit log.
//!
//! It is bounded: the newest 20,000 events stay, so a fault that repeats fills
//! no disk. Of those the newest 500 of a tenant stay, so that what somebody
//! meddles with all day does not push out what befell everybody else.

use crate::{
    Result, Store,
    batch::{self, Value},
    db::{Tx, execute, fetch_all},
};
use domain::{NodeId, Slot, TenantId, TenantName, TenantScope, Timestamp};
use std::collections::HashMap;

/// Events kept.
const KEPT: i64 = 20_000;
/// Events kept of one tenant, once [`Store::prune_events`] has been.
const KEPT_OF_TENANT: i64 = 500;
/// Bytes of a sentence kept.
const DETAIL: usize = 500;
/// Events removed in one statement, so that nobody waits long behind it.
const PRUNE: i64 = 5_000;

/// Something the node met with, to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// Who held which slot when it happened, if it concerns a tenant.
    pub tenant: Option<(Slot, TenantName)>,
    /// What for a program, e.g. `drift.interface_gone`.
    pub kind: String,
    /// What for the operator: a sentence, no secrets. Cut after 500 bytes.
    pub detail: String,
}

/// Something the node met with, as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The tenant concerned, if one is who was there when it was written.
    pub tenant: Option<TenantId>,
    /// What for a program.
    pub kind: String,
    /// What for the operator.
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
/// Walks over all events there are, at most 20,000, once an hour.
const PRUNE_EACH: &str = "DELETE FROM events WHERE id IN (SELECT id FROM \
     (SELECT id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id DESC) AS place \
      FROM events WHERE user_id IS NOT NULL) AS placed WHERE place > $1 LIMIT $2)";

type Row = (i64, Option<i64>, String, String);

fn event((at, tenant, kind, detail): Row) -> Event {
    Event {
        at: Timestamp(at),
        tenant: tenant.map(TenantId),
        kind,
        detail,
    }
}

/// Who holds which slots of a node. A number is put in, so nothing in the text
/// can be somebody's input.
pub(crate) fn held(node: NodeId) -> String {
    format!(
        "SELECT slot, username, id, created_at FROM users WHERE node_id = {} AND slot IN",
        node.0
    )
}

/// Who holds those slots: name, id and since when.
async fn holders(
    tx: &mut Tx,
    node: NodeId,
    slots: &[i64],
) -> Result<HashMap<i64, (String, TenantId, Timestamp)>> {
    let rows: Vec<(i64, String, i64, i64)> = batch::fetch(tx, &held(node), slots, "").await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(slot, name, id, at)| (slot, (name, TenantId(id), Timestamp(at))))
        .collect())
}

impl Store {
    /// Writes events of a node, all or none, and drops those that are too many.
    /// Who has left since is nobody's: a later tenant of that slot or name
    /// never reads what came before them.
    ///
    /// # Errors
    /// What the database said, e.g. of a node that is not known.
    pub async fn record_events(&self, node: NodeId, events: &[NewEvent]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let tenants = events.iter().filter_map(|e| e.tenant.as_ref());
        let mut slots: Vec<i64> = tenants.map(|(slot, _)| slot.get().into()).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut tx = self.db.begin().await?;
        let holders = holders(&mut tx, node, &slots).await?;
        let tenant = |e: &NewEvent| {
            let (slot, name) = e.tenant.as_ref()?;
            let (holder, id, since) = holders.get(&i64::from(slot.get()))?;
            (holder == name.as_str() && *since <= e.at).then_some(id.0)
        };
        let rows: Vec<[Value; 5]> = events
            .iter()
            .map(|e| {
                let detail = &e.detail[..e.detail.floor_char_boundary(DETAIL)];
                [
                    node.0.into(),
                    e.at.0.into(),
                    tenant(e).into(),
                    e.kind.clone().into(),
                    // PostgreSQL takes no NUL, and a line is a line.
                    detail.replace(char::is_control, " ").into(),
                ]
            })
            .collect();
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

    /// Removes events from before `until`, and what a tenant has too many of.
    /// Returns how many went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune_events(&self, until: Timestamp) -> Result<u64> {
        let mut gone = 0;
        for (sql, bound) in [(PRUNE_OLD, until.0), (PRUNE_EACH, KEPT_OF_TENANT)] {
            loop {
                let n = execute!(self.db.writer(), sql, bound, PRUNE)?;
                gone += n;
                if n < PRUNE.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(gone)
    }
}
