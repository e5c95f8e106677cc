//! A plan that is kept and made anew where something was touched is, after any
//! history, the plan that is made from nothing. (`tests/sim.rs` compares the two,
//! and what is told of everybody, in each of its histories as well.)
#![allow(clippy::unwrap_used)]

mod any;

use any::{SLOTS, any_observed, any_spec, settings};
use domain::{ErrorCode, Slot, TenantName};
use proptest::prelude::*;
use provisioning::{
    Known, NodeSpec, Observed, Pending, PortError,
    observed::{ObservedDns, ObservedDnsClient},
    plan::{Planner, plan},
    spec::TenantSpec,
    touched::Touched,
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

prop_compose! {
    /// Seldom much at one time, as on a machine.
    fn any_pending()(
        tunnels in prop::collection::vec(prop::bool::weighted(0.2), 4),
        elements in prop::collection::vec(prop::bool::weighted(0.2), 4),
        starts in prop::collection::vec(prop::bool::weighted(0.2), 4),
        all_elements in prop::bool::weighted(0.1),
    ) -> Pending {
        let starts = SLOTS.zip(starts).filter(|(_, there)| *there);
        Pending {
            tunnels: slots(&tunnels),
            elements: slots(&elements),
            all_elements,
            starts: starts.map(|(n, _)| name(n)).collect(),
        }
    }
}

/// An AdGuard Home with the clients of so many devices, or a silent one.
fn any_dns(n: u16) -> impl Strategy<Value = Option<Known<ObservedDns>>> {
    (0u8..6, any::<bool>()).prop_map(move |(devices, running)| {
        let t = samples::tenant(&settings(), n, devices);
        match devices {
            4 => None,
            5 => Some(unknown()),
            _ => {
                let clients = t.clients().into_iter();
                let clients = clients.map(|(id, c)| {
                    let client = ObservedDnsClient {
                        name: c.name,
                        addresses: [c.address].into(),
                        policy: Some(c.policy),
                    };
                    (id, client)
                });
                let clients = clients.collect();
                Some(Known::Known(ObservedDns { running, clients }))
            }
        }
    })
}

fn unknown<T>() -> Known<T> {
    let e = PortError::new(ErrorCode::Busy, "It cannot be read.");
    Known::Unknown(Arc::new(e))
}

/// What becomes of one thing in a step of a history.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    Changes,
    Unreadable,
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Stays),
        3 => Just(Fate::Changes),
        1 => Just(Fate::Unreadable),
    ]
}

#[derive(Clone, Debug)]
struct Change {
    spec: NodeSpec,
    /// By so much names move to other slots.
    moved: u16,
    /// Whose spec changes.
    of: BTreeSet<Slot>,
    observed: Observed,
    dns: Vec<Option<Known<ObservedDns>>>,
    fates: Vec<Fate>,
    pending: Pending,
}

prop_compose! {
    fn any_change()(
        spec in any_spec(),
        moved in prop_oneof![4 => Just(0u16), 1 => 1u16..4],
        of in prop::collection::vec(prop::bool::weighted(0.3), 4),
        observed in any_observed(),
        dns in SLOTS.map(any_dns).collect::<Vec<_>>(),
        fates in prop::collection::vec(any_fate(), 9),
        pending in any_pending(),
    ) -> Change {
        Change { spec, moved, of: slots(&of), observed, dns, fates, pending }
    }
}

/// What is so after a step of the history.
#[derive(Clone)]
struct Now {
    spec: Arc<NodeSpec>,
    observed: Observed,
    pending: Pending,
}

fn take<T: Clone>(fate: Fate, now: &mut Known<T>, new: &Known<T>) {
    match fate {
        Fate::Stays => {}
        Fate::Changes => *now = new.clone(),
        Fate::Unreadable => *now = unknown(),
    }
}

/// Names stay unique: where one moves, all of them do.
fn renamed(spec: &mut NodeSpec, moved: u16) {
    for (slot, t) in &mut spec.tenants {
        let named = name((slot.get() - 1 + moved) % 4 + 1);
        if t.name != named {
            Arc::make_mut(t).name = named;
        }
    }
}

impl Now {
    fn after(&self, change: &Change) -> Self {
        let mut next = self.clone();
        let mut spec = NodeSpec::clone(&self.spec);
        for slot in &change.of {
            match change.spec.tenants.get(slot) {
                Some(t) => drop(spec.tenants.insert(*slot, t.clone())),
                None => drop(spec.tenants.remove(slot)),
            }
        }
        spec.generation += 1;
        renamed(&mut spec, change.moved);
        next.spec = Arc::new(spec);
        let (o, new, fates) = (&mut next.observed, &change.observed, &change.fates);
        take(fates[0], &mut o.wireguard, &new.wireguard);
        take(fates[1], &mut o.firewall, &new.firewall);
        take(fates[2], &mut o.containers, &new.containers);
        take(fates[3], &mut o.folders, &new.folders);
        for ((n, dns), fate) in SLOTS.zip(&change.dns).zip(&fates[4..8]) {
            let slot = Slot::new(n).unwrap();
            match (fate, dns) {
                (Fate::Stays, _) => {}
                (_, Some(dns)) => drop(o.dns.insert(slot, dns.clone())),
                (_, None) => drop(o.dns.remove(&slot)),
            }
        }
        if !matches!(fates[8], Fate::Stays) {
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

/// The least that has to be told of two observations.
fn touched(a: &Observed, b: &Observed) -> Touched {
    let mut touched = Touched::default();
    if let (Some(a), Some(b)) = (a.wireguard.known(), b.wireguard.known()) {
        touched.slots.extend(differing(a, b, |a, b| a == b));
    }
    if let (Some(a), Some(b)) = (a.firewall.known(), b.firewall.known()) {
        let slots = differing(&a.tenants, &b.tenants, |a, b| a == b);
        touched.slots.extend(slots);
    }
    if let (Some(a), Some(b)) = (a.containers.known(), b.containers.known()) {
        touched.containers(a, b);
    }
    if let (Some(a), Some(b)) = (a.folders.known(), b.folders.known()) {
        let folders = differing(a, b, |a, b| a == b);
        folders.iter().for_each(|f| touched.folder(f));
    }
    let same = |a: &Known<ObservedDns>, b: &Known<ObservedDns>| a.known() == b.known();
    touched.slots.extend(differing(&a.dns, &b.dns, same));
    touched
}

fn nobody() -> Now {
    Now {
        spec: Arc::default(),
        observed: Observed {
            wireguard: unknown(),
            firewall: unknown(),
            containers: unknown(),
            dns: BTreeMap::new(),
            folders: unknown(),
        },
        pending: Pending::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn after_any_history_the_kept_plan_is_the_whole_one(
        changes in prop::collection::vec(any_change(), 1..12),
    ) {
        let s = settings();
        let (mut now, mut planner) = (nobody(), Planner::default());
        for change in &changes {
            let next = now.after(change);
            let touched = touched(&now.observed, &next.observed);
            now = next;
            planner.renew(&now.spec, &now.observed, &now.pending, &s, touched);
            let whole = plan(&now.spec, &now.observed, &now.pending, &s);
            prop_assert_eq!(planner.plan(), &whole);
        }
    }
}

#[test]
fn one_change_among_a_thousand_plans_one_slot() {
    let s = settings();
    let all = |n: u16| Arc::new(samples::tenant(&s, n, 2));
    let tenants: BTreeMap<Slot, Arc<TenantSpec>> =
        (1..=1000).map(all).map(|t| (t.slot, t)).collect();
    let mut spec = NodeSpec {
        generation: 1,
        tenants,
    };
    let now = nobody();
    let mut planner = Planner::default();
    let mut renew = |spec: &NodeSpec| {
        let spec = Arc::new(spec.clone());
        let touched = Touched::default();
        planner.renew(&spec, &now.observed, &now.pending, &s, touched)
    };
    assert_eq!(renew(&spec).len(), 1000);
    assert_eq!(renew(&spec).len(), 0);
    let slot = Slot::new(500).unwrap();
    let tenant = spec.tenants.get_mut(&slot).unwrap();
    Arc::make_mut(tenant).devices.clear();
    assert_eq!(renew(&spec), [slot].into());
}
