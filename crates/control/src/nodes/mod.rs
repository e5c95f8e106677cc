//! The nodes that tenants are placed on: how many tenants they hold, the spec
//! they get, and whether a change is in force.

mod capacity;
mod in_force;
mod spec_checkpoint;
mod specs;

pub(crate) use capacity::Capacity;
pub use capacity::CapacitySettings;
pub use spec_checkpoint::{CheckpointingSource, SpecCheckpoint};
pub use specs::StoreSpecs;
