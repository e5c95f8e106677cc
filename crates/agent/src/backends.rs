//! The implementations of the node's ports on this machine. Building them does
//! not fail on a machine that is not ready: each reports its problem when it is
//! used, and is retried.

use crate::{
    feed_source::FeedSource, lazy_wireguard::LazyWireGuard, process::Agent,
    resources::MachineResources, settings::AgentSettings, spec_checkpoint::SpecCheckpoint,
};
use adguard::{AdGuard, Lists};
use conntrack::Conntrack;
use containers::Docker;
use firewall::Nft;
use folders::DiskFolders;
use memory::MachineMemory;
use protocol::SpecFeed;
use provisioning::{
    NodePorts, SpecSource,
    ports::{PortError, PortResult},
};
use shaping::Tc;
use std::sync::Arc;

/// This machine's implementation of each port.
pub struct Backends {
    pub wireguard: Arc<LazyWireGuard>,
    pub firewall: Arc<Nft>,
    pub containers: Arc<Docker>,
    pub dns: Arc<AdGuard>,
    /// The shared block lists.
    pub lists: Arc<Lists>,
    folders: DiskFolders,
    settings: AgentSettings,
}

impl Backends {
    /// Builds them; reads and changes nothing yet.
    ///
    /// # Errors
    /// An impossible configuration, or no TLS.
    pub fn new(settings: AgentSettings) -> PortResult<Self> {
        let firewall =
            Nft::new(settings.firewall.clone()).map_err(|f| PortError::new(f.code, f.message))?;
        let lists = Arc::new(Lists::new(
            settings.engine.lists_dir(),
            settings.lists.clone(),
        )?);
        Ok(Self {
            wireguard: Arc::new(LazyWireGuard::new(settings.wireguard.clone())),
            firewall: Arc::new(firewall),
            containers: Arc::new(Docker::new(settings.containers.clone())),
            dns: Arc::new(AdGuard::new(settings.dns.clone(), lists.clone())?),
            lists,
            folders: DiskFolders::new(settings.engine.clone()),
            settings,
        })
    }

    /// Returns a reader of this machine's memory.
    pub fn memory(&self) -> MachineMemory {
        let socket = self.settings.wireguard.socket.clone();
        MachineMemory::new(self.containers.clone(), socket)
    }

    /// Builds the process of a node that follows a control plane. It stores each
    /// spec in `checkpoint`, if there is one.
    pub fn agent(&self, feed: Arc<dyn SpecFeed>, checkpoint: Option<SpecCheckpoint>) -> Agent {
        let source = Arc::new(FeedSource::new(feed, checkpoint));
        let (settings, ports) = (&self.settings, self.ports(source.clone()));
        Agent::following(settings.node, ports, settings.engine.clone(), &source)
            .limited(settings.max_tenants)
            .relaying_dns()
            .copying(settings.node, self.folders.clone(), settings.disk)
            .measuring(Arc::new(self.memory()), settings.memory_reserve)
            .watching(
                Arc::new(self.resources()),
                settings.disk,
                settings.firewall.limits.connections_per_tenant,
            )
    }

    /// Builds the process of a node without a control plane: it holds what the
    /// checkpoint says.
    pub fn agent_from(&self, checkpoint: SpecCheckpoint) -> Agent {
        let (settings, ports) = (&self.settings, self.ports(Arc::new(checkpoint)));
        Agent::new(settings.node, ports, settings.engine.clone())
            .relaying_dns()
            .watching(
                Arc::new(self.resources()),
                settings.disk,
                settings.firewall.limits.connections_per_tenant,
            )
    }

    /// Returns a reader of what tenants use of this machine.
    fn resources(&self) -> MachineResources {
        let (engine, hard_bytes) = (self.settings.engine.clone(), self.settings.disk.hard_bytes);
        let (docker, dns) = (self.containers.clone(), self.dns.clone());
        MachineResources::new(engine, hard_bytes, docker, dns)
    }

    fn ports(&self, specs: Arc<dyn SpecSource>) -> NodePorts {
        NodePorts {
            wireguard: self.wireguard.clone(),
            firewall: self.firewall.clone(),
            shaping: Arc::new(Tc::new()),
            connections: Arc::new(Conntrack),
            containers: self.containers.clone(),
            dns: self.dns.clone(),
            folders: Arc::new(self.folders.clone()),
            specs,
        }
    }
}
