//! Reads and writes the kernel's WireGuard devices over generic netlink
//! (`linux/wireguard.h`). wireguard-control is synchronous and therefore runs on
//! blocking threads.

use domain::{PresharedKey, PublicKey, Slot, Timestamp};
use ipnet::IpNet;
use protocol::PeerStatistics;
use provisioning::{observed::ObservedPeer, ports::PeerChange};
use std::{collections::BTreeMap, io};
use wireguard_control::{Backend, Device, DeviceUpdate, Key, PeerConfigBuilder, PeerInfo};

/// Adds the change of peers to an update.
pub(crate) fn with_peers(update: DeviceUpdate, change: &PeerChange) -> DeviceUpdate {
    let removed = change.remove.iter().fold(update, |update, key| {
        update.remove_peer_by_key(&Key(*key.as_bytes()))
    });
    change.set.iter().fold(removed, |update, (key, spec)| {
        let peer = PeerConfigBuilder::new(&Key(*key.as_bytes()))
            .set_preshared_key(Key(*spec.preshared_key.as_bytes()))
            .replace_allowed_ips();
        let own = spec.allowed_ips();
        update.add_peer(own.iter().fold(peer, |peer, net| {
            peer.add_allowed_ip(net.addr(), net.prefix_len())
        }))
    })
}

/// Applies an update to an existing device. wireguard-control would create one that
/// does not exist.
pub(crate) async fn apply(name: &str, update: DeviceUpdate) -> io::Result<()> {
    let name = name.parse()?;
    blocking(move || update.apply(&name, Backend::Kernel)).await
}

/// Reads a device with its peers.
pub(crate) async fn read(name: &str) -> io::Result<Device> {
    let name = name.parse()?;
    blocking(move || Device::get(&name, Backend::Kernel)).await
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let result = tokio::task::spawn_blocking(call)
        .await
        .map_err(io::Error::other)?;
    // The library's own errors quote the message with its keys, so only the kernel's
    // are returned as they are.
    result.map_err(|e| match e.raw_os_error() {
        Some(_) => e,
        None => io::Error::from(e.kind()),
    })
}

/// Returns the device's public key.
pub(crate) fn public_key(device: &Device) -> Option<PublicKey> {
    let key = device.public_key.as_ref()?;
    Some(PublicKey::from_bytes(key.0))
}

/// Returns the peers of a dump. A long dump has several parts, and a peer whose
/// allowed IPs did not fit is repeated with only the rest of them
/// (`linux/wireguard.h`, "fragmentation"); the parts of a peer are merged.
pub(crate) fn merge_peers(parts: &[PeerInfo]) -> BTreeMap<PublicKey, ObservedPeer> {
    let mut peers = BTreeMap::new();
    for part in parts {
        let peer = peers
            .entry(PublicKey::from_bytes(part.config.public_key.0))
            .or_insert_with(|| ObservedPeer {
                preshared_key: None,
                allowed_ips: Default::default(),
            });
        // The kernel reports "no key" as zeros.
        if let Some(key) = part.config.preshared_key.as_ref()
            && key.0 != [0; 32]
        {
            peer.preshared_key = Some(PresharedKey::from_random(key.0));
        }
        let nets = part.config.allowed_ips.iter();
        peer.allowed_ips
            .extend(nets.filter_map(|a| IpNet::new(a.address, a.cidr).ok()));
    }
    peers
}

/// Returns the counters of a dump's peers.
pub(crate) fn statistics(slot: Slot, parts: &[PeerInfo]) -> Vec<PeerStatistics> {
    let mut peers: BTreeMap<PublicKey, PeerStatistics> = BTreeMap::new();
    for part in parts {
        let public_key = PublicKey::from_bytes(part.config.public_key.0);
        // The first part has the counters, the others have zeros.
        peers.entry(public_key).or_insert_with(|| PeerStatistics {
            slot,
            public_key,
            last_handshake: part.stats.last_handshake_time.and_then(timestamp),
            endpoint: part.config.endpoint,
            rx_bytes: part.stats.rx_bytes,
            tx_bytes: part.stats.tx_bytes,
        });
    }
    peers.into_values().collect()
}

fn timestamp(t: std::time::SystemTime) -> Option<Timestamp> {
    let since = t.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_peer_are_merged() {
        let part = |ips: &[&str]| {
            let mut p = PeerInfo::from_public_key(Key([1; 32]));
            p.config.allowed_ips = ips.iter().map(|i| i.parse().unwrap()).collect();
            p
        };
        let mut first = part(&["10.88.1.2/32"]);
        first.config.preshared_key = Some(Key([2; 32]));
        first.stats.rx_bytes = 7;
        let parts = [first, part(&["10.88.1.3/32", "fd00::/64"])];

        let peers = merge_peers(&parts);
        assert_eq!(peers.len(), 1);
        let peer = &peers[&PublicKey::from_bytes([1; 32])];
        assert_eq!(peer.allowed_ips.len(), 3);
        assert_eq!(peer.preshared_key, Some(PresharedKey::from_random([2; 32])));

        let statistics = super::statistics(Slot::FIRST, &parts);
        assert_eq!(statistics.len(), 1);
        assert_eq!(statistics[0].rx_bytes, 7);
    }

    #[test]
    fn a_preshared_key_of_zeros_is_none() {
        let mut p = PeerInfo::from_public_key(Key([1; 32]));
        p.config.preshared_key = Some(Key([0; 32]));
        let peers = merge_peers(&[p]);
        assert!(peers.values().all(|p| p.preshared_key.is_none()));
    }
}
