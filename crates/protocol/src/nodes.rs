//! The port through which a control plane sees nodes. The link to the node in
//! the same process is one implementation; the link to workers is another.
//! Everything that passes it can go over a wire: values and bounded answers,
//! no closures and no handles of this process.

use crate::{
    EventKind, FolderCopy, FolderOwner, FolderReceipt, FolderStream, Location, MachineState,
    NodeState, NodeStatistics, ReadingOrder, ResourceUsage, TenantState, cannot_copy,
};
use async_trait::async_trait;
use domain::{NodeId, Problem, Slot, TenantName, view::QueryCounts};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to the API and UI of a tenant's AdGuard Home, which speaks HTTP/1.1.
pub type DnsStream = Box<dyn Duplex>;

/// A stream of bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What a node reports besides states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reported {
    /// Something happened on a node.
    Event { node: NodeId, event: EventKind },
    /// This many events were lost, because the reader was too slow.
    Missed { node: NodeId, count: u64 },
}

/// The nodes of an installation, as far as this control plane hears from them.
/// The calls that are not async return what was last reported, at once; a node
/// that does not answer delays no call but the async ones.
#[async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// Returns the nodes that report to this control plane.
    fn ids(&self) -> Vec<NodeId>;

    /// Tells a node that its spec may have changed. Carries no data; may be lost.
    fn nudge(&self, node: NodeId);

    /// Returns the state of the tenant in a slot; `None` while the node has not
    /// seen a tenant there.
    fn tenant(&self, at: Location) -> Option<TenantState>;

    /// Yields when [`tenant`](Self::tenant) may answer differently from now on. A
    /// slow reader misses intermediate states only; other slots' changes do not
    /// wake it.
    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()>;

    /// Returns the node's own state; `None` before it has reported one.
    fn node(&self, node: NodeId) -> Option<NodeState>;

    /// Yields when [`node`](Self::node) may answer differently from now on.
    fn node_changes(&self, node: NodeId) -> BoxStream<'static, ()>;

    /// Returns the state of the node's machine; `None` before it has reported one.
    fn machine(&self, node: NodeId) -> Option<MachineState>;

    /// Returns the tenant in each slot by the spec in force, including suspended
    /// ones; `None` before there is a spec.
    fn holders(&self, node: NodeId) -> Option<BTreeMap<Slot, TenantName>>;

    /// Returns the slots with a tenant by the spec in force; none before there is
    /// a spec.
    fn used_slots(&self, node: NodeId) -> BTreeSet<Slot>;

    /// Yields what happens on the nodes from now on.
    fn events(&self) -> BoxStream<'static, Reported>;

    /// Reads the counters of all peers of a node, and says when they were read.
    ///
    /// # Errors
    /// Why they cannot be read.
    async fn statistics(&self, node: NodeId) -> Result<NodeStatistics, Problem>;

    /// Does the same, and leaves peers out that have not changed since an earlier reading,
    /// if the node knows: [`NodeStatistics::since`] says whether it did.
    ///
    /// # Errors
    /// Why they cannot be read.
    async fn statistics_since(
        &self,
        node: NodeId,
        _earlier: &ReadingOrder,
    ) -> Result<NodeStatistics, Problem> {
        self.statistics(node).await
    }

    /// Returns what each tenant of a node uses of its machine, by the spec in force, at
    /// most one entry for each slot. The node measures at intervals, so the figures are
    /// some seconds old and the call costs the node nothing.
    ///
    /// # Errors
    /// Why they are not known.
    async fn resources(&self, node: NodeId) -> Result<Vec<ResourceUsage>, Problem>;

    /// Connects to a tenant's AdGuard Home.
    ///
    /// # Errors
    /// `DnsUnavailable` where the spec in force does not have the tenant under this
    /// name, has it suspended, or where nothing answers in time.
    async fn dns_connect(&self, at: Location, name: &TenantName) -> Result<DnsStream, Problem>;

    /// Reads the counters of a tenant's AdGuard Home for the last 24 hours.
    ///
    /// # Errors
    /// `DnsUnavailable` where the node does not know the tenant; why they cannot
    /// be read otherwise.
    async fn dns_counts(&self, at: Location, name: &TenantName) -> Result<QueryCounts, Problem>;

    /// Reads what AdGuard Home has stored for a tenant of the node, as an archive. For the
    /// last pass it is stopped first; it runs again as soon as the stream is dropped before
    /// its end, on [`end_copy`](Self::end_copy), and 60 s after the end in any case, unless
    /// the tenant is no longer the node's. Names are resolved without a filter meanwhile.
    ///
    /// # Errors
    /// `MoveRefused` where the node does not have the tenant, or does not know how to copy
    /// folders; why it cannot be read otherwise.
    async fn read_folder(&self, _copy: &FolderCopy) -> Result<FolderStream, Problem> {
        Err(cannot_copy())
    }

    /// Stores an archive beside the tenants' folders of a node, until the tenant with this
    /// key is the node's. Nothing stays of an archive that is not whole.
    ///
    /// # Errors
    /// `MoveRefused` where the archive is damaged or too large, the node has the tenant
    /// already, or does not know how to copy folders; why it cannot be written otherwise.
    async fn write_folder(
        &self,
        _copy: &FolderCopy,
        _owner: &FolderOwner,
        _archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        Err(cannot_copy())
    }

    /// Ends a copy on one of its two nodes: what was stored is removed, and AdGuard Home
    /// runs again.
    ///
    /// # Errors
    /// `MoveRefused` where the node does not know how to copy folders; why something
    /// cannot be removed otherwise.
    async fn end_copy(&self, _at: Location, _name: &TenantName) -> Result<(), Problem> {
        Err(cannot_copy())
    }
}
