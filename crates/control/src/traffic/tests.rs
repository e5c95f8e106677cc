//! Tests of the meter beside a database that is locked.

use super::Meter;
use crate::{quota::Quotas, test_node};
use domain::{AddressPlan, DeviceId, DeviceLabel, FilterPolicy, Routing, Slot, Span, TenantScope};
use protocol::Location;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{LOCAL_NODE, NewDevice, Store};
use test_node::NOW;
use testkit::{
    fakes::{FakeClock, FakeMachine},
    samples,
    wait::NodeWait,
};

const AT: Location = Location {
    node: LOCAL_NODE,
    slot: Slot::FIRST,
};

async fn tenant_with_a_device(root: &Path) -> (Store, TenantScope, DeviceId) {
    let store = test_node::store(root).await;
    let scope = test_node::tenant(&store, "lina").await;
    let (_, spec) = samples::device(&samples::settings(root), Slot::FIRST, 0);
    let device = NewDevice {
        label: DeviceLabel::parse("Phone").unwrap(),
        routing: Routing::Everything,
        options: domain::TunnelOptions::default(),
        policy: FilterPolicy::Standard,
        mesh: false,
        private_key: None,
        public_key: spec.public_key,
        preshared_key: spec.preshared_key,
        client_id: spec.client_id,
        now: NOW,
    };
    let addresses = AddressPlan::default();
    let device = store.add_device(&scope, device, &addresses).await.unwrap();
    (store, scope, device.value.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_holds_one_batch_and_delays_no_reading() {
    let root = tempfile::tempdir().unwrap();
    let (store, scope, device) = tenant_with_a_device(root.path()).await;
    let key = store.device(&scope, device).await.unwrap().public_key;
    let machine = FakeMachine::new();
    let clock = FakeClock::at(NOW);
    let agent = test_node::agent(&machine, test_node::specs(&store), root.path());
    let nodes = agent.nodes();
    tokio::spawn(agent.run(std::future::pending()));
    let timeout = Duration::from_secs(20);
    assert!(nodes.engine().applied(Slot::FIRST, 2, timeout).await);

    let (nodes, clock_port) = (Arc::new(nodes), Arc::new(clock.clone()));
    let leases = test_node::leases(&store, nodes.clone());
    let quotas = Quotas::new(
        store.clone(),
        nodes.clone(),
        clock_port.clone(),
        Arc::default(),
        leases.clone(),
    );
    let quotas = Arc::new(quotas);
    let meter = Arc::new(Meter::new(store.clone(), nodes, clock_port, quotas, leases));
    let storing = tokio::spawn({
        let meter = meter.clone();
        async move { meter.store_when_due().await }
    });
    let lock = store.lock_writes_for_test().await.unwrap();
    let start = Instant::now();
    for n in 1..=300_u64 {
        machine.state().counters.insert(key, (n * 10, n * 100));
        tokio::time::timeout(timeout, meter.read(true))
            .await
            .expect("a reading waited for the database");
        clock.advance(10_000);
    }
    println!(
        "300 readings beside a locked database: {:?}",
        start.elapsed()
    );
    assert_eq!(meter.speeds(AT).len(), 7, "a minute, as always");
    assert!(meter.speeds(AT)[6].down_bps > 0);
    assert_eq!(store.device(&scope, device).await.unwrap().rx_total, 0);

    drop(lock);
    let until = Instant::now() + timeout;
    while store.device(&scope, device).await.unwrap().rx_total < 3_000 {
        assert!(Instant::now() < until, "the last reading was not stored");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stored = store.device(&scope, device).await.unwrap();
    assert_eq!((stored.rx_total, stored.tx_total), (3_000, 30_000));
    let now = NOW.plus_millis(3_000_000);
    let hour = store.series(&scope, None, Span::Hour, now).await.unwrap();
    let ticks = hour.iter().filter(|p| p.rx_bytes > 0).count();
    assert!(ticks <= 2, "300 readings were {ticks} batches");
    storing.abort();
}
