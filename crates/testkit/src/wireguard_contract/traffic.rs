//! The cases with a real WireGuard client: sessions survive changes that do not
//! concern them, and end at once where they should.

use super::{
    host::{Client, ClientSetup, ContractHost, case_list},
    samples::{address, assert_has, interface, peer, private, psk, slot},
};
use domain::{Slot, Timestamp};
use protocol::PeerStatistics;
use provisioning::{
    ports::{PeerChange, WireGuard},
    spec::InterfaceSpec,
};
use std::{net::Ipv4Addr, time::Duration};

case_list! {
    a_device_connects_and_is_counted,
    a_device_change_keeps_other_sessions,
    ensuring_again_keeps_every_session,
    two_devices_can_swap_addresses,
    a_device_cannot_send_as_another,
    a_removed_device_is_cut_off_at_once,
    a_deleted_interface_does_not_answer,
    a_new_key_ends_the_old_sessions,
    a_wrong_preshared_key_is_rejected,
}

/// How long an expected answer may take; a virtual machine is slow.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for an answer that should not arrive.
const SILENCE: Duration = Duration::from_millis(1_500);
/// Two readings of the age of one handshake differ by less.
const JITTER: Duration = Duration::from_millis(400);

/// Connects device `n` of an interface.
async fn device(host: &dyn ContractHost, spec: &InterfaceSpec, n: u8) -> Option<Box<dyn Client>> {
    let setup = ClientSetup {
        private_key: private(n),
        server: spec.private_key.public(),
        preshared_key: psk(n),
        endpoint: (Ipv4Addr::LOCALHOST, spec.slot.listen_port()).into(),
    };
    host.client(setup).await
}

async fn reaches(client: &dyn Client, at: Slot, host: u8) -> bool {
    client
        .ping(address(at, host), address(at, 1), PATIENCE)
        .await
}

async fn silent(client: &dyn Client, at: Slot, host: u8) -> bool {
    !client
        .ping(address(at, host), address(at, 1), SILENCE)
        .await
}

async fn counters(wireguard: &dyn WireGuard, n: u8) -> PeerStatistics {
    let all = wireguard.statistics().await.expect("statistics");
    let key = private(n).public();
    let mine = all.into_iter().find(|s| s.public_key == key);
    mine.expect("the device's counters")
}

fn handshake(s: &PeerStatistics) -> Timestamp {
    s.last_handshake.expect("a handshake")
}

/// Does something and asserts that the session of device `n` stays the same.
async fn undisturbed(
    wireguard: &dyn WireGuard,
    client: &dyn Client,
    at: Slot,
    n: u8,
    what: impl Future<Output = ()>,
) {
    // So that another handshake can be distinguished from this one.
    tokio::time::sleep(JITTER * 2).await;
    let before = counters(wireguard, n).await;
    let age = client.handshake_age().await.expect("a handshake");
    let started = std::time::Instant::now();
    what.await;
    assert!(reaches(client, at, n).await, "no answer afterwards");
    let after = counters(wireguard, n).await;
    assert_eq!(handshake(&after), handshake(&before), "a new handshake");
    let aged = client.handshake_age().await.expect("a handshake");
    assert!(aged + JITTER > age + started.elapsed(), "a new handshake");
    assert!(after.rx_bytes > before.rx_bytes, "rx went back");
    assert!(after.tx_bytes > before.tx_bytes, "tx went back");
    assert_eq!(after.endpoint, before.endpoint);
}

async fn a_device_connects_and_is_counted(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let spec = interface(slot(1), &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let Some(client) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*client, spec.slot, 2).await, "no answer");
    let first = counters(&*wireguard, 2).await;
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let now = Timestamp(now.as_millis() as i64);
    assert!(now.millis_since(handshake(&first)) < 60_000, "long ago");
    assert!(handshake(&first).millis_since(now) < 2_000, "in the future");
    let endpoint = first.endpoint.expect("an endpoint");
    assert!(endpoint.ip().is_loopback(), "{endpoint}");
    assert!(first.rx_bytes > 0 && first.tx_bytes > 0);
    for _ in 0..3 {
        assert!(reaches(&*client, spec.slot, 2).await);
    }
    let second = counters(&*wireguard, 2).await;
    assert!(second.rx_bytes > first.rx_bytes && second.tx_bytes > first.tx_bytes);
    // A device that has not connected has no counters.
    let other = counters(&*wireguard, 3).await;
    assert_eq!((other.last_handshake, other.rx_bytes), (None, 0));
    true
}

async fn a_device_change_keeps_other_sessions(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let spec = interface(at, &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let Some(client) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*client, at, 2).await, "no answer");
    let changes = async {
        let (key, mut moved) = peer(at, 3, 30);
        moved.preshared_key = psk(33);
        let steps = [
            PeerChange {
                remove: vec![],
                set: [peer(at, 4, 4)].into(),
            },
            PeerChange {
                remove: vec![],
                set: [(key, moved)].into(),
            },
            PeerChange {
                remove: vec![key],
                set: [peer(at, 5, 5)].into(),
            },
        ];
        for step in &steps {
            wireguard.change_peers(at, step).await.expect("change");
        }
    };
    undisturbed(&*wireguard, &*client, at, 2, changes).await;
    // Setting the device to its own values keeps its session as well.
    let same = async {
        let change = PeerChange {
            remove: vec![],
            set: [peer(at, 2, 2)].into(),
        };
        wireguard.change_peers(at, &change).await.expect("change");
    };
    undisturbed(&*wireguard, &*client, at, 2, same).await;
    true
}

async fn ensuring_again_keeps_every_session(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let spec = interface(at, &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let Some(client) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*client, at, 2).await, "no answer");
    let same = async { wireguard.ensure(&spec).await.expect("ensure") };
    undisturbed(&*wireguard, &*client, at, 2, same).await;
    // Other devices change, through a server that has just started.
    let other = async {
        let fresh = host.wireguard().await;
        fresh
            .ensure(&interface(at, &[2, 4, 5]))
            .await
            .expect("ensure");
    };
    undisturbed(&*wireguard, &*client, at, 2, other).await;
    let neighbours = async {
        let beside = interface(slot(2), &[2]);
        wireguard.ensure(&beside).await.expect("ensure");
        wireguard.delete(beside.slot).await.expect("delete");
    };
    undisturbed(&*wireguard, &*client, at, 2, neighbours).await;
    true
}

async fn two_devices_can_swap_addresses(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let mut spec = interface(at, &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let (Some(a), Some(b)) = (device(host, &spec, 2).await, device(host, &spec, 3).await) else {
        return false;
    };
    assert!(reaches(&*a, at, 2).await && reaches(&*b, at, 3).await);
    // Swapped by one call, and swapped back by the other.
    spec.peers = [peer(at, 2, 3), peer(at, 3, 2)].into();
    wireguard.ensure(&spec).await.expect("swap by ensure");
    assert!(reaches(&*a, at, 3).await, "the first as the second");
    assert!(reaches(&*b, at, 2).await, "the second as the first");
    assert!(silent(&*a, at, 2).await, "the first as itself");
    let back = PeerChange {
        remove: vec![],
        set: [peer(at, 2, 2), peer(at, 3, 3)].into(),
    };
    wireguard.change_peers(at, &back).await.expect("swap back");
    assert!(reaches(&*a, at, 2).await && reaches(&*b, at, 3).await);
    assert!(silent(&*b, at, 2).await);
    true
}

async fn a_device_cannot_send_as_another(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let spec = interface(at, &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let Some(client) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*client, at, 2).await, "no answer");
    assert!(silent(&*client, at, 3).await, "as another device");
    assert!(silent(&*client, at, 99).await, "as an unassigned address");
    assert!(silent(&*client, slot(2), 2).await, "from another subnet");
    true
}

async fn a_removed_device_is_cut_off_at_once(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let spec = interface(at, &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let (Some(a), Some(b)) = (device(host, &spec, 2).await, device(host, &spec, 3).await) else {
        return false;
    };
    assert!(reaches(&*a, at, 2).await && reaches(&*b, at, 3).await);
    let removal = async {
        let change = PeerChange {
            remove: vec![private(2).public()],
            set: Default::default(),
        };
        wireguard.change_peers(at, &change).await.expect("change");
    };
    undisturbed(&*wireguard, &*b, at, 3, removal).await;
    assert!(silent(&*a, at, 2).await, "removed and still answered");
    drop(a);
    // It returns with a new session and new counters.
    wireguard.ensure(&spec).await.expect("ensure");
    assert_eq!(counters(&*wireguard, 2).await.last_handshake, None);
    let Some(a) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*a, at, 2).await, "back and not answered");
    true
}

async fn a_deleted_interface_does_not_answer(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let spec = interface(at, &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    let Some(client) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*client, at, 2).await, "no answer");
    wireguard.delete(at).await.expect("delete");
    assert!(silent(&*client, at, 2).await, "deleted and still answered");
    // The port is free at once.
    drop(host.occupy_port(at.listen_port()).await);
    true
}

async fn a_new_key_ends_the_old_sessions(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let mut spec = interface(at, &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    let Some(old) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*old, at, 2).await, "no answer");
    spec.private_key = private(222);
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure with a new key");
    assert_has(&*wireguard, &[&spec]).await;
    assert!(silent(&*old, at, 2).await, "the old key still answers");
    drop(old);
    let Some(new) = device(host, &spec, 2).await else {
        return false;
    };
    assert!(reaches(&*new, at, 2).await, "the new key does not answer");
    true
}

async fn a_wrong_preshared_key_is_rejected(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(1);
    let spec = interface(at, &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    let setup = ClientSetup {
        private_key: private(2),
        server: spec.private_key.public(),
        preshared_key: psk(66),
        endpoint: (Ipv4Addr::LOCALHOST, at.listen_port()).into(),
    };
    let Some(client) = host.client(setup).await else {
        return false;
    };
    assert!(silent(&*client, at, 2).await);
    // Whether the incomplete handshake is counted differs between implementations.
    assert!(wireguard.statistics().await.is_ok());
    true
}
