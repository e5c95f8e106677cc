//! What one spec permits and another does not. Pure.

use protocol::{NodeSpec, TenantSpec};
use std::{collections::BTreeSet, sync::Arc};

/// Returns whether the old spec permits something that the new one does not.
pub(super) fn revokes(old: &NodeSpec, new: &NodeSpec) -> bool {
    old.tenants.iter().any(|(slot, was)| {
        let is = new.tenants.get(slot).filter(|t| is_same(t, was));
        let Some(is) = is.filter(|t| was.suspended || !t.suspended) else {
            return true;
        };
        !Arc::ptr_eq(was, is)
            && was.devices.iter().any(|(id, had)| {
                let has = is.devices.get(id);
                has.is_none_or(|d| d.public_key != had.public_key || (had.mesh && !d.mesh))
            })
    })
}

/// Counts the tenants and the devices that the new spec admits and the old one
/// does not.
pub(super) fn returned(old: &NodeSpec, new: &NodeSpec) -> (u64, u64) {
    let active = |spec: &'_ NodeSpec| {
        let tenants = spec.tenants.values().filter(|t| !t.suspended);
        tenants.cloned().collect::<Vec<_>>()
    };
    let (before, now) = (active(old), active(new));
    let devices = before.iter().flat_map(|t| t.devices.values());
    let keys: BTreeSet<_> = devices.map(|d| d.public_key).collect();
    let was_active = |t: &Arc<TenantSpec>| {
        let before = old.tenants.get(&t.slot).filter(|b| !b.suspended);
        before.is_some_and(|b| is_same(b, t))
    };
    let tenants = now.iter().filter(|t| !was_active(t)).count();
    let devices = now.iter().flat_map(|t| t.devices.values());
    let devices = devices.filter(|d| !keys.contains(&d.public_key)).count();
    (tenants as u64, devices as u64)
}

/// Returns whether it is the same tenant, and not a later one of the slot.
fn is_same(a: &TenantSpec, b: &TenantSpec) -> bool {
    a.name == b.name && a.private_key == b.private_key
}
