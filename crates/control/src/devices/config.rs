//! A device's WireGuard configuration, with its private key.

use super::Devices;
use crate::{
    auth::{Presence, presence_needed},
    failures::store_failure,
};
use domain::{ClientConfig, DeviceId, ErrorCode, Failure, Message, TenantScope, view::DeviceView};
use std::net::IpAddr;
use store::{AuditEntry, EndpointHost};

/// How long after its keys are made a device's configuration is shown without a proof of presence.
const SHOWN_MILLIS: i64 = 600_000;

impl Devices<'_> {
    /// Returns a device's configuration. In its first ten minutes it is shown to whom the
    /// device belongs; later the holder must be present.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device and if this server never had
    /// the key; `PresenceNeeded`; `NodeUnreachable` if the tenant's node has no host.
    pub async fn config(
        self,
        scope: &TenantScope,
        id: DeviceId,
        presence: Option<Presence>,
    ) -> Result<ClientConfig, Failure> {
        let inner = self.0;
        let (tenant, device, secret, endpoint) = tokio::try_join!(
            inner.store.tenant(scope),
            inner.store.device(scope, id),
            inner.store.device_secret(scope, id),
            inner.store.endpoint_host(scope)
        )
        .map_err(store_failure)?;
        let shown_until = device.key_made_at.plus_millis(SHOWN_MILLIS);
        if presence.is_none() && shown_until <= inner.clock.now() {
            return Err(presence_needed());
        }
        let private_key = secret
            .private_key
            .ok_or_else(|| Failure::new(ErrorCode::NotFound, Message::DeviceKeyUnknown))?;
        let host = self.host(endpoint)?;
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

    /// Returns the host of an endpoint, as it is before `:port`: the node's own. The
    /// setting is the local node's alone; a tenant elsewhere would never be reached by it.
    fn host(self, endpoint: EndpointHost) -> Result<String, Failure> {
        let settings = &self.0.settings;
        let host = match endpoint.host {
            Some(host) => host,
            None if settings.local == Some(endpoint.node) => settings.public_host.clone(),
            None => {
                let message = Message::NodeHostUnknown;
                return Err(Failure::new(ErrorCode::NodeUnreachable, message));
            }
        };
        Ok(match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(a)) => format!("[{a}]"),
            _ => host,
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
        presence: Option<Presence>,
    ) -> Result<(DeviceView, ClientConfig), Failure> {
        let device = self.get(scope, id).await?;
        let config = self.config(scope, id, presence).await?;
        let entry = AuditEntry {
            at: self.0.clock.now(),
            actor: scope.actor().to_owned(),
            action: "device.config".to_owned(),
            object: format!("{}/{}", scope.name(), device.label),
            detail: String::new(),
            tenant: Some(scope.tenant()),
            ..AuditEntry::default()
        };
        self.0.store.audit(entry).await.map_err(store_failure)?;
        Ok((device, config))
    }
}
