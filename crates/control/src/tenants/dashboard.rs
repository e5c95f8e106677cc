//! The content of a tenant's pages: the dashboard, the network with its devices,
//! and the progress page.

use super::Tenants;
use crate::{devices::names_of, failures::store_failure, nodes::location};
use domain::{
    Failure, Problem, TenantReadScope,
    view::{DashboardView, NetworkView, ProgressView, UsageView},
};
use store::{DeviceRecord, Overview, TenantRecord};

impl Tenants<'_> {
    /// Returns the whole dashboard.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn dashboard(
        self,
        scope: &TenantReadScope,
    ) -> Result<DashboardView<Problem>, Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        let overview = inner.store.overview(scope, now.month_start()).await;
        let overview = overview.map_err(store_failure)?;
        let data = inner.data_view(&overview.tenant, overview.used(now));
        let Overview {
            tenant, devices, ..
        } = overview;
        let (at, name) = (location(&tenant), tenant.name.clone());
        let network = self.network_view(tenant, &devices);
        let dns = &network.status.dns;
        let queries = dns.is_ready().then(|| inner.meter.counts(at, &name));
        Ok(DashboardView {
            network,
            usage: UsageView {
                speed: inner.meter.speeds(at),
                month_bytes: data.used_bytes,
                queries: queries.flatten(),
                data,
            },
        })
    }

    /// Returns the network's status and devices.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn network(self, scope: &TenantReadScope) -> Result<NetworkView<Problem>, Failure> {
        // The overview's two statements are quicker than a tenant's and its devices' three.
        let month = self.0.clock.now().month_start();
        let read = self.0.store.overview(scope, month).await;
        let read = read.map_err(store_failure)?;
        Ok(self.network_view(read.tenant, &read.devices))
    }

    fn network_view(self, tenant: TenantRecord, devices: &[DeviceRecord]) -> NetworkView<Problem> {
        let inner = self.0;
        let names = names_of(&tenant.name, devices);
        NetworkView {
            now: inner.clock.now(),
            name: tenant.name.to_string(),
            gateway: inner.settings.addresses.gateway(tenant.slot).to_string(),
            status: inner.status(&tenant),
            devices: devices
                .iter()
                .map(|d| inner.device_view(d, &names).into())
                .collect(),
            plan: tenant.plan,
        }
    }

    /// Returns the content of the progress page.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn progress(self, scope: &TenantReadScope) -> Result<ProgressView<Problem>, Failure> {
        let inner = self.0;
        let tenant = inner.store.tenant(scope).await.map_err(store_failure)?;
        Ok(ProgressView {
            name: tenant.name.to_string(),
            slot: tenant.slot.get(),
            subnet: inner.settings.addresses.subnet(tenant.slot).to_string(),
            port: tenant.slot.listen_port(),
            interface: tenant.slot.interface(),
            status: inner.status(&tenant),
        })
    }
}
