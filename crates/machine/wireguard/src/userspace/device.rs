//! One interface of the embedded WireGuard: gotatun's device on a TUN.
//!
//! Properties of gotatun 0.10.2 that this file depends on:
//! - A device that is built without peers binds no socket, so the port is set twice
//!   to make it bind.
//! - Only the library's own calls keep a session across a change; its UAPI creates
//!   the peer again.
//! - `update_peer` would clear the endpoint, so peers are changed by `modify_peer`.
//! - The age of a handshake is dropped with its session, so it is stored here.
//! - A handshake counts once it was answered; in the kernel, once the device has
//!   confirmed it. A device with a wrong preshared key therefore seems to have one.
//! - Received bytes are counted without WireGuard's 32 bytes per packet, and a
//!   keepalive as 0.

use super::sockets::Sockets;
use crate::{diff, failure::has_errno, ipv6, links::Links};
use domain::{Clock, PresharedKey, PrivateKey, PublicKey, SystemClock, Timestamp};
use gotatun::{
    device::{Device, DeviceBuilder, Error, Peer, configure::DeviceWrite},
    tun::{
        tun::{self, AbstractDevice},
        tun_async_device::TunDevice,
    },
    x25519,
};
use ipnet::IpNet;
use nix::errno::Errno;
use protocol::PeerStatistics;
use provisioning::{observed::ObservedPeer, ports::PeerChange, spec::InterfaceSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};

/// How the device reaches its peers and the kernel.
type Transports = (Sockets, TunDevice, TunDevice);
type Write<'a> = DeviceWrite<'a, Transports>;

/// Two readings whose times differ by less, in milliseconds, are of the same
/// handshake. WireGuard begins one at most every 5 s.
const SAME_HANDSHAKE_MILLIS: i64 = 1_500;

/// The reason an interface could not be created or changed.
#[derive(Debug)]
pub(super) enum DeviceError {
    /// Another program uses the UDP port.
    PortTaken(io::Error),
    /// Any other failure.
    Other(io::Error),
}

impl From<io::Error> for DeviceError {
    fn from(e: io::Error) -> Self {
        Self::Other(e)
    }
}

impl From<Error> for DeviceError {
    fn from(e: Error) -> Self {
        match e {
            Error::Bind(e, _) if has_errno(&e, Errno::EADDRINUSE) => Self::PortTaken(e),
            Error::Bind(e, _) | Error::IoError(e) => Self::Other(e),
            other => Self::Other(io::Error::other(other)),
        }
    }
}

/// An interface of this process.
pub(super) struct HostedDevice {
    device: Device<Transports>,
    /// The index of the TUN's link.
    pub index: u32,
    /// The last known handshake of each peer.
    handshakes: BTreeMap<PublicKey, Timestamp>,
}

impl HostedDevice {
    /// Creates the TUN and the device. The link is up when this returns.
    pub async fn create(links: &Links, spec: &InterfaceSpec) -> Result<Self, DeviceError> {
        let name = spec.slot.interface();
        let (tun, index) = open_tun(&name)?;
        links.set_alias(index, &spec.owner).await?;
        ipv6::prepare(&name, spec.address6.is_some());
        let device = DeviceBuilder::new()
            .with_udp(Sockets::default())
            .with_ip(tun)
            .with_private_key(secret(&spec.private_key))
            .with_listen_port(spec.slot.listen_port())
            .build()
            .await?;
        let mut hosted = Self {
            device,
            index,
            handshakes: BTreeMap::new(),
        };
        match hosted.configure(links, spec).await {
            Ok(()) => {
                // IPv4 works without it, and the next reading shows that it is missing.
                let set = links.set_address6(index, &name, spec.address6).await;
                if let Err(error) = set {
                    tracing::warn!(%name, %error, "the tunnel has no IPv6");
                }
                Ok(hosted)
            }
            Err(e) => {
                hosted.stop().await;
                Err(e)
            }
        }
    }

    async fn configure(&mut self, links: &Links, spec: &InterfaceSpec) -> Result<(), DeviceError> {
        let change = PeerChange {
            remove: vec![],
            set: spec.peers.clone(),
        };
        let port = spec.slot.listen_port();
        self.device
            .write(async |d: &mut Write<'_>| {
                apply(d, &change).await;
                // It binds only when the port changes, so the port is changed.
                d.set_listen_port(0);
                d.set_listen_port(port);
            })
            .await?;
        links.set_address(self.index, spec.address).await?;
        links.bring_up(self.index).await?;
        Ok(())
    }

    /// Returns whether the device has the spec's key and port and works. If not, it
    /// has to be created again: gotatun can change both, but may take the end of its
    /// own old tasks for a failure of the TUN and stop ([`Self::is_alive`]). A new
    /// key ends every session anyway.
    pub async fn is_usable_for(&mut self, spec: &InterfaceSpec) -> bool {
        let (public, port, _) = self.state().await;
        public == Some(spec.private_key.public())
            && port == spec.slot.listen_port()
            && self.is_alive()
    }

    /// Changes the device to the spec, whose key and port it already has. Peers that
    /// do not change keep their sessions.
    pub async fn update(&mut self, links: &Links, spec: &InterfaceSpec) -> Result<(), DeviceError> {
        let (_, _, now) = self.state().await;
        let change = diff::peers(&spec.peers, &now);
        if !change.is_empty() {
            self.change(&change).await?;
        }
        links.set_address(self.index, spec.address).await?;
        links.bring_up(self.index).await?;
        let name = spec.slot.interface();
        links.set_address6(self.index, &name, spec.address6).await?;
        Ok(())
    }

    /// Changes single peers.
    pub async fn change(&mut self, change: &PeerChange) -> Result<(), DeviceError> {
        for key in &change.remove {
            self.handshakes.remove(key);
        }
        let done = self
            .device
            .write(async |d: &mut Write<'_>| apply(d, change).await);
        Ok(done.await?)
    }

    /// Returns the public key, the port and the peers.
    pub async fn state(&self) -> (Option<PublicKey>, u16, BTreeMap<PublicKey, ObservedPeer>) {
        let read = self.device.read(async |d| {
            let public = d.private_key().map(x25519::PublicKey::from);
            (public, d.listen_port(), d.peers().await)
        });
        let (public, port, peers) = read.await;
        let peers = peers.into_iter().map(|p| observed(&p.peer)).collect();
        let public = public.map(|k| PublicKey::from_bytes(k.to_bytes()));
        (public, port, peers)
    }

    /// Returns the counters of the peers.
    pub async fn statistics(&mut self, slot: domain::Slot) -> Vec<PeerStatistics> {
        let peers = self.device.peers().await;
        let now = SystemClock.now();
        let mut all = Vec::with_capacity(peers.len());
        for p in peers {
            let key = PublicKey::from_bytes(p.peer.public_key.to_bytes());
            all.push(PeerStatistics {
                slot,
                public_key: key,
                last_handshake: self.handshake(key, p.stats.last_handshake, now),
                endpoint: p.peer.endpoint,
                rx_bytes: p.stats.rx_bytes as u64,
                tx_bytes: p.stats.tx_bytes as u64,
            });
        }
        all
    }

    /// Returns the time of a handshake from its age, which was read at `now`.
    fn handshake(
        &mut self,
        key: PublicKey,
        age: Option<Duration>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = self.handshakes.get(&key).copied();
        let Some(age) = age.and_then(|a| i64::try_from(a.as_millis()).ok()) else {
            return known;
        };
        let at = now.plus_millis(-age);
        if let Some(known) = known
            && known.millis_since(at) < SAME_HANDSHAKE_MILLIS
            && at.millis_since(known) < SAME_HANDSHAKE_MILLIS
        {
            return Some(known);
        }
        self.handshakes.insert(key, at);
        Some(at)
    }

    /// Returns whether gotatun still runs the device.
    pub fn is_alive(&mut self) -> bool {
        use futures_util::FutureExt;
        self.device.wait().now_or_never().is_none()
    }

    /// Stops the device. The TUN is removed a moment later ([`Links::wait_removed`]).
    pub async fn stop(self) {
        self.device.stop().await;
    }
}

/// Applies a change under one lock of the device, so that no packet meets a part of
/// it.
async fn apply(d: &mut Write<'_>, change: &PeerChange) {
    for key in &change.remove {
        d.remove_peer(&public(key)).await;
    }
    // Unlike the kernel, gotatun keeps an allowed IP in the list of the peer that
    // lost it, and would assign it to that peer again at the next change.
    let moving: BTreeSet<IpAddr> = change.set.values().flat_map(|s| s.addresses()).collect();
    for p in d.peers().await {
        let keeps = |ip: IpAddr| !moving.contains(&ip);
        if p.peer.allowed_ips.iter().all(|net| keeps(net.ip())) {
            continue;
        }
        d.modify_peer(&p.peer.public_key, |m| {
            m.clear_allowed_ips();
            m.add_allowed_ips(p.peer.allowed_ips.iter().filter(|n| keeps(n.ip())).copied());
        })
        .await;
    }
    for (key, spec) in &change.set {
        let psk = *spec.preshared_key.as_bytes();
        let key = public(key);
        let exists = d.modify_peer(&key, |m| {
            m.set_preshared_key(Some(psk));
            m.clear_allowed_ips();
            m.add_allowed_ips(spec.addresses());
        });
        if !exists.await {
            let peer = Peer::new(key).with_preshared_key(psk);
            d.add_peer(peer.with_allowed_ips(spec.addresses().map(Into::into)));
        }
    }
}

fn observed(peer: &Peer) -> (PublicKey, ObservedPeer) {
    let nets = peer.allowed_ips.iter();
    let state = ObservedPeer {
        preshared_key: peer.preshared_key.map(PresharedKey::from_random),
        allowed_ips: nets
            .filter_map(|n| IpNet::new(n.ip(), n.prefix()).ok())
            .collect(),
    };
    (PublicKey::from_bytes(peer.public_key.to_bytes()), state)
}

fn public(key: &PublicKey) -> x25519::PublicKey {
    x25519::PublicKey::from(*key.as_bytes())
}

fn secret(key: &PrivateKey) -> x25519::StaticSecret {
    x25519::StaticSecret::from(*key.as_bytes())
}

/// Creates a TUN and returns it with the index of its link.
fn open_tun(name: &str) -> Result<(TunDevice, u32), DeviceError> {
    let other = |e: tun::Error| DeviceError::Other(io::Error::other(e));
    let mut settings = tun::Configuration::default();
    settings
        .tun_name(name)
        .mtu(u16::try_from(crate::tunnel_mtu()).unwrap_or(u16::MAX));
    let tun = match tun::create_as_async(&settings) {
        Err(tun::Error::Io(e)) => return Err(DeviceError::Other(e)),
        made => made.map_err(other)?,
    };
    let index = u32::try_from(tun.tun_index().map_err(other)?)
        .map_err(|e| DeviceError::Other(io::Error::other(e)))?;
    let device = TunDevice::from_tun_device(tun).map_err(|e| DeviceError::from(Error::from(e)))?;
    Ok((device, index))
}
