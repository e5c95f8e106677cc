//! The other direction of [`Nodes`](crate::Nodes): where a node's spec comes from.

use crate::NodeSpec;
use async_trait::async_trait;
use domain::Problem;

/// The answer to a node that asks for its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecAnswer {
    /// What the node should hold. Never older than what it has in force.
    pub spec: NodeSpec,
    /// Whether the database had fallen behind the node: it was restored from a
    /// backup, or a failover lost its newest changes. What had been revoked since
    /// may be in force again with this spec.
    pub restored: bool,
}

/// Where a node's spec comes from: the control plane.
#[async_trait]
pub trait SpecFeed: Send + Sync + 'static {
    /// Loads the whole spec. `in_force` is the generation of the spec that the
    /// node has in force, 0 for none. A node follows every answer; one that has
    /// more in force than the database knows gets what the database has, under a
    /// generation above its own.
    ///
    /// # Errors
    /// Why it cannot be loaded; what is in force stays.
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem>;
}
