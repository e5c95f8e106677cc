//! What the node has read, and what it must read again.
//!
//! Each port is read by a task of its own. What a step of ours changed while a
//! reading was under way is newer than its answer:
//! * WireGuard and the firewall are kept by slot. An answer is believed for
//!   every slot but those, whose picture stays as the step left it.
//! * Other answers that were overtaken (their epoch is old) are read again
//!   rather than believed; after a few they are believed after all, so that a
//!   busy node cannot starve its own eyes, and read again all the same.
//!
//! A step that failed may have taken effect: its slot is in *doubt* until a
//! reading that began later was believed. Nothing is called applied before.

use super::{
    Message, NodePorts, Port, answer,
    asking::Asking,
    guard::{OBSERVE, guarded},
    source::Source,
    unread,
};
use crate::{
    observed::{
        ContainerState, Known, Observed, ObservedContainers, ObservedDns, ObservedFirewall,
        ObservedFolder, ObservedInterface,
    },
    pending::Pending,
    plan::{Lane, Step},
    spec::{NodeSettings, NodeSpec},
    touched::Touched,
};
use domain::{Slot, TenantName};
use futures_util::{StreamExt, stream::BoxStream};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet, time::Instant};

/// What was known of a port before it could not be read: what it is compared
/// with once it can be again.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) wireguard: Option<BTreeMap<Slot, ObservedInterface>>,
    pub(super) firewall: Option<ObservedFirewall>,
    pub(super) containers: Option<ObservedContainers>,
    pub(super) folders: Option<BTreeMap<String, ObservedFolder>>,
}

/// See the module.
pub(crate) struct Sources {
    pub(super) observed: Observed,
    pub(super) lost: Lost,
    pub(super) wireguard: Source,
    pub(super) firewall: Source,
    pub(super) containers: Source,
    pub(super) folders: Source,
    pub(super) asking: Asking,
    /// Who has a running container may have changed.
    pub(super) crew_changed: bool,
    /// What of the observation has changed since somebody asked.
    pub(super) touched: Touched,
    /// Slots with an interface of ours when that could be read last.
    pub(super) stood: BTreeSet<Slot>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            observed: Observed {
                wireguard: unread(),
                firewall: unread(),
                containers: unread(),
                dns: BTreeMap::new(),
                folders: unread(),
            },
            lost: Lost::default(),
            wireguard: Source::dirty(),
            firewall: Source::dirty(),
            containers: Source::dirty(),
            folders: Source::dirty(),
            asking: Asking::default(),
            crew_changed: true,
            touched: Touched::default(),
            stood: BTreeSet::new(),
        }
    }
}

impl Sources {
    pub(crate) fn observed(&self) -> &Observed {
        &self.observed
    }

    /// What of the observation has changed since this was asked last.
    pub(crate) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// The spec has changed, and with it who is there.
    pub(crate) fn spec_changed(&mut self) {
        self.crew_changed = true;
    }

    /// The observation, for writing into it what a step made of some slots of a
    /// port that is kept by slot.
    pub(crate) fn changed_slots(
        &mut self,
        port: Port,
        slots: impl IntoIterator<Item = Slot>,
    ) -> &mut Observed {
        let slots: BTreeSet<Slot> = slots.into_iter().collect();
        self.touched.slots.extend(&slots);
        self.source(port).touched.extend(slots);
        &mut self.observed
    }

    /// The same for the whole table.
    pub(crate) fn firewall_changed(&mut self) -> &mut Observed {
        self.touched.everything = true;
        self.firewall.epoch += 1;
        &mut self.observed
    }

    /// The containers, for writing a step's outcome into them and telling which
    /// it was about; readings that are under way become old.
    pub(crate) fn containers_changed(&mut self) -> Option<(&mut ObservedContainers, &mut Touched)> {
        self.containers.epoch += 1;
        self.crew_changed = true;
        match &mut self.observed.containers {
            Known::Known(c) => Some((c, &mut self.touched)),
            Known::Unknown(_) => None,
        }
    }

    /// The same for a tenant's folder.
    pub(crate) fn folder_changed(
        &mut self,
        folder: &str,
    ) -> Option<&mut BTreeMap<String, ObservedFolder>> {
        self.folders.epoch += 1;
        self.touched.folder(folder);
        match &mut self.observed.folders {
            Known::Known(f) => Some(f),
            Known::Unknown(_) => None,
        }
    }

    /// The same for one AdGuard Home.
    pub(crate) fn dns_changed(&mut self, slot: Slot) -> Option<&mut ObservedDns> {
        self.asking.changed(slot);
        self.touched.slots.insert(slot);
        match self.observed.dns.get_mut(&slot) {
            Some(Known::Known(d)) => Some(d),
            _ => None,
        }
    }

    /// Whether it is not known what a failed step made of a slot's tunnel or
    /// its elements.
    pub(crate) fn in_doubt(&self, slot: Slot) -> bool {
        self.wireguard.doubt.is_about(slot) || self.firewall.doubt.is_about(slot)
    }

    /// What a step made of some slots' elements is not known before it is read.
    pub(crate) fn doubt_elements(&mut self, slots: Vec<Slot>) {
        self.firewall.dirty |= !slots.is_empty();
        slots.into_iter().for_each(|s| self.firewall.doubt.about(s));
    }

    /// Adds what failed steps left unknown: it may still take effect.
    pub(crate) fn add_doubts(&self, pending: &mut Pending) {
        pending.tunnels.extend(self.wireguard.doubt.slots());
        pending.elements.extend(self.firewall.doubt.slots());
        pending.all_elements |= self.firewall.doubt.is_about_everything();
        if self.observed.wireguard.known().is_none() {
            pending.tunnels.extend(&self.stood);
        }
    }

    fn source(&mut self, port: Port) -> &mut Source {
        match port {
            Port::Wireguard => &mut self.wireguard,
            Port::Firewall => &mut self.firewall,
            Port::Containers => &mut self.containers,
            Port::Folders => &mut self.folders,
        }
    }

    /// Something may have changed by another hand.
    pub(crate) fn mark(&mut self, port: Port) {
        self.source(port).dirty = true;
        if port == Port::Containers {
            // A container that came back asks for its AdGuard Home to be seen again.
            let quiet: Vec<Slot> = self
                .observed
                .dns
                .iter()
                .filter(|(_, d)| !d.known().is_some_and(|d| d.running))
                .map(|(s, _)| *s)
                .collect();
            for slot in quiet {
                self.mark_dns(slot);
            }
        }
    }

    pub(crate) fn mark_dns(&mut self, slot: Slot) {
        self.asking.mark(slot);
    }

    /// A container's start makes its tenant's folder, who may have left
    /// meanwhile: nothing else would have it looked at.
    pub(crate) fn mark_unseen_folder(&mut self, tenant: &TenantName) {
        let folders = self.observed.folders.known();
        if folders.is_none_or(|f| !f.contains_key(&tenant.folder())) {
            self.mark(Port::Folders);
        }
    }

    pub(crate) fn mark_all(&mut self, dns: bool) {
        for port in [
            Port::Wireguard,
            Port::Firewall,
            Port::Containers,
            Port::Folders,
        ] {
            self.mark(port);
        }
        if dns {
            self.asking.mark_all();
        }
    }

    /// A lane failed: what it works on is read again.
    pub(crate) fn mark_lane(&mut self, lane: &Lane, steps: &[Step]) {
        match lane {
            Lane::Firewall => {
                let mut asked = Pending::default();
                asked.running(lane, steps);
                let asked = asked.elements.into_iter();
                asked.for_each(|slot| self.firewall.doubt.about(slot));
                self.firewall.doubt.everything();
                self.mark(Port::Firewall);
            }
            Lane::Tunnel(slot) => {
                self.wireguard.doubt.about(*slot);
                self.mark(Port::Wireguard);
            }
            Lane::Container(_) => {
                self.mark(Port::Containers);
                self.mark(Port::Folders);
            }
            Lane::Stray(_) | Lane::Image => self.mark(Port::Containers),
            Lane::Dns(slot) => self.mark_dns(*slot),
            Lane::Folder(_) => self.mark(Port::Folders),
        }
    }

    /// When a reading that was put off is due.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        // Nobody is asked while it is not known who is there.
        self.observed.containers.known()?;
        self.asking.next_retry()
    }

    /// Starts every reading that is due.
    pub(crate) fn read(
        &mut self,
        ports: &NodePorts,
        settings: &Arc<NodeSettings>,
        spec: &NodeSpec,
        out: &UnboundedSender<Message>,
    ) {
        let now = Instant::now();
        if let Some(e) = self.wireguard.begin(now) {
            let port = ports.wireguard.clone();
            answer(out, async move {
                Message::Wireguard(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.firewall.begin(now) {
            let port = ports.firewall.clone();
            answer(out, async move {
                Message::Firewall(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.containers.begin(now) {
            let port = ports.containers.clone();
            answer(out, async move {
                Message::Containers(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.folders.begin(now) {
            let port = ports.folders.clone();
            answer(out, async move {
                Message::Folders(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        let Known::Known(containers) = &self.observed.containers else {
            return;
        };
        if std::mem::take(&mut self.crew_changed) {
            let running = containers.ours.iter();
            let running = running.filter(|c| c.state == ContainerState::Running);
            let active = |slot: &Slot| spec.tenants.get(slot).is_some_and(|t| !t.suspended);
            let running: BTreeSet<Slot> = running.filter_map(|c| c.slot).filter(active).collect();
            self.observed.dns.retain(|slot, _| {
                let stays = running.contains(slot);
                if !stays {
                    self.touched.slots.insert(*slot);
                }
                stays
            });
            self.asking.only(running);
        }
        self.asking.ask(&ports.dns, settings, spec, out);
    }
}

/// Forwards the ports' events as marks.
pub(crate) fn listen(ports: &NodePorts, out: &UnboundedSender<Message>) -> JoinSet<()> {
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
    forward(ports.containers.events(), Port::Containers);
    tasks
}
