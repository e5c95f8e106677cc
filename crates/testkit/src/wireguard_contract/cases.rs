//! The cases that need no traffic.

use super::{Bed, Case, address, as_observed, assert_has, interface, peer, private, psk, slot};
use domain::ErrorCode;
use futures_util::StreamExt;
use provisioning::ports::PeerChange;
use std::time::Duration;

/// See the names.
pub(super) const ALL: &[Case] = &[
    ("an_interface_is_made_as_specified", |b| Box::pin(made(b))),
    ("making_it_twice_changes_nothing", |b| Box::pin(twice(b))),
    ("a_full_subnet_of_devices_fits", |b| Box::pin(full(b))),
    ("devices_come_and_go", |b| Box::pin(come_and_go(b))),
    ("drift_is_put_right", |b| Box::pin(drift(b))),
    ("what_is_not_there_can_be_deleted", |b| Box::pin(absent(b))),
    ("what_is_not_there_cannot_be_changed", |b| {
        Box::pin(change_absent(b))
    }),
    ("it_can_be_made_again_right_after_deletion", |b| {
        Box::pin(again(b))
    }),
    ("a_foreign_interface_is_left_alone", |b| {
        Box::pin(foreign(b))
    }),
    ("a_taken_port_is_told", |b| Box::pin(port(b))),
    ("another_tenant_starts_afresh", |b| Box::pin(tenant(b))),
    ("removal_by_hand_is_news_and_is_put_right", |b| {
        Box::pin(by_hand(b))
    }),
    ("many_interfaces_are_all_seen", |b| Box::pin(many(b))),
    ("changes_of_different_interfaces_do_not_mix", |b| {
        Box::pin(at_once(b))
    }),
];

async fn made(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    assert!(!wireguard.describe().is_empty());
    let spec = interface(slot(1), &[2, 3]);
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec]).await;
    assert_eq!(bed.mtu(spec.slot).await, Some(1420));
    // Nobody has come yet: no handshake, no bytes, and everybody is listed.
    let statistics = wireguard.statistics().await.expect("statistics");
    assert_eq!(statistics.len(), 2);
    for s in statistics {
        assert_eq!(s.slot, spec.slot);
        assert!(spec.peers.contains_key(&s.public_key));
        assert_eq!((s.last_handshake, s.endpoint), (None, None));
        assert_eq!((s.rx_bytes, s.tx_bytes), (0, 0));
    }
    // Without devices it is there as well, and listens.
    let empty = interface(slot(2), &[]);
    wireguard
        .ensure(&empty)
        .await
        .expect("ensure without devices");
    assert_has(&*wireguard, &[&spec, &empty]).await;
    true
}

async fn twice(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let spec = interface(slot(1), &[2]);
    for _ in 0..3 {
        wireguard.ensure(&spec).await.expect("ensure");
        assert_has(&*wireguard, &[&spec]).await;
    }
    // As after a restart of the server.
    let fresh = bed.wireguard().await;
    assert_has(&*fresh, &[&spec]).await;
    fresh.ensure(&spec).await.expect("ensure after a restart");
    assert_has(&*fresh, &[&spec]).await;
    true
}

async fn full(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
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
    // Half of them go, the others trade addresses.
    let mut keys: Vec<_> = spec.peers.keys().copied().collect();
    for key in keys.split_off(126) {
        spec.peers.remove(&key);
    }
    let n = spec.peers.len() as u8;
    for (i, device) in (0u8..).zip(spec.peers.values_mut()) {
        device.address = address(at, 2 + (i + 1) % n);
    }
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure with a rotation");
    assert_has(&*wireguard, &[&spec]).await;
    true
}

async fn come_and_go(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
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
    // One who was never there may go, too.
    let (never, _) = peer(spec.slot, 77, 77);
    let change = PeerChange {
        remove: vec![gone, never],
        set: [(new, new_spec), (changed, changed_spec)].into(),
    };
    wireguard
        .change_peers(spec.slot, &change)
        .await
        .expect("change");
    spec.peers.remove(&gone);
    spec.peers.extend(change.set.clone());
    assert_has(&*wireguard, &[&spec]).await;
    // A change is idempotent, as everything.
    wireguard
        .change_peers(spec.slot, &change)
        .await
        .expect("again");
    assert_has(&*wireguard, &[&spec]).await;

    // A device that takes the address of one that stays listed has it alone.
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
    assert_eq!(peers[&a].allowed_ips.len(), 1);
    assert!(
        peers[&new].allowed_ips.is_empty(),
        "the address has two owners"
    );
    true
}

async fn drift(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let spec = interface(slot(1), &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    let extra = "10.1.2.3/16".parse().expect("an address");
    bed.add_address(spec.slot, extra).await;
    bed.set_mtu(spec.slot, 1300).await;
    bed.set_down(spec.slot).await;
    let found = wireguard.observe().await.expect("observe");
    assert!(!found[&spec.slot].up);
    assert!(found[&spec.slot].addresses.contains(&extra));
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec]).await;
    assert_eq!(bed.mtu(spec.slot).await, Some(1420));
    true
}

async fn absent(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
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

async fn change_absent(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let change = PeerChange {
        remove: vec![],
        set: [peer(slot(5), 2, 2)].into(),
    };
    let e = wireguard
        .change_peers(slot(5), &change)
        .await
        .expect_err("absent");
    assert_eq!(e.code, ErrorCode::NotFound);
    // Above all it was not made.
    assert_has(&*wireguard, &[]).await;
    true
}

async fn again(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let spec = interface(slot(1), &[2, 3]);
    for _ in 0..8 {
        wireguard.ensure(&spec).await.expect("ensure");
        wireguard.delete(spec.slot).await.expect("delete");
    }
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec]).await;
    true
}

async fn foreign(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let at = slot(7);
    bed.add_foreign(at).await;
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
        assert_eq!(e.code, ErrorCode::NameForeign, "{}", e.sentence);
        assert!(e.sentence.contains("wg7"), "{}", e.sentence);
    }
    assert_eq!(wireguard.observe().await.expect("observe"), before);
    assert!(wireguard.statistics().await.expect("statistics").is_empty());
    // Others are not held up by it.
    let ours = interface(slot(8), &[2]);
    wireguard.ensure(&ours).await.expect("ensure beside it");
    let found = wireguard.observe().await.expect("observe");
    assert_eq!(found[&ours.slot], as_observed(&ours));
    // And once it is gone the name is free.
    bed.remove_by_hand(at).await;
    let spec = interface(at, &[2]);
    wireguard
        .ensure(&spec)
        .await
        .expect("ensure when it is gone");
    assert_has(&*wireguard, &[&spec, &ours]).await;
    true
}

async fn port(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let spec = interface(slot(3), &[2]);
    let held = bed.hold_port(spec.slot.listen_port()).await;
    for _ in 0..2 {
        let e = wireguard
            .ensure(&spec)
            .await
            .expect_err("the port is taken");
        assert_eq!(e.code, ErrorCode::PortTaken, "{}", e.sentence);
        assert!(e.sentence.contains("51823"), "{}", e.sentence);
        // An interface that cannot hear would look like one that works.
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

async fn tenant(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let before = interface(slot(1), &[2, 3]);
    wireguard.ensure(&before).await.expect("ensure");
    let mut after = interface(slot(1), &[9]);
    after.owner = "maliknode somebody-else".to_owned();
    after.private_key = private(201);
    wireguard.ensure(&after).await.expect("ensure for another");
    assert_has(&*wireguard, &[&after]).await;
    true
}

async fn by_hand(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let spec = interface(slot(1), &[2]);
    let other = interface(slot(2), &[2]);
    wireguard.ensure(&spec).await.expect("ensure");
    wireguard.ensure(&other).await.expect("ensure");
    let mut events = wireguard.events();
    // What we did ourselves may still be told: let it pass.
    while let Ok(Some(())) = tokio::time::timeout(Duration::from_secs(1), events.next()).await {}
    bed.remove_by_hand(spec.slot).await;
    let told = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
    assert_eq!(told, Ok(Some(())), "no event");
    assert_has(&*wireguard, &[&other]).await;
    wireguard.ensure(&spec).await.expect("ensure");
    assert_has(&*wireguard, &[&spec, &other]).await;
    true
}

async fn many(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let specs: Vec<_> = (1..=40).map(|n| interface(slot(n * 25), &[2, 3])).collect();
    for spec in &specs {
        wireguard.ensure(spec).await.expect("ensure");
    }
    assert_has(&*wireguard, &specs.iter().collect::<Vec<_>>()).await;
    let statistics = wireguard.statistics().await.expect("statistics");
    assert_eq!(statistics.len(), 80);
    true
}

async fn at_once(bed: &dyn Bed) -> bool {
    let wireguard = bed.wireguard().await;
    let specs: Vec<_> = (1..=12).map(|n| interface(slot(n), &[2, 3])).collect();
    // Each twice, and one slot thrice: whoever comes second finds it done.
    let calls = specs.iter().chain(&specs).chain(&specs[..1]);
    let done = futures_util::future::join_all(calls.map(|s| wireguard.ensure(s))).await;
    for result in done {
        result.expect("ensure at once");
    }
    assert_has(&*wireguard, &specs.iter().collect::<Vec<_>>()).await;
    true
}
