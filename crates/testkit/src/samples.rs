//! Tenants and devices for tests: equal numbers make equal samples.

use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, Secret, Slot, TenantName,
};
use protocol::{DeviceSpec, TenantSpec};
use provisioning::spec::{NodeSettings, PacketRate};
use std::{collections::BTreeMap, path::Path};

/// Returns a private key that depends on these two numbers only.
pub fn key(a: u16, b: u8) -> PrivateKey {
    let mut bytes = [b; 32];
    bytes[1..3].copy_from_slice(&a.to_be_bytes());
    PrivateKey::from_random(bytes)
}

/// Returns device `n` (from 0) of the tenant at `slot`.
pub fn device(settings: &NodeSettings, slot: Slot, n: u8) -> (DeviceId, DeviceSpec) {
    let id = i64::from(slot.get()) * 1000 + i64::from(n);
    let spec = DeviceSpec {
        label: DeviceLabel::parse(&format!("device {n}")).expect("a fixed label is valid"),
        address: settings.addresses.device(slot, n + 2),
        public_key: key(slot.get(), n + 1).public(),
        preshared_key: PresharedKey::from_random([n; 32]),
        mesh: n.is_multiple_of(2),
        policy: FilterPolicy::ALL[usize::from(n % 4)],
        client_id: format!("mn-{id}"),
    };
    (DeviceId(id), spec)
}

/// Returns the tenant at `slot` with this many devices.
pub fn tenant(settings: &NodeSettings, slot: u16, devices: u8) -> TenantSpec {
    let slot = Slot::new(slot).expect("a test's slot is valid");
    TenantSpec {
        name: TenantName::parse(&format!("tenant{slot}")).expect("a fixed name is valid"),
        slot,
        private_key: key(slot.get(), 0),
        suspended: false,
        asleep: false,
        dns_password: Secret::new("dns-password"),
        dns_password_hash: "$2b$04$notarealhash".to_owned(),
        limits: protocol::TenantLimits::default(),
        ipv6: Some(ipv6().subnet(slot)),
        devices: (0..devices)
            .map(|n| device(settings, slot, n))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Returns the installation's prefix of IPv6.
pub fn ipv6() -> domain::Ipv6Prefix {
    domain::Ipv6Prefix::from_random([0x12, 0x34, 0x56, 0x78, 0x9a])
}

/// Returns settings with the default ranges and this root folder.
pub fn settings(root: &Path) -> NodeSettings {
    NodeSettings {
        addresses: domain::AddressPlan::default(),
        ipv6: true,
        root: root.to_owned(),
        dns_memory_bytes: 256 << 20,
        dns_cpu_thousandths: 500,
        tunnel_packets: PacketRate::at_least(100_000),
        image: "adguard/adguardhome:test".to_owned(),
        fallback_dns: std::net::Ipv4Addr::new(9, 9, 9, 9),
        key_files: true,
    }
}
