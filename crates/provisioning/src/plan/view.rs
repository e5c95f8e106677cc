//! What a plan is made from, and indexes that save look-ups from iterating over all
//! tenants or containers.

use super::unreadable::is_others_interface;
use crate::{
    derive::TenantSpecExt,
    hash::content_hash,
    observed::{Observation, Observed, ObservedContainer, ObservedContainers, ObservedInterface},
    pending::{DnsHold, Pending},
    spec::{FirewallTenant, NodeSettings, is_same_tenants_revision},
};
use domain::{Slot, TenantName, marks::INTERFACE_ALIAS_PREFIX};
use protocol::{NodeSpec, TenantSpec};
use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

/// The inputs of a plan.
pub(super) struct View<'a> {
    pub spec: &'a NodeSpec,
    pub observed: &'a Observed,
    pub pending: &'a Pending,
    pub settings: &'a NodeSettings,
    pub tenants: &'a TenantIndex,
    pub containers: &'a ContainerIndex,
}

impl View<'_> {
    /// Returns the slot's tenant, unless it is suspended.
    pub fn active(&self, slot: Slot) -> Option<&TenantSpec> {
        let tenant = self.spec.tenants.get(&slot).map(AsRef::as_ref);
        tenant.filter(|t| !t.suspended)
    }

    /// Returns whether the slot's AdGuard Home cannot run, or must not.
    pub fn is_held(&self, slot: Slot) -> bool {
        self.dns_hold(slot).is_some()
    }

    /// Returns why the slot's AdGuard Home cannot run, or must not.
    pub fn dns_hold(&self, slot: Slot) -> Option<DnsHold> {
        dns_hold(self.spec, self.pending, slot)
    }

    /// Returns whether the slot's interface is ours and still an earlier tenant's.
    pub fn has_earlier_tenants_interface(&self, slot: Slot) -> bool {
        let interfaces = self.observed.wireguard.value();
        let present = interfaces.and_then(|w| w.get(&slot));
        let is_earlier = |i: &ObservedInterface| match self.spec.unknown(slot) {
            Some(unreadable) => is_others_interface(unreadable, i),
            None => {
                let tenant = self.active(slot);
                tenant.is_some_and(|t| i.owner.as_deref() != Some(t.owner().as_str()))
            }
        };
        present.filter(|i| is_ours(i)).is_some_and(is_earlier)
    }

    /// Returns the elements that stay of a tenant of which nothing is known: those that
    /// the slot has, completed so that its interface is filtered. Without elements and
    /// without an interface there are none.
    pub fn unknown_elements(&self, slot: Slot, has_interface: bool) -> Option<FirewallTenant> {
        let firewall = self.observed.firewall.value();
        let present = firewall.and_then(|f| f.tenants.get(&slot));
        if present.is_none() && !has_interface {
            return None;
        }
        let packets = present.and_then(|t| t.tunnel_packets);
        Some(FirewallTenant {
            slot,
            subnet: self.settings.addresses.subnet(slot),
            gateway: self.settings.addresses.gateway(slot),
            dns: present.and_then(|t| t.dns),
            mesh: present.map(|t| t.mesh.clone()).unwrap_or_default(),
            subnet6: present.and_then(|t| t.subnets6.first().copied()),
            mesh6: present.map(|t| t.mesh6.clone()).unwrap_or_default(),
            locked6: present.map(|t| t.locked6.clone()).unwrap_or_default(),
            locked: present.map(|t| t.locked.clone()).unwrap_or_default(),
            stopped: present.is_some_and(|t| t.stopped),
            tunnel_packets: packets.unwrap_or(self.settings.tunnel_packets),
        })
    }

    /// Returns whether a folder that belongs to no tenant of the spec may be that of a
    /// tenant of which nothing is known.
    pub fn is_unknown_tenants_folder(&self, name: &TenantName) -> bool {
        let mut unknown = self.spec.unknown_tenants();
        self.spec.has_nameless() || unknown.any(|(_, t)| t.name.as_ref() == Some(name))
    }

    /// Returns the owner of the folder with the tenant's name, by the tunnel's key in it.
    fn folder_owner(&self, t: &TenantSpec) -> Option<&str> {
        let folders = self.observed.folders.value();
        let folder = folders.and_then(|f| f.get(&t.name.folder()));
        folder.and_then(|f| f.owner.as_deref())
    }

    /// Returns whether the tenant's folder exists and is the tenant's. Its contents are
    /// then never removed while the tenant exists.
    pub fn is_own_folder(&self, t: &TenantSpec) -> bool {
        let derived = self.tenants.derived.get(&t.slot);
        derived.is_some_and(|d| self.folder_owner(t) == Some(d.public_key.as_str()))
    }

    /// Returns whether the folder with the tenant's name was left by an earlier tenant.
    pub fn is_earlier_tenants_folder(&self, t: &TenantSpec) -> bool {
        self.folder_owner(t).is_some() && !self.is_own_folder(t)
    }

    /// Returns whether a container that is not ours has the engine's name of the
    /// tenant's.
    pub fn is_name_foreign(&self, c: &ObservedContainers, slot: Slot) -> bool {
        let derived = self.tenants.derived.get(&slot);
        derived.is_some_and(|d| c.foreign.contains(&d.docker_name))
    }

    /// Returns whether a container uses the folder of that name, or is about to.
    pub fn uses_folder(&self, c: &ObservedContainers, tenant: &TenantName) -> bool {
        let slot = self.tenants.by_name.get(tenant.as_str());
        self.containers.of_name(tenant).next().is_some()
            || c.foreign.contains(&tenant.container())
            || slot.is_some_and(|slot| self.is_name_foreign(c, *slot))
            || self.pending.starts.contains(tenant)
    }
}

/// Returns why a slot's AdGuard Home cannot run, or must not.
pub(super) fn dns_hold(spec: &NodeSpec, pending: &Pending, slot: Slot) -> Option<DnsHold> {
    let is_asleep = spec.tenants.get(&slot).is_some_and(|t| t.asleep);
    let hold = pending.dns_holds.get(&slot).copied();
    is_asleep.then_some(DnsHold::Asleep).or(hold)
}

/// Returns whether an interface carries an owner mark of ours.
pub fn is_ours(i: &ObservedInterface) -> bool {
    i.owner
        .as_deref()
        .is_some_and(|o| o.starts_with(INTERFACE_ALIAS_PREFIX))
}

/// Returns where a tenant's DNS queries should be sent: to its container, or, while
/// there is no image to create one from or it cannot run, to a plain resolver. Nowhere
/// while the slot has a container that is not the tenant's.
fn dns_target(
    t: &TenantSpec,
    o: &Observed,
    s: &NodeSettings,
    index: &ContainerIndex,
    is_held: bool,
) -> Option<Ipv4Addr> {
    let present = || {
        let elements = o.firewall.value().and_then(|f| f.tenants.get(&t.slot));
        elements.and_then(|f| f.dns)
    };
    let Observation::Read(c) = &o.containers else {
        return present();
    };
    let mut containers = index.of_slot(t.slot, c).peekable();
    let exists = containers.peek().is_some();
    let revision = || t.container(s).revision();
    if exists && !containers.all(|x| is_same_tenants_revision(&x.revision, &revision())) {
        return None;
    }
    match (is_held, c.image || exists) {
        (false, true) => Some(s.addresses.container(t.slot)),
        _ => Some(s.fallback_dns),
    }
}

/// Returns the elements that an active tenant should have. Its AdGuard Home does not
/// run while it `is_held`.
pub(crate) fn wanted_elements(
    t: &TenantSpec,
    o: &Observed,
    s: &NodeSettings,
    index: &ContainerIndex,
    is_held: bool,
) -> FirewallTenant {
    t.firewall(s, dns_target(t, o, s, index, is_held))
}

/// What is derived from a tenant's spec alone, computed once for each spec.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    /// The tunnel's public key, as files contain it.
    pub public_key: String,
    /// The hash of `wg<n>.conf`.
    pub conf: u64,
    /// The container's revision.
    pub revision: String,
    /// The container's name in the engine.
    pub docker_name: String,
}

/// The tenants of a spec by name, and what is derived from each.
#[derive(Clone, Debug, Default)]
pub(super) struct TenantIndex {
    pub by_name: BTreeMap<String, Slot>,
    pub derived: BTreeMap<Slot, Derived>,
}

impl TenantIndex {
    pub fn remove(&mut self, t: &TenantSpec) {
        self.derived.remove(&t.slot);
        if self.by_name.get(t.name.as_str()) == Some(&t.slot) {
            self.by_name.remove(t.name.as_str());
        }
    }

    pub fn add(&mut self, t: &Arc<TenantSpec>, settings: &NodeSettings) {
        self.by_name.insert(t.name.to_string(), t.slot);
        let container = t.container(settings);
        let derived = Derived {
            public_key: t.private_key.public().to_string(),
            conf: content_hash(t.stored_wg_conf(settings).expose().as_bytes()),
            revision: container.revision(),
            docker_name: container.docker_name(),
        };
        self.derived.insert(t.slot, derived);
    }
}

/// The positions of a slot's and a name's containers in the engine's list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerIndex {
    by_slot: BTreeMap<Slot, Vec<usize>>,
    /// By the tenant's name, with the slot on the label.
    by_name: BTreeMap<String, Vec<Option<Slot>>>,
    /// Those without a slot.
    strays: Vec<usize>,
}

impl ContainerIndex {
    /// Builds the index of the containers. It is empty where they are unreadable.
    pub fn new(containers: &Observation<ObservedContainers>) -> Self {
        let mut index = Self::default();
        let ours = containers.value().into_iter().flat_map(|c| &c.ours);
        for (at, c) in ours.enumerate() {
            match c.slot {
                Some(slot) => index.by_slot.entry(slot).or_default().push(at),
                None => index.strays.push(at),
            }
            if let Some(name) = c.name.strip_prefix(TenantName::CONTAINER_PREFIX) {
                let slots = index.by_name.entry(name.to_owned()).or_default();
                slots.push(c.slot);
            }
        }
        index
    }

    /// Returns the slots that have containers.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.by_slot.keys().copied()
    }

    /// Returns a slot's containers, in the list's order.
    pub fn of_slot<'c>(
        &self,
        slot: Slot,
        c: &'c ObservedContainers,
    ) -> impl Iterator<Item = &'c ObservedContainer> {
        let at = self.by_slot.get(&slot).into_iter().flatten();
        at.filter_map(|at| c.ours.get(*at))
    }

    /// Returns the containers without a slot.
    pub fn strays<'c>(
        &self,
        c: &'c ObservedContainers,
    ) -> impl Iterator<Item = &'c ObservedContainer> {
        self.strays.iter().filter_map(|at| c.ours.get(*at))
    }

    /// Returns the slots on the containers that have a tenant's name.
    pub fn of_name(&self, name: &TenantName) -> impl Iterator<Item = Option<Slot>> {
        let slots = self.by_name.get(name.as_str()).into_iter().flatten();
        slots.copied()
    }
}
