//! Opening a database: again, with an older or newer schema, and with errors.

use crate::test_database::{KEY, NOW, TestDatabase, new_device, scope, sign_up};
use domain::{AddressPlan, ErrorCode, Message, Span, Timestamp};
use seal::Sealer;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use std::{collections::BTreeSet, time::Duration};
use store::{DatabaseUrl, LOCAL_NODE, StatSample, Store, StoreError};

const DAY: i64 = 86_400_000;

pub async fn a_reopened_database_is_unchanged(db: &TestDatabase) {
    let store = db.store().await;
    let s = scope(&sign_up(&store, "abcd").await);
    store
        .add_device(&s, new_device("Phone"), &AddressPlan::default())
        .await
        .unwrap();
    let before = store.load_spec(LOCAL_NODE).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let again = db.store().await;
        assert_eq!(again.load_spec(LOCAL_NODE).await.unwrap(), before);
        assert_eq!(
            again.plans().await.unwrap().len(),
            3,
            "seeds are not inserted twice"
        );
        again.close().await;
    }
    let versions = db
        .texts("SELECT description FROM _sqlx_migrations ORDER BY version")
        .await;
    assert_eq!(versions[..2], ["accounts", "devices"]);
    let once: BTreeSet<_> = versions.iter().collect();
    assert_eq!(once.len(), versions.len());
}

pub async fn an_older_schema_is_upgraded_with_its_rows(db: &TestDatabase) {
    // Creates the state before the second migration by undoing the later ones.
    let store = db.store().await;
    let before = sign_up(&store, "abcd").await;
    store.close().await;
    undo_3_to_15(db).await;
    db.raw("DROP TABLE usage_days").await;
    db.raw("DROP TABLE bandwidth_stats").await;
    db.raw("DROP TABLE peers").await;
    db.raw("DELETE FROM _sqlx_migrations WHERE version > 1")
        .await;
    let store = db.store().await;
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

/// Undoes the eleventh migration.
async fn undo_11(db: &TestDatabase) {
    for table in [
        "factors",
        "recovery_codes",
        "reset_links",
        "pending_sign_ins",
        "known_clients",
    ] {
        db.raw(&format!("DROP TABLE {table}")).await;
    }
    for index in ["sessions_user", "sessions_operator", "sessions_parent"] {
        db.raw(&format!("DROP INDEX {index}")).await;
    }
    for (table, columns) in NEW_IN_11 {
        for column in columns {
            db.raw(&format!("ALTER TABLE {table} DROP COLUMN {column}"))
                .await;
        }
    }
}

const NEW_IN_11: [(&str, &[&str]); 3] = [
    (
        "sessions",
        &[
            "user_id",
            "operator_id",
            "audience",
            "parent",
            "proof",
            "browser",
            "system",
            "address",
            "begun",
            "used_at",
            "present_at",
        ],
    ),
    ("tickets", &["proof", "stays"]),
    (
        "api_credentials",
        &["browser", "system", "address", "present_at"],
    ),
];

/// Undoes the sixteenth migration.
async fn undo_16(db: &TestDatabase) {
    db.raw("DROP TABLE passkey_challenges").await;
    db.raw("DROP INDEX factors_credential").await;
    db.raw("ALTER TABLE factors DROP COLUMN credential").await;
}

/// Undoes the seventeenth migration.
async fn undo_17(db: &TestDatabase) {
    for table in ["mail_outbox", "mail_addresses"] {
        db.raw(&format!("DROP TABLE {table}")).await;
    }
}

/// Undoes the twelfth migration.
async fn undo_12(db: &TestDatabase) {
    db.raw("DROP INDEX users_unused").await;
    for column in ["invitation_id", "unused_since", "asleep_since"] {
        db.raw(&format!("ALTER TABLE users DROP COLUMN {column}"))
            .await;
    }
    for table in ["invitations", "reserved_names"] {
        db.raw(&format!("DROP TABLE {table}")).await;
    }
}

/// Undoes the eighteenth migration.
async fn undo_18(db: &TestDatabase) {
    db.raw("DROP TABLE looks").await;
    for index in ["audit_log_user_action", "audit_log_actor_action"] {
        db.raw(&format!("DROP INDEX {index}")).await;
    }
}

/// Undoes migrations 13 to 15.
async fn undo_13_to_15(db: &TestDatabase) {
    for index in ["operators_role", "audit_log_actor", "audit_log_action"] {
        db.raw(&format!("DROP INDEX {index}")).await;
    }
    db.raw("DROP TABLE operator_links").await;
    for (table, columns) in NEW_IN_13_TO_15 {
        for column in columns {
            db.raw(&format!("ALTER TABLE {table} DROP COLUMN {column}"))
                .await;
        }
    }
}

const NEW_IN_13_TO_15: [(&str, &[&str]); 4] = [
    ("operators", &["role"]),
    ("audit_log", &["origin", "before", "after"]),
    ("moves", &["with_data", "copied_bytes"]),
    ("peers", &["key_made_at"]),
];

/// Undoes the twenty-third migration.
async fn undo_23(db: &TestDatabase) {
    db.raw("DROP TABLE endpoint_names").await;
}

/// Undoes the twentieth migration.
async fn undo_20(db: &TestDatabase) {
    for column in ["home_direct", "small_packets", "ipv4_only"] {
        db.raw(&format!("ALTER TABLE peers DROP COLUMN {column}"))
            .await;
    }
}

/// Undoes the twenty-fifth migration; the indexes of the eighteenth and the thirteenth stay as they
/// are, and are dropped with those.
async fn undo_25(db: &TestDatabase) {
    for index in [
        "audit_log_user",
        "audit_log_user_actor",
        "audit_log_user_actor_action",
        "audit_log_actor_object",
    ] {
        db.raw(&format!("DROP INDEX {index}")).await;
    }
    db.raw("CREATE INDEX audit_log_user ON audit_log (user_id, id)")
        .await;
}

/// Undoes migrations 3 to 15, except for the column of `usage_days`, and the later ones.
async fn undo_3_to_15(db: &TestDatabase) {
    undo_25(db).await;
    undo_23(db).await;
    undo_18(db).await;
    undo_20(db).await;
    undo_17(db).await;
    undo_16(db).await;
    undo_13_to_15(db).await;
    undo_12(db).await;
    undo_11(db).await;
    db.raw("ALTER TABLE users DROP COLUMN placement").await;
    for table in NEW_IN_8_TO_10 {
        db.raw(&format!("DROP TABLE {table}")).await;
    }
    db.raw("DROP TABLE node_tokens").await;
    for column in ["restored_generation"].iter().chain(&NEW_IN_7) {
        db.raw(&format!("ALTER TABLE nodes DROP COLUMN {column}"))
            .await;
    }
    db.raw("DROP INDEX users_plan").await;
    for (table, columns) in NEW_IN_6 {
        for column in columns {
            db.raw(&format!("ALTER TABLE {table} DROP COLUMN {column}"))
                .await;
        }
    }
    db.raw("DROP INDEX users_generation").await;
    db.raw("ALTER TABLE users DROP COLUMN generation").await;
    for table in NEW_IN_3_AND_4 {
        db.raw(&format!("DROP TABLE {table}")).await;
    }
}

const NEW_IN_8_TO_10: [&str; 9] = [
    "api_answers",
    "api_credentials",
    "api_keys",
    "control_planes",
    "leases",
    "attempts",
    "node_readings",
    "moves",
    "moved_tenants",
];

/// Columns of `nodes`.
const NEW_IN_7: [&str; 10] = [
    "host",
    "state",
    "tenants",
    "certificate_serial",
    "previous_serial",
    "certificate_expires",
    "public_key",
    "joined_at",
    "last_heard",
    "version",
];

const NEW_IN_6: [(&str, &[&str]); 3] = [
    (
        "plans",
        &[
            "down_bps",
            "up_bps",
            "at_limit",
            "slow_bps",
            "month_day",
            "visible",
        ],
    ),
    ("users", &["time_zone", "quota_state", "last_host"]),
    ("nodes", &["last_slot"]),
];

const NEW_IN_3_AND_4: [&str; 6] = [
    "tenant_traffic",
    "traffic_ticks",
    "traffic_minutes",
    "traffic_quarters",
    "traffic_hours",
    "events",
];

pub async fn traffic_of_an_older_schema_is_continued(db: &TestDatabase) {
    // Creates the state before the third migration.
    let store = db.store().await;
    let s = scope(&sign_up(&store, "abcd").await);
    let d = store
        .add_device(&s, new_device("Phone"), &AddressPlan::default())
        .await
        .unwrap()
        .value;
    store.close().await;
    undo_3_to_15(db).await;
    db.raw("ALTER TABLE usage_days DROP COLUMN devices").await;
    db.raw("DELETE FROM _sqlx_migrations WHERE version > 2")
        .await;
    let today = NOW.0 - NOW.0 % DAY;
    let (yesterday, minute, peer) = (today - DAY, NOW.0 - NOW.0 % 60_000, d.id.0);
    db.raw(&format!(
        "UPDATE peers SET rx_total = 700, tx_total = 7000, last_rx = 70, last_tx = 80, \
           last_handshake = {}, endpoint = '192.0.2.7:51820' WHERE id = {peer}",
        NOW.0 - 1_000
    ))
    .await;
    db.raw(&format!(
        "INSERT INTO usage_days (user_id, day, rx_bytes, tx_bytes) \
         VALUES (1, {yesterday}, 600, 6000), (1, {today}, 100, 1000)"
    ))
    .await;
    db.raw(&format!(
        "INSERT INTO bandwidth_stats (peer_id, recorded_at, rx_bytes, tx_bytes) \
         VALUES ({peer}, {minute}, 5, 50)"
    ))
    .await;

    let store = db.store().await;
    let stored = store.device(&s, d.id).await.unwrap();
    assert_eq!((stored.rx_total, stored.tx_total), (700, 7_000));
    assert_eq!(stored.last_handshake, Some(NOW.plus_millis(-1_000)));
    assert_eq!(stored.endpoint.as_deref(), Some("192.0.2.7:51820"));
    assert_eq!(store.devices(&s).await.unwrap(), [stored]);
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        7_700
    );

    // The next reading continues: the counters grew from 70 to 75 and from 80 to 90.
    let sample = StatSample {
        public_key: d.public_key,
        rx_bytes: 75,
        tx_bytes: 90,
        last_handshake: None,
        endpoint: None,
    };
    store
        .record_statistics(LOCAL_NODE, &[sample], None, NOW)
        .await
        .unwrap();
    let stored = store.device(&s, d.id).await.unwrap();
    assert_eq!((stored.rx_total, stored.tx_total), (705, 7_010));
    assert_eq!(stored.endpoint.as_deref(), Some("192.0.2.7:51820"));
    let year = store.series(&s, None, Span::Year, NOW).await.unwrap();
    let days: Vec<_> = year
        .iter()
        .filter(|p| p.rx_bytes + p.tx_bytes > 0)
        .map(|p| (p.at.0, p.rx_bytes, p.tx_bytes))
        .collect();
    assert_eq!(days, [(yesterday, 600, 6_000), (today, 105, 1_010)]);
    assert_eq!(
        store.overview(&s, Timestamp(0)).await.unwrap().month_bytes,
        7_715
    );
    let last: Vec<_> = year[363..].iter().map(|p| p.rx_bytes).collect();
    assert_eq!(last, [600, 105]);
    let overview = store.overview(&s, Timestamp(0)).await.unwrap();
    assert_eq!(overview.used(NOW).bytes, 7_715, "the month goes on");
    let reported = "SELECT CAST(SUM(rx_bytes) AS TEXT) FROM bandwidth_stats";
    assert_eq!(db.texts(reported).await, ["10"]);
}

pub async fn a_newer_schema_is_refused_with_a_message(db: &TestDatabase) {
    db.store().await.close().await;
    db.raw(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9000, 'of the future', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    let e = Store::open(db.url(), Sealer::from_key(KEY))
        .await
        .unwrap_err();
    assert!(
        matches!(e, StoreError::SchemaNewer { found: 9000, known } if (2..9000).contains(&known)),
        "{e}"
    );
    assert_eq!(e.failure().code, ErrorCode::BadConfiguration);
    assert!(matches!(
        e.failure().message,
        Message::SchemaNewer { found: 9000, .. }
    ));
}

pub async fn two_concurrent_opens_both_succeed(db: &TestDatabase) {
    let open = || Store::open(db.url(), Sealer::from_key(KEY));
    let (a, b) = tokio::join!(open(), open());
    let (a, b) = (a.unwrap(), b.unwrap());
    sign_up(&a, "abcd").await;
    sign_up(&b, "efgh").await;
    assert_eq!(a.load_spec(LOCAL_NODE).await.unwrap().tenants.len(), 2);
}

/// Opens a new file that another process is about to switch to WAL mode. SQLite
/// does not let the second switch wait, so opening has to.
pub async fn a_file_that_another_process_is_opening_is_opened(db: &TestDatabase) {
    let DatabaseUrl::Sqlite(_) = db.url() else {
        // There, an advisory lock makes the second migration wait.
        let store = Store::open(db.url(), Sealer::from_key(KEY)).await;
        store.unwrap().close().await;
        return;
    };
    let path = db.dir.path().join("new.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut other = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE; CREATE TABLE other (n INTEGER)")
        .execute(&mut other)
        .await
        .unwrap();
    let url = DatabaseUrl::Sqlite(path);
    let opening = tokio::spawn(async move { Store::open(&url, Sealer::from_key(KEY)).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!opening.is_finished(), "it waits for the other process");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    opening.await.unwrap().unwrap().close().await;
}

pub async fn an_unopenable_database_is_reported_without_password(db: &TestDatabase) {
    let url = match db.url() {
        DatabaseUrl::Sqlite(_) => DatabaseUrl::Sqlite(db.dir.path().join("no/such/db.sqlite")),
        // Nothing listens on port 1 of the loopback address.
        DatabaseUrl::Postgres(_) => {
            DatabaseUrl::parse("postgres://u:geheim@127.0.0.1:1/none").unwrap()
        }
    };
    let e = Store::open(&url, Sealer::from_key(KEY)).await.unwrap_err();
    assert!(matches!(e, StoreError::Unopenable { .. }), "{e:?}");
    assert!(!format!("{e} {e:?} {:?}", e.failure()).contains("geheim"));
    // A file with text, or a database that does not exist.
    let url = match db.url() {
        DatabaseUrl::Sqlite(_) => {
            let path = db.dir.path().join("text");
            std::fs::write(
                &path,
                "this is no database, and long enough to detect it".repeat(20),
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

pub async fn an_open_database_is_healthy(db: &TestDatabase) {
    let store = db.store().await;
    store.health().await.unwrap();
    assert_eq!(store.kind() == "SQLite", db.is_sqlite());
    sign_up(&store, "abcd").await;
    let rows = store.row_counts().await.unwrap();
    assert_eq!((rows.tenants, rows.devices, rows.audit), (1, 0, 1));
    assert_eq!((rows.sessions, rows.tickets), (0, 0));
    store.close().await;
    let e = store.health().await.unwrap_err();
    assert_eq!(e.failure().code, ErrorCode::DatabaseUnavailable);
}
