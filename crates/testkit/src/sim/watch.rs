//! What must never be, looked for after every change of the machine; and what
//! must be in the end.

use super::{
    State,
    machine::{known, peer, written},
};
use provisioning::{
    observed::{ContainerState, ObservedFirewallTenant, ObservedInterface},
    plan::is_ours,
    spec::TenantSpec,
};

/// The first thing that must never be, in words.
pub(super) fn never(s: &mut State) -> Option<String> {
    unfiltered(s)
        .or_else(|| revoked(s))
        .or_else(|| foreign(s))
        .or_else(|| anothers(s))
}

/// An interface of ours stands without its elements. Where another hand took
/// them away it may, until they stand again or the table was written anew.
fn unfiltered(s: &mut State) -> Option<String> {
    let addresses = s.world.settings.addresses;
    let filtered = |slot: &domain::Slot| {
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
    let healed: Vec<_> = flushed.iter().copied().filter(filtered).collect();
    for slot in healed {
        s.machine.flushed.remove(&slot);
    }
    open.map(|slot| format!("{} stands unfiltered", slot.interface()))
}

/// What was taken away, and acknowledged, is there.
fn revoked(s: &State) -> Option<String> {
    for (slot, i) in &s.machine.interfaces {
        let gone = |k: &&domain::PublicKey| {
            let revocation = s.world.keys.get(&(*slot, **k));
            revocation.is_some_and(|r| r.acknowledged)
        };
        if let Some(key) = i.peers.keys().find(gone) {
            return Some(format!("the revoked key {key} is a peer of wg{slot}"));
        }
    }
    for (slot, t) in &s.machine.firewall.tenants {
        for address in &t.mesh {
            let revocation = s.world.mesh.get(&(*slot, *address));
            if revocation.is_some_and(|r| r.acknowledged) {
                return Some(format!("{address} is in the mesh it was taken from"));
            }
        }
    }
    None
}

/// What is not ours has changed.
fn foreign(s: &State) -> Option<String> {
    let now = s.machine.interfaces.iter().filter(|(_, i)| !is_ours(i));
    let same = now.eq(s.foreign.0.iter()) && s.machine.strangers == s.foreign.1;
    (!same).then(|| "something of others has changed".to_owned())
}

/// A container of one tenant serves by another's configuration, or by none.
fn anothers(s: &State) -> Option<String> {
    let running = |c: &&super::machine::Container| c.serving.is_some() && !c.late;
    for c in s.machine.containers.iter().filter(running) {
        let hash = c.serving.as_ref().map(|s| &s.password_hash);
        if hash != s.world.passwords.get(&c.owner) {
            let mine = s.world.passwords.get(&c.owner);
            let name = &c.seen.name;
            return Some(format!("{name} serves by {hash:?}, not by {mine:?}"));
        }
    }
    None
}

impl State {
    /// A folder is about to be removed by us: are a living tenant's data in it?
    pub(super) fn lost_with(&mut self, folder: &str) {
        let config = self
            .machine
            .folders
            .get(folder)
            .and_then(|f| f.config.as_ref());
        let mut tenants = self.world.spec.tenants.values();
        let lives = config.is_some_and(|c| {
            tenants.any(|t| t.name.folder() == folder && t.dns_password_hash == c.password_hash)
        });
        if lives && self.violation.is_none() {
            self.violation = Some(format!("the data of a living tenant go with {folder}"));
        }
    }

    /// What differs from the model, in words: the first thing.
    pub fn difference(&self) -> Option<String> {
        let m = &self.machine;
        let tenants = &self.world.spec.tenants;
        let active = |slot: &domain::Slot| tenants.get(slot).filter(|t| !t.suspended);
        let stray = m
            .interfaces
            .iter()
            .find(|(s, i)| is_ours(i) && active(s).is_none());
        if let Some((slot, _)) = stray {
            return Some(format!("{} should be gone", slot.interface()));
        }
        if let Some(slot) = m.firewall.tenants.keys().find(|s| active(s).is_none()) {
            return Some(format!("the elements of {slot} should be gone"));
        }
        if !m.firewall.complete {
            return Some("the table is not complete".to_owned());
        }
        let kept = |c: &super::machine::Container| {
            let t = c.seen.slot.and_then(|slot| active(&slot));
            t.is_some_and(|t| t.name.container() == c.seen.name)
        };
        if let Some(c) = m.containers.iter().find(|c| !kept(c)) {
            return Some(format!("{} should be gone", c.seen.name));
        }
        let named = |n: &String| tenants.values().any(|t| t.name.folder() == *n);
        let used = |n: &String| {
            m.strangers
                .contains(&n.replacen("user_", "adguard_user_", 1))
        };
        if let Some(name) = m.folders.keys().find(|n| !named(n) && !used(n)) {
            return Some(format!("{name} should be gone"));
        }
        tenants.values().find_map(|t| self.lacks(t))
    }

    fn lacks(&self, t: &TenantSpec) -> Option<String> {
        let (m, settings) = (&self.machine, &self.world.settings);
        let name = &t.name;
        // What an earlier tenant of the name left stays for as long as somebody
        // else's container has that name: it may be using it.
        let folder = m.folders.get(&name.folder()).map(|f| &f.seen);
        let mine = t.private_key.public().to_string();
        let anothers = folder.is_some_and(|f| f.owner.as_ref().is_some_and(|o| *o != mine));
        let kept = anothers && m.strangers.contains(&name.container());
        if folder != Some(&written(t)) && !kept {
            return Some(format!("the folder of {name} is not as it should be"));
        }
        if t.suspended {
            return None;
        }
        let elements = ObservedFirewallTenant::of(&t.firewall(settings, self.dns_of(t)));
        if m.firewall.tenants.get(&t.slot) != Some(&elements) {
            return Some(format!("the elements of {name} are not as they should be"));
        }
        let interface = t.interface(settings);
        let wanted = ObservedInterface {
            owner: Some(interface.owner.clone()),
            public_key: Some(interface.private_key.public()),
            listen_port: t.slot.listen_port(),
            addresses: [interface.address].into(),
            up: true,
            peers: interface.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
        };
        match m.interfaces.get(&t.slot) {
            Some(i) if !is_ours(i) || *i == wanted => {}
            _ => return Some(format!("the interface of {name} is not as it should be")),
        }
        if m.strangers.contains(&name.container()) {
            return None;
        }
        let container = m.containers.iter().find(|c| {
            c.seen.slot == Some(t.slot)
                && c.seen.state == ContainerState::Running
                && c.seen.revision == t.container(settings).revision()
        });
        let Some(serving) = container.and_then(|c| c.serving.as_ref()) else {
            return Some(format!("the container of {name} is not as it should be"));
        };
        let mine = serving.password_hash == t.dns_password_hash;
        if !mine || serving.clients != known(&t.clients()) {
            return Some(format!(
                "the DNS clients of {name} are not as they should be"
            ));
        }
        None
    }

    fn dns_of(&self, t: &TenantSpec) -> std::net::Ipv4Addr {
        // The image is back before anything is compared.
        self.world.settings.addresses.container(t.slot)
    }
}
