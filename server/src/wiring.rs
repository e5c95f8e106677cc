//! Wires the parts of the program: the node's process on this machine, and the
//! core that sees it through the port `Nodes`.

use crate::{accept, config::Config, name_server, workers};
use adguard::AdGuardSettings;
use agent::{Agent, AgentSettings, Backends, DiskLimits, SpecCheckpoint};
use conntrack::KernelLimits;
use containers::ContainerSettings;
use control::{Control, ControlParts, ControlSettings, Entropy, MailSetup, StoreSpecs};
use domain::{NodeId, SystemClock};
use firewall::{FirewallLimits, FirewallSettings};
use protocol::Nodes;
use provisioning::{NodeSettings, spec::PacketRate};
use std::{path::PathBuf, sync::Arc, time::Duration};
use store::{LOCAL_NODE, Store};

/// Returns the settings of the process of the node that this machine is.
pub(crate) fn agent_settings(config: &Config, node: NodeId) -> AgentSettings {
    AgentSettings {
        node,
        engine: NodeSettings {
            addresses: config.addresses.plan,
            ipv6: wireguard::has_ipv6(),
            root: config.root.clone(),
            dns_memory_bytes: config.dns.memory_mb << 20,
            dns_cpu_thousandths: config.limits.dns_cpu_thousandths(),
            tunnel_packets: PacketRate::at_least(config.limits.tunnel_packets.into()),
            image: config.dns.local_image().to_owned(),
            fallback_dns: config.dns.plain_fallback(),
            key_files: config.key_files,
        },
        wireguard: wireguard::Settings {
            choice: config.wireguard,
            exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
            unit: config.wireguard_unit.clone(),
            socket: config.userspace_socket(),
            log: config.runtime_dir.join("wg-userspace.log"),
        },
        firewall: firewall_settings(config),
        containers: container_settings(config),
        dns: AdGuardSettings {
            upstreams: config.dns.upstreams.clone(),
            bootstrap: config.dns.bootstrap.clone(),
            fallback: config.dns.fallback.clone(),
            also_allowed: vec![config.addresses.plan.bridge()],
            ..AdGuardSettings::default()
        },
        lists: config.dns.lists.clone(),
        memory_reserve: config.memory_reserve(),
        max_tenants: config.max_tenants.map(u32::from),
        disk: DiskLimits {
            soft_bytes: config.limits.disk_soft_mb << 20,
            hard_bytes: config.limits.disk_hard_mb << 20,
            min_free_percent: config.limits.disk_free_percent,
        },
    }
}

/// Returns the limits on clients of the pages.
pub(crate) fn accept_limits(config: &Config) -> accept::Limits {
    accept::Limits {
        per_address: config.limits.web_connections as usize,
        unlimited: config.trusted_proxies.clone(),
        ..accept::Limits::default()
    }
}

/// Returns what the limits of tenants need of the kernel's table of connections.
pub(crate) fn kernel_limits(config: &Config) -> KernelLimits {
    KernelLimits {
        per_tenant: config.limits.connections_per_tenant,
        established: config.limits.established(),
        // Where it cannot be read, what the tenants' limits need remains.
        memory: memory::total_and_available().map_or(0, |(total, _)| total),
    }
}

/// Returns the settings of the firewall table.
pub(crate) fn firewall_settings(config: &Config) -> FirewallSettings {
    FirewallSettings {
        addresses: config.addresses.plan,
        allowed_private: config.allowed_private.clone(),
        resolvers: config.dns.resolver_addresses().into_iter().collect(),
        web_ports: config.web_ports(),
        web_address: Config::primary_address(),
        limits: FirewallLimits {
            connections_per_device: config.limits.connections_per_device,
            connections_per_tenant: config.limits.connections_per_tenant,
            connections_per_destination: config.limits.connections_per_destination,
            new_per_device: config.limits.new_per_device,
            new_per_tenant: config.limits.new_per_tenant,
            dns_per_second: config.limits.dns_per_second,
            dns_burst: config.limits.dns_burst,
            established_seconds: config.limits.established_seconds,
            smtp_open: config.limits.smtp_open,
        },
        ..FirewallSettings::default()
    }
}

/// Returns the settings of the DNS containers.
pub(crate) fn container_settings(config: &Config) -> ContainerSettings {
    let mut settings = ContainerSettings::new(&config.dns.image, config.addresses.plan);
    settings.host.clone_from(&config.docker_host);
    settings
}

/// Builds the process of the local node. It does nothing until [`Agent::run`] is called.
/// The specs from the database are saved in `checkpoint`, if there is one.
pub(crate) fn agent(
    backends: &Backends,
    store: &Store,
    checkpoint: Option<SpecCheckpoint>,
) -> Agent {
    let feed = StoreSpecs::new(store.clone(), LOCAL_NODE, Arc::new(SystemClock));
    backends.agent(Arc::new(feed), checkpoint)
}

/// Builds the core that sees these nodes. It does nothing in the background until
/// [`Control::run`] is called.
pub(crate) fn control(
    config: &Config,
    store: Store,
    nodes: Arc<dyn Nodes>,
    control_plane: String,
    mail: Option<MailSetup>,
) -> Control {
    let parts = ControlParts {
        workers: workers::access(&store, config.nodes.address.clone()),
        names: name_server::endpoint_names(&config.names),
        store,
        nodes,
        clock: Arc::new(SystemClock),
        entropy: Entropy::system(),
        settings: ControlSettings {
            control_plane,
            address: config.nodes.own_address.clone(),
            addresses: config.addresses.plan,
            public_host: config.public_host.clone(),
            local: (!config.no_node).then_some(LOCAL_NODE),
            excluded_slots: config.excluded_slots.clone(),
            max_tenants: config.max_tenants.map(u32::from),
            base_url: format!("{}://{}", config.scheme, config.base),
            sign_up: config.sign_up,
            sign_ups_per_hour: config.sign_ups_per_hour,
            sign_ups_per_hour_total: config.sign_ups_per_hour_total,
            sleep_after: Duration::from_secs(3_600 * u64::from(config.sleep_after_hours)),
            forward_time: Duration::from_secs(3_600 * u64::from(config.nodes.forward_hours)),
            time_zone: config.time_zone.clone(),
        },
    };
    Control::with_mail(parts, mail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration refuses what the firewall would, with the setting's name.
    #[test]
    fn every_accepted_limit_suits_the_firewall() {
        for limits in [
            "",
            "connections_per_device = 100\nconnections_per_tenant = 1000\nconnections_per_destination = 100\nnew_per_device = 10\nnew_per_tenant = 10\ntunnel_packets = 1000\ndns_per_second = 5\ndns_burst = 5",
            "connections_per_device = 65536\nconnections_per_tenant = 262144\nconnections_per_destination = 41560\nnew_per_device = 100000\nnew_per_tenant = 100000\ntunnel_packets = 8000000\ndns_per_second = 100000\ndns_burst = 1000000",
        ] {
            let text = format!("[limits]\n{limits}\n");
            let config = Config::from_text("/nowhere".into(), "config.toml".into(), &text);
            let settings = firewall_settings(&config.unwrap());
            assert_eq!(settings.check(), Ok(()), "{limits}");
        }
        let default = Config::from_text("/nowhere".into(), "config.toml".into(), "").unwrap();
        let settings = firewall_settings(&default);
        assert_eq!(settings.limits, FirewallLimits::default());
        assert!(settings.resolvers.contains(&"9.9.9.10".parse().unwrap()));
    }
}
