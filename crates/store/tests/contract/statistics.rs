//! Traffic.

use crate::{
    bed::{Bed, NOW, new_device, scope, sign_up},
    calendar::{Devices, readings},
};
use domain::{AddressPlan, PublicKey, Span, TenantScope, Timestamp};
use store::{DeviceRecord, StatSample, Store, StoreError};

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

pub async fn counters_become_totals_and_days(bed: &Bed) {
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
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        421
    );
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

/// The steps of a graph that have bytes: how many steps before the last, rx, tx.
async fn graph(
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
    let some = points.iter().filter(|p| p.rx_bytes + p.tx_bytes > 0);
    some.map(|p| {
        let back = (last.0 - p.at.0) / span.step_millis();
        (back, p.rx_bytes, p.tx_bytes)
    })
    .collect()
}

pub async fn every_span_has_its_steps_for_a_device_and_for_all(bed: &Bed) {
    let store = bed.store().await;
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
        store.record_statistics(&batch, at).await.unwrap();
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
    // A graph of later: what is before it is not in it.
    assert_eq!(all(Span::Hour, at(3 * DAY)).await, []);
    assert_eq!(all(Span::Day, at(3 * DAY)).await, []);
}

pub async fn a_graph_of_anothers_device_is_not_found(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let other = scope(&sign_up(&store, "efgh").await);
    store
        .record_statistics(&[sample(&d[0], 5, 5)], NOW)
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

pub async fn a_clock_that_goes_back_loses_nothing(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let steps = [0, DAY, 1_000, DAY + 1_000, 2_000, 3 * DAY];
    for (n, back) in (1_u64..).zip(steps) {
        let batch = [sample(&d[0], n * 10, n)];
        let at = NOW.plus_millis(back);
        store.record_statistics(&batch, at).await.unwrap();
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
    assert_eq!(store.usage(&s, Timestamp(0)).await.unwrap().len(), 3);
}

pub async fn what_no_graph_reaches_is_pruned_in_bites(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for hour in 0..6_i64 {
        let batch = [sample(&d[0], (hour as u64 + 1) * 10, 0)];
        let at = NOW.plus_millis(hour * 3_600_000);
        store.record_statistics(&batch, at).await.unwrap();
        assert_eq!(store.prune_statistics(NOW).await.unwrap(), 0);
    }
    // 6 ticks, 5 minutes, 5 quarters, 5 hours, and 1 row of bandwidth_stats.
    let late = NOW.plus_millis(40 * DAY);
    let mut bites = Vec::new();
    loop {
        match store.prune_statistics(late).await.unwrap() {
            0 => break,
            n => bites.push(n),
        }
    }
    assert_eq!(bites.iter().sum::<u64>(), 22, "{bites:?}");
    assert!(
        bites.len() >= 3,
        "two buckets of a length at most: {bites:?}"
    );
    for span in [Span::Hour, Span::Day, Span::Week, Span::Month] {
        let end = NOW.plus_millis(5 * 3_600_000);
        let kept = graph(&store, &s, None, span, end).await;
        assert_eq!(kept.len(), usize::from(span != Span::Hour), "{span:?}");
    }
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        60
    );
    assert_eq!(totals(&store, &s, &d[0]).await, (60, 0));
}

pub async fn days_are_kept_for_a_year(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for day in 0..400_i64 {
        let batch = [sample(&d[0], day as u64 + 1, 0)];
        let at = NOW.plus_millis(day * DAY);
        store.record_statistics(&batch, at).await.unwrap();
    }
    assert_eq!(store.usage(&s, Timestamp(0)).await.unwrap().len(), 365);
    let year = graph(
        &store,
        &s,
        Some(&d[0]),
        Span::Year,
        NOW.plus_millis(399 * DAY),
    )
    .await;
    assert_eq!(year.len(), 365);
}

pub async fn a_deleted_device_still_counts_for_its_tenant(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    let batch = [sample(&d[0], 40, 2), sample(&d[1], 1, 0)];
    store.record_statistics(&batch, NOW).await.unwrap();
    store.delete_device(&s, d[0].id, NOW).await.unwrap();
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        43
    );
    // What its interface still shows for a moment is nobody's.
    let batch = [sample(&d[0], 50, 2), sample(&d[1], 2, 0)];
    let later = NOW.plus_millis(20_000);
    store.record_statistics(&batch, later).await.unwrap();
    for (span, days) in [(Span::Hour, 0), (Span::Day, 1), (Span::Year, 3)] {
        let at = later.plus_millis(days * DAY);
        let batch = [sample(&d[1], 2, 0)];
        store.record_statistics(&batch, at).await.unwrap();
        let points = store.series(&s, None, span, later).await.unwrap();
        let sum: u64 = points.iter().map(|p| p.rx_bytes + p.tx_bytes).sum();
        assert_eq!(sum, 44, "{span:?}");
    }
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        44
    );
    assert_eq!(store.tenants(Timestamp(0)).await.unwrap()[0].devices, 1);
}

/// The published table stays readable with plain SQL.
pub async fn bandwidth_stats_tells_a_devices_bytes_every_six_hours(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    for (n, minutes) in (1_u64..).zip([0, 10, 359, 360, 361, 725]) {
        let batch = [sample(&d[0], n * 10, n), sample(&d[1], 1, 1)];
        let at = NOW.plus_millis(minutes * 60_000);
        store.record_statistics(&batch, at).await.unwrap();
    }
    let rows = "SELECT CAST(rx_bytes AS TEXT) || ' ' || CAST(tx_bytes AS TEXT) || ' ' || \
                CAST((recorded_at - {now}) / 60000 AS TEXT) FROM bandwidth_stats \
                WHERE peer_id = {peer} ORDER BY recorded_at";
    let of = |d: &DeviceRecord| {
        rows.replace("{now}", &NOW.0.to_string())
            .replace("{peer}", &d.id.0.to_string())
    };
    assert_eq!(
        bed.texts(&of(&d[0])).await,
        ["10 1 0", "30 3 360", "20 2 725"]
    );
    assert_eq!(bed.texts(&of(&d[1])).await, ["1 1 0"]);
    store.delete_device(&s, d[0].id, NOW).await.unwrap();
    assert_eq!(bed.texts(&of(&d[0])).await, [""; 0], "they go with it");
}

/// Every graph full, every device in use all the time. `examples/year.rs` does
/// it with 1,000 tenants and says how big that is.
pub async fn a_year_of_graphs_stays_small(bed: &Bed) {
    let store = bed.store().await;
    let mut keys = Vec::new();
    for t in 0..3 {
        let s = scope(&sign_up(&store, &format!("tenant{t}")).await);
        for n in 0..10 {
            let new = new_device(&format!("Device {n}"));
            keys.push(new.public_key);
            store
                .add_device(&s, new, &AddressPlan::default())
                .await
                .unwrap();
        }
    }
    let mut counters = Devices::new(keys);
    for at in readings(NOW) {
        let batch = counters.read(at);
        store.record_statistics(&batch, at).await.unwrap();
        store.prune_statistics(at).await.unwrap();
    }
    // While a bucket fills, the oldest that a graph shows is there, and one more
    // that goes with the next bite.
    for (table, steps) in [
        ("traffic_ticks", 361),
        ("traffic_minutes", 1_441),
        ("traffic_quarters", 673),
        ("traffic_hours", 745),
        ("usage_days", 365),
    ] {
        let of = |what: &str| format!("SELECT CAST({what} AS TEXT) FROM {table}");
        let rows: u64 = bed.texts(&of("COUNT(*)")).await[0].parse().unwrap();
        let bytes: u64 = bed.texts(&of("SUM(LENGTH(devices))")).await[0]
            .parse()
            .unwrap();
        assert!(rows <= 3 * steps, "{table} has {rows} rows");
        let each = bytes / (rows * 10);
        assert!(each <= 11, "{table}: {each} bytes for a device and step");
    }
    let told = "SELECT CAST(COUNT(*) AS TEXT) FROM bandwidth_stats";
    let told: u64 = bed.texts(told).await[0].parse().unwrap();
    assert!(told <= 30 * 29, "bandwidth_stats has {told} rows");
    let tenant = &store.tenants(NOW).await.unwrap()[1].tenant;
    for span in Span::ALL {
        let points = store.series(&scope(tenant), None, span, NOW).await.unwrap();
        assert!(points.iter().all(|p| p.tx_bytes > 0), "{span:?} has holes");
    }
}

pub async fn a_deleted_tenants_traffic_goes_with_it(bed: &Bed) {
    let store = bed.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for (n, day) in (1_u64..).zip(0..3_i64) {
        let at = NOW.plus_millis(day * DAY);
        let batch = [sample(&d[0], n, n)];
        store.record_statistics(&batch, at).await.unwrap();
    }
    let now = NOW.plus_millis(2 * DAY);
    // Ticks older than an hour are not looked for: they are pruned.
    while store.prune_statistics(now).await.unwrap() > 0 {}
    store.delete_tenant(&s, now).await.unwrap();
    for table in [
        "tenant_traffic",
        "traffic_ticks",
        "traffic_minutes",
        "traffic_quarters",
        "traffic_hours",
        "usage_days",
        "bandwidth_stats",
    ] {
        let left = bed
            .texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}"))
            .await;
        assert_eq!(left, ["0"], "{table}");
    }
}
