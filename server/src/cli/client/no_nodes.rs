//! The nodes as a command sees them that works on the database: none can be heard, so no change
//! is waited for, and a node learns of it from the server when that runs.

use async_trait::async_trait;
use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName, view::QueryCounts};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use protocol::{
    DnsStream, Location, MachineState, NodeState, NodeStatistics, Nodes, Reported, ResourceUsage,
    TenantState,
};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that say nothing.
pub(super) struct NoNodes {
    /// The node of this machine, on which tenants can be placed all the same.
    pub own: Option<NodeId>,
}

fn not_running() -> Problem {
    Problem {
        code: ErrorCode::Busy,
        message: Message::ServerNotRunning,
    }
}

#[async_trait]
impl Nodes for NoNodes {
    fn ids(&self) -> Vec<NodeId> {
        self.own.into_iter().collect()
    }

    fn nudge(&self, _: NodeId) {}

    fn tenant(&self, _: Location) -> Option<TenantState> {
        None
    }

    fn tenant_changes(&self, _: Location) -> BoxStream<'static, ()> {
        stream::empty().boxed()
    }

    fn node(&self, _: NodeId) -> Option<NodeState> {
        None
    }

    fn node_changes(&self, _: NodeId) -> BoxStream<'static, ()> {
        stream::empty().boxed()
    }

    fn machine(&self, _: NodeId) -> Option<MachineState> {
        None
    }

    fn holders(&self, _: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        None
    }

    fn used_slots(&self, _: NodeId) -> BTreeSet<Slot> {
        BTreeSet::new()
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        stream::empty().boxed()
    }

    async fn statistics(&self, _: NodeId) -> Result<NodeStatistics, Problem> {
        Err(not_running())
    }

    async fn resources(&self, _: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        Err(not_running())
    }

    async fn dns_connect(&self, _: Location, _: &TenantName) -> Result<DnsStream, Problem> {
        Err(not_running())
    }

    async fn dns_counts(&self, _: Location, _: &TenantName) -> Result<QueryCounts, Problem> {
        Err(not_running())
    }
}
