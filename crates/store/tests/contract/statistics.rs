//! Recording traffic and reading graphs.

use crate::test_database::{NOW, TestDatabase, new_device, scope, sign_up};
use domain::{AddressPlan, NodeId, PublicKey, Span, TenantScope, Timestamp};
use store::{DeviceRecord, LOCAL_NODE, StatSample, Store, StoreError};

pub const DAY: i64 = 86_400_000;

pub fn sample(d: &DeviceRecord, rx: u64, tx: u64) -> StatSample {
    StatSample {
        public_key: d.public_key,
        rx_bytes: rx,
        tx_bytes: tx,
        last_handshake: None,
        endpoint: None,
    }
}

pub async fn tenant_with(store: &Store, devices: usize) -> (TenantScope, Vec<DeviceRecord>) {
    let s = scope(&sign_up(store, "abcd").await);
    let mut out = Vec::new();
    for n in 0..devices {
        let new = new_device(&format!("Device {n}"));
        out.push(
            store
                .add_device(&s, new, &AddressPlan::default())
                .await
                .unwrap()
                .value,
        );
    }
    (s, out)
}

pub async fn totals(store: &Store, s: &TenantScope, d: &DeviceRecord) -> (u64, u64) {
    let d = store.device(s, d.id).await.unwrap();
    (d.rx_total, d.tx_total)
}

pub async fn counters_become_totals_and_days(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    let mut first = sample(&d[0], 100, 1_000);
    first.last_handshake = Some(NOW);
    first.endpoint = Some("192.0.2.7:51820".parse().unwrap());
    store
        .record_statistics(LOCAL_NODE, &[first, sample(&d[1], 0, 0)], None, NOW)
        .await
        .unwrap();
    store
        .record_statistics(
            LOCAL_NODE,
            &[sample(&d[0], 150, 1_000)],
            None,
            NOW.plus_millis(2_000),
        )
        .await
        .unwrap();
    let stored = store.device(&s, d[0].id).await.unwrap();
    assert_eq!((stored.rx_total, stored.tx_total), (150, 1_000));
    assert_eq!(
        stored.last_handshake,
        Some(NOW),
        "a reading without one does not erase it"
    );
    assert_eq!(stored.endpoint.as_deref(), Some("192.0.2.7:51820"));
    assert_eq!(totals(&store, &s, &d[1]).await, (0, 0));

    let later = [sample(&d[0], 150, 1_007), sample(&d[1], 5, 0)];
    store
        .record_statistics(LOCAL_NODE, &later, None, NOW.plus_millis(DAY))
        .await
        .unwrap();
    let midnight = Timestamp(NOW.0 - NOW.0 % DAY);
    let year = store
        .series(&s, None, Span::Year, NOW.plus_millis(DAY))
        .await
        .unwrap();
    let days: Vec<_> = year
        .iter()
        .filter(|p| p.rx_bytes + p.tx_bytes > 0)
        .map(|p| (p.at, p.rx_bytes, p.tx_bytes))
        .collect();
    assert_eq!(
        days,
        [(midnight, 150, 1_000), (midnight.plus_millis(DAY), 5, 7)]
    );
    assert_eq!(
        store.overview(&s, midnight).await.unwrap().month_bytes,
        1_162
    );
    assert_eq!(
        store
            .overview(&s, midnight.plus_millis(DAY))
            .await
            .unwrap()
            .month_bytes,
        12
    );
    assert_eq!(
        store
            .overview(&s, midnight.plus_millis(2 * DAY))
            .await
            .unwrap()
            .month_bytes,
        0
    );
}

pub async fn counters_that_restart_lose_no_bytes(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let steps = [
        ((100, 200), (100, 200)),
        // One went back, so both count from 0.
        ((30, 250), (130, 450)),
        ((30, 40), (160, 490)),
        ((31, 40), (161, 490)),
    ];
    for (i, ((rx, tx), expected)) in (0_i64..).zip(steps) {
        let at = NOW.plus_millis(i * 10_000);
        store
            .record_statistics(LOCAL_NODE, &[sample(&d[0], rx, tx)], None, at)
            .await
            .unwrap();
        assert_eq!(totals(&store, &s, &d[0]).await, expected, "step {i}");
    }
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        651
    );
}

pub async fn unknown_and_repeated_peers_are_handled(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 3).await;
    store
        .record_statistics(LOCAL_NODE, &[], None, NOW)
        .await
        .unwrap();
    let mut unknown = sample(&d[0], 9, 9);
    unknown.public_key = PublicKey::from_bytes([9; 32]);
    let batch = [
        unknown,
        sample(&d[0], 1, 1),
        sample(&d[0], 2, 2),
        sample(&d[1], u64::MAX, 0),
    ];
    store
        .record_statistics(LOCAL_NODE, &batch, None, NOW)
        .await
        .unwrap();
    assert_eq!(totals(&store, &s, &d[0]).await, (2, 2));
    // Unknown peers for more than one statement, and one known peer.
    let mut many: Vec<_> = (0..1_000_u32)
        .map(|i| {
            let mut x = sample(&d[0], 7, 7);
            let mut key = [3; 32];
            key[..4].copy_from_slice(&i.to_be_bytes());
            x.public_key = PublicKey::from_bytes(key);
            x
        })
        .collect();
    many.push(sample(&d[2], 11, 12));
    store
        .record_statistics(LOCAL_NODE, &many, None, NOW)
        .await
        .unwrap();
    assert_eq!(totals(&store, &s, &d[2]).await, (11, 12));
}

/// Returns the steps of a graph with traffic: the number of steps before the
/// last, rx, tx.
pub async fn graph(
    store: &Store,
    s: &TenantScope,
    device: Option<&DeviceRecord>,
    span: Span,
    now: Timestamp,
) -> Vec<(i64, u64, u64)> {
    let points = store
        .series(s, device.map(|d| d.id), span, now)
        .await
        .unwrap();
    assert_eq!(points.len(), span.steps());
    assert_eq!(points[0].at, span.begin(now));
    let last = points[points.len() - 1].at;
    let filled = points.iter().filter(|p| p.rx_bytes + p.tx_bytes > 0);
    filled
        .map(|p| {
            let back = (last.0 - p.at.0) / span.step_millis();
            (back, p.rx_bytes, p.tx_bytes)
        })
        .collect()
}

pub async fn every_span_sums_devices_by_step(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    let at = |millis: i64| NOW.plus_millis(millis);
    let readings = [
        (at(0), (10, 100), (1, 0)),
        (at(4_000), (13, 100), (1, 0)),
        (at(10_000), (20, 200), (1, 0)),
        (at(60_000), (30, 200), (1, 7)),
        (at(900_000), (40, 200), (1, 7)),
        (at(3_600_000), (50, 200), (2, 7)),
        (at(DAY), (60, 200), (2, 8)),
    ];
    for (at, (rx0, tx0), (rx1, tx1)) in readings {
        let batch = [sample(&d[0], rx0, tx0), sample(&d[1], rx1, tx1)];
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
    }
    let all = |span, now| graph(&store, &s, None, span, now);
    let one = |i: usize, span, now| graph(&store, &s, Some(&d[i]), span, now);
    assert_eq!(
        all(Span::Hour, at(60_000)).await,
        [(6, 14, 100), (5, 7, 100), (0, 10, 7)]
    );
    assert_eq!(one(1, Span::Hour, at(60_000)).await, [(6, 1, 0), (0, 0, 7)]);
    assert_eq!(
        all(Span::Day, at(900_000)).await,
        [(15, 21, 200), (14, 10, 7), (0, 10, 0)]
    );
    assert_eq!(
        all(Span::Week, at(3_600_000)).await,
        [(4, 31, 207), (3, 10, 0), (0, 11, 0)]
    );
    assert_eq!(
        all(Span::Month, at(DAY)).await,
        [(24, 41, 207), (23, 11, 0), (0, 10, 1)]
    );
    assert_eq!(all(Span::Year, at(DAY)).await, [(1, 52, 207), (0, 10, 1)]);
    assert_eq!(
        one(0, Span::Year, at(DAY)).await,
        [(1, 50, 200), (0, 10, 0)]
    );
    assert_eq!(one(1, Span::Year, at(DAY)).await, [(1, 2, 7), (0, 0, 1)]);
    // A later graph does not include earlier traffic.
    assert_eq!(all(Span::Hour, at(3 * DAY)).await, []);
    assert_eq!(all(Span::Day, at(3 * DAY)).await, []);
}

pub async fn a_graph_of_another_tenants_device_is_refused(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let other = scope(&sign_up(&store, "efgh").await);
    store
        .record_statistics(LOCAL_NODE, &[sample(&d[0], 5, 5)], None, NOW)
        .await
        .unwrap();
    for span in Span::ALL {
        let found = store.series(&other, Some(d[0].id), span, NOW).await;
        assert!(matches!(found, Err(StoreError::NotFound)), "{span:?}");
        assert_eq!(graph(&store, &other, None, span, NOW).await, []);
        assert_eq!(graph(&store, &s, Some(&d[0]), span, NOW).await, [(0, 5, 5)]);
    }
    store.delete_tenant(&s, NOW).await.unwrap();
    let gone = store.series(&s, None, Span::Hour, NOW).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));
}

pub async fn a_clock_set_back_loses_no_bytes(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let steps = [0, DAY, 1_000, DAY + 1_000, 2_000, 3 * DAY];
    for (n, back) in (1_u64..).zip(steps) {
        let batch = [sample(&d[0], n * 10, n)];
        let at = NOW.plus_millis(back);
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
    }
    let end = NOW.plus_millis(3 * DAY);
    let expected = [(3, 30, 3), (2, 20, 2), (0, 10, 1)];
    assert_eq!(graph(&store, &s, None, Span::Year, end).await, expected);
    let hour = graph(&store, &s, Some(&d[0]), Span::Hour, NOW.plus_millis(2_000)).await;
    assert_eq!(hour, [(0, 30, 3)]);
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        66
    );
}

/// Rows that change without a generation show which of them are read again.
pub async fn a_reading_reads_its_own_nodes_peers_only(db: &TestDatabase) {
    const SECOND: NodeId = NodeId(2);
    let (store, plan) = (db.store().await, AddressPlan::default());
    let (here, d) = tenant_with(&store, 1).await;
    let there = scope(&sign_up(&store, "efgh").await);
    let phone = store.add_device(&there, new_device("Phone"), &plan).await;
    let phone = phone.unwrap().value;
    db.raw("INSERT INTO nodes (id, name) VALUES (2, 'second')")
        .await;
    db.raw("UPDATE users SET node_id = 2 WHERE username = 'efgh'")
        .await;
    let record = async |node, d: &DeviceRecord, bytes| {
        let batch = [sample(d, bytes, bytes)];
        store
            .record_statistics(node, &batch, None, NOW)
            .await
            .unwrap();
    };
    // A node's readings count for its own peers only.
    record(LOCAL_NODE, &d[0], 1).await;
    record(SECOND, &d[0], 5).await;
    record(SECOND, &phone, 2).await;
    record(LOCAL_NODE, &phone, 7).await;
    assert_eq!(totals(&store, &here, &d[0]).await, (1, 1));
    assert_eq!(totals(&store, &there, &phone).await, (2, 2));

    // A change on another node: the local node's peers are not read again.
    let tablet = store.add_device(&there, new_device("Tablet"), &plan).await;
    let tablet = tablet.unwrap().value;
    let change_key = async |id| {
        let key = new_device("Another").public_key;
        let sql = format!("UPDATE peers SET public_key = '{key}' WHERE id = {id}");
        db.raw(&sql).await;
    };
    change_key(d[0].id).await;
    record(SECOND, &tablet, 4).await;
    record(LOCAL_NODE, &d[0], 3).await;
    assert_eq!(totals(&store, &there, &tablet).await, (4, 4));
    assert_eq!(totals(&store, &here, &d[0]).await, (3, 3), "still known");
    db.raw("UPDATE nodes SET generation = generation + 1 WHERE id = 1")
        .await;
    record(LOCAL_NODE, &d[0], 9).await;
    assert_eq!(totals(&store, &here, &d[0]).await, (3, 3), "read again");
    // Of workers, of which there may be hundreds, nothing is kept.
    change_key(phone.id).await;
    record(SECOND, &phone, 9).await;
    assert_eq!(totals(&store, &there, &phone).await, (2, 2));

    let unknown = store.record_statistics(NodeId(9), &[], None, NOW).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}
