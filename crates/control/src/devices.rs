//! A tenant's devices: add, show, configure, change, delete.

use crate::{
    Control,
    failures::store_failure,
    requests::{DeviceChange, NewDevice},
};
use domain::{
    ClientConfig, DeviceId, DeviceLabel, ErrorCode, Failure, TenantScope, view::DeviceView,
};
use std::{net::IpAddr, time::Duration};

/// How long a request waits for the tunnel: the config it answers with should
/// work at once, and a node that is slower than this is in trouble anyway.
const PATIENCE: Duration = Duration::from_secs(3);

impl Control {
    /// Adds a device and waits (3 s at most) until the tunnel knows it. Where
    /// the node is slower the device is there all the same, and the tenant's
    /// status says what is wrong.
    ///
    /// # Errors
    /// `LabelMalformed`, `LabelTaken`, `DeviceLimit`.
    pub async fn add_device(
        &self,
        scope: &TenantScope,
        new: NewDevice,
    ) -> Result<DeviceView, Failure> {
        let inner = &self.0;
        let label = DeviceLabel::parse(&new.label)?;
        let private_key = inner.entropy.private_key()?;
        let new = store::NewDevice {
            label,
            routing: new.routing,
            policy: new.policy,
            mesh: new.mesh,
            public_key: private_key.public(),
            private_key: Some(private_key),
            preshared_key: inner.entropy.preshared_key()?,
            client_id: inner.entropy.client_id()?,
            now: inner.clock.now(),
        };
        let device = inner
            .store
            .add_device(scope, new, &inner.settings.addresses)
            .await
            .map_err(store_failure)?;
        self.in_force(scope).await?;
        Ok(inner.meter.device_view(device))
    }

    /// One device.
    ///
    /// # Errors
    /// `NotFound`, for another tenant's too.
    pub async fn device(&self, scope: &TenantScope, id: DeviceId) -> Result<DeviceView, Failure> {
        let device = self
            .0
            .store
            .device(scope, id)
            .await
            .map_err(store_failure)?;
        Ok(self.0.meter.device_view(device))
    }

    /// A device's configuration, with its private key.
    ///
    /// # Errors
    /// `NotFound`, for another tenant's too and where this server never had
    /// the key.
    pub async fn device_config(
        &self,
        scope: &TenantScope,
        id: DeviceId,
    ) -> Result<ClientConfig, Failure> {
        let inner = &self.0;
        let (tenant, device, secret) = tokio::try_join!(
            inner.store.tenant(scope),
            inner.store.device(scope, id),
            inner.store.device_secret(scope, id)
        )
        .map_err(store_failure)?;
        let private_key = secret.private_key.ok_or_else(|| {
            Failure::new(
                ErrorCode::NotFound,
                "This device's key was made in the browser; this server never saw it.",
            )
        })?;
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

    /// Changes a device.
    ///
    /// # Errors
    /// `NotFound`, `LabelMalformed`, `LabelTaken`.
    pub async fn change_device(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        change: DeviceChange,
    ) -> Result<DeviceView, Failure> {
        let inner = &self.0;
        let change = store::DeviceChange {
            label: change
                .label
                .as_deref()
                .map(DeviceLabel::parse)
                .transpose()?,
            policy: change.policy,
            mesh: change.mesh,
        };
        let device = inner
            .store
            .update_device(scope, id, change, inner.clock.now())
            .await
            .map_err(store_failure)?;
        self.in_force(scope).await?;
        Ok(inner.meter.device_view(device))
    }

    /// Deletes a device and waits until it is cut off.
    ///
    /// # Errors
    /// `NotFound`; `Busy` where it is deleted but the node has not confirmed
    /// yet that it is cut off. It will be.
    pub async fn delete_device(&self, scope: &TenantScope, id: DeviceId) -> Result<(), Failure> {
        let inner = &self.0;
        let gone = inner
            .store
            .delete_device(scope, id, inner.clock.now())
            .await
            .map_err(store_failure)?;
        if self.in_force(scope).await? {
            return Ok(());
        }
        let sentence = format!(
            "“{}” is deleted. The server has not cut it off yet and keeps trying.",
            gone.label
        );
        Err(Failure::new(ErrorCode::Busy, sentence))
    }

    /// Nudges the node and waits until what was just committed is in force.
    async fn in_force(&self, scope: &TenantScope) -> Result<bool, Failure> {
        let inner = &self.0;
        let tenant = inner.store.tenant(scope).await.map_err(store_failure)?;
        let generation = inner
            .store
            .generation(tenant.node)
            .await
            .map_err(store_failure)?;
        let done = inner.node.applied(tenant.slot, generation, PATIENCE).await;
        inner.watching.changed(scope.tenant());
        Ok(done)
    }
}
