//! The contract of the WireGuard port: what every implementation keeps, the
//! kernel's, the userspace one and fakes alike.
//!
//! A [`Bed`] is the machine below: it makes the implementation, does what
//! somebody else might do by hand, and makes real WireGuard clients whose
//! packets go over loopback. Where it has no clients (a fake has none), the
//! cases that need traffic are counted as skipped, aloud.
//!
//! Every case starts from a machine without interfaces of ours.

mod cases;
mod traffic;

use async_trait::async_trait;
use domain::{PresharedKey, PrivateKey, PublicKey, Slot};
use futures_util::{FutureExt, future::BoxFuture};
use ipnet::Ipv4Net;
use provisioning::{
    observed::{ObservedInterface, ObservedPeer},
    ports::WireGuard,
    spec::{InterfaceSpec, PeerSpec},
};
use std::{
    any::Any,
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

/// The machine below a WireGuard port.
#[async_trait]
pub trait Bed: Send + Sync {
    /// The implementation, as a server that has just started would get it.
    /// What is there stays.
    async fn wireguard(&self) -> Arc<dyn WireGuard>;

    /// A real WireGuard client, or `None` where nothing real stands below.
    async fn client(&self, setup: ClientSetup) -> Option<Box<dyn Client>>;

    /// Makes an interface with the slot's name that is not ours.
    async fn add_foreign(&self, slot: Slot);

    /// Removes the interface with the slot's name behind the port's back.
    async fn remove_by_hand(&self, slot: Slot);

    /// Sets the link down behind the port's back.
    async fn set_down(&self, slot: Slot);

    /// Adds an address behind the port's back.
    async fn add_address(&self, slot: Slot, address: Ipv4Net);

    /// Sets the MTU behind the port's back.
    async fn set_mtu(&self, slot: Slot, mtu: u32);

    /// The link's MTU, bytes; `None` where there is no such link.
    async fn mtu(&self, slot: Slot) -> Option<u32>;

    /// Holds a UDP port as another program would, until dropped.
    async fn hold_port(&self, port: u16) -> Box<dyn Any + Send>;
}

/// What a device gets from its configuration file.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// The device's private key.
    pub private_key: PrivateKey,
    /// The server's public key.
    pub server: PublicKey,
    /// The symmetric layer.
    pub preshared_key: PresharedKey,
    /// Where the server listens.
    pub endpoint: SocketAddr,
}

/// A WireGuard client that may put any IPv4 packet into its tunnel.
#[async_trait]
pub trait Client: Send + Sync {
    /// Sends ICMP echo requests to `to` as `from` through the tunnel (a
    /// handshake comes first where there is no session), and says whether one
    /// was answered within `wait`.
    async fn ping(&self, from: Ipv4Addr, to: Ipv4Addr, wait: Duration) -> bool;

    /// How long ago the last handshake was, if there was one.
    async fn handshake_age(&self) -> Option<Duration>;
}

/// How a run went.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that had no client to run with.
    pub skipped: usize,
    /// Cases that failed, with what they said.
    pub failed: Vec<(&'static str, String)>,
}

/// A case: its name as a sentence, and itself. `false`: it was skipped.
pub type Case = (&'static str, for<'a> fn(&'a dyn Bed) -> BoxFuture<'a, bool>);

/// A case that takes longer has hung. The slowest takes 10 s, and many times
/// that in a virtual machine on a busy host.
const LIMIT: Duration = Duration::from_secs(240);

/// Every case.
pub fn cases() -> Vec<Case> {
    [cases::ALL, traffic::ALL].concat()
}

/// Runs every case whose name contains `filter`, one after the other, and
/// prints each as libtest does.
pub async fn run_all(bed: &dyn Bed, filter: &str) -> Tally {
    let mut tally = Tally::default();
    for (name, case) in cases().into_iter().filter(|(n, _)| n.contains(filter)) {
        clear(bed).await;
        let run = AssertUnwindSafe(tokio::time::timeout(LIMIT, case(bed))).catch_unwind();
        let verdict = match run.await {
            Ok(Ok(true)) => {
                tally.passed += 1;
                "ok".to_owned()
            }
            Ok(Ok(false)) => {
                tally.skipped += 1;
                "skipped: no client".to_owned()
            }
            Ok(Err(_)) => {
                tally
                    .failed
                    .push((name, "it did not end in time".to_owned()));
                "FAILED (time)".to_owned()
            }
            Err(panic) => {
                tally.failed.push((name, said(&*panic)));
                "FAILED".to_owned()
            }
        };
        println!("test {name} ... {verdict}");
    }
    clear(bed).await;
    tally
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// Removes every interface with a slot's name.
async fn clear(bed: &dyn Bed) {
    let wireguard = bed.wireguard().await;
    for (slot, interface) in wireguard.observe().await.unwrap_or_default() {
        if interface.owner.is_none() || wireguard.delete(slot).await.is_err() {
            bed.remove_by_hand(slot).await;
        }
    }
}

/// A slot by its number.
fn slot(n: u16) -> Slot {
    Slot::new(n).expect("a slot's number")
}

/// Keys from numbers, so that a failure repeats.
fn private(n: u8) -> PrivateKey {
    PrivateKey::from_random([n; 32])
}

fn psk(n: u8) -> PresharedKey {
    PresharedKey::from_random([n; 32])
}

/// The address of a host in a slot's subnet, `10.88.<slot>.<host>` for small
/// slots.
fn address(slot: Slot, host: u8) -> Ipv4Addr {
    domain::AddressPlan::default().device(slot, host)
}

/// A device: its key's number and its address's host part.
fn peer(slot: Slot, n: u8, host: u8) -> (PublicKey, PeerSpec) {
    let spec = PeerSpec {
        preshared_key: psk(n),
        address: address(slot, host),
    };
    (private(n).public(), spec)
}

/// An interface with devices `n`, each on the host of its number.
fn interface(slot: Slot, devices: &[u8]) -> InterfaceSpec {
    InterfaceSpec {
        slot,
        owner: "maliknode contract".to_owned(),
        private_key: private(200),
        address: Ipv4Net::new_assert(address(slot, 1), 24),
        peers: devices.iter().map(|n| peer(slot, *n, *n)).collect(),
    }
}

/// What a machine shows that has what the spec says.
pub fn as_observed(spec: &InterfaceSpec) -> ObservedInterface {
    let peers = spec.peers.iter().map(|(key, p)| {
        let observed = ObservedPeer {
            preshared_key: Some(p.preshared_key.clone()),
            allowed_ips: [Ipv4Net::from(p.address).into()].into(),
        };
        (*key, observed)
    });
    ObservedInterface {
        owner: Some(spec.owner.clone()),
        public_key: Some(spec.private_key.public()),
        listen_port: spec.slot.listen_port(),
        addresses: [spec.address].into(),
        up: true,
        peers: peers.collect(),
    }
}

/// Says that the machine has exactly these interfaces of ours.
async fn assert_has(wireguard: &dyn WireGuard, specs: &[&InterfaceSpec]) {
    let wanted: BTreeMap<Slot, ObservedInterface> =
        specs.iter().map(|s| (s.slot, as_observed(s))).collect();
    let found = wireguard.observe().await.expect("observe");
    assert_eq!(found, wanted);
}
