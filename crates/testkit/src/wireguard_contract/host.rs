//! What the contract asks of a machine below the port, and what a case is.

use async_trait::async_trait;
use domain::{PresharedKey, PrivateKey, PublicKey, Slot};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use provisioning::ports::WireGuard;
use std::{
    any::Any,
    net::{Ipv4Addr, SocketAddr},
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
    async fn add_address(&self, slot: Slot, address: IpNet);

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

/// A case: its name and its function, which returns `false` where it was
/// skipped.
pub type Case = (
    &'static str,
    for<'a> fn(&'a dyn ContractHost) -> BoxFuture<'a, bool>,
);

/// Defines `ALL`, the cases of a module, from the names of their functions.
macro_rules! case_list {
    ($($name:ident),* $(,)?) => {
        pub(super) const ALL: &[super::host::Case] =
            &[$((stringify!($name), |host| Box::pin($name(host)))),*];
    };
}
pub(super) use case_list;
