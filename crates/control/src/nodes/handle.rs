//! The handle on the nodes, and whether a tenant fits on any of them.

use super::{Capacity, KnownNode};
use crate::{failures::store_failure, inner::Inner};
use domain::{Failure, NodeId};

/// The handle on the nodes.
#[derive(Clone, Copy)]
pub struct NodesHandle<'a>(pub(crate) &'a Inner);

impl NodesHandle<'_> {
    /// Returns whether no node takes a further tenant: pages say so before a visitor
    /// fills a form in. The store decides in the end.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn is_full(self) -> Result<bool, Failure> {
        let nodes = self.0.known_nodes().await.map_err(store_failure)?;
        Ok(!nodes.iter().any(KnownNode::takes_tenants))
    }
}

impl Inner {
    /// Returns how many tenants a node may hold, as it reported last. The operator's
    /// limit is the local node's.
    pub(crate) fn capacity(&self, node: NodeId) -> Capacity {
        let is_local = self.settings.local == Some(node);
        let limit = self.settings.max_tenants.filter(|_| is_local);
        Capacity::new(self.nodes.machine(node), limit)
    }
}
