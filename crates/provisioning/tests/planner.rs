//! A plan that is updated where something changed equals, after any history, the plan
//! that is made from scratch. (`tests/sim.rs` compares the two in each of its histories
//! as well, and the published statuses with the actual ones.)
#![allow(clippy::unwrap_used)]

mod arbitrary;

use arbitrary::{SLOTS, any_forwards, any_observed, any_spec, settings};
use domain::{ErrorCode, Slot, TenantName};
use proptest::prelude::*;
use protocol::{NodeSpec, TenantSpec};
use provisioning::{
    Observation, Observed, Pending, PortError, TenantSpecExt,
    dirty_set::DirtySet,
    observed::ObservedDns,
    pending::{DiskHold, DnsHold},
    plan::{Planner, plan},
    ports::DnsPart,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use testkit::samples;

fn slots(picks: &[bool]) -> BTreeSet<Slot> {
    let picked = SLOTS.zip(picks).filter(|(_, there)| **there);
    picked.map(|(n, _)| Slot::new(n).unwrap()).collect()
}

fn name(n: u16) -> TenantName {
    TenantName::parse(&format!("tenant{n}")).unwrap()
}

fn any_hold() -> impl Strategy<Value = DnsHold> {
    prop_oneof![
        Just(DnsHold::Repair(None)),
        Just(DnsHold::Repair(Some(DnsPart::Lists))),
        Just(DnsHold::Rest),
        Just(DnsHold::Disk(DiskHold::Full)),
        Just(DnsHold::Disk(DiskHold::Low)),
    ]
}

prop_compose! {
    /// Rarely many changes at the same time, as on a real machine.
    fn any_pending()(
        tunnels in prop::collection::vec(prop::bool::weighted(0.2), 4),
        elements in prop::collection::vec(prop::bool::weighted(0.2), 4),
        starts in prop::collection::vec(prop::bool::weighted(0.2), 4),
        stale in prop::collection::vec(prop::bool::weighted(0.2), 4),
        holds in prop::collection::vec(prop::option::weighted(0.2, any_hold()), 4),
        refused in prop::collection::vec(prop::option::weighted(0.2, 0u8..2), 4),
        all_elements in prop::bool::weighted(0.1),
        unswept in prop::bool::weighted(0.1),
        redirected in any_forwards(),
        unknown in prop::option::weighted(0.1, 1u16..=4),
    ) -> Pending {
        let starts = SLOTS.zip(starts).filter(|(_, there)| *there);
        let holds = SLOTS.filter_map(Slot::new).zip(holds);
        let refused = SLOTS.filter_map(Slot::new).zip(refused);
        let refused = refused.filter_map(|(slot, nth)| Some((slot, format!("c{slot}-{}", nth?))));
        let subnet = |slot: Slot| (slot, [settings().addresses.subnet(slot)].into());
        Pending {
            stale_connections: slots(&stale).into_iter().map(subnet).collect(),
            unswept,
            redirected: redirected
                .into_iter()
                .map(|(slot, to)| (slot, Some(to).filter(|_| unknown != Some(slot.get()))))
                .collect(),
            dns_holds: holds.filter_map(|(slot, hold)| Some((slot, hold?))).collect(),
            dns_refused: refused.collect(),
            tunnels: slots(&tunnels),
            elements: slots(&elements),
            all_elements,
            starts: starts.map(|(n, _)| name(n)).collect(),
        }
    }
}

/// An AdGuard Home with the clients of some devices, or a silent one.
fn any_dns(n: u16) -> impl Strategy<Value = Option<Observation<ObservedDns>>> {
    (0u8..6, any::<bool>()).prop_map(move |(devices, running)| {
        let t = samples::tenant(&settings(), n, devices);
        match devices {
            4 => None,
            5 => Some(unreadable()),
            _ => Some(Observation::Read(ObservedDns {
                running,
                ..ObservedDns::with_clients(&t.clients(&settings()))
            })),
        }
    })
}

fn unreadable<T>() -> Observation<T> {
    let e = PortError::new(ErrorCode::Busy, domain::Message::NotReadYet);
    Observation::Unreadable(Arc::new(e))
}

/// What happens to one part of the observation in a step of a history.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Stays,
    Changes,
    Unreadable,
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Stays),
        3 => Just(Outcome::Changes),
        1 => Just(Outcome::Unreadable),
    ]
}

#[derive(Clone, Debug)]
struct Change {
    spec: NodeSpec,
    /// By how many slots the tenants' names move.
    moved: u16,
    /// The slots whose spec changes.
    changed: BTreeSet<Slot>,
    observed: Observed,
    dns: Vec<Option<Observation<ObservedDns>>>,
    outcomes: Vec<Outcome>,
    pending: Pending,
}

prop_compose! {
    fn any_change()(
        spec in any_spec(),
        moved in prop_oneof![4 => Just(0u16), 1 => 1u16..4],
        changed in prop::collection::vec(prop::bool::weighted(0.3), 4),
        observed in any_observed(),
        dns in SLOTS.map(any_dns).collect::<Vec<_>>(),
        outcomes in prop::collection::vec(any_outcome(), 10),
        pending in any_pending(),
    ) -> Change {
        Change { spec, moved, changed: slots(&changed), observed, dns, outcomes, pending }
    }
}

/// The state after a step of the history.
#[derive(Clone)]
struct State {
    spec: Arc<NodeSpec>,
    observed: Observed,
    pending: Pending,
}

fn apply<T: Clone>(outcome: Outcome, now: &mut Observation<T>, new: &Observation<T>) {
    match outcome {
        Outcome::Stays => {}
        Outcome::Changes => *now = new.clone(),
        Outcome::Unreadable => *now = unreadable(),
    }
}

/// Moves the tenants' names to other slots. They stay unique: where one moves, all do.
fn move_names(spec: &mut NodeSpec, moved: u16) {
    for (slot, t) in &mut spec.tenants {
        let named = name((slot.get() - 1 + moved) % 4 + 1);
        if t.name != named {
            Arc::make_mut(t).name = named;
        }
    }
}

impl State {
    fn after(&self, change: &Change) -> Self {
        let mut next = self.clone();
        let mut spec = NodeSpec::clone(&self.spec);
        for slot in &change.changed {
            match change.spec.tenants.get(slot) {
                Some(t) => drop(spec.tenants.insert(*slot, t.clone())),
                None => drop(spec.tenants.remove(slot)),
            }
            match change.spec.unreadable.get(slot) {
                Some(t) => drop(spec.unreadable.insert(*slot, t.clone())),
                None => drop(spec.unreadable.remove(slot)),
            }
        }
        spec.generation += 1;
        spec.is_earlier = change.spec.is_earlier;
        move_names(&mut spec, change.moved);
        next.spec = Arc::new(spec);
        let (o, new, outcomes) = (&mut next.observed, &change.observed, &change.outcomes);
        apply(outcomes[0], &mut o.wireguard, &new.wireguard);
        apply(outcomes[1], &mut o.firewall, &new.firewall);
        apply(outcomes[2], &mut o.containers, &new.containers);
        apply(outcomes[3], &mut o.folders, &new.folders);
        for ((n, dns), outcome) in SLOTS.zip(&change.dns).zip(&outcomes[4..8]) {
            let slot = Slot::new(n).unwrap();
            match (outcome, dns) {
                (Outcome::Stays, _) => {}
                (_, Some(dns)) => drop(o.dns.insert(slot, dns.clone())),
                (_, None) => drop(o.dns.remove(&slot)),
            }
        }
        apply(outcomes[9], &mut o.shaping, &new.shaping);
        if !matches!(outcomes[8], Outcome::Stays) {
            next.pending = change.pending.clone();
        }
        next
    }
}

fn differing<K: Ord + Clone, V>(
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
    same: impl Fn(&V, &V) -> bool,
) -> Vec<K> {
    let keys: BTreeSet<&K> = a.keys().chain(b.keys()).collect();
    let differs = |k: &&K| match (a.get(*k), b.get(*k)) {
        (Some(a), Some(b)) => !same(a, b),
        _ => true,
    };
    keys.into_iter().filter(differs).cloned().collect()
}

/// Returns the smallest dirty set for two observations.
fn dirty_set(a: &Observed, b: &Observed) -> DirtySet {
    let mut dirty = DirtySet::default();
    if let (Some(a), Some(b)) = (a.wireguard.value(), b.wireguard.value()) {
        dirty.slots.extend(differing(a, b, |a, b| a == b));
    }
    if let (Some(a), Some(b)) = (a.firewall.value(), b.firewall.value()) {
        let slots = differing(&a.tenants, &b.tenants, |a, b| a == b);
        dirty.slots.extend(slots);
    }
    if let (Some(a), Some(b)) = (a.shaping.value(), b.shaping.value()) {
        dirty.slots.extend(differing(a, b, |a, b| a == b));
    }
    if let (Some(a), Some(b)) = (a.containers.value(), b.containers.value()) {
        dirty.add_container_changes(a, b);
    }
    if let (Some(a), Some(b)) = (a.folders.value(), b.folders.value()) {
        let folders = differing(a, b, |a, b| a == b);
        folders.iter().for_each(|f| dirty.add_folder(f));
    }
    let same = |a: &Observation<ObservedDns>, b: &Observation<ObservedDns>| a.value() == b.value();
    dirty.slots.extend(differing(&a.dns, &b.dns, same));
    dirty
}

fn empty() -> State {
    State {
        spec: Arc::default(),
        observed: Observed {
            wireguard: unreadable(),
            firewall: unreadable(),
            shaping: unreadable(),
            containers: unreadable(),
            dns: BTreeMap::new(),
            folders: unreadable(),
        },
        pending: Pending::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_updated_plan_equals_the_complete_one(
        changes in prop::collection::vec(any_change(), 1..12),
    ) {
        let s = settings();
        let (mut now, mut planner) = (empty(), Planner::default());
        for change in &changes {
            let next = now.after(change);
            let dirty = dirty_set(&now.observed, &next.observed);
            now = next;
            planner.update(&now.spec, &now.observed, &now.pending, &s, dirty);
            let complete = plan(&now.spec, &now.observed, &now.pending, &s);
            prop_assert_eq!(planner.plan(), &complete);
        }
    }
}

#[test]
fn one_changed_tenant_replans_one_slot() {
    let s = settings();
    let all = |n: u16| Arc::new(samples::tenant(&s, n, 2));
    let tenants: BTreeMap<Slot, Arc<TenantSpec>> =
        (1..=1000).map(all).map(|t| (t.slot, t)).collect();
    let mut spec = NodeSpec {
        generation: 1,
        tenants,
        ..NodeSpec::default()
    };
    let now = empty();
    let mut planner = Planner::default();
    let mut update = |spec: &NodeSpec| {
        let spec = Arc::new(spec.clone());
        let dirty = DirtySet::default();
        planner.update(&spec, &now.observed, &now.pending, &s, dirty)
    };
    assert_eq!(update(&spec).len(), 1000);
    assert_eq!(update(&spec).len(), 0);
    let slot = Slot::new(500).unwrap();
    let tenant = spec.tenants.get_mut(&slot).unwrap();
    Arc::make_mut(tenant).devices.clear();
    assert_eq!(update(&spec), [slot].into());
}
