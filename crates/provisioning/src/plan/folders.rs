//! Plans the folders of tenants and of former tenants.

use super::{containers::fits, step::Step, view::View};
use crate::{observed::Observation, ports::tenant_of_folder};
use protocol::TenantSpec;
use std::collections::BTreeMap;

/// Plans a tenant's folder. A suspended tenant keeps it.
pub(super) fn plan(v: &View, t: &TenantSpec) -> Option<Step> {
    let folders = v.observed.folders.value()?;
    let containers = v.observed.containers.value();
    let name = t.name.folder();
    // Where the tenant's own container exists, AdGuard Home's data in the folder are
    // the tenant's, whatever the keys beside them say: preparing the container has
    // moved an earlier tenant's data aside.
    let has_own_container = || {
        containers.is_some_and(|c| {
            let mut of_slot = v.containers.of_slot(t.slot, c);
            of_slot.any(|x| fits(v, t.slot, &x.revision, c.image))
        })
    };
    if v.is_earlier_tenants_folder(t) && !has_own_container() {
        let free = containers.is_some_and(|c| !v.uses_folder(c, &t.name));
        return free.then_some(Step::RemoveFolder(name));
    }
    let derived = v.tenants.derived.get(&t.slot)?;
    let conf = format!("{}.conf", t.slot.interface());
    let wanted = BTreeMap::from([(conf, derived.conf)]);
    // A folder without an owner has missing or damaged keys.
    let folder = folders.get(&name);
    let matches = folder.is_some_and(|f| f.wg_confs == wanted && v.is_own_folder(t));
    (!matches).then_some(Step::WriteFolder(t.slot))
}

/// Plans a folder that belongs to no tenant of the spec.
pub(super) fn plan_stray(v: &View, folder: &str) -> Option<Step> {
    let (Observation::Read(folders), Observation::Read(containers)) =
        (&v.observed.folders, &v.observed.containers)
    else {
        return None;
    };
    let tenant = tenant_of_folder(folder).filter(|_| folders.contains_key(folder))?;
    // A tenant that has moved may need it again.
    let is_kept = v.spec.moved.values().any(|moved| moved.name == tenant);
    let free =
        !is_kept && !v.uses_folder(containers, &tenant) && !v.is_unknown_tenants_folder(&tenant);
    free.then(|| Step::RemoveFolder(folder.to_owned()))
}
