//! Tracks the addresses whose holders have left and whose tracked connections may
//! still exist. A change of the spec adds them, and so does every step that may have
//! taken a device from an interface; the end of their connections removes them. Also
//! tracks which forwarding of ports the tracked connections follow.

use crate::{
    observed::{Observation, Observed, ObservedInterface},
    pending::Pending,
    plan::{Step, is_others_interface, is_ours},
};
use domain::{AddressPlan, PublicKey, Slot};
use ipnet::{IpNet, Ipv4Net};
use protocol::{NodeSpec, TenantSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// See the module.
#[derive(Debug)]
pub(super) struct StaleConnections {
    slots: BTreeMap<Slot, BTreeSet<Ipv4Net>>,
    /// Whether what an earlier process left may still exist.
    unswept: bool,
    /// Addresses that steps under way take from their holders.
    departing: BTreeMap<Slot, BTreeSet<Ipv4Net>>,
    /// Slots that were added since the step under way began.
    added: BTreeSet<Slot>,
    /// See [`Pending::redirected`].
    redirected: BTreeMap<Slot, Option<Ipv4Addr>>,
}

impl Default for StaleConnections {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            unswept: true,
            departing: BTreeMap::new(),
            added: BTreeSet::new(),
            // The sweep at the start concerns those that an earlier process redirected.
            redirected: BTreeMap::new(),
        }
    }
}

impl StaleConnections {
    /// Writes what is stale into the changes under way.
    pub fn add_to(&mut self, observed: &Observed, pending: &mut Pending) {
        // What was in force once may still be followed after it has ended.
        let firewall = observed.firewall.value().into_iter();
        for slot in firewall.flat_map(|f| f.forwards.keys()) {
            self.redirected.entry(*slot).or_insert(None);
        }
        pending.stale_connections.clone_from(&self.slots);
        pending.unswept = self.unswept;
        pending.redirected.clone_from(&self.redirected);
    }

    /// Adds the addresses that another spec takes from their holders.
    pub fn spec_changed(
        &mut self,
        old: &NodeSpec,
        new: &NodeSpec,
        observed: &Observed,
        addresses: &AddressPlan,
    ) {
        // What an earlier spec did not have was left alone.
        self.unswept |= old.is_earlier && !new.is_earlier;
        for (slot, before) in old.unknown_tenants() {
            if new.unknown(slot) != Some(before) {
                // What changed while it could not be read is not known.
                let now = new.tenants.get(&slot).filter(|t| !t.suspended);
                let interfaces = observed.wireguard.value();
                let present = interfaces.and_then(|w| w.get(&slot));
                self.add(slot, not_held(slot, now.zip(present), addresses));
            }
        }
        for (slot, before) in old.tenants.iter().filter(|(_, t)| !t.suspended) {
            match new.tenants.get(slot) {
                Some(now) if Arc::ptr_eq(before, now) => {}
                Some(now) if !now.suspended && is_same_tenant(before, now) => {
                    self.add(*slot, lost_addresses(before, now));
                }
                _ => self.add(*slot, whole(*slot, addresses)),
            }
        }
    }

    /// Records that a step begins which may take addresses from their holders.
    /// `observed` is what is known before it: by its end, a reading may show its effect.
    pub fn step_began(&mut self, step: &Step, observed: &Observed, addresses: &AddressPlan) {
        let (slot, networks) = match step {
            Step::DeleteInterface(slot) => (*slot, whole(*slot, addresses)),
            Step::ChangePeers(slot, change) if !change.remove.is_empty() => {
                let networks = match &observed.wireguard {
                    Observation::Read(interfaces) => {
                        addresses_of(&change.remove, interfaces.get(slot))
                    }
                    Observation::Unreadable(_) => whole(*slot, addresses),
                };
                // An external change may have given a peer any address.
                let subnet = addresses.subnet(*slot);
                let own = networks.into_iter().filter(|net| subnet.contains(net));
                (*slot, own.collect())
            }
            Step::EndConnections(_) => return self.added.clear(),
            Step::SweepConnections(_) => {
                // What is swept begins again as the table says that is in force by then.
                let firewall = observed.firewall.value().into_iter();
                let forwards = firewall.flat_map(|f| &f.forwards);
                self.redirected = forwards.map(|(slot, to)| (*slot, Some(*to))).collect();
                return self.added.clear();
            }
            Step::RedirectConnections(slots) => {
                let unknown = slots.keys().map(|slot| (*slot, None));
                return self.redirected.extend(unknown);
            }
            _ => return,
        };
        self.departing.insert(slot, networks);
    }

    /// Adds the addresses that a step may have taken from their holders, whether it
    /// succeeded or not.
    pub fn step_ended(&mut self, step: &Step) {
        if let Step::DeleteInterface(slot) | Step::ChangePeers(slot, _) = step
            && let Some(networks) = self.departing.remove(slot)
        {
            self.add(*slot, networks);
        }
    }

    /// Records that a step of the lane of connections has succeeded.
    pub fn ended(
        &mut self,
        step: &Step,
        spec: &NodeSpec,
        observed: &Observed,
        addresses: &AddressPlan,
    ) {
        match step {
            Step::SweepConnections(_) => {
                self.unswept = false;
                // Devices of an earlier tenant may still send.
                let interfaces = observed.wireguard.value().into_iter().flatten();
                for (slot, i) in interfaces.filter(|(_, i)| is_ours(i)) {
                    // Those of one that cannot be read were left to it.
                    let unknown = spec.unknown(*slot);
                    if unknown.is_some_and(|t| !is_others_interface(t, i)) {
                        continue;
                    }
                    let tenant = spec.tenants.get(slot).filter(|t| !t.suspended);
                    let key = tenant.map(|t| t.private_key.public());
                    if key.is_none() || i.public_key != key {
                        self.add(*slot, whole(*slot, addresses));
                    }
                }
            }
            Step::EndConnections(slots) => {
                for (slot, networks) in slots.iter().filter(|(s, _)| !self.added.contains(s)) {
                    if let Some(stale) = self.slots.get_mut(slot) {
                        stale.retain(|net| !networks.contains(net));
                    }
                }
                self.slots.retain(|_, stale| !stale.is_empty());
            }
            Step::RedirectConnections(slots) => {
                for (slot, to) in slots {
                    match to {
                        Some(to) => drop(self.redirected.insert(*slot, Some(*to))),
                        None => drop(self.redirected.remove(slot)),
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, slot: Slot, networks: BTreeSet<Ipv4Net>) {
        if !networks.is_empty() {
            self.added.insert(slot);
            self.slots.entry(slot).or_default().extend(networks);
        }
    }
}

/// Returns the addresses from which some peers of an interface may send.
fn addresses_of(keys: &[PublicKey], i: Option<&ObservedInterface>) -> BTreeSet<Ipv4Net> {
    let peers = i.into_iter().flat_map(|i| &i.peers);
    let peers = peers.filter(|(key, _)| keys.contains(key));
    let networks = peers.flat_map(|(_, peer)| &peer.allowed_ips);
    let networks = networks.filter_map(|net| match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    });
    networks.collect()
}

/// Returns everything of a slot: its tunnel's subnet and its container's address.
fn whole(slot: Slot, addresses: &AddressPlan) -> BTreeSet<Ipv4Net> {
    [
        addresses.subnet(slot).trunc(),
        Ipv4Net::from(addresses.container(slot)),
    ]
    .into()
}

/// Returns everything of a slot but the addresses that its tenant's devices already
/// have on its interface.
fn not_held(
    slot: Slot,
    present: Option<(&Arc<TenantSpec>, &ObservedInterface)>,
    addresses: &AddressPlan,
) -> BTreeSet<Ipv4Net> {
    let own = present.filter(|(t, i)| i.public_key == Some(t.private_key.public()));
    let Some((t, i)) = own else {
        return whole(slot, addresses);
    };
    let has = |key: &PublicKey, address: Ipv4Addr| {
        let peer = i.peers.get(key);
        let of_ipv6 = t.ipv6.map(|net| IpAddr::from(net.device(address)));
        let own = [Some(IpAddr::from(address)), of_ipv6];
        let is_own = |net: &IpNet| own.contains(&Some(net.addr()));
        peer.is_some_and(|peer| peer.allowed_ips.iter().all(is_own))
    };
    let held = t.devices.values();
    let held = held.filter(|d| has(&d.public_key, d.address));
    let mut held: BTreeSet<Ipv4Addr> = held.map(|d| d.address).collect();
    held.insert(addresses.gateway(slot));
    let all = addresses.subnet(slot).hosts();
    all.filter(|at| !held.contains(at))
        .map(Ipv4Net::from)
        .collect()
}

fn is_same_tenant(a: &TenantSpec, b: &TenantSpec) -> bool {
    a.private_key.public() == b.private_key.public()
}

/// Returns the addresses whose device is another one now, or none.
fn lost_addresses(before: &TenantSpec, now: &TenantSpec) -> BTreeSet<Ipv4Net> {
    let holders = |t: &TenantSpec| -> BTreeSet<(Ipv4Addr, domain::DeviceId)> {
        let devices = t.devices.iter();
        devices.map(|(id, device)| (device.address, *id)).collect()
    };
    let now = holders(now);
    let lost = holders(before).into_iter().filter(|at| !now.contains(at));
    lost.map(|(address, _)| Ipv4Net::from(address)).collect()
}
