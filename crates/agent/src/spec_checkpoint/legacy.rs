//! Reads the text that a checkpoint held before it held the bytes of
//! [`NodeSpec::to_bytes`]: a line for each tenant and, below it, one for each of
//! its devices. A value that may contain spaces is the last of its line.
//!
//! Nothing writes this format any more: the next write replaces the file. Once
//! no installation can have such a file, this file is deleted.

use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantName,
};
use protocol::{DeviceSpec, NodeSpec, TenantSpec};
use std::sync::Arc;

/// The first line. No other format begins with it.
const FORMAT: &str = "maliknode spec 1";

/// Parses what an opened checkpoint holds; `None` for anything but a complete
/// text of this format.
pub(super) fn parse(bytes: &[u8]) -> Option<NodeSpec> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix("end\n")?.lines();
    (lines.next()? == FORMAT).then_some(())?;
    let mut spec = NodeSpec {
        generation: lines.next()?.parse().ok()?,
        ..NodeSpec::default()
    };
    let mut tenant: Option<TenantSpec> = None;
    for line in lines {
        if let Some(line) = line.strip_prefix("tenant ") {
            spec.tenants
                .extend(tenant.take().map(|t| (t.slot, Arc::new(t))));
            tenant = Some(parse_tenant(line)?);
        } else {
            let (id, device) = parse_device(line.strip_prefix("device ")?)?;
            tenant.as_mut()?.devices.insert(id, device);
        }
    }
    spec.tenants.extend(tenant.map(|t| (t.slot, Arc::new(t))));
    Some(spec)
}

fn parse_tenant(line: &str) -> Option<TenantSpec> {
    let mut words = line.splitn(6, ' ');
    Some(TenantSpec {
        slot: Slot::new(words.next()?.parse().ok()?)?,
        name: TenantName::parse(words.next()?).ok()?,
        suspended: match words.next()? {
            "suspended" => true,
            "active" => false,
            _ => return None,
        },
        asleep: false,
        private_key: PrivateKey::parse(words.next()?).ok()?,
        dns_password_hash: words.next()?.to_owned(),
        limits: protocol::TenantLimits::default(),
        dns_password: Secret::new(words.next()?),
        ipv6: None,
        devices: std::collections::BTreeMap::new(),
    })
}

fn parse_device(line: &str) -> Option<(DeviceId, DeviceSpec)> {
    let mut words = line.splitn(8, ' ');
    let id = DeviceId(words.next()?.parse().ok()?);
    let device = DeviceSpec {
        address: words.next()?.parse().ok()?,
        public_key: PublicKey::parse(words.next()?).ok()?,
        preshared_key: PresharedKey::parse(words.next()?).ok()?,
        mesh: match words.next()? {
            "mesh" => true,
            "alone" => false,
            _ => return None,
        },
        policy: words.next()?.parse::<FilterPolicy>().ok()?,
        client_id: words.next()?.to_owned(),
        label: DeviceLabel::parse(words.next()?).ok()?,
    };
    Some((id, device))
}
