//! Tenants as elements of our sets: what each tenant contributes, the smallest
//! change between two states, and both as text for `nft`.

use domain::Slot;
use ipnet::Ipv4Net;
use provisioning::observed::ObservedFirewallTenant;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// One element of one set; the variants stand in the sets' order, so that a
/// sorted run holds each set's elements together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// `ours`: the interface is a tenant's.
    Ours(Slot),
    /// `gw`: the tenant's gateway.
    Gateway(Slot, Ipv4Addr),
    /// `net`: the tenant's subnet.
    Net(Slot, Ipv4Net),
    /// `mesh`: a device that mesh devices reach.
    Mesh(Slot, Ipv4Addr),
    /// `dns`: where the tenant's DNS goes.
    Dns(Slot, Ipv4Addr),
}

impl Element {
    fn set(self) -> &'static str {
        match self {
            Element::Ours(_) => "ours",
            Element::Gateway(..) => "gw",
            Element::Net(..) => "net",
            Element::Mesh(..) => "mesh",
            Element::Dns(..) => "dns",
        }
    }

    fn text(self) -> String {
        match self {
            Element::Ours(s) => format!("\"wg{s}\""),
            Element::Gateway(s, a) | Element::Mesh(s, a) => format!("\"wg{s}\" . {a}"),
            Element::Net(s, n) => format!("\"wg{s}\" . {n}"),
            Element::Dns(s, a) => format!("\"wg{s}\" : {a}"),
        }
    }

    fn slot(self) -> Slot {
        match self {
            Element::Ours(s)
            | Element::Gateway(s, _)
            | Element::Net(s, _)
            | Element::Mesh(s, _)
            | Element::Dns(s, _) => s,
        }
    }
}

/// The elements of all our sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements(pub BTreeSet<Element>);

impl Elements {
    /// What these tenants contribute.
    pub fn of<'a>(
        tenants: impl IntoIterator<Item = (&'a Slot, &'a ObservedFirewallTenant)>,
    ) -> Self {
        let mut all = Self::default();
        for (&slot, tenant) in tenants {
            all.extend(slot, tenant);
        }
        all
    }

    /// Adds what a tenant contributes.
    pub fn extend(&mut self, slot: Slot, t: &ObservedFirewallTenant) {
        self.0.extend(t.listed.then_some(Element::Ours(slot)));
        self.0
            .extend(t.gateways.iter().map(|&a| Element::Gateway(slot, a)));
        self.0
            .extend(t.subnets.iter().map(|&n| Element::Net(slot, n.trunc())));
        self.0
            .extend(t.mesh.iter().map(|&a| Element::Mesh(slot, a)));
        self.0.extend(t.dns.map(|a| Element::Dns(slot, a)));
    }

    /// The tenants these elements make up.
    pub fn tenants(&self) -> BTreeMap<Slot, ObservedFirewallTenant> {
        let mut all = BTreeMap::<Slot, ObservedFirewallTenant>::new();
        for &element in &self.0 {
            let t = all.entry(element.slot()).or_default();
            match element {
                Element::Ours(_) => t.listed = true,
                Element::Gateway(_, a) => drop(t.gateways.insert(a)),
                Element::Net(_, n) => drop(t.subnets.insert(n)),
                Element::Mesh(_, a) => drop(t.mesh.insert(a)),
                Element::Dns(_, a) => t.dns = Some(a),
            }
        }
        all
    }

    /// Commands that add all of them, one a set.
    pub fn added(&self) -> String {
        commands("add", &self.0)
    }
}

/// The smallest change from one state to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    gone: BTreeSet<Element>,
    new: BTreeSet<Element>,
}

impl Difference {
    /// What turns `from` into `to`.
    pub fn between(from: &Elements, to: &Elements) -> Self {
        Self {
            gone: from.0.difference(&to.0).copied().collect(),
            new: to.0.difference(&from.0).copied().collect(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    /// The elements after the change.
    pub fn apply(&self, to: &mut Elements) {
        to.0.retain(|e| !self.gone.contains(e));
        to.0.extend(&self.new);
    }

    /// The commands: deletions first, because a map's key is freed before it
    /// is given another value.
    pub fn commands(&self) -> String {
        commands("delete", &self.gone) + &commands("add", &self.new)
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
                crate::rules::TABLE,
                list.join(", ")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::AddressPlan;
    use proptest::prelude::*;

    fn tenant(slot: u16) -> impl Strategy<Value = ObservedFirewallTenant> {
        let plan = AddressPlan::default();
        let slot = Slot::new(slot).unwrap();
        (
            any::<[bool; 3]>(),
            proptest::option::of(0..3u8),
            proptest::collection::btree_set(2..9u8, 0..5),
        )
            .prop_map(move |(has, dns, mesh)| ObservedFirewallTenant {
                subnets: has[0].then(|| plan.subnet(slot)).into_iter().collect(),
                gateways: has[1].then(|| plan.gateway(slot)).into_iter().collect(),
                dns: dns.map(|n| Ipv4Addr::new(9, 9, 9, n)),
                mesh: mesh.iter().map(|&h| plan.device(slot, h)).collect(),
                listed: has[2],
            })
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
        fn a_change_applied_to_what_stands_is_what_should_stand(from in node(), to in node()) {
            let (have, want) = (Elements::of(&from), Elements::of(&to));
            let change = Difference::between(&have, &want);
            let mut now = have.clone();
            change.apply(&mut now);
            prop_assert_eq!(&now, &want);
            prop_assert_eq!(now.tenants(), to);
            prop_assert!(Difference::between(&now, &want).is_empty());
            // Smallest: nothing that stays is touched, nothing is done twice.
            prop_assert!(change.gone.iter().all(|e| have.0.contains(e) && !want.0.contains(e)));
            prop_assert!(change.new.iter().all(|e| want.0.contains(e) && !have.0.contains(e)));
            prop_assert!(change.commands().lines().count() <= 10);
        }
    }

    #[test]
    fn a_device_that_joins_the_mesh_is_one_element() {
        let plan = AddressPlan::default();
        let slot = Slot::FIRST;
        let before = ObservedFirewallTenant {
            subnets: [plan.subnet(slot)].into(),
            gateways: [plan.gateway(slot)].into(),
            dns: Some(plan.container(slot)),
            mesh: [plan.device(slot, 2)].into(),
            listed: true,
        };
        let mut after = before.clone();
        after.mesh.insert(plan.device(slot, 3));
        after.dns = Some(Ipv4Addr::new(9, 9, 9, 9));
        let change = Difference::between(
            &Elements::of([(&slot, &before)]),
            &Elements::of([(&slot, &after)]),
        );
        assert_eq!(
            change.commands(),
            "delete element inet maliknode dns { \"wg1\" : 10.92.1.1 }\n\
             add element inet maliknode mesh { \"wg1\" . 10.88.1.3 }\n\
             add element inet maliknode dns { \"wg1\" : 9.9.9.9 }\n"
        );
    }
}
