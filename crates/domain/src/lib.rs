//! What MalikNode is about, as types: tenants, slots, devices, plans, keys and
//! the client configuration, and the views that pages and scripts see.
//!
//! Pure on purpose: no I/O, no clock, no randomness of its own, no tokio. It
//! compiles to wasm, so the server and the browser render one configuration
//! with one piece of code. Whatever is random or timed enters as an argument.

pub mod client_config;
pub mod failure;
pub mod id;
pub mod key;
pub mod name;
pub mod plan;
pub mod policy;
pub mod scope;
pub mod secret;
pub mod slot;
pub mod status;
pub mod time;
pub mod traffic;
pub mod view;
pub mod wgconf;

pub use client_config::{ClientConfig, Routing};
pub use failure::{ErrorCode, Failure, Field};
pub use id::{DeviceId, NodeId, TenantId};
pub use key::{PresharedKey, PrivateKey, PublicKey};
pub use name::{DeviceLabel, TenantName};
pub use plan::Plan;
pub use policy::FilterPolicy;
pub use scope::{OperatorScope, TenantScope};
pub use secret::Secret;
pub use slot::{AddressPlan, Slot};
pub use status::{Part, Problem, TenantStatus};
pub use time::Timestamp;
pub use traffic::{Span, TrafficPoint};
