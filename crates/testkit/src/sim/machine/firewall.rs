//! The firewall: a table of sets, changed by transactions.

use super::{Extent, Machine, refuse};
use domain::{ErrorCode, Ipv6Subnet, Slot};
use provisioning::{
    observed::ObservedFirewallTenant,
    ports::{FirewallChange, PortResult},
    spec::PacketRate,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem::discriminant,
    net::{Ipv4Addr, Ipv6Addr},
};

/// One element of one set of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Element {
    Ours,
    Gateway(Ipv4Addr),
    Net(ipnet::Ipv4Net),
    Mesh(Ipv4Addr),
    Locked(Ipv4Addr),
    Net6(Ipv6Subnet),
    Mesh6(Ipv6Addr),
    Locked6(Ipv6Addr),
    Dns(Ipv4Addr),
    Stopped,
    TunnelPackets(PacketRate),
}

fn elements(slot: Slot, t: &ObservedFirewallTenant) -> BTreeSet<(Slot, Element)> {
    let all = t.listed.then_some(Element::Ours).into_iter();
    all.chain(t.gateways.iter().map(|a| Element::Gateway(*a)))
        .chain(t.subnets.iter().map(|n| Element::Net(*n)))
        .chain(t.mesh.iter().map(|a| Element::Mesh(*a)))
        .chain(t.locked.iter().map(|a| Element::Locked(*a)))
        .chain(t.subnets6.iter().map(|n| Element::Net6(*n)))
        .chain(t.mesh6.iter().map(|a| Element::Mesh6(*a)))
        .chain(t.locked6.iter().map(|a| Element::Locked6(*a)))
        .chain(t.dns.map(Element::Dns))
        .chain(t.stopped.then_some(Element::Stopped))
        .chain(t.tunnel_packets.map(Element::TunnelPackets))
        .map(|e| (slot, e))
        .collect()
}

fn tenants_of(all: &BTreeSet<(Slot, Element)>) -> BTreeMap<Slot, ObservedFirewallTenant> {
    let mut tenants = BTreeMap::<Slot, ObservedFirewallTenant>::new();
    for (slot, element) in all {
        let t = tenants.entry(*slot).or_default();
        match *element {
            Element::Ours => t.listed = true,
            Element::Gateway(a) => drop(t.gateways.insert(a)),
            Element::Net(n) => drop(t.subnets.insert(n)),
            Element::Mesh(a) => drop(t.mesh.insert(a)),
            Element::Locked(a) => drop(t.locked.insert(a)),
            Element::Net6(n) => drop(t.subnets6.insert(n)),
            Element::Mesh6(a) => drop(t.mesh6.insert(a)),
            Element::Locked6(a) => drop(t.locked6.insert(a)),
            Element::Dns(a) => t.dns = Some(a),
            Element::Stopped => t.stopped = true,
            Element::TunnelPackets(n) => t.tunnel_packets = Some(n),
        }
    }
    tenants
}

impl Machine {
    /// Applies a transaction, completely or not at all.
    ///
    /// # Errors
    /// An element to delete does not exist, or a map's key already has another
    /// value.
    pub(in crate::sim) fn apply(
        &mut self,
        change: &FirewallChange,
        extent: Extent,
    ) -> PortResult<()> {
        let mut have = BTreeSet::new();
        let mut want = BTreeSet::new();
        for (slot, existing) in &change.remove {
            have.extend(elements(*slot, existing));
        }
        for (existing, t) in &change.set {
            have.extend(elements(t.slot, existing));
            want.extend(elements(t.slot, &ObservedFirewallTenant::from_spec(t)));
        }
        let forwards = &change.forwards;
        if change.rebuild {
            self.firewall.forwards.clone_from(&forwards.to);
            self.firewall.tenants = tenants_of(&want);
            self.firewall.complete = matches!(extent, Extent::Complete);
            // An interface that existed before the rebuild may stay unfiltered,
            // and so may one that a dead process asked for: its successor
            // cannot know of that call. No other may appear.
            let (existing, orphaned) = (&self.interfaces, &self.orphaned_calls);
            self.flushed
                .retain(|slot| existing.contains_key(slot) || orphaned.contains(slot));
            return extent.result();
        }
        let (from, to) = (&forwards.from, &forwards.to);
        let present = &self.firewall.forwards;
        let gone = from.iter().filter(|(slot, at)| to.get(slot) != Some(at));
        if gone
            .into_iter()
            .any(|(slot, at)| present.get(slot) != Some(at))
        {
            return refuse(ErrorCode::FirewallUnavailable, "no such element");
        }
        let new = to.iter().filter(|(slot, at)| from.get(slot) != Some(at));
        if new.into_iter().any(|(slot, at)| {
            present.get(slot).is_some_and(|p| p != at) && !from.contains_key(slot)
        }) {
            return refuse(ErrorCode::FirewallUnavailable, "the map has another value");
        }
        let tenants = self.firewall.tenants.iter();
        let mut now: BTreeSet<_> = tenants.flat_map(|(s, t)| elements(*s, t)).collect();
        for gone in have.difference(&want) {
            if !now.remove(gone) {
                return refuse(ErrorCode::FirewallUnavailable, "no such element");
            }
        }
        for new in want.difference(&have) {
            let is_of_map = |e: &Element| matches!(e, Element::Dns(_) | Element::TunnelPackets(_));
            let same_map = |e: &Element| discriminant(e) == discriminant(&new.1);
            let other = |(s, e): &(Slot, Element)| *s == new.0 && same_map(e) && *e != new.1;
            if is_of_map(&new.1) && now.iter().any(other) {
                return refuse(ErrorCode::FirewallUnavailable, "the map has another value");
            }
            now.insert(*new);
        }
        self.firewall.tenants = tenants_of(&now);
        self.firewall.forwards.clone_from(to);
        extent.result()
    }
}
