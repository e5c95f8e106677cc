//! Properties of the planner: from any observed state its plans lead to the spec, the
//! plan after that is empty, and a step never names a foreign object.
#![allow(clippy::unwrap_used)]

mod arbitrary;

use arbitrary::{SLOTS, any_observed, any_spec, settings};
use proptest::prelude::*;
use protocol::{NodeSpec, UnreadableTenant};
use provisioning::{
    Observation, Observed, Pending, TenantSpecExt,
    hash::content_hash,
    observed::{
        ContainerState, ObservedContainer, ObservedDns, ObservedFirewall, ObservedFirewallTenant,
        ObservedFolder, ObservedInterface, ObservedPeer,
    },
    plan::{Step, is_ours, plan},
};
use testkit::samples;

/// Applies a step to a model of the machine.
fn apply(step: &Step, spec: &NodeSpec, o: &mut Observed) {
    let s = settings();
    let (
        Observation::Read(w),
        Observation::Read(f),
        Observation::Read(speeds),
        Observation::Read(c),
        Observation::Read(d),
    ) = (
        &mut o.wireguard,
        &mut o.firewall,
        &mut o.shaping,
        &mut o.containers,
        &mut o.folders,
    )
    else {
        panic!("everything is readable in the model")
    };
    match step {
        Step::Firewall(change) => {
            if change.rebuild {
                *f = ObservedFirewall {
                    complete: true,
                    ..ObservedFirewall::default()
                };
            }
            change.remove.keys().for_each(|s| drop(f.tenants.remove(s)));
            f.tenants.extend(
                change
                    .set
                    .iter()
                    .map(|(_, t)| (t.slot, ObservedFirewallTenant::from_spec(t))),
            );
            f.forwards.clone_from(&change.forwards.to);
        }
        Step::DeleteInterface(slot) => {
            assert!(
                is_ours(&w.remove(slot).unwrap()),
                "a foreign interface was deleted"
            );
        }
        Step::EnsureInterface(i) => {
            assert!(
                w.get(&i.slot).is_none_or(is_ours),
                "a foreign interface was replaced"
            );
            assert!(
                f.complete && f.tenants.get(&i.slot).is_some_and(|t| t.listed)
                    || w.contains_key(&i.slot),
                "the interface has no elements in the firewall"
            );
            let peers = i
                .peers
                .iter()
                .map(|(k, p)| {
                    (
                        *k,
                        ObservedPeer {
                            preshared_key: Some(p.preshared_key.clone()),
                            allowed_ips: p.allowed_ips(),
                        },
                    )
                })
                .collect();
            w.insert(
                i.slot,
                ObservedInterface {
                    owner: Some(i.owner.clone()),
                    public_key: Some(i.private_key.public()),
                    listen_port: i.slot.listen_port(),
                    addresses: i.addresses(),
                    up: true,
                    peers,
                },
            );
        }
        Step::ChangePeers(slot, change) => {
            let i = w.get_mut(slot).unwrap();
            i.peers.retain(|k, _| !change.remove.contains(k));
            i.peers.extend(change.set.iter().map(|(k, p)| {
                (
                    *k,
                    ObservedPeer {
                        preshared_key: Some(p.preshared_key.clone()),
                        allowed_ips: p.allowed_ips(),
                    },
                )
            }));
        }
        Step::LimitSpeed(slot, limits) => {
            speeds.remove(slot);
            let speed = testkit::expected::speed(*limits);
            speeds.extend((!limits.is_unlimited()).then_some((*slot, speed)));
        }
        // The model has no tracked connections.
        Step::RedirectConnections(_) => {}
        Step::EndConnections(_) | Step::SweepConnections(_) | Step::SetAside(..) => {
            panic!("nothing is stale or damaged in the model")
        }
        Step::RemoveContainer(id) => {
            c.ours.retain(|x| x.id != *id);
        }
        Step::StartContainer(slot) => {
            assert!(f.complete, "a container was started without the table");
            let t = &spec.tenants[slot];
            match c.ours.iter_mut().find(|x| x.name == t.name.container()) {
                Some(x) => x.state = ContainerState::Running,
                None => {
                    assert!(c.image, "a container was created without an image");
                    c.ours.push(ObservedContainer {
                        id: format!("new{slot}"),
                        name: t.name.container(),
                        slot: Some(*slot),
                        revision: t.container(&s).revision(),
                        state: ContainerState::Running,
                    });
                }
            }
            o.dns.insert(
                *slot,
                Observation::Read(ObservedDns {
                    running: true,
                    ..ObservedDns::default()
                }),
            );
        }
        Step::SetClients(slot) => {
            let dns = ObservedDns::with_clients(&spec.tenants[slot].clients(&s));
            o.dns.insert(*slot, Observation::Read(dns));
        }
        Step::WriteFolder(slot) => {
            let t = &spec.tenants[slot];
            let conf = (
                format!("{}.conf", slot.interface()),
                content_hash(t.wg_conf().expose().as_bytes()),
            );
            d.insert(
                t.name.folder(),
                ObservedFolder {
                    wg_confs: [conf].into(),
                    owner: Some(t.private_key.public().to_string()),
                    ..ObservedFolder::default()
                },
            );
        }
        Step::RemoveFolder(name) => {
            d.remove(name);
        }
        Step::FetchImage => c.image = true,
    }
}

/// Notes that connections follow a forwarding, as the node does.
fn follow(step: &Step, pending: &mut Pending) {
    if let Step::RedirectConnections(slots) = step {
        for (slot, to) in slots {
            match to {
                Some(to) => drop(pending.redirected.insert(*slot, Some(*to))),
                None => drop(pending.redirected.remove(slot)),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn plans_lead_from_any_state_to_the_spec(mut spec in any_spec(), mut observed in any_observed()) {
        spec.unreadable.clear();
        spec.is_earlier = false;
        let s = settings();
        let foreign: Vec<_> = observed.wireguard.value().unwrap().iter().filter(|(_, i)| !is_ours(i)).map(|(s, i)| (*s, i.clone())).collect();
        let moved = spec.moved.values().map(|t| t.name.folder());
        let kept = moved.filter(|name| observed.folders.value().unwrap().contains_key(name)).count();
        let mut passes = 0;
        let mut pending = Pending::default();
        loop {
            let plan = plan(&spec, &observed, &pending, &s);
            if plan.is_empty() {
                break;
            }
            passes += 1;
            prop_assert!(passes <= 8, "still planning {plan:?}");
            for step in plan.values().flatten() {
                apply(step, &spec, &mut observed);
                follow(step, &mut pending);
            }
        }
        let (w, f, c, d) = (observed.wireguard.value().unwrap(), observed.firewall.value().unwrap(), observed.containers.value().unwrap(), observed.folders.value().unwrap());
        for (slot, i) in foreign {
            prop_assert_eq!(&w[&slot], &i, "a foreign interface was changed");
        }
        for t in spec.tenants.values() {
            prop_assert!(d.contains_key(&t.name.folder()));
            prop_assert_eq!(c.ours.iter().any(|x| x.name == t.name.container()), !t.suspended && !t.asleep);
            let exists = w.get(&t.slot).is_some_and(is_ours);
            let blocked = w.get(&t.slot).is_some_and(|i| !is_ours(i));
            prop_assert_eq!(exists, !t.suspended && !blocked);
            if exists {
                prop_assert_eq!(w[&t.slot].peers.len(), t.devices.len());
            }
            prop_assert_eq!(f.tenants.contains_key(&t.slot), !t.suspended);
            let limited = exists && !t.limits.speed.is_unlimited();
            let speed = observed.shaping.value().unwrap().get(&t.slot);
            let expected = testkit::expected::speed(t.limits.speed);
            prop_assert_eq!(speed, limited.then_some(&expected));
        }
        let forwards = spec.moved.iter().filter_map(|(slot, t)| Some((*slot, t.forward?.to)));
        prop_assert_eq!(&f.forwards, &forwards.collect());
        let followed = pending.redirected.iter().map(|(slot, to)| (*slot, to.unwrap()));
        prop_assert_eq!(&f.forwards, &followed.collect());
        prop_assert_eq!(d.len(), spec.tenants.len() + kept, "folders of moved tenants stay");
        prop_assert_eq!(c.ours.len(), spec.tenants.values().filter(|t| !t.suspended && !t.asleep).count());
    }

    #[test]
    fn a_tenant_that_cannot_be_read_keeps_what_it_has(spec in any_spec(), mut observed in any_observed()) {
        let s = settings();
        // One in each slot without a tenant, each with its key and its name.
        let mut spec = spec;
        spec.is_earlier = false;
        for n in SLOTS {
            let t = samples::tenant(&s, n, 0);
            let lost = UnreadableTenant {
                name: Some(t.name.clone()),
                owner: Some(t.private_key.public()),
                place: "a row".to_owned(),
            };
            spec.unreadable.insert(t.slot, lost);
        }
        let before = observed.clone();
        let mut pending = Pending::default();
        for _ in 0..8 {
            for step in plan(&spec, &observed, &pending, &s).values().flatten() {
                apply(step, &spec, &mut observed);
                follow(step, &mut pending);
            }
        }
        prop_assert!(plan(&spec, &observed, &pending, &s).is_empty());
        let readable = |o: &Observed| (o.wireguard.value().unwrap().clone(), o.firewall.value().unwrap().clone(), o.containers.value().unwrap().clone(), o.folders.value().unwrap().clone());
        let ((w, f, c, d), (w_now, f_now, c_now, d_now)) = (readable(&before), readable(&observed));
        for (slot, _) in spec.unknown_tenants() {
            let t = samples::tenant(&s, slot.get(), 0);
            let own = |i: &ObservedInterface| i.owner == Some(t.owner()) && i.public_key == Some(t.private_key.public());
            match w.get(&slot) {
                Some(i) if !is_ours(i) || own(i) => prop_assert_eq!(w_now.get(&slot), Some(i)),
                _ => prop_assert_eq!(w_now.get(&slot), None, "another tenant's interface stays"),
            }
            if f.complete && w.get(&slot).is_none_or(own)
                && let Some(elements) = f.tenants.get(&slot)
            {
                let now = &f_now.tenants[&slot];
                prop_assert_eq!((&now.mesh, now.dns, now.stopped), (&elements.mesh, elements.dns, elements.stopped));
            }
            let own = |x: &&ObservedContainer| x.slot == Some(slot) && x.name == t.name.container();
            for x in c.ours.iter().filter(own) {
                prop_assert!(c_now.ours.contains(x), "its container stays");
            }
            let folder = t.name.folder();
            prop_assert_eq!(d_now.get(&folder), d.get(&folder));
            prop_assert_eq!(observed.shaping.value().unwrap().get(&slot), before.shaping.value().unwrap().get(&slot));
        }
    }

    #[test]
    fn what_an_earlier_process_did_not_know_stays(mut spec in any_spec(), mut observed in any_observed()) {
        let s = settings();
        spec.is_earlier = true;
        spec.unreadable.clear();
        let before = observed.clone();
        let mut pending = Pending::default();
        for _ in 0..8 {
            for step in plan(&spec, &observed, &pending, &s).values().flatten() {
                apply(step, &spec, &mut observed);
                follow(step, &mut pending);
            }
        }
        prop_assert!(plan(&spec, &observed, &pending, &s).is_empty());
        let readable = |o: &Observed| (o.wireguard.value().unwrap().clone(), o.firewall.value().unwrap().clone(), o.containers.value().unwrap().clone(), o.folders.value().unwrap().clone());
        let ((w, f, c, d), (w_now, f_now, c_now, d_now)) = (readable(&before), readable(&observed));
        for n in SLOTS {
            let t = samples::tenant(&s, n, 0);
            let slot = t.slot;
            if spec.tenants.contains_key(&slot) {
                continue;
            }
            prop_assert_eq!(w_now.get(&slot), w.get(&slot));
            if f.complete && let Some(elements) = f.tenants.get(&slot) {
                let now = &f_now.tenants[&slot];
                prop_assert_eq!((&now.mesh, now.dns, now.stopped), (&elements.mesh, elements.dns, elements.stopped));
            }
            for x in c.ours.iter().filter(|x| x.slot == Some(slot)) {
                prop_assert!(c_now.ours.contains(x), "its container stays");
            }
            let forward = |of: &ObservedFirewall| of.forwards.get(&slot).copied();
            let knows = spec.moved.contains_key(&slot);
            prop_assert!(knows || forward(&f_now) == forward(&f), "it is sent on");
            let folder = t.name.folder();
            prop_assert_eq!(d_now.get(&folder), d.get(&folder));
            prop_assert_eq!(observed.shaping.value().unwrap().get(&slot), before.shaping.value().unwrap().get(&slot));
        }
        for folder in d.keys() {
            prop_assert!(d_now.contains_key(folder), "{} stays", folder);
        }
    }

    #[test]
    fn equal_inputs_yield_equal_plans(spec in any_spec(), observed in any_observed()) {
        let make = || plan(&spec, &observed, &Pending::default(), &settings());
        prop_assert_eq!(make(), make());
    }
}
