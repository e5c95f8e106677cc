//! A tenant of the reference model, and its devices.

use super::operations::{DeviceRef, DeviceSnapshot};
use domain::{AddressPlan, DeviceId, DeviceLabel, FilterPolicy, PublicKey, Slot, TenantId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub label: String,
    pub host: u8,
    pub policy: FilterPolicy,
    pub mesh: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub slot: Slot,
    pub plan: &'static str,
    pub suspended: bool,
    /// The host part that was given last; 1 before the first.
    pub last_host: u8,
    pub devices: BTreeMap<PublicKey, Device>,
}

/// Returns the number of devices that a plan allows.
pub fn max_devices(plan: &str) -> usize {
    match plan {
        "personal" => 5,
        "home" => 10,
        _ => 50,
    }
}

fn folded(label: &str) -> String {
    DeviceLabel::stored(label).folded()
}

impl Tenant {
    /// Returns the first free host part after the one given last, around.
    pub fn free_host(&self) -> u8 {
        let taken: BTreeSet<u8> = self.devices.values().map(|d| d.host).collect();
        let mut hosts = (self.last_host + 1..=254).chain(2..=self.last_host);
        hosts.find(|h| !taken.contains(h)).unwrap_or(255)
    }

    pub fn has_label(&self, label: &str, except: Option<PublicKey>) -> bool {
        let others = self.devices.iter().filter(|(k, _)| Some(**k) != except);
        others
            .into_iter()
            .any(|(_, d)| folded(&d.label) == folded(label))
    }

    pub fn object(&self, label: &str) -> String {
        format!("{}/{label}", self.name)
    }

    /// Returns a device as clients see it.
    pub fn snapshot(&self, key: PublicKey) -> Option<DeviceSnapshot> {
        let d = self.devices.get(&key)?;
        Some(DeviceSnapshot {
            device: DeviceRef { key, id: d.id },
            label: d.label.clone(),
            address: AddressPlan::default().device(self.slot, d.host).to_string(),
            policy: d.policy,
            mesh: d.mesh,
        })
    }

    /// Returns the devices as the dashboard lists them.
    pub fn rows(&self) -> Vec<(String, String)> {
        let devices = self.devices.keys().filter_map(|k| self.snapshot(*k));
        let mut rows: Vec<_> = devices.map(|s| (s.label, s.address)).collect();
        rows.sort();
        rows
    }
}
