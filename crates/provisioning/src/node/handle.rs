//! The handle with which the rest of the process nudges a node and watches it,
//! without access to the machine itself.

use super::{
    lane_meter::{LaneFigures, LaneMeter},
    node_ports::NodePorts,
};
use crate::{
    derive::TenantSpecExt,
    drift::Drift,
    pending::DiskHold,
    ports::{PortError, PortResult},
    spec::{DnsInstance, NodeSettings},
};
use domain::{ErrorCode, Slot, TenantName, TenantStatus, view::QueryCounts};
use protocol::{NodeSpec, NodeState, PeerStatistics, TenantSpec, TenantState};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, broadcast, watch};

/// How many drifts are buffered for a slow receiver. With 1,000 tenants, a receiver
/// that misses two external changes of every container loses the oldest drifts, and
/// learns how many.
const BUFFERED_DRIFTS: usize = 2048;

type Tenants = BTreeMap<Slot, watch::Sender<Option<TenantState>>>;

pub(crate) struct Shared {
    pub(crate) nudge: Notify,
    ports: NodePorts,
    settings: Arc<NodeSettings>,
    tenants: Mutex<Tenants>,
    node: watch::Sender<NodeState>,
    spec: watch::Sender<Option<Arc<NodeSpec>>>,
    drifts: broadcast::Sender<Drift>,
    disk_holds: watch::Sender<BTreeMap<Slot, DiskHold>>,
    /// The instances that are to be stopped while their files are copied.
    copied: watch::Sender<BTreeSet<Slot>>,
    /// Those of them that are.
    stopped: watch::Sender<BTreeSet<Slot>>,
    meter: Arc<LaneMeter>,
}

impl Shared {
    pub(crate) fn new(
        ports: NodePorts,
        settings: Arc<NodeSettings>,
        meter: Arc<LaneMeter>,
    ) -> Self {
        Self {
            nudge: Notify::new(),
            ports,
            settings,
            tenants: Mutex::default(),
            node: watch::Sender::new(NodeState::default()),
            spec: watch::Sender::new(None),
            drifts: broadcast::Sender::new(BUFFERED_DRIFTS),
            disk_holds: watch::Sender::new(BTreeMap::new()),
            copied: watch::Sender::default(),
            stopped: watch::Sender::default(),
            meter,
        }
    }

    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        // The map is consistent after any panic: every change to it is one call.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn newest_spec(&self) -> watch::Receiver<Option<Arc<NodeSpec>>> {
        self.spec.subscribe()
    }

    pub(crate) fn disk_holds(&self) -> BTreeMap<Slot, DiskHold> {
        self.disk_holds.borrow().clone()
    }

    pub(crate) fn copied(&self) -> BTreeSet<Slot> {
        self.copied.borrow().clone()
    }

    pub(crate) fn set_stopped(&self, slots: BTreeSet<Slot>) {
        self.stopped.send_if_modified(|old| {
            let changed = *old != slots;
            *old = slots;
            changed
        });
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

    /// Records that the tenants of these slots are in force at another generation
    /// too: it changed nothing of theirs.
    pub(crate) fn set_applied(&self, slots: impl Iterator<Item = Slot>, generation: u64) {
        let tenants = self.tenants();
        for sender in slots.filter_map(|slot| tenants.get(&slot)) {
            sender.send_if_modified(|state| {
                let state = state.as_mut().filter(|s| s.applied != generation);
                state.map(|s| s.applied = generation).is_some()
            });
        }
    }

    /// Removes tenants that left. Those who still watch one see `None`.
    pub(crate) fn retain(&self, spec: &NodeSpec) {
        self.tenants().retain(|slot, sender| {
            let stays = spec.tenants.contains_key(slot);
            if !stays {
                sender.send_if_modified(|s| s.take().is_some());
            }
            stays || sender.receiver_count() > 0
        });
    }

    pub(crate) fn publish_drift(&self, drift: Drift) {
        // Having no receiver is not an error: the drift is logged.
        let _ = self.drifts.send(drift);
    }

    pub(crate) fn set_node(&self, state: NodeState) {
        self.node.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }
}

/// A node's handle. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

impl NodeHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Tells the node that the spec may have changed. Carries no data; may be lost.
    pub fn nudge(&self) {
        self.shared.nudge.notify_one();
    }

    /// Sets the tenants whose AdGuard Home must not run because of the disk.
    pub fn set_disk_holds(&self, holds: BTreeMap<Slot, DiskHold>) {
        let changed = |old: &mut BTreeMap<Slot, DiskHold>| {
            let changed = *old != holds;
            *old = holds;
            changed
        };
        if self.shared.disk_holds.send_if_modified(changed) {
            self.nudge();
        }
    }

    /// Stops a slot's AdGuard Home while its files are copied, or lets it run again.
    /// [`stopped`](Self::stopped) says when it is stopped.
    pub fn set_copied(&self, slot: Slot, copied: bool) {
        let change = |slots: &mut BTreeSet<Slot>| match copied {
            true => slots.insert(slot),
            false => slots.remove(&slot),
        };
        if self.shared.copied.send_if_modified(change) {
            self.nudge();
        }
    }

    /// Returns a receiver of the slots whose AdGuard Home is stopped while its files are
    /// copied.
    pub fn stopped(&self) -> watch::Receiver<BTreeSet<Slot>> {
        self.shared.stopped.subscribe()
    }

    /// Returns a tenant of the node's last spec, also a suspended one.
    pub fn tenant_spec(&self, slot: Slot, name: &TenantName) -> Option<Arc<TenantSpec>> {
        let spec = self.shared.spec.borrow().clone()?;
        let t = spec.tenants.get(&slot).filter(|t| t.name == *name)?;
        Some(t.clone())
    }

    /// Returns the IPv4 address of the device with this address of IPv6; `None` where the
    /// node's last spec has no such device, or its tenant is suspended.
    pub fn device_of_ipv6(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let slot = Slot::new(address.segments()[3])?;
        let spec = self.shared.spec.borrow().clone()?;
        let t = spec.tenants.get(&slot).filter(|t| !t.suspended)?;
        let net = t.subnet6(&self.shared.settings)?;
        let mut devices = t.devices.values().map(|d| d.address);
        devices.find(|of| net.device(*of) == address)
    }

    /// Returns whether the node's last spec has a tenant in the slot or of the name; `true`
    /// before there is a spec, and while it is an earlier process's.
    pub fn has_slot_or_name(&self, slot: Slot, name: &TenantName) -> bool {
        let spec = self.shared.spec.borrow().clone();
        spec.is_none_or(|spec| {
            let mut tenants = spec.tenants.values();
            spec.is_earlier
                || spec.unreadable.contains_key(&slot)
                || tenants.any(|t| t.slot == slot || t.name == *name)
        })
    }

    /// Returns a receiver of a slot's state; `None` while the node has not seen a
    /// tenant there.
    pub fn watch(&self, slot: Slot) -> watch::Receiver<Option<TenantState>> {
        self.shared
            .tenants()
            .entry(slot)
            .or_insert_with(|| watch::Sender::new(None))
            .subscribe()
    }

    /// Returns a slot's present state.
    pub fn tenant(&self, slot: Slot) -> Option<TenantState> {
        self.shared
            .tenants()
            .get(&slot)
            .and_then(|s| s.borrow().clone())
    }

    /// Returns a receiver of the node's own state.
    pub fn node(&self) -> watch::Receiver<NodeState> {
        self.shared.node.subscribe()
    }

    /// Returns a receiver of the external changes that are detected from now on.
    pub fn drifts(&self) -> broadcast::Receiver<Drift> {
        self.shared.drifts.subscribe()
    }

    /// Returns the name of the WireGuard implementation.
    pub fn wireguard(&self) -> String {
        self.shared.ports.wireguard.describe()
    }

    /// Returns the counters of all peers of all our interfaces.
    ///
    /// # Errors
    /// The port's errors.
    pub async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        self.shared.ports.wireguard.statistics().await
    }

    /// Returns the tenant in each slot by the node's last spec, including suspended
    /// ones; `None` before there is a spec.
    pub fn holders(&self) -> Option<BTreeMap<Slot, TenantName>> {
        let spec = self.shared.spec.borrow().clone()?;
        let holders = spec.tenants.values().map(|t| (t.slot, t.name.clone()));
        Some(holders.collect())
    }

    /// Returns the slots with a tenant by the node's last spec, one that cannot be read
    /// included; none before there is a spec.
    pub fn used_slots(&self) -> BTreeSet<Slot> {
        let spec = self.shared.spec.borrow();
        let used = spec.iter();
        let used = used.flat_map(|s| s.tenants.keys().chain(s.unreadable.keys()));
        used.copied().collect()
    }

    /// Returns a tenant's AdGuard Home; `None` where the node's last spec does not
    /// have the tenant.
    pub fn dns(&self, slot: Slot, name: &TenantName) -> Option<DnsInstance> {
        let spec = self.shared.spec.borrow().clone()?;
        let t = spec
            .tenants
            .get(&slot)
            .filter(|t| t.name == *name && !t.suspended)?;
        Some(t.dns(&self.shared.settings))
    }

    /// Returns the counters of a tenant's AdGuard Home for the last 24 hours.
    ///
    /// # Errors
    /// The port's errors; `DnsUnavailable` where the node does not know the tenant.
    pub async fn dns_counts(&self, slot: Slot, name: &TenantName) -> PortResult<QueryCounts> {
        let dns = self
            .dns(slot, name)
            .ok_or_else(|| PortError::new(ErrorCode::DnsUnavailable, domain::Message::DnsAbsent))?;
        self.shared.ports.dns.counts(&dns).await
    }

    /// Returns how long the changes of the machine have taken, by kind.
    pub fn lane_figures(&self) -> Vec<LaneFigures> {
        self.shared.meter.figures()
    }

    /// Returns the settings, which do not change while the node runs.
    pub fn settings(&self) -> &NodeSettings {
        &self.shared.settings
    }
}
