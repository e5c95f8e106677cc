//! A test of the meter with a database that has stopped.

use crate::{StoreSpecs, meter::Meter};
use domain::{
    AddressPlan, DeviceId, DeviceLabel, FilterPolicy, Routing, Secret, Slot, Span, TenantName,
    TenantScope, Timestamp,
};
use provisioning::{Node, NodePorts};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{DatabaseUrl, LOCAL_NODE, NewDevice, NewTenant, Sealer, Store};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    samples,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_478_400);

async fn tenant_with_a_device(root: &Path) -> (Store, TenantScope, DeviceId) {
    let url = DatabaseUrl::Sqlite(root.join("database.sqlite"));
    let store = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
    let tenant = NewTenant {
        name: TenantName::parse("lina").unwrap(),
        password_hash: Secret::new("hash"),
        plan: "home".to_owned(),
        private_key: samples::key(1, 0),
        dns_password: Secret::new("dns"),
        dns_password_hash: "hash".to_owned(),
        now: NOW,
    };
    let addresses = AddressPlan::default();
    let none = BTreeSet::new();
    let lina = store
        .create_tenant(tenant, &addresses, &none)
        .await
        .unwrap();
    let scope = TenantScope::issue(lina.id, lina.name.clone(), "lina");
    let (_, spec) = samples::device(&samples::settings(root), Slot::FIRST, 0);
    let device = NewDevice {
        label: DeviceLabel::parse("Phone").unwrap(),
        routing: Routing::Everything,
        policy: FilterPolicy::Standard,
        mesh: false,
        private_key: None,
        public_key: spec.public_key,
        preshared_key: spec.preshared_key,
        client_id: spec.client_id,
        now: NOW,
    };
    let device = store.add_device(&scope, device, &addresses).await.unwrap();
    (store, scope, device.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_stopped_holds_one_batch_and_delays_no_reading() {
    let root = tempfile::tempdir().unwrap();
    let (store, scope, device) = tenant_with_a_device(root.path()).await;
    let key = store.device(&scope, device).await.unwrap().public_key;
    let machine = FakeMachine::new();
    let clock = FakeClock::at(NOW);
    let all = Arc::new(machine.clone());
    let ports = NodePorts {
        wireguard: all.clone(),
        firewall: all.clone(),
        containers: all.clone(),
        dns: all.clone(),
        folders: all,
        specs: Arc::new(StoreSpecs::new(store.clone(), LOCAL_NODE)),
    };
    let (node, handle) = Node::new(ports, samples::settings(root.path()));
    tokio::spawn(node.run(std::future::pending()));
    let patience = Duration::from_secs(20);
    assert!(handle.applied(Slot::FIRST, 2, patience).await);

    let meter = Arc::new(Meter::new(store.clone(), handle, Arc::new(clock.clone())));
    let storing = tokio::spawn({
        let meter = meter.clone();
        async move { meter.stores().await }
    });
    let held = store.hold().await.unwrap();
    let start = Instant::now();
    for n in 1..=300_u64 {
        machine.state().counters.insert(key, (n * 10, n * 100));
        tokio::time::timeout(patience, meter.read(true))
            .await
            .expect("a reading waited for the database");
        clock.advance(10_000);
    }
    println!(
        "300 readings beside a stopped database: {:?}",
        start.elapsed()
    );
    assert_eq!(meter.speeds(Slot::FIRST).len(), 7, "a minute, as ever");
    assert!(meter.speeds(Slot::FIRST)[6].down_bps > 0);
    assert_eq!(store.device(&scope, device).await.unwrap().rx_total, 0);

    drop(held);
    let until = Instant::now() + patience;
    while store.device(&scope, device).await.unwrap().rx_total < 3_000 {
        assert!(Instant::now() < until, "the last reading was not stored");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kept = store.device(&scope, device).await.unwrap();
    assert_eq!((kept.rx_total, kept.tx_total), (3_000, 30_000));
    let now = NOW.plus_millis(3_000_000);
    let hour = store.series(&scope, None, Span::Hour, now).await.unwrap();
    let ticks = hour.iter().filter(|p| p.rx_bytes > 0).count();
    assert!(ticks <= 2, "300 readings were {ticks} batches");
    storing.abort();
}
