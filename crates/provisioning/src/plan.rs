//! The planner: from a spec and an observation to steps. Pure.
//!
//! Invariants
//! * What is unknown is left alone: no step is planned for a port that could
//!   not be read.
//! * Revocations come first, and none of them waits for a creation.
//! * An interface of ours is never up without its elements in the firewall:
//!   it is made only once they are observed there, and they go only once it is
//!   observed gone.
//! * What is under way counts as both done and not done: an interface that
//!   may be coming keeps its elements, elements that may be going let no
//!   interface come, and a folder goes only when nothing is started from it.
//! * What carries no mark of ours is never named in a step.

use crate::{
    observed::{
        ContainerState, Known, Observed, ObservedContainers, ObservedFirewallTenant,
        ObservedInterface, content_hash,
    },
    pending::Pending,
    ports::{FirewallChange, PeerChange, tenant_of_folder},
    spec::{FirewallTenant, InterfaceSpec, NodeSettings, NodeSpec, TenantSpec},
};
use domain::{Slot, TenantName};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// What every mark of ours begins with (see [`TenantSpec::owner`]).
pub const OWNER_PREFIX: &str = "maliknode ";

/// One small, idempotent piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One transaction of the firewall.
    Firewall(FirewallChange),
    /// Remove an interface of ours.
    DeleteInterface(Slot),
    /// Change single peers.
    ChangePeers(Slot, PeerChange),
    /// Make an interface, or bring it to its spec.
    EnsureInterface(InterfaceSpec),
    /// Remove a container of ours, by the engine's id.
    RemoveContainer(String),
    /// Write what AdGuard Home needs for its first start, make its container, start it.
    StartContainer(Slot),
    /// Bring AdGuard Home's clients to the devices.
    SetClients(Slot),
    /// Write a tenant's folder: `wg<n>.conf` and keys.
    WriteFolder(Slot),
    /// Remove the folder of a tenant who is gone, by the folder's name.
    RemoveFolder(String),
    /// Try to get the image.
    FetchImage,
}

/// Steps of one lane run one after another; lanes run side by side, so a slow
/// one delays nobody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The one firewall table.
    Firewall,
    /// A slot's interface.
    Tunnel(Slot),
    /// A slot's container.
    Container(Slot),
    /// A container that belongs to no slot any more.
    Stray(String),
    /// A slot's AdGuard Home.
    Dns(Slot),
    /// A tenant's folder.
    Folder(String),
    /// The image.
    Image,
}

/// What to do, lane by lane.
pub type Plan = BTreeMap<Lane, Vec<Step>>;

/// Where a tenant's DNS should go: to its container, or, while there is no
/// image to make one from, to a plain resolver.
fn dns_target(t: &TenantSpec, o: &Observed, s: &NodeSettings) -> std::net::Ipv4Addr {
    let stands = || {
        o.firewall
            .known()
            .and_then(|f| f.tenants.get(&t.slot))
            .and_then(|f| f.dns)
    };
    match &o.containers {
        Known::Known(c) if c.image || c.ours.iter().any(|c| c.slot == Some(t.slot)) => {
            s.addresses.container(t.slot)
        }
        Known::Known(_) => s.fallback_dns,
        Known::Unknown(_) => stands().unwrap_or(s.addresses.container(t.slot)),
    }
}

/// Plans the way from what is observed to the spec. An empty plan means that
/// everything that can be read is as it should be.
pub fn plan(
    spec: &NodeSpec,
    observed: &Observed,
    pending: &Pending,
    settings: &NodeSettings,
) -> Plan {
    let mut plan = Plan::new();
    plan_firewall(spec, observed, pending, settings, &mut plan);
    plan_tunnels(spec, observed, pending, settings, &mut plan);
    plan_containers(spec, observed, pending, settings, &mut plan);
    plan_dns(spec, observed, &mut plan);
    plan_folders(spec, observed, pending, settings, &mut plan);
    plan
}

fn active(spec: &NodeSpec, slot: Slot) -> Option<&TenantSpec> {
    spec.tenants.get(&slot).filter(|t| !t.suspended)
}

/// Whether an interface carries a mark of ours.
pub fn is_ours(i: &ObservedInterface) -> bool {
    i.owner
        .as_deref()
        .is_some_and(|o| o.starts_with(OWNER_PREFIX))
}

/// The elements one active tenant should have.
pub(crate) fn wanted_firewall_of(t: &TenantSpec, o: &Observed, s: &NodeSettings) -> FirewallTenant {
    t.firewall(s, dns_target(t, o, s))
}

/// The elements the firewall should hold: of every active tenant, and of every
/// slot whose interface still stands or may be coming (then without mesh), so
/// that no interface of ours is ever unfiltered.
pub fn wanted_firewall(
    spec: &NodeSpec,
    o: &Observed,
    pending: &Pending,
    s: &NodeSettings,
) -> BTreeMap<Slot, FirewallTenant> {
    let mut wanted: BTreeMap<Slot, FirewallTenant> = spec
        .tenants
        .values()
        .filter(|t| !t.suspended)
        .map(|t| (t.slot, wanted_firewall_of(t, o, s)))
        .collect();
    let mut leaving: BTreeSet<Slot> = match (&o.wireguard, &o.firewall) {
        (Known::Known(w), _) => w
            .iter()
            .filter(|(_, i)| is_ours(i))
            .map(|(slot, _)| *slot)
            .collect(),
        // A table that was flushed knows of nobody.
        (Known::Unknown(_), Known::Known(f)) if !f.complete => {
            let all = f.tenants.keys().chain(spec.tenants.keys());
            all.chain(&pending.elements).copied().collect()
        }
        (Known::Unknown(_), Known::Known(f)) => f.tenants.keys().copied().collect(),
        (Known::Unknown(_), Known::Unknown(_)) => BTreeSet::new(),
    };
    leaving.extend(&pending.tunnels);
    for slot in leaving {
        let closed = FirewallTenant {
            slot,
            subnet: s.addresses.subnet(slot),
            gateway: s.addresses.gateway(slot),
            dns: s.addresses.container(slot),
            mesh: BTreeSet::new(),
        };
        // While an earlier tenant's interface stands in the slot, the new
        // one's mesh would be that one's.
        if anothers_stands(spec, o, slot) {
            wanted.insert(slot, closed);
        } else {
            wanted.entry(slot).or_insert(closed);
        }
    }
    wanted
}

/// Whether the slot's interface is ours and still an earlier tenant's.
fn anothers_stands(spec: &NodeSpec, o: &Observed, slot: Slot) -> bool {
    let stands = o.wireguard.known().and_then(|w| w.get(&slot));
    stands.filter(|i| is_ours(i)).is_some_and(|i| {
        active(spec, slot).is_some_and(|t| i.owner.as_deref() != Some(t.owner().as_str()))
    })
}

fn plan_firewall(
    spec: &NodeSpec,
    o: &Observed,
    pending: &Pending,
    s: &NodeSettings,
    plan: &mut Plan,
) {
    let Known::Known(stands) = &o.firewall else {
        return;
    };
    let wanted = wanted_firewall(spec, o, pending, s);
    let rebuild = !stands.complete;
    let mut change = FirewallChange {
        rebuild,
        ..FirewallChange::default()
    };
    for (slot, t) in wanted.iter() {
        let now = stands.tenants.get(slot).cloned().unwrap_or_default();
        if rebuild || now != ObservedFirewallTenant::of(t) {
            change.set.push((now, t.clone()));
        }
    }
    if !rebuild {
        change.remove = stands
            .tenants
            .iter()
            .filter(|(slot, _)| !wanted.contains_key(slot))
            .map(|(s, t)| (*s, t.clone()))
            .collect();
    }
    if !change.is_empty() {
        plan.insert(Lane::Firewall, vec![Step::Firewall(change)]);
    }
}

/// Whether the slot's elements stand, and stay, so that an interface may come up.
fn filtered(slot: Slot, o: &Observed, pending: &Pending, s: &NodeSettings) -> bool {
    let stand = o.firewall.known().is_some_and(|f| {
        f.complete
            && f.tenants.get(&slot).is_some_and(|t| {
                t.listed
                    && t.subnets == [s.addresses.subnet(slot)].into()
                    && t.gateways == [s.addresses.gateway(slot)].into()
            })
    });
    stand && !pending.is_about_elements(slot)
}

fn plan_tunnels(
    spec: &NodeSpec,
    o: &Observed,
    pending: &Pending,
    s: &NodeSettings,
    plan: &mut Plan,
) {
    let Known::Known(interfaces) = &o.wireguard else {
        return;
    };
    for (slot, _) in interfaces.iter().filter(|(slot, i)| {
        is_ours(i) && (active(spec, **slot).is_none() || anothers_stands(spec, o, **slot))
    }) {
        plan.insert(Lane::Tunnel(*slot), vec![Step::DeleteInterface(*slot)]);
    }
    for t in spec.tenants.values().filter(|t| !t.suspended) {
        let wanted = t.interface(s);
        let steps = match interfaces.get(&t.slot) {
            Some(i) if !is_ours(i) => vec![],
            None if filtered(t.slot, o, pending, s) => vec![Step::EnsureInterface(wanted)],
            None => vec![],
            // Being deleted: see above.
            Some(i) if i.owner.as_deref() != Some(wanted.owner.as_str()) => vec![],
            Some(i) => put_right(t.slot, wanted, i),
        };
        if !steps.is_empty() {
            plan.insert(Lane::Tunnel(t.slot), steps);
        }
    }
}

/// The way from a tenant's own interface to what it should be. Removals go
/// first and by themselves: they must not fail with a port that is taken.
fn put_right(slot: Slot, wanted: InterfaceSpec, i: &ObservedInterface) -> Vec<Step> {
    let same = i.public_key == Some(wanted.private_key.public())
        && i.listen_port == slot.listen_port()
        && i.addresses.len() == 1
        && i.addresses.contains(&wanted.address)
        && i.up;
    let change = peer_change(&wanted, i);
    if same {
        return Some(change)
            .filter(|c| !c.is_empty())
            .map(|c| Step::ChangePeers(slot, c))
            .into_iter()
            .collect();
    }
    let removal = PeerChange {
        remove: change.remove,
        ..PeerChange::default()
    };
    let first = (!removal.is_empty()).then_some(Step::ChangePeers(slot, removal));
    first
        .into_iter()
        .chain([Step::EnsureInterface(wanted)])
        .collect()
}

/// The fewest changes that bring an interface's peers to the spec.
pub fn peer_change(wanted: &InterfaceSpec, stands: &ObservedInterface) -> PeerChange {
    PeerChange {
        remove: stands
            .peers
            .keys()
            .filter(|k| !wanted.peers.contains_key(k))
            .copied()
            .collect(),
        set: wanted
            .peers
            .iter()
            .filter(|(key, p)| {
                let only = IpNet::from(std::net::IpAddr::from(p.address));
                !stands.peers.get(key).is_some_and(|o| {
                    o.allowed_ips.len() == 1
                        && o.allowed_ips.contains(&only)
                        && o.preshared_key.as_ref() == Some(&p.preshared_key)
                })
            })
            .map(|(k, p)| (*k, p.clone()))
            .collect(),
    }
}

fn plan_containers(
    spec: &NodeSpec,
    o: &Observed,
    pending: &Pending,
    s: &NodeSettings,
    plan: &mut Plan,
) {
    let Known::Known(c) = &o.containers else {
        return;
    };
    let mut kept: BTreeMap<Slot, ContainerState> = BTreeMap::new();
    let mut going: BTreeSet<Slot> = BTreeSet::new();
    let mut holders: BTreeMap<&str, Vec<Option<Slot>>> = BTreeMap::new();
    for x in &c.ours {
        holders.entry(&x.name).or_default().push(x.slot);
        let fits = x.slot.and_then(|slot| active(spec, slot)).is_some_and(|t| {
            x.name == t.name.container()
                && t.container(s).is_fitting(&x.revision, c.image)
                && !matches!(x.state, ContainerState::Paused | ContainerState::Dead)
                && !kept.contains_key(&t.slot)
        });
        match x.slot {
            Some(slot) if fits => {
                kept.insert(slot, x.state);
            }
            slot => {
                going.extend(slot);
                if x.state != ContainerState::Removing {
                    let lane = slot.map_or_else(|| Lane::Stray(x.id.clone()), Lane::Container);
                    plan.entry(lane)
                        .or_default()
                        .push(Step::RemoveContainer(x.id.clone()));
                }
            }
        }
    }
    for t in spec.tenants.values().filter(|t| !t.suspended) {
        // A name or an address is only free once its holder is observed gone.
        let name = t.name.container();
        let name_held = c.foreign.contains(&name)
            || holders
                .get(name.as_str())
                .is_some_and(|slots| slots.iter().any(|s| *s != Some(t.slot)));
        // An earlier tenant's data are not handed to a new one of the same
        // name, nor its tunnel to a new one in the slot.
        let held = going.contains(&t.slot) || name_held;
        // Nor is an earlier tenant's started from the same folder meanwhile.
        let busy = pending.starts.contains(&t.name);
        if held || busy || !is_own(t, o) || anothers_stands(spec, o, t.slot) {
            continue;
        }
        match kept.get(&t.slot) {
            Some(ContainerState::Stopped) => {}
            None if c.image => {}
            Some(_) | None => continue,
        }
        plan.insert(Lane::Container(t.slot), vec![Step::StartContainer(t.slot)]);
    }
    if !c.image && spec.tenants.values().any(|t| !t.suspended) {
        plan.insert(Lane::Image, vec![Step::FetchImage]);
    }
}

fn plan_dns(spec: &NodeSpec, o: &Observed, plan: &mut Plan) {
    for (slot, dns) in &o.dns {
        let (Some(t), Known::Known(d)) = (active(spec, *slot), dns) else {
            continue;
        };
        if d.running && !clients_match(t, d) {
            plan.insert(Lane::Dns(*slot), vec![Step::SetClients(*slot)]);
        }
    }
}

/// Whether AdGuard Home's clients are the tenant's devices. (Where a client had
/// to be given another name than its device's, the port says the device's.)
fn clients_match(t: &TenantSpec, d: &crate::observed::ObservedDns) -> bool {
    let wanted = t.clients();
    wanted.len() == d.clients.len()
        && wanted.iter().all(|(id, w)| {
            d.clients.get(id).is_some_and(|c| {
                c.name == w.name && c.addresses == [w.address].into() && c.policy == Some(w.policy)
            })
        })
}

/// Whose folder of the tenant's name it is, by the tunnel's key in it.
fn folder_owner<'o>(t: &TenantSpec, o: &'o Observed) -> Option<&'o String> {
    let folder = o.folders.known().and_then(|f| f.get(&t.name.folder()));
    folder.and_then(|f| f.owner.as_ref())
}

/// Whether the tenant's folder is there, and the tenant's: what is in it then
/// never goes while the tenant is here.
fn is_own(t: &TenantSpec, o: &Observed) -> bool {
    folder_owner(t, o).is_some_and(|owner| *owner == t.private_key.public().to_string())
}

/// Whether a folder of the tenant's name holds what an earlier tenant left.
fn is_anothers(t: &TenantSpec, o: &Observed) -> bool {
    folder_owner(t, o).is_some_and(|owner| *owner != t.private_key.public().to_string())
}

/// Whether the tenant's own container is there: then AdGuard Home's data in the
/// folder are the tenant's, whatever the keys beside them say, since making it
/// ready has set an earlier tenant's aside.
fn has_own(c: &ObservedContainers, t: &TenantSpec, s: &NodeSettings) -> bool {
    let mut ours = c.ours.iter();
    ours.any(|x| x.slot == Some(t.slot) && t.container(s).is_fitting(&x.revision, c.image))
}

fn plan_folders(
    spec: &NodeSpec,
    o: &Observed,
    pending: &Pending,
    s: &NodeSettings,
    plan: &mut Plan,
) {
    let Known::Known(folders) = &o.folders else {
        return;
    };
    for t in spec.tenants.values() {
        let containers = o.containers.known();
        if is_anothers(t, o) && !containers.is_some_and(|c| has_own(c, t, s)) {
            if containers.is_some_and(|c| !uses(c, pending, &t.name)) {
                let name = t.name.folder();
                plan.insert(Lane::Folder(name.clone()), vec![Step::RemoveFolder(name)]);
            }
            continue;
        }
        let name = t.name.folder();
        let conf = format!("{}.conf", t.slot.interface());
        let wanted: BTreeMap<String, u64> =
            [(conf, content_hash(t.wg_conf().expose().as_bytes()))].into();
        // No owner: the keys are missing or damaged.
        let whole = folders
            .get(&name)
            .is_some_and(|f| f.wg_confs == wanted && is_own(t, o));
        if !whole {
            plan.insert(Lane::Folder(name), vec![Step::WriteFolder(t.slot)]);
        }
    }
    let Known::Known(containers) = &o.containers else {
        return;
    };
    for name in folders.keys() {
        let Some(tenant) = tenant_of_folder(name) else {
            continue;
        };
        let wanted = spec.tenants.values().any(|t| t.name == tenant);
        if !wanted && !uses(containers, pending, &tenant) {
            plan.insert(
                Lane::Folder(name.clone()),
                vec![Step::RemoveFolder(name.clone())],
            );
        }
    }
}

/// Whether a tenant's folder is a container's, or is about to be.
fn uses(c: &ObservedContainers, pending: &Pending, tenant: &TenantName) -> bool {
    let name = tenant.container();
    c.ours.iter().any(|x| x.name == name)
        || c.foreign.contains(&name)
        || pending.starts.contains(tenant)
}
