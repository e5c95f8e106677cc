//! The nodes of a control plane that has one of its own beside its workers.

use async_trait::async_trait;
use domain::{NodeId, Problem, Slot, TenantName, view::QueryCounts};
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{
    DnsStream, FolderCopy, FolderOwner, FolderReceipt, FolderStream, Location, MachineState,
    NodeState, NodeStatistics, Nodes, ReadingOrder, Reported, ResourceUsage, TenantState,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The node in this process and the workers. Which is which is decided by the id.
pub struct JoinedNodes {
    local: Arc<dyn Nodes>,
    local_ids: BTreeSet<NodeId>,
    workers: Arc<dyn Nodes>,
}

impl JoinedNodes {
    /// Joins them. The ids of the local nodes never change.
    pub fn new(local: Arc<dyn Nodes>, workers: Arc<dyn Nodes>) -> Self {
        Self {
            local_ids: local.ids().into_iter().collect(),
            local,
            workers,
        }
    }

    fn of(&self, node: NodeId) -> &dyn Nodes {
        match self.local_ids.contains(&node) {
            true => self.local.as_ref(),
            false => self.workers.as_ref(),
        }
    }
}

#[async_trait]
impl Nodes for JoinedNodes {
    fn ids(&self) -> Vec<NodeId> {
        let mut ids: Vec<_> = self.local_ids.iter().copied().collect();
        // The local node is no worker, whatever certificates say.
        ids.extend(
            self.workers
                .ids()
                .iter()
                .filter(|id| !self.local_ids.contains(id)),
        );
        ids
    }

    fn nudge(&self, node: NodeId) {
        self.of(node).nudge(node);
    }

    fn tenant(&self, at: Location) -> Option<TenantState> {
        self.of(at.node).tenant(at)
    }

    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()> {
        self.of(at.node).tenant_changes(at)
    }

    fn node(&self, node: NodeId) -> Option<NodeState> {
        self.of(node).node(node)
    }

    fn node_changes(&self, node: NodeId) -> BoxStream<'static, ()> {
        self.of(node).node_changes(node)
    }

    fn machine(&self, node: NodeId) -> Option<MachineState> {
        self.of(node).machine(node)
    }

    fn holders(&self, node: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        self.of(node).holders(node)
    }

    fn used_slots(&self, node: NodeId) -> BTreeSet<Slot> {
        self.of(node).used_slots(node)
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        let local_ids = self.local_ids.clone();
        let workers = self.workers.events().filter(move |reported| {
            let (Reported::Event { node, .. } | Reported::Missed { node, .. }) = reported;
            std::future::ready(!local_ids.contains(node))
        });
        stream::select(self.local.events(), workers).boxed()
    }

    async fn statistics(&self, node: NodeId) -> Result<NodeStatistics, Problem> {
        self.of(node).statistics(node).await
    }

    async fn statistics_since(
        &self,
        node: NodeId,
        earlier: &ReadingOrder,
    ) -> Result<NodeStatistics, Problem> {
        self.of(node).statistics_since(node, earlier).await
    }

    async fn resources(&self, node: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        self.of(node).resources(node).await
    }

    async fn dns_connect(&self, at: Location, name: &TenantName) -> Result<DnsStream, Problem> {
        self.of(at.node).dns_connect(at, name).await
    }

    async fn dns_counts(&self, at: Location, name: &TenantName) -> Result<QueryCounts, Problem> {
        self.of(at.node).dns_counts(at, name).await
    }

    async fn read_folder(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        self.of(copy.at.node).read_folder(copy).await
    }

    async fn write_folder(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        let node = self.of(copy.at.node);
        node.write_folder(copy, owner, archive).await
    }

    async fn end_copy(&self, at: Location, name: &TenantName) -> Result<(), Problem> {
        self.of(at.node).end_copy(at, name).await
    }
}
