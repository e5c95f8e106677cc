//! Plans a slot's interface.

use super::{
    elements::is_filtered,
    step::Step,
    view::{View, is_ours},
};
use crate::{
    derive::TenantSpecExt,
    observed::{Observation, ObservedInterface, ObservedPeer},
    ports::PeerChange,
    spec::{InterfaceSpec, PeerSpec},
};
use domain::{PublicKey, Slot};

/// Plans the slot's interface.
pub(super) fn plan(v: &View, slot: Slot) -> Vec<Step> {
    let Observation::Read(interfaces) = &v.observed.wireguard else {
        return vec![];
    };
    let present = interfaces.get(&slot);
    let Some(t) = v.active(slot) else {
        let ours = present.is_some_and(is_ours);
        let stays = v.spec.unknown(slot).is_some() && !v.has_earlier_tenants_interface(slot);
        return (ours && !stays)
            .then_some(Step::DeleteInterface(slot))
            .into_iter()
            .collect();
    };
    match present {
        Some(i) if !is_ours(i) => vec![],
        Some(_) if v.has_earlier_tenants_interface(slot) => vec![Step::DeleteInterface(slot)],
        Some(i) => {
            let wanted = t.interface(v.settings);
            // Nothing is added while an earlier holder's connections may be tracked.
            let stale = v.pending.stale_connections.contains_key(&slot);
            if stale || v.pending.unswept && has_other_key(&wanted, i) {
                let departing = departing_peers(&wanted, i);
                return removal(slot, departing).into_iter().collect();
            }
            update(slot, wanted, i)
        }
        None if v.pending.unswept || v.pending.stale_connections.contains_key(&slot) => vec![],
        None if is_filtered(v, slot) => vec![Step::EnsureInterface(t.interface(v.settings))],
        None => vec![],
    }
}

/// Plans the change of a tenant's own interface. Peers are removed first and by a step
/// of its own: the removal must not fail because a port is taken.
fn update(slot: Slot, wanted: InterfaceSpec, i: &ObservedInterface) -> Vec<Step> {
    let same = i.public_key == Some(wanted.private_key.public())
        && i.listen_port == slot.listen_port()
        && i.addresses == wanted.addresses()
        && i.up;
    let change = peer_change(&wanted, i);
    if same {
        return Some(change)
            .filter(|c| !c.is_empty())
            .map(|c| Step::ChangePeers(slot, c))
            .into_iter()
            .collect();
    }
    removal(slot, change.remove)
        .into_iter()
        .chain([Step::EnsureInterface(wanted)])
        .collect()
}

/// Returns whether the interface has another key than the tenant's: an external change,
/// or an earlier tenant of the same name, and so with the same mark.
fn has_other_key(wanted: &InterfaceSpec, i: &ObservedInterface) -> bool {
    i.public_key != Some(wanted.private_key.public())
}

/// Returns the peers that may send from an address that is no longer theirs. Behind
/// another key all may, even if their devices are the tenant's now.
pub(super) fn departing_peers(wanted: &InterfaceSpec, i: &ObservedInterface) -> Vec<PublicKey> {
    let other_key = has_other_key(wanted, i);
    let departs = |key: &PublicKey, peer: &ObservedPeer| {
        let own = wanted.peers.get(key).map(PeerSpec::allowed_ips);
        other_key || own.is_none_or(|own| !peer.allowed_ips.is_subset(&own))
    };
    let peers = i.peers.iter().filter(|(key, peer)| departs(key, peer));
    peers.map(|(key, _)| *key).collect()
}

/// Returns the step that removes these peers, if there are any.
fn removal(slot: Slot, remove: Vec<PublicKey>) -> Option<Step> {
    let change = PeerChange {
        remove,
        ..PeerChange::default()
    };
    (!change.is_empty()).then_some(Step::ChangePeers(slot, change))
}

/// Returns the fewest changes that make an interface's peers match the spec.
pub fn peer_change(wanted: &InterfaceSpec, present: &ObservedInterface) -> PeerChange {
    PeerChange {
        remove: present
            .peers
            .keys()
            .filter(|k| !wanted.peers.contains_key(k))
            .copied()
            .collect(),
        set: wanted
            .peers
            .iter()
            .filter(|(key, p)| {
                let own = p.allowed_ips();
                !present.peers.get(key).is_some_and(|o| {
                    o.allowed_ips == own && o.preshared_key.as_ref() == Some(&p.preshared_key)
                })
            })
            .map(|(k, p)| (*k, p.clone()))
            .collect(),
    }
}
