//! A device's WireGuard configuration, with its private key.

use super::Devices;
use crate::{
    account::Account,
    auth::{ApiPermission, Presence, presence_needed},
    failures::store_failure,
};
use domain::{
    Access, ClientConfig, ClientIpv6, DeviceId, ErrorCode, Failure, Ipv6Subnet, Message, Slot,
    TenantHolderScope, TenantScope, view::DeviceView,
};
use std::net::IpAddr;
use store::{AuditEntry, EndpointHost};

/// How long after its keys are made a device's configuration is shown without a proof of presence.
const SHOWN_MILLIS: i64 = 600_000;

impl Devices<'_> {
    /// Returns a device's configuration, to whom the device belongs. In its first ten minutes it
    /// is shown; later the holder must be present. An operator who looks in has no scope that
    /// this takes.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device and if this server never had
    /// the key; `PresenceNeeded`; `NodeUnreachable` if the tenant's node has no host.
    pub async fn config(
        self,
        scope: &TenantHolderScope,
        id: DeviceId,
        presence: Option<Presence>,
    ) -> Result<ClientConfig, Failure> {
        self.config_for(scope, id, presence).await
    }

    async fn config_for(
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
        let ipv6 = self.ipv6(tenant.slot).await?;
        Ok(ClientConfig {
            private_key,
            address: device.address,
            gateway: inner.settings.addresses.gateway(tenant.slot),
            subnet: inner.settings.addresses.subnet(tenant.slot),
            server_key: tenant.public_key,
            preshared_key: secret.preshared_key,
            endpoint: format!("{host}:{}", tenant.slot.listen_port()),
            routing: device.routing,
            options: device.options,
            ipv6: ipv6.map(|net| ClientIpv6 {
                address: net.device(device.address),
                gateway: net.gateway(),
                subnet: net.net(),
            }),
        })
    }

    async fn ipv6(self, slot: Slot) -> Result<Option<Ipv6Subnet>, Failure> {
        let prefix = self.0.store.ipv6_prefix().await.map_err(store_failure)?;
        Ok(prefix.map(|prefix| prefix.subnet(slot)))
    }

    /// Returns the host of an endpoint, as it is before `:port`: the tenant's own name where
    /// the name server has it, else the node's host. The setting is the local node's alone; a
    /// tenant elsewhere would never be reached by it.
    fn host(self, endpoint: EndpointHost) -> Result<String, Failure> {
        let settings = &self.0.settings;
        let names = self.0.names.as_ref();
        let name = endpoint
            .name
            .filter(|name| names.is_some_and(|names| names.is_own(name)));
        if let Some(name) = name {
            return Ok(name);
        }
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
        scope: &TenantHolderScope,
        id: DeviceId,
        presence: Option<Presence>,
    ) -> Result<(DeviceView, ClientConfig), Failure> {
        self.download_for(scope, id, presence).await
    }

    /// Returns a device's configuration to a request of the API, as
    /// [`Account::presence_of_request`] says, and writes it to the audit log.
    ///
    /// # Errors
    /// The same as for [`Devices::config`]; `NotPermitted` for a token that may only read.
    pub async fn config_of_request(
        self,
        permission: &ApiPermission,
        id: DeviceId,
    ) -> Result<(DeviceView, ClientConfig), Failure> {
        let scope = permission.tenant(Access::Write)?;
        let presence = Account(self.0).presence_of_request(permission).await?;
        self.download_for(scope, id, presence).await
    }

    async fn download_for(
        self,
        scope: &TenantScope,
        id: DeviceId,
        presence: Option<Presence>,
    ) -> Result<(DeviceView, ClientConfig), Failure> {
        let device = self.get(scope, id).await?;
        let config = self.config_for(scope, id, presence).await?;
        let entry = AuditEntry {
            at: self.0.clock.now(),
            actor: scope.actor().to_owned(),
            action: "device.config".to_owned(),
            object: format!("{}/{}", scope.name(), device.label),
            tenant: Some(scope.tenant()),
            origin: scope.origin().to_owned(),
            ..AuditEntry::default()
        };
        self.0.store.audit(entry).await.map_err(store_failure)?;
        Ok((device, config))
    }
}
