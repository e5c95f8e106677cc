//! What each port needs, made from one tenant of a spec. Pure functions: an equal tenant
//! and equal settings always give an equal result.

use crate::spec::{
    ContainerSpec, DnsClient, DnsInstance, FirewallTenant, InterfaceSpec, NodeSettings, PacketRate,
    PeerSpec,
};
use domain::{
    Ipv6Subnet, Secret,
    marks::{DNS_USER, INTERFACE_ALIAS_PREFIX},
};
use ipnet::{Ipv4Net, Ipv6Net};
use protocol::{DeviceNames, DeviceSpec, SpeedLimits, TenantSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// What the engine derives from a [`TenantSpec`].
pub trait TenantSpecExt {
    /// Returns its network of IPv6, if its tunnel on this node has one.
    fn subnet6(&self, s: &NodeSettings) -> Option<Ipv6Subnet>;

    /// Returns the owner mark on this tenant's interface.
    fn owner(&self) -> String;

    /// Returns the interface that it should have.
    fn interface(&self, s: &NodeSettings) -> InterfaceSpec;

    /// Returns its elements in the firewall. `dns` is where its DNS queries are sent.
    fn firewall(&self, s: &NodeSettings, dns: Option<Ipv4Addr>) -> FirewallTenant;

    /// Returns the container that it should have.
    fn container(&self, s: &NodeSettings) -> ContainerSpec;

    /// Returns its AdGuard Home.
    fn dns(&self, s: &NodeSettings) -> DnsInstance;

    /// Returns the persistent clients that its AdGuard Home should have, by our id.
    fn clients(&self, s: &NodeSettings) -> BTreeMap<String, DnsClient>;

    /// Returns the content of `wg<n>.conf`, in the format of `wg setconf` (`wg(8)`).
    fn wg_conf(&self) -> Secret;

    /// Returns what of [`wg_conf`](Self::wg_conf) is stored: without its secrets, if the node
    /// keeps them in no file.
    fn stored_wg_conf(&self, s: &NodeSettings) -> Secret;
}

impl TenantSpecExt for TenantSpec {
    fn subnet6(&self, s: &NodeSettings) -> Option<Ipv6Subnet> {
        self.ipv6.filter(|_| s.ipv6)
    }

    fn owner(&self) -> String {
        format!("{INTERFACE_ALIAS_PREFIX}{}", self.name)
    }

    fn interface(&self, s: &NodeSettings) -> InterfaceSpec {
        let gateway = s.addresses.gateway(self.slot);
        let subnet6 = self.subnet6(s);
        let peers = self.devices.values().map(|d| {
            let peer = PeerSpec {
                preshared_key: d.preshared_key.clone(),
                address: d.address,
                address6: subnet6.map(|net| net.device(d.address)),
            };
            (d.public_key, peer)
        });
        InterfaceSpec {
            slot: self.slot,
            owner: self.owner(),
            private_key: self.private_key.clone(),
            address: Ipv4Net::new_assert(gateway, s.addresses.subnet(self.slot).prefix_len()),
            address6: subnet6.map(|net| Ipv6Net::new_assert(net.gateway(), Ipv6Subnet::LENGTH)),
            peers: peers.collect(),
        }
    }

    fn firewall(&self, s: &NodeSettings, dns: Option<Ipv4Addr>) -> FirewallTenant {
        let of = |is_meant: fn(&DeviceSpec) -> bool| -> BTreeSet<Ipv4Addr> {
            let devices = self.devices.values().filter(|d| is_meant(d));
            devices.map(|d| d.address).collect()
        };
        let (mesh, locked) = (of(|d| d.mesh), of(|d| d.policy.is_lock()));
        let subnet6 = self.subnet6(s);
        let of_ipv6 = |devices: &BTreeSet<Ipv4Addr>| {
            let all = devices.iter();
            let all = all.filter_map(|at| subnet6.map(|net| net.device(*at)));
            all.collect()
        };
        FirewallTenant {
            slot: self.slot,
            subnet: s.addresses.subnet(self.slot),
            gateway: s.addresses.gateway(self.slot),
            dns,
            subnet6,
            mesh6: of_ipv6(&mesh),
            locked6: of_ipv6(&locked),
            mesh,
            locked,
            stopped: self.limits.stopped,
            tunnel_packets: tunnel_packets(&self.limits.speed, s.tunnel_packets),
        }
    }

    fn container(&self, s: &NodeSettings) -> ContainerSpec {
        let data = s.tenant_dir(&self.name).join("adguard_data");
        ContainerSpec {
            slot: self.slot,
            tenant: self.name.clone(),
            image: s.image.clone(),
            address: s.addresses.container(self.slot),
            conf_dir: data.join("conf"),
            work_dir: data.join("work"),
            lists_dir: s.lists_dir(),
            memory_bytes: s.dns_memory_bytes,
            cpu_thousandths: s.dns_cpu_thousandths,
            owner: self.private_key.public(),
        }
    }

    fn dns(&self, s: &NodeSettings) -> DnsInstance {
        let container = self.container(s);
        DnsInstance {
            slot: self.slot,
            address: container.address,
            subnet: s.addresses.subnet(self.slot),
            subnet6: self.ipv6,
            domain: DeviceNames::domain(&self.name),
            user: DNS_USER,
            password: self.dns_password.clone(),
            password_hash: self.dns_password_hash.clone(),
            conf_dir: container.conf_dir,
            work_dir: container.work_dir,
            image: container.image,
        }
    }

    fn clients(&self, s: &NodeSettings) -> BTreeMap<String, DnsClient> {
        let names = DeviceNames::of_spec(&self.name, &self.devices);
        let subnet6 = self.subnet6(s);
        let clients = self.devices.iter().map(|(id, d)| {
            let client = DnsClient {
                name: d.label.to_string(),
                address: d.address,
                address6: subnet6.map(|net| net.device(d.address)),
                policy: d.policy,
                host_name: names.get(*id).to_owned(),
            };
            (d.client_id.clone(), client)
        });
        clients.collect()
    }

    fn wg_conf(&self) -> Secret {
        wg_conf(self, true)
    }

    fn stored_wg_conf(&self, s: &NodeSettings) -> Secret {
        wg_conf(self, s.key_files)
    }
}

fn wg_conf(t: &TenantSpec, has_secrets: bool) -> Secret {
    let mut text = "# MalikNode writes this file; changes by hand are undone.\n".to_owned();
    if !has_secrets {
        text.push_str("# Without private and preshared keys (setting key_files).\n");
    }
    text.push_str("[Interface]\n");
    if has_secrets {
        text.push_str(&format!("PrivateKey = {}\n", *t.private_key.expose()));
    }
    text.push_str(&format!("ListenPort = {}\n", t.slot.listen_port()));
    for d in t.devices.values() {
        text.push_str(&format!("\n[Peer]\nPublicKey = {}\n", d.public_key));
        if has_secrets {
            text.push_str(&format!("PresharedKey = {}\n", *d.preshared_key.expose()));
        }
        text.push_str(&format!("AllowedIPs = {}/32", d.address));
        if let Some(net) = t.ipv6 {
            text.push_str(&format!(", {}/128", net.device(d.address)));
        }
        text.push('\n');
    }
    Secret::new(text)
}

/// Of the speed from the devices, so much is reached also with small packets, in bits per
/// second.
const SMALL_PACKETS_BPS: u64 = 20_000_000;
/// The size of small packets in bytes. Calls have 200.
const SMALL_PACKET: u64 = 200;
/// The size of other packets in bytes: a segment of TCP in the tunnel.
const FULL_PACKET: u64 = 1_380;
/// Packets per second for the rest, such as DNS, handshakes and keepalives.
const OTHER_PACKETS: u64 = 1_000;

/// Returns how many encrypted packets a tenant's devices may send per second: enough for
/// its speed in both directions, with an acknowledgement for every second segment (RFC
/// 9293, 3.8.6.3). A direction without a limit needs `unlimited`. More small packets are
/// not granted, because each costs a processor some 10 microseconds whatever its size.
fn tunnel_packets(speed: &SpeedLimits, unlimited: PacketRate) -> PacketRate {
    let (up, down) = (speed.up_bps.unwrap_or(0), speed.down_bps.unwrap_or(0));
    let small = up.min(SMALL_PACKETS_BPS);
    let packets = small / 8 / SMALL_PACKET
        + (up - small) / 8 / FULL_PACKET
        + down / 8 / (2 * FULL_PACKET)
        + OTHER_PACKETS;
    let rate = PacketRate::at_least(packets);
    match (speed.up_bps, speed.down_bps) {
        (Some(_), Some(_)) => rate,
        _ => rate.max(unlimited),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(up_bps: Option<u64>, down_bps: Option<u64>) -> u32 {
        let unlimited = PacketRate::at_least(100_000);
        tunnel_packets(&SpeedLimits { down_bps, up_bps }, unlimited).per_second()
    }

    #[test]
    fn tunnel_packets_suffice_for_the_speed_of_the_plan() {
        const MBPS: u64 = 1_000_000;
        // 20 Mb/s of packets of 200 bytes, 50 Mb/s of acknowledgements, and 1,000: 15,764.
        assert_eq!(packets(Some(20 * MBPS), Some(50 * MBPS)), 16_000);
        assert_eq!(packets(Some(50 * MBPS), Some(50 * MBPS)), 22_624);
        // Userspace WireGuard takes some 100,000 on a processor.
        assert!(packets(Some(1_000 * MBPS), Some(1_000 * MBPS)) > 140_000);
        // What is not limited needs what the operator set, and never less than the rest.
        assert_eq!(packets(None, None), 128_000);
        assert_eq!(packets(None, Some(50 * MBPS)), 128_000);
        assert!(packets(Some(3_000 * MBPS), None) > 200_000);
        // Absurd plans.
        assert_eq!(packets(Some(1), Some(0)), 1_000);
        assert_eq!(packets(Some(u64::MAX), Some(u64::MAX)), 8_192_000);
        assert_eq!(packets(Some(u64::MAX), None), 8_192_000);
    }
}
