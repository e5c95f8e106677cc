//! The content of a tenant's pages: the dashboard and the progress page.

use crate::{Control, failures::store_failure};
use domain::{
    Failure, TenantScope, TenantStatus,
    view::{DashboardView, ProgressView},
};
use store::{Overview, TenantRecord};

impl Control {
    /// Returns a tenant's status, as the node last published it.
    pub(crate) fn status(&self, t: &TenantRecord) -> TenantStatus {
        self.0
            .node
            .tenant(t.slot)
            .filter(|s| s.name == t.name)
            .map(|s| s.status)
            .unwrap_or_default()
    }

    /// Returns the whole dashboard.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn dashboard(&self, scope: &TenantScope) -> Result<DashboardView, Failure> {
        let inner = &self.0;
        let now = inner.clock.now();
        let Overview {
            tenant,
            devices,
            month_bytes,
        } = inner
            .store
            .overview(scope, now.month_start())
            .await
            .map_err(store_failure)?;
        let status = self.status(&tenant);
        let queries = status
            .dns
            .is_ready()
            .then(|| inner.meter.counts(tenant.slot, &tenant.name))
            .flatten();
        Ok(DashboardView {
            now,
            name: tenant.name.to_string(),
            gateway: inner.settings.addresses.gateway(tenant.slot).to_string(),
            status,
            devices: devices
                .into_iter()
                .map(|d| inner.meter.device_view(d).into())
                .collect(),
            speed: inner.meter.speeds(tenant.slot),
            month_bytes,
            queries,
            plan: tenant.plan,
        })
    }

    /// Returns the content of the progress page.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn progress(&self, scope: &TenantScope) -> Result<ProgressView, Failure> {
        let tenant = self.0.store.tenant(scope).await.map_err(store_failure)?;
        Ok(ProgressView {
            name: tenant.name.to_string(),
            slot: tenant.slot.get(),
            subnet: self.0.settings.addresses.subnet(tenant.slot).to_string(),
            port: tenant.slot.listen_port(),
            interface: tenant.slot.interface(),
            status: self.status(&tenant),
        })
    }
}
