//! The content of the database, read by a second process, and the conditions
//! that it must meet at any time.

use domain::{
    AddressPlan, AtLimit, DeviceId, FilterPolicy, PublicKey, QuotaState, Slot, TenantId,
    TenantScope, Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};
use store::{Store, StoreError, TenantState};

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditLine {
    pub actor: String,
    pub action: String,
    pub object: String,
}

impl AuditLine {
    /// Returns whether it is about the first operator, which the program
    /// creates.
    pub fn is_first_operator(&self) -> bool {
        self.action == "operator.create"
    }

    /// Returns whether it is written by itself: the others are written in the
    /// transaction of a change.
    pub fn is_written_alone(&self) -> bool {
        self.action.starts_with("session.") || self.action == "device.config"
    }

    /// Returns whether it is about a plan or a quota, which the model does not have.
    pub fn is_of_plan(&self) -> bool {
        self.action.starts_with("plan.") || self.action.starts_with("quota.")
    }
}

/// A tenant's row.
#[derive(Clone, Debug)]
pub struct StoredTenant {
    pub id: TenantId,
    pub name: String,
    pub slot: Slot,
    pub plan: String,
    pub allowed: usize,
    pub suspended: bool,
    /// The state of the month's data.
    pub quota: QuotaState,
    /// Bytes that were counted of the month that ends then.
    pub period_bytes: u64,
    pub period_end: Timestamp,
    /// What the plan gives.
    pub limit: Option<u64>,
    pub at_limit: AtLimit,
    pub down_bps: Option<u64>,
    pub up_bps: Option<u64>,
    pub slow_bps: u64,
    pub devices: BTreeMap<PublicKey, StoredDevice>,
}

/// A device's row.
#[derive(Clone, Debug)]
pub struct StoredDevice {
    pub id: DeviceId,
    pub label: String,
    pub address: Ipv4Addr,
    pub policy: FilterPolicy,
    pub mesh: bool,
    /// Bytes that were counted of it, both directions together.
    pub bytes: u64,
}

/// The whole content.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub tenants: BTreeMap<PublicKey, StoredTenant>,
    /// Oldest first.
    pub rows: Vec<AuditLine>,
    /// The hashes of passwords.
    pub hashes: Vec<String>,
}

impl Snapshot {
    /// Reads the whole content.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut snapshot = Self::default();
        for listing in store.tenants(Timestamp(0), Timestamp(0)).await? {
            let t = listing.tenant;
            let scope = TenantScope::issue(t.id, t.name.clone(), "observer");
            let devices = store.devices(&scope).await?;
            snapshot.hashes.push(t.password_hash.expose().to_owned());
            let device = |d: store::DeviceRecord| {
                let device = StoredDevice {
                    id: d.id,
                    label: d.label.as_str().to_owned(),
                    address: d.address,
                    policy: d.policy,
                    mesh: d.mesh,
                    bytes: d.rx_total + d.tx_total,
                };
                (d.public_key, device)
            };
            let tenant = StoredTenant {
                id: t.id,
                name: t.name.to_string(),
                slot: t.slot,
                allowed: usize::from(t.plan.devices),
                quota: t.quota,
                period_bytes: listing.used.bytes,
                period_end: listing.used.period.end,
                limit: t.plan.monthly_bytes,
                at_limit: t.plan.at_limit,
                down_bps: t.plan.down_bps,
                up_bps: t.plan.up_bps,
                slow_bps: t.plan.slow_bps,
                plan: t.plan.id,
                suspended: t.state == TenantState::Suspended,
                devices: devices.into_iter().map(device).collect(),
            };
            snapshot.tenants.insert(t.public_key, tenant);
        }
        let rows = store.audit_recent(1_000_000).await?.into_iter().rev();
        snapshot.rows = rows
            .map(|r| AuditLine {
                actor: r.actor,
                action: r.action,
                object: r.object,
            })
            .collect();
        Ok(snapshot)
    }

    /// Returns the first violation of a condition that must always hold.
    pub fn violation(&self, assignable: &BTreeSet<Slot>) -> Option<String> {
        if self.rows.iter().filter(|r| r.is_first_operator()).count() > 1 {
            return Some("the first operator was created twice".to_owned());
        }
        let addresses = AddressPlan::default();
        let (mut slots, mut names, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for t in self.tenants.values() {
            let name = &t.name;
            if !slots.insert(t.slot) {
                return Some(format!("slot {} is held twice", t.slot));
            }
            if !assignable.contains(&t.slot) {
                return Some(format!("{name} holds {}, which is never assigned", t.slot));
            }
            if !names.insert(name) {
                return Some(format!("two tenants are called {name}"));
            }
            if t.devices.len() > t.allowed {
                return Some(format!("{name} has {} devices", t.devices.len()));
            }
            let mut taken = BTreeSet::new();
            for (key, d) in &t.devices {
                let inside = addresses.subnet(t.slot).contains(&d.address);
                if !inside || d.address == addresses.gateway(t.slot) || !taken.insert(d.address) {
                    return Some(format!("{name}'s {} has {}", d.label, d.address));
                }
                if !keys.insert(*key) {
                    return Some(format!("two devices have the key {key}"));
                }
            }
        }
        None
    }
}
