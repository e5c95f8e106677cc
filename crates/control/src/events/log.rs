//! Reads the event log, for tenants and for the operator.

use super::record::category;
use crate::{failures::store_failure, inner::Inner};
use domain::{
    Failure, TenantScope,
    view::{EventRow, EventsView, TenantEventRow},
};
use protocol::recorded_message;
use store::Event;

/// Events on a tenant's page.
const TENANT_EVENTS: u32 = 100;
/// Events on the operator's first page.
pub(crate) const OPERATOR_EVENTS: u32 = 50;

/// The handle on the event log.
#[derive(Clone, Copy)]
pub struct Events<'a>(pub(crate) &'a Inner);

impl Events<'_> {
    /// Returns what happened to the tenant's network, and its status now.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn list(self, scope: &TenantScope) -> Result<EventsView, Failure> {
        let store = &self.0.store;
        let read = tokio::try_join!(
            store.tenant(scope),
            store.tenant_events(scope, TENANT_EVENTS)
        );
        let (tenant, events) = read.map_err(store_failure)?;
        let row = |e: Event| TenantEventRow {
            at: e.at,
            category: category(&e.kind),
            kind: e.kind,
        };
        Ok(EventsView {
            now: self.0.clock.now(),
            status: self.0.status(&tenant),
            rows: newest_first(events).into_iter().map(row).collect(),
        })
    }
}

/// Returns events as the operator reads them.
pub(crate) fn for_operator(events: Vec<Event>) -> Vec<EventRow> {
    let row = |e: Event| EventRow {
        at: e.at,
        category: category(&e.kind),
        message: recorded_message(&e.kind, &e.detail),
    };
    newest_first(events).into_iter().map(row).collect()
}

/// Sorts by the time an event began: a failure is written once it has lasted,
/// after events that began later.
fn newest_first(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|e| std::cmp::Reverse(e.at));
    events
}
