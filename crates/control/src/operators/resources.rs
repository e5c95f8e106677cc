//! Who uses how much of the nodes.

use super::{Operators, names::NodeNames};
use crate::{
    failures::store_failure,
    nodes::{KnownNode, disk_view},
};
use domain::{
    Failure, OperatorScope, Problem,
    view::{NodeFigures, ONLINE_MILLIS, ResourceRow, ResourcesView},
};
use futures_util::future::join_all;
use protocol::{Location, ResourceUsage};
use std::{collections::BTreeMap, time::Duration};

/// How long the nodes are waited for. Their figures are in their memory.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Operators<'_> {
    /// Returns what each tenant uses of its node, by node and slot. What a node does not
    /// know, or does not answer in time, is missing in the rows; the rest is there.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn resources(self, _scope: &OperatorScope) -> Result<ResourcesView, Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        let online_since = now.plus_millis(-ONLINE_MILLIS);
        let (tenants, known) =
            tokio::try_join!(inner.store.tenants(online_since, now), inner.known_nodes())
                .map_err(store_failure)?;
        let names = NodeNames::of(known.iter().map(|n| &n.record));
        let mut usage = BTreeMap::new();
        let mut nodes = Vec::new();
        let asked = join_all(known.iter().map(|n| self.measured(n))).await;
        for (node, (measured, problem)) in known.iter().zip(asked) {
            let node = node.record.id;
            let at = |slot| Location { node, slot };
            usage.extend(measured.into_iter().map(|u| (at(u.slot), u)));
            let disk = inner.nodes.machine(node).and_then(|machine| machine.disk);
            nodes.push(NodeFigures {
                node: names.get(node),
                disk: disk.map(disk_view),
                problem,
            });
        }
        let rows = tenants.into_iter().map(|l| {
            let data = inner.data_view(&l.tenant, l.used);
            let t = l.tenant;
            let at = Location {
                node: t.node,
                slot: t.slot,
            };
            // A slot's former tenant may be in the node's figures still.
            let own = usage.get(&at).filter(|u| u.name == t.name);
            ResourceRow {
                id: t.id,
                name: t.name.to_string(),
                plan: t.plan.name,
                node: names.get(t.node),
                slot: t.slot.get(),
                disk_bytes: own.and_then(|u| u.disk_bytes),
                memory_bytes: own.and_then(|u| u.memory_bytes),
                cpu_percent: own.and_then(|u| u.cpu_percent),
                connections: own.and_then(|u| u.connections),
                limits: own.map(|u| u.limits).unwrap_or_default(),
                data,
            }
        });
        Ok(ResourcesView {
            now,
            nodes,
            rows: rows.collect(),
        })
    }

    /// Returns what a node has measured, or why it is not known.
    async fn measured(self, node: &KnownNode) -> (Vec<ResourceUsage>, Option<Problem>) {
        let asked = self.0.nodes.resources(node.record.id);
        match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(Ok(usage)) => (usage, None),
            Ok(Err(problem)) => (Vec::new(), Some(problem)),
            Err(_) => (Vec::new(), None),
        }
    }
}
