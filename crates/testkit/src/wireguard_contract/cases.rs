//! The cases that need no traffic.

use super::{
    host::{ContractHost, case_list},
    samples::{address, address6, assert_has, interface, peer, private, psk, slot},
};
use crate::expected;
use domain::ErrorCode;
use futures_util::StreamExt;
use provisioning::ports::PeerChange;
use std::time::Duration;

case_list! {
    an_interface_is_made_as_specified,
    ensuring_twice_changes_nothing,
    a_full_subnet_of_devices_fits,
    devices_are_added_and_removed,
    drift_is_corrected,
    an_absent_interface_can_be_deleted,
    an_absent_interface_cannot_be_changed,
    a_deleted_interface_can_be_made_again,
    a_foreign_interface_is_left_alone,
    a_taken_port_is_reported,
    another_tenant_replaces_the_interface,
    an_external_removal_is_reported_and_corrected,
    many_interfaces_are_all_observed,
    concurrent_changes_of_interfaces_do_not_mix,
}

async fn an_interface_is_made_as_specified(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    assert!(!wireguard.describe().is_empty());
    let spec = interface(slot(1), &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec]).await;
    assert_eq!(host.mtu(spec.slot).await, Some(1420));
    // No device has connected: every device is listed, without handshakes or bytes.
    let statistics = wireguard.statistics().await.expect("statistics");
    assert_eq!(statistics.len(), 2);
    for s in statistics {
        assert_eq!(s.slot, spec.slot);
        assert!(spec.peers.contains_key(&s.public_key));
        assert_eq!((s.last_handshake, s.endpoint), (None, None));
        assert_eq!((s.rx_bytes, s.tx_bytes), (0, 0));
    }
    // An interface without devices exists as well, and listens.
    let empty = interface(slot(2), &[]);
    wireguard
        .ensure(&empty)
        .await
        .expect("ensure without devices");
    assert_has(&*wireguard, &[&spec, &empty]).await;
    true
}

async fn ensuring_twice_changes_nothing(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let spec = interface(slot(1), &[2]);
    for _ in 0..3 {
        wireguard.ensure(&spec).await.expect("ensure");
        assert_has(&*wireguard, &[&spec]).await;
    }
    // As after a restart of the server.
    let fresh = host.wireguard().await;
    assert_has(&*fresh, &[&spec]).await;
    fresh.ensure(&spec).await.expect("ensure after a restart");
    assert_has(&*fresh, &[&spec]).await;
    true
}

async fn a_full_subnet_of_devices_fits(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(300);
    let mut spec = interface(at, &[]);
    for host in 2..=254u8 {
        let (_, device) = peer(at, host, host);
        spec.peers
            .insert(domain::PublicKey::from_bytes([host; 32]), device);
    }
    assert_eq!(spec.peers.len(), 253);
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure with 253 devices");
    assert_has(&*wireguard, &[&spec]).await;
    let statistics = wireguard.statistics().await.expect("statistics");
    assert_eq!(statistics.len(), 253);
    // Half of them are removed, and the others trade addresses.
    let mut keys: Vec<_> = spec.peers.keys().copied().collect();
    for key in keys.split_off(126) {
        spec.peers.remove(&key);
    }
    let n = spec.peers.len() as u8;
    for (i, device) in (0u8..).zip(spec.peers.values_mut()) {
        let host = 2 + (i + 1) % n;
        device.address = address(at, host);
        device.address6 = Some(address6(at, host));
    }
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure with a rotation");
    assert_has(&*wireguard, &[&spec]).await;
    true
}

async fn devices_are_added_and_removed(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let mut spec = interface(slot(1), &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    let nothing = PeerChange::default();
    wireguard
        .change_peers(spec.slot, &nothing)
        .await
        .expect("nothing");

    let (gone, _) = peer(spec.slot, 2, 2);
    let (new, new_spec) = peer(spec.slot, 4, 4);
    let (changed, mut changed_spec) = peer(spec.slot, 3, 3);
    changed_spec.preshared_key = psk(99);
    // A device that never existed may be removed, too.
    let (absent, _) = peer(spec.slot, 77, 77);
    let change = PeerChange {
        remove: vec![gone, absent],
        set: [(new, new_spec), (changed, changed_spec)].into(),
    };
    wireguard
        .change_peers(spec.slot, &change)
        .await
        .expect("change");
    spec.peers.remove(&gone);
    spec.peers.extend(change.set.clone());
    assert_has(&*wireguard, &[&spec]).await;
    // A change is idempotent, like every call.
    wireguard
        .change_peers(spec.slot, &change)
        .await
        .expect("again");
    assert_has(&*wireguard, &[&spec]).await;

    // A device that gets the address of another is the only one with it.
    let (a, _) = peer(spec.slot, 3, 3);
    let (_, stolen) = peer(spec.slot, 3, 4);
    let steal = PeerChange {
        remove: vec![],
        set: [(a, stolen)].into(),
    };
    wireguard
        .change_peers(spec.slot, &steal)
        .await
        .expect("steal");
    let found = wireguard.observe().await.expect("observe");
    let peers = &found[&spec.slot].peers;
    assert_eq!(peers[&a].allowed_ips.len(), 2);
    assert!(
        peers[&new].allowed_ips.is_empty(),
        "the address has two owners"
    );
    true
}

async fn drift_is_corrected(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let spec = interface(slot(1), &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    let extra = ["10.1.2.3/16", "fd99::3/64"].map(|a| a.parse().expect("an address"));
    for address in extra {
        host.add_address(spec.slot, address).await;
    }
    host.set_mtu(spec.slot, 1300).await;
    host.set_down(spec.slot).await;
    let found = wireguard.observe().await.expect("observe");
    assert!(!found[&spec.slot].up);
    assert!(found[&spec.slot].addresses.contains(&extra[0]));
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec]).await;
    assert_eq!(host.mtu(spec.slot).await, Some(1420));
    true
}

async fn an_absent_interface_can_be_deleted(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    wireguard
        .delete(slot(5))
        .await
        .expect("delete what never was");
    let spec = interface(slot(5), &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    wireguard.delete(slot(5)).await.expect("delete");
    assert_has(&*wireguard, &[]).await;
    wireguard.delete(slot(5)).await.expect("delete again");
    assert!(wireguard.statistics().await.expect("statistics").is_empty());
    true
}

async fn an_absent_interface_cannot_be_changed(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let change = PeerChange {
        remove: vec![],
        set: [peer(slot(5), 2, 2)].into(),
    };
    let e = wireguard
        .change_peers(slot(5), &change)
        .await
        .expect_err("absent");
    assert_eq!(e.code, ErrorCode::NotFound);
    // In particular, the interface was not made.
    assert_has(&*wireguard, &[]).await;
    true
}

async fn a_deleted_interface_can_be_made_again(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let spec = interface(slot(1), &[2, 3]);
    for _ in 0..8 {
        wireguard.ensure(&spec).await.expect("ensure");
        wireguard.delete(spec.slot).await.expect("delete");
    }
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec]).await;
    true
}

async fn a_foreign_interface_is_left_alone(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let at = slot(7);
    host.add_foreign(at).await;
    let before = wireguard.observe().await.expect("observe");
    assert_eq!(before[&at].owner, None);
    let change = PeerChange {
        remove: vec![],
        set: [peer(at, 2, 2)].into(),
    };
    for refused in [
        wireguard.ensure(&interface(at, &[2])).await,
        wireguard.change_peers(at, &change).await,
        wireguard.delete(at).await,
    ] {
        let e = refused.expect_err("a foreign interface was touched");
        assert_eq!(e.code, ErrorCode::NameForeign, "{e}");
        assert!(e.to_string().contains("wg7"), "{e}");
    }
    assert_eq!(wireguard.observe().await.expect("observe"), before);
    assert!(wireguard.statistics().await.expect("statistics").is_empty());
    // Other interfaces are not affected.
    let ours = interface(slot(8), &[2]);
    wireguard.ensure(&ours).await.expect("ensure beside it");
    let found = wireguard.observe().await.expect("observe");
    assert_eq!(found[&ours.slot], expected::interface(&ours));
    // Once it is removed, the name is free.
    host.remove_externally(at).await;
    let spec = interface(at, &[2]);
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure when it is gone");
    assert_has(&*wireguard, &[&spec, &ours]).await;
    true
}

async fn a_taken_port_is_reported(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let spec = interface(slot(3), &[2]);
    let held = host.occupy_port(spec.slot.listen_port()).await;
    for _ in 0..2 {
        let e = wireguard
            .ensure(&spec)
            .await
            .expect_err("the port is taken");
        assert_eq!(e.code, ErrorCode::PortTaken, "{e}");
        assert!(e.to_string().contains("51823"), "{e}");
        // An interface that cannot receive would look like one that works.
        assert_has(&*wireguard, &[]).await;
    }
    drop(held);
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure when it is free");
    assert_has(&*wireguard, &[&spec]).await;
    true
}

async fn another_tenant_replaces_the_interface(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let before = interface(slot(1), &[2, 3]);
    wireguard.ensure(&before).await.expect("ensure");
    let mut after = interface(slot(1), &[9]);
    after.owner = "maliknode other-tenant".to_owned();
    after.private_key = private(201);
    wireguard.ensure(&after).await.expect("ensure for another");
    assert_has(&*wireguard, &[&after]).await;
    true
}

async fn an_external_removal_is_reported_and_corrected(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let spec = interface(slot(1), &[2]);
    let other = interface(slot(2), &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    wireguard.ensure(&other).await.expect("ensure");
    let mut events = wireguard.events();
    // Events about our own changes may still arrive.
    while let Ok(Some(())) = tokio::time::timeout(Duration::from_secs(1), events.next()).await {}
    host.remove_externally(spec.slot).await;
    let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
    assert_eq!(event, Ok(Some(())), "no event");
    assert_has(&*wireguard, &[&other]).await;
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec, &other]).await;
    true
}

async fn many_interfaces_are_all_observed(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let specs: Vec<_> = (1..=40).map(|n| interface(slot(n * 25), &[2, 3])).collect();
    for spec in &specs {
        wireguard.ensure(spec).await.expect("ensure");
    }
    assert_has(&*wireguard, &specs.iter().collect::<Vec<_>>()).await;
    let statistics = wireguard.statistics().await.expect("statistics");
    assert_eq!(statistics.len(), 80);
    true
}

async fn concurrent_changes_of_interfaces_do_not_mix(host: &dyn ContractHost) -> bool {
    let wireguard = host.wireguard().await;
    let specs: Vec<_> = (1..=12).map(|n| interface(slot(n), &[2, 3])).collect();
    // Each interface twice, and one three times: later calls find it made.
    let calls = specs.iter().chain(&specs).chain(&specs[..1]);
    let done = futures_util::future::join_all(calls.map(|s| wireguard.ensure(s))).await;
    for result in done {
        result.expect("ensure at once");
    }
    assert_has(&*wireguard, &specs.iter().collect::<Vec<_>>()).await;
    true
}
