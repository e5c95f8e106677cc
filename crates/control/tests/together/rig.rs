//! Two control planes on one PostgreSQL, which both hear the same node.

use super::{postgres::PostgresServer, settings::control_settings};
use control::{Control, ControlParts, ControlSettings, Entropy, WorkerAccess};
use domain::{
    AddressPlan, Clock, DeviceLabel, FilterPolicy, PrivateKey, Routing, Secret, Slot, SystemClock,
    TenantName, TenantScope, Timestamp,
};
use protocol::{NodeStatistics, PeerStatistics, ReadingOrder};
use seal::Sealer;
use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use store::{DatabaseUrl, DeviceRecord, LOCAL_NODE, NewDevice, NewTenant, Store};
use testkit::{fakes::FakeNodes, samples};
use tokio::{task::JoinHandle, time::Instant};

/// How long tests wait for a condition.
const TIMEOUT: Duration = Duration::from_secs(60);
static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A clock that is wrong by so many milliseconds.
pub struct WrongClock(pub i64);

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(self.0)
    }
}

/// A database, and the node that control planes hear.
pub struct Rig {
    url: DatabaseUrl,
    pub store: Store,
    pub node: FakeNodes,
    /// Stops the server when it is dropped.
    _server: Option<PostgresServer>,
}

/// A control plane whose background jobs run.
pub struct ControlPlane {
    pub control: Control,
    jobs: JoinHandle<()>,
}

impl ControlPlane {
    /// Ends it without a word, as SIGKILL does.
    pub fn kill(&self) {
        self.jobs.abort();
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.jobs.abort();
    }
}

impl Rig {
    pub async fn new() -> Self {
        let server = PostgresServer::start().unwrap();
        let rig = Self::on(&server.url).await;
        Self {
            _server: Some(server),
            ..rig
        }
    }

    /// Creates a database on a server of which the URL is given.
    pub async fn on(server: &str) -> Self {
        let (process, n) = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let name = format!("mn_together_{process}_{n}");
        let created = Command::new("psql")
            .args([server, "-qc", &format!("CREATE DATABASE {name}")])
            .status();
        assert!(created.unwrap().success());
        let (front, query) = server.split_once('?').unwrap_or((server, ""));
        let (front, _) = front.rsplit_once('/').unwrap();
        let url = DatabaseUrl::parse(&format!("{front}/{name}?{query}")).unwrap();
        Self {
            store: open(&url).await,
            url,
            node: FakeNodes::new(LOCAL_NODE),
            _server: None,
        }
    }

    pub async fn control_plane(&self, name: &str) -> ControlPlane {
        self.control_plane_with(name, Arc::new(SystemClock), 0)
            .await
    }

    pub async fn control_plane_with(
        &self,
        name: &str,
        clock: Arc<dyn Clock>,
        sign_ups_per_hour: u32,
    ) -> ControlPlane {
        let control = Control::new(ControlParts {
            names: None,
            store: open(&self.url).await,
            nodes: Arc::new(self.node.clone()),
            clock,
            entropy: Entropy::system(),
            settings: ControlSettings {
                control_plane: name.to_owned(),
                address: Some(format!("https://{name}.example:8443")),
                sign_ups_per_hour,
                ..control_settings(BTreeSet::new())
            },
            workers: WorkerAccess::NoAddress,
        });
        let running = control.clone();
        let jobs = tokio::spawn(async move { running.run().await });
        ControlPlane { control, jobs }
    }

    /// Creates a tenant with devices.
    pub async fn tenant(&self, name: &str, devices: u8) -> (TenantScope, Vec<DeviceRecord>) {
        let name = TenantName::parse(name).unwrap();
        let new = NewTenant {
            actor: None,
            name: name.clone(),
            password_hash: Secret::new("hash"),
            plan: "home".to_owned(),
            private_key: samples::key(1, 0),
            dns_password: Secret::new("dns"),
            time_zone: "UTC".to_owned(),
            invitation: None,
            mail: None,
            dns_password_hash: "hash".to_owned(),
            now: SystemClock.now(),
        };
        let (addresses, none) = (AddressPlan::default(), BTreeSet::new());
        let created = self.store.create_tenant(new, &addresses, &none).await;
        let scope = TenantScope::issue(created.unwrap().value.id, name, "test");
        let mut all = Vec::new();
        for n in 1..=devices {
            all.push(self.add_device(&scope, n).await);
        }
        (scope, all)
    }

    /// Adds a tenant's device, as no control plane of the rig does.
    pub async fn add_device(&self, scope: &TenantScope, n: u8) -> DeviceRecord {
        let key = PrivateKey::from_random([n; 32]);
        let device = NewDevice {
            label: DeviceLabel::parse(&format!("Device {n}")).unwrap(),
            routing: Routing::Everything,
            options: domain::TunnelOptions::default(),
            policy: FilterPolicy::Standard,
            mesh: false,
            public_key: key.public(),
            private_key: None,
            preshared_key: domain::PresharedKey::from_random([n; 32]),
            client_id: format!("mn-{n:016x}"),
            now: SystemClock.now(),
        };
        let addresses = AddressPlan::default();
        let added = self.store.add_device(scope, device, &addresses).await;
        added.unwrap().value
    }

    /// Returns how many statements and transactions the database has answered, once it knows.
    pub async fn commits(&self) -> u64 {
        // A connection tells what it has done within a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let DatabaseUrl::Postgres(url) = &self.url else {
            panic!("not PostgreSQL")
        };
        let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        let counted = Command::new("psql")
            .args([url.expose(), "-qAtc", sql])
            .output()
            .unwrap();
        String::from_utf8(counted.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Sets what the interface shows of each device: `bytes` received and half as many
    /// sent, read at `nanos`.
    pub fn show(&self, devices: &[DeviceRecord], bytes: u64, nanos: u64) {
        let peer = |d: &DeviceRecord| PeerStatistics {
            slot: Slot::FIRST,
            public_key: d.public_key,
            last_handshake: None,
            endpoint: None,
            rx_bytes: bytes,
            tx_bytes: bytes / 2,
        };
        self.node.answers().statistics = Ok(NodeStatistics {
            taken: Some(ReadingOrder {
                boot: "a".to_owned(),
                nanos,
            }),
            peers: devices.iter().map(peer).collect(),
            ..NodeStatistics::default()
        });
    }

    /// Returns the control plane that holds a lease.
    pub async fn holder(&self, lease: &str) -> Option<String> {
        let mut holders = self.store.lease_holders().await.unwrap();
        holders.remove(lease)
    }

    /// Waits until a lease has that holder.
    pub async fn held_by(&self, lease: &str, holder: &str) -> Duration {
        let begin = Instant::now();
        until(async || self.holder(lease).await.as_deref() == Some(holder)).await;
        begin.elapsed()
    }

    /// Returns how often events of that kind are in the log.
    pub async fn events(&self, kind: &str) -> usize {
        let all = self.store.events_recent(1_000).await.unwrap();
        all.iter().filter(|e| e.kind == kind).count()
    }
}

async fn open(url: &DatabaseUrl) -> Store {
    Store::open(url, Sealer::from_key([1; 32])).await.unwrap()
}

/// Waits until a condition holds.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(TIMEOUT, waiting).await;
    waited.expect("the condition holds within a minute");
}
