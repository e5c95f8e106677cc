//! Devices, from the form to the tunnel.

use crate::rig::{Rig, code, device};
use control::DeviceChange;
use domain::{ErrorCode, Slot};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_new_device_has_a_peer_and_a_configuration() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let view = rig
        .control
        .devices()
        .add(&lina, device("My phone"))
        .await
        .unwrap();
    assert_eq!(view.address, "10.88.1.2");
    let config = rig
        .control
        .devices()
        .config(&lina, view.id, None)
        .await
        .unwrap();
    assert_eq!(config.endpoint, "vpn.example.org:51821");
    assert_eq!(config.private_key.public().to_string(), view.public_key);
    let peers: Vec<_> = rig.machine.state().interfaces[&Slot::FIRST]
        .peers
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        peers,
        std::slice::from_ref(&view.public_key),
        "the tunnel has the peer before the answer"
    );
    assert_eq!(
        rig.machine.state().interfaces[&Slot::FIRST].public_key,
        Some(config.server_key)
    );
    let dashboard = rig.control.tenants().dashboard(&lina).await.unwrap();
    let network = rig.control.tenants().network(&lina).await.unwrap();
    assert_eq!((network.devices.len(), network.plan.devices), (1, 5));
    assert_eq!(dashboard.network, network);
    let page = rig.control.devices().page(&lina, view.id).await.unwrap();
    assert_eq!((page.device, page.status), (view.clone(), network.status));
    rig.control.devices().delete(&lina, view.id).await.unwrap();
    assert!(
        rig.machine.state().interfaces[&Slot::FIRST]
            .peers
            .is_empty(),
        "the device is cut off before the answer"
    );
}

#[tokio::test]
async fn bad_labels_are_refused() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    for label in ["x".repeat(10_240), "a\u{7}b".to_owned()] {
        let refused = rig.control.devices().add(&lina, device(&label)).await;
        assert_eq!(code(refused), ErrorCode::LabelMalformed);
    }
    let phone = rig
        .control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    let refused = rig.control.devices().add(&lina, device("phone")).await;
    assert_eq!(code(refused), ErrorCode::LabelTaken);
    let renamed = DeviceChange {
        label: Some("d\u{202e}".into()),
        ..DeviceChange::default()
    };
    let refused = rig.control.devices().change(&lina, phone.id, renamed).await;
    assert_eq!(code(refused), ErrorCode::LabelMalformed);
}

#[tokio::test]
async fn the_device_limit_holds_for_concurrent_requests() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    rig.control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    let tasks: Vec<_> = (0..10)
        .map(|i| {
            let (control, lina) = (rig.control.clone(), lina.clone());
            tokio::spawn(
                async move { control.devices().add(&lina, device(&format!("d{i}"))).await },
            )
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().map(|d| d.address).map_err(|f| f.code));
    }
    assert_eq!(
        results.iter().filter(|r| r.is_ok()).count(),
        4,
        "the plan allows five devices"
    );
    assert!(
        results
            .iter()
            .all(|r| r.is_ok() || *r == Err(ErrorCode::DeviceLimit))
    );
    let addresses: BTreeSet<_> = results.iter().filter_map(|r| r.as_ref().ok()).collect();
    assert_eq!(addresses.len(), 4);
}

#[tokio::test]
async fn a_saved_change_not_yet_in_force_is_reported() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let phone = rig
        .control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    for call in [
        "firewall.apply",
        "firewall.change",
        "wireguard.change_peers",
    ] {
        rig.machine.fail(call, true);
    }
    let out_of_mesh = DeviceChange {
        mesh: Some(false),
        ..DeviceChange::default()
    };
    let changed = rig
        .control
        .devices()
        .change(&lina, phone.id, out_of_mesh)
        .await;
    let changed = changed.unwrap();
    assert_eq!((changed.device.mesh, changed.in_force), (false, false));
    let deleted = rig.control.devices().delete(&lina, phone.id).await;
    assert_eq!(code(deleted), ErrorCode::NotYetInForce);
    assert_eq!(
        code(rig.control.devices().get(&lina, phone.id).await),
        ErrorCode::NotFound
    );
}
