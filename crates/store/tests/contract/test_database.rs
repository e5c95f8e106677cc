//! The database of a test case, on one of three backends, and helpers to fill it.

use domain::{
    AddressPlan, DeviceLabel, FilterPolicy, NodeId, OperatorRole, PresharedKey, PrivateKey,
    Routing, Secret, Slot, TenantName, TenantScope, Timestamp,
};
use seal::Sealer;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};
use store::{
    ChangedBy, DatabaseUrl, NewDevice, NewOperatorLink, NewTenant, OperatorRecord, Placement,
    Store, TenantRecord, TokenHash,
};

/// The kind of database a case runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Memory,
    File,
    Postgres,
}

/// The database of one case.
pub struct TestDatabase {
    url: Option<DatabaseUrl>,
    /// The server and name of a database to drop at the end.
    created: Option<(String, String)>,
    pub dir: tempfile::TempDir,
}

/// The key of every test database.
pub const KEY: [u8; 32] = [42; 32];
/// The time of the tests: 2025-06-15T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_749_988_800);

static COUNTER: AtomicU64 = AtomicU64::new(1);

impl TestDatabase {
    pub async fn new(backend: Backend, server: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut created = None;
        let url = match backend {
            Backend::Memory => None,
            Backend::File => Some(DatabaseUrl::Sqlite(dir.path().join("database.sqlite"))),
            Backend::Postgres => {
                let server = server.unwrap().to_owned();
                let n = COUNTER.fetch_add(1, Ordering::Relaxed);
                let name = format!("mn_test_{}_{n}", std::process::id());
                admin(
                    &server,
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                )
                .await;
                admin(&server, &format!("CREATE DATABASE {name}")).await;
                let (front, query) = match server.split_once('?') {
                    Some((front, query)) => (front, format!("?{query}")),
                    None => (server.as_str(), String::new()),
                };
                let (front, _) = front.rsplit_once('/').unwrap();
                let url = DatabaseUrl::parse(&format!("{front}/{name}{query}")).unwrap();
                created = Some((server, name));
                Some(url)
            }
        };
        Self { url, created, dir }
    }

    pub async fn finish(self) {
        if let Some((server, name)) = &self.created {
            admin(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    pub fn url(&self) -> &DatabaseUrl {
        self.url.as_ref().unwrap()
    }

    /// Opens the database. In memory this is a new database each time.
    pub async fn store(&self) -> Store {
        match &self.url {
            None => Store::memory().await.unwrap(),
            Some(url) => Store::open(url, Sealer::from_key(KEY)).await.unwrap(),
        }
    }

    /// Runs a statement without the store.
    pub async fn raw(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.url() {
            DatabaseUrl::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true);
                let mut c = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut c).await.unwrap();
                c.close().await.unwrap();
            }
            DatabaseUrl::Postgres(url) => {
                let mut c = PgConnection::connect(url.expose()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut c).await.unwrap();
                c.close().await.unwrap();
            }
        }
    }

    /// Reads a column of text without the store.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.url() {
            DatabaseUrl::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                let mut c = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(sql).fetch_all(&mut c).await.unwrap()
            }
            DatabaseUrl::Postgres(url) => {
                let mut c = PgConnection::connect(url.expose()).await.unwrap();
                sqlx::query_scalar(sql).fetch_all(&mut c).await.unwrap()
            }
        }
    }

    /// Returns whether the database is SQLite.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.url, None | Some(DatabaseUrl::Sqlite(_)))
    }
}

async fn admin(server: &str, sql: &str) {
    let mut c = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut c)
        .await
        .unwrap();
    c.close().await.unwrap();
}

/// Returns 32 bytes that differ from those of every other call.
pub fn bytes() -> [u8; 32] {
    let n = COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    std::array::from_fn(|i| n[i % 8] ^ (i as u8))
}

pub fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

pub fn label(text: &str) -> DeviceLabel {
    DeviceLabel::parse(text).unwrap()
}

pub fn new_tenant(tenant: &str) -> NewTenant {
    NewTenant {
        actor: None,
        name: name(tenant),
        password_hash: Secret::new("$argon2id$hash"),
        plan: "home".to_owned(),
        private_key: PrivateKey::from_random(bytes()),
        dns_password: Secret::new(format!("dns-password-of-{tenant}")),
        time_zone: "UTC".to_owned(),
        invitation: None,
        mail: None,
        dns_password_hash: "$2y$hash".to_owned(),
        now: NOW,
    }
}

pub fn new_device(text: &str) -> NewDevice {
    let private_key = PrivateKey::from_random(bytes());
    NewDevice {
        label: label(text),
        routing: Routing::Everything,
        options: domain::TunnelOptions::default(),
        policy: FilterPolicy::Standard,
        mesh: false,
        public_key: private_key.public(),
        private_key: Some(private_key),
        preshared_key: PresharedKey::from_random(bytes()),
        client_id: format!("mn-{:016x}", COUNTER.fetch_add(1, Ordering::Relaxed)),
        now: NOW,
    }
}

pub fn scope(t: &TenantRecord) -> TenantScope {
    TenantScope::issue(t.id, t.name.clone(), t.name.as_str())
}

/// Creates a tenant in that slot.
pub async fn sign_up_at(store: &Store, tenant: &str, slot: Slot) -> TenantRecord {
    let others = Slot::all().filter(|s| *s != slot).collect::<BTreeSet<_>>();
    let created = store
        .create_tenant(new_tenant(tenant), &AddressPlan::default(), &others)
        .await;
    created.unwrap().value
}

/// Creates a tenant as a sign-up does.
pub async fn sign_up(store: &Store, tenant: &str) -> TenantRecord {
    let none = BTreeSet::new();
    let created = store
        .create_tenant(new_tenant(tenant), &AddressPlan::default(), &none)
        .await;
    created.unwrap().value
}

/// Creates a tenant on that node.
pub async fn sign_up_on(store: &Store, tenant: &str, node: NodeId) -> TenantRecord {
    let excluded = &BTreeSet::new();
    let placement = Placement {
        node,
        excluded,
        max_tenants: None,
    };
    let created = store
        .create_tenant(new_tenant(tenant), &AddressPlan::default(), placement)
        .await;
    created.unwrap().value
}

/// Creates an operator through a link; the first one is an owner.
pub async fn operator(store: &Store, name: &str, role: OperatorRole) -> OperatorRecord {
    let token = TokenHash::of(&Secret::new(format!("link of {name}")));
    let new = NewOperatorLink {
        token: &token,
        now: NOW,
        expires: NOW.plus_millis(1_000),
    };
    let by = ChangedBy {
        actor: "operator:test",
        origin: "",
        now: NOW,
    };
    if !store.create_first_operator_link(new.clone()).await.unwrap() {
        store.invite_operator(new, name, role, by).await.unwrap();
    }
    let hash = Secret::new(format!("hash of {name}"));
    let made = store.use_operator_link(&token, name, &hash, "192.0.2.7", NOW);
    made.await.unwrap()
}
