//! Workers as the control plane sees nodes.

use super::{
    connection::{CallConnection, dns_unavailable, unreachable},
    shared::Shared,
};
use async_trait::async_trait;
use domain::{NodeId, Problem, Slot, TenantName, view::QueryCounts};
use futures_util::stream::BoxStream;
use protocol::{
    DnsStream, FolderCopy, FolderOwner, FolderReceipt, FolderStream, Location, MachineState,
    NodeState, NodeStatistics, Nodes, ReadingOrder, Reported, ResourceUsage, TenantState,
    wire::RESOURCES,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The workers of the hub.
pub(super) struct WorkerNodes(pub Arc<Shared>);

impl WorkerNodes {
    fn connected(&self, node: NodeId) -> Result<Arc<CallConnection>, Problem> {
        let worker = self.0.known(node);
        worker
            .and_then(|worker| worker.connected())
            .ok_or_else(unreachable)
    }

    /// Reads counters, with the times in them by the clock here.
    async fn read(
        &self,
        node: NodeId,
        earlier: Option<&ReadingOrder>,
    ) -> Result<NodeStatistics, Problem> {
        let worker = self.0.known(node).ok_or_else(unreachable)?;
        let connection = worker.connected().ok_or_else(unreachable)?;
        let (mut read, clock) = connection.statistics(earlier).await?;
        if let Some(clock) = clock {
            let offset = worker.clock_offset.measure(self.0.clock.now(), clock);
            for peer in &mut read.peers {
                peer.last_handshake = peer.last_handshake.map(|at| at.plus_millis(offset));
            }
        }
        Ok(read)
    }
}

#[async_trait]
impl Nodes for WorkerNodes {
    fn ids(&self) -> Vec<NodeId> {
        self.0.reporting()
    }

    fn nudge(&self, node: NodeId) {
        if let Some(worker) = self.0.known(node) {
            worker.nudge();
        }
    }

    fn tenant(&self, at: Location) -> Option<TenantState> {
        self.0.known(at.node)?.state.tenant(at.slot)
    }

    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()> {
        self.0.worker(at.node).state.tenant_changes(at.slot)
    }

    fn node(&self, node: NodeId) -> Option<NodeState> {
        self.0.known(node)?.state.node()
    }

    fn node_changes(&self, node: NodeId) -> BoxStream<'static, ()> {
        self.0.worker(node).state.node_changes()
    }

    fn machine(&self, node: NodeId) -> Option<MachineState> {
        self.0.known(node)?.state.machine()
    }

    fn holders(&self, node: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        self.0.known(node)?.state.holders()
    }

    fn used_slots(&self, node: NodeId) -> BTreeSet<Slot> {
        let holders = self.holders(node).unwrap_or_default();
        holders.into_keys().collect()
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        self.0.events.subscribe()
    }

    async fn statistics(&self, node: NodeId) -> Result<NodeStatistics, Problem> {
        self.read(node, None).await
    }

    async fn statistics_since(
        &self,
        node: NodeId,
        earlier: &ReadingOrder,
    ) -> Result<NodeStatistics, Problem> {
        self.read(node, Some(earlier)).await
    }

    async fn resources(&self, node: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        self.connected(node)?.get(RESOURCES).await
    }

    async fn dns_connect(&self, at: Location, name: &TenantName) -> Result<DnsStream, Problem> {
        let worker = self.0.known(at.node).ok_or_else(dns_unavailable)?;
        if !worker.specs.is_active(at.slot, name) {
            return Err(dns_unavailable());
        }
        let connection = worker.connected().ok_or_else(dns_unavailable)?;
        connection.connect_dns(at.slot, name).await
    }

    async fn dns_counts(&self, at: Location, name: &TenantName) -> Result<QueryCounts, Problem> {
        self.connected(at.node)?.dns_counts(at.slot, name).await
    }

    async fn read_folder(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        self.connected(copy.at.node)?.read_folder(copy).await
    }

    async fn write_folder(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        let connection = self.connected(copy.at.node)?;
        connection.write_folder(copy, owner, archive).await
    }

    async fn end_copy(&self, at: Location, name: &TenantName) -> Result<(), Problem> {
        self.connected(at.node)?.end_copy(at.slot, name).await
    }
}
