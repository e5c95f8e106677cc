//! A device's WireGuard configuration, with its private key.

use super::Devices;
use crate::failures::store_failure;
use domain::{ClientConfig, DeviceId, ErrorCode, Failure, Message, TenantScope, view::DeviceView};
use std::net::IpAddr;
use store::AuditEntry;

impl Devices<'_> {
    /// Returns a device's configuration.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device and if this server never had
    /// the key.
    pub async fn config(self, scope: &TenantScope, id: DeviceId) -> Result<ClientConfig, Failure> {
        let inner = self.0;
        let (tenant, device, secret) = tokio::try_join!(
            inner.store.tenant(scope),
            inner.store.device(scope, id),
            inner.store.device_secret(scope, id)
        )
        .map_err(store_failure)?;
        let private_key = secret
            .private_key
            .ok_or_else(|| Failure::new(ErrorCode::NotFound, Message::DeviceKeyUnknown))?;
        let host = &inner.settings.public_host;
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(a)) => format!("[{a}]"),
            _ => host.clone(),
        };
        Ok(ClientConfig {
            private_key,
            address: device.address,
            gateway: inner.settings.addresses.gateway(tenant.slot),
            subnet: inner.settings.addresses.subnet(tenant.slot),
            server_key: tenant.public_key,
            preshared_key: secret.preshared_key,
            endpoint: format!("{host}:{}", tenant.slot.listen_port()),
            routing: device.routing,
        })
    }

    /// Returns a device's configuration for a download as a file, which is
    /// written to the audit log.
    ///
    /// # Errors
    /// The same as for [`Devices::config`].
    pub async fn download_config(
        self,
        scope: &TenantScope,
        id: DeviceId,
    ) -> Result<(DeviceView, ClientConfig), Failure> {
        let device = self.get(scope, id).await?;
        let config = self.config(scope, id).await?;
        let entry = AuditEntry {
            at: self.0.clock.now(),
            actor: scope.actor().to_owned(),
            action: "device.config".to_owned(),
            object: format!("{}/{}", scope.name(), device.label),
            detail: String::new(),
            tenant: Some(scope.tenant()),
        };
        self.0.store.audit(entry).await.map_err(store_failure)?;
        Ok((device, config))
    }
}
