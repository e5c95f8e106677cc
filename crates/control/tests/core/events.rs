//! The event log from end to end: an external change of the machine, and who
//! reads of it. The node checks the machine every seven seconds, in real time.

use crate::rig::{Options, Rig, device};
use control::DeviceChange;
use domain::OwnerScope;
use domain::{
    FilterPolicy, Message, Slot, TenantHolderScope, TenantScope,
    view::{EventCategory, TenantEventRow},
};
use std::time::Duration;

/// Longer than the node's interval between two checks.
const A_CHECK: Duration = Duration::from_secs(8);

async fn ready_tenant(rig: &Rig, name: &str) -> TenantHolderScope {
    let scope = rig.tenant(name).await;
    rig.wait_until_ready(&scope).await;
    scope
}

async fn events(rig: &Rig, scope: &TenantScope) -> Vec<TenantEventRow> {
    rig.control.events().list(scope, None).await.unwrap().rows
}

#[tokio::test]
async fn only_the_tenant_and_operator_see_its_drift() {
    let rig = Rig::with(Options {
        has_system_clock: true,
        runs_jobs: true,
        ..Options::default()
    })
    .await;
    let lina = ready_tenant(&rig, "lina").await;
    let omar = ready_tenant(&rig, "omar").await;
    let control = &rig.control;
    // Our own changes, with checks of the node in between.
    let phone = control.devices().add(&lina, device("Phone")).await.unwrap();
    let laptop = control
        .devices()
        .add(&lina, device("Laptop"))
        .await
        .unwrap();
    control.devices().add(&omar, device("Phone")).await.unwrap();
    let change = DeviceChange {
        mesh: Some(false),
        policy: Some(FilterPolicy::Strict),
        ..DeviceChange::default()
    };
    control
        .devices()
        .change(&lina, phone.id, change)
        .await
        .unwrap();
    control.devices().delete(&lina, laptop.id).await.unwrap();
    let brief = ready_tenant(&rig, "brief").await;
    control
        .tenants()
        .set_suspended(&OwnerScope::issue("admin"), &brief, true)
        .await
        .unwrap();
    tokio::time::sleep(A_CHECK).await;
    control
        .tenants()
        .set_suspended(&OwnerScope::issue("admin"), &brief, false)
        .await
        .unwrap();
    rig.wait_until_ready(&brief).await;
    control.tenants().delete(&brief).await.unwrap();
    tokio::time::sleep(A_CHECK).await;
    let of_operator = rig.operator_view().await.events;
    assert_eq!(of_operator, [], "our own changes are no events");

    let slot = Slot::FIRST;
    rig.machine.state().interfaces.remove(&slot).unwrap();
    let mut rows = Vec::new();
    for _ in 0..400 {
        rows = events(&rig, &lina).await;
        if !rows.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].category, rows[0].kind.as_str()),
        (EventCategory::Drift, "drift.interface_gone")
    );
    rig.wait_until_ready(&lina).await;
    assert!(rig.machine.state().interfaces.contains_key(&slot));
    // The next check finds nothing new.
    tokio::time::sleep(A_CHECK).await;
    assert_eq!(events(&rig, &lina).await, rows);
    assert_eq!(events(&rig, &omar).await, []);
    let of_operator = rig.operator_view().await.events;
    assert_eq!(of_operator.len(), 1);
    assert_eq!(
        of_operator[0].message,
        Message::DriftInterfaceGone {
            name: "lina".into(),
            interface: "wg1".into(),
        }
    );
}
