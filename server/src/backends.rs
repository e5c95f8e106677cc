//! The implementations of the node's ports on this machine, built from the
//! configuration. Building them does not fail on a machine that is not ready:
//! each reports its problem when it is used, and is retried.

use crate::{config::Config, lazy_wireguard::LazyWireGuard};
use adguard::{AdGuard, AdGuardSettings, Lists};
use containers::{ContainerSettings, Docker};
use control::{
    CapacitySettings, CheckpointingSource, Control, ControlParts, ControlSettings, Entropy,
    SpecCheckpoint, StoreSpecs,
};
use firewall::{FirewallSettings, Nft};
use folders::DiskFolders;
use memory::MachineMemory;
use provisioning::{
    Node, NodeHandle, NodePorts, NodeSettings, SpecSource, SystemClock,
    ports::{PortError, PortResult},
};
use std::sync::Arc;
use store::{LOCAL_NODE, Store};

/// This machine's implementation of each port.
pub struct Backends {
    pub wireguard: Arc<LazyWireGuard>,
    pub firewall: Arc<Nft>,
    pub containers: Arc<Docker>,
    pub dns: Arc<AdGuard>,
    /// The shared block lists.
    pub lists: Arc<Lists>,
}

impl Backends {
    /// Builds them from the configuration; reads and changes nothing yet.
    ///
    /// # Errors
    /// An impossible configuration, or no TLS.
    pub fn new(config: &Config) -> PortResult<Self> {
        let firewall = Nft::new(FirewallSettings {
            addresses: config.addresses,
            allowed_private: config.allowed_private.clone(),
            ..FirewallSettings::default()
        })
        .map_err(|f| PortError::new(f.code, f.message))?;
        let lists = Arc::new(Lists::new(
            config.root.join("lists"),
            config.dns.lists.clone(),
        )?);
        let dns = AdGuardSettings {
            upstreams: config.dns.upstreams.clone(),
            bootstrap: config.dns.bootstrap.clone(),
            fallback: config.dns.fallback.clone(),
            also_allowed: vec![config.addresses.bridge()],
            ..AdGuardSettings::default()
        };
        Ok(Self {
            wireguard: Arc::new(LazyWireGuard::new(config)),
            firewall: Arc::new(firewall),
            containers: Arc::new(Docker::new(container_settings(config))),
            dns: Arc::new(AdGuard::new(dns, lists.clone())?),
            lists,
        })
    }

    /// Returns a reader of this machine's memory.
    pub fn memory(&self, config: &Config) -> MachineMemory {
        MachineMemory::new(self.containers.clone(), config.userspace_socket())
    }

    /// Builds the node on these backends, and the core on the node. Neither
    /// works until [`Node::run`] and [`Control::run`] are called. The specs from
    /// the database are saved in `checkpoint`, if there is one.
    pub fn core(
        &self,
        config: &Config,
        store: Store,
        checkpoint: Option<SpecCheckpoint>,
    ) -> (Node, Control) {
        let specs = StoreSpecs::new(store.clone(), LOCAL_NODE);
        let (node, handle) = match checkpoint {
            Some(file) => self.node(config, Arc::new(CheckpointingSource::new(specs, file))),
            None => self.node(config, Arc::new(specs)),
        };
        let control = Control::new(ControlParts {
            store,
            node: handle,
            clock: Arc::new(SystemClock),
            entropy: Entropy::system(),
            settings: ControlSettings {
                addresses: config.addresses,
                public_host: config.public_host.clone(),
                node: LOCAL_NODE,
                excluded_slots: config.excluded_slots.clone(),
                sign_ups_per_hour: config.sign_ups_per_hour,
            },
            capacity: CapacitySettings {
                memory: Some(Arc::new(self.memory(config))),
                reserve: config.memory_reserve(),
                max_tenants: config.max_tenants.map(u32::from),
            },
        });
        (node, control)
    }

    /// Builds a node on these backends with any source of specs.
    pub fn node(&self, config: &Config, specs: Arc<dyn SpecSource>) -> (Node, NodeHandle) {
        let settings = node_settings(config);
        let ports = NodePorts {
            wireguard: self.wireguard.clone(),
            firewall: self.firewall.clone(),
            containers: self.containers.clone(),
            dns: self.dns.clone(),
            folders: Arc::new(DiskFolders::new(settings.clone())),
            specs,
        };
        Node::new(ports, settings)
    }
}

/// Returns the settings of the DNS containers.
pub fn container_settings(config: &Config) -> ContainerSettings {
    let mut settings = ContainerSettings::new(&config.dns.image, config.addresses);
    settings.host.clone_from(&config.docker_host);
    settings
}

fn node_settings(config: &Config) -> NodeSettings {
    NodeSettings {
        addresses: config.addresses,
        root: config.root.clone(),
        dns_memory_bytes: config.dns.memory_mb << 20,
        image: config.dns.image.clone(),
        fallback_dns: config.dns.plain_fallback(),
    }
}
