//! A control plane with one worker: a hub over what the test sets.

use crate::{
    hub::{Hub, Registry},
    worker::{ControlPlane, Identity, IdentityStore, RemoteFeed, Worker, WorkerParts},
};
use async_trait::async_trait;
use domain::{
    AddressPlan, Clock, ErrorCode, Message, NodeId, Problem, Slot, SystemClock, Timestamp,
};
use pki::{Authority, JoinToken, NodeKey};
use protocol::{
    NodeSpec, SpecAnswer, SpecChanges, SpecFeed, TenantSpec,
    wire::{CALLS, JoinAnswer, JoinRequest, REQUESTS, RenewAnswer, RenewRequest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use testkit::{fakes::FakeNodes, samples};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub const NODE: NodeId = NodeId(17);

/// Returns a spec with that many tenants.
pub fn spec(generation: u64, tenants: u16) -> NodeSpec {
    let settings = samples::settings(Path::new("/nowhere"));
    let tenants = (1..=tenants).map(|n| {
        let tenant = samples::tenant(&settings, n, 2);
        (tenant.slot, Arc::new(tenant))
    });
    NodeSpec {
        generation,
        tenants: tenants.collect(),
        ..NodeSpec::default()
    }
}

/// What the control plane's database holds.
pub struct Database {
    pub authority: Authority,
    pub spec: Mutex<NodeSpec>,
    /// What it was before each change.
    earlier: Mutex<Vec<NodeSpec>>,
    pub token: Mutex<Option<JoinToken>>,
    pub renewals: Mutex<u32>,
}

impl Database {
    pub fn new(spec: NodeSpec) -> Arc<Self> {
        Arc::new(Self {
            authority: Authority::generate(SystemClock.now()).unwrap(),
            spec: Mutex::new(spec),
            earlier: Mutex::default(),
            token: Mutex::default(),
            renewals: Mutex::default(),
        })
    }

    /// Returns the identity of a worker that joined at that time.
    pub fn identity(&self, joined: Timestamp) -> Identity {
        let key = NodeKey::generate().unwrap();
        let csr = key.csr().unwrap();
        let issued = self.authority.issue_node(&csr, NODE, joined).unwrap();
        Identity {
            authority: self.authority.certificate_pem().to_owned(),
            certificate: issued.pem,
            key: key.pem().clone(),
        }
    }

    fn issue(&self, csr: &str) -> Result<String, Problem> {
        let issued = self.authority.issue_node(csr, NODE, SystemClock.now());
        Ok(issued.map_err(|e| Problem::from(&e))?.pem)
    }
}

/// The database as the hub sees it.
struct Rows(Arc<Database>);

#[async_trait]
impl Registry for Rows {
    async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Problem> {
        let token = self.0.token.lock().unwrap().take();
        if token.is_none_or(|t| t.credential() != request.token) {
            return Err(Problem {
                code: ErrorCode::NodeRefused,
                message: Message::JoinTokenUsed,
            });
        }
        Ok(JoinAnswer {
            node: NODE,
            certificate: self.0.issue(&request.csr)?,
            authority: self.0.authority.certificate_pem().to_owned(),
            addresses: AddressPlan::default(),
        })
    }

    async fn renew(&self, _node: NodeId, request: RenewRequest) -> Result<RenewAnswer, Problem> {
        *self.0.renewals.lock().unwrap() += 1;
        let certificate = self.0.issue(&request.csr)?;
        Ok(RenewAnswer { certificate })
    }

    async fn admits(&self, _node: NodeId, _serial: &str) -> Result<bool, Problem> {
        Ok(true)
    }

    fn feed(&self, _node: NodeId) -> Arc<dyn SpecFeed> {
        Arc::new(Rows(self.0.clone()))
    }

    async fn generation(&self, _node: NodeId) -> Result<u64, Problem> {
        Ok(self.0.spec.lock().unwrap().generation)
    }

    async fn heard(&self, _node: NodeId, _version: &str) {}
}

#[async_trait]
impl SpecFeed for Rows {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let mut spec = self.0.spec.lock().unwrap();
        let restored = in_force > spec.generation;
        if restored {
            spec.generation = in_force + 1;
        }
        Ok(SpecAnswer {
            spec: spec.clone(),
            restored,
        })
    }

    async fn changes(
        &self,
        since: u64,
        known: &BTreeSet<Slot>,
        _in_force: u64,
    ) -> Result<Option<SpecChanges>, Problem> {
        let spec = self.0.spec.lock().unwrap();
        let earlier = self.0.earlier.lock().unwrap();
        let is_since = |s: &&NodeSpec| s.generation == since;
        let Some(before) = earlier.iter().chain([&*spec]).find(is_since) else {
            return Ok(None);
        };
        let is_new = |t: &&Arc<TenantSpec>| before.tenants.get(&t.slot) != Some(t);
        let gone = known.iter().filter(|s| !spec.tenants.contains_key(s));
        Ok(Some(SpecChanges {
            generation: spec.generation,
            changed: spec.tenants.values().filter(is_new).cloned().collect(),
            unreadable: BTreeMap::new(),
            removed: gone.copied().collect(),
            moved: None,
        }))
    }
}

/// A control plane that serves workers until it is dropped.
pub struct Plane {
    pub address: SocketAddr,
    pub hub: Hub,
    pub database: Arc<Database>,
    _end: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Plane {
    pub async fn start(database: &Arc<Database>) -> Self {
        Self::start_at(database, "127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(database: &Arc<Database>, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Hub::new(Arc::new(Rows(database.clone())), Arc::new(SystemClock));
        let now = SystemClock.now();
        let tls = database
            .authority
            .server_config(now, &[REQUESTS, CALLS])
            .unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let running = hub.clone();
        let serving = tokio::spawn(async move {
            let ended = async { drop(ended.await) };
            running.run(listener, tls, ended).await;
        });
        Self {
            address,
            hub,
            database: database.clone(),
            _end: end,
            serving,
        }
    }

    pub fn url(&self) -> ControlPlane {
        url(self.address)
    }

    /// Ends it as a kill does: every connection breaks.
    pub async fn kill(self) {
        drop(self._end);
        self.serving.await.unwrap();
    }

    /// Changes the spec, and tells the worker.
    pub fn change(&self, change: impl FnOnce(&mut NodeSpec)) {
        let mut spec = self.database.spec.lock().unwrap();
        self.database.earlier.lock().unwrap().push(spec.clone());
        change(&mut spec);
        spec.generation += 1;
        drop(spec);
        self.hub.nodes().nudge(NODE);
    }
}

pub fn url(address: SocketAddr) -> ControlPlane {
    address.to_string().parse().unwrap()
}

/// Stores identities in memory.
#[derive(Default)]
pub struct Stored(pub Mutex<Vec<Identity>>);

#[async_trait]
impl IdentityStore for Stored {
    async fn store(&self, identity: &Identity) -> io::Result<()> {
        self.0.lock().unwrap().push(identity.clone());
        Ok(())
    }
}

/// A worker's link, which runs until it is dropped.
pub struct Link {
    pub feed: Arc<RemoteFeed>,
    pub nodes: FakeNodes,
    pub stored: Arc<Stored>,
    running: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Link {
    pub fn start(identity: Identity, planes: &[ControlPlane]) -> Self {
        let (first, others) = planes.split_first().unwrap();
        let (feed, stored) = (Arc::new(RemoteFeed::default()), Arc::<Stored>::default());
        let nodes = FakeNodes::new(NODE);
        let worker = Worker::new(WorkerParts {
            node: NODE,
            identity,
            control_plane: first.clone(),
            more_control_planes: others.to_vec(),
            feed: feed.clone(),
            nodes: Arc::new(nodes.clone()),
            store: stored.clone(),
            clock: Arc::new(SystemClock),
            version: "1.2.3".to_owned(),
        });
        let worker = worker.unwrap();
        Self {
            feed,
            nodes,
            stored,
            running: tokio::spawn(worker.run(std::future::pending())),
        }
    }

    /// Waits for a spec of this generation or a later one.
    pub async fn until(&self, generation: u64) -> NodeSpec {
        let mut found = NodeSpec::default();
        until("a spec", async || match self.feed.load(0).await {
            Ok(answer) if answer.spec.generation >= generation => {
                found = answer.spec;
                true
            }
            _ => false,
        })
        .await;
        found
    }
}

/// Waits until a condition holds, 30 s at most.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited for {what}");
}
