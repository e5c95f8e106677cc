//! The contract of the WireGuard port, which every implementation fulfils: the
//! kernel's, the userspace one and fakes.
//!
//! A [`ContractHost`] is the machine below the port: it makes the
//! implementation, makes external changes, and makes real WireGuard clients
//! whose packets are sent over loopback. Where it has no clients (a fake has
//! none), the cases that need traffic are counted and printed as skipped.
//!
//! Every case starts from a machine without interfaces of ours.

mod cases;
mod traffic;

use crate::expected;
use async_trait::async_trait;
use domain::{PresharedKey, PrivateKey, PublicKey, Slot};
use futures_util::{FutureExt, future::BoxFuture};
use ipnet::Ipv4Net;
use provisioning::{
    observed::ObservedInterface,
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
pub trait ContractHost: Send + Sync {
    /// Returns the implementation, as a server that has just started gets it.
    /// Existing interfaces stay.
    async fn wireguard(&self) -> Arc<dyn WireGuard>;

    /// Makes a real WireGuard client; `None` where the host has none.
    async fn client(&self, setup: ClientSetup) -> Option<Box<dyn Client>>;

    /// Makes an interface with the slot's name that is not ours.
    async fn add_foreign(&self, slot: Slot);

    /// Removes the interface with the slot's name without using the port.
    async fn remove_externally(&self, slot: Slot);

    /// Sets the link down without using the port.
    async fn set_down(&self, slot: Slot);

    /// Adds an address without using the port.
    async fn add_address(&self, slot: Slot, address: Ipv4Net);

    /// Sets the MTU without using the port.
    async fn set_mtu(&self, slot: Slot, mtu: u32);

    /// Returns the link's MTU in bytes; `None` where there is no such link.
    async fn mtu(&self, slot: Slot) -> Option<u32>;

    /// Occupies a UDP port like another program, until dropped.
    async fn occupy_port(&self, port: u16) -> Box<dyn Any + Send>;
}

/// What a device reads from its configuration file.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// The device's private key.
    pub private_key: PrivateKey,
    /// The server's public key.
    pub server: PublicKey,
    /// The preshared key.
    pub preshared_key: PresharedKey,
    /// Where the server listens.
    pub endpoint: SocketAddr,
}

/// A WireGuard client that can send any IPv4 packet through its tunnel.
#[async_trait]
pub trait Client: Send + Sync {
    /// Sends ICMP echo requests from `from` to `to` through the tunnel (after a
    /// handshake where there is no session), and returns whether one was
    /// answered within `wait`.
    async fn ping(&self, from: Ipv4Addr, to: Ipv4Addr, wait: Duration) -> bool;

    /// Returns the age of the last handshake, if there was one.
    async fn handshake_age(&self) -> Option<Duration>;
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that needed a client where the host has none.
    pub skipped: usize,
    /// Cases that failed, with their messages.
    pub failed: Vec<(&'static str, String)>,
}

/// A case: its name and its function, which returns `false` where it was
/// skipped.
pub type Case = (
    &'static str,
    for<'a> fn(&'a dyn ContractHost) -> BoxFuture<'a, bool>,
);

/// Defines `ALL`, the cases of a module, from the names of their functions.
macro_rules! case_list {
    ($($name:ident),* $(,)?) => {
        pub(super) const ALL: &[super::Case] =
            &[$((stringify!($name), |host| Box::pin($name(host)))),*];
    };
}
use case_list;

/// A case that takes longer has hung. The slowest takes 10 s, and many times
/// that in a virtual machine on a busy host.
const LIMIT: Duration = Duration::from_secs(240);

/// Returns every case.
pub fn cases() -> Vec<Case> {
    [cases::ALL, traffic::ALL].concat()
}

/// Runs every case whose name contains `filter`, one after the other, and
/// prints each as libtest does.
pub async fn run_all(host: &dyn ContractHost, filter: &str) -> Tally {
    let mut tally = Tally::default();
    for (name, case) in cases().into_iter().filter(|(n, _)| n.contains(filter)) {
        clear(host).await;
        let run = AssertUnwindSafe(tokio::time::timeout(LIMIT, case(host))).catch_unwind();
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
                tally.failed.push((name, panic_message(&*panic)));
                "FAILED".to_owned()
            }
        };
        println!("test {name} ... {verdict}");
    }
    clear(host).await;
    tally
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Removes every interface with a slot's name.
async fn clear(host: &dyn ContractHost) {
    let wireguard = host.wireguard().await;
    for (slot, interface) in wireguard.observe().await.unwrap_or_default() {
        if interface.owner.is_none() || wireguard.delete(slot).await.is_err() {
            host.remove_externally(slot).await;
        }
    }
}

/// Returns a slot by its number.
fn slot(n: u16) -> Slot {
    Slot::new(n).expect("a slot's number")
}

/// Returns a key made from a number, so that a failure repeats.
fn private(n: u8) -> PrivateKey {
    PrivateKey::from_random([n; 32])
}

fn psk(n: u8) -> PresharedKey {
    PresharedKey::from_random([n; 32])
}

/// Returns the address of a host in a slot's subnet, `10.88.<slot>.<host>` for
/// small slots.
fn address(slot: Slot, host: u8) -> Ipv4Addr {
    domain::AddressPlan::default().device(slot, host)
}

/// Returns a device with key `n` on a host of a slot's subnet.
fn peer(slot: Slot, n: u8, host: u8) -> (PublicKey, PeerSpec) {
    let spec = PeerSpec {
        preshared_key: psk(n),
        address: address(slot, host),
    };
    (private(n).public(), spec)
}

/// Returns an interface with devices `n`, each on the host of its number.
fn interface(slot: Slot, devices: &[u8]) -> InterfaceSpec {
    InterfaceSpec {
        slot,
        owner: "maliknode contract".to_owned(),
        private_key: private(200),
        address: Ipv4Net::new_assert(address(slot, 1), 24),
        peers: devices.iter().map(|n| peer(slot, *n, *n)).collect(),
    }
}

/// Asserts that the machine has exactly these interfaces of ours.
async fn assert_has(wireguard: &dyn WireGuard, specs: &[&InterfaceSpec]) {
    let wanted: BTreeMap<Slot, ObservedInterface> = specs
        .iter()
        .map(|s| (s.slot, expected::interface(s)))
        .collect();
    let found = wireguard.observe().await.expect("observe");
    assert_eq!(found, wanted);
}
