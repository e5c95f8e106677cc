//! What the node has read of the machine, and what it must read again.
//!
//! Each port is read by a task of its own. What our steps changed while a reading was
//! under way is newer than that reading:
//! * WireGuard, the firewall and the speed limits are tracked by slot. A reading is accepted for every
//!   slot except the changed ones, which stay as the step left them.
//! * Other readings that were overtaken (their epoch is old) are discarded and
//!   repeated. After several in a row one is accepted nevertheless, so that a busy
//!   node does not work from an ever older observation, and is repeated all the same.
//!
//! A step that failed may have taken effect: its slot is *in doubt* until a reading
//! that began later is accepted. Nothing counts as applied before that.

use super::{
    deadline::{OBSERVE, with_deadline},
    dns_poller::DnsPoller,
    message::{Message, Port, spawn_and_send},
    node_ports::NodePorts,
    port_poll::PortPoll,
};
use crate::{
    derive::TenantSpecExt,
    dirty_set::DirtySet,
    observed::{
        ContainerState, Observation, Observed, ObservedContainers, ObservedDns, ObservedFirewall,
        ObservedFolder, ObservedInterface,
    },
    pending::Pending,
    plan::{Lane, Step},
    ports::PortError,
    spec::{NodeSettings, is_same_tenants_revision},
};
use domain::{ErrorCode, Slot, TenantName};
use futures_util::{StreamExt, stream::BoxStream};
use protocol::NodeSpec;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet, time::Instant};

/// What was read of each port before it became unreadable. The next successful
/// reading is compared with it.
#[derive(Debug, Default)]
pub(super) struct LastKnown {
    pub(super) wireguard: Option<BTreeMap<Slot, ObservedInterface>>,
    pub(super) firewall: Option<ObservedFirewall>,
    pub(super) containers: Option<ObservedContainers>,
    pub(super) folders: Option<BTreeMap<String, ObservedFolder>>,
}

/// The observation of the machine, and the polling state of each port.
pub(super) struct Observer {
    pub(super) observed: Observed,
    pub(super) last_known: LastKnown,
    pub(super) wireguard: PortPoll,
    pub(super) firewall: PortPoll,
    pub(super) shaping: PortPoll,
    pub(super) containers: PortPoll,
    pub(super) folders: PortPoll,
    pub(super) dns_poller: DnsPoller,
    /// Whether the set of tenants with a running container may have changed.
    pub(super) running_changed: bool,
    /// Slots that another tenant had, while no container of the next one was seen.
    former_dns: BTreeSet<Slot>,
    /// What has changed in the observation since the planner last took it.
    pub(super) dirty: DirtySet,
    /// Slots that had an interface of ours when that was last readable.
    pub(super) last_interfaces: BTreeSet<Slot>,
}

impl Default for Observer {
    fn default() -> Self {
        Self {
            observed: Observed {
                wireguard: not_read_yet(),
                firewall: not_read_yet(),
                shaping: not_read_yet(),
                containers: not_read_yet(),
                dns: BTreeMap::new(),
                folders: not_read_yet(),
            },
            last_known: LastKnown::default(),
            wireguard: PortPoll::new(),
            firewall: PortPoll::new(),
            shaping: PortPoll::new(),
            containers: PortPoll::new(),
            folders: PortPoll::new(),
            dns_poller: DnsPoller::default(),
            running_changed: true,
            former_dns: BTreeSet::new(),
            dirty: DirtySet::default(),
            last_interfaces: BTreeSet::new(),
        }
    }
}

impl Observer {
    pub(super) fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Returns what has changed in the observation since the last call.
    pub(super) fn take_dirty(&mut self) -> DirtySet {
        std::mem::take(&mut self.dirty)
    }

    /// Records that the spec has changed, and with it the active tenants. What was read
    /// of a former tenant's AdGuard Home is not the next one's, and the next one's
    /// password is not for it.
    pub(super) fn spec_changed(&mut self, old: Option<&NodeSpec>, new: &NodeSpec) {
        self.running_changed = true;
        for (slot, before) in old.iter().flat_map(|old| &old.tenants) {
            let has_same = new.tenants.get(slot).is_some_and(|now| {
                Arc::ptr_eq(before, now) || before.private_key.public() == now.private_key.public()
            });
            if !has_same {
                self.former_dns.insert(*slot);
                self.observed.dns.remove(slot);
                self.dns_poller.invalidate(*slot);
                self.dirty.slots.insert(*slot);
            }
        }
    }

    /// Returns the observation, for writing the effect of a step on some slots of a
    /// port that is tracked by slot.
    pub(super) fn change_slots(
        &mut self,
        port: Port,
        slots: impl IntoIterator<Item = Slot>,
    ) -> &mut Observed {
        let slots: BTreeSet<Slot> = slots.into_iter().collect();
        self.dirty.slots.extend(&slots);
        self.poll(port).changed_slots.extend(slots);
        &mut self.observed
    }

    /// Returns the observation, for writing the effect of a step on the whole table.
    pub(super) fn change_firewall(&mut self) -> &mut Observed {
        self.dirty.everything = true;
        self.firewall.epoch += 1;
        &mut self.observed
    }

    /// Returns the containers, for writing the effect of a step, and the dirty set
    /// that the step's containers are to be added to. Readings that are under way
    /// become outdated.
    pub(super) fn change_containers(&mut self) -> Option<(&mut ObservedContainers, &mut DirtySet)> {
        self.containers.epoch += 1;
        self.running_changed = true;
        match &mut self.observed.containers {
            Observation::Read(c) => Some((c, &mut self.dirty)),
            Observation::Unreadable(_) => None,
        }
    }

    /// Returns the folders, for writing the effect of a step on one of them.
    pub(super) fn change_folder(
        &mut self,
        folder: &str,
    ) -> Option<&mut BTreeMap<String, ObservedFolder>> {
        self.folders.epoch += 1;
        self.dirty.add_folder(folder);
        match &mut self.observed.folders {
            Observation::Read(f) => Some(f),
            Observation::Unreadable(_) => None,
        }
    }

    /// Returns one AdGuard Home, for writing the effect of a step on it.
    pub(super) fn change_dns(&mut self, slot: Slot) -> Option<&mut ObservedDns> {
        self.dns_poller.invalidate(slot);
        self.dirty.slots.insert(slot);
        match self.observed.dns.get_mut(&slot) {
            Some(Observation::Read(d)) => Some(d),
            _ => None,
        }
    }

    /// Returns whether the effect of a failed step on a slot's tunnel or its elements
    /// is unknown.
    pub(super) fn is_in_doubt(&self, slot: Slot) -> bool {
        self.wireguard.in_doubt.contains(slot) || self.firewall.in_doubt.contains(slot)
    }

    /// Puts some slots' elements in doubt, until they are read.
    pub(super) fn doubt_elements(&mut self, slots: Vec<Slot>) {
        self.firewall.stale |= !slots.is_empty();
        slots
            .into_iter()
            .for_each(|s| self.firewall.in_doubt.add(s));
    }

    /// Adds the slots in doubt: a failed step may still take effect.
    pub(super) fn add_in_doubt(&self, pending: &mut Pending) {
        pending.tunnels.extend(self.wireguard.in_doubt.slots());
        pending.elements.extend(self.firewall.in_doubt.slots());
        pending.all_elements |= self.firewall.in_doubt.contains_everything();
        if self.observed.wireguard.value().is_none() {
            pending.tunnels.extend(&self.last_interfaces);
        }
    }

    fn poll(&mut self, port: Port) -> &mut PortPoll {
        match port {
            Port::Wireguard => &mut self.wireguard,
            Port::Firewall => &mut self.firewall,
            Port::Shaping => &mut self.shaping,
            Port::Containers => &mut self.containers,
            Port::Folders => &mut self.folders,
        }
    }

    /// Marks a port to be read again: there may have been an external change.
    pub(super) fn mark(&mut self, port: Port) {
        self.poll(port).stale = true;
        if port == Port::Containers {
            // A container may run again, and with it its AdGuard Home.
            let silent: Vec<Slot> = self
                .observed
                .dns
                .iter()
                .filter(|(_, d)| !d.value().is_some_and(|d| d.running))
                .map(|(s, _)| *s)
                .collect();
            for slot in silent {
                self.mark_dns(slot);
            }
        }
    }

    pub(super) fn mark_dns(&mut self, slot: Slot) {
        self.dns_poller.mark(slot);
    }

    /// Marks the folders to be read again where a tenant's is not among them. The
    /// start of a container creates its tenant's folder, and the tenant may have left
    /// meanwhile: nothing else would make the node notice that folder.
    pub(super) fn mark_unknown_folder(&mut self, tenant: &TenantName) {
        let folders = self.observed.folders.value();
        if folders.is_none_or(|f| !f.contains_key(&tenant.folder())) {
            self.mark(Port::Folders);
        }
    }

    /// Marks every port to be read again, with or without all AdGuard Homes.
    pub(super) fn mark_all(&mut self, dns: bool) {
        for port in [
            Port::Wireguard,
            Port::Firewall,
            Port::Shaping,
            Port::Containers,
            Port::Folders,
        ] {
            self.mark(port);
        }
        if dns {
            self.dns_poller.mark_all();
        }
    }

    /// Records the failure of a lane: what it works on is in doubt and read again.
    pub(super) fn mark_lane(&mut self, lane: &Lane, steps: &[Step]) {
        match lane {
            Lane::Firewall => {
                let mut pending = Pending::default();
                pending.add_running(lane, steps);
                let elements = pending.elements.into_iter();
                elements.for_each(|slot| self.firewall.in_doubt.add(slot));
                self.firewall.in_doubt.add_everything();
                self.mark(Port::Firewall);
            }
            Lane::Tunnel(slot) => {
                self.wireguard.in_doubt.add(*slot);
                self.mark(Port::Wireguard);
            }
            Lane::Speed(_) => self.mark(Port::Shaping),
            // The connections are not read: the lane itself is tried again.
            Lane::Connections => {}
            Lane::Container(_) => {
                self.mark(Port::Containers);
                self.mark(Port::Folders);
            }
            Lane::Stray(_) | Lane::Image => self.mark(Port::Containers),
            Lane::Dns(slot) => self.mark_dns(*slot),
            Lane::Folder(_) => self.mark(Port::Folders),
        }
    }

    /// Returns when the next postponed reading is due.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        // No AdGuard Home is polled while the containers are unreadable.
        self.observed.containers.value()?;
        self.dns_poller.next_retry()
    }

    /// Starts every reading that is due.
    pub(super) fn read(
        &mut self,
        ports: &NodePorts,
        settings: &Arc<NodeSettings>,
        spec: &NodeSpec,
        out: &UnboundedSender<Message>,
    ) {
        let now = Instant::now();
        if let Some(e) = self.wireguard.begin(now) {
            let port = ports.wireguard.clone();
            spawn_and_send(out, async move {
                Message::Wireguard(e, with_deadline(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.firewall.begin(now) {
            let port = ports.firewall.clone();
            spawn_and_send(out, async move {
                Message::Firewall(e, with_deadline(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.shaping.begin(now) {
            let port = ports.shaping.clone();
            spawn_and_send(out, async move {
                Message::Shaping(e, with_deadline(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.containers.begin(now) {
            let port = ports.containers.clone();
            spawn_and_send(out, async move {
                Message::Containers(e, with_deadline(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.folders.begin(now) {
            let port = ports.folders.clone();
            spawn_and_send(out, async move {
                Message::Folders(e, with_deadline(OBSERVE, port.observe()).await)
            });
        }
        let Observation::Read(containers) = &self.observed.containers else {
            return;
        };
        if std::mem::take(&mut self.running_changed) {
            let running = containers.ours.iter();
            let running = running.filter(|c| c.state == ContainerState::Running);
            let former = &mut self.former_dns;
            let running = running.filter_map(|c| {
                let slot = c.slot?;
                let tenant = spec.tenants.get(&slot).filter(|t| !t.suspended)?;
                if former.contains(&slot) {
                    let revision = tenant.container(settings).revision();
                    if !is_same_tenants_revision(&c.revision, &revision) {
                        return None;
                    }
                    former.remove(&slot);
                }
                Some(slot)
            });
            let running: BTreeSet<Slot> = running.collect();
            self.observed.dns.retain(|slot, _| {
                let stays = running.contains(slot);
                if !stays {
                    self.dirty.slots.insert(*slot);
                }
                stays
            });
            self.dns_poller.set_running(running);
        }
        self.dns_poller.start_due(&ports.dns, settings, spec, out);
    }
}

/// Forwards the ports' events as messages.
pub(super) fn listen(ports: &NodePorts, out: &UnboundedSender<Message>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut forward = |mut events: BoxStream<'static, ()>, port: Port| {
        let out = out.clone();
        tasks.spawn(async move {
            while events.next().await.is_some() {
                if out.send(Message::Event(port)).is_err() {
                    break;
                }
            }
        });
    };
    forward(ports.wireguard.events(), Port::Wireguard);
    forward(ports.firewall.events(), Port::Firewall);
    forward(ports.shaping.events(), Port::Shaping);
    forward(ports.containers.events(), Port::Containers);
    tasks
}

/// Returns a placeholder for an observation that was not read yet.
fn not_read_yet<T>() -> Observation<T> {
    Observation::Unreadable(Arc::new(PortError::new(
        ErrorCode::Busy,
        domain::Message::NotReadYet,
    )))
}
