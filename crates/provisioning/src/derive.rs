//! What each port needs, made from one tenant of a spec. Pure functions: an equal tenant
//! and equal settings always give an equal result.

use crate::spec::{
    ContainerSpec, DNS_USER, DnsClient, DnsInstance, FirewallTenant, InterfaceSpec, NodeSettings,
    PeerSpec,
};
use domain::{Secret, marks::INTERFACE_ALIAS_PREFIX};
use ipnet::Ipv4Net;
use protocol::TenantSpec;
use std::{collections::BTreeMap, net::Ipv4Addr};

/// What the engine derives from a [`TenantSpec`].
pub trait TenantSpecExt {
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
    fn clients(&self) -> BTreeMap<String, DnsClient>;

    /// Returns the content of `wg<n>.conf`, in the format of `wg setconf` (`wg(8)`).
    fn wg_conf(&self) -> Secret;
}

impl TenantSpecExt for TenantSpec {
    fn owner(&self) -> String {
        format!("{INTERFACE_ALIAS_PREFIX}{}", self.name)
    }

    fn interface(&self, s: &NodeSettings) -> InterfaceSpec {
        let gateway = s.addresses.gateway(self.slot);
        let peers = self.devices.values().map(|d| {
            let peer = PeerSpec {
                preshared_key: d.preshared_key.clone(),
                address: d.address,
            };
            (d.public_key, peer)
        });
        InterfaceSpec {
            slot: self.slot,
            owner: self.owner(),
            private_key: self.private_key.clone(),
            address: Ipv4Net::new_assert(gateway, s.addresses.subnet(self.slot).prefix_len()),
            peers: peers.collect(),
        }
    }

    fn firewall(&self, s: &NodeSettings, dns: Option<Ipv4Addr>) -> FirewallTenant {
        let mesh = self.devices.values().filter(|d| d.mesh);
        FirewallTenant {
            slot: self.slot,
            subnet: s.addresses.subnet(self.slot),
            gateway: s.addresses.gateway(self.slot),
            dns,
            mesh: mesh.map(|d| d.address).collect(),
            stopped: self.limits.stopped,
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
            user: DNS_USER,
            password: self.dns_password.clone(),
            password_hash: self.dns_password_hash.clone(),
            conf_dir: container.conf_dir,
            work_dir: container.work_dir,
            image: container.image,
        }
    }

    fn clients(&self) -> BTreeMap<String, DnsClient> {
        let clients = self.devices.values().map(|d| {
            let client = DnsClient {
                name: d.label.to_string(),
                address: d.address,
                policy: d.policy,
            };
            (d.client_id.clone(), client)
        });
        clients.collect()
    }

    fn wg_conf(&self) -> Secret {
        let mut text = format!(
            "# MalikNode writes this file; changes by hand are undone.\n[Interface]\nPrivateKey = {}\nListenPort = {}\n",
            *self.private_key.expose(),
            self.slot.listen_port()
        );
        for d in self.devices.values() {
            text.push_str(&format!(
                "\n[Peer]\nPublicKey = {}\nPresharedKey = {}\nAllowedIPs = {}/32\n",
                d.public_key,
                *d.preshared_key.expose(),
                d.address
            ));
        }
        Secret::new(text)
    }
}
