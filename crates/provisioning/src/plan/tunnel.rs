//! Plans a slot's interface.

use super::{
    elements::is_filtered,
    step::Step,
    view::{View, is_ours},
};
use crate::{
    derive::TenantSpecExt,
    observed::{Observation, ObservedInterface},
    ports::PeerChange,
    spec::InterfaceSpec,
};
use domain::Slot;
use ipnet::IpNet;

/// Plans the slot's interface.
pub(super) fn plan(v: &View, slot: Slot) -> Vec<Step> {
    let Observation::Read(interfaces) = &v.observed.wireguard else {
        return vec![];
    };
    let present = interfaces.get(&slot);
    let Some(t) = v.active(slot) else {
        let ours = present.is_some_and(is_ours);
        return ours
            .then_some(Step::DeleteInterface(slot))
            .into_iter()
            .collect();
    };
    match present {
        Some(i) if !is_ours(i) => vec![],
        Some(_) if v.has_earlier_tenants_interface(slot) => vec![Step::DeleteInterface(slot)],
        Some(i) => update(slot, t.interface(v.settings), i),
        None if is_filtered(v, slot) => vec![Step::EnsureInterface(t.interface(v.settings))],
        None => vec![],
    }
}

/// Plans the change of a tenant's own interface. Peers are removed first and by a step
/// of its own: the removal must not fail because a port is taken.
fn update(slot: Slot, wanted: InterfaceSpec, i: &ObservedInterface) -> Vec<Step> {
    let same = i.public_key == Some(wanted.private_key.public())
        && i.listen_port == slot.listen_port()
        && i.addresses.len() == 1
        && i.addresses.contains(&wanted.address)
        && i.up;
    let change = peer_change(&wanted, i);
    if same {
        return Some(change)
            .filter(|c| !c.is_empty())
            .map(|c| Step::ChangePeers(slot, c))
            .into_iter()
            .collect();
    }
    let removal = PeerChange {
        remove: change.remove,
        ..PeerChange::default()
    };
    let first = (!removal.is_empty()).then_some(Step::ChangePeers(slot, removal));
    first
        .into_iter()
        .chain([Step::EnsureInterface(wanted)])
        .collect()
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
                let only = IpNet::from(std::net::IpAddr::from(p.address));
                !present.peers.get(key).is_some_and(|o| {
                    o.allowed_ips.len() == 1
                        && o.allowed_ips.contains(&only)
                        && o.preshared_key.as_ref() == Some(&p.preshared_key)
                })
            })
            .map(|(k, p)| (*k, p.clone()))
            .collect(),
    }
}
