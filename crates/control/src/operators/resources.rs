//! Who uses how much of the node.

use super::Operators;
use crate::failures::store_failure;
use domain::{
    Failure, OperatorScope,
    view::{DiskView, ONLINE_MILLIS, ResourceRow, ResourcesView},
};
use protocol::ResourceUsage;
use std::{collections::BTreeMap, time::Duration};

/// How long the node is waited for. Its figures are in its memory.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Operators<'_> {
    /// Returns what each tenant uses of the node, by slot. What the node does not know,
    /// or does not answer in time, is missing in the rows; the rest is there.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn resources(self, _scope: &OperatorScope) -> Result<ResourcesView, Failure> {
        let inner = self.0;
        let (now, node) = (inner.clock.now(), inner.settings.node);
        let online_since = now.plus_millis(-ONLINE_MILLIS);
        let measured = tokio::time::timeout(TIMEOUT, inner.nodes.resources(node));
        let (tenants, measured) = tokio::join!(inner.store.tenants(online_since, now), measured);
        let tenants = tenants.map_err(store_failure)?;
        let (usage, problem) = match measured {
            Ok(Ok(usage)) => (usage, None),
            Ok(Err(problem)) => (Vec::new(), Some(problem)),
            Err(_) => (Vec::new(), None),
        };
        let usage: BTreeMap<_, ResourceUsage> = usage.into_iter().map(|u| (u.slot, u)).collect();
        let rows = tenants.into_iter().map(|l| {
            let data = inner.data_view(&l.tenant, l.used);
            let t = l.tenant;
            // A slot's former tenant may be in the node's figures still.
            let own = usage.get(&t.slot).filter(|u| u.name == t.name);
            let own = own.filter(|_| t.node == node);
            ResourceRow {
                id: t.id,
                name: t.name.to_string(),
                plan: t.plan.name,
                slot: t.slot.get(),
                disk_bytes: own.and_then(|u| u.disk_bytes),
                memory_bytes: own.and_then(|u| u.memory_bytes),
                cpu_percent: own.and_then(|u| u.cpu_percent),
                connections: own.and_then(|u| u.connections),
                data,
            }
        });
        let disk = inner.nodes.machine(node).and_then(|machine| machine.disk);
        Ok(ResourcesView {
            now,
            disk: disk.map(|d| DiskView {
                total_bytes: d.total,
                free_bytes: d.available,
                low: d.low,
            }),
            problem,
            rows: rows.collect(),
        })
    }
}
