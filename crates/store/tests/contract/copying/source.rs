//! The SQLite database that the cases copy.

use crate::test_database::{KEY, NOW, TestDatabase, new_device, scope, sign_up};
use domain::{AddressPlan, Secret};
use seal::{Purpose, Sealer};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions,
};
use std::path::{Path, PathBuf};
use store::{AuthorityPem, DatabaseUrl, NewDevice, Store};

pub struct SourceDatabase {
    path: PathBuf,
}

/// Tables whose rows are not copied.
const TRANSIENT: [&str; 4] = ["_sqlx_migrations", "control_planes", "leases", "attempts"];

/// What the store's calls leave out: a row in every table, a value in every column and, in
/// columns that allow it, NULL too. The texts have what `COPY` escapes.
const ROWS: &[&str] = &[
    "UPDATE users SET time_zone = 'Pacific/Auckland', placement = 3, last_host = 9 WHERE id = 1",
    "UPDATE plans SET name = 'Zoë’s “家” \\N \\. a\tb\r\nc\\' WHERE id = 'home'",
    "UPDATE plans SET monthly_bytes = NULL, down_bps = NULL, up_bps = NULL WHERE id = 'studio'",
    "INSERT INTO nodes (id, name, generation, host, state, tenants, certificate_serial, \
       previous_serial, certificate_expires, public_key, joined_at, last_heard, version, \
       restored_generation) \
     VALUES (7, 'worker-1', 9223372036854775807, '203.0.113.8', 'closed', 0, '0a', '09', \
       1800000000000, 'MFkw', 1, -1, '0.1.0', 5)",
    "INSERT INTO node_tokens VALUES ('t1', 'hash', 5, 6, 7, 'operator'), \
       ('t2', 'hash', 5, NULL, NULL, '')",
    "INSERT INTO node_readings VALUES (1, 'boot', 9, '', 8)",
    "INSERT INTO moves VALUES (1, 1, 7, 'move', 'operator', 1, 2, '{\"code\":\"x\"}', 1, 62000), \
       (2, 1, NULL, 'drain', 'operator', 1, 2, NULL, 0, 0)",
    "INSERT INTO moved_tenants VALUES (7, 4, 1, '203.0.113.9:51804', 1, 2), \
       (7, 5, NULL, NULL, 1, 2)",
    "INSERT INTO audit_log (at, actor, action, object, detail) VALUES (1, 'operator', 'plan.add', 'x', '')",
    "INSERT INTO operators (username, password_hash, created_at) VALUES ('admin', '$argon2id$', 1)",
    "INSERT INTO tickets (token_hash, user_id, operator_id, audience, parent, expires) \
       VALUES ('h1', 1, NULL, 'lina.example', 'session', 9), \
       ('h2', NULL, 1, 'admin.example', NULL, 9)",
    "INSERT INTO sessions (id, data, expires, user_id, operator_id, parent, address) \
       VALUES ('s1', x'0001ff5c4e0a', 9, 1, NULL, NULL, '2001:db8::/64'), \
       ('s2', x'', 9, NULL, 1, 's1', '')",
    "INSERT INTO invitations VALUES (1, 'h', 'home', 2, 1, 'note', 'operator', 5, 6, NULL), \
       (2, 'i', NULL, 1, 0, '', 'operator', 5, 6, 7)",
    "INSERT INTO looks VALUES ('s2', 1, 1, 'operator:admin', '192.0.2.7', 5, 6, 7), \
       ('s3', 1, NULL, 'operator:ada', '', 5, 6, NULL)",
    "INSERT INTO endpoint_names VALUES ('lina-vpn.example.org', 1, '203.0.113.8', 3, 1), \
       ('gone-vpn.example.org', NULL, NULL, 1, 0)",
    "INSERT INTO reserved_names VALUES ('held', 'operator', 5)",
    "INSERT INTO operator_links VALUES ('o1', 'ada', 'support', 5, 6), ('o2', NULL, 'owner', 5, 6)",
    "UPDATE users SET invitation_id = 1, unused_since = 5, asleep_since = 6 WHERE id = 1",
    "UPDATE users SET unused_since = NULL WHERE id = 2",
    "UPDATE peers SET home_direct = 1, small_packets = 1 WHERE id = (SELECT MIN(id) FROM peers)",
    "UPDATE peers SET ipv4_only = 1 WHERE id = (SELECT MAX(id) FROM peers)",
    "UPDATE peers SET key_made_at = 7 WHERE id = (SELECT MIN(id) FROM peers)",
    "INSERT INTO recovery_codes VALUES ('r1', 1, NULL, 5), ('r2', NULL, 1, 5)",
    "INSERT INTO reset_links VALUES ('l1', 1, NULL, 'proof', 0, 5), ('l2', NULL, 1, 'proof', 1, 5)",
    "INSERT INTO pending_sign_ins VALUES ('p1', 1, NULL, 'proof', '', 1, 'write', 2, 5), \
       ('p2', NULL, 1, 'proof', 'hash', 0, '', 0, 5)",
    "INSERT INTO passkey_challenges VALUES ('c1', 'register', 1, NULL, 'lina.example', 'hash', 5), \
       ('c2', 'presence', NULL, 1, 'admin.example', 'hash', 5), \
       ('c3', 'sign-in', NULL, NULL, 'lina.example', 'hash', 5)",
    "INSERT INTO known_clients VALUES ('n1', 'browser', 1, NULL, 5), ('n2', 'network', NULL, 1, 5)",
    "INSERT INTO events (node_id, at, user_id, kind, detail) VALUES (1, 2, 1, 'part.dns.back', ''), \
       (1, 3, NULL, 'node.disk', '\t')",
    "INSERT INTO bandwidth_stats (peer_id, tx_bytes, rx_bytes, recorded_at) VALUES (1, 2, 3, 60000)",
    "INSERT INTO usage_days VALUES (1, 86400000, 5, 6, x'00'), (2, 86400000, 5, 6, x'')",
    "INSERT INTO tenant_traffic (user_id, counters, period_end) VALUES (1, x'010203', 7)",
    "INSERT INTO traffic_ticks VALUES (10000, 1, x'aa'), (10000, 2, x'bb')",
    "INSERT INTO traffic_minutes VALUES (60000, 1, x'aa')",
    "INSERT INTO traffic_quarters VALUES (900000, 1, x'aa')",
    "INSERT INTO traffic_hours VALUES (3600000, 1, x'aa')",
    "INSERT INTO api_credentials (id, kind, user_id, operator_id, name, secret_hash, access, \
       proof, created_at, expires_at, used_at) VALUES \
       ('c1', 'session', 1, NULL, 'Firefox', 'hash', 'write', 'proof', 1, 2, 3), \
       ('c2', 'token', NULL, 1, 'Zoë’s script', 'hash', 'read', 'proof', 1, 2, NULL)",
    "INSERT INTO mail_addresses VALUES \
       (1, 1, NULL, 'lina@example.org', 5, 'new@example.org', 'm1', 6, 1), \
       (2, NULL, 1, NULL, NULL, NULL, NULL, NULL, 0)",
    "UPDATE peers SET last_handshake = 5, endpoint = '[2001:db8::1]:51820', \
       device_label = 'Zoë’s 电话 😀' WHERE id = 1",
];

/// Rows with a sealed value, for `k1`.
const SEALED: [(Purpose, &str); 4] = [
    (
        Purpose::ApiKey,
        "INSERT INTO api_keys VALUES ('k1', 'public', $1, 7)",
    ),
    (
        Purpose::ApiAnswer,
        "INSERT INTO api_answers VALUES ('k1', 'request', $1, 9), ('k2', 'request', '', 9)",
    ),
    (
        Purpose::FactorSecret,
        "INSERT INTO factors (id, kind, user_id, operator_id, name, secret, created_at, confirmed_at, used_at, credential) \
         VALUES ('k1', 'totp', 1, NULL, '', $1, 9, NULL, NULL, NULL), ('k2', 'passkey', NULL, 1, 'key', '', 9, 10, 11, 'hash')",
    ),
    (
        Purpose::MailToken,
        "INSERT INTO mail_outbox VALUES \
           (1, 'reset', '{\"kind\":\"reset\"}', 'k1', $1, 'lina@example.org', 1, NULL, 5, 6, 7, 1, 'waiting', NULL, ''), \
           (2, 'test', '{\"kind\":\"test\"}', NULL, '', 'ada@example.org', NULL, 1, 5, 6, 7, 2, 'sent', 8, '250 ok')",
    ),
];

impl SourceDatabase {
    /// Creates a database without tenants.
    pub async fn empty(db: &TestDatabase, file: &str) -> Self {
        let source = Self {
            path: db.dir.path().join(file),
        };
        source.store().await.close().await;
        source
    }

    /// Creates a database with a row in every table.
    pub async fn filled(db: &TestDatabase) -> Self {
        let source = Self::empty(db, "source.sqlite").await;
        let store = source.store().await;
        let plan = AddressPlan::default();
        let lina = scope(&sign_up(&store, "lina").await);
        sign_up(&store, "zoe1").await;
        let gone = scope(&sign_up(&store, "gone").await);
        let phone = new_device("Phone");
        store.add_device(&lina, phone, &plan).await.unwrap();
        let browser = NewDevice {
            private_key: None,
            ..new_device("Browser")
        };
        store.add_device(&lina, browser, &plan).await.unwrap();
        store.delete_tenant(&gone, NOW).await.unwrap();
        let authority = AuthorityPem {
            certificate: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
                .to_owned(),
            key: Secret::new("the key"),
        };
        store.authority_or_insert(&authority).await.unwrap();
        store.close().await;
        let mut c = source.connect().await;
        for sql in ROWS {
            let result = sqlx::raw_sql(*sql).execute(&mut c).await;
            result.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let sealer = Sealer::from_key(KEY);
        for (purpose, sql) in SEALED {
            let sealed = sealer.seal(purpose, "k1", b"a secret").unwrap();
            let inserted = sqlx::query(sql).bind(sealed.as_str()).execute(&mut c).await;
            inserted.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        c.close().await.unwrap();
        source
    }

    /// Returns a database that may not exist.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub async fn store(&self) -> Store {
        let url = DatabaseUrl::Sqlite(self.path.clone());
        Store::open(&url, Sealer::from_key(KEY)).await.unwrap()
    }

    pub async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.path);
        options.connect().await.unwrap()
    }

    /// Runs a statement without the store.
    pub async fn raw(&self, sql: &str) {
        let mut c = self.connect().await;
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut c).await.unwrap();
        c.close().await.unwrap();
    }

    /// Returns the tables whose rows are copied, with their columns' names and types.
    pub async fn tables(&self) -> Vec<(String, Vec<(String, String)>)> {
        let mut c = self.connect().await;
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                   AND name NOT LIKE 'sqlite%' ORDER BY name";
        let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut c).await.unwrap();
        let mut tables = Vec::new();
        for name in names
            .into_iter()
            .filter(|n| !TRANSIENT.contains(&n.as_str()))
        {
            let sql = "SELECT name, type FROM pragma_table_info($1)";
            let columns = sqlx::query_as(sql).bind(&name).fetch_all(&mut c).await;
            tables.push((name, columns.unwrap()));
        }
        tables
    }

    /// Fails where a migration has added a table or column that [`ROWS`] leaves empty, or
    /// a column that may be NULL and never is.
    pub async fn assert_every_column_is_used(&self) {
        let mut c = self.connect().await;
        for (table, columns) in self.tables().await {
            for (column, _) in columns {
                let sql = AssertSqlSafe(format!(
                    "SELECT COUNT({column}), COUNT(*) - COUNT({column}), \
                       (SELECT \"notnull\" OR pk FROM pragma_table_info('{table}') WHERE name = '{column}') \
                     FROM {table}"
                ));
                let counts: (i64, i64, bool) = sqlx::query_as(sql).fetch_one(&mut c).await.unwrap();
                let (values, nulls, needed) = counts;
                assert!(
                    values > 0,
                    "no row of the tests has a value in {table}.{column}"
                );
                assert!(
                    nulls > 0 || needed,
                    "no row of the tests has NULL in {table}.{column}"
                );
            }
        }
    }

    /// Returns the number of the tenant that was deleted.
    pub async fn deleted_tenant(&self) -> i64 {
        let sql = "SELECT MAX(user_id) FROM audit_log";
        let mut c = self.connect().await;
        sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
    }
}
