//! MalikNode's domain as types: tenants, slots, devices, plans, keys, the client
//! configuration, and the views that pages and scripts receive.
//!
//! The crate is pure: it has no I/O, no source of randomness and no tokio; random
//! bytes and the current time are arguments. Only [`clock`] reads the time, for
//! those who have to say what the time is. It compiles to wasm,
//! so the server and the browser render a configuration with the same code.

pub mod admission;
pub mod client_config;
pub mod clock;
pub mod code;
pub mod device_label;
pub mod durations;
pub mod failure;
pub mod id;
pub mod ipv6;
pub mod key;
pub mod mail;
pub mod marks;
pub mod message;
pub mod node;
#[cfg(not(target_arch = "wasm32"))]
pub mod period;
pub mod plan;
pub mod policy;
pub mod quota;
pub mod resources;
mod routed;
pub mod scope;
pub mod secret;
pub mod sign_up;
pub mod slot;
pub mod status;
pub mod tenant_name;
pub mod time;
pub mod topic;
pub mod traffic;
pub mod view;
pub mod wgconf;

pub use admission::{OperatorAdmission, OwnerWithoutFactor};
pub use client_config::{ClientConfig, ClientIpv6, Routing, TunnelOptions};
pub use clock::{Clock, SystemClock};
pub use code::{ErrorCode, is_code};
pub use device_label::DeviceLabel;
pub use durations::{DurationFigures, Durations};
pub use failure::{Failure, Field};
pub use id::{DeviceId, InvitationId, NodeId, TenantId};
pub use ipv6::{Ipv6Prefix, Ipv6Subnet, NoUniqueLocal};
pub use key::{PresharedKey, PrivateKey, PublicKey};
pub use mail::{MailAddress, MailContent, MailLink, MailState};
pub use message::Message;
pub use node::{MoveReason, NodeHost, NodeName, NodeStanding};
#[cfg(not(target_arch = "wasm32"))]
pub use period::{Period, PeriodRule};
pub use plan::{AtLimit, Plan};
pub use policy::FilterPolicy;
pub use quota::{QuotaState, WARNING_PERCENT};
pub use resources::ResourceLimits;
pub use scope::{
    Access, OperatorPermission, OperatorRole, OperatorScope, OwnerScope, SupportScope,
    TenantHolderScope, TenantPermission, TenantReadScope, TenantScope,
};
pub use secret::Secret;
pub use sign_up::{Invitation, InvitationState, InvitationTerms, SignUpMode};
pub use slot::{AddressPlan, Slot};
pub use status::{Part, Problem, TenantStatus};
pub use tenant_name::{NameError, TenantName};
pub use time::Timestamp;
pub use topic::Topic;
pub use traffic::{Span, TrafficPoint};
