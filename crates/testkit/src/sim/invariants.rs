//! The invariants that hold after every change of the machine, and the
//! comparison of the machine with the model at the end.

use super::{SimState, machine::Container};
use crate::expected;
use domain::{PublicKey, Slot};
use protocol::TenantSpec;
use provisioning::{
    TenantSpecExt,
    observed::{ContainerState, ObservedFirewallTenant, names_of},
    plan::is_ours,
    spec::docker_name,
};
use std::{collections::BTreeMap, net::Ipv4Addr};

impl SimState {
    /// Stores the first violated invariant in [`SimState::violation`].
    pub fn check_invariants(&mut self, after: &str) {
        if self.violation.is_some() {
            return;
        }
        self.machine.exchange_packets();
        let interfaces = &self.machine.interfaces;
        let (speeds, exists) = (&mut self.machine.speeds, |s: &Slot| {
            interfaces.contains_key(s)
        });
        speeds.retain(|slot, _| exists(slot));
        if let Some(what) = violation(self) {
            self.record(|| format!("VIOLATION: {what}"));
            self.violation = Some(format!("after {after}: {what}"));
        }
    }
}

/// Returns a description of the first violated invariant.
fn violation(s: &mut SimState) -> Option<String> {
    unfiltered_interface(s)
        .or_else(|| revoked_access(s))
        .or_else(|| inherited_connection(s))
        .or_else(|| changed_foreign(s))
        .or_else(|| wrong_configuration(s))
}

/// Finds an interface of ours without its elements in the firewall. After an
/// external flush an interface may be without them until they exist again or
/// the table was rebuilt.
fn unfiltered_interface(s: &mut SimState) -> Option<String> {
    let addresses = s.model.settings.addresses;
    let filtered = |slot: &Slot| {
        s.machine.firewall.tenants.get(slot).is_some_and(|t| {
            t.listed
                && t.subnets.contains(&addresses.subnet(*slot))
                && t.gateways.contains(&addresses.gateway(*slot))
        })
    };
    let ours = s.machine.interfaces.iter().filter(|(_, i)| is_ours(i));
    let flushed = &s.machine.flushed;
    let open = ours
        .map(|(slot, _)| *slot)
        .find(|slot| !filtered(slot) && !flushed.contains(slot));
    let restored: Vec<_> = flushed.iter().copied().filter(filtered).collect();
    for slot in restored {
        s.machine.flushed.remove(&slot);
    }
    open.map(|slot| format!("{} is unfiltered", slot.interface()))
}

/// Finds a key or mesh address that still exists after its revocation was
/// acknowledged.
fn revoked_access(s: &SimState) -> Option<String> {
    for (slot, i) in &s.machine.interfaces {
        let revoked = |k: &&PublicKey| {
            let revocation = s.model.revoked_keys.get(&(*slot, **k));
            revocation.is_some_and(|r| r.acknowledged)
        };
        if let Some(key) = i.peers.keys().find(revoked) {
            return Some(format!("the revoked key {key} is a peer of wg{slot}"));
        }
    }
    for (slot, t) in &s.machine.firewall.tenants {
        for address in &t.mesh {
            let revocation = s.model.revoked_mesh.get(&(*slot, *address));
            if revocation.is_some_and(|r| r.acknowledged) {
                return Some(format!(
                    "{address} is in the mesh after its revocation was acknowledged"
                ));
            }
        }
    }
    None
}

/// Finds a device that has the address of a tracked connection of an earlier tenant.
/// An external change may give an interface any key; those are not a tenant's.
fn inherited_connection(s: &SimState) -> Option<String> {
    let is_tenants = |key: &PublicKey| s.model.passwords.contains_key(key);
    for (slot, i) in s.machine.interfaces.iter().filter(|(_, i)| is_ours(i)) {
        let Some(tunnel) = i.public_key.filter(is_tenants) else {
            continue;
        };
        let addresses = i.peers.values().flat_map(|peer| &peer.allowed_ips);
        for address in addresses {
            let ipnet::IpNet::V4(address) = address else {
                continue;
            };
            let before = s.machine.connections.get(&address.addr());
            if before.is_some_and(|(of, _)| *of != tunnel && is_tenants(of)) {
                let address = address.addr();
                return Some(format!(
                    "a device of wg{slot} has {address} and an earlier tenant's connections"
                ));
            }
        }
    }
    None
}

/// Finds a change of something that is not ours.
fn changed_foreign(s: &SimState) -> Option<String> {
    let now = s.machine.interfaces.iter().filter(|(_, i)| !is_ours(i));
    let same =
        now.eq(s.foreign.interfaces.iter()) && s.machine.foreign_containers == s.foreign.containers;
    (!same).then(|| "something that is not ours was changed".to_owned())
}

/// Finds a container that serves with another tenant's configuration, or
/// without one.
fn wrong_configuration(s: &SimState) -> Option<String> {
    let running = |c: &&Container| c.serving.is_some() && !c.late;
    for c in s.machine.containers.iter().filter(running) {
        let hash = c.serving.as_ref().map(|s| &s.password_hash);
        let expected = s.model.passwords.get(&c.owner);
        if hash != expected {
            let name = &c.observed.name;
            return Some(format!(
                "{name} serves with {hash:?}, not with {expected:?}"
            ));
        }
    }
    None
}

impl SimState {
    /// Checks, before a folder is removed by us, that it holds no data of an
    /// existing tenant. Those of one that a restored backup brought back may be
    /// on their way out.
    pub(super) fn check_folder_removal(&mut self, folder: &str) {
        let config = self
            .machine
            .folders
            .get(folder)
            .and_then(|f| f.config.as_ref());
        let mut tenants = self.model.spec.tenants.values();
        let in_use = config.is_some_and(|c| {
            tenants.any(|t| t.name.folder() == folder && t.dns_password_hash == c.password_hash)
                && !self.model.came_back.contains(&c.password_hash)
        });
        if in_use && self.violation.is_none() {
            self.violation = Some(format!(
                "the data of an existing tenant are removed with {folder}"
            ));
        }
    }

    /// Returns a description of the first difference from the model. What there is of
    /// tenants whose rows cannot be read may be anything.
    pub fn difference(&self) -> Option<String> {
        let m = &self.machine;
        let (tenants, rows) = (&self.model.spec.tenants, &self.model.rows);
        let active = |slot: &Slot| tenants.get(slot).filter(|t| !t.suspended);
        let is_stray = |slot: &Slot| active(slot).is_none() && !rows.contains(*slot);
        let stray = m.interfaces.iter().find(|(s, i)| is_ours(i) && is_stray(s));
        if let Some((slot, _)) = stray {
            return Some(format!("{} should be gone", slot.interface()));
        }
        if let Some(slot) = m.firewall.tenants.keys().find(|s| is_stray(s)) {
            return Some(format!("the elements of {slot} should be gone"));
        }
        if !m.firewall.complete {
            return Some("the table is not complete".to_owned());
        }
        let wanted = |c: &Container| {
            if c.observed.slot.is_some_and(|slot| rows.contains(slot)) {
                return true;
            }
            let t = c.observed.slot.and_then(|slot| active(&slot));
            t.is_some_and(|t| t.name.container() == c.observed.name)
        };
        if let Some(c) = m.containers.iter().find(|c| !wanted(c)) {
            return Some(format!("{} should be gone", c.observed.name));
        }
        let moved = &self.model.spec.moved;
        let forwards = moved.iter().filter(|(slot, _)| !tenants.contains_key(slot));
        let forwards = forwards.filter_map(|(slot, t)| Some((*slot, t.forward?.to)));
        let forwards: BTreeMap<Slot, Ipv4Addr> = forwards.collect();
        if m.firewall.forwards != forwards {
            let present = &m.firewall.forwards;
            return Some(format!("{present:?} are sent on, not {forwards:?}"));
        }
        if m.redirected != forwards {
            let present = &m.redirected;
            return Some(format!(
                "connections are sent on to {present:?}, not {forwards:?}"
            ));
        }
        let is_kept = |n: &String| moved.values().any(|t| t.name.folder() == *n);
        let named = |n: &String| {
            rows.has_nameless() || is_kept(n) || tenants.values().any(|t| t.name.folder() == *n)
        };
        if let Some(name) = m.folders.keys().find(|n| !named(n)) {
            return Some(format!("{name} should be gone"));
        }
        if let Some((at, _)) = m.connections.iter().find(|(at, _)| !self.is_held(**at)) {
            return Some(format!("connections of {at} should be gone"));
        }
        let mut read = tenants.values().filter(|t| !rows.contains(t.slot));
        read.find_map(|t| self.tenant_difference(t))
    }

    /// Returns whether a device that may send has the address.
    fn is_held(&self, at: Ipv4Addr) -> bool {
        let addresses = &self.model.settings.addresses;
        let mut lost = self.model.rows.slots().into_iter();
        if lost.any(|slot| addresses.subnet(slot).contains(&at)) {
            return true;
        }
        let mut tenants = self.model.spec.tenants.values().filter(|t| !t.suspended);
        tenants.any(|t| t.devices.values().any(|d| d.address == at))
    }

    fn tenant_difference(&self, t: &TenantSpec) -> Option<String> {
        let (m, settings) = (&self.machine, &self.model.settings);
        let name = &t.name;
        let docker_name = docker_name(&t.private_key.public());
        // A folder that an earlier tenant of this name left stays while a
        // foreign container has the name: that container may be using it.
        let folder = m.folders.get(&name.folder()).map(|f| &f.observed);
        let key = t.private_key.public().to_string();
        let of_other = folder.is_some_and(|f| f.owner.as_ref().is_some_and(|o| *o != key));
        let preserved = of_other && m.foreign_containers.contains(&docker_name);
        if folder != Some(&expected::folder(t)) && !preserved {
            return Some(format!("the folder of {name} is not as it should be"));
        }
        if t.suspended {
            return None;
        }
        let elements = ObservedFirewallTenant::from_spec(&t.firewall(settings, self.dns_of(t)));
        if m.firewall.tenants.get(&t.slot) != Some(&elements) {
            return Some(format!("the elements of {name} are not as they should be"));
        }
        let wanted = expected::interface(&t.interface(settings));
        match m.interfaces.get(&t.slot) {
            Some(i) if !is_ours(i) || *i == wanted => {}
            _ => return Some(format!("the interface of {name} is not as it should be")),
        }
        let own = m.interfaces.get(&t.slot).is_some_and(is_ours);
        let speed = m.speeds.get(&t.slot).map(|s| (s.limits, s.intact));
        let limits = t.limits.speed;
        let expected = (own && !limits.is_unlimited()).then_some((limits, true));
        if speed != expected {
            return Some(format!("the speed limits of {name} are {speed:?}"));
        }
        if m.foreign_containers.contains(&docker_name) {
            return None;
        }
        let container = m.containers.iter().find(|c| {
            c.observed.slot == Some(t.slot)
                && c.observed.state == ContainerState::Running
                && c.observed.revision == t.container(settings).revision()
        });
        let Some(serving) = container.and_then(|c| c.serving.as_ref()) else {
            return Some(format!("the container of {name} is not as it should be"));
        };
        let own = serving.password_hash == t.dns_password_hash;
        let wanted = t.clients(settings);
        let is_known = serving.clients == expected::dns_clients(&wanted);
        if !own || !is_known || serving.names != names_of(&wanted) {
            return Some(format!(
                "the DNS clients of {name} are not as they should be"
            ));
        }
        None
    }

    fn dns_of(&self, t: &TenantSpec) -> Option<Ipv4Addr> {
        // The image exists again before anything is compared.
        Some(self.model.settings.addresses.container(t.slot))
    }
}
