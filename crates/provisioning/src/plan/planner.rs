//! A plan that is kept, and made anew where something has changed.

use super::{
    Lane, Plan, Step, containers, elements,
    elements::ElementChange,
    folders, tunnel,
    view::{ContainerIndex, Tenants, View},
};
use crate::{
    observed::{ContainerState, Observed, ObservedContainer},
    pending::Pending,
    spec::{NodeSettings, NodeSpec},
    touched::Touched,
};
use domain::{Slot, TenantName};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What of the whole node a slot's plan depends on: where one of these changes,
/// everything is planned anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    wireguard: bool,
    /// Known, and complete.
    firewall: Option<bool>,
    /// Known, and with the image.
    containers: Option<bool>,
    folders: bool,
    all_elements: bool,
}

impl Facts {
    fn of(o: &Observed, pending: &Pending) -> Self {
        Self {
            wireguard: o.wireguard.known().is_some(),
            firewall: o.firewall.known().map(|f| f.complete),
            containers: o.containers.known().map(|c| c.image),
            folders: o.folders.known().is_some(),
            all_elements: pending.all_elements,
        }
    }
}

/// A plan, with what it was made from. The whole of [`super::plan`] at the
/// cost of what has changed.
#[derive(Debug, Default)]
pub struct Planner {
    spec: Arc<NodeSpec>,
    pending: Pending,
    facts: Option<Facts>,
    tenants: Tenants,
    containers: ContainerIndex,
    elements: BTreeMap<Slot, ElementChange>,
    plan: Plan,
}

impl Planner {
    /// The plan as it was made last.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn into_plan(self) -> Plan {
        self.plan
    }

    /// Where the engine's list has whose containers.
    pub(crate) fn containers(&self) -> &ContainerIndex {
        &self.containers
    }

    /// Makes the plan for what is so now; `touched` is what of the observation
    /// has changed since the last time (what has of the rest is found here).
    /// The slots that were planned anew.
    pub fn renew(
        &mut self,
        spec: &Arc<NodeSpec>,
        observed: &Observed,
        pending: &Pending,
        settings: &NodeSettings,
        mut touched: Touched,
    ) -> BTreeSet<Slot> {
        let facts = Some(Facts::of(observed, pending));
        touched.everything |= self.facts != facts;
        self.facts = facts;
        self.take_spec(spec, settings, &mut touched);
        self.take_pending(pending, &mut touched);
        if touched.containers || touched.everything {
            self.containers = ContainerIndex::of(&observed.containers);
        }
        let view = View {
            spec,
            observed,
            pending,
            settings,
            tenants: &self.tenants,
            containers: &self.containers,
        };
        if touched.everything {
            self.plan.clear();
            self.elements.clear();
            touched.slots.extend(all_slots(&view));
            let folders = observed.folders.known().into_iter().flat_map(|f| f.keys());
            folders.for_each(|folder| touched.folder(folder));
        }
        // A slot's tenant and a tenant's slot go together.
        let slots = touched
            .names
            .iter()
            .filter_map(|n| self.tenants.by_name.get(n));
        touched.slots.extend(slots);
        let tenants = touched.slots.iter().filter_map(|s| spec.tenants.get(s));
        touched.names.extend(tenants.map(|t| t.name.to_string()));

        let (mut lanes, mut moved) = (Plan::new(), touched.everything);
        for slot in &touched.slots {
            lanes.insert(Lane::Tunnel(*slot), tunnel::plan(&view, *slot));
            lanes.insert(Lane::Container(*slot), containers::plan(&view, *slot));
            lanes.insert(Lane::Dns(*slot), containers::plan_dns(&view, *slot));
            let part = elements::plan(&view, *slot);
            moved |= self.elements.get(slot) != part.as_ref();
            match part {
                Some(part) => drop(self.elements.insert(*slot, part)),
                None => drop(self.elements.remove(slot)),
            }
        }
        lanes.extend(touched.names.iter().map(|name| folder_lane(&view, name)));
        if moved {
            let rebuild = observed.firewall.known().is_some_and(|f| !f.complete);
            let change = elements::transaction(rebuild, &self.elements);
            let step = (!change.is_empty()).then_some(Step::Firewall(change));
            lanes.insert(Lane::Firewall, step.into_iter().collect());
        }
        if touched.containers || touched.everything {
            self.plan.retain(|lane, _| !matches!(lane, Lane::Stray(_)));
            lanes.extend(stray_lanes(&view));
        }
        let fetch = misses_image(&view).then_some(Step::FetchImage);
        lanes.insert(Lane::Image, fetch.into_iter().collect());
        for (lane, steps) in lanes {
            match steps.is_empty() {
                true => drop(self.plan.remove(&lane)),
                false => drop(self.plan.insert(lane, steps)),
            }
        }
        touched.slots
    }

    fn take_spec(&mut self, spec: &Arc<NodeSpec>, settings: &NodeSettings, touched: &mut Touched) {
        if Arc::ptr_eq(&self.spec, spec) {
            return;
        }
        let (old, new) = (&self.spec.tenants, &spec.tenants);
        let gone = |(slot, t): &(&Slot, &Arc<_>)| !new.get(slot).is_some_and(|n| Arc::ptr_eq(n, t));
        for (slot, t) in old.iter().filter(gone) {
            touched.slots.insert(*slot);
            touched.names.insert(t.name.to_string());
            self.tenants.forget(t);
        }
        let come = |(slot, t): &(&Slot, &Arc<_>)| !old.get(slot).is_some_and(|o| Arc::ptr_eq(o, t));
        for (slot, t) in new.iter().filter(come) {
            touched.slots.insert(*slot);
            self.tenants.add(t, settings);
        }
        self.spec = spec.clone();
    }

    fn take_pending(&mut self, pending: &Pending, touched: &mut Touched) {
        let old = &self.pending;
        if old == pending {
            return;
        }
        let tunnels = old.tunnels.symmetric_difference(&pending.tunnels);
        let elements = old.elements.symmetric_difference(&pending.elements);
        touched.slots.extend(tunnels.chain(elements));
        let starts = old.starts.symmetric_difference(&pending.starts);
        touched.names.extend(starts.map(TenantName::to_string));
        self.pending = pending.clone();
    }
}

/// What is to be done about a name's folder: a tenant's, or one that is left.
fn folder_lane(v: &View, name: &str) -> (Lane, Vec<Step>) {
    let folder = format!("{}{name}", TenantName::FOLDER_PREFIX);
    let slot = v.tenants.by_name.get(name);
    let step = match slot.and_then(|slot| v.spec.tenants.get(slot)) {
        Some(t) => folders::plan(v, t),
        None => folders::plan_stray(v, &folder),
    };
    (Lane::Folder(folder), step.into_iter().collect())
}

/// What is to be done about containers that have no slot.
fn stray_lanes(v: &View) -> Plan {
    let known = v.observed.containers.known().into_iter();
    let strays = known.flat_map(|c| v.containers.strays(c));
    let standing = strays.filter(|x| x.state != ContainerState::Removing);
    let lane = |x: &ObservedContainer| {
        let remove = Step::RemoveContainer(x.id.clone());
        (Lane::Stray(x.id.clone()), vec![remove])
    };
    standing.map(lane).collect()
}

/// Whether there is no image and somebody needs it.
fn misses_image(v: &View) -> bool {
    let containers = v.observed.containers.known();
    containers.is_some_and(|c| !c.image) && v.spec.tenants.values().any(|t| !t.suspended)
}

/// Every slot that anything is known of.
fn all_slots(v: &View) -> BTreeSet<Slot> {
    let interfaces = v
        .observed
        .wireguard
        .known()
        .into_iter()
        .flat_map(|w| w.keys());
    let elements = v.observed.firewall.known().into_iter();
    let elements = elements.flat_map(|f| f.tenants.keys());
    let mut slots: BTreeSet<Slot> = v.spec.tenants.keys().copied().collect();
    slots.extend(interfaces.chain(elements).chain(v.observed.dns.keys()));
    slots.extend(v.pending.tunnels.iter().chain(&v.pending.elements));
    slots.extend(v.containers.slots());
    slots
}
