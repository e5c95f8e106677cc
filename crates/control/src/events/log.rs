//! Reads the event log, for tenants and for the operator.

use super::record::category;
use crate::{failures::store_failure, inner::Inner};
use domain::{
    Failure, NodeId, TenantReadScope,
    view::{EventCategory, EventRow, EventsView, TenantEventRow},
};
use protocol::recorded_message;
use store::Event;

/// Events on a tenant's page.
const TENANT_EVENTS: usize = 100;
/// Events that are read for them: more than the store keeps of a tenant.
const READ_EVENTS: u32 = 1_000;
/// Events on the operator's first page.
pub(crate) const OPERATOR_EVENTS: u32 = 50;

/// The handle on the event log.
#[derive(Clone, Copy)]
pub struct Events<'a>(pub(crate) &'a Inner);

impl Events<'_> {
    /// Returns what happened to the tenant's network, of one category or of all, and its
    /// status now.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn list(
        self,
        scope: &TenantReadScope,
        wanted: Option<EventCategory>,
    ) -> Result<EventsView, Failure> {
        let store = &self.0.store;
        let read = tokio::try_join!(store.tenant(scope), store.tenant_events(scope, READ_EVENTS));
        let (tenant, events) = read.map_err(store_failure)?;
        let row = |e: Event| TenantEventRow {
            at: e.at,
            category: category(&e.kind),
            kind: e.kind,
        };
        let rows = newest_first(events).into_iter().map(row);
        let rows = rows.filter(|r| wanted.is_none_or(|wanted| r.category == wanted));
        Ok(EventsView {
            now: self.0.clock.now(),
            status: self.0.status(&tenant),
            rows: rows.take(TENANT_EVENTS).collect(),
        })
    }
}

/// An event of a tenant with its number in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantEvent {
    pub id: i64,
    pub row: TenantEventRow,
}

impl Events<'_> {
    /// Returns at most `limit` events of the tenant, of one category or of all, those
    /// recorded last first, from before the one with the id `before`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn of_tenant_before(
        self,
        scope: &TenantReadScope,
        wanted: Option<EventCategory>,
        before: i64,
        limit: usize,
    ) -> Result<Vec<TenantEvent>, Failure> {
        let store = &self.0.store;
        let events = store.tenant_events_before(scope, before, READ_EVENTS).await;
        let events = events.map_err(store_failure)?.into_iter().map(numbered);
        let events = events.filter(|e| wanted.is_none_or(|wanted| e.row.category == wanted));
        Ok(events.take(limit).collect())
    }

    /// Returns at most `limit` events of the tenant, those recorded first first, from behind the
    /// one with the id `after`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn of_tenant_after(
        self,
        scope: &TenantReadScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TenantEvent>, Failure> {
        let store = &self.0.store;
        let events = store.tenant_events_after(scope, after, limit).await;
        let events = events.map_err(store_failure)?.into_iter();
        Ok(events.map(numbered).collect())
    }
}

fn numbered((id, e): (i64, Event)) -> TenantEvent {
    TenantEvent {
        id,
        row: TenantEventRow {
            at: e.at,
            category: category(&e.kind),
            kind: e.kind,
        },
    }
}

/// Returns events as the operator reads them, with what `node` returns of each one's node.
pub(crate) fn for_operator(
    events: Vec<Event>,
    node: impl Fn(NodeId) -> Option<String>,
) -> Vec<EventRow> {
    let row = |e: Event| operator_row(e, &node);
    newest_first(events).into_iter().map(row).collect()
}

/// Returns an event as the operator reads it, with what `node` returns of its node.
pub(crate) fn operator_row(e: Event, node: impl Fn(NodeId) -> Option<String>) -> EventRow {
    EventRow {
        at: e.at,
        node: node(e.node),
        category: category(&e.kind),
        message: recorded_message(&e.kind, &e.detail),
    }
}

/// Sorts by the time an event began: a failure is written once it has lasted,
/// after events that began later.
fn newest_first(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|e| std::cmp::Reverse(e.at));
    events
}
