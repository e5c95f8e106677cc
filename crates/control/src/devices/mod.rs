//! A tenant's devices: add, show, change, delete.

mod config;

use crate::{
    Control,
    failures::store_failure,
    inputs::{ChangedDevice, DeviceChange, NewDevice},
};
use domain::{DeviceId, DeviceLabel, ErrorCode, Failure, TenantScope, view::DeviceView};

impl Control {
    /// Adds a device and waits (3 s at most) until the tunnel has it. If the node
    /// takes longer, the device exists all the same, and the tenant's status says
    /// what is wrong.
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
        // If it is not in force, the tenant's status says so on every page.
        let _ = self.in_force(scope).await;
        Ok(inner.meter.device_view(device))
    }

    /// Returns one device.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device.
    pub async fn device(&self, scope: &TenantScope, id: DeviceId) -> Result<DeviceView, Failure> {
        let device = self
            .0
            .store
            .device(scope, id)
            .await
            .map_err(store_failure)?;
        Ok(self.0.meter.device_view(device))
    }

    /// Changes a device and waits (3 s at most) until the change is in force.
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

    /// Deletes a device and waits (3 s at most) until it is cut off.
    ///
    /// # Errors
    /// `NotFound`, `TooManyTries`; `NotYetInForce` if the device is deleted but
    /// the node has not confirmed yet that it is cut off. The node keeps trying.
    pub async fn delete_device(&self, scope: &TenantScope, id: DeviceId) -> Result<(), Failure> {
        self.count_change(scope)?;
        let inner = &self.0;
        let deleted = inner
            .store
            .delete_device(scope, id, inner.clock.now())
            .await
            .map_err(store_failure)?;
        if self.in_force(scope).await {
            return Ok(());
        }
        let message = format!(
            "“{}” is deleted. The server has not cut it off yet and keeps trying.",
            deleted.label
        );
        Err(Failure::new(ErrorCode::NotYetInForce, message))
    }
}
