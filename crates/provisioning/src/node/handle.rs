//! The handle: how the rest of the program nudges a node, waits for it and
//! watches it, without ever touching the machine itself.

use super::NodePorts;
use crate::{
    drift::Drift,
    observed::PeerStatistics,
    ports::{PortError, PortResult},
    spec::{DnsInstance, NodeSettings, NodeSpec, TenantSpec},
};
use domain::{ErrorCode, Problem, Slot, TenantName, TenantStatus, view::QueryCounts};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, broadcast, watch};

/// Findings kept for a slow reader. At 1,000 tenants one that sleeps through
/// two of somebody's meddling with every container loses the oldest, and is
/// told how many.
const DRIFTS: usize = 2048;

/// A tenant as its node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantState {
    /// Whose slot it was when this was seen.
    pub name: TenantName,
    /// The newest generation whose tunnel and elements are in force.
    pub applied: u64,
    /// How the parts are.
    pub status: TenantStatus,
}

/// The node as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState {
    /// The spec's generation that the rest was seen with.
    pub generation: u64,
    /// What is wrong with the machine itself.
    pub problems: Vec<Problem>,
    /// Slots whose interface's name somebody else has taken.
    pub foreign_slots: BTreeSet<Slot>,
    /// Slots whose interface is still that of a tenant who left, or may be;
    /// `None` while that cannot be read.
    pub leaving: Option<BTreeSet<Slot>>,
}

type Tenants = BTreeMap<Slot, watch::Sender<Option<TenantState>>>;

pub(crate) struct Shared {
    pub(crate) nudge: Notify,
    ports: NodePorts,
    settings: Arc<NodeSettings>,
    tenants: Mutex<Tenants>,
    node: watch::Sender<NodeState>,
    spec: watch::Sender<Option<Arc<NodeSpec>>>,
    drifts: broadcast::Sender<Drift>,
}

impl Shared {
    pub(crate) fn new(ports: NodePorts, settings: Arc<NodeSettings>) -> Self {
        Self {
            nudge: Notify::new(),
            ports,
            settings,
            tenants: Mutex::default(),
            node: watch::Sender::new(NodeState::default()),
            spec: watch::Sender::new(None),
            drifts: broadcast::Sender::new(DRIFTS),
        }
    }

    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        // The map is whole after any panic: every change to it is one call.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn newest_spec(&self) -> watch::Receiver<Option<Arc<NodeSpec>>> {
        self.spec.subscribe()
    }

    pub(crate) fn set_spec(&self, spec: Option<Arc<NodeSpec>>) {
        self.spec.send_replace(spec);
    }

    pub(crate) fn set_tenant(
        &self,
        t: &TenantSpec,
        generation: u64,
        applied: bool,
        status: TenantStatus,
    ) {
        let mut tenants = self.tenants();
        let sender = tenants
            .entry(t.slot)
            .or_insert_with(|| watch::Sender::new(None));
        sender.send_if_modified(|old| {
            let before = old
                .as_ref()
                .filter(|o| o.name == t.name)
                .map_or(0, |o| o.applied);
            let applied = if applied { generation } else { before };
            let new = Some(TenantState {
                name: t.name.clone(),
                applied,
                status,
            });
            let changed = *old != new;
            *old = new;
            changed
        });
    }

    /// The tenants of these slots are in force at another generation too:
    /// nothing of theirs has changed with it.
    pub(crate) fn set_applied(&self, slots: impl Iterator<Item = Slot>, generation: u64) {
        let tenants = self.tenants();
        for sender in slots.filter_map(|slot| tenants.get(&slot)) {
            sender.send_if_modified(|state| {
                let state = state.as_mut().filter(|s| s.applied != generation);
                state.map(|s| s.applied = generation).is_some()
            });
        }
    }

    /// Forgets tenants that left; who still watches sees `None`.
    pub(crate) fn retain(&self, spec: &NodeSpec) {
        self.tenants().retain(|slot, sender| {
            let stays = spec.tenants.contains_key(slot);
            if !stays {
                sender.send_if_modified(|s| s.take().is_some());
            }
            stays || sender.receiver_count() > 0
        });
    }

    pub(crate) fn tell_of_drift(&self, found: Drift) {
        // Nobody listening is no error: the log has it.
        let _ = self.drifts.send(found);
    }

    pub(crate) fn set_node(&self, state: NodeState) {
        self.node.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }
}

/// A node, from outside. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

impl NodeHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Says that the spec may have changed. Carries nothing; may be lost.
    pub fn nudge(&self) {
        self.shared.nudge.notify_one();
    }

    /// A slot's state as it changes; `None` while the node has not seen a
    /// tenant there.
    pub fn watch(&self, slot: Slot) -> watch::Receiver<Option<TenantState>> {
        self.shared
            .tenants()
            .entry(slot)
            .or_insert_with(|| watch::Sender::new(None))
            .subscribe()
    }

    /// A slot's state now.
    pub fn tenant(&self, slot: Slot) -> Option<TenantState> {
        self.shared
            .tenants()
            .get(&slot)
            .and_then(|s| s.borrow().clone())
    }

    /// The node's own state as it changes.
    pub fn node(&self) -> watch::Receiver<NodeState> {
        self.shared.node.subscribe()
    }

    /// Nudges, then waits until a slot's tunnel and elements are at
    /// `generation` or later, `patience` at most. Whether they are.
    pub async fn applied(&self, slot: Slot, generation: u64, patience: Duration) -> bool {
        let mut watch = self.watch(slot);
        self.nudge();
        let there = watch.wait_for(|s| s.as_ref().is_some_and(|s| s.applied >= generation));
        matches!(tokio::time::timeout(patience, there).await, Ok(Ok(_)))
    }

    /// Nudges, then waits until nothing carries packets any more for a tenant
    /// who left the slot with `generation`, `patience` at most. Whether so.
    pub async fn gone(&self, slot: Slot, generation: u64, patience: Duration) -> bool {
        let mut node = self.node();
        self.nudge();
        let gone = node.wait_for(|n| {
            n.generation >= generation && n.leaving.as_ref().is_some_and(|l| !l.contains(&slot))
        });
        matches!(tokio::time::timeout(patience, gone).await, Ok(Ok(_)))
    }

    /// What other hands do to the machine from now on, as it is found.
    pub fn drifts(&self) -> broadcast::Receiver<Drift> {
        self.shared.drifts.subscribe()
    }

    /// Which WireGuard serves, in words.
    pub fn wireguard(&self) -> String {
        self.shared.ports.wireguard.describe()
    }

    /// Counters of all peers of all our interfaces.
    ///
    /// # Errors
    /// As the port's.
    pub async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        self.shared.ports.wireguard.statistics().await
    }

    /// Who holds which slot by the node's last spec, the suspended included;
    /// `None` before there is one.
    pub fn holders(&self) -> Option<BTreeMap<Slot, TenantName>> {
        let spec = self.shared.spec.borrow().clone()?;
        let holders = spec.tenants.values().map(|t| (t.slot, t.name.clone()));
        Some(holders.collect())
    }

    /// Slots somebody holds by the node's last spec; none before there is one.
    pub fn held_slots(&self) -> BTreeSet<Slot> {
        let spec = self.shared.spec.borrow();
        let held = spec.iter().flat_map(|s| s.tenants.keys());
        held.copied().collect()
    }

    /// A tenant's AdGuard Home, where the node's last spec has the tenant.
    pub fn dns(&self, slot: Slot, name: &TenantName) -> Option<DnsInstance> {
        let spec = self.shared.spec.borrow().clone()?;
        let t = spec
            .tenants
            .get(&slot)
            .filter(|t| t.name == *name && !t.suspended)?;
        Some(t.dns(&self.shared.settings))
    }

    /// What a tenant's AdGuard Home counted over the last 24 hours.
    ///
    /// # Errors
    /// As the port's; `DnsUnavailable` where the node does not know the tenant.
    pub async fn dns_counts(&self, slot: Slot, name: &TenantName) -> PortResult<QueryCounts> {
        let dns = self.dns(slot, name).ok_or_else(|| {
            PortError::new(
                ErrorCode::DnsUnavailable,
                "Your DNS filter is not there yet.",
            )
        })?;
        self.shared.ports.dns.counts(&dns).await
    }

    /// What does not change while the node runs.
    pub fn settings(&self) -> &NodeSettings {
        &self.shared.settings
    }
}
