//! Detects external changes of the machine, by comparing what was last read there,
//! or made by us, with a new reading. Pure.
//!
//! Only what matched the spec and no longer does is drift: a part that never
//! existed is work to do, and a part that we are changing is our own change.

use crate::{
    derive::TenantSpecExt,
    hash::content_hash,
    observed::{
        ContainerState, DnsConf, ObservedContainer, ObservedContainers, ObservedDns,
        ObservedDnsClient, ObservedFirewall, ObservedFirewallTenant, ObservedFolder,
        ObservedInterface,
    },
    plan::{Lane, peer_change},
    spec::{InterfaceSpec, NodeSettings},
};
use domain::{Slot, TenantName};
use protocol::{DeviceSpec, DriftKind, EventKind, EventTenant, NodeSpec, TenantSpec};
use std::collections::BTreeMap;

/// An external change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The tenant concerned; `None` where it concerns the whole node.
    pub tenant: Option<(Slot, TenantName)>,
    /// What was changed.
    pub kind: DriftKind,
}

impl From<Drift> for EventKind {
    fn from(drift: Drift) -> Self {
        let tenant = drift.tenant;
        Self::Drift {
            tenant: tenant.map(|(slot, name)| EventTenant { slot, name }),
            drift: drift.kind,
        }
    }
}

/// The observation of a port before a new reading replaced it.
#[derive(Clone, Debug)]
pub enum Before {
    /// Interfaces.
    Wireguard(BTreeMap<Slot, ObservedInterface>),
    /// The firewall's table.
    Firewall(ObservedFirewall),
    /// Image and containers.
    Containers(ObservedContainers),
    /// Tenants' folders.
    Folders(BTreeMap<String, ObservedFolder>),
    /// One AdGuard Home.
    Dns(Slot, ObservedDns),
}

/// Returns the external changes that one reading shows: `before` is what it
/// replaced, and `now` contains it. Lanes for which `is_running` is true are left
/// out.
pub fn drifts(
    spec: &NodeSpec,
    settings: &NodeSettings,
    before: &Before,
    now: &crate::Observed,
    is_running: impl Fn(&Lane) -> bool,
) -> Vec<Drift> {
    let mut found = Vec::new();
    let active = spec.tenants.values().filter(|t| !t.suspended);
    let mut add = |t: &TenantSpec, kinds: Vec<DriftKind>| {
        let tenant = Some((t.slot, t.name.clone()));
        found.extend(kinds.into_iter().map(|kind| Drift {
            tenant: tenant.clone(),
            kind,
        }));
    };
    match before {
        Before::Wireguard(old) => {
            let Some(new) = now.wireguard.value() else {
                return found;
            };
            for t in active.filter(|t| !is_running(&Lane::Tunnel(t.slot))) {
                // An unchanged interface is not compared with its spec.
                if let Some(old) = old.get(&t.slot)
                    && new.get(&t.slot) != Some(old)
                {
                    add(t, interface(&t.interface(settings), old, new.get(&t.slot)));
                }
            }
        }
        Before::Firewall(old) => {
            let Some(new) = now.firewall.value() else {
                return found;
            };
            if !old.complete || is_running(&Lane::Firewall) {
                return found;
            }
            if !new.complete {
                return vec![Drift {
                    tenant: None,
                    kind: DriftKind::RulesGone,
                }];
            }
            for t in active {
                if let Some(old) = old.tenants.get(&t.slot)
                    && new.tenants.get(&t.slot) != Some(old)
                    && is_wanted(t, settings, old)
                {
                    add(t, vec![DriftKind::ElementsChanged]);
                }
            }
        }
        Before::Containers(old) => {
            let Some(new) = now.containers.value() else {
                return found;
            };
            for t in active.filter(|t| !is_running(&Lane::Container(t.slot))) {
                add(t, container(t, settings, old, new).into_iter().collect());
            }
            if old.image && !new.image {
                found.push(Drift {
                    tenant: None,
                    kind: DriftKind::ImageGone,
                });
            }
        }
        Before::Folders(old) => {
            let Some(new) = now.folders.value() else {
                return found;
            };
            // A suspended tenant's folder stays, and is repaired too.
            for t in spec.tenants.values() {
                let name = t.name.folder();
                if let Some(old) = old.get(&name)
                    && new.get(&name) != Some(old)
                    && !is_running(&Lane::Folder(name.clone()))
                {
                    add(t, folder(t, settings, old, new.get(&name)));
                }
            }
        }
        Before::Dns(slot, old) => {
            let new = now.dns.get(slot).and_then(|d| d.value());
            if let Some(t) = spec.tenants.get(slot).filter(|t| !t.suspended)
                && let Some(new) = new.filter(|n| n.running && old.running && *n != old)
                && !is_running(&Lane::Dns(*slot))
            {
                add(t, clients(t, old, new).into_iter().collect());
            }
            if let Some(t) = spec.tenants.get(slot)
                && let Some(new) = new.filter(|n| n.lookups_away != old.lookups_away && n.running)
            {
                // Not back, where it is the last locked device that has gone.
                let is_lock = |c: &ObservedDnsClient| c.policy.is_some_and(|p| p.is_lock());
                let has_locks = new.clients.values().any(is_lock);
                let kind = match new.lookups_away {
                    true => Some(DriftKind::LookupsAway),
                    false => has_locks.then_some(DriftKind::LookupsBack),
                };
                add(t, kind.into_iter().collect());
            }
        }
    }
    found
}

/// Returns slots whose AdGuard Home has replaced its configuration since the
/// folders were read before: through its own web interface, or at our request.
pub fn changed_dns(spec: &NodeSpec, before: &Before, now: &crate::Observed) -> Vec<Slot> {
    let (Before::Folders(old), Some(new)) = (before, now.folders.value()) else {
        return vec![];
    };
    let changed = |t: &TenantSpec| {
        let (was, is) = (old.get(&t.name.folder()), new.get(&t.name.folder()));
        let (was, is) = (was.map(|f| f.dns_conf), is.map(|f| f.dns_conf));
        matches!((was, is), (Some(DnsConf::Present(a)), Some(DnsConf::Present(b))) if a != b)
    };
    let active = spec.tenants.values().filter(|t| !t.suspended);
    active.filter(|t| changed(t)).map(|t| t.slot).collect()
}

fn interface(
    wanted: &InterfaceSpec,
    old: &ObservedInterface,
    new: Option<&ObservedInterface>,
) -> Vec<DriftKind> {
    let owned = |i: &ObservedInterface| i.owner.as_deref() == Some(wanted.owner.as_str());
    if !owned(old) {
        return vec![];
    }
    let Some(new) = new.filter(|i| owned(i)) else {
        return vec![DriftKind::InterfaceGone];
    };
    let key = |i: &ObservedInterface| i.public_key == Some(wanted.private_key.public());
    let port = |i: &ObservedInterface| i.listen_port == wanted.slot.listen_port();
    let address = |i: &ObservedInterface| i.addresses == wanted.addresses();
    let mut found = Vec::new();
    let mut check = |was: bool, is: bool, kind| {
        if was && !is {
            found.push(kind);
        }
    };
    check(key(old), key(new), DriftKind::KeyChanged);
    let port_changed = DriftKind::PortChanged {
        port: new.listen_port,
    };
    check(port(old), port(new), port_changed);
    check(address(old), address(new), DriftKind::AddressChanged);
    check(old.up, new.up, DriftKind::InterfaceDown);
    let change = peer_change(wanted, new);
    let peers_changed = DriftKind::PeersChanged {
        unexpected: change.remove.len() as u64,
        missing: change.set.len() as u64,
    };
    let matched = peer_change(wanted, old).is_empty();
    check(matched, change.is_empty(), peers_changed);
    found
}

/// Returns whether the elements were the tenant's, wherever its DNS was sent.
fn is_wanted(t: &TenantSpec, s: &NodeSettings, old: &ObservedFirewallTenant) -> bool {
    *old == ObservedFirewallTenant::from_spec(&t.firewall(s, old.dns))
}

fn container(
    t: &TenantSpec,
    s: &NodeSettings,
    old: &ObservedContainers,
    new: &ObservedContainers,
) -> Option<DriftKind> {
    // `old` lists only the tenants whose containers changed.
    if !old.ours.iter().any(|x| x.slot == Some(t.slot)) {
        return None;
    }
    let name = t.name.container();
    let find = |c: &ObservedContainers| -> Option<ContainerState> {
        let wanted = t.container(s);
        let fits = |x: &&ObservedContainer| {
            x.slot == Some(t.slot) && x.name == name && wanted.is_fitting(&x.revision, c.image)
        };
        c.ours.iter().find(fits).map(|x| x.state)
    };
    if find(old) != Some(ContainerState::Running) {
        return None;
    }
    match find(new) {
        Some(ContainerState::Running) => None,
        Some(ContainerState::Stopped | ContainerState::Restarting) => {
            Some(DriftKind::ContainerStopped)
        }
        Some(ContainerState::Paused) => Some(DriftKind::ContainerPaused),
        Some(ContainerState::Removing | ContainerState::Dead) | None => {
            Some(DriftKind::ContainerGone)
        }
    }
}

fn folder(
    t: &TenantSpec,
    settings: &NodeSettings,
    old: &ObservedFolder,
    new: Option<&ObservedFolder>,
) -> Vec<DriftKind> {
    let owner = Some(t.private_key.public().to_string());
    let conf = content_hash(t.stored_wg_conf(settings).expose().as_bytes());
    let wanted = BTreeMap::from([(format!("{}.conf", t.slot.interface()), conf)]);
    let Some(new) = new else {
        let ours = old.owner == owner;
        return ours.then_some(DriftKind::FolderGone).into_iter().collect();
    };
    let conf = old.wg_confs == wanted && new.wg_confs != wanted;
    let keys = old.owner == owner && new.owner != owner;
    let dns = matches!(old.dns_conf, DnsConf::Present(_)) && new.dns_conf == DnsConf::Missing;
    let checks = [
        (conf, DriftKind::ConfChanged),
        (keys, DriftKind::KeysDamaged),
        (dns, DriftKind::DnsConfGone),
    ];
    let found = checks.into_iter().filter(|(changed, _)| *changed);
    found.map(|(_, kind)| kind).collect()
}

fn clients(t: &TenantSpec, old: &ObservedDns, new: &ObservedDns) -> Option<DriftKind> {
    let wanted: BTreeMap<&str, &DeviceSpec> = t
        .devices
        .values()
        .map(|d| (d.client_id.as_str(), d))
        .collect();
    let differences = |d: &ObservedDns| {
        let missing = wanted.iter().filter(|(id, w)| {
            !d.clients.get(**id).is_some_and(|c| {
                // Where another client has the name, ours has a number behind it.
                c.name.starts_with(w.label.as_str())
                    && c.addresses == [w.address].into()
                    && c.policy == Some(w.policy)
            })
        });
        let unexpected = d
            .clients
            .keys()
            .filter(|id| !wanted.contains_key(id.as_str()));
        (missing.count() as u64, unexpected.count() as u64)
    };
    let (missing, unexpected) = differences(new);
    (differences(old) == (0, 0) && missing + unexpected > 0).then_some(DriftKind::ClientsChanged {
        missing,
        unexpected,
    })
}

#[cfg(test)]
mod tests;
