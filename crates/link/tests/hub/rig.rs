//! A control plane's end with a registry in memory, and workers for it.

use async_trait::async_trait;
use domain::{
    Clock, ErrorCode, Message, NodeId, Problem, Slot, SystemClock, TenantName, Timestamp,
};
use link::{
    hub::{Hub, Registry},
    worker::{Identity, IdentityStore, RemoteFeed, Worker, WorkerParts},
};
use pki::{Authority, NodeKey};
use protocol::{
    Location, NodeSpec, Nodes, SpecAnswer, SpecFeed,
    wire::{CALLS, JoinAnswer, JoinRequest, REQUESTS, RenewAnswer, RenewRequest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use testkit::{fakes::FakeNodes, samples};
use tokio::{net::TcpListener, task::JoinHandle};

/// What takes longer does not happen.
pub const LIMIT: Duration = Duration::from_secs(40);

/// Waits until that is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, waiting).await;
    waited.unwrap_or_else(|_| panic!("not within {} s: {what}", LIMIT.as_secs()));
}

pub fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

pub fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

/// A node's spec, as the test sets it.
#[derive(Default)]
pub struct Feed(Mutex<NodeSpec>);

impl Feed {
    /// Sets the generation, and the tenants as slot and number of devices.
    pub fn set(&self, generation: u64, tenants: &[(u16, u8)]) {
        let settings = samples::settings(Path::new("/nowhere"));
        let tenant = |&(slot, devices): &(u16, u8)| {
            let tenant = samples::tenant(&settings, slot, devices);
            (tenant.slot, Arc::new(tenant))
        };
        *self.0.lock().unwrap() = NodeSpec {
            generation,
            tenants: tenants.iter().map(tenant).collect(),
            ..NodeSpec::default()
        };
    }

    pub fn get(&self) -> NodeSpec {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl SpecFeed for Feed {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let mut spec = self.0.lock().unwrap();
        let restored = spec.generation < in_force;
        if restored {
            spec.generation = in_force + 1;
        }
        Ok(SpecAnswer {
            spec: spec.clone(),
            restored,
        })
    }
}

#[derive(Default)]
struct Stored {
    tokens: BTreeSet<String>,
    admitted: BTreeSet<(NodeId, String)>,
    feeds: BTreeMap<NodeId, Arc<Feed>>,
    heard: Vec<(NodeId, String)>,
    joined: i64,
}

/// What the database would know.
pub struct Memory {
    pub authority: Authority,
    stored: Mutex<Stored>,
}

impl Memory {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    pub fn add_token(&self, token: &pki::JoinToken) {
        let credential = token.credential().expose().to_owned();
        self.stored().tokens.insert(credential);
    }

    pub fn revoke(&self, node: NodeId) {
        self.stored()
            .admitted
            .retain(|(admitted, _)| *admitted != node);
    }

    pub fn heard(&self) -> Vec<(NodeId, String)> {
        self.stored().heard.clone()
    }

    pub fn feed_of(&self, node: NodeId) -> Arc<Feed> {
        self.stored().feeds.entry(node).or_default().clone()
    }

    /// Issues a certificate that is admitted.
    pub fn issue(&self, csr: &str, node: NodeId, now: Timestamp) -> String {
        let issued = self.authority.issue_node(csr, node, now).unwrap();
        self.stored().admitted.insert((node, issued.serial));
        issued.pem
    }
}

fn refused(message: Message) -> Problem {
    Problem {
        code: ErrorCode::NodeRefused,
        message,
    }
}

#[async_trait]
impl Registry for Memory {
    async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Problem> {
        if !self.stored().tokens.remove(request.token.expose()) {
            return Err(refused(Message::JoinTokenUnknown));
        }
        let node = {
            let mut stored = self.stored();
            stored.joined += 1;
            NodeId(100 + stored.joined)
        };
        Ok(JoinAnswer {
            node,
            certificate: self.issue(&request.csr, node, SystemClock.now()),
            authority: self.authority.certificate_pem().to_owned(),
            addresses: domain::AddressPlan::default(),
        })
    }

    async fn renew(&self, node: NodeId, request: RenewRequest) -> Result<RenewAnswer, Problem> {
        Ok(RenewAnswer {
            certificate: self.issue(&request.csr, node, SystemClock.now()),
        })
    }

    async fn admits(&self, node: NodeId, serial: &str) -> Result<bool, Problem> {
        Ok(self.stored().admitted.contains(&(node, serial.to_owned())))
    }

    fn feed(&self, node: NodeId) -> Arc<dyn SpecFeed> {
        self.feed_of(node)
    }

    async fn generation(&self, node: NodeId) -> Result<u64, Problem> {
        Ok(self.feed_of(node).get().generation)
    }

    async fn heard(&self, node: NodeId, version: &str) {
        self.stored().heard.push((node, version.to_owned()));
    }
}

/// A control plane. It ends when it is dropped.
pub struct Rig {
    pub memory: Arc<Memory>,
    pub nodes: Arc<dyn Nodes>,
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Rig {
    pub async fn start() -> Self {
        let now = SystemClock.now();
        let authority = Authority::generate(now).unwrap();
        let tls = authority.server_config(now, &[REQUESTS, CALLS]).unwrap();
        let memory = Arc::new(Memory {
            authority,
            stored: Mutex::default(),
        });
        let hub = Hub::new(memory.clone(), Arc::new(SystemClock));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let nodes = hub.nodes();
        let serving = async move { hub.run(listener, tls, std::future::pending()).await };
        Self {
            memory,
            nodes,
            address,
            serving: tokio::spawn(serving),
        }
    }

    /// Returns the identity of a node whose certificate was issued so many days ago.
    pub fn identity(&self, node: i64, days_ago: i64) -> Identity {
        let key = NodeKey::generate().unwrap();
        let now = SystemClock
            .now()
            .plus_millis(-days_ago * domain::time::DAY_MILLIS);
        let csr = key.csr().unwrap();
        Identity {
            authority: self.memory.authority.certificate_pem().to_owned(),
            certificate: self.memory.issue(&csr, NodeId(node), now),
            key: key.pem().clone(),
        }
    }

    pub fn feed(&self, node: i64) -> Arc<Feed> {
        self.memory.feed_of(NodeId(node))
    }

    /// Starts a worker that connects to this address.
    pub fn worker(&self, node: NodeId, identity: Identity, to: SocketAddr) -> RunningWorker {
        let feed = Arc::new(RemoteFeed::default());
        let nodes = FakeNodes::new(node);
        let worker = Worker::new(WorkerParts {
            node,
            identity,
            control_plane: format!("https://{to}").parse().unwrap(),
            more_control_planes: Vec::new(),
            feed: feed.clone(),
            nodes: Arc::new(nodes.clone()),
            store: Arc::new(NoStore),
            clock: Arc::new(SystemClock),
            version: "1.2.3".to_owned(),
        });
        let worker = worker.unwrap();
        RunningWorker {
            feed,
            nodes,
            running: tokio::spawn(worker.run(std::future::pending())),
        }
    }
}

/// A worker. It ends when it is dropped.
pub struct RunningWorker {
    pub feed: Arc<RemoteFeed>,
    pub nodes: FakeNodes,
    running: JoinHandle<()>,
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl RunningWorker {
    /// Waits until the worker has this spec.
    pub async fn has(&self, spec: &NodeSpec) {
        let waiting = async {
            while self
                .feed
                .load(0)
                .await
                .ok()
                .as_ref()
                .map(|answer| &answer.spec)
                != Some(spec)
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, waiting).await;
        waited.expect("the worker gets the spec");
    }
}

struct NoStore;

#[async_trait]
impl IdentityStore for NoStore {
    async fn store(&self, _identity: &Identity) -> io::Result<()> {
        Ok(())
    }
}

pub fn at(node: i64, n: u16) -> Location {
    Location {
        node: NodeId(node),
        slot: slot(n),
    }
}
