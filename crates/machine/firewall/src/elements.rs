//! Tenants as elements of our sets: the elements of each tenant, the smallest
//! change between two states, and both as text for `nft`.

use crate::{
    model::{LIMITS_TABLE, TABLE},
    tunnels,
};
use domain::{Ipv6Prefix, Ipv6Subnet, Slot};
use ipnet::Ipv4Net;
use provisioning::{observed::ObservedFirewallTenant, spec::PacketRate};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

/// An element of a set. Sorting keeps the elements of each set together, because
/// the variants are in the sets' order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// `ours`: the interface belongs to a tenant.
    Ours(Slot),
    /// `gw`: the tenant's gateway.
    Gateway(Slot, Ipv4Addr),
    /// `net`: the tenant's subnet.
    Net(Slot, Ipv4Net),
    /// `mesh`: the device may reach other mesh devices and be reached by them.
    Mesh(Slot, Ipv4Addr),
    /// `locked`: the device reaches no other resolver than the tenant's.
    Locked(Slot, Ipv4Addr),
    /// `net6`: the tenant's subnet of IPv6.
    Net6(Slot, Ipv6Subnet),
    /// `prefix6`: the installation's prefix of IPv6. It is no tenant's, and stays when they
    /// have left.
    Prefix6(Ipv6Prefix),
    /// `mesh6`: as `mesh`, by IPv6.
    Mesh6(Slot, Ipv6Addr),
    /// `locked6`: as `locked`, by IPv6.
    Locked6(Slot, Ipv6Addr),
    /// `stopped`: nothing of the tenant goes out to the world.
    Stopped(Slot),
    /// `dns`: the tenant's DNS server.
    Dns(Slot, Ipv4Addr),
    /// `forwards`: the node that packets to the slot's port are sent on to.
    Forward(Slot, Ipv4Addr),
    /// `forwarded`: the same, to recognise these packets.
    Forwarded(Slot, Ipv4Addr),
    /// `tunnels`, in the table of limits: the packets per second that the tenant's devices
    /// may send to its port.
    TunnelPackets(Slot, PacketRate),
}

impl Element {
    fn set(self) -> &'static str {
        match self {
            Element::Ours(_) => "ours",
            Element::Gateway(..) => "gw",
            Element::Net(..) => "net",
            Element::Mesh(..) => "mesh",
            Element::Locked(..) => "locked",
            Element::Net6(..) => "net6",
            Element::Prefix6(_) => "prefix6",
            Element::Mesh6(..) => "mesh6",
            Element::Locked6(..) => "locked6",
            Element::Stopped(_) => "stopped",
            Element::Dns(..) => "dns",
            Element::Forward(..) => "forwards",
            Element::Forwarded(..) => "forwarded",
            Element::TunnelPackets(..) => tunnels::MAP,
        }
    }

    fn table(self) -> &'static str {
        match self {
            Element::TunnelPackets(..) => LIMITS_TABLE,
            _ => TABLE,
        }
    }

    fn text(self) -> String {
        match self {
            Element::Ours(s) | Element::Stopped(s) => format!("\"wg{s}\""),
            Element::Gateway(s, a) | Element::Mesh(s, a) | Element::Locked(s, a) => {
                format!("\"wg{s}\" . {a}")
            }
            Element::Net(s, n) => format!("\"wg{s}\" . {n}"),
            Element::Net6(s, n) => format!("\"wg{s}\" . {}", n.net().addr()),
            Element::Prefix6(n) => n.net().addr().to_string(),
            Element::Mesh6(s, a) | Element::Locked6(s, a) => format!("\"wg{s}\" . {a}"),
            Element::Dns(s, a) => format!("\"wg{s}\" : {a}"),
            Element::Forward(s, a) => format!("{} : {a}", s.listen_port()),
            Element::Forwarded(s, a) => format!("{} . {a}", s.listen_port()),
            Element::TunnelPackets(s, rate) => {
                format!("{} : goto {}", s.listen_port(), tunnels::chain_of(rate))
            }
        }
    }

    fn slot(self) -> Option<Slot> {
        Some(match self {
            Element::Prefix6(_) => return None,
            Element::Ours(s)
            | Element::Stopped(s)
            | Element::Gateway(s, _)
            | Element::Net(s, _)
            | Element::Mesh(s, _)
            | Element::Locked(s, _)
            | Element::Net6(s, _)
            | Element::Mesh6(s, _)
            | Element::Locked6(s, _)
            | Element::Dns(s, _)
            | Element::Forward(s, _)
            | Element::Forwarded(s, _)
            | Element::TunnelPackets(s, _) => s,
        })
    }
}

/// The elements of all our sets together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements(pub BTreeSet<Element>);

impl Elements {
    /// Returns the elements of these tenants.
    pub fn of<'a>(
        tenants: impl IntoIterator<Item = (&'a Slot, &'a ObservedFirewallTenant)>,
    ) -> Self {
        let mut all = Self::default();
        for (&slot, tenant) in tenants {
            all.extend(slot, tenant);
        }
        all
    }

    /// Adds the elements of a tenant.
    pub fn extend(&mut self, slot: Slot, t: &ObservedFirewallTenant) {
        self.0.extend(t.listed.then_some(Element::Ours(slot)));
        self.0
            .extend(t.gateways.iter().map(|&a| Element::Gateway(slot, a)));
        self.0
            .extend(t.subnets.iter().map(|&n| Element::Net(slot, n.trunc())));
        self.0
            .extend(t.mesh.iter().map(|&a| Element::Mesh(slot, a)));
        self.0
            .extend(t.locked.iter().map(|&a| Element::Locked(slot, a)));
        self.extend_ipv6(slot, t);
        self.0.extend(t.stopped.then_some(Element::Stopped(slot)));
        self.0.extend(t.dns.map(|a| Element::Dns(slot, a)));
        self.0
            .extend(t.tunnel_packets.map(|n| Element::TunnelPackets(slot, n)));
    }

    fn extend_ipv6(&mut self, slot: Slot, t: &ObservedFirewallTenant) {
        self.0
            .extend(t.subnets6.iter().map(|&n| Element::Net6(slot, n)));
        self.0
            .extend(t.subnets6.iter().map(|n| Element::Prefix6(n.prefix())));
        self.0
            .extend(t.mesh6.iter().map(|&a| Element::Mesh6(slot, a)));
        self.0
            .extend(t.locked6.iter().map(|&a| Element::Locked6(slot, a)));
    }

    /// Adds the elements of ports that are sent on to other nodes.
    pub fn forward(&mut self, forwards: &BTreeMap<Slot, Ipv4Addr>) {
        for (slot, to) in forwards {
            self.0.insert(Element::Forward(*slot, *to));
            self.0.insert(Element::Forwarded(*slot, *to));
        }
    }

    /// Returns the nodes that packets to slots' ports are sent on to.
    pub fn forwards(&self) -> BTreeMap<Slot, Ipv4Addr> {
        let forwards = self.0.iter().filter_map(|element| match element {
            Element::Forward(slot, to) => Some((*slot, *to)),
            _ => None,
        });
        forwards.collect()
    }

    /// Returns whether the packets that are sent on are exactly those that are
    /// recognised.
    pub fn are_forwards_whole(&self) -> bool {
        let recognised = self.0.iter().filter_map(|element| match element {
            Element::Forwarded(slot, to) => Some((*slot, *to)),
            _ => None,
        });
        recognised.eq(self.forwards())
    }

    /// Returns whether the prefixes of all subnets of IPv6 are known.
    pub fn are_prefixes_whole(&self) -> bool {
        self.0.iter().all(|element| match element {
            Element::Net6(_, net) => self.0.contains(&Element::Prefix6(net.prefix())),
            _ => true,
        })
    }

    /// Returns the tenants that these elements describe.
    pub fn tenants(&self) -> BTreeMap<Slot, ObservedFirewallTenant> {
        let mut all = BTreeMap::<Slot, ObservedFirewallTenant>::new();
        for &element in &self.0 {
            if matches!(element, Element::Forward(..) | Element::Forwarded(..)) {
                continue;
            }
            let Some(slot) = element.slot() else {
                continue;
            };
            let t = all.entry(slot).or_default();
            match element {
                Element::Ours(_) => t.listed = true,
                Element::Gateway(_, a) => drop(t.gateways.insert(a)),
                Element::Net(_, n) => drop(t.subnets.insert(n)),
                Element::Mesh(_, a) => drop(t.mesh.insert(a)),
                Element::Locked(_, a) => drop(t.locked.insert(a)),
                Element::Net6(_, n) => drop(t.subnets6.insert(n)),
                Element::Mesh6(_, a) => drop(t.mesh6.insert(a)),
                Element::Locked6(_, a) => drop(t.locked6.insert(a)),
                Element::Stopped(_) => t.stopped = true,
                Element::Dns(_, a) => t.dns = Some(a),
                Element::TunnelPackets(_, n) => t.tunnel_packets = Some(n),
                // They are no tenant's of this node.
                Element::Forward(..) | Element::Forwarded(..) | Element::Prefix6(_) => {}
            }
        }
        all
    }

    /// Returns the commands that add all elements, one command per set.
    pub fn added(&self) -> String {
        commands("add", &self.0)
    }
}

/// The smallest change that turns one state into another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    removed: BTreeSet<Element>,
    added: BTreeSet<Element>,
}

impl Difference {
    /// Returns the change that turns `from` into `to`.
    pub fn between(from: &Elements, to: &Elements) -> Self {
        Self {
            removed: from
                .0
                .difference(&to.0)
                .copied()
                .filter(|e| !matches!(e, Element::Prefix6(_)))
                .collect(),
            added: to.0.difference(&from.0).copied().collect(),
        }
    }

    /// Returns whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Applies the change to the elements.
    pub fn apply(&self, to: &mut Elements) {
        to.0.retain(|e| !self.removed.contains(e));
        to.0.extend(&self.added);
    }

    /// Returns the commands. Deletions are first, because a key of a map has to be
    /// removed before it is added with another value.
    pub fn commands(&self) -> String {
        commands("delete", &self.removed) + &commands("add", &self.added)
    }
}

fn commands(verb: &str, elements: &BTreeSet<Element>) -> String {
    let sorted: Vec<_> = elements.iter().copied().collect();
    sorted
        .chunk_by(|a, b| a.set() == b.set())
        .map(|of_set| {
            let set = of_set[0].set();
            let list: Vec<_> = of_set.iter().map(|e| e.text()).collect();
            format!(
                "{verb} element inet {} {set} {{ {} }}\n",
                of_set[0].table(),
                list.join(", ")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AddressPlan, Ipv6Prefix};
    use proptest::prelude::*;

    fn tenant(slot: u16) -> impl Strategy<Value = ObservedFirewallTenant> {
        let plan = AddressPlan::default();
        let slot = Slot::new(slot).unwrap();
        let subnet6 = Ipv6Prefix::from_random([7; 5]).subnet(slot);
        (
            any::<[bool; 4]>(),
            proptest::option::of(0..3u8),
            proptest::option::of(1_000..3_000u64),
            proptest::collection::btree_set(2..9u8, 0..5),
        )
            .prop_map(
                move |(has, dns, tunnel_packets, mesh)| ObservedFirewallTenant {
                    subnets: has[0].then(|| plan.subnet(slot)).into_iter().collect(),
                    gateways: has[1].then(|| plan.gateway(slot)).into_iter().collect(),
                    dns: dns.map(|n| Ipv4Addr::new(9, 9, 9, n)),
                    mesh: mesh.iter().map(|&h| plan.device(slot, h)).collect(),
                    locked: mesh.iter().skip(1).map(|&h| plan.device(slot, h)).collect(),
                    subnets6: has[0].then_some(subnet6).into_iter().collect(),
                    mesh6: mesh
                        .iter()
                        .map(|&h| subnet6.device([0, 0, 0, h].into()))
                        .collect(),
                    locked6: mesh
                        .iter()
                        .skip(1)
                        .map(|&h| subnet6.device([0, 0, 0, h].into()))
                        .collect(),
                    listed: has[2],
                    stopped: has[3],
                    tunnel_packets: tunnel_packets.map(PacketRate::at_least),
                },
            )
    }

    fn node() -> impl Strategy<Value = BTreeMap<Slot, ObservedFirewallTenant>> {
        proptest::collection::btree_set(1..6u16, 0..5).prop_flat_map(|slots| {
            let slots: Vec<_> = slots.into_iter().collect();
            let all: Vec<_> = slots.iter().map(|&n| tenant(n)).collect();
            all.prop_map(move |tenants| {
                slots
                    .iter()
                    .filter_map(|&n| Slot::new(n))
                    .zip(tenants)
                    .filter(|(_, t)| *t != ObservedFirewallTenant::default())
                    .collect()
            })
        })
    }

    proptest! {
        #[test]
        fn an_applied_difference_gives_the_wanted_state(from in node(), to in node()) {
            let (have, want) = (Elements::of(&from), Elements::of(&to));
            let change = Difference::between(&have, &want);
            let mut now = have.clone();
            change.apply(&mut now);
            // A prefix stays.
            let prefixes = have.0.iter().filter(|e| matches!(e, Element::Prefix6(_)));
            let mut left = want.clone();
            left.0.extend(prefixes);
            prop_assert_eq!(&now, &left);
            prop_assert_eq!(now.tenants(), to);
            prop_assert!(Difference::between(&now, &want).is_empty());
            // It is the smallest: it touches no element that stays and does nothing twice.
            prop_assert!(change.removed.iter().all(|e| have.0.contains(e) && !want.0.contains(e)));
            prop_assert!(change.added.iter().all(|e| want.0.contains(e) && !have.0.contains(e)));
            prop_assert!(change.commands().lines().count() <= 24);
        }
    }

    #[test]
    fn a_mesh_device_is_one_element() {
        let plan = AddressPlan::default();
        let slot = Slot::FIRST;
        let subnet6 = Ipv6Prefix::from_random([7; 5]).subnet(slot);
        let before = ObservedFirewallTenant {
            subnets: [plan.subnet(slot)].into(),
            gateways: [plan.gateway(slot)].into(),
            dns: Some(plan.container(slot)),
            mesh: [plan.device(slot, 2)].into(),
            locked: [plan.device(slot, 2)].into(),
            subnets6: [subnet6].into(),
            mesh6: [subnet6.device(plan.device(slot, 2))].into(),
            locked6: [].into(),
            listed: true,
            stopped: false,
            tunnel_packets: Some(PacketRate::at_least(8_000)),
        };
        let mut after = before.clone();
        after.stopped = true;
        after.mesh.insert(plan.device(slot, 3));
        after.mesh6.insert(subnet6.device(plan.device(slot, 3)));
        after.locked = [plan.device(slot, 4)].into();
        after.dns = Some(Ipv4Addr::new(9, 9, 9, 9));
        after.tunnel_packets = Some(PacketRate::at_least(9_000));
        let change = Difference::between(
            &Elements::of([(&slot, &before)]),
            &Elements::of([(&slot, &after)]),
        );
        assert_eq!(
            change.commands(),
            "delete element inet maliknode locked { \"wg1\" . 10.88.1.2 }\n\
             delete element inet maliknode dns { \"wg1\" : 10.92.1.1 }\n\
             delete element inet maliknode_limits tunnels { 51821 : goto at_8000 }\n\
             add element inet maliknode mesh { \"wg1\" . 10.88.1.3 }\n\
             add element inet maliknode locked { \"wg1\" . 10.88.1.4 }\n\
             add element inet maliknode mesh6 { \"wg1\" . fd07:707:707:1::3 }\n\
             add element inet maliknode stopped { \"wg1\" }\n\
             add element inet maliknode dns { \"wg1\" : 9.9.9.9 }\n\
             add element inet maliknode_limits tunnels { 51821 : goto at_11312 }\n"
        );
    }
}
