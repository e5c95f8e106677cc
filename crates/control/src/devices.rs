//! A tenant's devices: add, show, configure, change, delete.

use crate::{
    Control,
    failures::store_failure,
    requests::{ChangedDevice, DeviceChange, NewDevice},
};
use domain::{
    ClientConfig, DeviceId, DeviceLabel, ErrorCode, Failure, Span, TenantScope, TrafficPoint,
    view::DeviceView,
};
use std::{net::IpAddr, time::Duration};
use store::AuditEntry;

/// How long a request waits for the tunnel: the config it answers with should
/// work at once, and a node that is slower than this is in trouble anyway.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

impl Control {
    /// Adds a device and waits (3 s at most) until the tunnel knows it. Where
    /// the node is slower the device is there all the same, and the tenant's
    /// status says what is wrong.
    ///
    /// # Errors
    /// `LabelMalformed`, `LabelTaken`, `DeviceLimit`, `TooManyTries`.
    pub async fn add_device(
        &self,
        scope: &TenantScope,
        new: NewDevice,
    ) -> Result<DeviceView, Failure> {
        let inner = &self.0;
        let label = DeviceLabel::parse(&new.label)?;
        self.count_change(scope)?;
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
        // Where not, the tenant's status says so on every page.
        let _ = self.in_force(scope).await;
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

    /// A graph of what went through a device, or through all of the tenant's:
    /// every step of the span up to now.
    ///
    /// # Errors
    /// `NotFound`, for another tenant's too.
    pub async fn traffic(
        &self,
        scope: &TenantScope,
        device: Option<DeviceId>,
        span: Span,
    ) -> Result<Vec<TrafficPoint>, Failure> {
        let now = self.0.clock.now();
        let points = self.0.store.series(scope, device, span, now).await;
        points.map_err(store_failure)
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

    /// The same for somebody who takes it away as a file, which is written down.
    ///
    /// # Errors
    /// As [`Control::device_config`].
    pub async fn download_config(
        &self,
        scope: &TenantScope,
        id: DeviceId,
    ) -> Result<(DeviceView, ClientConfig), Failure> {
        let device = self.device(scope, id).await?;
        let config = self.device_config(scope, id).await?;
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

    /// Changes a device and waits (3 s at most) until the tunnel knows it.
    ///
    /// # Errors
    /// `NotFound`, `LabelMalformed`, `LabelTaken`, `TooManyTries`.
    pub async fn change_device(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        change: DeviceChange,
    ) -> Result<ChangedDevice, Failure> {
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
        self.count_change(scope)?;
        let device = inner
            .store
            .update_device(scope, id, change, inner.clock.now())
            .await
            .map_err(store_failure)?;
        let in_force = self.in_force(scope).await;
        Ok(ChangedDevice {
            device: inner.meter.device_view(device),
            in_force,
        })
    }

    /// Deletes a device and waits until it is cut off.
    ///
    /// # Errors
    /// `NotFound`, `TooManyTries`; `NotYetInForce` where it is deleted but the
    /// node has not confirmed yet that it is cut off. It will be.
    pub async fn delete_device(&self, scope: &TenantScope, id: DeviceId) -> Result<(), Failure> {
        self.count_change(scope)?;
        let inner = &self.0;
        let gone = inner
            .store
            .delete_device(scope, id, inner.clock.now())
            .await
            .map_err(store_failure)?;
        if self.in_force(scope).await {
            return Ok(());
        }
        let sentence = format!(
            "“{}” is deleted. The server has not cut it off yet and keeps trying.",
            gone.label
        );
        Err(Failure::new(ErrorCode::NotYetInForce, sentence))
    }

    /// Nudges the node and waits until what was just committed is in force.
    /// Never fails: what was committed is done, whatever we cannot find out.
    pub(crate) async fn in_force(&self, scope: &TenantScope) -> bool {
        let inner = &self.0;
        let committed = async {
            let tenant = inner.store.tenant(scope).await?;
            let generation = inner.store.generation(tenant.node).await?;
            Ok::<_, store::StoreError>((tenant.slot, generation))
        };
        let done = match committed.await {
            Ok((slot, generation)) => inner.node.applied(slot, generation, PATIENCE).await,
            Err(e) => {
                inner.node.nudge();
                tracing::warn!(error = ?e, "whether a change is in force cannot be found out");
                false
            }
        };
        inner.watching.changed(scope.tenant());
        done
    }
}
