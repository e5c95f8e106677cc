//! One interface of the embedded WireGuard: gotatun's device on a TUN.
//!
//! What is known of gotatun 0.10.2 and kept to here: a device that is built
//! without peers binds no socket, so the port is set twice to make it bind;
//! only the library's own calls keep a session across a change (its UAPI makes
//! the peer anew); `update_peer` would clear the endpoint, so peers are
//! changed by `modify_peer`; the handshake's age is forgotten with its
//! session, so it is remembered here. A handshake counts once it was answered,
//! in the kernel once the device has confirmed it: a device with a wrong
//! preshared key looks as if it had one. Bytes received are counted without
//! WireGuard's 32 bytes a packet, and a keepalive as none.

use crate::{diff, failure::is, links::Links};
use domain::{PresharedKey, PrivateKey, PublicKey, Timestamp};
use gotatun::{
    device::{DefaultDeviceTransports, Device, DeviceBuilder, Error, Peer, configure::DeviceWrite},
    tun::{
        tun::{self, AbstractDevice},
        tun_async_device::TunDevice,
    },
    x25519,
};
use ipnet::IpNet;
use nix::errno::Errno;
use provisioning::{
    observed::{ObservedPeer, PeerStatistics},
    ports::{Clock, PeerChange, SystemClock},
    spec::InterfaceSpec,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};

type Write<'a> = DeviceWrite<'a, DefaultDeviceTransports>;

/// Ages are read to the millisecond; only a larger difference is another
/// handshake. WireGuard does not begin one more often than every 5 s.
const SAME_HANDSHAKE: i64 = 1_500;

/// Why an interface could not be made or changed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Another program has the UDP port.
    Port(io::Error),
    /// Anything else.
    Other(io::Error),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Self {
        Self::Other(e)
    }
}

impl From<Error> for Failed {
    fn from(e: Error) -> Self {
        match e {
            Error::Bind(e, _) if is(&e, Errno::EADDRINUSE) => Self::Port(e),
            Error::Bind(e, _) | Error::IoError(e) => Self::Other(e),
            other => Self::Other(io::Error::other(other)),
        }
    }
}

/// An interface that this process holds.
pub(super) struct Hosted {
    device: Device<DefaultDeviceTransports>,
    /// The TUN's link.
    pub index: u32,
    /// Of each peer, the last handshake we have seen.
    handshakes: BTreeMap<PublicKey, Timestamp>,
}

impl Hosted {
    /// Makes TUN and device. The link is up when this returns.
    pub async fn create(links: &Links, spec: &InterfaceSpec) -> Result<Self, Failed> {
        let name = spec.slot.interface();
        let (tun, index) = open_tun(&name)?;
        links.set_alias(index, &spec.owner).await?;
        without_ipv6(&name);
        let device = DeviceBuilder::new()
            .with_default_udp()
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
        let done = hosted.furnish(links, spec).await;
        match done {
            Ok(()) => Ok(hosted),
            Err(e) => {
                hosted.stop().await;
                Err(e)
            }
        }
    }

    async fn furnish(&mut self, links: &Links, spec: &InterfaceSpec) -> Result<(), Failed> {
        let change = PeerChange {
            remove: vec![],
            set: spec.peers.clone(),
        };
        let port = spec.slot.listen_port();
        self.device
            .write(async |d: &mut Write<'_>| {
                apply(d, &change).await;
                // It binds on a change of the port only: make it one.
                d.set_listen_port(0);
                d.set_listen_port(port);
            })
            .await?;
        links.set_address(self.index, spec.address).await?;
        links.bring_up(self.index).await?;
        Ok(())
    }

    /// Whether it has the spec's key and port and works. Where not it has to
    /// be made anew: gotatun can change both, but may take the end of its own
    /// old tasks for a failure of the TUN and is then dead ([`Self::alive`]).
    /// A new key ends every session anyway.
    pub async fn serves(&mut self, spec: &InterfaceSpec) -> bool {
        let (public, port, _) = self.state().await;
        public == Some(spec.private_key.public()) && port == spec.slot.listen_port() && self.alive()
    }

    /// Brings it to the spec, whose key and port it has; sessions of peers
    /// that do not change stay.
    pub async fn update(&mut self, links: &Links, spec: &InterfaceSpec) -> Result<(), Failed> {
        let (_, _, now) = self.state().await;
        let change = diff::peers(&spec.peers, &now);
        if !change.is_empty() {
            self.change(&change).await?;
        }
        links.set_address(self.index, spec.address).await?;
        links.bring_up(self.index).await?;
        Ok(())
    }

    /// Changes single peers.
    pub async fn change(&mut self, change: &PeerChange) -> Result<(), Failed> {
        for key in &change.remove {
            self.handshakes.remove(key);
        }
        let done = self
            .device
            .write(async |d: &mut Write<'_>| apply(d, change).await);
        Ok(done.await?)
    }

    /// Public key, port and peers.
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

    /// The counters of its peers.
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

    /// The point in time of an age that was just read.
    fn handshake(
        &mut self,
        key: PublicKey,
        age: Option<Duration>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let seen = self.handshakes.get(&key).copied();
        let Some(age) = age.and_then(|a| i64::try_from(a.as_millis()).ok()) else {
            return seen;
        };
        let at = now.plus_millis(-age);
        if let Some(seen) = seen
            && seen.millis_since(at) < SAME_HANDSHAKE
            && at.millis_since(seen) < SAME_HANDSHAKE
        {
            return Some(seen);
        }
        self.handshakes.insert(key, at);
        Some(at)
    }

    /// Whether gotatun has not given up on it.
    pub fn alive(&mut self) -> bool {
        use futures_util::FutureExt;
        self.device.wait().now_or_never().is_none()
    }

    /// Stops it; the TUN goes a moment later ([`Links::wait_gone`]).
    pub async fn stop(self) {
        self.device.stop().await;
    }
}

/// All of it happens under one lock of the device: no packet sees a part.
async fn apply(d: &mut Write<'_>, change: &PeerChange) {
    for key in &change.remove {
        d.remove_peer(&public(key)).await;
    }
    // Unlike the kernel, gotatun leaves an allowed IP in the list of the peer
    // it was taken from, and would give it back there at the next change.
    let coming: BTreeSet<IpAddr> = change.set.values().map(|s| IpAddr::V4(s.address)).collect();
    for p in d.peers().await {
        let keeps = |ip: IpAddr| !coming.contains(&ip);
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
        let address = IpAddr::V4(spec.address);
        let key = public(key);
        let there = d.modify_peer(&key, |m| {
            m.set_preshared_key(Some(psk));
            m.clear_allowed_ips();
            m.add_allowed_ip(address);
        });
        if !there.await {
            let peer = Peer::new(key).with_preshared_key(psk);
            d.add_peer(peer.with_allowed_ip(address.into()));
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

/// Opens a TUN of its own. One that is still going (EBUSY) is waited for.
fn open_tun(name: &str) -> Result<(TunDevice, u32), Failed> {
    let other = |e: tun::Error| Failed::Other(io::Error::other(e));
    let mut settings = tun::Configuration::default();
    settings
        .tun_name(name)
        .mtu(u16::try_from(crate::MTU).unwrap_or(u16::MAX));
    let tun = match tun::create_as_async(&settings) {
        Err(tun::Error::Io(e)) => return Err(Failed::Other(e)),
        made => made.map_err(other)?,
    };
    let index = u32::try_from(tun.tun_index().map_err(other)?)
        .map_err(|e| Failed::Other(io::Error::other(e)))?;
    let device = TunDevice::from_tun_device(tun).map_err(|e| Failed::from(Error::from(e)))?;
    Ok((device, index))
}

/// IPv6 is dropped in tunnels, so a TUN needs no link-local address and none
/// of the chatter that comes with one. The kernel's WireGuard does the same.
/// Where /proc/sys cannot be written the firewall drops it anyway.
fn without_ipv6(name: &str) {
    let file = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if let Err(e) = std::fs::write(&file, "1") {
        tracing::debug!(%name, error = %e, "IPv6 stays on");
    }
}
