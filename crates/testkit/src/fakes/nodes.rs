//! The port `Nodes` over one node whose reports the test sets.

use async_trait::async_trait;
use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName, view::QueryCounts};
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{
    DnsStream, EventKind, Location, MachineState, NodeState, NodeStatistics, Nodes, Reported,
    ResourceUsage, TenantState,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    net::TcpStream,
    sync::{broadcast, watch},
};

/// Events that wait for a slow reader, as many as the engine keeps.
const BUFFERED_EVENTS: usize = 64;

/// What the node answers when it is asked.
#[derive(Clone, Debug)]
pub struct NodeAnswers {
    pub statistics: Result<NodeStatistics, Problem>,
    pub resources: Result<Vec<ResourceUsage>, Problem>,
    pub counts: Result<QueryCounts, Problem>,
    /// What listens instead of a tenant's AdGuard Home.
    pub dns: BTreeMap<(Slot, TenantName), SocketAddr>,
    pub machine: Option<MachineState>,
    pub holders: Option<BTreeMap<Slot, TenantName>>,
}

impl Default for NodeAnswers {
    fn default() -> Self {
        Self {
            statistics: Ok(NodeStatistics::default()),
            resources: Ok(Vec::new()),
            counts: Err(dns_unavailable()),
            dns: BTreeMap::new(),
            machine: None,
            holders: None,
        }
    }
}

/// One node. Clones share it.
#[derive(Clone)]
pub struct FakeNodes {
    id: NodeId,
    tenants: Arc<Mutex<BTreeMap<Slot, watch::Sender<Option<TenantState>>>>>,
    state: Arc<watch::Sender<Option<NodeState>>>,
    answers: Arc<Mutex<NodeAnswers>>,
    events: broadcast::Sender<Reported>,
    nudges: Arc<AtomicU64>,
}

fn dns_unavailable() -> Problem {
    Problem {
        code: ErrorCode::DnsUnavailable,
        message: Message::DnsUnanswered,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn changes<T: Send + Sync + 'static>(watch: watch::Receiver<T>) -> BoxStream<'static, ()> {
    stream::unfold(watch, async |mut watch| {
        watch.changed().await.ok().map(|()| ((), watch))
    })
    .boxed()
}

impl FakeNodes {
    /// Creates a node that has reported nothing yet.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            tenants: Arc::default(),
            state: Arc::new(watch::Sender::new(None)),
            answers: Arc::default(),
            events: broadcast::Sender::new(BUFFERED_EVENTS),
            nudges: Arc::default(),
        }
    }

    /// Reports the state of a slot's tenant, or that there is none.
    pub fn set_tenant(&self, slot: Slot, state: Option<TenantState>) {
        self.sender(slot).send_replace(state);
    }

    /// Reports the node's own state.
    pub fn set_node(&self, state: NodeState) {
        self.state.send_replace(Some(state));
    }

    /// Returns what it answers, to be changed.
    pub fn answers(&self) -> MutexGuard<'_, NodeAnswers> {
        lock(&self.answers)
    }

    /// Reports that something has happened.
    pub fn report(&self, event: EventKind) {
        let node = self.id;
        // Having no receiver is not an error.
        let _ = self.events.send(Reported::Event { node, event });
    }

    /// Returns how often it was nudged.
    pub fn nudges(&self) -> u64 {
        self.nudges.load(Ordering::Relaxed)
    }

    fn sender(&self, slot: Slot) -> watch::Sender<Option<TenantState>> {
        let mut tenants = lock(&self.tenants);
        let sender = tenants.entry(slot);
        sender.or_insert_with(|| watch::Sender::new(None)).clone()
    }

    fn is_own(&self, node: NodeId) -> bool {
        node == self.id
    }
}

#[async_trait]
impl Nodes for FakeNodes {
    fn ids(&self) -> Vec<NodeId> {
        vec![self.id]
    }

    fn nudge(&self, node: NodeId) {
        if self.is_own(node) {
            self.nudges.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tenant(&self, at: Location) -> Option<TenantState> {
        let own = self.is_own(at.node);
        own.then(|| self.sender(at.slot).borrow().clone())?
    }

    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()> {
        match self.is_own(at.node) {
            true => changes(self.sender(at.slot).subscribe()),
            false => stream::pending().boxed(),
        }
    }

    fn node(&self, node: NodeId) -> Option<NodeState> {
        let own = self.is_own(node);
        own.then(|| self.state.borrow().clone())?
    }

    fn node_changes(&self, node: NodeId) -> BoxStream<'static, ()> {
        match self.is_own(node) {
            true => changes(self.state.subscribe()),
            false => stream::pending().boxed(),
        }
    }

    fn machine(&self, node: NodeId) -> Option<MachineState> {
        let own = self.is_own(node);
        own.then(|| self.answers().machine.clone())?
    }

    fn holders(&self, node: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        let own = self.is_own(node);
        own.then(|| self.answers().holders.clone())?
    }

    fn used_slots(&self, node: NodeId) -> BTreeSet<Slot> {
        let holders = self.holders(node).unwrap_or_default();
        holders.into_keys().collect()
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        let node = self.id;
        stream::unfold(self.events.subscribe(), move |mut events| async move {
            let report = match events.recv().await {
                Ok(report) => report,
                Err(broadcast::error::RecvError::Lagged(count)) => Reported::Missed { node, count },
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((report, events))
        })
        .boxed()
    }

    async fn statistics(&self, _node: NodeId) -> Result<NodeStatistics, Problem> {
        self.answers().statistics.clone()
    }

    async fn resources(&self, _node: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        self.answers().resources.clone()
    }

    async fn dns_connect(&self, at: Location, name: &TenantName) -> Result<DnsStream, Problem> {
        let address = self.answers().dns.get(&(at.slot, name.clone())).copied();
        let address = address.ok_or_else(dns_unavailable)?;
        match TcpStream::connect(address).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(_) => Err(dns_unavailable()),
        }
    }

    async fn dns_counts(&self, _at: Location, _name: &TenantName) -> Result<QueryCounts, Problem> {
        self.answers().counts.clone()
    }
}
