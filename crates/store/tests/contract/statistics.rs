//! Traffic.

use crate::bed::{Bed, NOW, new_device, scope, sign_up};
use domain::{AddressPlan, PublicKey, TenantScope, Timestamp};
use store::{DeviceRecord, StatSample, Store};

const DAY: i64 = 86_400_000;

fn sample(d: &DeviceRecord, rx: u64, tx: u64) -> StatSample {
    StatSample {
        public_key: d.public_key,
        rx_bytes: rx,
        tx_bytes: tx,
        last_handshake: None,
        endpoint: None,
    }
}

async fn tenant_with(store: &Store, devices: usize) -> (TenantScope, Vec<DeviceRecord>) {
    let s = scope(&sign_up(store, "abcd").await);
    let mut out = Vec::new();
    for n in 0..devices {
        let new = new_device(&format!("Device {n}"));
        out.push(
            store
                .add_device(&s, new, &AddressPlan::default())
                .await
                .unwrap(),
        );
    }
    (s, out)
}

async fn totals(store: &Store, s: &TenantScope, d: &DeviceRecord) -> (u64, u64) {
    let d = store.device(s, d.id).await.unwrap();
    (d.rx_total, d.tx_total)
}

pub async fn counters_become_totals_minutes_and_days(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    let mut first = sample(&d[0], 100, 1_000);
    first.last_handshake = Some(NOW);
    first.endpoint = Some("192.0.2.7:51820".parse().unwrap());
    store
        .record_statistics(&[first, sample(&d[1], 0, 0)], NOW)
        .await
        .unwrap();
    store
        .record_statistics(&[sample(&d[0], 150, 1_000)], NOW.plus_millis(2_000))
        .await
        .unwrap();
    let kept = store.device(&s, d[0].id).await.unwrap();
    assert_eq!((kept.rx_total, kept.tx_total), (150, 1_000));
    assert_eq!(
        kept.last_handshake,
        Some(NOW),
        "a reading without one does not erase it"
    );
    assert_eq!(kept.endpoint.as_deref(), Some("192.0.2.7:51820"));
    assert_eq!(totals(&store, &s, &d[1]).await, (0, 0));

    let later = [sample(&d[0], 150, 1_007), sample(&d[1], 5, 0)];
    store
        .record_statistics(&later, NOW.plus_millis(DAY))
        .await
        .unwrap();
    let midnight = Timestamp(NOW.0 - NOW.0 % DAY);
    let usage = store.usage(&s, midnight).await.unwrap();
    let short: Vec<_> = usage
        .iter()
        .map(|u| (u.day, u.rx_bytes, u.tx_bytes))
        .collect();
    assert_eq!(
        short,
        [(midnight, 150, 1_000), (midnight.plus_millis(DAY), 5, 7)]
    );
    assert_eq!(store.month_bytes(&s, midnight).await.unwrap(), 1_162);
    assert_eq!(
        store
            .month_bytes(&s, midnight.plus_millis(DAY))
            .await
            .unwrap(),
        12
    );
    assert_eq!(
        store
            .month_bytes(&s, midnight.plus_millis(2 * DAY))
            .await
            .unwrap(),
        0
    );
    // One row a device and minute, and none where nothing went through.
    assert_eq!(
        store.prune_statistics(Timestamp(i64::MAX)).await.unwrap(),
        3
    );
}

pub async fn counters_that_begin_again_lose_nothing(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let steps = [
        ((100, 200), (100, 200)),
        ((30, 250), (130, 250)),
        ((30, 40), (130, 290)),
        ((31, 40), (131, 290)),
    ];
    for (i, ((rx, tx), expected)) in (0_i64..).zip(steps) {
        let at = NOW.plus_millis(i * 10_000);
        store
            .record_statistics(&[sample(&d[0], rx, tx)], at)
            .await
            .unwrap();
        assert_eq!(totals(&store, &s, &d[0]).await, expected, "step {i}");
    }
    assert_eq!(store.month_bytes(&s, Timestamp(0)).await.unwrap(), 421);
}

pub async fn unknown_peers_and_doubles_do_no_harm(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 3).await;
    store.record_statistics(&[], NOW).await.unwrap();
    let mut stranger = sample(&d[0], 9, 9);
    stranger.public_key = PublicKey::from_bytes([9; 32]);
    let batch = [
        stranger,
        sample(&d[0], 1, 1),
        sample(&d[0], 2, 2),
        sample(&d[1], u64::MAX, 0),
    ];
    store.record_statistics(&batch, NOW).await.unwrap();
    assert_eq!(totals(&store, &s, &d[0]).await, (2, 2));
    // More than one statement's worth of strangers around one of ours.
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
    store.record_statistics(&many, NOW).await.unwrap();
    assert_eq!(totals(&store, &s, &d[2]).await, (11, 12));
}

pub async fn minutes_are_pruned_and_days_stay(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for minute in 0..10_i64 {
        let n = (minute as u64 + 1) * 10;
        let at = NOW.plus_millis(minute * 60_000);
        store
            .record_statistics(&[sample(&d[0], n, 0)], at)
            .await
            .unwrap();
    }
    let cut = NOW.plus_millis(5 * 60_000);
    assert_eq!(store.prune_statistics(cut).await.unwrap(), 5);
    assert_eq!(store.prune_statistics(cut).await.unwrap(), 0);
    assert_eq!(store.month_bytes(&s, Timestamp(0)).await.unwrap(), 100);
    assert_eq!(totals(&store, &s, &d[0]).await, (100, 0));
}

pub async fn a_deleted_device_still_counts_for_the_month(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    store
        .record_statistics(&[sample(&d[0], 40, 2)], NOW)
        .await
        .unwrap();
    store.delete_device(&s, d[0].id, NOW).await.unwrap();
    assert_eq!(store.month_bytes(&s, Timestamp(0)).await.unwrap(), 42);
    let rows = store.prune_statistics(Timestamp(i64::MAX)).await.unwrap();
    assert_eq!(rows, 0, "its minutes went with it");
}
