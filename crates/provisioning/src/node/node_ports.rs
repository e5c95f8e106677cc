//! The ports of one node.

use crate::ports::{
    Connections, Containers, DnsFilter, Firewall, Folders, Shaping, SpecSource, WireGuard,
};
use std::sync::Arc;

/// The machine, as the node needs it.
#[derive(Clone)]
pub struct NodePorts {
    /// WireGuard interfaces.
    pub wireguard: Arc<dyn WireGuard>,
    /// The firewall.
    pub firewall: Arc<dyn Firewall>,
    /// Speed limits.
    pub shaping: Arc<dyn Shaping>,
    /// Tracked connections.
    pub connections: Arc<dyn Connections>,
    /// DNS containers.
    pub containers: Arc<dyn Containers>,
    /// AdGuard Home.
    pub dns: Arc<dyn DnsFilter>,
    /// Tenants' folders.
    pub folders: Arc<dyn Folders>,
    /// Where the spec comes from.
    pub specs: Arc<dyn SpecSource>,
}
