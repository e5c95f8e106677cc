//! Updates a plan where something has changed.

use super::{
    connections, containers, elements,
    elements::{ElementChange, Forwards},
    folders, speed,
    step::{Lane, Plan, Step},
    tunnel,
    view::{ContainerIndex, TenantIndex, View, dns_hold},
};
use crate::{
    dirty_set::DirtySet,
    observed::{ContainerState, Observed, ObservedContainer},
    pending::{DnsHold, Pending},
    ports::Change,
    spec::NodeSettings,
};
use domain::{Slot, TenantName};
use protocol::NodeSpec;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The facts of the whole node that a slot's plan depends on. Where one of them
/// changes, everything is planned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    wireguard: bool,
    /// Readable, and complete.
    firewall: Option<bool>,
    /// Readable, and with the image.
    containers: Option<bool>,
    /// Readable.
    folders: bool,
    /// Readable.
    shaping: bool,
    all_elements: bool,
    unswept: bool,
    /// Whether a folder of any name may be a tenant's that cannot be read.
    nameless: bool,
    /// Whether any slot without a tenant may have one.
    is_earlier: bool,
}

impl Facts {
    fn new(spec: &NodeSpec, o: &Observed, pending: &Pending) -> Self {
        Self {
            wireguard: o.wireguard.value().is_some(),
            firewall: o.firewall.value().map(|f| f.complete),
            containers: o.containers.value().map(|c| c.image),
            folders: o.folders.value().is_some(),
            shaping: o.shaping.value().is_some(),
            all_elements: pending.all_elements,
            unswept: pending.unswept,
            nameless: spec.has_nameless(),
            is_earlier: spec.is_earlier,
        }
    }
}

/// A plan, with what it was made from. Yields the same as [`super::plan()`], at the cost
/// of what has changed only.
#[derive(Debug, Default)]
pub struct Planner {
    spec: Arc<NodeSpec>,
    pending: Pending,
    facts: Option<Facts>,
    tenants: TenantIndex,
    containers: ContainerIndex,
    elements: BTreeMap<Slot, ElementChange>,
    forwards: Option<Change<Forwards>>,
    plan: Plan,
}

impl Planner {
    /// Returns the plan as it was last updated.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn into_plan(self) -> Plan {
        self.plan
    }

    /// Returns why the slot's AdGuard Home cannot run, or must not.
    pub(crate) fn dns_hold(&self, slot: Slot) -> Option<DnsHold> {
        dns_hold(&self.spec, &self.pending, slot)
    }

    /// Returns whether nothing may be added to the slot's interface for now, because
    /// connections of earlier holders of its addresses may be tracked.
    pub(crate) fn waits_for_connections(&self, slot: Slot) -> bool {
        self.pending.unswept || self.pending.stale_connections.contains_key(&slot)
    }

    /// Returns the index of the engine's list of containers.
    pub(crate) fn containers(&self) -> &ContainerIndex {
        &self.containers
    }

    /// Updates the plan. `dirty` is what has changed in the observation since the last
    /// update; changes of the other inputs are found here. Returns the slots that were
    /// planned again.
    pub fn update(
        &mut self,
        spec: &Arc<NodeSpec>,
        observed: &Observed,
        pending: &Pending,
        settings: &NodeSettings,
        mut dirty: DirtySet,
    ) -> BTreeSet<Slot> {
        let facts = Some(Facts::new(spec, observed, pending));
        dirty.everything |= self.facts != facts;
        self.facts = facts;
        self.apply_spec(spec, settings, &mut dirty);
        self.apply_pending(pending, &mut dirty);
        if dirty.containers || dirty.everything {
            self.containers = ContainerIndex::new(&observed.containers);
        }
        let view = View {
            spec,
            observed,
            pending,
            settings,
            tenants: &self.tenants,
            containers: &self.containers,
        };
        if dirty.everything {
            self.plan.clear();
            self.elements.clear();
            dirty.slots.extend(all_slots(&view));
            let folders = observed.folders.value().into_iter().flat_map(|f| f.keys());
            folders.for_each(|folder| dirty.add_folder(folder));
        }
        // A dirty name makes its slot dirty, and the other way round.
        let slots = dirty
            .names
            .iter()
            .filter_map(|n| self.tenants.by_name.get(n));
        dirty.slots.extend(slots);
        let tenants = dirty.slots.iter().filter_map(|s| spec.tenants.get(s));
        dirty.names.extend(tenants.map(|t| t.name.to_string()));

        let (mut lanes, mut elements_changed) = (Plan::new(), dirty.everything);
        for slot in &dirty.slots {
            lanes.insert(Lane::Tunnel(*slot), tunnel::plan(&view, *slot));
            lanes.insert(Lane::Speed(*slot), speed::plan(&view, *slot));
            lanes.insert(Lane::Container(*slot), containers::plan(&view, *slot));
            lanes.insert(Lane::Dns(*slot), containers::plan_dns(&view, *slot));
            let part = elements::plan(&view, *slot);
            elements_changed |= self.elements.get(slot) != part.as_ref();
            match part {
                Some(part) => drop(self.elements.insert(*slot, part)),
                None => drop(self.elements.remove(slot)),
            }
        }
        lanes.extend(dirty.names.iter().map(|name| folder_lane(&view, name)));
        let forwards = elements::plan_forwards(&view);
        elements_changed |= self.forwards != forwards;
        self.forwards = forwards;
        if elements_changed {
            let rebuild = observed.firewall.value().is_some_and(|f| !f.complete);
            let forwards = self.forwards.clone().unwrap_or_default();
            let change = elements::transaction(rebuild, &self.elements, forwards);
            let step = (!change.is_empty()).then_some(Step::Firewall(change));
            lanes.insert(Lane::Firewall, step.into_iter().collect());
        }
        if dirty.containers || dirty.everything {
            self.plan.retain(|lane, _| !matches!(lane, Lane::Stray(_)));
            lanes.extend(stray_lanes(&view));
        }
        lanes.insert(Lane::Connections, connections::plan(&view));
        let fetch = needs_image(&view).then_some(Step::FetchImage);
        lanes.insert(Lane::Image, fetch.into_iter().collect());
        for (lane, steps) in lanes {
            match steps.is_empty() {
                true => drop(self.plan.remove(&lane)),
                false => drop(self.plan.insert(lane, steps)),
            }
        }
        dirty.slots
    }

    fn apply_spec(&mut self, spec: &Arc<NodeSpec>, settings: &NodeSettings, dirty: &mut DirtySet) {
        if Arc::ptr_eq(&self.spec, spec) {
            return;
        }
        let (old, new) = (&self.spec.tenants, &spec.tenants);
        let removed =
            |(slot, t): &(&Slot, &Arc<_>)| !new.get(slot).is_some_and(|n| Arc::ptr_eq(n, t));
        for (slot, t) in old.iter().filter(removed) {
            dirty.slots.insert(*slot);
            dirty.names.insert(t.name.to_string());
            self.tenants.remove(t);
        }
        let added =
            |(slot, t): &(&Slot, &Arc<_>)| !old.get(slot).is_some_and(|o| Arc::ptr_eq(o, t));
        for (slot, t) in new.iter().filter(added) {
            dirty.slots.insert(*slot);
            self.tenants.add(t, settings);
        }
        let (old, new) = (&self.spec.unreadable, &spec.unreadable);
        let changed = |slot: &&Slot| old.get(*slot) != new.get(*slot);
        for slot in old.keys().chain(new.keys()).filter(changed) {
            dirty.slots.insert(*slot);
            let both = old.get(slot).into_iter().chain(new.get(slot));
            let names = both.filter_map(|t| t.name.as_ref());
            dirty.names.extend(names.map(TenantName::to_string));
        }
        let (old, new) = (&self.spec.moved, &spec.moved);
        let changed = |slot: &&Slot| old.get(*slot) != new.get(*slot);
        for slot in old.keys().chain(new.keys()).filter(changed) {
            let both = old.get(slot).into_iter().chain(new.get(slot));
            dirty.names.extend(both.map(|t| t.name.to_string()));
        }
        self.spec = spec.clone();
    }

    fn apply_pending(&mut self, pending: &Pending, dirty: &mut DirtySet) {
        let old = &self.pending;
        if old == pending {
            return;
        }
        let tunnels = old.tunnels.symmetric_difference(&pending.tunnels);
        let elements = old.elements.symmetric_difference(&pending.elements);
        dirty.slots.extend(tunnels.chain(elements));
        let differing = |slot: &Slot| {
            old.stale_connections.get(slot) != pending.stale_connections.get(slot)
                || old.dns_holds.get(slot) != pending.dns_holds.get(slot)
                || old.dns_refused.get(slot) != pending.dns_refused.get(slot)
        };
        let all = [old, pending].into_iter();
        let slots = all.flat_map(|p| {
            let holds = p.dns_holds.keys().chain(p.dns_refused.keys());
            p.stale_connections.keys().chain(holds)
        });
        dirty.slots.extend(slots.filter(|slot| differing(slot)));
        let starts = old.starts.symmetric_difference(&pending.starts);
        dirty.names.extend(starts.map(TenantName::to_string));
        self.pending = pending.clone();
    }
}

/// Plans the folder of a name: a tenant's, or a former tenant's.
fn folder_lane(v: &View, name: &str) -> (Lane, Vec<Step>) {
    let folder = format!("{}{name}", TenantName::FOLDER_PREFIX);
    let slot = v.tenants.by_name.get(name);
    let step = match slot.and_then(|slot| v.spec.tenants.get(slot)) {
        Some(t) => folders::plan(v, t),
        None => folders::plan_stray(v, &folder),
    };
    (Lane::Folder(folder), step.into_iter().collect())
}

/// Plans the containers that have no slot.
fn stray_lanes(v: &View) -> Plan {
    let containers = v.observed.containers.value().into_iter();
    let strays = containers.flat_map(|c| v.containers.strays(c));
    let present = strays.filter(|x| x.state != ContainerState::Removing);
    let lane = |x: &ObservedContainer| {
        let remove = Step::RemoveContainer(x.id.clone());
        (Lane::Stray(x.id.clone()), vec![remove])
    };
    present.map(lane).collect()
}

/// Returns whether there is no image although a tenant needs it.
fn needs_image(v: &View) -> bool {
    let containers = v.observed.containers.value();
    containers.is_some_and(|c| !c.image) && v.spec.tenants.values().any(|t| !t.suspended)
}

/// Returns every slot that anything is known of.
fn all_slots(v: &View) -> BTreeSet<Slot> {
    let interfaces = v
        .observed
        .wireguard
        .value()
        .into_iter()
        .flat_map(|w| w.keys());
    let elements = v.observed.firewall.value().into_iter();
    let elements = elements.flat_map(|f| f.tenants.keys());
    let mut slots: BTreeSet<Slot> = v.spec.tenants.keys().copied().collect();
    slots.extend(interfaces.chain(elements).chain(v.observed.dns.keys()));
    slots.extend(v.pending.tunnels.iter().chain(&v.pending.elements));
    slots.extend(v.containers.slots());
    slots.extend(v.spec.unreadable.keys());
    let speeds = v.observed.shaping.value().into_iter();
    slots.extend(speeds.flat_map(|s| s.keys()));
    slots
}
