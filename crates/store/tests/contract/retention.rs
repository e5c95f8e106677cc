//! How long traffic statistics are stored, and how much space they take.

use crate::{
    statistics::{DAY, graph, sample, tenant_with, totals},
    test_database::{NOW, TestDatabase, new_device, scope, sign_up},
    year_of_readings::{Devices, readings},
};
use domain::{AddressPlan, Span, Timestamp};
use store::{DeviceRecord, LOCAL_NODE};

pub async fn old_buckets_are_pruned_in_small_batches(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for hour in 0..6_i64 {
        let batch = [sample(&d[0], (hour as u64 + 1) * 10, 0)];
        let at = NOW.plus_millis(hour * 3_600_000);
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
        assert_eq!(store.prune_statistics(NOW).await.unwrap(), 0);
    }
    // 6 ticks, 5 minutes, 5 quarters, 5 hours, and 1 row of bandwidth_stats.
    let late = NOW.plus_millis(40 * DAY);
    let mut batches = Vec::new();
    loop {
        match store.prune_statistics(late).await.unwrap() {
            0 => break,
            n => batches.push(n),
        }
    }
    assert_eq!(batches.iter().sum::<u64>(), 22, "{batches:?}");
    assert!(
        batches.len() >= 3,
        "at most two buckets per table: {batches:?}"
    );
    for span in [Span::Hour, Span::Day, Span::Week, Span::Month] {
        let end = NOW.plus_millis(5 * 3_600_000);
        let points = graph(&store, &s, None, span, end).await;
        assert_eq!(points.len(), usize::from(span != Span::Hour), "{span:?}");
    }
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        60
    );
    assert_eq!(totals(&store, &s, &d[0]).await, (60, 0));
}

pub async fn days_are_stored_for_a_year(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for day in 0..400_i64 {
        let batch = [sample(&d[0], day as u64 + 1, 0)];
        let at = NOW.plus_millis(day * DAY);
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
    }
    // One byte a day: the sum is the number of stored days.
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        365
    );
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

pub async fn a_deleted_device_still_counts_for_its_tenant(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    let batch = [sample(&d[0], 40, 2), sample(&d[1], 1, 0)];
    store
        .record_statistics(LOCAL_NODE, &batch, None, NOW)
        .await
        .unwrap();
    store.delete_device(&s, d[0].id, NOW).await.unwrap();
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        43
    );
    // A reading that still contains the deleted device is ignored.
    let batch = [sample(&d[0], 50, 2), sample(&d[1], 2, 0)];
    let later = NOW.plus_millis(20_000);
    store
        .record_statistics(LOCAL_NODE, &batch, None, later)
        .await
        .unwrap();
    for (span, days) in [(Span::Hour, 0), (Span::Day, 1), (Span::Year, 3)] {
        let at = later.plus_millis(days * DAY);
        let batch = [sample(&d[1], 2, 0)];
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
        let points = store.series(&s, None, span, later).await.unwrap();
        let sum: u64 = points.iter().map(|p| p.rx_bytes + p.tx_bytes).sum();
        assert_eq!(sum, 44, "{span:?}");
    }
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        44
    );
    assert_eq!(
        store.tenants(Timestamp(0), NOW).await.unwrap()[0].devices,
        1
    );
}

/// The table `bandwidth_stats` is readable with plain SQL.
pub async fn bandwidth_stats_gets_rows_every_six_hours(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 2).await;
    for (n, minutes) in (1_u64..).zip([0, 10, 359, 360, 361, 725]) {
        let batch = [sample(&d[0], n * 10, n), sample(&d[1], 1, 1)];
        let at = NOW.plus_millis(minutes * 60_000);
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
    }
    let rows = "SELECT CAST(rx_bytes AS TEXT) || ' ' || CAST(tx_bytes AS TEXT) || ' ' || \
                CAST((recorded_at - {now}) / 60000 AS TEXT) FROM bandwidth_stats \
                WHERE peer_id = {peer} ORDER BY recorded_at";
    let of = |d: &DeviceRecord| {
        rows.replace("{now}", &NOW.0.to_string())
            .replace("{peer}", &d.id.0.to_string())
    };
    assert_eq!(
        db.texts(&of(&d[0])).await,
        ["10 1 0", "30 3 360", "20 2 725"]
    );
    assert_eq!(db.texts(&of(&d[1])).await, ["1 1 0"]);
    store.delete_device(&s, d[0].id, NOW).await.unwrap();
    assert_eq!(
        db.texts(&of(&d[0])).await,
        [""; 0],
        "its rows are deleted with it"
    );
}

/// Fills every graph with devices that are in use all the time. `examples/year.rs`
/// measures the same with 1,000 tenants.
pub async fn a_year_of_graphs_stays_small(db: &TestDatabase) {
    let store = db.store().await;
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
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
        store.prune_statistics(at).await.unwrap();
    }
    // Besides the buckets of a graph there is one more, which the next call
    // prunes.
    for (table, steps) in [
        ("traffic_ticks", 361),
        ("traffic_minutes", 1_441),
        ("traffic_quarters", 673),
        ("traffic_hours", 745),
        ("usage_days", 365),
    ] {
        let of = |what: &str| format!("SELECT CAST({what} AS TEXT) FROM {table}");
        let rows: u64 = db.texts(&of("COUNT(*)")).await[0].parse().unwrap();
        let bytes: u64 = db.texts(&of("SUM(LENGTH(devices))")).await[0]
            .parse()
            .unwrap();
        assert!(rows <= 3 * steps, "{table} has {rows} rows");
        let each = bytes / (rows * 10);
        assert!(each <= 11, "{table}: {each} bytes for a device and step");
    }
    let reported = "SELECT CAST(COUNT(*) AS TEXT) FROM bandwidth_stats";
    let reported: u64 = db.texts(reported).await[0].parse().unwrap();
    assert!(reported <= 30 * 29, "bandwidth_stats has {reported} rows");
    let tenant = &store.tenants(NOW, NOW).await.unwrap()[1].tenant;
    for span in Span::ALL {
        let points = store.series(&scope(tenant), None, span, NOW).await.unwrap();
        assert!(points.iter().all(|p| p.tx_bytes > 0), "{span:?} has holes");
    }
}

pub async fn a_deleted_tenants_traffic_is_removed(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    for (n, day) in (1_u64..).zip(0..3_i64) {
        let at = NOW.plus_millis(day * DAY);
        let batch = [sample(&d[0], n, n)];
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
    }
    let now = NOW.plus_millis(2 * DAY);
    // Deletion skips ticks older than an hour, because they are pruned.
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
        let left = db
            .texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}"))
            .await;
        assert_eq!(left, ["0"], "{table}");
    }
}
