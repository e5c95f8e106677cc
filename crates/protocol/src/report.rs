//! What a node reports: the state of its tenants, its own, and its machine's.
//! Values, so that they can go over a wire: a field that is added has a default.

use crate::other_version;
use domain::{
    Problem, PublicKey, ResourceLimits, Slot, TenantName, TenantStatus, Timestamp, view::MemoryView,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, net::SocketAddr};

/// A tenant's state on its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantState {
    /// The tenant who had the slot at that time.
    pub name: TenantName,
    /// The newest generation for which tunnel and elements are in force.
    pub applied: u64,
    #[serde(deserialize_with = "other_version::status")]
    pub status: TenantStatus,
}

/// The state of a node as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// The generation of the spec at that time.
    pub generation: u64,
    /// Problems of the machine itself.
    pub problems: Vec<Problem>,
    /// Slots whose interface name a foreign interface has.
    pub foreign_slots: BTreeSet<Slot>,
    /// Slots whose interface is still that of a tenant who left, or may be; `None`
    /// while that cannot be read.
    pub leaving: Option<BTreeSet<Slot>>,
}

/// What a node reports of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineState {
    /// The name of the WireGuard implementation.
    pub wireguard: String,
    /// How many tenants the memory suffices for; `None` while that is not known.
    pub capacity: Option<CapacityEstimate>,
    /// Why the memory could not be read the last time; `None` if it was read, or
    /// if nothing reads it.
    pub problem: Option<Problem>,
    /// The file system with the tenants' folders; `None` while that is not known.
    #[serde(default)]
    pub disk: Option<DiskSpace>,
    /// How many tenants it may have at most by its own settings; `None` for no limit.
    #[serde(default)]
    pub max_tenants: Option<u32>,
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// What programs without privileges use and can still use, together.
    pub total: u64,
    /// What they can still use.
    pub available: u64,
    /// Whether so little is available that tenants may write no more. It takes more
    /// room to end this than to begin it.
    pub low: bool,
}

/// What a tenant uses of the machine. A figure that could not be read is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceUsage {
    pub slot: Slot,
    /// The tenant who had the slot at that time.
    pub name: TenantName,
    /// Bytes of the disk that its AdGuard Home's files take up.
    pub disk_bytes: Option<u64>,
    /// The private memory of its AdGuard Home; 0 while it does not run.
    pub memory_bytes: Option<u64>,
    /// The processor time of its AdGuard Home over the last minute, in percent of one
    /// processor; 0 while it does not run.
    pub cpu_percent: Option<f64>,
    /// Entries of the connection table that belong to it.
    pub connections: Option<u64>,
    /// How much of each it may use.
    #[serde(default)]
    pub limits: ResourceLimits,
}

/// How many tenants a machine can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityEstimate {
    /// Tenants in all, including the present ones.
    pub max_tenants: u32,
    /// The cost of one more tenant, in bytes.
    pub per_tenant: u64,
    /// How many tenants `per_tenant` was measured from.
    pub measured: u32,
    /// Bytes to keep free.
    pub reserve: u64,
    /// The machine's memory, in bytes.
    pub total: u64,
    /// The available memory, in bytes.
    pub available: u64,
}

impl CapacityEstimate {
    /// Returns the operator's view of it.
    pub fn view(&self) -> MemoryView {
        MemoryView {
            total_bytes: self.total,
            free_bytes: self.available,
            reserve_bytes: self.reserve,
            each_bytes: self.per_tenant,
            measured: self.measured,
        }
    }
}

/// A peer's counters, as WireGuard counts: `rx` was received from the device,
/// `tx` was sent to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatistics {
    /// The interface's slot.
    pub slot: Slot,
    /// The peer.
    pub public_key: PublicKey,
    /// The last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// The source of its last packet.
    pub endpoint: Option<SocketAddr>,
    /// Bytes received from it since the interface was created.
    pub rx_bytes: u64,
    /// Bytes sent to it since the interface was created.
    pub tx_bytes: u64,
}

/// The longest name of a boot that is read, in bytes. Linux' has 36.
const MAX_BOOT_BYTES: usize = 64;

/// When counters were read, by the clock of their machine. It orders the readings of one
/// boot, whichever control plane stores them, however late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingOrder {
    /// The machine's boot, as `/proc/sys/kernel/random/boot_id` names it.
    pub boot: String,
    /// Nanoseconds of `CLOCK_BOOTTIME` when the reading began.
    pub nanos: u64,
}

impl fmt::Display for ReadingOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.boot, self.nanos)
    }
}

impl ReadingOrder {
    /// Parses the text of [`Display`](fmt::Display). Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (boot, nanos) = text.split_once(' ')?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_boot = !boot.is_empty() && boot.len() <= MAX_BOOT_BYTES;
        (is_boot && boot.chars().all(is_plain)).then_some(())?;
        Some(Self {
            boot: boot.to_owned(),
            nanos: nanos.parse().ok()?,
        })
    }
}

/// The counters of a node's peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatistics {
    /// When they were read; `None` where the node does not say it.
    pub taken: Option<ReadingOrder>,
    /// The earlier reading since which peers that are not in `peers` have not changed;
    /// `None` where `peers` is all.
    pub since: Option<ReadingOrder>,
    pub peers: Vec<PeerStatistics>,
}
