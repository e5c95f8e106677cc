//! What the database holds, read by a second process, and what must hold of it
//! whatever has happened.

use domain::{
    AddressPlan, DeviceId, FilterPolicy, PublicKey, Slot, TenantId, TenantScope, Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};
use store::{Store, StoreError, TenantState};

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub actor: String,
    pub action: String,
    pub object: String,
}

impl Row {
    /// Whether it tells of the first operator, which the program makes.
    pub fn is_first_operator(&self) -> bool {
        self.action == "operator.create"
    }

    /// Whether it is written by itself: all else is in its change's own
    /// transaction.
    pub fn stands_alone(&self) -> bool {
        self.action.starts_with("session.") || self.action == "device.config"
    }
}

/// A tenant's row.
#[derive(Clone, Debug)]
pub struct SeenTenant {
    pub id: TenantId,
    pub name: String,
    pub slot: Slot,
    pub plan: String,
    pub allowed: usize,
    pub suspended: bool,
    pub devices: BTreeMap<PublicKey, SeenDevice>,
}

/// A device's row.
#[derive(Clone, Debug)]
pub struct SeenDevice {
    pub id: DeviceId,
    pub label: String,
    pub address: Ipv4Addr,
    pub policy: FilterPolicy,
    pub mesh: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub tenants: BTreeMap<PublicKey, SeenTenant>,
    /// Oldest first.
    pub rows: Vec<Row>,
    /// Hashes of passwords.
    pub hashes: Vec<String>,
}

impl Seen {
    /// Reads all there is.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut seen = Self::default();
        for listing in store.tenants(Timestamp(0)).await? {
            let t = listing.tenant;
            let scope = TenantScope::issue(t.id, t.name.clone(), "observer");
            let devices = store.devices(&scope).await?;
            seen.hashes.push(t.password_hash.expose().to_owned());
            let device = |d: store::DeviceRecord| {
                let device = SeenDevice {
                    id: d.id,
                    label: d.label.as_str().to_owned(),
                    address: d.address,
                    policy: d.policy,
                    mesh: d.mesh,
                };
                (d.public_key, device)
            };
            let tenant = SeenTenant {
                id: t.id,
                name: t.name.to_string(),
                slot: t.slot,
                allowed: usize::from(t.plan.devices),
                plan: t.plan.id,
                suspended: t.state == TenantState::Suspended,
                devices: devices.into_iter().map(device).collect(),
            };
            seen.tenants.insert(t.public_key, tenant);
        }
        let rows = store.audit_recent(1_000_000).await?.into_iter().rev();
        seen.rows = rows
            .map(|r| Row {
                actor: r.actor,
                action: r.action,
                object: r.object,
            })
            .collect();
        Ok(seen)
    }

    /// The first thing that must never be, in words.
    pub fn never(&self, places: &BTreeSet<Slot>) -> Option<String> {
        if self.rows.iter().filter(|r| r.is_first_operator()).count() > 1 {
            return Some("the first operator was made twice".to_owned());
        }
        let addresses = AddressPlan::default();
        let (mut slots, mut names, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for t in self.tenants.values() {
            let name = &t.name;
            if !slots.insert(t.slot) {
                return Some(format!("slot {} is held twice", t.slot));
            }
            if !places.contains(&t.slot) {
                return Some(format!("{name} holds {}, which is not given away", t.slot));
            }
            if !names.insert(name) {
                return Some(format!("two are called {name}"));
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
