//! What the ports report once a spec is in force.

use domain::Slot;
use protocol::{SpeedLimits, TenantSpec};
use provisioning::{
    TenantSpecExt,
    hash::content_hash,
    observed::{ObservedDnsClient, ObservedFolder, ObservedInterface, ObservedPeer, ObservedSpeed},
    spec::{DnsClient, InterfaceSpec, PeerSpec},
};
use std::collections::BTreeMap;

/// Returns a peer as WireGuard reports it.
pub fn peer(spec: &PeerSpec) -> ObservedPeer {
    ObservedPeer {
        preshared_key: Some(spec.preshared_key.clone()),
        allowed_ips: spec.allowed_ips(),
    }
}

/// Returns an interface as WireGuard reports it.
pub fn interface(spec: &InterfaceSpec) -> ObservedInterface {
    ObservedInterface {
        owner: Some(spec.owner.clone()),
        public_key: Some(spec.private_key.public()),
        listen_port: spec.slot.listen_port(),
        addresses: spec.addresses(),
        up: true,
        peers: spec.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
    }
}

/// Returns speed limits as the kernel reports them.
pub fn speed(limits: SpeedLimits) -> ObservedSpeed {
    ObservedSpeed {
        limits,
        intact: true,
    }
}

/// Returns persistent clients, by their ids, as AdGuard Home reports them.
pub fn dns_clients(clients: &BTreeMap<String, DnsClient>) -> BTreeMap<String, ObservedDnsClient> {
    let observed = |c: &DnsClient| ObservedDnsClient {
        name: c.name.clone(),
        addresses: [c.address].into(),
        policy: Some(c.policy),
    };
    clients
        .iter()
        .map(|(id, c)| (id.clone(), observed(c)))
        .collect()
}

/// Returns a tenant's folder as it is read after it was written.
pub fn folder(tenant: &TenantSpec) -> ObservedFolder {
    let conf = conf_name(tenant.slot);
    ObservedFolder {
        wg_confs: [(conf, content_hash(tenant.wg_conf().expose().as_bytes()))].into(),
        owner: Some(tenant.private_key.public().to_string()),
        ..ObservedFolder::default()
    }
}

fn conf_name(slot: Slot) -> String {
    format!("{}.conf", slot.interface())
}
