//! What another hand did to the machine, found by comparing what stood there,
//! as it was last read or made by us, with what a new reading says. Pure.
//!
//! Only what was as the spec wants it and is not any more is a finding: what
//! never was there is work to do, and what we are changing ourselves is ours.

use crate::{
    observed::{
        ContainerState, DnsConf, ObservedContainer, ObservedContainers, ObservedDns,
        ObservedFirewall, ObservedFirewallTenant, ObservedFolder, ObservedInterface, content_hash,
    },
    plan::{Lane, peer_change},
    spec::{InterfaceSpec, NodeSettings, NodeSpec, TenantSpec},
};
use domain::{Slot, TenantName};
use std::{collections::BTreeMap, fmt};

/// Something another hand did. Its text is a sentence for the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Whose it is; `None` where it is everybody's.
    pub tenant: Option<(Slot, TenantName)>,
    /// What was found.
    pub what: Found,
}

/// What was found. Counts are of a tenant's own parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The interface was gone, or somebody else's had its name.
    InterfaceGone,
    /// The interface had another private key, or none.
    KeyChanged,
    /// The interface listened on another UDP port.
    PortChanged(u16),
    /// The interface was down.
    InterfaceDown,
    /// The interface's addresses were others, or none.
    AddressChanged,
    /// Its peers were not the tenant's devices.
    PeersChanged {
        /// Peers that are no devices.
        strange: usize,
        /// Devices that were missing or changed.
        missing: usize,
    },
    /// The firewall's table was gone or changed.
    RulesGone,
    /// A tenant's elements in the firewall were gone or changed.
    ElementsChanged,
    /// The image was gone from the engine.
    ImageGone,
    /// The container was gone.
    ContainerGone,
    /// The container had ended.
    ContainerStopped,
    /// The container was paused.
    ContainerPaused,
    /// `wg<n>.conf` was gone or edited.
    ConfChanged,
    /// The keys in the folder were gone or damaged.
    KeysDamaged,
    /// The whole folder was gone.
    FolderGone,
    /// AdGuard Home's configuration was gone from the folder.
    DnsConfGone,
    /// AdGuard Home's clients were not the tenant's devices.
    ClientsChanged {
        /// Devices that were missing or changed.
        missing: usize,
        /// Clients with a mark of ours that are no devices.
        strange: usize,
    },
}

impl Found {
    /// What, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InterfaceGone => "interface_gone",
            Self::KeyChanged => "key_changed",
            Self::PortChanged(_) => "port_changed",
            Self::InterfaceDown => "interface_down",
            Self::AddressChanged => "address_changed",
            Self::PeersChanged { .. } => "peers_changed",
            Self::RulesGone => "rules_gone",
            Self::ElementsChanged => "elements_changed",
            Self::ImageGone => "image_gone",
            Self::ContainerGone => "container_gone",
            Self::ContainerStopped => "container_stopped",
            Self::ContainerPaused => "container_paused",
            Self::ConfChanged => "conf_changed",
            Self::KeysDamaged => "keys_damaged",
            Self::FolderGone => "folder_gone",
            Self::DnsConfGone => "dns_conf_gone",
            Self::ClientsChanged { .. } => "clients_changed",
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wg, name) = self.tenant.as_ref().map_or_else(
            || (String::new(), String::new()),
            |(slot, name)| (slot.interface(), name.to_string()),
        );
        match self.what {
            Found::InterfaceGone => {
                write!(f, "{name}'s interface {wg} was gone; it is made again.")
            }
            Found::KeyChanged => write!(f, "{wg} of {name} had another key; it gets its own back."),
            Found::PortChanged(port) => write!(
                f,
                "{wg} of {name} listened on port {port}; it gets its own back."
            ),
            Found::InterfaceDown => write!(f, "{wg} of {name} was down; it is brought up."),
            Found::AddressChanged => write!(
                f,
                "{wg} of {name} had other addresses or none; it gets its own back."
            ),
            Found::PeersChanged { strange, missing } => write!(
                f,
                "{wg} of {name} had {strange} strange peers, and {missing} devices were missing or changed; that is put right."
            ),
            Found::RulesGone => write!(
                f,
                "The firewall's table was gone or changed; it is written anew."
            ),
            Found::ElementsChanged => write!(
                f,
                "{name}'s entries in the firewall were gone or changed; they are written again."
            ),
            Found::ImageGone => write!(f, "The AdGuard Home image was gone; it is fetched."),
            Found::ContainerGone => write!(f, "{name}'s DNS container was gone; it is made again."),
            Found::ContainerStopped => {
                write!(f, "{name}'s DNS container had stopped; it is started.")
            }
            Found::ContainerPaused => {
                write!(f, "{name}'s DNS container was paused; it is made anew.")
            }
            Found::ConfChanged => write!(
                f,
                "{wg}.conf of {name} was edited or gone; it is written again."
            ),
            Found::KeysDamaged => write!(
                f,
                "The keys in {name}'s folder were gone or damaged; they are written again."
            ),
            Found::FolderGone => write!(f, "{name}'s folder was gone; it is written again."),
            Found::DnsConfGone => write!(
                f,
                "The configuration of {name}'s AdGuard Home was gone; its container is made anew with a new one."
            ),
            Found::ClientsChanged { missing, strange } => write!(
                f,
                "In {name}'s AdGuard Home {missing} devices were missing or changed and {strange} were strange; that is put right."
            ),
        }
    }
}

/// What was believed of a port before a reading took its place.
#[derive(Clone, Debug)]
pub enum Before {
    /// Interfaces.
    Wireguard(BTreeMap<Slot, ObservedInterface>),
    /// The table.
    Firewall(ObservedFirewall),
    /// Image and containers.
    Containers(ObservedContainers),
    /// Folders.
    Folders(BTreeMap<String, ObservedFolder>),
    /// One AdGuard Home.
    Dns(Slot, ObservedDns),
}

/// The findings of one reading: `before` is what it replaced, `now` holds it.
/// Lanes of which `at_work` is true are under way and left out.
pub fn drifts(
    spec: &NodeSpec,
    settings: &NodeSettings,
    before: &Before,
    now: &crate::Observed,
    at_work: impl Fn(&Lane) -> bool,
) -> Vec<Drift> {
    let mut found = Vec::new();
    let active = spec.tenants.values().filter(|t| !t.suspended);
    let mut tell = |t: &TenantSpec, what: Vec<Found>| {
        let tenant = Some((t.slot, t.name.clone()));
        found.extend(what.into_iter().map(|what| Drift {
            tenant: tenant.clone(),
            what,
        }));
    };
    match before {
        Before::Wireguard(old) => {
            let Some(new) = now.wireguard.known() else {
                return found;
            };
            for t in active.filter(|t| !at_work(&Lane::Tunnel(t.slot))) {
                // What did not change is not worked out.
                if let Some(old) = old.get(&t.slot)
                    && new.get(&t.slot) != Some(old)
                {
                    tell(t, interface(&t.interface(settings), old, new.get(&t.slot)));
                }
            }
        }
        Before::Firewall(old) => {
            let Some(new) = now.firewall.known() else {
                return found;
            };
            if !old.complete || at_work(&Lane::Firewall) {
                return found;
            }
            if !new.complete {
                return vec![Drift {
                    tenant: None,
                    what: Found::RulesGone,
                }];
            }
            for t in active {
                if let Some(old) = old.tenants.get(&t.slot)
                    && new.tenants.get(&t.slot) != Some(old)
                    && is_wanted(t, settings, old)
                {
                    tell(t, vec![Found::ElementsChanged]);
                }
            }
        }
        Before::Containers(old) => {
            let Some(new) = now.containers.known() else {
                return found;
            };
            for t in active.filter(|t| !at_work(&Lane::Container(t.slot))) {
                tell(t, container(t, settings, old, new).into_iter().collect());
            }
            if old.image && !new.image {
                found.push(Drift {
                    tenant: None,
                    what: Found::ImageGone,
                });
            }
        }
        Before::Folders(old) => {
            let Some(new) = now.folders.known() else {
                return found;
            };
            // A suspended tenant's folder stays, and is kept right.
            for t in spec.tenants.values() {
                let name = t.name.folder();
                if let Some(old) = old.get(&name)
                    && new.get(&name) != Some(old)
                    && !at_work(&Lane::Folder(name.clone()))
                {
                    tell(t, folder(t, old, new.get(&name)));
                }
            }
        }
        Before::Dns(slot, old) => {
            let new = now.dns.get(slot).and_then(|d| d.known());
            if let Some(t) = spec.tenants.get(slot).filter(|t| !t.suspended)
                && let Some(new) = new.filter(|n| n.running && old.running && *n != old)
                && !at_work(&Lane::Dns(*slot))
            {
                tell(t, clients(t, old, new).into_iter().collect());
            }
        }
    }
    found
}

/// Slots whose AdGuard Home has replaced its configuration since the folders
/// were read before: by its own web interface, or at our own request.
pub fn changed_dns(spec: &NodeSpec, before: &Before, now: &crate::Observed) -> Vec<Slot> {
    let (Before::Folders(old), Some(new)) = (before, now.folders.known()) else {
        return vec![];
    };
    let changed = |t: &TenantSpec| {
        let (was, is) = (old.get(&t.name.folder()), new.get(&t.name.folder()));
        let (was, is) = (was.map(|f| f.dns_conf), is.map(|f| f.dns_conf));
        matches!((was, is), (Some(DnsConf::There(a)), Some(DnsConf::There(b))) if a != b)
    };
    let active = spec.tenants.values().filter(|t| !t.suspended);
    active.filter(|t| changed(t)).map(|t| t.slot).collect()
}

fn interface(
    wanted: &InterfaceSpec,
    old: &ObservedInterface,
    new: Option<&ObservedInterface>,
) -> Vec<Found> {
    let owned = |i: &ObservedInterface| i.owner.as_deref() == Some(wanted.owner.as_str());
    if !owned(old) {
        return vec![];
    }
    let Some(new) = new.filter(|i| owned(i)) else {
        return vec![Found::InterfaceGone];
    };
    let key = |i: &ObservedInterface| i.public_key == Some(wanted.private_key.public());
    let port = |i: &ObservedInterface| i.listen_port == wanted.slot.listen_port();
    let address =
        |i: &ObservedInterface| i.addresses.len() == 1 && i.addresses.contains(&wanted.address);
    let mut found = Vec::new();
    let mut look = |was: bool, is: bool, what| {
        if was && !is {
            found.push(what);
        }
    };
    look(key(old), key(new), Found::KeyChanged);
    look(port(old), port(new), Found::PortChanged(new.listen_port));
    look(address(old), address(new), Found::AddressChanged);
    look(old.up, new.up, Found::InterfaceDown);
    let change = peer_change(wanted, new);
    let what = Found::PeersChanged {
        strange: change.remove.len(),
        missing: change.set.len(),
    };
    look(peer_change(wanted, old).is_empty(), change.is_empty(), what);
    found
}

/// Whether elements were the tenant's, wherever its DNS went.
fn is_wanted(t: &TenantSpec, s: &NodeSettings, old: &ObservedFirewallTenant) -> bool {
    old.dns
        .is_some_and(|dns| *old == ObservedFirewallTenant::of(&t.firewall(s, dns)))
}

fn container(
    t: &TenantSpec,
    s: &NodeSettings,
    old: &ObservedContainers,
    new: &ObservedContainers,
) -> Option<Found> {
    // Whose containers are all the same is not in `old`.
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
        Some(ContainerState::Stopped | ContainerState::Restarting) => Some(Found::ContainerStopped),
        Some(ContainerState::Paused) => Some(Found::ContainerPaused),
        Some(ContainerState::Removing | ContainerState::Dead) | None => Some(Found::ContainerGone),
    }
}

fn folder(t: &TenantSpec, old: &ObservedFolder, new: Option<&ObservedFolder>) -> Vec<Found> {
    let owner = Some(t.private_key.public().to_string());
    let conf = content_hash(t.wg_conf().expose().as_bytes());
    let wanted = BTreeMap::from([(format!("{}.conf", t.slot.interface()), conf)]);
    let Some(new) = new else {
        let ours = old.owner == owner;
        return ours.then_some(Found::FolderGone).into_iter().collect();
    };
    let conf = old.wg_confs == wanted && new.wg_confs != wanted;
    let keys = old.owner == owner && new.owner != owner;
    let dns = matches!(old.dns_conf, DnsConf::There(_)) && new.dns_conf == DnsConf::Missing;
    let found = [
        (conf, Found::ConfChanged),
        (keys, Found::KeysDamaged),
        (dns, Found::DnsConfGone),
    ];
    let found = found.into_iter().filter(|(so, _)| *so);
    found.map(|(_, what)| what).collect()
}

fn clients(t: &TenantSpec, old: &ObservedDns, new: &ObservedDns) -> Option<Found> {
    let wanted = t.clients();
    let differences = |d: &ObservedDns| {
        let missing = wanted.iter().filter(|(id, w)| {
            !d.clients.get(*id).is_some_and(|c| {
                // Where another client has the name, ours has a number behind it.
                c.name.starts_with(&w.name)
                    && c.addresses == [w.address].into()
                    && c.policy == Some(w.policy)
            })
        });
        let strange = d.clients.keys().filter(|id| !wanted.contains_key(*id));
        (missing.count(), strange.count())
    };
    let (missing, strange) = differences(new);
    (differences(old) == (0, 0) && missing + strange > 0)
        .then_some(Found::ClientsChanged { missing, strange })
}

#[cfg(test)]
mod tests;
