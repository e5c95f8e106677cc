//! Plans a slot's container and its AdGuard Home.

use super::{step::Step, unreadable::is_others_container, view::View};
use crate::{
    derive::TenantSpecExt,
    observed::{ContainerState, DnsConf, Observation, ObservedContainer, ObservedDns},
    pending::DnsHold,
    spec::is_fitting_revision,
};
use domain::Slot;
use protocol::TenantSpec;

/// Plans the slot's containers.
pub(super) fn plan(v: &View, slot: Slot) -> Vec<Step> {
    let Observation::Read(c) = &v.observed.containers else {
        return vec![];
    };
    let active = v.active(slot);
    let hold = v.dns_hold(slot);
    let (mut kept, mut removing, mut steps) = (None, false, vec![]);
    let unknown = v.spec.unknown(slot);
    let refused = v.pending.dns_refused.get(&slot);
    for x in v.containers.of_slot(slot, c) {
        if unknown.is_some_and(|t| !is_others_container(t, x)) && !is_elsewhere(v, slot, x) {
            continue;
        }
        let fits = kept.is_none()
            && active.is_some_and(|t| {
                x.name == t.name.container()
                    && fits(v, slot, &x.revision, c.image)
                    && !matches!(x.state, ContainerState::Paused | ContainerState::Dead)
                    && !has_lost_its_conf(v, t, x.state)
                    && !hold.is_some_and(DnsHold::is_stopped)
                    && refused != Some(&x.id)
            });
        if fits {
            kept = Some(x.state);
            continue;
        }
        removing = true;
        if x.state != ContainerState::Removing {
            steps.push(Step::RemoveContainer(x.id.clone()));
        }
    }
    let Some(t) = active else {
        return steps;
    };
    // A name or an address is free only once its holder is observed gone.
    let mut holders = v.containers.of_name(&t.name);
    let name_taken = v.is_name_foreign(c, slot) || holders.any(|holder| holder != Some(slot));
    // An earlier tenant's container may be starting from the same folder.
    let busy = v.pending.starts.contains(&t.name);
    // An earlier tenant's data must not pass to a new one of the same name, nor its
    // tunnel to a new one in the slot.
    if removing
        || name_taken
        || busy
        || !v.is_own_folder(t)
        || v.has_earlier_tenants_interface(slot)
        || !has_table(v)
    {
        return steps;
    }
    match kept {
        Some(ContainerState::Stopped) => start(slot, hold),
        None if c.image => start(slot, hold),
        Some(_) | None => steps,
    }
}

/// Returns the steps that start the slot's container.
fn start(slot: Slot, hold: Option<DnsHold>) -> Vec<Step> {
    match hold {
        None | Some(DnsHold::Repair(None)) => vec![Step::StartContainer(slot)],
        Some(DnsHold::Repair(Some(part))) => {
            vec![Step::SetAside(slot, part), Step::StartContainer(slot)]
        }
        Some(DnsHold::Rest | DnsHold::Disk(_) | DnsHold::Asleep | DnsHold::Copy) => vec![],
    }
}

/// Returns whether the table of the firewall is complete: without it a container
/// could reach what it must not.
fn has_table(v: &View) -> bool {
    v.observed.firewall.value().is_some_and(|f| f.complete) && !v.pending.all_elements
}

/// Returns whether a container of that revision is the one that the slot's tenant
/// should have.
pub(super) fn fits(v: &View, slot: Slot, revision: &str, image: bool) -> bool {
    let derived = v.tenants.derived.get(&slot);
    derived.is_some_and(|d| is_fitting_revision(&d.revision, revision, image))
}

/// Returns whether a container runs without the configuration it was started from.
fn has_lost_its_conf(v: &View, t: &TenantSpec, state: ContainerState) -> bool {
    let folders = v.observed.folders.value();
    let folder = folders.and_then(|f| f.get(&t.name.folder()));
    state == ContainerState::Running && folder.is_some_and(|f| f.dns_conf == DnsConf::Missing)
}

/// Returns whether a container has the name of another slot's tenant. Names are unique, so it
/// is that of an earlier tenant. A spec of an earlier process may be older than the container.
fn is_elsewhere(v: &View, slot: Slot, c: &ObservedContainer) -> bool {
    let mut tenants = v.spec.tenants.values();
    !v.spec.is_earlier && tenants.any(|t| t.slot != slot && t.name.container() == c.name)
}

/// Plans the slot's AdGuard Home.
pub(super) fn plan_dns(v: &View, slot: Slot) -> Vec<Step> {
    match (v.active(slot), v.observed.dns.get(&slot)) {
        (Some(t), Some(Observation::Read(d))) if d.running && !clients_match(v, t, d) => {
            vec![Step::SetClients(slot)]
        }
        _ => vec![],
    }
}

/// Returns whether AdGuard Home's clients are the tenant's devices. (Where a client
/// had to be given another name than its device's, the port reports the device's.)
fn clients_match(v: &View, t: &TenantSpec, d: &ObservedDns) -> bool {
    let wanted = t.clients(v.settings);
    d.has_names_of(&wanted)
        && wanted.len() == d.clients.len()
        && wanted.iter().all(|(id, w)| {
            d.clients.get(id).is_some_and(|c| {
                c.name == w.name && c.addresses == [w.address].into() && c.policy == Some(w.policy)
            })
        })
}
