//! WireGuard's configuration format.
//!
//! - A configuration is the same when it is written and read again.
//! - A device's configuration and the tunnel's `wg<n>.conf` are read back with
//!   the values they were made from.

use crate::bytes::Bytes;
use domain::{
    AddressPlan, ClientConfig, DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey,
    PublicKey, Routing, Secret, Slot, TenantName, TunnelOptions,
    wgconf::{self, Section},
};
use protocol::{DeviceSpec, TenantSpec};
use provisioning::TenantSpecExt;

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(sections) = wgconf::parse(&text) {
        assert_eq!(wgconf::parse(&written(&sections)).as_ref(), Ok(&sections));
    }
    let mut bytes = Bytes::new(data);
    client(&mut bytes);
    tunnel(&mut bytes);
}

fn written(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        text += &format!("[{}]\n", section.name);
        for (key, value) in &section.lines {
            text += &format!("{key} = {value}\n");
        }
    }
    text
}

fn slot(bytes: &mut Bytes<'_>) -> Slot {
    Slot::new(u16::try_from(bytes.below(1000)).unwrap_or(0) + 1).unwrap_or(Slot::FIRST)
}

fn client(bytes: &mut Bytes<'_>) {
    let (plan, slot) = (AddressPlan::default(), slot(bytes));
    let config = ClientConfig {
        private_key: PrivateKey::from_random(bytes.key()),
        address: plan.device(slot, bytes.byte()),
        gateway: plan.gateway(slot),
        subnet: plan.subnet(slot),
        server_key: PublicKey::from_bytes(bytes.key()),
        preshared_key: PresharedKey::from_random(bytes.key()),
        endpoint: format!("[2001:db8::{:x}]:{}", bytes.byte(), slot.listen_port()),
        routing: bytes.pick(&Routing::ALL),
        options: TunnelOptions {
            small_packets: bytes.flag(),
            ipv4_only: bytes.flag(),
        },
        ipv6: None,
    };
    let read = wgconf::parse(&config.render()).expect("a rendered configuration is read");
    let [interface, peer] = read.as_slice() else {
        panic!("not two sections: {read:?}");
    };
    let of = |s: &Section, key: &str| s.get(key).unwrap_or_default().to_owned();
    assert_eq!((&*interface.name, &*peer.name), ("Interface", "Peer"));
    assert_eq!(
        PrivateKey::parse(&of(interface, "PrivateKey")),
        Ok(config.private_key.clone())
    );
    assert_eq!(
        PublicKey::parse(&of(peer, "PublicKey")),
        Ok(config.server_key)
    );
    assert_eq!(
        PresharedKey::parse(&of(peer, "PresharedKey")),
        Ok(config.preshared_key.clone())
    );
    assert_eq!(of(interface, "Address"), config.addresses());
    assert_eq!(of(interface, "DNS"), config.resolvers());
    assert_eq!(interface.get("MTU").is_some(), config.options.small_packets);
    assert_eq!(of(peer, "AllowedIPs"), config.allowed_ips());
    assert_eq!(of(peer, "Endpoint"), config.endpoint);
}

/// Returns a tenant with devices chosen by the bytes.
pub(crate) fn tenant(bytes: &mut Bytes<'_>, name: &str) -> TenantSpec {
    let (plan, slot) = (AddressPlan::default(), slot(bytes));
    let mut devices = std::collections::BTreeMap::new();
    for n in 0..bytes.byte() % 8 {
        let label = DeviceLabel::parse(&bytes.text());
        let device = DeviceSpec {
            label: label.unwrap_or_else(|_| DeviceLabel::parse("x").expect("a label")),
            address: plan.device(slot, n + 2),
            public_key: PublicKey::from_bytes(bytes.key()),
            preshared_key: PresharedKey::from_random(bytes.key()),
            mesh: bytes.flag(),
            policy: bytes.pick(&FilterPolicy::ALL),
            client_id: format!("mn-{n}"),
        };
        devices.insert(DeviceId(n.into()), device);
    }
    TenantSpec {
        name: TenantName::parse(name).expect("a fixed name is valid"),
        slot,
        private_key: PrivateKey::from_random(bytes.key()),
        suspended: false,
        asleep: false,
        dns_password: Secret::new("x"),
        dns_password_hash: "x".to_owned(),
        limits: protocol::TenantLimits::default(),
        ipv6: None,
        devices,
    }
}

fn tunnel(bytes: &mut Bytes<'_>) {
    let spec = tenant(bytes, "abcd");
    let read = wgconf::parse(spec.wg_conf().expose()).expect("a written configuration is read");
    let (interface, peers) = read.split_first().expect("an interface");
    assert_eq!(interface.lines.len(), 2);
    assert_eq!(
        interface.get("PrivateKey").map(PrivateKey::parse),
        Some(Ok(spec.private_key.clone()))
    );
    let port = spec.slot.listen_port().to_string();
    assert_eq!(interface.get("ListenPort"), Some(port.as_str()));
    assert_eq!(peers.len(), spec.devices.len());
    for (peer, device) in peers.iter().zip(spec.devices.values()) {
        assert_eq!((peer.name.as_str(), peer.lines.len()), ("Peer", 3));
        assert_eq!(
            peer.get("PublicKey").map(PublicKey::parse),
            Some(Ok(device.public_key))
        );
        let shared = peer.get("PresharedKey").map(PresharedKey::parse);
        assert_eq!(shared, Some(Ok(device.preshared_key.clone())));
        let address = format!("{}/32", device.address);
        assert_eq!(peer.get("AllowedIPs"), Some(address.as_str()));
    }
}
