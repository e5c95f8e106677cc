//! Makes a node match its spec.
//!
//! Level-triggered: a nudge carries no payload. The node loads its whole
//! [`spec`], observes ([`observed`]), plans ([`plan`], a pure function),
//! carries out the steps and records what came of them. A lost nudge or a
//! crash costs one tick of a timer.
//!
//! Invariant: no SQL, no HTTP, no Leptos here. What touches the machine is
//! behind the traits in [`ports`].

pub mod capacity;
pub mod disk;
pub mod drift;
pub mod node;
pub mod observed;
pub mod pending;
pub mod plan;
pub mod ports;
pub mod spec;
mod status;
pub mod touched;
mod turns;

pub use drift::{Drift, Found};
pub use node::{Node, NodeHandle, NodePorts};
pub use observed::{Known, Observed};
pub use pending::Pending;
pub use ports::{
    Clock, Containers, DnsFilter, Firewall, Folders, PortError, SpecSource, SystemClock, WireGuard,
};
pub use spec::{NodeSettings, NodeSpec};
pub use turns::Turns;
