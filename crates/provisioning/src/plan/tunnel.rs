//! A slot's interface.

use super::{Step, elements::filtered, is_ours, view::View};
use crate::{
    observed::{Known, ObservedInterface},
    ports::PeerChange,
    spec::InterfaceSpec,
};
use domain::Slot;
use ipnet::IpNet;

/// What is to be done about the slot's interface.
pub(super) fn plan(v: &View, slot: Slot) -> Vec<Step> {
    let Known::Known(interfaces) = &v.observed.wireguard else {
        return vec![];
    };
    let stands = interfaces.get(&slot);
    let Some(t) = v.active(slot) else {
        let ours = stands.is_some_and(is_ours);
        return ours
            .then_some(Step::DeleteInterface(slot))
            .into_iter()
            .collect();
    };
    match stands {
        Some(i) if !is_ours(i) => vec![],
        Some(_) if v.anothers_stands(slot) => vec![Step::DeleteInterface(slot)],
        Some(i) => put_right(slot, t.interface(v.settings), i),
        None if filtered(v, slot) => vec![Step::EnsureInterface(t.interface(v.settings))],
        None => vec![],
    }
}

/// The way from a tenant's own interface to what it should be. Removals go
/// first and by themselves: they must not fail with a port that is taken.
fn put_right(slot: Slot, wanted: InterfaceSpec, i: &ObservedInterface) -> Vec<Step> {
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

/// The fewest changes that bring an interface's peers to the spec.
pub fn peer_change(wanted: &InterfaceSpec, stands: &ObservedInterface) -> PeerChange {
    PeerChange {
        remove: stands
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
                !stands.peers.get(key).is_some_and(|o| {
                    o.allowed_ips.len() == 1
                        && o.allowed_ips.contains(&only)
                        && o.preshared_key.as_ref() == Some(&p.preshared_key)
                })
            })
            .map(|(k, p)| (*k, p.clone()))
            .collect(),
    }
}
