//! A control plane's end with a registry in memory, and workers for it.

use async_trait::async_trait;
use domain::{
    Clock, ErrorCode, Message, NodeId, Problem, Slot, SystemClock, TenantName, Timestamp,
};
use link::{
    hub::{Hub, Registry},
    worker::{ControlPlane, Identity, IdentityStore, RemoteFeed, Worker, WorkerParts},
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
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
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
pub struct Feed {
    spec: Mutex<NodeSpec>,
    loads: AtomicU32,
}

impl Feed {
    /// Sets the generation, and the tenants as slot and number of devices.
    pub fn set(&self, generation: u64, tenants: &[(u16, u8)]) {
        let settings = samples::settings(Path::new("/nowhere"));
        let tenant = |&(slot, devices): &(u16, u8)| {
            let tenant = samples::tenant(&settings, slot, devices);
            (tenant.slot, Arc::new(tenant))
        };
        *self.spec.lock().unwrap() = NodeSpec {
            generation,
            tenants: tenants.iter().map(tenant).collect(),
            ..NodeSpec::default()
        };
    }

    pub fn get(&self) -> NodeSpec {
        self.spec.lock().unwrap().clone()
    }

    /// Returns how often it was loaded.
    pub fn loads(&self) -> u32 {
        self.loads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl SpecFeed for Feed {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let mut spec = self.spec.lock().unwrap();
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
struct Rows {
    listed: Vec<String>,
    /// The newest certificates, which replace those before as soon as they are used.
    replacing: BTreeMap<NodeId, String>,
    renewals: u32,
    tokens: BTreeSet<String>,
    admitted: BTreeSet<(NodeId, String)>,
    feeds: BTreeMap<NodeId, Arc<Feed>>,
    heard: Vec<(NodeId, String)>,
    joined: i64,
}

/// What the database would know.
pub struct Memory {
    pub authority: Authority,
    stored: Mutex<Rows>,
}

impl Memory {
    fn stored(&self) -> MutexGuard<'_, Rows> {
        self.stored.lock().unwrap()
    }

    pub fn add_token(&self, token: &pki::JoinToken) {
        let credential = token.credential().expose().to_owned();
        self.stored().tokens.insert(credential);
    }

    /// Sets which control planes there are.
    pub fn list(&self, addresses: Vec<String>) {
        self.stored().listed = addresses;
    }

    pub fn revoke(&self, node: NodeId) {
        self.stored()
            .admitted
            .retain(|(admitted, _)| *admitted != node);
    }

    /// Returns how many certificates were renewed.
    pub fn renewals(&self) -> u32 {
        self.stored().renewals
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
        let issued = self
            .authority
            .issue_node(&request.csr, node, SystemClock.now());
        let issued = issued.unwrap();
        let mut stored = self.stored();
        stored.renewals += 1;
        stored.admitted.insert((node, issued.serial.clone()));
        stored.replacing.insert(node, issued.serial);
        Ok(RenewAnswer {
            certificate: issued.pem,
        })
    }

    async fn admits(&self, node: NodeId, serial: &str) -> Result<bool, Problem> {
        let mut stored = self.stored();
        if stored.replacing.get(&node).is_some_and(|s| s == serial) {
            let is_other = |(n, s): &(NodeId, String)| *n != node || s == serial;
            stored.admitted.retain(is_other);
        }
        drop(stored);
        Ok(self.stored().admitted.contains(&(node, serial.to_owned())))
    }

    fn feed(&self, node: NodeId) -> Arc<dyn SpecFeed> {
        self.feed_of(node)
    }

    async fn generation(&self, node: NodeId) -> Result<u64, Problem> {
        Ok(self.feed_of(node).get().generation)
    }

    fn control_planes(&self) -> Vec<String> {
        self.stored().listed.clone()
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
        let memory = Arc::new(Memory {
            authority: Authority::generate(SystemClock.now()).unwrap(),
            stored: Mutex::default(),
        });
        Self::beside(&memory).await
    }

    /// Starts another one over the same database.
    pub async fn beside(memory: &Arc<Memory>) -> Self {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        Self::start_at(memory.clone(), address).await
    }

    pub async fn start_at(memory: Arc<Memory>, address: SocketAddr) -> Self {
        let now = SystemClock.now();
        let tls = memory.authority.server_config(now, &[REQUESTS, CALLS]);
        let tls = tls.unwrap();
        let hub = Hub::new(memory.clone(), Arc::new(SystemClock));
        let listener = TcpListener::bind(address).await.unwrap();
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

    /// Ends it as a kill does: nothing listens at its address afterwards.
    pub async fn kill(self) {
        self.serving.abort();
        until("it has ended", || self.serving.is_finished()).await;
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
        self.worker_with(node, identity, to, Arc::default())
    }

    /// Starts a worker with what it has stored.
    pub fn worker_with(
        &self,
        node: NodeId,
        identity: Identity,
        to: SocketAddr,
        stored: Arc<Stored>,
    ) -> RunningWorker {
        self.worker_of(node, identity, to, stored, Arc::new(SystemClock))
    }

    /// Starts a worker with what it has stored, and its clock.
    pub fn worker_of(
        &self,
        node: NodeId,
        identity: Identity,
        to: SocketAddr,
        stored: Arc<Stored>,
        clock: Arc<dyn Clock>,
    ) -> RunningWorker {
        let feed = Arc::new(RemoteFeed::default());
        let nodes = FakeNodes::new(node);
        let worker = Worker::new(WorkerParts {
            node,
            identity,
            control_plane: format!("https://{to}").parse().unwrap(),
            more_control_planes: Vec::new(),
            feed: feed.clone(),
            nodes: Arc::new(nodes.clone()),
            store: stored,
            clock,
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

/// What a worker has stored: the list of control planes.
#[derive(Default)]
pub struct Stored(Mutex<Vec<ControlPlane>>);

impl Stored {
    pub fn get(&self) -> Vec<ControlPlane> {
        self.0.lock().unwrap().clone()
    }

    pub fn set(&self, listed: Vec<ControlPlane>) {
        *self.0.lock().unwrap() = listed;
    }
}

#[async_trait]
impl IdentityStore for Stored {
    async fn store(&self, _identity: &Identity) -> io::Result<()> {
        Ok(())
    }

    async fn store_control_planes(&self, listed: &[ControlPlane]) -> io::Result<()> {
        self.set(listed.to_vec());
        Ok(())
    }

    fn stored_control_planes(&self) -> Vec<ControlPlane> {
        self.get()
    }
}

pub fn at(node: i64, n: u16) -> Location {
    Location {
        node: NodeId(node),
        slot: slot(n),
    }
}
