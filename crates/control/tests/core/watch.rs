//! The streams that tell pages to read again what they show.

use crate::rig::{Options, Rig, device};
use domain::{DeviceId, TenantScope, Topic};
use futures_util::{StreamExt, stream::BoxStream};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
/// How long a stream is watched that must stay silent.
const A_WHILE: Duration = Duration::from_millis(300);

type Changes = BoxStream<'static, ()>;

/// Returns whether the stream yields in time.
async fn yields(changes: &mut Changes, within: Duration) -> bool {
    let next = tokio::time::timeout(within, changes.next()).await;
    next == Ok(Some(()))
}

/// Opens a stream of each topic and reads what is due.
async fn open_all(rig: &Rig, scope: &TenantScope, device: DeviceId) -> Vec<(Topic, Changes)> {
    let topics = [
        Topic::Overview,
        Topic::Network,
        Topic::Device(device),
        Topic::Progress,
    ];
    let mut open = Vec::new();
    for topic in topics {
        let mut changes = rig.control.watch().changes(scope, topic);
        assert!(yields(&mut changes, SOON).await, "{topic} yields at once");
        while yields(&mut changes, A_WHILE).await {}
        open.push((topic, changes));
    }
    open
}

#[tokio::test]
async fn a_change_wakes_its_own_tenants_streams_only() {
    let rig = Rig::new().await;
    let (lina, omar) = (rig.tenant("lina").await, rig.tenant("omar").await);
    let devices = rig.control.devices();
    let phone = devices.add(&lina, device("Phone")).await.unwrap();
    rig.wait_until_ready(&lina).await;
    rig.wait_until_ready(&omar).await;
    let mut open = open_all(&rig, &lina, phone.id).await;

    // Every change makes a new generation of the node's spec.
    for n in 0..3 {
        let new = device(&format!("Phone {n}"));
        devices.add(&omar, new).await.unwrap();
    }
    tokio::time::sleep(A_WHILE).await;
    for (topic, changes) in &mut open {
        let woken = yields(changes, Duration::ZERO).await;
        assert!(!woken, "{topic} was woken by another tenant");
    }
    devices.add(&lina, device("Laptop")).await.unwrap();
    for (topic, changes) in &mut open {
        assert!(yields(changes, SOON).await, "{topic} yields");
    }
}

#[tokio::test]
async fn a_new_status_wakes_the_stream() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let mut changes = rig.control.watch().changes(&lina, Topic::Progress);
    loop {
        assert!(yields(&mut changes, SOON).await, "the status stays");
        let progress = rig.control.tenants().progress(&lina).await.unwrap();
        if progress.status.is_ready() {
            break;
        }
    }
}

#[tokio::test]
async fn a_reading_wakes_topics_with_statistics() {
    let rig = Rig::with(Options {
        runs_jobs: true,
        ..Options::default()
    })
    .await;
    let lina = rig.tenant("lina").await;
    let phone = rig.control.devices().add(&lina, device("Phone")).await;
    rig.wait_until_ready(&lina).await;
    for (topic, mut changes) in open_all(&rig, &lina, phone.unwrap().id).await {
        let is_woken = yields(&mut changes, SOON).await;
        assert_eq!(is_woken, topic != Topic::Progress, "{topic}");
    }
}
