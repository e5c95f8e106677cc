//! The ports of one node.

use crate::ports::{Containers, DnsFilter, Firewall, Folders, SpecSource, WireGuard};
use std::sync::Arc;

/// The machine, as the node needs it.
#[derive(Clone)]
pub struct NodePorts {
    /// WireGuard interfaces.
    pub wireguard: Arc<dyn WireGuard>,
    /// The firewall.
    pub firewall: Arc<dyn Firewall>,
    /// DNS containers.
    pub containers: Arc<dyn Containers>,
    /// AdGuard Home.
    pub dns: Arc<dyn DnsFilter>,
    /// Tenants' folders.
    pub folders: Arc<dyn Folders>,
    /// Where the spec comes from.
    pub specs: Arc<dyn SpecSource>,
}
