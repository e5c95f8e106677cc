//! The link to a control plane in the same process: it sees the node in this
//! process through the same port as it would see one on another machine.

use super::{copies::FolderCopies, reading_order};
use crate::{capacity::CapacityMeter, resources::ResourceMeter};
use async_trait::async_trait;
use domain::{
    ErrorCode, Message, NodeId, Problem, Slot, TenantName, marks::DNS_UI_PORT, view::QueryCounts,
};
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{
    DnsStream, EventKind, FolderCopy, FolderOwner, FolderReceipt, FolderStream, Location,
    MachineState, NodeState, NodeStatistics, Nodes, Reported, ResourceUsage, TenantState,
    cannot_copy,
};
use provisioning::{NodeHandle, PortError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{broadcast, watch},
};

/// Containers are on this machine, so a connection takes no time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The node in this process. Cheap to clone.
#[derive(Clone)]
pub struct LocalNodes {
    node: NodeId,
    engine: NodeHandle,
    capacity: Arc<CapacityMeter>,
    resources: Arc<ResourceMeter>,
    /// Events that do not come from the engine.
    events: Option<broadcast::Sender<EventKind>>,
    max_tenants: Option<u32>,
    /// Without it, no folder is copied.
    copies: Option<FolderCopies>,
}

impl LocalNodes {
    pub(crate) fn new(
        node: NodeId,
        engine: NodeHandle,
        capacity: Arc<CapacityMeter>,
        resources: Arc<ResourceMeter>,
    ) -> Self {
        Self {
            node,
            engine,
            capacity,
            resources,
            events: None,
            max_tenants: None,
            copies: None,
        }
    }

    pub(crate) fn add_events(&mut self, events: broadcast::Sender<EventKind>) {
        self.events = Some(events);
    }

    pub(crate) fn set_capacity(&mut self, capacity: Arc<CapacityMeter>) {
        self.capacity = capacity;
    }

    pub(crate) fn set_resources(&mut self, resources: Arc<ResourceMeter>) {
        self.resources = resources;
    }

    pub(crate) fn set_max_tenants(&mut self, max_tenants: Option<u32>) {
        self.max_tenants = max_tenants;
    }

    pub(crate) fn set_copies(&mut self, copies: FolderCopies) {
        self.copies = Some(copies);
    }

    fn copies(&self) -> Result<&FolderCopies, Problem> {
        self.copies.as_ref().ok_or_else(cannot_copy)
    }

    /// Returns the engine's own handle, for what is in this process anyway.
    pub fn engine(&self) -> &NodeHandle {
        &self.engine
    }

    fn is_own(&self, node: NodeId) -> Option<()> {
        (node == self.node).then_some(())
    }
}

/// Yields at every later change of the value.
fn changes<T: Send + Sync + 'static>(watch: watch::Receiver<T>) -> BoxStream<'static, ()> {
    stream::unfold(watch, async |mut watch| {
        watch.changed().await.ok().map(|()| ((), watch))
    })
    .boxed()
}

/// Yields what is sent from now on, and how much of it was missed.
fn reports<T>(node: NodeId, events: broadcast::Receiver<T>) -> BoxStream<'static, Reported>
where
    T: Into<EventKind> + Clone + Send + 'static,
{
    stream::unfold(events, move |mut events| async move {
        let report = match events.recv().await {
            Ok(event) => {
                let event = event.into();
                Reported::Event { node, event }
            }
            Err(broadcast::error::RecvError::Lagged(count)) => Reported::Missed { node, count },
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((report, events))
    })
    .boxed()
}

fn dns_unavailable() -> Problem {
    Problem {
        code: ErrorCode::DnsUnavailable,
        message: Message::DnsUnanswered,
    }
}

fn unknown_node() -> Problem {
    Problem {
        code: ErrorCode::NotFound,
        message: Message::NodeUnknown,
    }
}

#[async_trait]
impl Nodes for LocalNodes {
    fn ids(&self) -> Vec<NodeId> {
        vec![self.node]
    }

    fn nudge(&self, node: NodeId) {
        if self.is_own(node).is_some() {
            self.engine.nudge();
        }
    }

    fn tenant(&self, at: Location) -> Option<TenantState> {
        self.is_own(at.node)?;
        self.engine.tenant(at.slot)
    }

    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()> {
        match self.is_own(at.node) {
            Some(()) => changes(self.engine.watch(at.slot)),
            None => stream::pending().boxed(),
        }
    }

    fn node(&self, node: NodeId) -> Option<NodeState> {
        self.is_own(node)?;
        let mut state = self.engine.node().borrow().clone();
        state.problems.extend(self.resources.problem());
        Some(state)
    }

    fn node_changes(&self, node: NodeId) -> BoxStream<'static, ()> {
        match self.is_own(node) {
            Some(()) => {
                let engine = changes(self.engine.node());
                let disk = changes(self.resources.problem_changes());
                stream::select(engine, disk).boxed()
            }
            None => stream::pending().boxed(),
        }
    }

    fn machine(&self, node: NodeId) -> Option<MachineState> {
        self.is_own(node)?;
        let (capacity, problem) = self.capacity.last();
        Some(MachineState {
            wireguard: self.engine.wireguard(),
            capacity,
            problem,
            disk: self.resources.space(),
            max_tenants: self.max_tenants,
        })
    }

    fn holders(&self, node: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        self.is_own(node)?;
        self.engine.holders()
    }

    fn used_slots(&self, node: NodeId) -> BTreeSet<Slot> {
        match self.is_own(node) {
            Some(()) => self.engine.used_slots(),
            None => BTreeSet::new(),
        }
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        let drifts = reports(self.node, self.engine.drifts());
        let disk = reports(self.node, self.resources.events());
        let drifts = stream::select(drifts, disk).boxed();
        match &self.events {
            Some(events) => stream::select(drifts, reports(self.node, events.subscribe())).boxed(),
            None => drifts,
        }
    }

    async fn statistics(&self, node: NodeId) -> Result<NodeStatistics, Problem> {
        self.is_own(node).ok_or_else(unknown_node)?;
        let taken = reading_order::now();
        let read = self.engine.statistics().await;
        let peers = read.map_err(|e| problem(&e))?;
        Ok(NodeStatistics {
            taken,
            since: None,
            peers,
        })
    }

    async fn resources(&self, node: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        self.is_own(node).ok_or_else(unknown_node)?;
        self.resources.report()
    }

    async fn dns_connect(&self, at: Location, name: &TenantName) -> Result<DnsStream, Problem> {
        let known = self.is_own(at.node).and(self.engine.dns(at.slot, name));
        let dns = known.ok_or_else(dns_unavailable)?;
        let connecting = TcpStream::connect((dns.address, DNS_UI_PORT));
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => {
                // The proxy's requests are small and complete.
                if let Err(e) = stream.set_nodelay(true) {
                    tracing::debug!(error = %e, "TCP_NODELAY cannot be set");
                }
                Ok(Box::new(stream))
            }
            Ok(Err(e)) => {
                tracing::debug!(tenant = %name, error = %e, "the DNS filter refuses the connection");
                Err(dns_unavailable())
            }
            Err(_) => Err(dns_unavailable()),
        }
    }

    async fn dns_counts(&self, at: Location, name: &TenantName) -> Result<QueryCounts, Problem> {
        self.is_own(at.node).ok_or_else(unknown_node)?;
        let counts = self.engine.dns_counts(at.slot, name).await;
        counts.map_err(|e| problem(&e))
    }

    async fn read_folder(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        self.copies()?.read(copy).await
    }

    async fn write_folder(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        let disk = self.resources.space();
        self.copies()?.write(copy, owner, archive, disk).await
    }

    async fn end_copy(&self, at: Location, name: &TenantName) -> Result<(), Problem> {
        self.is_own(at.node).ok_or_else(unknown_node)?;
        self.copies()?.end(at.slot, name).await
    }
}

/// Returns what a control plane learns of an error. Its cause stays here, in the
/// log.
fn problem(e: &PortError) -> Problem {
    tracing::debug!(code = %e.code, error = %e, cause = ?e.cause, "a call of the control plane failed");
    e.problem()
}

#[cfg(test)]
mod tests;
