//! Wires the parts of the program: the node's process on this machine, and the
//! core that sees it through the port `Nodes`.

use crate::config::Config;
use adguard::AdGuardSettings;
use agent::{Agent, AgentSettings, Backends, SpecCheckpoint};
use containers::ContainerSettings;
use control::{Control, ControlParts, ControlSettings, Entropy, StoreSpecs};
use domain::SystemClock;
use firewall::FirewallSettings;
use provisioning::NodeSettings;
use std::{path::PathBuf, sync::Arc};
use store::{LOCAL_NODE, Store};

/// Returns the settings of the node's process.
pub(crate) fn agent_settings(config: &Config) -> AgentSettings {
    AgentSettings {
        node: LOCAL_NODE,
        engine: NodeSettings {
            addresses: config.addresses,
            root: config.root.clone(),
            dns_memory_bytes: config.dns.memory_mb << 20,
            image: config.dns.image.clone(),
            fallback_dns: config.dns.plain_fallback(),
        },
        wireguard: wireguard::Settings {
            choice: config.wireguard,
            exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
            socket: config.userspace_socket(),
            log: config.runtime_dir.join("wg-userspace.log"),
        },
        firewall: FirewallSettings {
            addresses: config.addresses,
            allowed_private: config.allowed_private.clone(),
            ..FirewallSettings::default()
        },
        containers: container_settings(config),
        dns: AdGuardSettings {
            upstreams: config.dns.upstreams.clone(),
            bootstrap: config.dns.bootstrap.clone(),
            fallback: config.dns.fallback.clone(),
            also_allowed: vec![config.addresses.bridge()],
            ..AdGuardSettings::default()
        },
        lists: config.dns.lists.clone(),
        memory_reserve: config.memory_reserve(),
    }
}

/// Returns the settings of the DNS containers.
pub(crate) fn container_settings(config: &Config) -> ContainerSettings {
    let mut settings = ContainerSettings::new(&config.dns.image, config.addresses);
    settings.host.clone_from(&config.docker_host);
    settings
}

/// Builds the node's process on the backends, and the core that sees it. Neither
/// works until [`Agent::run`] and [`Control::run`] are called. The specs from the
/// database are saved in `checkpoint`, if there is one.
pub(crate) fn core(
    config: &Config,
    backends: &Backends,
    store: Store,
    checkpoint: Option<SpecCheckpoint>,
) -> (Agent, Control) {
    let clock = Arc::new(SystemClock);
    let feed = StoreSpecs::new(store.clone(), LOCAL_NODE, clock.clone());
    let agent = backends.agent(Arc::new(feed), checkpoint);
    let control = Control::new(ControlParts {
        store,
        nodes: Arc::new(agent.nodes()),
        clock,
        entropy: Entropy::system(),
        settings: ControlSettings {
            addresses: config.addresses,
            public_host: config.public_host.clone(),
            node: LOCAL_NODE,
            excluded_slots: config.excluded_slots.clone(),
            max_tenants: config.max_tenants.map(u32::from),
            sign_ups_per_hour: config.sign_ups_per_hour,
        },
    });
    (agent, control)
}
