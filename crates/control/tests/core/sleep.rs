//! Tenants of which no device connects sleep, and wake when they are used. The node is a real
//! one with a machine in memory.

use crate::rig::{FROM, Options, PASSWORD, Rig, device};
use control::{ApiGrant, Grant};
use domain::{Access, ErrorCode, PublicKey, Secret, TenantScope, view::EventCategory};
use std::time::Duration;
use store::{LOCAL_NODE, StatSample};

const HOUR: i64 = 3_600_000;

async fn running() -> Rig {
    Rig::with(Options {
        runs_jobs: true,
        sleep_after: Duration::from_secs(24 * 3_600),
        ..Options::default()
    })
    .await
}

/// Waits until the tenant's DNS filter sleeps, or until everything of it works.
async fn until(rig: &Rig, scope: &TenantScope, asleep: bool) {
    let holds = async || {
        let status = rig.control.tenants().progress(scope).await.unwrap().status;
        let problem = status.dns.problem().map(|p| p.code);
        let stays = status.tunnel.is_ready() && status.firewall.is_ready();
        match asleep {
            true => stays && problem == Some(ErrorCode::Asleep),
            false => status.is_ready(),
        }
    };
    for _ in 0..1_500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = rig.control.tenants().progress(scope).await.unwrap().status;
    panic!("it is {status:?}");
}

fn containers(rig: &Rig) -> usize {
    rig.machine.state().containers.ours.len()
}

#[tokio::test]
async fn an_unused_tenant_sleeps_after_a_day_and_wakes_by_signing_in() {
    let rig = running().await;
    let scope = rig.tenant("lina").await;
    until(&rig, &scope, false).await;
    rig.clock.advance(24 * HOUR - 1);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(containers(&rig), 1, "not before the day is over");
    rig.clock.advance(1);
    until(&rig, &scope, true).await;
    assert_eq!(
        (containers(&rig), rig.machine.state().interfaces.len()),
        (0, 1)
    );
    let row = &rig.operator_view().await.tenants[0];
    assert_eq!(row.asleep_since, Some(rig.control.now()));

    let request = ApiGrant {
        grant: Grant::Tenant {
            name: "lina".to_owned(),
            password: Secret::new(PASSWORD),
        },
        access: Access::Read,
        client: FROM.into(),
    };
    rig.control.auth().grant(request).await.unwrap();
    until(&rig, &scope, false).await;
    assert_eq!(rig.operator_view().await.tenants[0].asleep_since, None);

    // It sleeps again a day after that, if no device connects.
    rig.clock.advance(24 * HOUR);
    until(&rig, &scope, true).await;
    let events = rig
        .control
        .events()
        .list(&scope, Some(EventCategory::Note))
        .await;
    let kinds: Vec<_> = events.unwrap().rows.into_iter().map(|r| r.kind).collect();
    assert_eq!(kinds.iter().filter(|k| *k == "tenant.asleep").count(), 2);
    assert_eq!(kinds.iter().filter(|k| *k == "tenant.awake").count(), 1);
    let failures = rig
        .control
        .events()
        .list(&scope, Some(EventCategory::Failed))
        .await;
    assert!(failures.unwrap().rows.is_empty(), "it is no failure");
}

#[tokio::test]
async fn a_new_device_wakes_and_a_handshake_keeps_awake() {
    let rig = running().await;
    let scope = rig.tenant("lina").await;
    until(&rig, &scope, false).await;
    rig.clock.advance(24 * HOUR);
    until(&rig, &scope, true).await;
    let phone = rig
        .control
        .devices()
        .add(&scope, device("Phone"))
        .await
        .unwrap();
    until(&rig, &scope, false).await;
    rig.clock.advance(24 * HOUR);
    until(&rig, &scope, true).await;

    let read = [StatSample {
        public_key: PublicKey::parse(&phone.public_key).unwrap(),
        rx_bytes: 0,
        tx_bytes: 0,
        last_handshake: Some(rig.control.now()),
        endpoint: None,
    }];
    let now = rig.control.now();
    let recorded = rig.store.record_statistics(LOCAL_NODE, &read, None, now);
    recorded.await.unwrap();
    until(&rig, &scope, false).await;
    rig.clock.advance(1_000 * HOUR);
    tokio::time::sleep(Duration::from_secs(6)).await;
    until(&rig, &scope, false).await;
    assert_eq!(containers(&rig), 1, "it was used, and never sleeps again");
}
