//! What a step that succeeded has made of the machine, written into the
//! observation at once: the next plan need not wait for a reading. A reading
//! follows with the next tick or event and corrects whatever was believed.

use super::{Port, sources::Sources};
use crate::{
    observed::{
        ContainerState, DnsConf, Known, ObservedContainer, ObservedDnsClient, ObservedFirewall,
        ObservedFirewallTenant, ObservedInterface, ObservedPeer, content_hash,
    },
    plan::Step,
    ports::FirewallChange,
    spec::{InterfaceSpec, NodeSettings, NodeSpec, PeerSpec},
};
use domain::Slot;
use std::net::IpAddr;

/// `spec` is the one the step was carried out with: a newer one may have more
/// devices than, say, AdGuard Home was told of.
pub(crate) fn predict(
    step: &Step,
    spec: &NodeSpec,
    settings: &NodeSettings,
    sources: &mut Sources,
) {
    match step {
        Step::Firewall(change) => {
            let observed = if change.rebuild {
                // Every slot's elements: a reading under way is of no use.
                sources.firewall_changed()
            } else {
                let set = change.set.iter().map(|(_, t)| t.slot);
                let slots: Vec<_> = change.remove.keys().copied().chain(set).collect();
                sources.changed_slots(Port::Firewall, slots)
            };
            if let Known::Known(f) = &mut observed.firewall {
                let mistaken = mistaken(change, f);
                apply_firewall(change, f);
                sources.doubt_elements(mistaken);
            }
        }
        Step::DeleteInterface(slot) => {
            if let Known::Known(w) = &mut sources.changed_slots(Port::Wireguard, [*slot]).wireguard
            {
                w.remove(slot);
            }
        }
        Step::EnsureInterface(i) => {
            if let Known::Known(w) = &mut sources.changed_slots(Port::Wireguard, [i.slot]).wireguard
            {
                w.insert(i.slot, interface(i));
            }
        }
        Step::ChangePeers(slot, change) => {
            if let Known::Known(w) = &mut sources.changed_slots(Port::Wireguard, [*slot]).wireguard
                && let Some(i) = w.get_mut(slot)
            {
                i.peers.retain(|k, _| !change.remove.contains(k));
                i.peers
                    .extend(change.set.iter().map(|(k, p)| (*k, peer(p))));
            }
        }
        Step::RemoveContainer(id) => {
            if let Some((c, touched)) = sources.containers_changed() {
                let gone = c.ours.iter().filter(|x| x.id == *id);
                gone.for_each(|x| touched.container(x));
                c.ours.retain(|x| x.id != *id);
            }
        }
        Step::StartContainer(slot) => {
            let Some(t) = spec.tenants.get(slot) else {
                return;
            };
            if let Some((c, touched)) = sources.containers_changed() {
                let name = t.name.container();
                let gone = c.ours.iter().filter(|x| x.name == name);
                gone.for_each(|x| touched.container(x));
                c.ours.retain(|x| x.name != name);
                // The engine takes a name wherever it takes an id.
                let started = ObservedContainer {
                    id: name.clone(),
                    name,
                    slot: Some(*slot),
                    revision: t.container(settings).revision(),
                    state: ContainerState::Running,
                };
                touched.container(&started);
                c.ours.push(started);
            }
            let folder = t.name.folder();
            let folders = sources.folder_changed(&folder);
            if let Some(seen) = folders.and_then(|f| f.get_mut(&folder)) {
                seen.dns_conf = DnsConf::Unseen;
            }
            sources.mark(Port::Containers);
            sources.mark_dns(*slot);
            sources.mark_unseen_folder(&t.name);
        }
        Step::SetClients(slot) => {
            let Some(t) = spec.tenants.get(slot) else {
                return;
            };
            if let Some(d) = sources.dns_changed(*slot) {
                d.clients = t
                    .clients()
                    .into_iter()
                    .map(|(id, c)| {
                        (
                            id,
                            ObservedDnsClient {
                                name: c.name,
                                addresses: [c.address].into(),
                                policy: Some(c.policy),
                            },
                        )
                    })
                    .collect();
            }
        }
        Step::WriteFolder(slot) => {
            let Some(t) = spec.tenants.get(slot) else {
                return;
            };
            let folder = t.name.folder();
            if let Some(f) = sources.folder_changed(&folder) {
                let hash = content_hash(t.wg_conf().expose().as_bytes());
                let wg_confs = [(format!("{}.conf", slot.interface()), hash)].into();
                let stood = f.contains_key(&folder);
                let seen = f.entry(folder).or_default();
                seen.wg_confs = wg_confs;
                seen.owner = Some(t.private_key.public().to_string());
                if !stood {
                    // What else was in a folder that was gone has gone with it.
                    sources.mark(Port::Folders);
                }
            }
        }
        Step::RemoveFolder(name) => {
            if let Some(f) = sources.folder_changed(name) {
                f.remove(name);
            }
        }
        Step::FetchImage => sources.mark(Port::Containers),
    }
}

/// Slots of which a change was made from a picture that has been corrected
/// since: it took nothing away that it did not know of.
fn mistaken(change: &FirewallChange, f: &ObservedFirewall) -> Vec<Slot> {
    if change.rebuild {
        return Vec::new();
    }
    let none = ObservedFirewallTenant::default();
    let set = change.set.iter().map(|(stood, t)| (&t.slot, stood));
    set.chain(&change.remove)
        .filter(|(slot, stood)| f.tenants.get(slot).unwrap_or(&none) != *stood)
        .map(|(slot, _)| *slot)
        .collect()
}

/// What a transaction makes of the table.
pub fn apply_firewall(change: &FirewallChange, f: &mut ObservedFirewall) {
    if change.rebuild {
        f.complete = true;
        f.tenants.clear();
    }
    for slot in change.remove.keys() {
        f.tenants.remove(slot);
    }
    f.tenants.extend(
        change
            .set
            .iter()
            .map(|(_, t)| (t.slot, ObservedFirewallTenant::of(t))),
    );
}

fn peer(p: &PeerSpec) -> ObservedPeer {
    ObservedPeer {
        preshared_key: Some(p.preshared_key.clone()),
        allowed_ips: [IpAddr::from(p.address).into()].into(),
    }
}

fn interface(i: &InterfaceSpec) -> ObservedInterface {
    ObservedInterface {
        owner: Some(i.owner.clone()),
        public_key: Some(i.private_key.public()),
        listen_port: i.slot.listen_port(),
        addresses: [i.address].into(),
        up: true,
        peers: i.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
    }
}
