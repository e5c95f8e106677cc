//! The logs as an operator reads them page by page.

use super::{Operators, names::NodeNames};
use crate::{events, failures::store_failure};
use domain::{ErrorCode, Failure, Message, OperatorScope, TenantId, TenantName, view::EventRow};
use std::collections::BTreeMap;
use store::{Event, NodeRecord};

/// An event with its number in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    pub id: i64,
    pub row: EventRow,
    /// The kind, e.g. `drift.interface_gone`.
    pub kind: String,
    /// The name of the tenant that it is about, if that one still exists.
    pub tenant: Option<String>,
}

impl Operators<'_> {
    /// Returns at most `limit` events of all nodes, or of the tenant of that name alone, those
    /// recorded last first, from before the one with the id `before`.
    ///
    /// # Errors
    /// `NotFound` for a tenant that there is not, `DatabaseUnavailable`.
    pub async fn events_before(
        self,
        scope: &OperatorScope,
        tenant: Option<&str>,
        before: i64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, Failure> {
        let store = &self.0.store;
        let tenant = self.tenant_named(tenant).await?;
        let events = async {
            match tenant {
                Some(id) => store.operator_events_before(scope, id, before, limit).await,
                None => store.events_before(before, limit).await,
            }
        };
        let read = tokio::try_join!(events, store.nodes());
        let (rows, nodes) = read.map_err(store_failure)?;
        self.logged(rows, &nodes).await
    }

    /// Returns at most `limit` events of all nodes, or of a tenant, those recorded first first,
    /// from behind the one with the id `after`.
    ///
    /// # Errors
    /// As [`Operators::events_before`].
    pub async fn events_after(
        self,
        scope: &OperatorScope,
        tenant: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, Failure> {
        let store = &self.0.store;
        let tenant = self.tenant_named(tenant).await?;
        let events = store.operator_events_after(scope, tenant, after, limit);
        let rows = events.await.map_err(store_failure)?;
        // Most times there is nothing new.
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let nodes = store.nodes().await.map_err(store_failure)?;
        self.logged(rows, &nodes).await
    }

    /// Returns events with the names of their nodes and tenants.
    async fn logged(
        self,
        rows: Vec<(i64, Event)>,
        nodes: &[NodeRecord],
    ) -> Result<Vec<LoggedEvent>, Failure> {
        let store = &self.0.store;
        let nodes = NodeNames::of(nodes.iter());
        let ids = || rows.iter().filter_map(|(_, event)| event.tenant);
        let tenants = match ids().min().zip(ids().max()) {
            Some((first, last)) => store.tenant_names(first, last).await,
            None => Ok(BTreeMap::new()),
        };
        let tenants = tenants.map_err(store_failure)?;
        let logged = rows.into_iter().map(|(id, event)| LoggedEvent {
            id,
            kind: event.kind.clone(),
            tenant: event.tenant.and_then(|id| tenants.get(&id).cloned()),
            row: events::operator_row(event, |node| nodes.get(node)),
        });
        Ok(logged.collect())
    }

    /// Returns the id of the tenant of that name, if there is a name.
    pub(super) async fn tenant_named(
        self,
        name: Option<&str>,
    ) -> Result<Option<TenantId>, Failure> {
        match name {
            Some(name) => self.tenant_id(name).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns the id of the tenant of that name.
    async fn tenant_id(self, name: &str) -> Result<TenantId, Failure> {
        let unknown = || {
            let name = name.trim().to_owned();
            Failure::new(ErrorCode::NotFound, Message::TenantUnknown { name })
        };
        let parsed = TenantName::parse(name).map_err(|_| unknown())?;
        let found = self.0.store.tenant_by_name(&parsed).await;
        let found = found.map_err(store_failure)?;
        Ok(found.ok_or_else(unknown)?.id)
    }
}
