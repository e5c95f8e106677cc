//! The settings of a node's process. The server makes them from its
//! configuration; a worker will have its own.

use crate::resources::DiskLimits;
use adguard::{AdGuardSettings, List};
use containers::ContainerSettings;
use domain::NodeId;
use firewall::FirewallSettings;
use provisioning::NodeSettings;

/// What a node's process is built from. They do not change while it runs.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The node that this machine is.
    pub node: NodeId,
    /// The settings of the engine: ranges, folders, limits.
    pub engine: NodeSettings,
    pub wireguard: wireguard::Settings,
    pub firewall: FirewallSettings,
    pub containers: ContainerSettings,
    pub dns: AdGuardSettings,
    /// The block lists that all tenants share.
    pub lists: Vec<List>,
    /// Bytes of memory to keep free; `None` means
    /// [`provisioning::capacity::default_reserve`].
    pub memory_reserve: Option<u64>,
    /// How much of the disk tenants may use.
    pub disk: DiskLimits,
    /// How many tenants it may have at most; `None` for no limit.
    pub max_tenants: Option<u32>,
}
