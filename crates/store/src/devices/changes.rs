//! Adds, changes and deletes devices.

use super::{
    DeviceChange, DeviceRecord, DeviceSettings, NewDevice, NewDeviceKeys, device_in,
    routing_columns,
};
use crate::{
    Committed, Result, Store, StoreError, audit,
    db::{Tx, execute, fetch_all, fetch_optional},
    nodes::begin_change,
    sign_up::sleep::wake_in,
};
use domain::{AddressPlan, DeviceId, TenantScope, Timestamp, TunnelOptions};
use seal::Purpose;
use std::{collections::BTreeSet, net::Ipv4Addr};

impl Store {
    /// Adds a device at the first free address after the one given last, around: an
    /// address is not given again soon after a device has left it. The transaction checks
    /// the plan's limit, so two concurrent calls cannot exceed it.
    ///
    /// # Errors
    /// Returns [`StoreError::DeviceLimit`], [`StoreError::LabelTaken`],
    /// [`StoreError::KeyTaken`], [`StoreError::ClientIdTaken`], or
    /// [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn add_device(
        &self,
        scope: &TenantScope,
        new: NewDevice,
        addresses: &AddressPlan,
    ) -> Result<Committed<DeviceRecord>> {
        let tenant = scope.tenant().0;
        let public_key = new.public_key.to_string();
        let private_key = match &new.private_key {
            None => String::new(),
            Some(key) => self
                .sealer
                .seal(Purpose::DeviceKey, &public_key, key.as_bytes())?,
        };
        let preshared_key = self.sealer.seal(
            Purpose::DevicePresharedKey,
            &public_key,
            new.preshared_key.as_bytes(),
        )?;

        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        wake_in(&mut tx, pending, scope.tenant(), scope.actor(), new.now).await?;
        let sql = "SELECT plans.devices, users.last_host FROM users \
                   JOIN plans ON plans.id = users.plan WHERE users.id = $1";
        let row = fetch_optional!(tx.connection(), (i64, i64), sql, tenant)?;
        let (allowed, last_host) = row.ok_or(StoreError::NotFound)?;
        let sql = "SELECT vpn_ip FROM peers WHERE user_id = $1";
        let used = fetch_all!(tx.connection(), (String,), sql, tenant)?;
        let limit = StoreError::DeviceLimit {
            allowed: u16::try_from(allowed).unwrap_or(u16::MAX),
        };
        if i64::try_from(used.len()).is_ok_and(|n| n >= allowed) {
            return Err(limit);
        }
        let used: BTreeSet<Ipv4Addr> = used.iter().filter_map(|(a,)| a.parse().ok()).collect();
        let (host, address) = hosts_after(last_host)
            .map(|host| (host, addresses.device(pending.slot(), host)))
            .find(|(_, address)| !used.contains(address))
            .ok_or(limit)?;
        let sql = "UPDATE users SET last_host = $2 WHERE id = $1";
        execute!(tx.connection(), sql, tenant, i64::from(host))?;

        let sql = "INSERT INTO peers (user_id, device_label, label_folded, vpn_ip, private_key, \
             public_key, preshared_key, mesh_routing, adguard_client_id, dns_filtering_policy, \
             routing, home_direct, small_packets, ipv4_only, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT DO NOTHING RETURNING id";
        let (routing, home_direct) = routing_columns(new.routing);
        let inserted = fetch_optional!(
            tx.connection(),
            (i64,),
            sql,
            tenant,
            new.label.as_str(),
            new.label.folded(),
            address.to_string(),
            private_key.as_str(),
            public_key.as_str(),
            preshared_key.as_str(),
            i64::from(new.mesh),
            new.client_id.as_str(),
            new.policy.as_str(),
            routing,
            home_direct,
            i64::from(new.options.small_packets),
            i64::from(new.options.ipv4_only),
            new.now.0,
        )?;
        let Some((id,)) = inserted else {
            return Err(conflict(&mut tx, tenant, &new, &public_key).await?);
        };
        let detail = format!("{address}, {}, {}", new.routing, new.policy);
        let object = object(scope, new.label.as_str());
        audit::write_scoped(&mut tx, scope, new.now, "device.add", object, detail).await?;
        tx.commit().await?;
        Ok(pending.committed(DeviceRecord {
            id: DeviceId(id),
            label: new.label,
            address,
            public_key: new.public_key,
            has_private_key: new.private_key.is_some(),
            policy: new.policy,
            mesh: new.mesh,
            routing: new.routing,
            options: new.options,
            client_id: new.client_id,
            created_at: new.now,
            key_made_at: new.now,
            last_handshake: None,
            endpoint: None,
            rx_total: 0,
            tx_total: 0,
            counted: (0, 0),
        }))
    }

    /// Changes a device. Equal values are no change and do not raise the node's
    /// generation.
    ///
    /// # Errors
    /// Returns [`StoreError::LabelTaken`], or [`StoreError::NotFound`], also for
    /// another tenant's device.
    pub async fn update_device(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        change: DeviceChange,
        now: Timestamp,
    ) -> Result<Committed<DeviceRecord>> {
        self.update_device_if(scope, id, change, None, now).await
    }

    /// Does what [`Store::update_device`] does, if the device still has these settings.
    ///
    /// # Errors
    /// As [`Store::update_device`]; [`StoreError::Changed`] if it has others.
    pub async fn update_device_if(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        change: DeviceChange,
        expected: Option<&DeviceSettings>,
        now: Timestamp,
    ) -> Result<Committed<DeviceRecord>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let before = device_in(&mut tx, scope, id).await?;
        if expected.is_some_and(|expected| *expected != before.settings()) {
            return Err(StoreError::Changed);
        }
        let mut after = before.clone();
        if let Some(label) = change.label {
            after.label = label;
        }
        after.policy = change.policy.unwrap_or(before.policy);
        after.mesh = change.mesh.unwrap_or(before.mesh);
        after.routing = change.routing.unwrap_or(before.routing);
        let TunnelOptions {
            small_packets,
            ipv4_only,
        } = before.options;
        after.options = TunnelOptions {
            small_packets: change.small_packets.unwrap_or(small_packets),
            ipv4_only: change.ipv4_only.unwrap_or(ipv4_only),
        };
        if after == before {
            return Ok(pending.unchanged(before));
        }
        let sql = "UPDATE peers SET device_label = $3, label_folded = $4, \
                   dns_filtering_policy = $5, mesh_routing = $6, routing = $7, home_direct = $8, \
                   small_packets = $9, ipv4_only = $10 WHERE user_id = $1 AND id = $2";
        let (routing, home_direct) = routing_columns(after.routing);
        let updated = execute!(
            tx.connection(),
            sql,
            scope.tenant().0,
            id.0,
            after.label.as_str(),
            after.label.folded(),
            after.policy.as_str(),
            i64::from(after.mesh),
            routing,
            home_direct,
            i64::from(after.options.small_packets),
            i64::from(after.options.ipv4_only),
        );
        match updated {
            Ok(_) => {}
            // Of these columns only the label is unique.
            Err(e) if e.is_unique_violation() => return Err(StoreError::LabelTaken),
            Err(e) => return Err(e),
        }
        let values = difference(&before, &after);
        let object = object(scope, before.label.as_str());
        audit::write_change(&mut tx, scope, now, "device.change", object, values).await?;
        tx.commit().await?;
        Ok(pending.committed(after))
    }

    /// Replaces a device's keys. What it was stays: address, settings and totals.
    ///
    /// # Errors
    /// Returns [`StoreError::KeyTaken`], or [`StoreError::NotFound`], also for another
    /// tenant's device.
    pub async fn replace_device_keys(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        new: NewDeviceKeys,
    ) -> Result<Committed<DeviceRecord>> {
        let public_key = new.private_key.public();
        let text = public_key.to_string();
        let private_key =
            self.sealer
                .seal(Purpose::DeviceKey, &text, new.private_key.as_bytes())?;
        let preshared_key = self.sealer.seal(
            Purpose::DevicePresharedKey,
            &text,
            new.preshared_key.as_bytes(),
        )?;
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let mut device = device_in(&mut tx, scope, id).await?;
        let sql = "UPDATE peers SET public_key = $3, private_key = $4, preshared_key = $5, \
                   key_made_at = $6 WHERE user_id = $1 AND id = $2";
        let updated = execute!(
            tx.connection(),
            sql,
            scope.tenant().0,
            id.0,
            text.as_str(),
            private_key.as_str(),
            preshared_key.as_str(),
            new.now.0,
        );
        match updated {
            Ok(_) => {}
            // Of these columns only the public key is unique.
            Err(e) if e.is_unique_violation() => return Err(StoreError::KeyTaken),
            Err(e) => return Err(e),
        }
        let object = object(scope, device.label.as_str());
        let detail = device.address.to_string();
        audit::write_scoped(&mut tx, scope, new.now, "device.new_key", object, detail).await?;
        tx.commit().await?;
        device.public_key = public_key;
        device.has_private_key = true;
        device.key_made_at = new.now;
        Ok(pending.committed(device))
    }

    /// Deletes a device with its statistics. Returns its last record.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], also for another tenant's device.
    pub async fn delete_device(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<Committed<DeviceRecord>> {
        self.delete_device_if(scope, id, None, now).await
    }

    /// Does what [`Store::delete_device`] does, if the device still has these settings.
    ///
    /// # Errors
    /// As [`Store::delete_device`]; [`StoreError::Changed`] if it has others.
    pub async fn delete_device_if(
        &self,
        scope: &TenantScope,
        id: DeviceId,
        expected: Option<&DeviceSettings>,
        now: Timestamp,
    ) -> Result<Committed<DeviceRecord>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let device = device_in(&mut tx, scope, id).await?;
        if expected.is_some_and(|expected| *expected != device.settings()) {
            return Err(StoreError::Changed);
        }
        let sql = "DELETE FROM peers WHERE user_id = $1 AND id = $2";
        execute!(tx.connection(), sql, scope.tenant().0, id.0)?;
        let object = object(scope, device.label.as_str());
        let detail = device.address.to_string();
        audit::write_scoped(&mut tx, scope, now, "device.delete", object, detail).await?;
        tx.commit().await?;
        Ok(pending.committed(device))
    }
}

/// Returns all host parts, beginning with the one after `last`.
fn hosts_after(last: i64) -> impl Iterator<Item = u8> {
    let (first, end) = (AddressPlan::FIRST_HOST, AddressPlan::LAST_HOST);
    let last = u8::try_from(last).unwrap_or(0).clamp(first - 1, end);
    (last.saturating_add(1)..=end).chain(first..=last)
}

/// Returns which unique value of a new device is taken. The address cannot be:
/// the transaction holds the node's row.
async fn conflict(
    tx: &mut Tx,
    tenant: i64,
    new: &NewDevice,
    public_key: &str,
) -> Result<StoreError> {
    let sql = "SELECT id FROM peers WHERE user_id = $1 AND label_folded = $2";
    if fetch_optional!(tx.connection(), (i64,), sql, tenant, new.label.folded())?.is_some() {
        return Ok(StoreError::LabelTaken);
    }
    let sql = "SELECT id FROM peers WHERE public_key = $1";
    if fetch_optional!(tx.connection(), (i64,), sql, public_key)?.is_some() {
        return Ok(StoreError::KeyTaken);
    }
    Ok(StoreError::ClientIdTaken)
}

fn object(scope: &TenantScope, label: &str) -> String {
    format!("{}/{label}", scope.name())
}

fn switch(is_on: bool) -> &'static str {
    match is_on {
        true => "on",
        false => "off",
    }
}

fn difference(before: &DeviceRecord, after: &DeviceRecord) -> (String, String) {
    let text = |of: &DeviceRecord| {
        let mut parts = Vec::new();
        if before.label != after.label {
            parts.push(format!("label {}", of.label.as_str()));
        }
        if before.policy != after.policy {
            parts.push(format!("policy {}", of.policy));
        }
        if before.mesh != after.mesh {
            parts.push(format!("mesh {}", switch(of.mesh)));
        }
        if before.routing != after.routing {
            parts.push(format!("routing {}", of.routing));
        }
        if before.options.small_packets != after.options.small_packets {
            parts.push(format!(
                "small packets {}",
                switch(of.options.small_packets)
            ));
        }
        if before.options.ipv4_only != after.options.ipv4_only {
            parts.push(format!("IPv4 only {}", switch(of.options.ipv4_only)));
        }
        parts.join(", ")
    };
    (text(before), text(after))
}
