//! The nodes that tenants are placed on: how many tenants they hold, the spec
//! they get, and whether a change is in force.

mod capacity;
mod in_force;
mod specs;
mod status;

pub(crate) use capacity::Capacity;
pub use specs::StoreSpecs;
pub(crate) use status::location;

use crate::inner::Inner;
use domain::NodeId;

/// The handle on the nodes.
#[derive(Clone, Copy)]
pub struct NodesHandle<'a>(pub(crate) &'a Inner);

impl NodesHandle<'_> {
    /// Returns whether no further tenant fits, as far as is known without a
    /// query: pages say so before a visitor fills a form in.
    pub fn is_full(self) -> bool {
        let (inner, node) = (self.0, self.0.settings.node);
        // The store decides; this is for an early answer.
        let used = inner.nodes.used_slots(node);
        let view = inner
            .capacity(node)
            .view(&used, &inner.unusable_slots(node));
        view.more == 0
    }
}

impl Inner {
    /// Returns how many tenants a node may hold, as it reported last.
    pub(crate) fn capacity(&self, node: NodeId) -> Capacity {
        Capacity::new(self.nodes.machine(node), self.settings.max_tenants)
    }
}
