//! The names of a tenant's devices: each depends on the labels of those before it.

use crate::{failures::store_failure, inner::Inner};
use domain::{Failure, TenantName, TenantReadScope, view::DeviceView};
use protocol::DeviceNames;
use store::DeviceRecord;

/// Returns the names of all devices of a tenant.
pub(crate) fn names_of(tenant: &TenantName, devices: &[DeviceRecord]) -> DeviceNames {
    DeviceNames::of(tenant, devices.iter().map(|d| (d.id, &d.label, d.address)))
}

impl Inner {
    /// Returns a device after a change that is committed: without its name if the other devices'
    /// labels cannot be read now, because the change is no failure.
    pub(super) async fn changed_view(
        &self,
        scope: &TenantReadScope,
        device: &DeviceRecord,
    ) -> DeviceView {
        let named = self.named_view(scope, device).await;
        named.unwrap_or_else(|_| self.device_view(device, &DeviceNames::default()))
    }

    /// Returns one device with its name.
    pub(super) async fn named_view(
        &self,
        scope: &TenantReadScope,
        device: &DeviceRecord,
    ) -> Result<DeviceView, Failure> {
        let labels = self.store.device_labels(scope).await;
        let labels = labels.map_err(store_failure)?;
        let devices = labels.iter().map(|(id, label, at)| (*id, label, *at));
        let names = DeviceNames::of(scope.name(), devices);
        Ok(self.device_view(device, &names))
    }
}
