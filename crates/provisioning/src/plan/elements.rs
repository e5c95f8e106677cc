//! Plans a slot's elements in the firewall.

use super::view::{View, is_ours, wanted_elements};
use crate::{
    observed::{Observation, ObservedFirewallTenant},
    ports::{Change, FirewallChange},
    spec::{FirewallTenant, PacketRate},
};
use domain::Slot;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// A slot's part of a transaction, with its present elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ElementChange {
    /// They are added or changed.
    Set(ObservedFirewallTenant, FirewallTenant),
    /// They are removed.
    Remove(ObservedFirewallTenant),
}

/// Returns the elements that the slot should have: an active tenant's, and those of a
/// slot whose interface still exists or may be being created (then without mesh), so
/// that no interface of ours is ever unfiltered.
fn wanted(v: &View, slot: Slot) -> Option<FirewallTenant> {
    if v.spec.unknown(slot).is_some() && !v.has_earlier_tenants_interface(slot) {
        return v.unknown_elements(slot, may_have_interface(v, slot));
    }
    let own = v
        .active(slot)
        .map(|t| wanted_elements(t, v.observed, v.settings, v.containers, v.is_held(slot)));
    if !may_have_interface(v, slot) || own.is_some() && !v.has_earlier_tenants_interface(slot) {
        return own;
    }
    // While the slot has an earlier tenant's interface, the new tenant's mesh and DNS
    // would apply to the earlier one's devices.
    let firewall = v.observed.firewall.value();
    let present = firewall.and_then(|f| f.tenants.get(&slot));
    Some(FirewallTenant {
        slot,
        subnet: v.settings.addresses.subnet(slot),
        gateway: v.settings.addresses.gateway(slot),
        dns: present.and_then(|t| t.dns).filter(|_| own.is_none()),
        mesh: BTreeSet::new(),
        locked: present.map(|t| t.locked.clone()).unwrap_or_default(),
        // What the earlier tenant's devices send over IPv6 then has a forged source.
        subnet6: None,
        mesh6: BTreeSet::new(),
        locked6: BTreeSet::new(),
        stopped: false,
        tunnel_packets: PacketRate::LEAST,
    })
}

/// Returns whether the slot has an interface of ours, or may have one.
fn may_have_interface(v: &View, slot: Slot) -> bool {
    let may_exist = match (&v.observed.wireguard, &v.observed.firewall) {
        (Observation::Read(w), _) => w.get(&slot).is_some_and(is_ours),
        // A flushed table lists no tenant.
        (Observation::Unreadable(_), Observation::Read(f)) if !f.complete => {
            f.tenants.contains_key(&slot)
                || v.spec.tenants.contains_key(&slot)
                || v.pending.elements.contains(&slot)
        }
        (Observation::Unreadable(_), Observation::Read(f)) => f.tenants.contains_key(&slot),
        (Observation::Unreadable(_), Observation::Unreadable(_)) => false,
    };
    may_exist || v.pending.tunnels.contains(&slot)
}

/// Plans the slot's elements.
pub(super) fn plan(v: &View, slot: Slot) -> Option<ElementChange> {
    let firewall = v.observed.firewall.value()?;
    let present = firewall.tenants.get(&slot);
    match wanted(v, slot) {
        Some(t) => {
            let present = present.cloned().unwrap_or_default();
            let differs = !firewall.complete || present != ObservedFirewallTenant::from_spec(&t);
            differs.then_some(ElementChange::Set(present, t))
        }
        // A table that is written again loses them anyway.
        None => {
            let present = present.filter(|_| firewall.complete)?;
            Some(ElementChange::Remove(present.clone()))
        }
    }
}

/// The nodes that packets to slots' ports are sent on to.
pub(super) type Forwards = BTreeMap<Slot, Ipv4Addr>;

/// Plans where the packets of tenants that have moved away are sent on to.
pub(super) fn plan_forwards(v: &View) -> Option<Change<Forwards>> {
    let from = v.observed.firewall.value()?.forwards.clone();
    let moved = v.spec.moved.iter();
    // A tenant that came back is served here.
    let moved = moved.filter(|(slot, _)| !v.spec.tenants.contains_key(slot));
    let to = moved.filter_map(|(slot, t)| Some((*slot, t.forward?.to)));
    let mut to: Forwards = to.collect();
    // A tenant may have left since an earlier spec.
    let may_have_left = |slot: &Slot| {
        v.spec.is_earlier && v.spec.unknown(*slot).is_some() && !v.spec.moved.contains_key(slot)
    };
    let left = from.iter().filter(|(slot, _)| may_have_left(slot));
    to.extend(left.map(|(slot, host)| (*slot, *host)));
    Some(Change { from, to })
}

/// Combines all slots' parts into one transaction.
pub(super) fn transaction(
    rebuild: bool,
    parts: &BTreeMap<Slot, ElementChange>,
    forwards: Change<Forwards>,
) -> FirewallChange {
    let mut change = FirewallChange {
        rebuild,
        forwards,
        ..FirewallChange::default()
    };
    for (slot, part) in parts {
        match part {
            ElementChange::Set(present, t) => change.set.push((present.clone(), t.clone())),
            ElementChange::Remove(present) => drop(change.remove.insert(*slot, present.clone())),
        }
    }
    change
}

/// Returns whether the slot's elements are in force, and stay so, so that an interface
/// may be created.
pub(super) fn is_filtered(v: &View, slot: Slot) -> bool {
    let addresses = &v.settings.addresses;
    let in_force = v.observed.firewall.value().is_some_and(|f| {
        f.complete
            && f.tenants.get(&slot).is_some_and(|t| {
                t.listed
                    && t.subnets == [addresses.subnet(slot)].into()
                    && t.gateways == [addresses.gateway(slot)].into()
            })
    });
    in_force && !v.pending.is_about_elements(slot)
}
