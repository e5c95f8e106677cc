//! Which entries are meant: by the networks of their ends, and by the slot that an
//! end belongs to.

use crate::wire::Entry;
use domain::{AddressPlan, Slot};
use ipnet::Ipv4Net;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// A set of addresses made of networks. A look-up is a binary search, as a table may
/// have a million ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// Makes the set from networks, which may overlap.
    pub(crate) fn new<'a>(networks: impl IntoIterator<Item = &'a Ipv4Net>) -> Self {
        let networks: Vec<Ipv4Net> = networks.into_iter().copied().collect();
        // Aggregated networks are disjoint.
        let ranges = Ipv4Net::aggregate(&networks).into_iter();
        let mut ranges: Vec<_> = ranges
            .map(|n| (u32::from(n.network()), u32::from(n.broadcast())))
            .collect();
        ranges.sort_unstable();
        Self(ranges)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        let after = self.0.partition_point(|(first, _)| *first <= address);
        let before = after.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|(_, last)| address <= *last)
    }

    /// Returns whether an entry has an end here.
    pub(crate) fn has_end_of(&self, entry: &Entry<'_>) -> bool {
        entry.ends().into_iter().any(|end| self.contains(end))
    }

    /// Returns whether an entry has an end here that is not held.
    pub(crate) fn has_unheld_end_of(&self, entry: &Entry<'_>, held: &BTreeSet<Ipv4Addr>) -> bool {
        let mut ends = entry.ends().into_iter();
        ends.any(|end| self.contains(end) && !held.contains(&end))
    }
}

/// Returns whether an entry belongs to one of these UDP ports and its packets are not
/// sent on where they should be.
pub(crate) fn leads_elsewhere(entry: &Entry<'_>, ports: &BTreeMap<u16, Option<Ipv4Addr>>) -> bool {
    let (original, reply) = (entry.original, entry.reply);
    // This host sent first, from the port: what comes back is not sent on.
    let is_untranslated =
        reply.source == original.destination && reply.destination == original.source;
    let own = reply.udp_port.and_then(|port| ports.get(&port)).copied();
    if own.flatten().is_some() && is_untranslated {
        return true;
    }
    let Some(to) = original.udp_port.and_then(|port| ports.get(&port)) else {
        return false;
    };
    let is_sent_on = reply.source != original.destination;
    match to {
        // What this host passes on for its tenants, to the same port of another machine,
        // gets another sender and keeps its receiver.
        Some(to) => reply.source != *to && (is_sent_on || reply.destination == original.source),
        None => is_sent_on,
    }
}

/// Returns whether an entry's packets go to a slot's port of this host and are sent on to
/// another machine.
pub(crate) fn is_sent_on(entry: &Entry<'_>) -> bool {
    let slot = entry.original.udp_port.and_then(Slot::of_port);
    slot.is_some() && entry.reply.source != entry.original.destination
}

/// Returns the slot whose tenant has this connection: the one of the end that began
/// it, or else of the one that it went to. A query of a device to its container counts
/// once, and so does what the host asks a container.
pub(crate) fn slot_of(entry: &Entry<'_>, plan: &AddressPlan) -> Option<Slot> {
    let (original, reply) = (entry.original, entry.reply);
    [
        original.source,
        original.destination,
        reply.source,
        reply.destination,
    ]
    .into_iter()
    .find_map(|end| slot_at(end, plan))
}

/// Returns the slot whose subnet or container has an address.
fn slot_at(address: Ipv4Addr, plan: &AddressPlan) -> Option<Slot> {
    let offset = |network: &Ipv4Net| {
        let within = network.contains(&address);
        within.then(|| u32::from(address).wrapping_sub(u32::from(network.network())))
    };
    let number = match (offset(&plan.tunnels), offset(&plan.containers)) {
        (Some(offset), _) => offset >> 8,
        (None, Some(offset)) => offset.checked_sub(256)?,
        (None, None) => return None,
    };
    Slot::new(u16::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_their_networks_hold() {
        let nets = [
            "10.88.1.0/24",
            "10.88.1.7/32",
            "10.92.1.1/32",
            "10.88.2.0/24",
        ];
        let nets: Vec<Ipv4Net> = nets.iter().map(|n| n.parse().unwrap()).collect();
        let ranges = Ranges::new(&nets);
        for address in 0..=u16::MAX {
            let address = Ipv4Addr::from(0x0a58_0000 + u32::from(address));
            let expected = nets.iter().any(|n| n.contains(&address));
            assert_eq!(ranges.contains(address), expected, "{address}");
        }
        assert!(ranges.contains(Ipv4Addr::new(10, 92, 1, 1)));
        assert!(!ranges.contains(Ipv4Addr::new(10, 92, 1, 2)));
        assert!(!ranges.contains(Ipv4Addr::new(0, 0, 0, 0)));
        assert!(Ranges::new(&[]).is_empty());
        assert!(Ranges::new(&[Ipv4Net::default()]).contains(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn every_slots_addresses_are_its_own() {
        let plan = AddressPlan::default();
        for slot in Slot::all() {
            for at in [
                plan.gateway(slot),
                plan.device(slot, 254),
                plan.container(slot),
            ] {
                assert_eq!(slot_at(at, &plan), Some(slot), "{at}");
            }
        }
        for other in ["10.92.0.1", "10.88.0.9", "10.91.233.2", "9.9.9.9"] {
            assert_eq!(slot_at(other.parse().unwrap(), &plan), None, "{other}");
        }
    }
}
