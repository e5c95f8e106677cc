//! Writes the effect of a successful step into the observation at once, so that the
//! next plan need not wait for a reading. A reading follows with the next tick or
//! event and corrects the prediction.

use super::{message::Port, observer::Observer};
use crate::{
    derive::TenantSpecExt,
    hash::content_hash,
    observed::{
        ContainerState, DnsConf, Observation, ObservedContainer, ObservedDns, ObservedFirewall,
        ObservedFirewallTenant, ObservedInterface, ObservedPeer, ObservedSpeed,
    },
    plan::Step,
    ports::FirewallChange,
    spec::{InterfaceSpec, NodeSettings, PeerSpec},
};
use domain::Slot;
use protocol::NodeSpec;

/// Applies a step that succeeded to the observation. `spec` is the one that the step
/// was executed with: a newer one may have more devices than were given to, say,
/// AdGuard Home.
pub(super) fn predict(
    step: &Step,
    spec: &NodeSpec,
    settings: &NodeSettings,
    observer: &mut Observer,
) {
    match step {
        Step::Firewall(change) => {
            let observed = if change.rebuild || !change.forwards.is_empty() {
                // Every slot's elements changed: a reading under way is outdated.
                observer.change_firewall()
            } else {
                let set = change.set.iter().map(|(_, t)| t.slot);
                let slots: Vec<_> = change.remove.keys().copied().chain(set).collect();
                observer.change_slots(Port::Firewall, slots)
            };
            if let Observation::Read(f) = &mut observed.firewall {
                let outdated = outdated_slots(change, f);
                apply_firewall(change, f);
                observer.doubt_elements(outdated);
            }
        }
        Step::DeleteInterface(slot) => {
            let observed = observer.change_slots(Port::Wireguard, [*slot]);
            if let Observation::Read(w) = &mut observed.wireguard {
                w.remove(slot);
            }
            forget_speed(*slot, observer);
        }
        Step::EnsureInterface(i) => {
            let observed = observer.change_slots(Port::Wireguard, [i.slot]);
            let mut existed = false;
            if let Observation::Read(w) = &mut observed.wireguard {
                existed = w.insert(i.slot, interface(i)).is_some();
            }
            if !existed {
                forget_speed(i.slot, observer);
            }
        }
        Step::LimitSpeed(slot, limits) => {
            let observed = observer.change_slots(Port::Shaping, [*slot]);
            if let Observation::Read(speeds) = &mut observed.shaping {
                speeds.remove(slot);
                let speed = ObservedSpeed {
                    limits: *limits,
                    intact: true,
                };
                speeds.extend((!limits.is_unlimited()).then_some((*slot, speed)));
            }
        }
        Step::EndConnections(_)
        | Step::SweepConnections(_)
        | Step::RedirectConnections(_)
        | Step::SetAside(..) => {}
        Step::ChangePeers(slot, change) => {
            let observed = observer.change_slots(Port::Wireguard, [*slot]);
            if let Observation::Read(w) = &mut observed.wireguard
                && let Some(i) = w.get_mut(slot)
            {
                i.peers.retain(|k, _| !change.remove.contains(k));
                i.peers
                    .extend(change.set.iter().map(|(k, p)| (*k, peer(p))));
            }
        }
        Step::RemoveContainer(id) => {
            if let Some((c, dirty)) = observer.change_containers() {
                let removed = c.ours.iter().filter(|x| x.id == *id);
                removed.for_each(|x| dirty.add_container(x));
                c.ours.retain(|x| x.id != *id);
            }
        }
        Step::StartContainer(slot) => start_container(*slot, spec, settings, observer),
        Step::SetClients(slot) => {
            let Some(t) = spec.tenants.get(slot) else {
                return;
            };
            if let Some(d) = observer.change_dns(*slot) {
                let wanted = ObservedDns::with_clients(&t.clients(settings));
                d.clients = wanted.clients;
                d.names = wanted.names;
                d.names.retain(|name, _| !d.own_names.contains(name));
            }
        }
        Step::WriteFolder(slot) => {
            let Some(t) = spec.tenants.get(slot) else {
                return;
            };
            let name = t.name.folder();
            if let Some(f) = observer.change_folder(&name) {
                let hash = content_hash(t.stored_wg_conf(settings).expose().as_bytes());
                let wg_confs = [(format!("{}.conf", slot.interface()), hash)].into();
                let existed = f.contains_key(&name);
                let folder = f.entry(name).or_default();
                folder.wg_confs = wg_confs;
                folder.owner = Some(t.private_key.public().to_string());
                if !existed {
                    // The rest of a folder that was gone is gone as well.
                    observer.mark(Port::Folders);
                }
            }
        }
        Step::RemoveFolder(name) => {
            if let Some(f) = observer.change_folder(name) {
                f.remove(name);
            }
        }
        Step::FetchImage => observer.mark(Port::Containers),
    }
}

/// Removes a slot's speed limits from the observation: an interface takes them with it,
/// but not what queues what comes from its devices. The reading that follows shows that.
fn forget_speed(slot: Slot, observer: &mut Observer) {
    let observed = observer.change_slots(Port::Shaping, [slot]);
    if let Observation::Read(speeds) = &mut observed.shaping {
        speeds.remove(&slot);
    }
    observer.mark(Port::Shaping);
}

fn start_container(slot: Slot, spec: &NodeSpec, settings: &NodeSettings, observer: &mut Observer) {
    let Some(t) = spec.tenants.get(&slot) else {
        return;
    };
    if let Some((c, dirty)) = observer.change_containers() {
        let name = t.name.container();
        let replaced = c.ours.iter().filter(|x| x.name == name);
        replaced.for_each(|x| dirty.add_container(x));
        c.ours.retain(|x| x.name != name);
        // The engine accepts a name wherever it accepts an id.
        let started = ObservedContainer {
            id: t.container(settings).docker_name(),
            name,
            slot: Some(slot),
            revision: t.container(settings).revision(),
            state: ContainerState::Running,
        };
        dirty.add_container(&started);
        c.ours.push(started);
    }
    let name = t.name.folder();
    let folders = observer.change_folder(&name);
    if let Some(folder) = folders.and_then(|f| f.get_mut(&name)) {
        folder.dns_conf = DnsConf::Unread;
    }
    observer.mark(Port::Containers);
    observer.mark_dns(slot);
    observer.mark_unknown_folder(&t.name);
}

/// Returns the slots for which a change was made from an observation that has been
/// corrected since: the change did not remove elements that it did not know of.
fn outdated_slots(change: &FirewallChange, f: &ObservedFirewall) -> Vec<Slot> {
    if change.rebuild {
        return Vec::new();
    }
    let none = ObservedFirewallTenant::default();
    let set = change.set.iter().map(|(before, t)| (&t.slot, before));
    set.chain(&change.remove)
        .filter(|(slot, before)| f.tenants.get(slot).unwrap_or(&none) != *before)
        .map(|(slot, _)| *slot)
        .collect()
}

/// Applies a transaction to the observed table.
fn apply_firewall(change: &FirewallChange, f: &mut ObservedFirewall) {
    if change.rebuild {
        f.complete = true;
        f.tenants.clear();
    }
    f.forwards.clone_from(&change.forwards.to);
    for slot in change.remove.keys() {
        f.tenants.remove(slot);
    }
    f.tenants.extend(
        change
            .set
            .iter()
            .map(|(_, t)| (t.slot, ObservedFirewallTenant::from_spec(t))),
    );
}

fn peer(p: &PeerSpec) -> ObservedPeer {
    ObservedPeer {
        preshared_key: Some(p.preshared_key.clone()),
        allowed_ips: p.allowed_ips(),
    }
}

fn interface(i: &InterfaceSpec) -> ObservedInterface {
    ObservedInterface {
        owner: Some(i.owner.clone()),
        public_key: Some(i.private_key.public()),
        listen_port: i.slot.listen_port(),
        addresses: i.addresses(),
        up: true,
        peers: i.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
    }
}
