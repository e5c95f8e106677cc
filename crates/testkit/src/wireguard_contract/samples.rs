//! The keys, addresses and interfaces of the cases.

use crate::expected;
use domain::{PresharedKey, PrivateKey, PublicKey, Slot};
use ipnet::{Ipv4Net, Ipv6Net};
use provisioning::{
    observed::ObservedInterface,
    ports::WireGuard,
    spec::{InterfaceSpec, PeerSpec},
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Returns a slot by its number.
pub(super) fn slot(n: u16) -> Slot {
    Slot::new(n).expect("a slot's number")
}

/// Returns a key made from a number, so that a failure repeats.
pub(super) fn private(n: u8) -> PrivateKey {
    PrivateKey::from_random([n; 32])
}

pub(super) fn psk(n: u8) -> PresharedKey {
    PresharedKey::from_random([n; 32])
}

/// Returns the address of a host in a slot's subnet, `10.88.<slot>.<host>` for
/// small slots.
pub(super) fn address(slot: Slot, host: u8) -> Ipv4Addr {
    domain::AddressPlan::default().device(slot, host)
}

/// Returns the address of IPv6 of a host in a slot's subnet.
pub(super) fn address6(slot: Slot, host: u8) -> Ipv6Addr {
    crate::samples::ipv6()
        .subnet(slot)
        .device(address(slot, host))
}

/// Returns a device with key `n` on a host of a slot's subnet.
pub(super) fn peer(slot: Slot, n: u8, host: u8) -> (PublicKey, PeerSpec) {
    let spec = PeerSpec {
        preshared_key: psk(n),
        address: address(slot, host),
        address6: Some(address6(slot, host)),
    };
    (private(n).public(), spec)
}

/// Returns an interface with devices `n`, each on the host of its number.
pub(super) fn interface(slot: Slot, devices: &[u8]) -> InterfaceSpec {
    InterfaceSpec {
        slot,
        owner: "maliknode contract".to_owned(),
        private_key: private(200),
        address: Ipv4Net::new_assert(address(slot, 1), 24),
        address6: Some(Ipv6Net::new_assert(address6(slot, 1), 64)),
        peers: devices.iter().map(|n| peer(slot, *n, *n)).collect(),
    }
}

/// Asserts that the machine has exactly these interfaces of ours.
pub(super) async fn assert_has(wireguard: &dyn WireGuard, specs: &[&InterfaceSpec]) {
    let wanted: BTreeMap<Slot, ObservedInterface> = specs
        .iter()
        .map(|s| (s.slot, expected::interface(s)))
        .collect();
    let found = wireguard.observe().await.expect("observe");
    assert_eq!(found, wanted);
}
