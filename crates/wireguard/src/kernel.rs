//! The kernel's WireGuard: links over rtnetlink, keys and peers over generic
//! netlink (`linux/wireguard.h`) through wireguard-control, which is
//! synchronous and therefore runs on blocking threads.
//!
//! An interface is made under another name and gets its own once it carries
//! our mark, key and peers: a crash half-way leaves nothing that looks like
//! somebody else's `wg1`.

use crate::{
    diff, events,
    failure::{absent, is, late, name_foreign, port_taken, refused},
    is_ours,
    links::{Link, Links},
};
use async_trait::async_trait;
use domain::{PresharedKey, PublicKey, Slot, Timestamp};
use futures_util::stream::BoxStream;
use ipnet::IpNet;
use nix::errno::Errno;
use provisioning::{
    observed::{ObservedInterface, ObservedPeer, PeerStatistics},
    ports::{PeerChange, PortResult, WireGuard},
    spec::InterfaceSpec,
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard};
use wireguard_control::{Backend, Device, DeviceUpdate, Key, PeerConfigBuilder, PeerInfo};

/// A call that takes longer than this has hung.
const CALL: Duration = Duration::from_secs(20);
/// Slots share this many locks.
const LOCKS: usize = 64;

/// The kernel's WireGuard.
pub struct Kernel {
    /// One change at a time for a slot; most slots do not wait for each other.
    locks: Arc<[Mutex<()>; LOCKS]>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// The WireGuard of the kernel in the calling thread's network namespace.
    /// Does nothing yet; [`crate::examine`] says whether there is one.
    pub fn new() -> Self {
        Self {
            locks: Arc::new(std::array::from_fn(|_| Mutex::new(()))),
        }
    }

    async fn lock(&self, slot: Slot) -> MutexGuard<'_, ()> {
        self.locks[usize::from(slot.get()) % LOCKS].lock().await
    }

    async fn create(&self, links: &Links, spec: &InterfaceSpec) -> PortResult<()> {
        let name = spec.slot.interface();
        let doing = format!("create {name}");
        let fail = |e| refused(&doing, e);
        let draft = format!("mn{name}");
        // What a crash left.
        if let Some(old) = links.by_name(&draft).await.map_err(fail)? {
            links.delete(old.index).await.map_err(fail)?;
        }
        links.add_wireguard(&draft).await.map_err(fail)?;
        let made = links.by_name(&draft).await.map_err(fail)?;
        let Some(made) = made else {
            let gone = io::Error::from_raw_os_error(Errno::ENODEV as i32);
            return Err(fail(gone));
        };
        let done = self.furnish(links, spec, &made).await;
        if done.is_err() {
            // By index: it may carry either name by now.
            links.delete(made.index).await.map_err(fail)?;
        }
        done
    }

    async fn furnish(&self, links: &Links, spec: &InterfaceSpec, made: &Link) -> PortResult<()> {
        let name = spec.slot.interface();
        let doing = format!("create {name}");
        let fail = |e| refused(&doing, e);
        links
            .set_alias(made.index, &spec.owner)
            .await
            .map_err(fail)?;
        let change = PeerChange {
            remove: vec![],
            set: spec.peers.clone(),
        };
        let update = DeviceUpdate::new()
            .set_private_key(Key(*spec.private_key.as_bytes()))
            .set_listen_port(spec.slot.listen_port());
        apply(&made.name, with_peers(update, &change))
            .await
            .map_err(fail)?;
        links
            .set_address(made.index, spec.address)
            .await
            .map_err(fail)?;
        match links.rename(made.index, &name).await {
            Err(e) if is(&e, Errno::EEXIST) => return Err(name_foreign(spec.slot)),
            other => other.map_err(fail)?,
        }
        up(links, spec.slot, made.index).await
    }

    async fn update(&self, links: &Links, spec: &InterfaceSpec, link: &Link) -> PortResult<()> {
        let doing = format!("change {}", link.name);
        let fail = |e| refused(&doing, e);
        let now = device(&link.name).await.map_err(fail)?;
        let mut update = DeviceUpdate::new();
        let mut needed = false;
        if public_key(&now) != Some(spec.private_key.public()) {
            update = update.set_private_key(Key(*spec.private_key.as_bytes()));
            needed = true;
        }
        if now.listen_port != Some(spec.slot.listen_port()) {
            update = update.set_listen_port(spec.slot.listen_port());
            needed = true;
        }
        let change = diff::peers(&spec.peers, &merged(&now.peers));
        if needed || !change.is_empty() {
            match apply(&link.name, with_peers(update, &change)).await {
                Err(e) if is(&e, Errno::EADDRINUSE) => return Err(port_taken(spec.slot, e)),
                other => other.map_err(fail)?,
            }
        }
        links
            .set_address(link.index, spec.address)
            .await
            .map_err(fail)?;
        if !link.up || link.mtu != crate::MTU {
            up(links, spec.slot, link.index).await?;
        }
        Ok(())
    }

    async fn try_ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let name = spec.slot.interface();
        let doing = format!("make {name}");
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let _one = self.lock(spec.slot).await;
        match links.by_name(&name).await.map_err(fail)? {
            None => self.create(&links, spec).await,
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(spec.slot)),
            // The userspace side's TUN, or another tenant's: start afresh.
            Some(link) if !link.wireguard || link.alias.as_ref() != Some(&spec.owner) => {
                links.delete(link.index).await.map_err(fail)?;
                self.create(&links, spec).await
            }
            Some(link) => self.update(&links, spec, &link).await,
        }
    }

    async fn try_change(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let name = slot.interface();
        let doing = format!("change the devices of {name}");
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let _one = self.lock(slot).await;
        // wireguard-control makes an interface that is not there: look first.
        match links.by_name(&name).await.map_err(fail)? {
            None => Err(absent(slot)),
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(slot)),
            Some(link) if !link.wireguard => Err(absent(slot)),
            Some(_) if change.is_empty() => Ok(()),
            Some(_) => apply(&name, with_peers(DeviceUpdate::new(), change))
                .await
                .map_err(fail),
        }
    }

    async fn try_delete(&self, slot: Slot) -> PortResult<()> {
        let name = slot.interface();
        let doing = format!("remove {name}");
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let _one = self.lock(slot).await;
        match links.by_name(&name).await.map_err(fail)? {
            None => Ok(()),
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(slot)),
            Some(link) => links.delete(link.index).await.map_err(fail),
        }
    }

    async fn try_observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        let fail = |e| refused("read the network interfaces", e);
        let links = Links::open().map_err(fail)?;
        let mut found = links.observed().await.map_err(fail)?;
        for (link, interface) in found.values_mut() {
            if !link.wireguard || interface.owner.is_none() {
                continue;
            }
            match device(&link.name).await {
                Ok(now) => {
                    interface.public_key = public_key(&now);
                    interface.listen_port = now.listen_port.unwrap_or(0);
                    interface.peers = merged(&now.peers);
                }
                // It went since we listed it: the next look will not see it.
                Err(e) if is(&e, Errno::ENODEV) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(found.into_iter().map(|(s, (_, i))| (s, i)).collect())
    }

    async fn try_statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        let fail = |e| refused("read the counters", e);
        let links = Links::open().map_err(fail)?.all().await.map_err(fail)?;
        let mut all = Vec::new();
        for link in links {
            let Some(slot) = Slot::of_interface(&link.name) else {
                continue;
            };
            if !link.wireguard || !is_ours(link.alias.as_deref()) {
                continue;
            }
            match device(&link.name).await {
                Ok(now) => all.extend(statistics_of(slot, &now.peers)),
                Err(e) if is(&e, Errno::ENODEV) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(all)
    }
}

#[async_trait]
impl WireGuard for Kernel {
    fn describe(&self) -> String {
        "kernel WireGuard".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        bounded("read the network interfaces", self.try_observe()).await
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let action = format!("make {}", spec.slot.interface());
        bounded(&action, self.try_ensure(spec)).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let action = format!("change the devices of {}", slot.interface());
        bounded(&action, self.try_change(slot, change)).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        let action = format!("remove {}", slot.interface());
        bounded(&action, self.try_delete(slot)).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        bounded("read the counters", self.try_statistics()).await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        events::links()
    }
}

async fn bounded<T>(action: &str, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
    tokio::time::timeout(CALL, call)
        .await
        .unwrap_or_else(|_| Err(late(action)))
}

async fn up(links: &Links, slot: Slot, index: u32) -> PortResult<()> {
    match links.bring_up(index).await {
        Err(e) if is(&e, Errno::EADDRINUSE) => Err(port_taken(slot, e)),
        other => other.map_err(|e| refused(&format!("bring {} up", slot.interface()), e)),
    }
}

fn with_peers(update: DeviceUpdate, change: &PeerChange) -> DeviceUpdate {
    let removed = change.remove.iter().fold(update, |update, key| {
        update.remove_peer_by_key(&Key(*key.as_bytes()))
    });
    change.set.iter().fold(removed, |update, (key, spec)| {
        update.add_peer(
            PeerConfigBuilder::new(&Key(*key.as_bytes()))
                .set_preshared_key(Key(*spec.preshared_key.as_bytes()))
                .replace_allowed_ips()
                .add_allowed_ip(spec.address.into(), 32),
        )
    })
}

async fn apply(name: &str, update: DeviceUpdate) -> io::Result<()> {
    let name = name.parse()?;
    blocking(move || update.apply(&name, Backend::Kernel)).await
}

async fn device(name: &str) -> io::Result<Device> {
    let name = name.parse()?;
    blocking(move || Device::get(&name, Backend::Kernel)).await
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let result = tokio::task::spawn_blocking(call)
        .await
        .map_err(io::Error::other)?;
    // Errors of the library's own making quote the message, keys and all:
    // only the kernel's pass.
    result.map_err(|e| match e.raw_os_error() {
        Some(_) => e,
        None => io::Error::from(e.kind()),
    })
}

fn public_key(device: &Device) -> Option<PublicKey> {
    let key = device.public_key.as_ref()?;
    Some(PublicKey::from_bytes(key.0))
}

/// A long dump comes in parts, and a peer whose allowed IPs did not fit comes
/// again with the rest and nothing else (`linux/wireguard.h`, "fragmentation"):
/// the parts of a peer are put together.
fn merged(parts: &[PeerInfo]) -> BTreeMap<PublicKey, ObservedPeer> {
    let mut peers = BTreeMap::new();
    for part in parts {
        let peer = peers
            .entry(PublicKey::from_bytes(part.config.public_key.0))
            .or_insert_with(|| ObservedPeer {
                preshared_key: None,
                allowed_ips: Default::default(),
            });
        // The kernel says "none" with zeros.
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

fn statistics_of(slot: Slot, parts: &[PeerInfo]) -> Vec<PeerStatistics> {
    let mut peers: BTreeMap<PublicKey, PeerStatistics> = BTreeMap::new();
    for part in parts {
        let public_key = PublicKey::from_bytes(part.config.public_key.0);
        // The first part has the counters, the others zeros.
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
    fn the_parts_of_a_long_dump_are_one_peer() {
        let part = |ips: &[&str]| {
            let mut p = PeerInfo::from_public_key(Key([1; 32]));
            p.config.allowed_ips = ips.iter().map(|i| i.parse().unwrap()).collect();
            p
        };
        let mut first = part(&["10.88.1.2/32"]);
        first.config.preshared_key = Some(Key([2; 32]));
        first.stats.rx_bytes = 7;
        let parts = [first, part(&["10.88.1.3/32", "fd00::/64"])];

        let peers = merged(&parts);
        assert_eq!(peers.len(), 1);
        let peer = &peers[&PublicKey::from_bytes([1; 32])];
        assert_eq!(peer.allowed_ips.len(), 3);
        assert_eq!(peer.preshared_key, Some(PresharedKey::from_random([2; 32])));

        let statistics = statistics_of(Slot::FIRST, &parts);
        assert_eq!(statistics.len(), 1);
        assert_eq!(statistics[0].rx_bytes, 7);
    }

    #[test]
    fn a_preshared_key_of_zeros_is_none() {
        let mut p = PeerInfo::from_public_key(Key([1; 32]));
        p.config.preshared_key = Some(Key([0; 32]));
        let peers = merged(&[p]);
        assert!(peers.values().all(|p| p.preshared_key.is_none()));
    }
}
