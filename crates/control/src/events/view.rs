//! The event log as it is read.

use super::words;
use crate::{Control, failures::store_failure};
use domain::{
    Failure, TenantScope,
    view::{EventRow, EventsView},
};
use store::Event;

/// Events on a tenant's page.
const OF_TENANT: u32 = 100;
/// Events on the operator's first page.
pub(crate) const OF_ALL: u32 = 50;

impl Control {
    /// What happened to the tenant's network, and how it is now.
    ///
    /// # Errors
    /// `NotFound` once the tenant is gone.
    pub async fn events(&self, scope: &TenantScope) -> Result<EventsView, Failure> {
        let store = &self.0.store;
        let read = tokio::try_join!(store.tenant(scope), store.tenant_events(scope, OF_TENANT));
        let (tenant, events) = read.map_err(store_failure)?;
        let row = |e: Event| EventRow {
            at: e.at,
            sort: words::sort(&e.kind),
            sentence: words::to_tenant(&e.kind).to_owned(),
        };
        Ok(EventsView {
            now: self.now(),
            status: self.status(&tenant),
            rows: newest_first(events.into_iter().map(row)),
        })
    }
}

/// Events as the operator reads them.
pub(crate) fn to_operator(events: Vec<Event>) -> Vec<EventRow> {
    let row = |e: Event| EventRow {
        at: e.at,
        sort: words::sort(&e.kind),
        sentence: e.detail,
    };
    newest_first(events.into_iter().map(row))
}

/// A failure is written down once it has lasted, behind what came meanwhile.
fn newest_first(rows: impl Iterator<Item = EventRow>) -> Vec<EventRow> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    rows
}
