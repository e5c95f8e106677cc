//! The event log: what a node detected and how it reacted, as a kind and arguments.
//! The actions of tenants and operators are in the audit log.
//!
//! The log is bounded, so that a recurring fault does not fill the disk: it keeps
//! the newest 20,000 events, and of those the newest 500 of each tenant, so that
//! one tenant's events do not displace those of all others.

use crate::{
    Result, Store,
    db::{
        Tx,
        batch::{self, Value},
        execute, fetch_all,
    },
};
use domain::{NodeId, OperatorScope, Slot, TenantId, TenantName, TenantReadScope, Timestamp};
use protocol::{EventKind, MAX_DETAIL_BYTES};
use std::collections::HashMap;

/// The number of events in the log.
const MAX_EVENTS: i64 = 20_000;
/// The number of events per tenant after [`Store::prune_events`].
const MAX_EVENTS_PER_TENANT: i64 = 500;
/// The number of events removed by one statement, so that other writers do not
/// wait long.
const PRUNE_BATCH: i64 = 5_000;

/// An event to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub at: Timestamp,
    /// The slot and name of the tenant concerned at the time of the event, if
    /// any.
    pub tenant: Option<(Slot, TenantName)>,
    /// The kind for programs, e.g. `drift.interface_gone`.
    pub kind: String,
    /// The arguments as JSON (`protocol::EventKind::detail`), without secrets. It
    /// is cut after [`MAX_DETAIL_BYTES`].
    pub detail: String,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    /// The node that it happened on.
    pub node: NodeId,
    /// The tenant concerned, if it still existed when the event was recorded.
    pub tenant: Option<TenantId>,
    /// The kind for programs.
    pub kind: String,
    /// The arguments as JSON; earlier versions stored an English text.
    pub detail: String,
}

pub(crate) const NEWEST_OF_TENANT: &str = "SELECT at, node_id, user_id, kind, detail FROM events \
     WHERE user_id = $1 ORDER BY id DESC LIMIT $2";
pub(crate) const NEWEST: &str =
    "SELECT at, node_id, user_id, kind, detail FROM events ORDER BY id DESC LIMIT $1";
pub(crate) const BEFORE_OF_TENANT: &str = "SELECT id, at, node_id, user_id, kind, detail \
     FROM events WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
pub(crate) const BEFORE: &str = "SELECT id, at, node_id, user_id, kind, detail \
     FROM events WHERE id < $1 ORDER BY id DESC LIMIT $2";
pub(crate) const AFTER_OF_TENANT: &str = "SELECT id, at, node_id, user_id, kind, detail \
     FROM events WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
pub(crate) const AFTER: &str = "SELECT id, at, node_id, user_id, kind, detail \
     FROM events WHERE id > $1 ORDER BY id LIMIT $2";
pub(crate) const PRUNE_OLD: &str = "DELETE FROM events WHERE id IN \
     (SELECT id FROM events WHERE at < $1 LIMIT $2)";
pub(crate) const PRUNE_EXCESS: &str =
    "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - $1";
/// Scans all events, at most 20,000, once an hour.
const PRUNE_PER_TENANT: &str = "DELETE FROM events WHERE id IN (SELECT id FROM \
     (SELECT id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id DESC) AS recency \
      FROM events WHERE user_id IS NOT NULL) AS ranked WHERE recency > $1 LIMIT $2)";

type Row = (i64, i64, Option<i64>, String, String);

type NumberedRow = (i64, i64, i64, Option<i64>, String, String);

fn numbered((id, at, node, tenant, kind, detail): NumberedRow) -> (i64, Event) {
    (id, event((at, node, tenant, kind, detail)))
}

fn event((at, node, tenant, kind, detail): Row) -> Event {
    Event {
        at: Timestamp(at),
        node: NodeId(node),
        tenant: tenant.map(TenantId),
        kind,
        detail,
    }
}

/// Returns the query for the tenants in some slots of a node. Only a number is
/// inserted, so the text can contain no user input.
pub(crate) fn slot_holders(node: NodeId) -> String {
    format!(
        "SELECT slot, username, id, created_at FROM users WHERE node_id = {} AND slot IN",
        node.0
    )
}

/// Returns the tenant in each of the slots: name, id and time of sign-up.
async fn holders(
    tx: &mut Tx,
    node: NodeId,
    slots: &[i64],
) -> Result<HashMap<i64, (String, TenantId, Timestamp)>> {
    let rows: Vec<(i64, String, i64, i64)> =
        batch::fetch(tx, &slot_holders(node), slots, "").await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(slot, name, id, at)| (slot, (name, TenantId(id), Timestamp(at))))
        .collect())
}

/// Returns the values of a row.
fn row(node: NodeId, at: Timestamp, tenant: Option<i64>, kind: String, detail: &str) -> [Value; 5] {
    [
        node.0.into(),
        at.0.into(),
        tenant.into(),
        kind.into(),
        // PostgreSQL rejects NUL, and a detail is a single line.
        detail.replace(char::is_control, " ").into(),
    ]
}

async fn write(tx: &mut Tx, rows: &[[Value; 5]]) -> Result<()> {
    let sql = "INSERT INTO events (node_id, at, user_id, kind, detail) VALUES";
    batch::write(tx, sql, rows, "").await?;
    execute!(tx.connection(), PRUNE_EXCESS, MAX_EVENTS).map(drop)
}

/// Records events of tenants in the transaction of what they are about.
pub(crate) async fn insert(
    tx: &mut Tx,
    node: NodeId,
    events: &[(TenantId, EventKind)],
    at: Timestamp,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = events
        .iter()
        .map(|(tenant, e)| row(node, at, Some(tenant.0), e.code(), &e.detail()))
        .collect();
    write(tx, &rows).await
}

impl Store {
    /// Records events of a node, all or none, and removes the excess. An event
    /// whose tenant was deleted belongs to no tenant: a later tenant with the same
    /// slot or name never reads earlier events.
    ///
    /// # Errors
    /// Returns the database's error, e.g. for an unknown node.
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
                let detail = &e.detail[..e.detail.floor_char_boundary(MAX_DETAIL_BYTES)];
                row(node, e.at, tenant(e), e.kind.clone(), detail)
            })
            .collect();
        write(&mut tx, &rows).await?;
        tx.commit().await
    }

    /// Records an event of a tenant that this control plane has noticed.
    ///
    /// # Errors
    /// Returns the database's error, e.g. for a tenant that was deleted.
    pub async fn record_tenant_event(
        &self,
        node: NodeId,
        tenant: TenantId,
        event: EventKind,
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        insert(&mut tx, node, &[(tenant, event)], at).await?;
        tx.commit().await
    }

    /// Lists the latest events of all nodes, newest first, for the operator.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn events_recent(&self, limit: u32) -> Result<Vec<Event>> {
        let rows = fetch_all!(self.db.reader(), Row, NEWEST, i64::from(limit))?;
        Ok(rows.into_iter().map(event).collect())
    }

    /// Lists the latest events that concern the tenant, newest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenant_events(&self, scope: &TenantReadScope, limit: u32) -> Result<Vec<Event>> {
        let tenant = scope.tenant().0;
        let rows = fetch_all!(
            self.db.reader(),
            Row,
            NEWEST_OF_TENANT,
            tenant,
            i64::from(limit)
        )?;
        Ok(rows.into_iter().map(event).collect())
    }

    /// Lists events that concern the tenant with their ids, those recorded last first, from
    /// before the one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenant_events_before(
        &self,
        scope: &TenantReadScope,
        before: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>> {
        let (tenant, limit) = (scope.tenant().0, i64::from(limit));
        let sql = BEFORE_OF_TENANT;
        let rows = fetch_all!(self.db.reader(), NumberedRow, sql, tenant, before, limit)?;
        Ok(rows.into_iter().map(numbered).collect())
    }

    /// Lists events that concern the tenant with their ids, those recorded first first, from
    /// behind the one with the id `after`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenant_events_after(
        &self,
        scope: &TenantReadScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>> {
        self.events_of_after(scope.tenant(), after, limit).await
    }

    /// Lists events of a tenant, or of all nodes, as
    /// [`tenant_events_after`](Self::tenant_events_after) does, for an operator.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_events_after(
        &self,
        _operator: &OperatorScope,
        tenant: Option<TenantId>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>> {
        if let Some(tenant) = tenant {
            return self.events_of_after(tenant, after, limit).await;
        }
        let limit = i64::from(limit);
        let rows = fetch_all!(self.db.reader(), NumberedRow, AFTER, after, limit)?;
        Ok(rows.into_iter().map(numbered).collect())
    }

    async fn events_of_after(
        &self,
        tenant: TenantId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>> {
        let (tenant, limit) = (tenant.0, i64::from(limit));
        let sql = AFTER_OF_TENANT;
        let rows = fetch_all!(self.db.reader(), NumberedRow, sql, tenant, after, limit)?;
        Ok(rows.into_iter().map(numbered).collect())
    }

    /// Lists events of all nodes with their ids, those recorded last first, from before the
    /// one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn events_before(&self, before: i64, limit: u32) -> Result<Vec<(i64, Event)>> {
        let limit = i64::from(limit);
        let rows = fetch_all!(self.db.reader(), NumberedRow, BEFORE, before, limit)?;
        Ok(rows.into_iter().map(numbered).collect())
    }

    /// Lists the events of a tenant as [`events_before`](Self::events_before) does, for an
    /// operator.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_events_before(
        &self,
        _operator: &OperatorScope,
        tenant: TenantId,
        before: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>> {
        let (tenant, limit) = (tenant.0, i64::from(limit));
        let sql = BEFORE_OF_TENANT;
        let rows = fetch_all!(self.db.reader(), NumberedRow, sql, tenant, before, limit)?;
        Ok(rows.into_iter().map(numbered).collect())
    }

    /// Removes the events before `until` and those above the limit of a tenant.
    /// Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_events(&self, until: Timestamp) -> Result<u64> {
        let mut removed = 0;
        for (sql, bound) in [
            (PRUNE_OLD, until.0),
            (PRUNE_PER_TENANT, MAX_EVENTS_PER_TENANT),
        ] {
            loop {
                let n = execute!(self.db.writer(), sql, bound, PRUNE_BATCH)?;
                removed += n;
                if n < PRUNE_BATCH.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(removed)
    }
}
