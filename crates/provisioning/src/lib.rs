//! The engine: makes a node match its spec.
//!
//! It is level-triggered: a nudge carries no payload. The node loads its complete
//! spec, observes the machine ([`observed`]), plans ([`plan`], a pure
//! function), executes the steps, and publishes each tenant's status. A lost nudge
//! or a crash costs one tick of a timer.
//!
//! Invariant: no disk, no SQL, no HTTP, no Leptos here. Everything that touches the
//! machine is behind the traits in [`ports`].

pub mod capacity;
pub mod derive;
pub mod dirty_set;
pub mod drift;
mod error;
pub mod hash;
pub mod known_resolvers;
pub mod node;
pub mod observed;
mod packet_rate;
pub mod pending;
pub mod plan;
pub mod ports;
pub mod spec;

pub use derive::TenantSpecExt;
pub use drift::Drift;
pub use error::{PortError, PortResult};
pub use node::{LaneFigures, Node, NodeHandle, NodePorts};
pub use observed::{Observation, Observed};
pub use pending::Pending;
pub use ports::{Containers, DnsFilter, Firewall, Folders, SpecSource, WireGuard};
pub use spec::NodeSettings;
