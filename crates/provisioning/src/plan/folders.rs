//! Tenants' folders, and those of tenants who are gone.

use super::{Step, containers::fits, view::View};
use crate::{observed::Known, ports::tenant_of_folder, spec::TenantSpec};
use std::collections::BTreeMap;

/// What is to be done about a tenant's folder. A suspended tenant keeps it.
pub(super) fn plan(v: &View, t: &TenantSpec) -> Option<Step> {
    let folders = v.observed.folders.known()?;
    let containers = v.observed.containers.known();
    let name = t.name.folder();
    // Where the tenant's own container is there, AdGuard Home's data in the
    // folder are the tenant's, whatever the keys beside them say, since making
    // it ready has set an earlier tenant's aside.
    let has_own = || {
        containers.is_some_and(|c| {
            let mut standing = v.containers.of_slot(t.slot, c);
            standing.any(|x| fits(v, t.slot, &x.revision, c.image))
        })
    };
    if v.is_anothers_folder(t) && !has_own() {
        let free = containers.is_some_and(|c| !v.uses_folder(c, &t.name));
        return free.then_some(Step::RemoveFolder(name));
    }
    let made = v.tenants.made.get(&t.slot)?;
    let conf = format!("{}.conf", t.slot.interface());
    let wanted = BTreeMap::from([(conf, made.conf)]);
    // No owner: the keys are missing or damaged.
    let folder = folders.get(&name);
    let whole = folder.is_some_and(|f| f.wg_confs == wanted && v.is_own_folder(t));
    (!whole).then_some(Step::WriteFolder(t.slot))
}

/// What is to be done about a folder that is no tenant's of the spec.
pub(super) fn plan_stray(v: &View, folder: &str) -> Option<Step> {
    let (Known::Known(folders), Known::Known(containers)) =
        (&v.observed.folders, &v.observed.containers)
    else {
        return None;
    };
    let tenant = tenant_of_folder(folder).filter(|_| folders.contains_key(folder))?;
    let free = !v.uses_folder(containers, &tenant);
    free.then(|| Step::RemoveFolder(folder.to_owned()))
}
