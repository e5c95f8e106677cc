//! A node without a machine: a spec is in force as soon as it is there.

use async_trait::async_trait;
use domain::{
    ErrorCode, Message, NodeId, Part, Problem, Slot, TenantName, TenantStatus, Timestamp,
    view::QueryCounts,
};
use futures_util::stream::{self, BoxStream, StreamExt};
use link::worker::RemoteFeed;
use protocol::{
    CapacityEstimate, DnsStream, Location, MachineState, NodeSpec, NodeState, NodeStatistics,
    Nodes, PeerStatistics, ReadingOrder, Reported, ResourceUsage, SpecFeed, TenantState,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tokio::sync::{Notify, watch};

/// What a tenant's parts are reported to have taken.
const READY: Part<Problem> = Part::Ready { took_ms: 12 };

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn changes<T: Send + Sync + 'static>(watch: watch::Receiver<T>) -> BoxStream<'static, ()> {
    stream::unfold(watch, async |mut watch| {
        watch.changed().await.ok().map(|()| ((), watch))
    })
    .boxed()
}

fn absent() -> Problem {
    Problem {
        code: ErrorCode::DnsUnavailable,
        message: Message::DnsUnanswered,
    }
}

/// A node.
pub struct VirtualNode {
    id: NodeId,
    feed: Arc<RemoteFeed>,
    nudged: Notify,
    tenants: Mutex<BTreeMap<Slot, watch::Sender<Option<TenantState>>>>,
    state: watch::Sender<Option<NodeState>>,
    spec: Mutex<Option<Arc<NodeSpec>>>,
}

impl VirtualNode {
    pub fn new(id: NodeId, feed: Arc<RemoteFeed>) -> Self {
        Self {
            id,
            feed,
            nudged: Notify::new(),
            tenants: Mutex::default(),
            state: watch::Sender::new(None),
            spec: Mutex::default(),
        }
    }

    /// Puts each spec in force, until it is dropped.
    pub async fn run(&self) {
        loop {
            self.nudged.notified().await;
            let before = lock(&self.spec).clone();
            let in_force = before.as_ref().map_or(0, |spec| spec.generation);
            if let Ok(answer) = self.feed.load(in_force).await
                && answer.spec.generation != in_force
            {
                self.put_in_force(before.as_deref(), answer.spec);
            }
        }
    }

    /// Publishes what the agent's engine does after a pass: the tenants that have
    /// changed, then that all others are in force at the new generation too.
    fn put_in_force(&self, before: Option<&NodeSpec>, spec: NodeSpec) {
        let generation = spec.generation;
        let mut tenants = lock(&self.tenants);
        tenants.retain(|slot, sender| {
            let stays = spec.tenants.contains_key(slot);
            if !stays {
                sender.send_replace(None);
            }
            stays || sender.receiver_count() > 0
        });
        let mut changed = 0;
        for (slot, tenant) in &spec.tenants {
            let known = before.and_then(|before| before.tenants.get(slot));
            changed += u32::from(known.is_none_or(|known| !Arc::ptr_eq(known, tenant)));
            let part = || {
                if tenant.suspended {
                    Part::Waiting
                } else {
                    READY
                }
            };
            let state = TenantState {
                name: tenant.name.clone(),
                applied: generation,
                status: TenantStatus {
                    firewall: part(),
                    tunnel: part(),
                    dns: part(),
                },
            };
            let sender = tenants.entry(*slot);
            let sender = sender.or_insert_with(|| watch::Sender::new(None));
            sender.send_replace(Some(state));
        }
        drop(tenants);
        println!(
            "{} {generation} {} {changed}",
            self.id.0,
            spec.tenants.len()
        );
        *lock(&self.spec) = Some(Arc::new(spec));
        self.state.send_replace(Some(NodeState {
            generation,
            leaving: Some(BTreeSet::new()),
            ..NodeState::default()
        }));
    }

    fn spec(&self) -> Option<Arc<NodeSpec>> {
        lock(&self.spec).clone()
    }

    fn sender(&self, slot: Slot) -> watch::Receiver<Option<TenantState>> {
        let mut tenants = lock(&self.tenants);
        let sender = tenants.entry(slot);
        sender
            .or_insert_with(|| watch::Sender::new(None))
            .subscribe()
    }
}

#[async_trait]
impl Nodes for VirtualNode {
    fn ids(&self) -> Vec<NodeId> {
        vec![self.id]
    }

    fn nudge(&self, _node: NodeId) {
        self.nudged.notify_one();
    }

    fn tenant(&self, at: Location) -> Option<TenantState> {
        lock(&self.tenants).get(&at.slot)?.borrow().clone()
    }

    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()> {
        changes(self.sender(at.slot))
    }

    fn node(&self, _node: NodeId) -> Option<NodeState> {
        self.state.borrow().clone()
    }

    fn node_changes(&self, _node: NodeId) -> BoxStream<'static, ()> {
        changes(self.state.subscribe())
    }

    fn machine(&self, _node: NodeId) -> Option<MachineState> {
        Some(MachineState {
            wireguard: "virtual".to_owned(),
            capacity: Some(CapacityEstimate {
                max_tenants: 1000,
                per_tenant: 16 << 20,
                measured: 900,
                reserve: 512 << 20,
                total: 32 << 30,
                available: 16 << 30,
            }),
            problem: None,
            disk: None,
            max_tenants: None,
        })
    }

    fn holders(&self, _node: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        let spec = self.spec()?;
        let holders = spec.tenants.values().map(|t| (t.slot, t.name.clone()));
        Some(holders.collect())
    }

    fn used_slots(&self, _node: NodeId) -> BTreeSet<Slot> {
        let spec = self.spec();
        spec.iter()
            .flat_map(|s| s.tenants.keys())
            .copied()
            .collect()
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        // Subscribed when a control plane asks for the state.
        println!("stream {}", self.id.0);
        stream::pending().boxed()
    }

    /// Returns counters that do not change: those that `fleet_rows` has stored. A device
    /// that was added later was never used.
    async fn statistics(&self, _node: NodeId) -> Result<NodeStatistics, Problem> {
        const CREATED: Timestamp = Timestamp(1_795_608_007_000);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let taken = ReadingOrder {
            boot: "virtual".to_owned(),
            nanos: now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(0)),
        };
        let mut all = Vec::new();
        for tenant in self.spec().iter().flat_map(|s| s.tenants.values()) {
            for device in tenant.devices.values() {
                let is_loaded = device.label.as_str().starts_with("Device ");
                all.push(PeerStatistics {
                    slot: tenant.slot,
                    public_key: device.public_key,
                    last_handshake: is_loaded.then_some(CREATED),
                    endpoint: is_loaded.then(|| ([198, 51, 100, 7], 40_000).into()),
                    rx_bytes: if is_loaded { 1000 } else { 0 },
                    tx_bytes: if is_loaded { 2000 } else { 0 },
                });
            }
        }
        Ok(NodeStatistics {
            taken: Some(taken),
            since: None,
            peers: all,
        })
    }

    async fn resources(&self, _node: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        Ok(Vec::new())
    }

    async fn dns_connect(&self, _at: Location, _name: &TenantName) -> Result<DnsStream, Problem> {
        Err(absent())
    }

    async fn dns_counts(&self, _at: Location, _name: &TenantName) -> Result<QueryCounts, Problem> {
        Ok(QueryCounts {
            total: 1234,
            blocked: 56,
        })
    }
}
