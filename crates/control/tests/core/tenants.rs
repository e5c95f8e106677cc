//! Tenants: what is visible to others, problems of the machine, deletion.

use crate::rig::{FROM, PASSWORD, Rig, code, device};
use control::{Audience, DeviceChange, PresentedTicket};
use domain::{DeviceId, ErrorCode, Secret, Slot, TenantId, TenantName, TenantScope};
use std::time::Duration;

#[tokio::test]
async fn another_tenants_objects_are_not_found() {
    let rig = Rig::new().await;
    let (lina, omar) = (rig.tenant("lina").await, rig.tenant("omar").await);
    let phone = rig
        .control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    let c = &rig.control;
    for id in [phone.id, DeviceId(999_999), DeviceId(-1)] {
        assert_eq!(code(c.devices().get(&omar, id).await), ErrorCode::NotFound);
        let page = c.devices().page(&omar, id).await;
        assert_eq!(code(page), ErrorCode::NotFound);
        let config = c.devices().config(&omar, id, None).await.map(|_| ());
        assert_eq!(code(config), ErrorCode::NotFound);
        let change = DeviceChange {
            mesh: Some(false),
            ..DeviceChange::default()
        };
        let changed = c.devices().change(&omar, id, change).await;
        assert_eq!(code(changed), ErrorCode::NotFound);
        assert_eq!(
            code(c.devices().delete(&omar, id).await),
            ErrorCode::NotFound
        );
    }
    let password = Secret::new(PASSWORD);
    let ticket = c
        .auth()
        .sign_in("lina", &password, FROM)
        .await
        .unwrap()
        .done()
        .unwrap()
        .ticket;
    let host = TenantName::parse("omar").unwrap();
    let redeemed = c
        .auth()
        .redeem(
            Audience::Dashboard,
            &host,
            PresentedTicket::Cookie(ticket.expose()),
            FROM,
        )
        .await;
    assert_eq!(code(redeemed), ErrorCode::TicketInvalid);
    let unknown = TenantScope::issue(TenantId(4711), host, "omar");
    let (dashboard, network) = tokio::join!(
        c.tenants().dashboard(&unknown),
        c.tenants().network(&unknown)
    );
    assert_eq!(code(dashboard), ErrorCode::NotFound);
    assert_eq!(code(network), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_failing_machine_loses_nothing_and_is_reported() {
    let rig = Rig::new().await;
    let calls = ["wireguard.ensure", "containers.start", "firewall.apply"];
    for call in calls {
        rig.machine.fail(call, true);
    }
    let lina = rig.tenant("lina").await;
    let phone = rig
        .control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    let status = rig.control.tenants().network(&lina).await.unwrap().status;
    assert!(
        status
            .firewall
            .problem()
            .is_some_and(|p| !p.message.code().is_empty())
    );
    for call in calls {
        rig.machine.fail(call, false);
    }
    rig.wait_until_ready(&lina).await;
    let network = rig.control.tenants().network(&lina).await.unwrap();
    assert!(network.status.is_ready());
    assert!(
        rig.machine.state().interfaces[&Slot::FIRST].peers.len() == 1
            && phone.address == "10.88.1.2"
    );
}

#[tokio::test]
async fn a_deleted_tenant_is_cut_off_before_the_answer() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    rig.control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    rig.machine.fail("wireguard.delete", true);
    let recovers = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!rig.machine.state().interfaces.is_empty());
        rig.machine.fail("wireguard.delete", false);
    };
    let (deleted, ()) = tokio::join!(rig.control.tenants().delete(&lina), recovers);
    assert!(deleted.unwrap(), "nothing of it carries packets");
    assert!(rig.machine.state().interfaces.is_empty());
}

#[tokio::test]
async fn a_deletion_not_yet_in_force_is_reported() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    rig.control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    rig.machine.fail("wireguard.delete", true);
    assert!(!rig.control.tenants().delete(&lina).await.unwrap());
    assert!(!rig.machine.state().interfaces.is_empty());
}

#[tokio::test]
async fn a_tenant_with_too_many_changes_has_to_wait() {
    let rig = Rig::new().await;
    let (lina, omar) = (rig.tenant("lina").await, rig.tenant("omar").await);
    let unknown = DeviceId(999_999);
    for _ in 0..120 {
        let refused = rig.control.devices().delete(&lina, unknown).await;
        assert_eq!(code(refused), ErrorCode::NotFound);
    }
    let refused = rig.control.devices().add(&lina, device("Phone")).await;
    assert_eq!(code(refused), ErrorCode::TooManyTries);
    assert!(
        rig.control
            .devices()
            .add(&omar, device("Phone"))
            .await
            .is_ok()
    );
    rig.clock.advance(61_000);
    assert!(
        rig.control
            .devices()
            .add(&lina, device("Phone"))
            .await
            .is_ok()
    );
}
