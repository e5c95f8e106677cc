//! Opening: again, older, newer, not at all.

use crate::bed::{Bed, KEY, NOW, new_device, scope, sign_up};
use domain::{AddressPlan, ErrorCode, Span, Timestamp};
use std::collections::BTreeSet;
use store::{DatabaseUrl, LOCAL_NODE, Sealer, StatSample, Store, StoreError};

const DAY: i64 = 86_400_000;

pub async fn opening_again_keeps_everything(bed: &Bed) {
    let store = bed.store().await;
    let s = scope(&sign_up(&store, "abcd").await);
    store
        .add_device(&s, new_device("Phone"), &AddressPlan::default())
        .await
        .unwrap();
    let before = store.load_spec(LOCAL_NODE).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let again = bed.store().await;
        assert_eq!(again.load_spec(LOCAL_NODE).await.unwrap(), before);
        assert_eq!(
            again.plans().await.unwrap().len(),
            3,
            "seeds are not sown twice"
        );
        again.close().await;
    }
    let versions = bed
        .texts("SELECT description FROM _sqlx_migrations ORDER BY version")
        .await;
    assert_eq!(versions[..2], ["accounts", "devices"]);
    let once: BTreeSet<_> = versions.iter().collect();
    assert_eq!(once.len(), versions.len());
}

pub async fn an_older_schema_is_brought_up_to_date_with_its_rows(bed: &Bed) {
    // As the version before the second migration left it: made whole, then
    // taken back to the first.
    let store = bed.store().await;
    let before = sign_up(&store, "abcd").await;
    store.close().await;
    undo_3_to_5(bed).await;
    bed.raw("DROP TABLE usage_days").await;
    bed.raw("DROP TABLE bandwidth_stats").await;
    bed.raw("DROP TABLE peers").await;
    bed.raw("DELETE FROM _sqlx_migrations WHERE version > 1")
        .await;
    let store = bed.store().await;
    assert_eq!(store.tenant(&scope(&before)).await.unwrap(), before);
    let d = store
        .add_device(
            &scope(&before),
            new_device("Phone"),
            &AddressPlan::default(),
        )
        .await;
    assert!(d.is_ok());
}

/// But for the column of `usage_days`.
async fn undo_3_to_5(bed: &Bed) {
    bed.raw("DROP INDEX users_generation").await;
    bed.raw("ALTER TABLE users DROP COLUMN generation").await;
    for table in NEW_IN_3_AND_4 {
        bed.raw(&format!("DROP TABLE {table}")).await;
    }
}

const NEW_IN_3_AND_4: [&str; 6] = [
    "tenant_traffic",
    "traffic_ticks",
    "traffic_minutes",
    "traffic_quarters",
    "traffic_hours",
    "events",
];

pub async fn traffic_of_an_older_schema_is_carried_on(bed: &Bed) {
    // As the version before the third migration left it.
    let store = bed.store().await;
    let s = scope(&sign_up(&store, "abcd").await);
    let d = store
        .add_device(&s, new_device("Phone"), &AddressPlan::default())
        .await
        .unwrap();
    store.close().await;
    undo_3_to_5(bed).await;
    bed.raw("ALTER TABLE usage_days DROP COLUMN devices").await;
    bed.raw("DELETE FROM _sqlx_migrations WHERE version > 2")
        .await;
    let today = NOW.0 - NOW.0 % DAY;
    let (yesterday, minute, peer) = (today - DAY, NOW.0 - NOW.0 % 60_000, d.id.0);
    bed.raw(&format!(
        "UPDATE peers SET rx_total = 700, tx_total = 7000, last_rx = 70, last_tx = 80, \
           last_handshake = {}, endpoint = '192.0.2.7:51820' WHERE id = {peer}",
        NOW.0 - 1_000
    ))
    .await;
    bed.raw(&format!(
        "INSERT INTO usage_days (user_id, day, rx_bytes, tx_bytes) \
         VALUES (1, {yesterday}, 600, 6000), (1, {today}, 100, 1000)"
    ))
    .await;
    bed.raw(&format!(
        "INSERT INTO bandwidth_stats (peer_id, recorded_at, rx_bytes, tx_bytes) \
         VALUES ({peer}, {minute}, 5, 50)"
    ))
    .await;

    let store = bed.store().await;
    let kept = store.device(&s, d.id).await.unwrap();
    assert_eq!((kept.rx_total, kept.tx_total), (700, 7_000));
    assert_eq!(kept.last_handshake, Some(NOW.plus_millis(-1_000)));
    assert_eq!(kept.endpoint.as_deref(), Some("192.0.2.7:51820"));
    assert_eq!(store.devices(&s).await.unwrap(), [kept]);
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        7_700
    );

    // It goes on from there: the counter has gone from 70 to 75, and 80 to 20.
    let sample = StatSample {
        public_key: d.public_key,
        rx_bytes: 75,
        tx_bytes: 20,
        last_handshake: None,
        endpoint: None,
    };
    store.record_statistics(&[sample], NOW).await.unwrap();
    let kept = store.device(&s, d.id).await.unwrap();
    assert_eq!((kept.rx_total, kept.tx_total), (705, 7_020));
    assert_eq!(kept.endpoint.as_deref(), Some("192.0.2.7:51820"));
    let usage = store.usage(&s, Timestamp(0)).await.unwrap();
    let usage: Vec<_> = usage
        .iter()
        .map(|u| (u.day.0, u.rx_bytes, u.tx_bytes))
        .collect();
    assert_eq!(usage, [(yesterday, 600, 6_000), (today, 105, 1_020)]);
    let year = store.series(&s, None, Span::Year, NOW).await.unwrap();
    let last: Vec<_> = year[363..].iter().map(|p| p.rx_bytes).collect();
    assert_eq!(last, [600, 105]);
    let told = "SELECT CAST(SUM(rx_bytes) AS TEXT) FROM bandwidth_stats";
    assert_eq!(bed.texts(told).await, ["10"]);
}

pub async fn a_newer_schema_is_refused_in_a_sentence(bed: &Bed) {
    bed.store().await.close().await;
    bed.raw(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9000, 'of the future', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    let e = Store::open(bed.url(), Sealer::from_key(KEY))
        .await
        .unwrap_err();
    assert!(
        matches!(e, StoreError::SchemaNewer { found: 9000, known } if (2..9000).contains(&known)),
        "{e}"
    );
    assert_eq!(e.failure().code, ErrorCode::BadConfiguration);
    assert!(e.failure().sentence.contains("newer MalikNode"));
}

pub async fn two_that_open_at_once_both_succeed(bed: &Bed) {
    let open = || Store::open(bed.url(), Sealer::from_key(KEY));
    let (a, b) = tokio::join!(open(), open());
    let (a, b) = (a.unwrap(), b.unwrap());
    sign_up(&a, "abcd").await;
    sign_up(&b, "efgh").await;
    assert_eq!(a.load_spec(LOCAL_NODE).await.unwrap().tenants.len(), 2);
}

pub async fn a_server_or_file_that_cannot_be_reached_is_told_without_the_password(bed: &Bed) {
    let url = match bed.url() {
        DatabaseUrl::Sqlite(_) => DatabaseUrl::Sqlite(bed.dir.path().join("no/such/db.sqlite")),
        // Port 1 of loopback: nobody listens.
        DatabaseUrl::Postgres(_) => {
            DatabaseUrl::parse("postgres://u:geheim@127.0.0.1:1/none").unwrap()
        }
    };
    let e = Store::open(&url, Sealer::from_key(KEY)).await.unwrap_err();
    assert!(matches!(e, StoreError::Unopenable { .. }), "{e:?}");
    assert!(!format!("{e} {e:?} {:?}", e.failure()).contains("geheim"));
    // No database at all: text in the file, or a database that is not there.
    let url = match bed.url() {
        DatabaseUrl::Sqlite(_) => {
            let path = bed.dir.path().join("text");
            std::fs::write(
                &path,
                "this is no database, and long enough to see it".repeat(20),
            )
            .unwrap();
            DatabaseUrl::Sqlite(path)
        }
        DatabaseUrl::Postgres(url) => {
            let text = url.expose().replacen("/mn_test_", "/mn_absent_", 1);
            DatabaseUrl::parse(&text).unwrap()
        }
    };
    let e = Store::open(&url, Sealer::from_key(KEY)).await.unwrap_err();
    assert!(
        matches!(e, StoreError::Unopenable { .. } | StoreError::Migrate(_)),
        "{e:?}"
    );
}
