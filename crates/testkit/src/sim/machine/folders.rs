//! Tenants' folders.

use super::{Extent, Machine, refuse};
use crate::expected;
use domain::ErrorCode;
use protocol::TenantSpec;
use provisioning::{
    observed::ObservedFolder,
    ports::{PortResult, tenant_of_folder},
};
use std::collections::BTreeMap;

impl Machine {
    pub(in crate::sim) fn observe_folders(&self) -> BTreeMap<String, ObservedFolder> {
        let folders = self.folders.iter();
        folders
            .map(|(n, f)| (n.clone(), f.observed.clone()))
            .collect()
    }

    pub(in crate::sim) fn write_folder(
        &mut self,
        t: &TenantSpec,
        mut extent: Extent,
    ) -> PortResult<()> {
        let folder = &mut self.folders.entry(t.name.folder()).or_default().observed;
        let done = expected::folder(t);
        // The keys are written, stale configurations are removed, and then the
        // configuration is written.
        extent.apply(vec![0, 1, 2], |step| match step {
            0 => folder.owner.clone_from(&done.owner),
            1 => folder.wg_confs.retain(|n, _| done.wg_confs.contains_key(n)),
            _ => folder.wg_confs.clone_from(&done.wg_confs),
        });
        extent.result()
    }

    pub(in crate::sim) fn remove_folder(
        &mut self,
        name: &str,
        mut extent: Extent,
    ) -> PortResult<()> {
        if tenant_of_folder(name).is_none() {
            return refuse(ErrorCode::Internal, "not a tenant's folder");
        }
        // The real call renames the folder first: what fails later is no
        // longer visible.
        if extent.happens() {
            self.folders.remove(name);
        }
        extent.result()
    }
}
