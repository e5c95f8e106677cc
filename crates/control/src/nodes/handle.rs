//! The handle on the nodes, and how many tenants each may hold.

use super::Capacity;
use crate::inner::Inner;
use domain::NodeId;

/// The handle on the nodes.
#[derive(Clone, Copy)]
pub struct NodesHandle<'a>(pub(crate) &'a Inner);

impl Inner {
    /// Returns how many tenants a node may hold, as it reported last. The operator's
    /// limit in this process's settings is the local node's; workers report theirs.
    pub(crate) fn capacity(&self, node: NodeId) -> Capacity {
        let is_local = self.settings.local == Some(node);
        let limit = self.settings.max_tenants.filter(|_| is_local);
        Capacity::new(self.nodes.machine(node), limit)
    }
}
