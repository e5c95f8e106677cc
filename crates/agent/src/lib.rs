//! A node's process: the engine over this machine, the checkpoint of its last
//! spec, what it measures, and the link to the control plane.
//!
//! Invariant: an agent needs no database and no control plane to go on with what
//! is in force. It gets specs from a [`SpecFeed`](protocol::SpecFeed), and a
//! control plane sees it through [`Nodes`](protocol::Nodes).

mod backends;
mod capacity;
mod feed_source;
mod lazy_wireguard;
mod link;
mod process;
mod resources;
mod settings;
mod spec_checkpoint;

pub use backends::Backends;
pub use feed_source::FeedSource;
pub use lazy_wireguard::LazyWireGuard;
pub use link::local::LocalNodes;
pub use process::Agent;
pub use resources::{ContainerUse, DiskLimits, DiskUse, FileSystem, Resources};
pub use settings::AgentSettings;
pub use spec_checkpoint::SpecCheckpoint;
