//! The content of the operator's first page.

use super::{Operators, names::NodeNames};
use crate::{events, failures::store_failure, nodes::KnownNode};
use domain::{
    Failure, OperatorScope, Timestamp,
    view::{CapacityView, MemoryView, NodeProblem, ONLINE_MILLIS, OperatorView, TenantRow},
};
use std::collections::BTreeSet;

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
        let (tenants, events, audit, known) = tokio::try_join!(
            inner.store.tenants(now.plus_millis(-ONLINE_MILLIS), now),
            inner.store.events_recent(events::OPERATOR_EVENTS),
            inner.store.audit_recent(AUDIT_LINES),
            inner.known_nodes()
        )
        .map_err(store_failure)?;
        let names = NodeNames::of(known.iter().map(|n| &n.record));
        let machines = known
            .iter()
            .filter_map(|n| inner.nodes.machine(n.record.id));
        let wireguard = machines.map(|m| m.wireguard).filter(|w| !w.is_empty());
        let wireguard: BTreeSet<_> = wireguard.collect();
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
                node: names.get(t.node),
                slot: t.slot.get(),
                subnet: inner.settings.addresses.subnet(t.slot).to_string(),
                dns_address: inner.settings.addresses.container(t.slot).to_string(),
                public_key: t.public_key.to_string(),
                devices: l.devices,
                online: l.online,
                created_at: t.created_at,
                invitation: t.invitation,
                asleep_since: t.asleep_since,
                status,
            }
        });
        Ok(OperatorView {
            now,
            wireguard: Vec::from_iter(wireguard).join(", "),
            nodes: u32::try_from(known.len()).unwrap_or(u32::MAX),
            capacity: capacity(&known),
            problems: problems(&known, &names, now),
            tenants: rows.collect(),
            events: events::for_operator(events, |node| names.get(node)),
            audit,
        })
    }
}

/// Returns the nodes' problems, each with its node's name.
fn problems(known: &[KnownNode], names: &NodeNames, now: Timestamp) -> Vec<NodeProblem> {
    let is_open = known.iter().any(KnownNode::takes_tenants);
    let problems = known.iter().flat_map(|n| {
        let node = names.get(n.record.id);
        let problems = n.problems(now, is_open).into_iter();
        problems.map(move |problem| NodeProblem {
            node: node.clone(),
            problem,
        })
    });
    problems.collect()
}

/// Returns how many more tenants fit on all nodes together. Of nodes that get none now,
/// only the memory counts.
fn capacity(known: &[KnownNode]) -> CapacityView {
    let mut sum = CapacityView::default();
    for node in known {
        if node.is_open() {
            sum.more = sum.more.saturating_add(node.view.more);
            sum.slots_free = sum.slots_free.saturating_add(node.view.slots_free);
        }
        sum.memory = match (sum.memory, node.view.memory) {
            (Some(a), Some(b)) => Some(MemoryView {
                total_bytes: a.total_bytes.saturating_add(b.total_bytes),
                free_bytes: a.free_bytes.saturating_add(b.free_bytes),
                reserve_bytes: a.reserve_bytes.saturating_add(b.reserve_bytes),
                each_bytes: a.each_bytes.max(b.each_bytes),
                measured: a.measured.saturating_add(b.measured),
            }),
            (a, b) => a.or(b),
        };
        sum.limit = sum.limit.or(node.view.limit);
    }
    sum
}
