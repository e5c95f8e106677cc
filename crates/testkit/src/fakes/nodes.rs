//! The port `Nodes` over one node whose reports the test sets.

use async_trait::async_trait;
use bytes::Bytes;
use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName, view::QueryCounts};
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{
    DnsStream, EventKind, FolderCopy, FolderOwner, FolderReceipt, FolderStream, Location,
    MachineState, NodeState, NodeStatistics, Nodes, Reported, ResourceUsage, TenantState,
    cannot_copy,
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
    /// The pieces of each folder; `None` where it does not copy folders. An error ends them.
    pub archive: Option<Vec<Result<Bytes, Problem>>>,
    /// Whether the archive never ends.
    pub is_endless: bool,
    /// What it answers once it has read an archive; otherwise it refuses it unread.
    pub receipt: Result<FolderReceipt, Problem>,
}

/// An archive that was written, as far as it came.
#[derive(Clone, Debug)]
pub struct WrittenFolder {
    pub copy: FolderCopy,
    pub owner: FolderOwner,
    /// What came, and how it ended.
    pub archive: Result<Vec<u8>, Problem>,
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
            archive: None,
            is_endless: false,
            receipt: Ok(FolderReceipt::default()),
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
    copies: Arc<Mutex<Copies>>,
}

/// The copies that it was asked for.
#[derive(Default)]
struct Copies {
    read: Vec<FolderCopy>,
    written: Vec<WrittenFolder>,
    ended: Vec<Location>,
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
            copies: Arc::default(),
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

    /// Returns the folders that were read.
    pub fn read_folders(&self) -> Vec<FolderCopy> {
        lock(&self.copies).read.clone()
    }

    /// Returns the folders that were written.
    pub fn written_folders(&self) -> Vec<WrittenFolder> {
        lock(&self.copies).written.clone()
    }

    /// Returns where copies were ended.
    pub fn ended_copies(&self) -> Vec<Location> {
        lock(&self.copies).ended.clone()
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

    async fn read_folder(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        let (archive, is_endless) = {
            let answers = self.answers();
            (answers.archive.clone(), answers.is_endless)
        };
        let archive = archive.ok_or_else(cannot_copy)?;
        lock(&self.copies).read.push(copy.clone());
        let pieces = stream::iter(archive);
        Ok(match is_endless {
            true => pieces.chain(stream::pending()).boxed(),
            false => pieces.boxed(),
        })
    }

    async fn write_folder(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        mut archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        let receipt = self.answers().receipt.clone()?;
        let mut read = Vec::new();
        let mut ended = Ok(());
        while let Some(piece) = archive.next().await {
            match piece {
                Ok(piece) => read.extend(piece),
                Err(e) => ended = Err(e),
            }
        }
        lock(&self.copies).written.push(WrittenFolder {
            copy: copy.clone(),
            owner: *owner,
            archive: ended.clone().map(|()| read),
        });
        ended.map(|()| receipt)
    }

    async fn end_copy(&self, at: Location, _name: &TenantName) -> Result<(), Problem> {
        if self.answers().archive.is_none() {
            return Err(cannot_copy());
        }
        lock(&self.copies).ended.push(at);
        Ok(())
    }
}
