//! The nodes that tenants are placed on: how many tenants they hold, the spec
//! they get, and whether a change is in force.

mod capacity;
mod in_force;
mod spec_checkpoint;
mod specs;
mod status;

pub(crate) use capacity::Capacity;
pub use capacity::CapacitySettings;
pub use spec_checkpoint::{CheckpointingSource, SpecCheckpoint};
pub use specs::StoreSpecs;

use crate::inner::Inner;

/// The handle on the nodes.
#[derive(Clone, Copy)]
pub struct NodesHandle<'a>(pub(crate) &'a Inner);

impl NodesHandle<'_> {
    /// Returns whether no further tenant fits, as far as is known without a
    /// query: pages say so before a visitor fills a form in.
    pub fn is_full(self) -> bool {
        self.0.capacity.is_full(&self.0.unusable_slots())
    }
}
