//! The content of the operator's first page.

use super::Operators;
use crate::{events, failures::store_failure};
use domain::{
    Failure, OperatorScope,
    view::{ONLINE_MILLIS, OperatorView, TenantRow},
};

/// Lines of the audit log on the page.
const AUDIT_LINES: u32 = 50;

impl Operators<'_> {
    /// Returns the content of the operator's first page.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn overview(self, _scope: &OperatorScope) -> Result<OperatorView, Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        let (tenants, events, audit) = tokio::try_join!(
            inner.store.tenants(now.plus_millis(-ONLINE_MILLIS), now),
            inner.store.events_recent(events::OPERATOR_EVENTS),
            inner.store.audit_recent(AUDIT_LINES)
        )
        .map_err(store_failure)?;
        let node = inner.settings.node;
        let machine = inner.nodes.machine(node).unwrap_or_default();
        let held = tenants.iter().filter(|l| l.tenant.node == node);
        let held = held.map(|l| l.tenant.slot).collect();
        let measured = inner.capacity(node);
        let capacity = measured.view(&held, &inner.unusable_slots(node));
        let state = inner.nodes.node(node).unwrap_or_default();
        let mut problems = state.problems;
        problems.extend(measured.problems(&capacity));
        let rows = tenants.into_iter().map(|l| {
            let status = inner.status(&l.tenant);
            let data = inner.data_view(&l.tenant, l.used);
            let t = l.tenant;
            TenantRow {
                id: t.id,
                name: t.name.to_string(),
                plan: t.plan.name,
                plan_id: t.plan.id,
                data,
                slot: t.slot.get(),
                subnet: inner.settings.addresses.subnet(t.slot).to_string(),
                devices: l.devices,
                online: l.online,
                created_at: t.created_at,
                status,
            }
        });
        Ok(OperatorView {
            now,
            wireguard: machine.wireguard,
            capacity,
            problems,
            tenants: rows.collect(),
            events: events::for_operator(events),
            audit,
        })
    }
}
