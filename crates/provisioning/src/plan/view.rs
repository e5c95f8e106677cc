//! What a plan is made from, and the few indexes that keep a look-up from
//! walking over everybody.

use super::is_ours;
use crate::{
    observed::{Known, Observed, ObservedContainer, ObservedContainers, content_hash},
    pending::Pending,
    spec::{FirewallTenant, NodeSettings, NodeSpec, TenantSpec},
};
use domain::{Slot, TenantName};
use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

/// See the module.
pub(super) struct View<'a> {
    pub spec: &'a NodeSpec,
    pub observed: &'a Observed,
    pub pending: &'a Pending,
    pub settings: &'a NodeSettings,
    pub tenants: &'a Tenants,
    pub containers: &'a ContainerIndex,
}

impl View<'_> {
    /// The slot's tenant, unless it is suspended.
    pub fn active(&self, slot: Slot) -> Option<&TenantSpec> {
        let tenant = self.spec.tenants.get(&slot).map(AsRef::as_ref);
        tenant.filter(|t| !t.suspended)
    }

    /// Whether the slot's interface is ours and still an earlier tenant's.
    pub fn anothers_stands(&self, slot: Slot) -> bool {
        let interfaces = self.observed.wireguard.known();
        let stands = interfaces.and_then(|w| w.get(&slot));
        stands.filter(|i| is_ours(i)).is_some_and(|i| {
            let tenant = self.active(slot);
            tenant.is_some_and(|t| i.owner.as_deref() != Some(t.owner().as_str()))
        })
    }

    /// Whose folder of the tenant's name it is, by the tunnel's key in it.
    fn folder_owner(&self, t: &TenantSpec) -> Option<&str> {
        let folders = self.observed.folders.known();
        let folder = folders.and_then(|f| f.get(&t.name.folder()));
        folder.and_then(|f| f.owner.as_deref())
    }

    /// Whether the tenant's folder is there, and the tenant's: what is in it
    /// then never goes while the tenant is here.
    pub fn is_own_folder(&self, t: &TenantSpec) -> bool {
        let made = self.tenants.made.get(&t.slot);
        made.is_some_and(|m| self.folder_owner(t) == Some(m.public.as_str()))
    }

    /// Whether a folder of the tenant's name holds what an earlier tenant left.
    pub fn is_anothers_folder(&self, t: &TenantSpec) -> bool {
        self.folder_owner(t).is_some() && !self.is_own_folder(t)
    }

    /// Whether a name's folder is a container's, or is about to be.
    pub fn uses_folder(&self, c: &ObservedContainers, tenant: &TenantName) -> bool {
        self.containers.of_name(tenant).next().is_some()
            || c.foreign.contains(&tenant.container())
            || self.pending.starts.contains(tenant)
    }
}

/// Where a tenant's DNS should go: to its container, or, while there is no
/// image to make one from, to a plain resolver.
fn dns_target(t: &TenantSpec, o: &Observed, s: &NodeSettings, index: &ContainerIndex) -> Ipv4Addr {
    let stands = || {
        o.firewall
            .known()
            .and_then(|f| f.tenants.get(&t.slot))
            .and_then(|f| f.dns)
    };
    match &o.containers {
        Known::Known(c) if c.image || index.has_slot(t.slot) => s.addresses.container(t.slot),
        Known::Known(_) => s.fallback_dns,
        Known::Unknown(_) => stands().unwrap_or(s.addresses.container(t.slot)),
    }
}

/// The elements one active tenant should have.
pub(crate) fn wanted_elements(
    t: &TenantSpec,
    o: &Observed,
    s: &NodeSettings,
    index: &ContainerIndex,
) -> FirewallTenant {
    t.firewall(s, dns_target(t, o, s, index))
}

/// What follows from a tenant's spec alone: worked out once for each.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The tunnel's public key, as files have it.
    pub public: String,
    /// The hash of `wg<n>.conf`.
    pub conf: u64,
    /// The container's revision.
    pub revision: String,
}

/// The tenants of a spec: who has which name, and what follows from each.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenants {
    pub by_name: BTreeMap<String, Slot>,
    pub made: BTreeMap<Slot, Made>,
}

impl Tenants {
    pub fn forget(&mut self, t: &TenantSpec) {
        self.made.remove(&t.slot);
        if self.by_name.get(t.name.as_str()) == Some(&t.slot) {
            self.by_name.remove(t.name.as_str());
        }
    }

    pub fn add(&mut self, t: &Arc<TenantSpec>, settings: &NodeSettings) {
        self.by_name.insert(t.name.to_string(), t.slot);
        let made = Made {
            public: t.private_key.public().to_string(),
            conf: content_hash(t.wg_conf().expose().as_bytes()),
            revision: t.container(settings).revision(),
        };
        self.made.insert(t.slot, made);
    }
}

/// Where in the engine's list a slot's and a name's containers stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerIndex {
    by_slot: BTreeMap<Slot, Vec<usize>>,
    /// By the tenant's name, with the slot on the label.
    by_name: BTreeMap<String, Vec<Option<Slot>>>,
    /// Those without a slot.
    strays: Vec<usize>,
}

impl ContainerIndex {
    /// Of the containers, where they are known.
    pub fn of(containers: &Known<ObservedContainers>) -> Self {
        let mut index = Self::default();
        let ours = containers.known().into_iter().flat_map(|c| &c.ours);
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

    fn has_slot(&self, slot: Slot) -> bool {
        self.by_slot.contains_key(&slot)
    }

    /// Slots that containers carry.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.by_slot.keys().copied()
    }

    /// A slot's containers, in the list's order.
    pub fn of_slot<'c>(
        &self,
        slot: Slot,
        c: &'c ObservedContainers,
    ) -> impl Iterator<Item = &'c ObservedContainer> {
        let at = self.by_slot.get(&slot).into_iter().flatten();
        at.filter_map(|at| c.ours.get(*at))
    }

    /// Containers without a slot.
    pub fn strays<'c>(
        &self,
        c: &'c ObservedContainers,
    ) -> impl Iterator<Item = &'c ObservedContainer> {
        self.strays.iter().filter_map(|at| c.ours.get(*at))
    }

    /// The slots on the containers that have a tenant's name.
    pub fn of_name(&self, name: &TenantName) -> impl Iterator<Item = Option<Slot>> {
        let slots = self.by_name.get(name.as_str()).into_iter().flatten();
        slots.copied()
    }
}
