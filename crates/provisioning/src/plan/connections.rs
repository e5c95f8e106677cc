//! Plans the end of tracked connections whose devices have left. The kernel tracks a
//! connection for up to days after its device is gone, and gives what still arrives
//! for it to the next holder of the address.

use super::{
    step::Step,
    tunnel::departing_peers,
    view::{View, is_ours},
};
use crate::{derive::TenantSpecExt, observed::Observation};
use domain::Slot;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// Plans the lane of the table of connections.
pub(super) fn plan(v: &View) -> Vec<Step> {
    let mut steps = plan_devices(v);
    steps.extend(plan_forwards(v));
    steps
}

/// Plans the end of the connections to ports that are sent on, or are not any more: the
/// kernel translates a tracked connection as when it began.
fn plan_forwards(v: &View) -> Option<Step> {
    let in_force = &v.observed.firewall.value()?.forwards;
    let followed = &v.pending.redirected;
    let slots: BTreeSet<Slot> = in_force.keys().chain(followed.keys()).copied().collect();
    let differing = slots
        .into_iter()
        .filter(|slot| in_force.get(slot).map(|to| Some(*to)) != followed.get(slot).copied())
        // A tunnel that still sends from the port begins flows that are not sent on.
        .filter(|slot| !in_force.contains_key(slot) || has_no_tunnel(v, *slot))
        .map(|slot| (slot, in_force.get(&slot).copied()));
    let differing: BTreeMap<_, _> = differing.collect();
    (!differing.is_empty()).then_some(Step::RedirectConnections(differing))
}

fn has_no_tunnel(v: &View, slot: Slot) -> bool {
    let interfaces = v.observed.wireguard.value();
    let is_gone = interfaces.is_some_and(|w| !w.get(&slot).is_some_and(is_ours));
    is_gone && !v.pending.tunnels.contains(&slot)
}

fn plan_devices(v: &View) -> Vec<Step> {
    if v.observed.wireguard.value().is_none() {
        return vec![];
    }
    if v.pending.unswept {
        // Flows begin again as the table says by then. One that was not read may change unseen.
        let table = v.observed.firewall.value();
        let sweep = table.map(|_| Step::SweepConnections(held(v)));
        return sweep.into_iter().collect();
    }
    let stale = v.pending.stale_connections.iter();
    let ready = stale.filter(|(slot, _)| carries_nothing_stale(v, **slot));
    let ready: BTreeMap<_, _> = ready.map(|(slot, of)| (*slot, of.clone())).collect();
    match ready.is_empty() {
        true => vec![],
        false => vec![Step::EndConnections(ready)],
    }
}

/// Returns whether no packet of a device that has left can pass the slot's interface
/// any more, so that what is ended now stays ended.
fn carries_nothing_stale(v: &View, slot: Slot) -> bool {
    let Observation::Read(interfaces) = &v.observed.wireguard else {
        return false;
    };
    let gone = match (interfaces.get(&slot).filter(|i| is_ours(i)), v.active(slot)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(i), Some(t)) => {
            !v.has_earlier_tenants_interface(slot)
                && departing_peers(&t.interface(v.settings), i).is_empty()
        }
    };
    gone && !v.pending.tunnels.contains(&slot)
}

/// Returns the addresses whose connections are their present holders': ours, and those
/// of the devices and the container behind an interface that is already its tenant's.
fn held(v: &View) -> BTreeSet<Ipv4Addr> {
    let interfaces = v.observed.wireguard.value();
    let tenants = v.spec.tenants.values().filter(|t| {
        let present = interfaces.and_then(|w| w.get(&t.slot));
        !t.suspended
            && present.is_some_and(|i| is_ours(i) && i.public_key == Some(t.private_key.public()))
    });
    let addresses = tenants.flat_map(|t| {
        let devices = t.devices.values().map(|d| d.address);
        let ranges = &v.settings.addresses;
        devices.chain([ranges.gateway(t.slot), ranges.container(t.slot)])
    });
    let bridge = [v.settings.addresses.bridge()];
    let unknown = interfaces.into_iter().flat_map(|w| w.keys());
    let unknown = unknown.filter(|slot| v.spec.unknown(**slot).is_some());
    let unknown = unknown.flat_map(|slot| unknown_held(v, *slot));
    addresses.chain(unknown).chain(bridge).collect()
}

/// Returns the same for a tenant of which nothing is known: what its interface has.
fn unknown_held(v: &View, slot: Slot) -> Vec<Ipv4Addr> {
    let interfaces = v.observed.wireguard.value();
    let present = interfaces.and_then(|w| w.get(&slot)).filter(|i| is_ours(i));
    let Some(i) = present.filter(|_| !v.has_earlier_tenants_interface(slot)) else {
        return vec![];
    };
    let ranges = &v.settings.addresses;
    let networks = i.peers.values().flat_map(|peer| &peer.allowed_ips);
    let devices = networks.filter_map(|net| match net {
        IpNet::V4(net) => Some(net.addr()),
        IpNet::V6(_) => None,
    });
    let own = [ranges.gateway(slot), ranges.container(slot)];
    devices.chain(own).collect()
}
