//! A slot's elements in the firewall.

use super::{is_ours, view::View, wanted_elements};
use crate::{
    observed::{Known, ObservedFirewallTenant},
    ports::FirewallChange,
    spec::FirewallTenant,
};
use domain::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// A slot's part of a transaction, with what stands of its elements now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ElementChange {
    /// They come or change.
    Set(ObservedFirewallTenant, FirewallTenant),
    /// They go.
    Remove(ObservedFirewallTenant),
}

/// The elements the slot should have: an active tenant's, and those of a slot
/// whose interface still stands or may be coming (then without mesh), so that
/// no interface of ours is ever unfiltered.
fn wanted(v: &View, slot: Slot) -> Option<FirewallTenant> {
    let own = v
        .active(slot)
        .map(|t| wanted_elements(t, v.observed, v.settings, v.containers));
    if !is_leaving(v, slot) || own.is_some() && !v.anothers_stands(slot) {
        return own;
    }
    // While an earlier tenant's interface stands in the slot, the new one's
    // mesh would be that one's.
    Some(FirewallTenant {
        slot,
        subnet: v.settings.addresses.subnet(slot),
        gateway: v.settings.addresses.gateway(slot),
        dns: v.settings.addresses.container(slot),
        mesh: BTreeSet::new(),
    })
}

/// Whether an interface of ours stands in the slot, or may be there.
fn is_leaving(v: &View, slot: Slot) -> bool {
    let may_stand = match (&v.observed.wireguard, &v.observed.firewall) {
        (Known::Known(w), _) => w.get(&slot).is_some_and(is_ours),
        // A table that was flushed knows of nobody.
        (Known::Unknown(_), Known::Known(f)) if !f.complete => {
            f.tenants.contains_key(&slot)
                || v.spec.tenants.contains_key(&slot)
                || v.pending.elements.contains(&slot)
        }
        (Known::Unknown(_), Known::Known(f)) => f.tenants.contains_key(&slot),
        (Known::Unknown(_), Known::Unknown(_)) => false,
    };
    may_stand || v.pending.tunnels.contains(&slot)
}

/// What is to be done about the slot's elements.
pub(super) fn plan(v: &View, slot: Slot) -> Option<ElementChange> {
    let stands = v.observed.firewall.known()?;
    let now = stands.tenants.get(&slot);
    match wanted(v, slot) {
        Some(t) => {
            let now = now.cloned().unwrap_or_default();
            let differs = !stands.complete || now != ObservedFirewallTenant::of(&t);
            differs.then_some(ElementChange::Set(now, t))
        }
        // A table that is written anew loses them anyway.
        None => {
            let now = now.filter(|_| stands.complete)?;
            Some(ElementChange::Remove(now.clone()))
        }
    }
}

/// All slots' parts as one transaction.
pub(super) fn transaction(rebuild: bool, parts: &BTreeMap<Slot, ElementChange>) -> FirewallChange {
    let mut change = FirewallChange {
        rebuild,
        ..FirewallChange::default()
    };
    for (slot, part) in parts {
        match part {
            ElementChange::Set(now, t) => change.set.push((now.clone(), t.clone())),
            ElementChange::Remove(now) => drop(change.remove.insert(*slot, now.clone())),
        }
    }
    change
}

/// Whether the slot's elements stand, and stay, so that an interface may come up.
pub(super) fn filtered(v: &View, slot: Slot) -> bool {
    let addresses = &v.settings.addresses;
    let stand = v.observed.firewall.known().is_some_and(|f| {
        f.complete
            && f.tenants.get(&slot).is_some_and(|t| {
                t.listed
                    && t.subnets == [addresses.subnet(slot)].into()
                    && t.gateways == [addresses.gateway(slot)].into()
            })
    });
    stand && !v.pending.is_about_elements(slot)
}
