//! A tenant's devices: add, show, change, delete.

mod config;
mod lists;
mod names;
mod peer;

pub(crate) use lists::DeviceLists;
use lists::{KnownList, ShownAt};
pub(crate) use names::names_of;
pub use peer::{ListForm, Peer, PeerList};

use crate::{
    failures::store_failure,
    inner::Inner,
    inputs::{ChangedDevice, DeviceChange, NewDevice},
};
use domain::{
    DeviceId, DeviceLabel, ErrorCode, Failure, Message, Problem, TenantReadScope, TenantScope,
    view::{DevicePageView, DeviceView},
};
use std::sync::Arc;
use store::Revision;

/// The handle on the tenants' devices.
#[derive(Clone, Copy)]
pub struct Devices<'a>(pub(crate) &'a Inner);

impl Devices<'_> {
    /// Adds a device and waits (3 s at most) until the tunnel has it. If the node
    /// takes longer, the device exists all the same, and the tenant's status says
    /// what is wrong.
    ///
    /// # Errors
    /// `LabelMalformed`, `LabelTaken`, `DeviceLimit`, `TooManyTries`.
    pub async fn add(self, scope: &TenantScope, new: NewDevice) -> Result<DeviceView, Failure> {
        let inner = self.0;
        let label = DeviceLabel::parse(&new.label)?;
        let now = inner.clock.now();
        inner.limits.count_change(scope.tenant(), now)?;
        let private_key = inner.entropy.private_key()?;
        let new = store::NewDevice {
            label,
            routing: new.routing,
            options: new.options,
            policy: new.policy,
            mesh: new.mesh,
            public_key: private_key.public(),
            private_key: Some(private_key),
            preshared_key: inner.entropy.preshared_key()?,
            client_id: inner.entropy.client_id()?,
            now,
        };
        let added = inner
            .store
            .add_device(scope, new, &inner.settings.addresses)
            .await
            .map_err(store_failure)?;
        // If it is not in force, the tenant's status says so on every page.
        let _ = inner.in_force(scope, &added).await;
        Ok(inner.changed_view(scope, &added.value).await)
    }

    /// Returns one device.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device.
    pub async fn get(self, scope: &TenantReadScope, id: DeviceId) -> Result<DeviceView, Failure> {
        let inner = self.0;
        let device = inner.store.device(scope, id).await.map_err(store_failure)?;
        inner.named_view(scope, &device).await
    }

    /// Returns the tenant's devices, oldest first.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn list(self, scope: &TenantReadScope) -> Result<Vec<DeviceView>, Failure> {
        let rows = self.rows(scope).await?;
        let names = names_of(scope.name(), &rows);
        let devices = rows.iter().map(|d| self.0.device_view(d, &names));
        Ok(devices.collect())
    }

    /// Returns the tenant's devices with what else their rows hold, oldest first. A request
    /// that knows what of the tenant was changed last (`ApiPermission::revision`) may get what
    /// an earlier one read.
    ///
    /// # Errors
    /// `NotFound` once the tenant is deleted.
    pub async fn peers_at(
        self,
        scope: &TenantReadScope,
        revision: Option<Revision>,
    ) -> Result<Arc<PeerList>, Failure> {
        let inner = self.0;
        let tenant = scope.tenant();
        // Read before the rows: what changes meanwhile makes them old.
        let shown_at = ShownAt {
            readings: inner.meter.changes(),
            ipv6: inner.store.known_ipv6_prefix(),
        };
        let known = revision.map(|revision| inner.lists.get(tenant, revision, shown_at));
        let rows = match known {
            Some(KnownList::Shown(list)) => return Ok(list),
            Some(KnownList::Rows(rows)) => rows,
            Some(KnownList::Unknown) | None => {
                let rows = Arc::new(self.rows(scope).await?);
                if let Some(revision) = revision {
                    inner.lists.keep(tenant, revision, rows.clone());
                }
                rows
            }
        };
        let names = names_of(scope.name(), &rows);
        let peer = |d: &store::DeviceRecord| Peer {
            client_id: d.client_id.clone(),
            device: inner.device_view(d, &names),
        };
        let list = Arc::new(PeerList::new(rows.iter().map(peer).collect()));
        inner.lists.keep_shown(tenant, &rows, shown_at, &list);
        Ok(list)
    }

    async fn rows(self, scope: &TenantReadScope) -> Result<Vec<store::DeviceRecord>, Failure> {
        let inner = self.0;
        // The overview's two statements are quicker than a tenant's and its devices' three.
        let month = inner.clock.now().month_start();
        let read = inner.store.overview(scope, month).await;
        Ok(read.map_err(store_failure)?.devices)
    }

    /// Returns the content of a device's page.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device.
    pub async fn page(
        self,
        scope: &TenantReadScope,
        id: DeviceId,
    ) -> Result<DevicePageView<Problem>, Failure> {
        let inner = self.0;
        let read = tokio::try_join!(inner.store.tenant(scope), inner.store.device(scope, id));
        let (tenant, device) = read.map_err(store_failure)?;
        Ok(DevicePageView {
            now: inner.clock.now(),
            status: inner.status(&tenant),
            device: inner.named_view(scope, &device).await?,
        })
    }

    /// Changes a device and waits (3 s at most) until the change is in force.
    ///
    /// # Errors
    /// `NotFound`, `LabelMalformed`, `LabelTaken`, `TooManyTries`.
    pub async fn change(
        self,
        scope: &TenantScope,
        id: DeviceId,
        change: DeviceChange,
    ) -> Result<ChangedDevice, Failure> {
        self.change_if(scope, id, change, None).await
    }

    /// Does what [`Devices::change`] does, if what of the device can be changed is still as
    /// in `expected`.
    ///
    /// # Errors
    /// As [`Devices::change`]; `ChangedMeanwhile`. Nothing is changed then.
    pub async fn change_if(
        self,
        scope: &TenantScope,
        id: DeviceId,
        change: DeviceChange,
        expected: Option<&DeviceView>,
    ) -> Result<ChangedDevice, Failure> {
        let inner = self.0;
        let expected = expected.map(settings);
        let change = store::DeviceChange {
            label: change
                .label
                .as_deref()
                .map(DeviceLabel::parse)
                .transpose()?,
            policy: change.policy,
            mesh: change.mesh,
            routing: change.routing,
            small_packets: change.small_packets,
            ipv4_only: change.ipv4_only,
        };
        let now = inner.clock.now();
        inner.limits.count_change(scope.tenant(), now)?;
        let changed = inner
            .store
            .update_device_if(scope, id, change, expected.as_ref(), now)
            .await
            .map_err(store_failure)?;
        let in_force = inner.in_force(scope, &changed).await;
        Ok(ChangedDevice {
            device: inner.changed_view(scope, &changed.value).await,
            in_force,
        })
    }

    /// Gives a device new keys and waits (3 s at most) until the tunnel has them. The
    /// former ones stop working then. What it transferred before is counted first.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device; `TooManyTries`.
    pub async fn new_key(
        self,
        scope: &TenantScope,
        id: DeviceId,
    ) -> Result<ChangedDevice, Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        inner.limits.count_change(scope.tenant(), now)?;
        let keys = store::NewDeviceKeys {
            private_key: inner.entropy.private_key()?,
            preshared_key: inner.entropy.preshared_key()?,
            now,
        };
        inner.meter.count_before_removal(scope).await;
        let changed = inner.store.replace_device_keys(scope, id, keys).await;
        let changed = changed.map_err(store_failure)?;
        let in_force = inner.in_force(scope, &changed).await;
        Ok(ChangedDevice {
            device: inner.changed_view(scope, &changed.value).await,
            in_force,
        })
    }

    /// Deletes a device and waits (3 s at most) until it is cut off. Before that, its
    /// traffic is counted.
    ///
    /// # Errors
    /// `NotFound`, `TooManyTries`; `NotYetInForce` if the device is deleted but
    /// the node has not confirmed yet that it is cut off. The node keeps trying.
    pub async fn delete(self, scope: &TenantScope, id: DeviceId) -> Result<(), Failure> {
        self.delete_if(scope, id, None).await
    }

    /// Does what [`Devices::delete`] does, if what of the device can be changed is still as
    /// in `expected`.
    ///
    /// # Errors
    /// As [`Devices::delete`]; `ChangedMeanwhile`. Nothing is deleted then.
    pub async fn delete_if(
        self,
        scope: &TenantScope,
        id: DeviceId,
        expected: Option<&DeviceView>,
    ) -> Result<(), Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        inner.limits.count_change(scope.tenant(), now)?;
        inner.meter.count_before_removal(scope).await;
        let deleted = inner
            .store
            .delete_device_if(scope, id, expected.map(settings).as_ref(), now)
            .await
            .map_err(store_failure)?;
        if inner.in_force(scope, &deleted).await {
            return Ok(());
        }
        let message = Message::DeviceNotCutOff {
            label: deleted.value.label.to_string(),
        };
        Err(Failure::new(ErrorCode::NotYetInForce, message))
    }
}

/// Returns what can be changed of a device.
fn settings(device: &DeviceView) -> store::DeviceSettings {
    store::DeviceSettings {
        label: device.label.clone(),
        policy: device.policy,
        mesh: device.mesh,
        routing: device.routing,
        options: device.options,
    }
}
