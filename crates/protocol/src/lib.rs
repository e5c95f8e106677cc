//! What a control plane and a node say to each other.
//!
//! The types are data: no I/O, no clock, no prose. A control plane makes a
//! [`NodeSpec`] from its rows, and a node makes its machine match it. The same
//! bytes ([`NodeSpec::to_bytes`]) go to the checkpoint on a node's disk and,
//! over a wire, to a worker. The two sides meet in two ports: a control plane
//! sees nodes through [`Nodes`], and a node gets its spec from a [`SpecFeed`].
//!
//! Compatibility: the bytes carry a version. A field that is added needs a
//! default; unknown fields are ignored; a field is never given a new meaning. A
//! tenant with a value that is unknown here refuses itself, not the whole spec. A code
//! that is unknown here is read as `OtherVersion`.
//! Golden files in `tests/golden/` hold the bytes of each version.

mod device_names;
mod event;
mod exposed;
mod feed;
mod folder;
mod location;
mod moved;
mod nodes;
mod other_version;
mod report;
mod spec;
mod tenant_spec;
mod unreadable;
pub mod wire;

pub use device_names::DeviceNames;
pub use event::{DriftKind, EventKind, EventTenant, MAX_DETAIL_BYTES, PartKind, recorded_message};
pub use feed::{SpecAnswer, SpecChanges, SpecFeed};
pub use folder::{CopyId, FolderCopy, FolderOwner, FolderReceipt, FolderStream, cannot_copy};
pub use location::Location;
pub use moved::{Forward, MovedTenant};
pub use nodes::{DnsStream, Duplex, Nodes, Reported};
pub use report::{
    CapacityEstimate, DiskSpace, MachineState, NodeState, NodeStatistics, PeerStatistics,
    ReadingOrder, ResourceUsage, TenantState,
};
pub use spec::{NodeSpec, SpecError};
pub use tenant_spec::{DeviceSpec, SpeedLimits, TenantLimits, TenantSpec};
pub use unreadable::UnreadableTenant;
